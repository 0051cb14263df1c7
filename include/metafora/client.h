/* The client: submit, remove and list tasks, list nodes, send commands. */
#ifndef METAFORA_CLIENT_H
#define METAFORA_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <metafora/balancer.h>
#include <metafora/broker.h>
#include <metafora/command.h>
#include <metafora/error.h>
#include <metafora/export.h>
#include <metafora/loop.h>
#include <metafora/state.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mf_client mf_client;

/* A client on a broker handle, which is borrowed until mf_client_close. */
MF_EXPORT int mf_client_open(mf_client **out, mf_broker *broker, mf_error *error);

/* Frees the client; calls under way are called back with MF_ECLOSED first, from inside this call.
 * Not from inside a callback of the same client. */
MF_EXPORT void mf_client_close(mf_client *client);

/* Runs the broker's loop until every call made so far has been called back. For programs that have
 * no loop of their own. Returns the first error among those calls, or 0; the error object stays
 * borrowed until the next call. MF_EINVAL, at once: the loop runs already, since this is a callback
 * or a handler; the calls go on. */
MF_EXPORT int mf_client_wait(mf_client *client, const mf_error **error);

/* A task to submit. */
typedef struct mf_task_spec {
    const char *id;         /* 1-255 bytes of UTF-8, no control bytes, no '/' */
    const char *properties; /* JSON text up to 1 MiB, or NULL */
    /* Not to be claimed before this time, in microseconds since 1970-01-01 UTC; 0: at once.
     * MF_ENOTSUP on a broker that cannot. */
    int64_t not_before_us;
} mf_task_spec;

/* What became of item `index` of a call: MF_OK or the reason. */
typedef struct mf_item_result {
    const char *id;
    int code;
} mf_item_result;

/* Called once a call, on the loop thread. `error` is NULL when the call as a whole succeeded; then
 * each item has its own code. When it failed, items that were not reached have its code. Borrowed.
 */
typedef void (*mf_items_fn)(const mf_error *error, const mf_item_result *items, size_t count,
                            void *arg);

/* Submits tasks; what they point to is copied. Items: MF_OK (durable in the broker as configured,
 * will run), MF_EEXISTS. Bad input refuses the whole call at once, with MF_EINVAL and a text that
 * names the item, the field and the rule; `fn` is then not called. A lost reply is resolved by
 * asking again with the same token: a task is submitted once. `fn` may be NULL. */
MF_EXPORT int mf_client_submit(mf_client *client, const mf_task_spec *tasks, size_t count,
                               mf_items_fn fn, void *arg, mf_error *error);

/* Removes tasks, also running ones, whose handlers are then stopped (MF_STOP_DELETED).
 * Items: MF_OK, MF_EGONE. */
MF_EXPORT int mf_client_remove(mf_client *client, const char *const *ids, size_t count,
                               mf_items_fn fn, void *arg, mf_error *error);

/* One task as the broker has it; strings are borrowed during the callback. */
typedef struct mf_task_record {
    const char *id;
    const char *properties; /* NULL: none */
    const char *owner;      /* node name; NULL: not claimed */
    uint64_t fence;         /* of the owner; 0: not claimed */
    int code;               /* MF_OK, or MF_EDAMAGED: the record cannot be used */
    unsigned crashes;       /* owners in a row that died while they had it */
    bool set_aside;         /* there were too many of them; mf_client_revive makes it run again */
} mf_task_record;

/* Lists all tasks in pages; `fn` is called for each page, and a last time with `last` true, or with
 * an error. Tasks that are submitted or removed meanwhile may or may not be seen; none is seen
 * twice but where the broker's own cursor repeats it (Redis, while its table is resized). */
typedef void (*mf_tasks_fn)(const mf_error *error, const mf_task_record *tasks, size_t count,
                            bool last, void *arg);
MF_EXPORT int mf_client_tasks(mf_client *client, mf_tasks_fn fn, void *arg, mf_error *error);

/* Looks up tasks by id: as mf_client_tasks, with code MF_EGONE for those that are not there. */
MF_EXPORT int mf_client_lookup(mf_client *client, const char *const *ids, size_t count,
                               mf_tasks_fn fn, void *arg, mf_error *error);

