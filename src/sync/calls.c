/* The calls of the synchronous client: each is one of the client's. */
#include <metafora/driver.h>

#include "sync/internal.h"

/* Items: what became of each goes into the caller's array. */

enum { UNANSWERED = 1 }; /* no error code */

static const char *id_of(const mf__question *q, size_t i)
{
    return q->ask_ids ? ((const char *const *)q->subjects)[i]
                      : ((const mf_task_spec *)q->subjects)[i].id;
}

/* Those of which the client tells nothing, for bad input or at the end of the time, have the call's
 * code. */
static int call_items(mf_sync *sync, const mf__question *q, int timeout_ms, mf_error *error)
{
    bool filled = q->results != NULL && q->subjects != NULL;

    for (size_t i = 0; filled && i < q->count; i++)
        q->results[i] = (mf_item_result){.id = id_of(q, i), .code = UNANSWERED};
    int code = mf__sync_call(sync, q, timeout_ms, error);
    for (size_t i = 0; filled && i < q->count; i++)
        if (q->results[i].code == UNANSWERED)
            q->results[i].code = code;
    return code;
}

static int call_specs(mf_sync *sync, mf__ask *ask, const mf_task_spec *tasks, size_t count,
                      mf_item_result *results, int timeout_ms, mf_error *error)
{
    mf__question q = {.ask = ask, .subjects = tasks, .count = count, .results = results};

    return call_items(sync, &q, timeout_ms, error);
}

static int call_ids(mf_sync *sync, mf__ask *ask, const char *const *ids, size_t count,
                    const mf_message *message, mf_item_result *results, int timeout_ms,
                    mf_error *error)
{
    mf__question q = {.ask = ask,
                      .subjects = ids,
                      .ask_ids = true,
                      .count = count,
                      .content = message,
                      .results = results};

    return call_items(sync, &q, timeout_ms, error);
}

static int ask_submit(mf_client *client, const mf__question *q, void *call, mf_error *error)
{
    return mf_client_submit(client, q->subjects, q->count, mf__sync_on_items, call, error);
}

int mf_sync_submit(mf_sync *sync, const mf_task_spec *tasks, size_t count, mf_item_result *results,
                   int timeout_ms, mf_error *error)
{
    return call_specs(sync, ask_submit, tasks, count, results, timeout_ms, error);
}

static int ask_revive(mf_client *client, const mf__question *q, void *call, mf_error *error)
{
    return mf_client_revive(client, q->subjects, q->count, mf__sync_on_items, call, error);
}

int mf_sync_revive(mf_sync *sync, const mf_task_spec *tasks, size_t count, mf_item_result *results,
                   int timeout_ms, mf_error *error)
{
    return call_specs(sync, ask_revive, tasks, count, results, timeout_ms, error);
}

static int ask_remove(mf_client *client, const mf__question *q, void *call, mf_error *error)
{
    return mf_client_remove(client, q->subjects, q->count, mf__sync_on_items, call, error);
}

int mf_sync_remove(mf_sync *sync, const char *const *ids, size_t count, mf_item_result *results,
                   int timeout_ms, mf_error *error)
{
    return call_ids(sync, ask_remove, ids, count, NULL, results, timeout_ms, error);
}

static int ask_erase(mf_client *client, const mf__question *q, void *call, mf_error *error)
{
    return mf_client_erase(client, q->subjects, q->count, mf__sync_on_items, call, error);
}

int mf_sync_erase(mf_sync *sync, const char *const *ids, size_t count, mf_item_result *results,
                  int timeout_ms, mf_error *error)
{
    return call_ids(sync, ask_erase, ids, count, NULL, results, timeout_ms, error);
}

static int ask_tell(mf_client *client, const mf__question *q, void *call, mf_error *error)
{
    return mf_client_tell(client, q->subjects, q->count, q->content, mf__sync_on_items, call,
                          error);
}

int mf_sync_tell(mf_sync *sync, const char *const *ids, size_t count, const mf_message *message,
                 mf_item_result *results, int timeout_ms, mf_error *error)
{
    return call_ids(sync, ask_tell, ids, count, message, results, timeout_ms, error);
}

/* A command has no result but the call's. */

static void on_result(const mf_error *error, void *arg)
{
    mf__sync_on_items(error, NULL, 0, arg);
}

static int ask_command(mf_client *client, const mf__question *q, void *call, mf_error *error)
{
    return mf_client_command(client, q->subjects, q->content, on_result, call, error);
}

int mf_sync_command(mf_sync *sync, const char *node, const mf_command *command, int timeout_ms,
                    mf_error *error)
{
    const mf__question q = {.ask = ask_command, .subjects = node, .content = command};

    return mf__sync_call(sync, &q, timeout_ms, error);
}

