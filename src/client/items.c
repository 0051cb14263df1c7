/* Submit and remove: many items, in batches. */
#include "client/internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A submit whose reply was lost is known to the broker by its token for this long. */
static const int64_t token_life_us = INT64_C(60000000);

/* One block: this, works, items, results, strings. */
typedef struct items_call {
    mf_call call;
    mf_items_fn fn;
    void *arg;
    mf_item *items;
    mf_item_result *results;
    int64_t *not_before_us;
    size_t count;
} items_call;

/* Adds up what the items need, in the order in which they are later put into batches. */
typedef struct sizes {
    size_t max_batch;
    size_t batches, strings;
    size_t batch_items, batch_strings; /* of the batch being filled */
} sizes;

/* True when the item begins a new batch. */
static bool add_item(sizes *s, size_t bytes)
{
    bool begins = s->batches == 0 || s->batch_items == s->max_batch ||
                  s->batch_strings + bytes > MF_CLIENT_BATCH_BYTES;
    if (begins) {
        s->batches++;
        s->batch_items = s->batch_strings = 0;
    }
    s->batch_items++;
    s->batch_strings += bytes;
    s->strings += bytes;
    return begins;
}

/* What the user gave: either tasks or ids, these with one text for all of them or none. */
typedef struct input {
    const mf_task_spec *tasks;
    const char *const *ids;
    const char *text;
    size_t count;
} input;

static mf_task_spec input_at(const input *in, size_t index)
{
    return in->tasks != NULL ? in->tasks[index]
                             : (mf_task_spec){.id = in->ids[index], .properties = in->text};
}

static size_t bytes_of(mf_task_spec task)
{
    return strlen(task.id) + 1 + (task.properties != NULL ? strlen(task.properties) + 1 : 0);
}

static char *put(const char **out, char *to, const char *text)
{
    size_t size = strlen(text) + 1;
    *out = memcpy(to, text, size);
    return to + size;
}

static items_call *allocate(const sizes *s, size_t count)
{
    size_t works = s->batches * sizeof(mf_work);
    size_t items = count * sizeof(mf_item);
    size_t results = count * (sizeof(mf_item_result) + sizeof(int64_t));
    items_call *me = malloc(sizeof *me + works + items + results + s->strings);

    if (me == NULL)
        return NULL;
    memset(me, 0, sizeof *me + works);
    me->call.works = (mf_work *)(me + 1);
    me->call.work_count = s->batches;
    me->items = (mf_item *)(me->call.works + s->batches);
    me->results = (mf_item_result *)(me->items + count);
    me->not_before_us = (int64_t *)(me->results + count);
    me->count = count;
    return me;
}

static void fill(items_call *me, const input *in, size_t max_batch)
{
    sizes s = {.max_batch = max_batch};
    char *to = (char *)(me->not_before_us + me->count);
    size_t batch = 0;

    for (size_t i = 0; i < me->count; i++) {
        mf_task_spec task = input_at(in, i);
        mf_item *item = &me->items[i];
        if (add_item(&s, bytes_of(task)))
            me->call.works[batch++].request.items.items = item;
        me->call.works[batch - 1].request.items.count = s.batch_items;
        *item = (mf_item){0};
        to = put(&item->id, to, task.id);
        if (task.properties != NULL)
            to = put(&item->properties, to, task.properties);
        me->results[i] = (mf_item_result){.id = item->id};
        me->not_before_us[i] = task.not_before_us;
    }
}

static mf_item_result *results_of(const mf_work *work)
{
    const items_call *me = (const items_call *)work->call;
    return me->results + (work->request.items.items - me->items);
}

static void given_up(mf_work *work, int code)
{
    mf_item_result *results = results_of(work);
    for (size_t i = 0; i < work->request.items.count; i++)
        results[i].code = code;
}

static void finish(mf_call *call, const mf_error *error)
{
    const items_call *me = (const items_call *)call;
    if (me->fn != NULL)
        me->fn(error, me->results, me->count, me->arg);
}

/* Delays count from when the request is sent, at each try anew. */
static void set_delays(mf_broker *broker, mf_work *work)
{
    const items_call *me = (const items_call *)work->call;
    int64_t now_us = mf_loop_wall_us(broker->loop);

    for (size_t i = 0; i < work->request.items.count; i++) {
        mf_item *item = &work->request.items.items[i];
        int64_t at_us = me->not_before_us[item - me->items];
        item->delay_us = at_us > now_us ? at_us - now_us : 0;
    }
}