/* Lists the live nodes. */
typedef void (*mf_nodes_fn)(const mf_error *error, const mf_node *nodes, size_t count, void *arg);
MF_EXPORT int mf_client_nodes(mf_client *client, mf_nodes_fn fn, void *arg, mf_error *error);

/* Why a task is where it is, and what a balance would move. Strings are borrowed during the
 * callback. Append only. */
typedef struct mf_placement {
    const char *id;
    int code;          /* MF_OK, MF_EGONE: there is no such task, MF_EDAMAGED */
    const char *owner; /* NULL: it has none */
    uint64_t fence;    /* of the owner */
    unsigned crashes;
    bool set_aside;
    const char *home; /* by fair, the node that claims it at once when it has room; NULL: none */
    /* Of the owner, as a node: tasks that it holds, its share by weight of all that are held, and
     * how many a balance by fair would take from it now. 0 when it is not among the live nodes. */
    uint64_t held;
    double share, excess;
    char text[800]; /* all this in a sentence, without a stop */
} mf_placement;

/* Looks a task and the nodes up and explains, by the rules of mf_balancer_fair with that
 * `threshold` (0: its default, 1.2). What only the nodes know, such as a task that the balancer of
 * one of them holds back, mf_consumer_explain tells there. */
typedef void (*mf_placement_fn)(const mf_error *error, const mf_placement *placement, void *arg);
MF_EXPORT int mf_client_explain(mf_client *client, const char *id, double threshold,
                                mf_placement_fn fn, void *arg, mf_error *error);

/* Sends a command to a node: stored, then hinted. Result: MF_OK when it is stored; commands that a
 * dead node does not read expire after ten minutes. MF_EINVAL as for submit. */
typedef void (*mf_result_fn)(const mf_error *error, void *arg);
MF_EXPORT int mf_client_command(mf_client *client, const char *node, const mf_command *command,
                                mf_result_fn fn, void *arg, mf_error *error);

/* Tasks with stateful handlers. On a broker that keeps no states all of these are MF_ENOTSUP. */

/* Sends a message to tasks. A task that has no owner gets it when it has one; a message that was
 * not read is replaced by a later one. Items: MF_OK (stored), MF_EGONE. MF_EINVAL as for submit. */
MF_EXPORT int mf_client_tell(mf_client *client, const char *const *ids, size_t count,
                             const mf_message *message, mf_items_fn fn, void *arg, mf_error *error);

/* The state of one task; all is borrowed during the callback. */
typedef struct mf_state_record {
    const char *id;
    const mf_state *state; /* NULL: there is none, or it is damaged */
    const char *json;      /* as the broker has it; NULL: there is none */
    int code;              /* MF_OK, MF_EGONE: no state is known of it, MF_EDAMAGED */
} mf_state_record;

/* Called in pages as mf_tasks_fn is. */
typedef void (*mf_states_fn)(const mf_error *error, const mf_state_record *states, size_t count,
                             bool last, void *arg);

/* Lists the states of all tasks, those that are gone included, or only those whose bit is set in
 * `codes`: 1u << MF_STATE_FAILED. Damaged ones are listed when codes is 0, for all. */
MF_EXPORT int mf_client_states(mf_client *client, unsigned codes, mf_states_fn fn, void *arg,
                               mf_error *error);

/* Looks states up by id. */
MF_EXPORT int mf_client_lookup_states(mf_client *client, const char *const *ids, size_t count,
                                      mf_states_fn fn, void *arg, mf_error *error);

/* Makes tasks run again that have failed, were killed or have completed, or that were set aside:
 * forgets their state and crashes, and submits those that are gone, with these properties. Items:
 * MF_OK; MF_ETAKEN: it has an owner, and nothing is changed. */
MF_EXPORT int mf_client_revive(mf_client *client, const mf_task_spec *tasks, size_t count,
                               mf_items_fn fn, void *arg, mf_error *error);

/* Removes tasks as mf_client_remove does, and their states with them. Items: MF_OK, MF_EGONE. */
MF_EXPORT int mf_client_erase(mf_client *client, const char *const *ids, size_t count,
                              mf_items_fn fn, void *arg, mf_error *error);

#ifdef __cplusplus
}
#endif
#endif
