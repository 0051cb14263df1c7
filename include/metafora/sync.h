/* A client for programs without a loop, and for any of their threads: each call waits for its
 * result.
 *
 * It has a broker handle and a thread of its own, and what mf_client does it does there. Calls may
 * come from any number of threads at once. They are those of metafora/client.h, which says what
 * they do and answer; here each has a deadline:
 *
 *   timeout_ms  how long the call may take; 0: the options'; -1: for as long as the client tries.
 *               What is not answered by then is MF_EUNREACHABLE if nothing was asked of the broker
 *               yet, else MF_EUNKNOWN: it may be executed all the same.
 *   error       as everywhere: may be NULL, and is written only on failure.
 *
 * A call returns MF_OK when it succeeded as a whole. MF_EINVAL, besides bad input: it is made on a
 * thread that runs an mf_loop, in a callback or an evented handler, for it would hold that loop up;
 * or in a callback of the same object. Blocking handlers and their threads may call.
 *
 * A child of fork() must not use what its parent opened. */
#ifndef METAFORA_SYNC_H
#define METAFORA_SYNC_H

#include <metafora/client.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mf_sync mf_sync;

#define MF_SYNC_OPTIONS_VERSION 1

/* Zero or NULL in a field means its default. Strings are borrowed for the call that takes them. */
typedef struct mf_sync_options {
    int version;
    const char *broker; /* URL, as in mf_broker_open; NULL: the linked driver's default */
    mf_broker_options broker_options; /* its name_space is required */
    const mf_driver *const *drivers;  /* as in mf_consumer_options */
    int timeout_ms;                   /* 30,000; of calls that name none. -1: without limit */
    mf_log_fn log;                    /* from the thread of its own; default: lines on stderr */
    void *log_arg;
} mf_sync_options;

#define MF_SYNC_OPTIONS_INIT                            \
    {                                                   \
        MF_FIRST_FIELD(version) MF_SYNC_OPTIONS_VERSION \
    }

/* Returns at once; whether the broker can be reached, the first call finds out. MF_EINVAL names the
 * field and the rule; MF_ENOMEM, MF_ESYSTEM (no thread, no descriptor). */
MF_EXPORT int mf_sync_open(mf_sync **out, const mf_sync_options *options, mf_error *error);

/* Ends all calls under way as mf_sync_cancel does, waits until they have returned, and frees the
 * object. NULL is ignored. No further call may begin meanwhile. MF_EINVAL: as for calls, and
 * nothing is closed. */
MF_EXPORT int mf_sync_close(mf_sync *sync);

/* Ends all calls that are under way, as their deadlines would. Later ones are not touched. From any
 * thread, and from callbacks. */
MF_EXPORT void mf_sync_cancel(mf_sync *sync);

/* `results`: room for `count`, by the caller, or NULL; written also when the call fails: items of
 * which nothing is known have its code. Their ids are the caller's. */
MF_EXPORT int mf_sync_submit(mf_sync *sync, const mf_task_spec *tasks, size_t count,
                             mf_item_result *results, int timeout_ms, mf_error *error);
MF_EXPORT int mf_sync_remove(mf_sync *sync, const char *const *ids, size_t count,
                             mf_item_result *results, int timeout_ms, mf_error *error);
MF_EXPORT int mf_sync_erase(mf_sync *sync, const char *const *ids, size_t count,
                            mf_item_result *results, int timeout_ms, mf_error *error);
MF_EXPORT int mf_sync_revive(mf_sync *sync, const mf_task_spec *tasks, size_t count,
                             mf_item_result *results, int timeout_ms, mf_error *error);
MF_EXPORT int mf_sync_tell(mf_sync *sync, const char *const *ids, size_t count,
                           const mf_message *message, mf_item_result *results, int timeout_ms,
                           mf_error *error);

MF_EXPORT int mf_sync_command(mf_sync *sync, const char *node, const mf_command *command,
                              int timeout_ms, mf_error *error);

/* `fn` is called on the calling thread, before the call returns, with a NULL error: what fails is
 * returned, after some pages perhaps. It should be quick, since other threads' calls wait for it;
 * a deadline that passes meanwhile ends the call when it has returned. */
MF_EXPORT int mf_sync_tasks(mf_sync *sync, mf_tasks_fn fn, void *arg, int timeout_ms,
                            mf_error *error);
MF_EXPORT int mf_sync_lookup(mf_sync *sync, const char *const *ids, size_t count, mf_tasks_fn fn,
                             void *arg, int timeout_ms, mf_error *error);
MF_EXPORT int mf_sync_states(mf_sync *sync, unsigned codes, mf_states_fn fn, void *arg,
                             int timeout_ms, mf_error *error);
MF_EXPORT int mf_sync_lookup_states(mf_sync *sync, const char *const *ids, size_t count,
                                    mf_states_fn fn, void *arg, int timeout_ms, mf_error *error);
MF_EXPORT int mf_sync_nodes(mf_sync *sync, mf_nodes_fn fn, void *arg, int timeout_ms,
                            mf_error *error);
MF_EXPORT int mf_sync_explain(mf_sync *sync, const char *id, double threshold, mf_placement_fn fn,
                              void *arg, int timeout_ms, mf_error *error);

#ifdef __cplusplus
}
#endif
#endif