static void send_submit(mf_broker *broker, mf_work *work)
{
    work->request.items.token = work->token;
    set_delays(broker, work);
    broker->operations->submit(broker, &work->request.items);
}

/* After a pause between a repeat and its answer, EEXISTS may mean our own first try. */
static bool submit_answered(mf_work *work)
{
    mf_loop *loop = work->call->client->broker->loop;
    const mf_item *items = work->request.items.items;
    mf_item_result *results = results_of(work);
    bool forgotten = work->unknown && mf_loop_now_us(loop) - work->first_sent_us > token_life_us;

    for (size_t i = 0; i < work->request.items.count; i++) {
        int code = items[i].result;
        results[i].code = code == MF_EEXISTS && forgotten ? MF_EUNKNOWN : code;
    }
    return false;
}

static const mf_call_kind submit_kind = {
    .send = send_submit,
    .answered = submit_answered,
    .given_up = given_up,
    .finish = finish,
    .has_token = true,
};

static void send_remove(mf_broker *broker, mf_work *work)
{
    work->request.items.token = work->token;
    broker->operations->remove(broker, &work->request.items);
}

/* Where a first try may have removed the task, that it is gone is what was asked for. */
static bool remove_answered(mf_work *work)
{
    const mf_item *items = work->request.items.items;
    mf_item_result *results = results_of(work);

    for (size_t i = 0; i < work->request.items.count; i++) {
        int code = items[i].result;
        results[i].code = code == MF_EGONE && work->unknown ? MF_OK : code;
    }
    return false;
}

static const mf_call_kind remove_kind = {
    .send = send_remove,
    .answered = remove_answered,
    .given_up = given_up,
    .finish = finish,
};

/* Messages. */

static void send_tell(mf_broker *broker, mf_work *work)
{
    work->request.items.token = work->token;
    broker->operations->tell(broker, &work->request.items);
}

static bool tell_answered(mf_work *work)
{
    mf_item_result *results = results_of(work);

    for (size_t i = 0; i < work->request.items.count; i++)
        results[i].code = work->request.items.items[i].result;
    return false;
}

static const mf_call_kind tell_kind = {
    .send = send_tell,
    .answered = tell_answered,
    .given_up = given_up,
    .finish = finish,
    .has_token = true,
};

/* Revive: forget, then submit those that could be forgotten: one with an owner may end meanwhile,
 * and would run again although it was reported as taken. */

/* Of a work whose items have become fewer, the number that it had. */
static size_t result_count(const mf_work *work)
{
    const items_call *me = (const items_call *)work->call;
    const mf_work *next = work + 1;
    bool is_last = next == work->call->works + work->call->work_count;
    const mf_item *end = is_last ? me->items + me->count : next->request.items.items;

    return (size_t)(end - work->request.items.items);
}

/* Keeps the items, and their delays, whose results are good. */
static void keep_good(mf_work *work)
{
    items_call *me = (items_call *)work->call;
    mf_items_request *request = &work->request.items;
    const mf_item_result *results = results_of(work);
    int64_t *delays = me->not_before_us + (request->items - me->items);
    size_t kept = 0;

    for (size_t i = 0; i < request->count; i++) {
        if (results[i].code != MF_OK)
            continue;
        request->items[kept] = request->items[i];
        delays[kept++] = delays[i];
    }
    request->count = kept;
}

static void send_revive(mf_broker *broker, mf_work *work)
{
    work->request.items.token = work->token;
    set_delays(broker, work);
    if (work->second)
        broker->operations->submit(broker, &work->request.items);
    else
        broker->operations->forget(broker, &work->request.items);
}

static bool forget_answered(mf_work *work)
{
    mf_item_result *results = results_of(work);

    for (size_t i = 0; i < work->request.items.count; i++) {
        int code = work->request.items.items[i].result;
        results[i].code = code == MF_EGONE ? MF_OK : code;
    }
    keep_good(work);
    work->second = true;
    return work->request.items.count != 0;
}

static bool revive_answered(mf_work *work)
{
    mf_item_result *results = results_of(work);
    const mf_item *item = work->request.items.items;
    size_t count = result_count(work);

    if (!work->second)
        return forget_answered(work);
    for (size_t i = 0; i < count; i++) {
        if (results[i].code != MF_OK)
            continue;
        int code = (item++)->result;
        if (code != MF_EEXISTS)
            results[i].code = code;
    }
    return false;
}

static void revive_given_up(mf_work *work, int code)
{
    mf_item_result *results = results_of(work);
    size_t count = result_count(work);

    for (size_t i = 0; i < count; i++)
        if (!work->second || results[i].code == MF_OK)
            results[i].code = code;
}