static int call_list(mf_sync *sync, const mf__question *q, int timeout_ms, mf_error *error)
{
    if (q->fn.tasks == NULL) /* or another of its members */
        return mf_error_set(error, MF_EINVAL, "fn: missing");
    return mf__sync_call(sync, q, timeout_ms, error);
}

/* Tasks, in pages. */

static void on_tasks(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    mf__sync_on_page(error, tasks, count, last, arg);
}

static void show_tasks(const mf__question *q, const void *records, size_t count, bool last)
{
    q->fn.tasks(NULL, records, count, last, q->arg);
}

static int ask_tasks(mf_client *client, const mf__question *q, void *call, mf_error *error)
{
    (void)q;
    return mf_client_tasks(client, on_tasks, call, error);
}

int mf_sync_tasks(mf_sync *sync, mf_tasks_fn fn, void *arg, int timeout_ms, mf_error *error)
{
    const mf__question q = {.ask = ask_tasks, .show = show_tasks, .fn.tasks = fn, .arg = arg};

    return call_list(sync, &q, timeout_ms, error);
}

static int ask_lookup(mf_client *client, const mf__question *q, void *call, mf_error *error)
{
    return mf_client_lookup(client, q->subjects, q->count, on_tasks, call, error);
}

int mf_sync_lookup(mf_sync *sync, const char *const *ids, size_t count, mf_tasks_fn fn, void *arg,
                   int timeout_ms, mf_error *error)
{
    const mf__question q = {.ask = ask_lookup,
                            .subjects = ids,
                            .count = count,
                            .show = show_tasks,
                            .fn.tasks = fn,
                            .arg = arg};

    return call_list(sync, &q, timeout_ms, error);
}

/* States, in pages. */

static void on_states(const mf_error *error, const mf_state_record *states, size_t count, bool last,
                      void *arg)
{
    mf__sync_on_page(error, states, count, last, arg);
}

static void show_states(const mf__question *q, const void *records, size_t count, bool last)
{
    q->fn.states(NULL, records, count, last, q->arg);
}

static int ask_states(mf_client *client, const mf__question *q, void *call, mf_error *error)
{
    return mf_client_states(client, q->codes, on_states, call, error);
}

int mf_sync_states(mf_sync *sync, unsigned codes, mf_states_fn fn, void *arg, int timeout_ms,
                   mf_error *error)
{
    const mf__question q = {
        .ask = ask_states, .codes = codes, .show = show_states, .fn.states = fn, .arg = arg};

    return call_list(sync, &q, timeout_ms, error);
}

static int ask_lookup_states(mf_client *client, const mf__question *q, void *call, mf_error *error)
{
    return mf_client_lookup_states(client, q->subjects, q->count, on_states, call, error);
}

int mf_sync_lookup_states(mf_sync *sync, const char *const *ids, size_t count, mf_states_fn fn,
                          void *arg, int timeout_ms, mf_error *error)
{
    const mf__question q = {.ask = ask_lookup_states,
                            .subjects = ids,
                            .count = count,
                            .show = show_states,
                            .fn.states = fn,
                            .arg = arg};

    return call_list(sync, &q, timeout_ms, error);
}

/* What comes all at once. */

static void on_nodes(const mf_error *error, const mf_node *nodes, size_t count, void *arg)
{
    mf__sync_on_page(error, nodes, count, true, arg);
}

static void show_nodes(const mf__question *q, const void *records, size_t count, bool last)
{
    (void)last;
    q->fn.nodes(NULL, records, count, q->arg);
}

static int ask_nodes(mf_client *client, const mf__question *q, void *call, mf_error *error)
{
    (void)q;
    return mf_client_nodes(client, on_nodes, call, error);
}

int mf_sync_nodes(mf_sync *sync, mf_nodes_fn fn, void *arg, int timeout_ms, mf_error *error)
{
    const mf__question q = {.ask = ask_nodes, .show = show_nodes, .fn.nodes = fn, .arg = arg};

    return call_list(sync, &q, timeout_ms, error);
}

static void on_placement(const mf_error *error, const mf_placement *placement, void *arg)
{
    mf__sync_on_page(error, placement, 1, true, arg);
}

static void show_placement(const mf__question *q, const void *records, size_t count, bool last)
{
    (void)count;
    (void)last;
    q->fn.placement(NULL, records, q->arg);
}

static int ask_explain(mf_client *client, const mf__question *q, void *call, mf_error *error)
{
    return mf_client_explain(client, q->subjects, q->threshold, on_placement, call, error);
}

int mf_sync_explain(mf_sync *sync, const char *id, double threshold, mf_placement_fn fn, void *arg,
                    int timeout_ms, mf_error *error)
{
    const mf__question q = {.ask = ask_explain,
                            .subjects = id,
                            .threshold = threshold,
                            .show = show_placement,
                            .fn.placement = fn,
                            .arg = arg};

    return call_list(sync, &q, timeout_ms, error);
}
