/* Lists: tasks page by page, tasks by id, nodes. */
#include "client/internal.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_TASKS = 1000 };

/* All tasks. */

typedef struct pages_call {
    mf_call call;
    mf_work work;
    mf_tasks_fn fn;
    void *arg;
    char cursor[MF_CURSOR_SIZE]; /* of the page that is asked for, again if need be */
} pages_call;

static void send_page(mf_broker *broker, mf_work *work)
{
    const pages_call *me = (const pages_call *)work->call;
    mf_page_request *request = &work->request.page;

    request->limit = PAGE_TASKS;
    memcpy(request->cursor, me->cursor, sizeof request->cursor);
    broker->operations->tasks(broker, request);
}

static bool page_answered(mf_work *work)
{
    pages_call *me = (pages_call *)work->call;
    const mf_page_request *request = &work->request.page;
    bool last = request->cursor[0] == '\0';

    memcpy(me->cursor, request->cursor, sizeof me->cursor);
    if (me->fn != NULL)
        me->fn(NULL, request->records, request->count, last, me->arg);
    return !last;
}

static void finish_pages(mf_call *call, const mf_error *error)
{
    const pages_call *me = (const pages_call *)call;
    if (error != NULL && me->fn != NULL)
        me->fn(error, NULL, 0, true, me->arg);
}

static const mf_call_kind pages_kind = {
    .send = send_page,
    .answered = page_answered,
    .finish = finish_pages,
};

int mf_client_tasks(mf_client *client, mf_tasks_fn fn, void *arg, mf_error *error)
{
    pages_call *me = calloc(1, sizeof *me);
    if (me == NULL)
        return mf__client_no_memory(error);
    me->call.works = &me->work;
    me->call.work_count = 1;
    me->fn = fn;
    me->arg = arg;
    mf__client_start(client, &me->call, &pages_kind);
    return MF_OK;
}

/* Tasks by id, one batch after another. */

typedef struct lookup_call {
    mf_call call;
    mf_work work;
    mf_tasks_fn fn;
    void *arg;
    const char **ids;
    size_t count, position;
} lookup_call;

static void send_lookup(mf_broker *broker, mf_work *work)
{
    const lookup_call *me = (const lookup_call *)work->call;
    mf_lookup_request *request = &work->request.lookup;
    size_t left = me->count - me->position;

    request->ids = me->ids + me->position;
    request->id_count = left < broker->max_batch ? left : broker->max_batch;
    broker->operations->lookup(broker, request);
}

static bool lookup_answered(mf_work *work)
{
    lookup_call *me = (lookup_call *)work->call;
    const mf_lookup_request *request = &work->request.lookup;

    me->position += request->id_count;
    bool last = me->position == me->count;
    if (me->fn != NULL)
        me->fn(NULL, request->records, request->id_count, last, me->arg);
    return !last;
}

static void finish_lookup(mf_call *call, const mf_error *error)
{
    const lookup_call *me = (const lookup_call *)call;
    if ((error != NULL || me->count == 0) && me->fn != NULL)
        me->fn(error, NULL, 0, true, me->arg);
}

static const mf_call_kind lookup_kind = {
    .send = send_lookup,
    .answered = lookup_answered,
    .finish = finish_lookup,
};

int mf__client_check_ids(const char *const *ids, size_t count, size_t *bytes, mf_error *error)
{
    mf_error fault;

    *bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (mf_check_task_id("id", ids[i], &fault) != MF_OK)
            return mf_error_set(error, MF_EINVAL, "task %zu: %.200s", i, fault.text);
        *bytes += strlen(ids[i]) + 1;
    }
    return MF_OK;
}

const char **mf__client_copy_ids(void *memory, const char *const *ids, size_t count)
{
    const char **copies = memory;
    char *to = (char *)(copies + count);

    for (size_t i = 0; i < count; i++) {
        copies[i] = to;
        to = stpcpy(to, ids[i]) + 1;
    }
    return copies;
}

int mf_client_lookup(mf_client *client, const char *const *ids, size_t count, mf_tasks_fn fn,
                     void *arg, mf_error *error)
{
    size_t bytes;

    if (mf__client_check_ids(ids, count, &bytes, error) != MF_OK)
        return MF_EINVAL;
    lookup_call *me = calloc(1, sizeof *me + count * sizeof *ids + bytes);
    if (me == NULL)
        return mf__client_no_memory(error);
    me->call.works = &me->work;
    me->call.work_count = count != 0;
    me->fn = fn;
    me->arg = arg;
    me->ids = mf__client_copy_ids(me + 1, ids, count);
    me->count = count;
    mf__client_start(client, &me->call, &lookup_kind);
    return MF_OK;
}

/* Nodes. */

typedef struct nodes_call {
    mf_call call;
    mf_work work;
    mf_nodes_fn fn;
    void *arg;
} nodes_call;

static void send_nodes(mf_broker *broker, mf_work *work)
{
    broker->operations->nodes(broker, &work->request.nodes);
}

static bool nodes_answered(mf_work *work)
{
    const nodes_call *me = (const nodes_call *)work->call;
    if (me->fn != NULL)
        me->fn(NULL, work->request.nodes.nodes, work->request.nodes.count, me->arg);
    return false;
}

static void finish_nodes(mf_call *call, const mf_error *error)
{
    const nodes_call *me = (const nodes_call *)call;
    if (error != NULL && me->fn != NULL)
        me->fn(error, NULL, 0, me->arg);
}

static const mf_call_kind nodes_kind = {
    .send = send_nodes,
    .answered = nodes_answered,
    .finish = finish_nodes,
};

int mf_client_nodes(mf_client *client, mf_nodes_fn fn, void *arg, mf_error *error)
{
    nodes_call *me = calloc(1, sizeof *me);
    if (me == NULL)
        return mf__client_no_memory(error);
    me->call.works = &me->work;
    me->call.work_count = 1;
    me->fn = fn;
    me->arg = arg;
    mf__client_start(client, &me->call, &nodes_kind);
    return MF_OK;
}