static const mf_call_kind revive_kind = {
    .send = send_revive,
    .answered = revive_answered,
    .given_up = revive_given_up,
    .finish = finish,
    .has_token = true,
};

/* Erase: remove, then forget. */

static void send_erase(mf_broker *broker, mf_work *work)
{
    work->request.items.token = work->token;
    if (work->second)
        broker->operations->forget(broker, &work->request.items);
    else
        broker->operations->remove(broker, &work->request.items);
}

/* That there was a task, or a state, is enough. */
static bool erase_answered(mf_work *work)
{
    mf_item_result *results = results_of(work);
    bool more = !work->second;

    for (size_t i = 0; i < work->request.items.count; i++) {
        int code = work->request.items.items[i].result;
        if (code == MF_EGONE && work->unknown)
            code = MF_OK;
        if (more || results[i].code == MF_EGONE || code != MF_EGONE)
            results[i].code = code;
    }
    work->second = true;
    return more;
}

static const mf_call_kind erase_kind = {
    .send = send_erase,
    .answered = erase_answered,
    .given_up = given_up,
    .finish = finish,
};

static int check_item(mf_task_spec task, size_t index, mf_error *error)
{
    mf_error fault;

    if (mf_check_task_id("id", task.id, &fault) != MF_OK ||
        mf_check_properties("properties", task.properties, &fault) != MF_OK)
        return mf_error_set(error, MF_EINVAL, "task %zu: %.200s", index, fault.text);
    return MF_OK;
}

static int call_items(mf_client *client, const input *in, const mf_call_kind *kind, mf_items_fn fn,
                      void *arg, mf_error *error)
{
    sizes s = {.max_batch = client->broker->max_batch};

    for (size_t i = 0; i < in->count; i++) {
        mf_task_spec task = input_at(in, i);
        if (check_item(task, i, error) != MF_OK)
            return MF_EINVAL;
        if (task.not_before_us != 0 && !client->broker->can_delay)
            return mf_error_set(error, MF_ENOTSUP, "task %zu: not_before_us: not with %s", i,
                                client->broker->driver->name);
        add_item(&s, bytes_of(task));
    }
    items_call *me = allocate(&s, in->count);
    if (me == NULL)
        return mf__client_no_memory(error);
    me->fn = fn;
    me->arg = arg;
    fill(me, in, s.max_batch);
    mf__client_start(client, &me->call, kind);
    return MF_OK;
}

int mf_client_submit(mf_client *client, const mf_task_spec *tasks, size_t count, mf_items_fn fn,
                     void *arg, mf_error *error)
{
    const input in = {.tasks = tasks, .count = count};
    return call_items(client, &in, &submit_kind, fn, arg, error);
}

int mf_client_remove(mf_client *client, const char *const *ids, size_t count, mf_items_fn fn,
                     void *arg, mf_error *error)
{
    const input in = {.ids = ids, .count = count};
    return call_items(client, &in, &remove_kind, fn, arg, error);
}

int mf__client_needs_states(const mf_client *client, mf_error *error)
{
    if (client->broker->operations->load != NULL)
        return MF_OK;
    return mf_error_set(error, MF_ENOTSUP, "the %s driver keeps no states of tasks",
                        client->broker->driver->name);
}

int mf_client_tell(mf_client *client, const char *const *ids, size_t count,
                   const mf_message *message, mf_items_fn fn, void *arg, mf_error *error)
{
    char *json;
    int code = mf__client_needs_states(client, error);

    if (code == MF_OK)
        code = mf_message_format(&json, message, error);
    if (code != MF_OK)
        return code;
    const input in = {.ids = ids, .text = json, .count = count};
    code = call_items(client, &in, &tell_kind, fn, arg, error);
    free(json);
    return code;
}

int mf_client_revive(mf_client *client, const mf_task_spec *tasks, size_t count, mf_items_fn fn,
                     void *arg, mf_error *error)
{
    const input in = {.tasks = tasks, .count = count};
    int code = mf__client_needs_states(client, error);

    return code == MF_OK ? call_items(client, &in, &revive_kind, fn, arg, error) : code;
}

int mf_client_erase(mf_client *client, const char *const *ids, size_t count, mf_items_fn fn,
                    void *arg, mf_error *error)
{
    const input in = {.ids = ids, .count = count};
    int code = mf__client_needs_states(client, error);

    return code == MF_OK ? call_items(client, &in, &erase_kind, fn, arg, error) : code;
}
