/* A driver's operations as calls that return when they are answered. */
#include "driver_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PATIENCE_MS = 10000, BATCH = 100, ID_BYTES = 64 };

/* Waiting. */

typedef struct patience {
    mf_timer timer;
    mf_loop *loop;
    bool over;
} patience;

static void on_patience(void *arg)
{
    patience *p = arg;

    p->over = true;
    mf_loop_stop(p->loop);
}

static void begin_patience(patience *p, mf_loop *loop, int64_t ms)
{
    *p = (patience){.loop = loop};
    mf_timer_init(&p->timer, on_patience, p);
    mf_timer_start(loop, &p->timer, mf_loop_now_us(loop) + ms * 1000);
}

static void await(driver_handle *h, const unsigned *flag, const size_t *size, size_t least)
{
    patience p;

    begin_patience(&p, h->loop, PATIENCE_MS);
    while (!p.over && (flag != NULL ? *flag : *size) < least)
        mf_loop_run(h->loop);
    mf_timer_stop(h->loop, &p.timer);
    assert_false(p.over);
}

void driver_await(driver_handle *h, const unsigned *value, unsigned least)
{
    await(h, value, NULL, least);
}

void driver_await_size(driver_handle *h, const size_t *value, size_t least)
{
    await(h, NULL, value, least);
}

void driver_run_ms(driver_handle *h, int64_t ms)
{
    patience p;

    begin_patience(&p, h->loop, ms);
    while (!p.over)
        mf_loop_run(h->loop);
}

typedef struct answer {
    driver_handle *handle;
    unsigned came;
} answer;

static void on_done(mf_request *request)
{
    answer *a = request->arg;

    a->came++;
    a->handle->error = request->error;
    mf_loop_stop(a->handle->loop);
}

#define CALL(h, slot, request_)                                 \
    do {                                                        \
        answer a_ = {.handle = (h)};                            \
        (request_)->request.done = on_done;                     \
        (request_)->request.arg = &a_;                          \
        (h)->broker->operations->slot((h)->broker, (request_)); \
        driver_await((h), &a_.came, 1);                         \
    } while (0)

/* The handle. */

static driver_handle *of(mf_watcher *watcher)
{
    return (driver_handle *)((char *)watcher - offsetof(driver_handle, watcher));
}

static void on_link(mf_watcher *watcher, bool up, const mf_error *why)
{
    driver_handle *h = of(watcher);

    h->up = up;
    if (up) {
        h->ups++;
    } else {
        h->downs++;
        h->why = *why;
    }
    mf_loop_stop(h->loop);
}

static void on_resync(mf_watcher *watcher)
{
    of(watcher)->resyncs++;
    mf_loop_stop(of(watcher)->loop);
}

static void on_claimable(mf_watcher *watcher, const char *const *ids, size_t count)
{
    of(watcher)->claimable += count;
    snprintf(of(watcher)->last_claimable, sizeof of(watcher)->last_claimable, "%s", ids[count - 1]);
    mf_loop_stop(of(watcher)->loop);
}

static void on_taken(mf_watcher *watcher, const char *const *ids, size_t count)
{
    (void)ids;
    of(watcher)->taken += count;
    mf_loop_stop(of(watcher)->loop);
}

static void on_removed(mf_watcher *watcher, const char *const *ids, size_t count)
{
    of(watcher)->removed += count;
    snprintf(of(watcher)->last_removed, sizeof of(watcher)->last_removed, "%s", ids[count - 1]);
    mf_loop_stop(of(watcher)->loop);
}

static driver_node *told_node(driver_handle *h, const char *name)
{
    size_t at = 0;

    while (at < h->node_count && strcmp(h->nodes[at].name, name) != 0)
        at++;
    assert_true(at < DRIVER_NODES_MOST);
    h->node_count += at == h->node_count;
    return &h->nodes[at];
}

static void on_node_changed(mf_watcher *watcher, const mf_node *node, bool gone)
{
    driver_handle *h = of(watcher);
    driver_node *known = told_node(h, node->name);

    snprintf(known->name, sizeof known->name, "%s", node->name);
    known->tasks = gone ? -1 : (int64_t)node->tasks;
    known->weight = node->weight;
    h->node_hints++;
    mf_loop_stop(h->loop);
}

static void on_command(mf_watcher *watcher)
{
    of(watcher)->commands++;
    mf_loop_stop(of(watcher)->loop);
}

int driver_open(driver_handle *h, const mf_driver *driver, mf_loop *loop, const char *url,
                const mf_broker_options *options)
{
    *h = (driver_handle){.loop = loop};
    return driver->open(&h->broker, url, options, loop, &h->error);
}

static void on_closed(void *arg)
{
    answer *a = arg;

    a->came++;
    mf_loop_stop(a->handle->loop);
}

void driver_close(driver_handle *h)
{
    answer a = {.handle = h};

    if (h->broker == NULL)
        return;
    driver_unwatch(h);
    h->broker->operations->close(h->broker, on_closed, &a);
    driver_await(h, &a.came, 1);
    h->broker = NULL;
}

void driver_watch(driver_handle *h, const mf_session *session)
{
    patience p;

    h->watcher = (mf_watcher){
        .node = session != NULL ? session->node : NULL,
        .token = session != NULL ? session->token : NULL,
        .link = on_link,
        .resync = on_resync,
        .claimable = on_claimable,
        .taken = on_taken,
        .removed = on_removed,
        .command = on_command,
        .node_changed = h->node_changed != NULL ? h->node_changed : on_node_changed,
    };
    h->watching = true;
    h->broker->operations->watch(h->broker, &h->watcher);
    begin_patience(&p, h->loop, PATIENCE_MS);
    while (!p.over && h->resyncs + h->downs == 0)
        mf_loop_run(h->loop);
    mf_timer_stop(h->loop, &p.timer);
    assert_false(p.over);
}

void driver_unwatch(driver_handle *h)
{
    if (h->watching)
        h->broker->operations->unwatch(h->broker, &h->watcher);
    h->watching = false;
}

mf_session driver_session(const char *node, char token, int64_t lease_ms)
{
    mf_session session = {.node = node, .epoch = 1, .lease_ms = lease_ms, .weight = 1};

    memset(session.token, token, sizeof session.token - 1);
    return session;
}

/* Sessions. */

int driver_join_with(driver_handle *h, mf_join_request *request)
{
    CALL(h, join, request);
    return h->error.code;
}

int driver_join(driver_handle *h, mf_session *session)
{
    mf_join_request request = {.session = session};

    return driver_join_with(h, &request);
}

int driver_leave(driver_handle *h, mf_session *session)
{
    mf_session_request request = {.session = session};

    CALL(h, leave, &request);
    return h->error.code;
}

int driver_renew(driver_handle *h, mf_session *session)
{
    mf_renew_request request = {.session = session};

    CALL(h, renew, &request);
    return h->error.code;
}

/* One task. */

int driver_submit_list(driver_handle *h, const char *token, mf_item *items, size_t count)
{
    mf_items_request request = {.token = token, .items = items, .count = count};

    CALL(h, submit, &request);
    return h->error.code;
}

int driver_submit(driver_handle *h, const char *token, const char *id, const char *properties)
{
    mf_item item = {.id = id, .properties = properties};
    int code = driver_submit_list(h, token, &item, 1);

    return code != MF_OK ? code : item.result;
}

int driver_remove(driver_handle *h, const char *token, const char *id)
{
    mf_item item = {.id = id};
    mf_items_request request = {.token = token, .items = &item, .count = 1};

    CALL(h, remove, &request);
    return h->error.code != MF_OK ? h->error.code : item.result;
}

int driver_claim_list(driver_handle *h, mf_session *session, mf_claim **claims, size_t count)
{
    mf_claims_request request = {.session = session, .claims = claims, .count = count};

    CALL(h, claim, &request);
    return h->error.code;
}

int driver_claim(driver_handle *h, mf_session *session, mf_claim *claim)
{
    int code = driver_claim_list(h, session, &claim, 1);

    return code != MF_OK ? code : claim->result;
}

int driver_release(driver_handle *h, mf_session *session, mf_claim *claim)
{
    mf_claims_request request = {.session = session, .claims = &claim, .count = 1};

    CALL(h, release, &request);
    return h->error.code != MF_OK ? h->error.code : claim->result;
}

int driver_done(driver_handle *h, mf_session *session, mf_claim *claim)
{
    mf_claims_request request = {.session = session, .claims = &claim, .count = 1};

    CALL(h, done, &request);
    return h->error.code != MF_OK ? h->error.code : claim->result;
}

int driver_renew_one(driver_handle *h, mf_session *session, mf_claim *claim)
{
    mf_lost_claim lost;
    mf_lease lease = {.claims = &claim, .count = 1};
    mf_renew_request request = {.session = session, .lease = &lease, .count = 1, .lost = &lost};

    CALL(h, renew, &request);
    if (h->error.code != MF_OK)
        return h->error.code;
    return request.lost_count == 0 ? MF_OK : lost.code;
}

size_t driver_renew_list(driver_handle *h, mf_session *session, mf_claim **claims, size_t count)
{
    mf_lost_claim *lost = calloc(count, sizeof *lost);
    mf_lease lease = {.claims = claims, .count = count, .group = claims[0]->group};
    mf_renew_request request = {.session = session, .lease = &lease, .count = count, .lost = lost};

    assert_non_null(lost);
    CALL(h, renew, &request);
    free(lost);
    assert_int_equal(h->error.code, MF_OK);
    return request.lost_count;
}

/* Many. */

static void fill_ids(char (*ids)[ID_BYTES], const char *prefix, size_t from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        snprintf(ids[i], ID_BYTES, "%s%zu", prefix, from + i);
}

void driver_submit_many(driver_handle *h, const char *prefix, size_t count)
{
    char ids[BATCH][ID_BYTES], token[ID_BYTES * 2];
    mf_item items[BATCH] = {0};

    size_t most = h->broker->max_batch < BATCH ? h->broker->max_batch : BATCH;

    for (size_t from = 0; from < count; from += most) {
        mf_items_request request = {.token = token, .items = items};
        request.count = count - from < most ? count - from : most;
        fill_ids(ids, prefix, from, request.count);
        for (size_t i = 0; i < request.count; i++)
            items[i] = (mf_item){.id = ids[i]};
        snprintf(token, sizeof token, "many-%s-%zu", prefix, from);
        CALL(h, submit, &request);
        assert_int_equal(h->error.code, MF_OK);
        for (size_t i = 0; i < request.count; i++)
            assert_int_equal(items[i].result, MF_OK);
    }
}

void driver_claim_many(driver_handle *h, mf_session *session, const char *prefix, size_t count)
{
    char ids[BATCH][ID_BYTES];
    mf_claim claims[BATCH], *list[BATCH];

    size_t most = h->broker->max_batch < BATCH ? h->broker->max_batch : BATCH;

    for (size_t from = 0; from < count; from += most) {
        mf_claims_request request = {.session = session, .claims = list};
        request.count = count - from < most ? count - from : most;
        fill_ids(ids, prefix, from, request.count);
        for (size_t i = 0; i < request.count; i++) {
            claims[i] = (mf_claim){.id = ids[i]};
            list[i] = &claims[i];
        }
        CALL(h, claim, &request);
        assert_int_equal(h->error.code, MF_OK);
        for (size_t i = 0; i < request.count; i++)
            assert_int_equal(claims[i].result, MF_OK);
    }
}

/* Pages. What they show is the driver's and gone when done() returns. */

typedef struct counting {
    answer answer;
    size_t count, damaged;
} counting;

static void on_page(mf_request *request)
{
    mf_page_request *page = (mf_page_request *)request;
    counting *c = request->arg;

    for (size_t i = 0; request->error.code == MF_OK && i < page->count; i++)
        c->damaged += page->records[i].code == MF_EDAMAGED;
    if (request->error.code == MF_OK)
        c->count += page->count;
    request->arg = &c->answer;
    on_done(request);
}

static size_t count_pages(driver_handle *h, void (*slot)(mf_broker *, mf_page_request *),
                          size_t *damaged)
{
    counting c = {.answer.handle = h};
    mf_page_request page = {.limit = 100, .may_lag = h->may_lag};

    do {
        page.request = (mf_request){.done = on_page, .arg = &c};
        c.answer.came = 0;
        slot(h->broker, &page);
        driver_await(h, &c.answer.came, 1);
        assert_int_equal(h->error.code, MF_OK);
    } while (page.cursor[0] != '\0');
    if (damaged != NULL)
        *damaged = c.damaged;
    return c.count;
}

size_t driver_count_claimable(driver_handle *h)
{
    return count_pages(h, h->broker->operations->claimable, NULL);
}

size_t driver_count_tasks(driver_handle *h, size_t *damaged)
{
    return count_pages(h, h->broker->operations->tasks, damaged);
}

typedef struct viewing {
    answer answer;
    const char *node;
    size_t count;
    int64_t tasks;
} viewing;

static void on_nodes(mf_request *request)
{
    const mf_nodes_request *nodes = (mf_nodes_request *)request;
    viewing *v = request->arg;

    v->count = request->error.code == MF_OK ? nodes->count : 0;
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(nodes->nodes[i].name, v->node) == 0)
            v->tasks = (int64_t)nodes->nodes[i].tasks;
    request->arg = &v->answer;
    on_done(request);
}

static viewing view_nodes(driver_handle *h, const char *node)
{
    viewing v = {.answer.handle = h, .node = node, .tasks = -1};
    mf_nodes_request request = {.request = {.done = on_nodes, .arg = &v}, .may_lag = h->may_lag};

    h->broker->operations->nodes(h->broker, &request);
    driver_await(h, &v.answer.came, 1);
    assert_int_equal(h->error.code, MF_OK);
    return v;
}

size_t driver_count_nodes(driver_handle *h)
{
    return view_nodes(h, "").count;
}

int64_t driver_node_tasks(driver_handle *h, const char *node)
{
    return view_nodes(h, node).tasks;
}

int64_t driver_told_tasks(const driver_handle *h, const char *node)
{
    for (size_t i = 0; i < h->node_count; i++)
        if (strcmp(h->nodes[i].name, node) == 0)
            return h->nodes[i].tasks;
    return -1;
}

void driver_await_told(driver_handle *h, const char *node, int64_t tasks)
{
    while (driver_told_tasks(h, node) != tasks)
        driver_await(h, &h->node_hints, h->node_hints + 1);
}

typedef struct looking {
    answer answer;
    int code;
    uint64_t *fence;
    char *owner;
    size_t size;
} looking;

static void on_looked_up(mf_request *request)
{
    const mf_task_record *record = ((mf_lookup_request *)request)->records;
    looking *l = request->arg;

    l->code = request->error.code != MF_OK ? request->error.code : record->code;
    if (request->error.code == MF_OK && l->fence != NULL)
        *l->fence = record->fence;
    if (request->error.code == MF_OK && l->owner != NULL)
        snprintf(l->owner, l->size, "%s", record->owner != NULL ? record->owner : "");
    request->arg = &l->answer;
    on_done(request);
}

int driver_lookup(driver_handle *h, const char *id, uint64_t *fence, char *owner, size_t size)
{
    looking l = {.answer.handle = h, .fence = fence, .owner = owner, .size = size};
    mf_lookup_request request = {
        .request = {.done = on_looked_up, .arg = &l}, .ids = &id, .id_count = 1};

    h->broker->operations->lookup(h->broker, &request);
    driver_await(h, &l.answer.came, 1);
    return l.code;
}

/* Commands. */

int driver_send(driver_handle *h, const char *node, const char *json)
{
    mf_send_request request = {.node = node, .json = json, .length = strlen(json)};

    CALL(h, send, &request);
    return h->error.code;
}

typedef struct receiving {
    answer answer;
    uint64_t *last;
    char *out;
    size_t size;
} receiving;

static void on_received(mf_request *request)
{
    const mf_receive_request *receive = (mf_receive_request *)request;
    receiving *r = request->arg;
    size_t length = 0;

    r->out[0] = '\0';
    for (size_t i = 0; request->error.code == MF_OK && i < receive->count; i++) {
        const mf_command_record *command = &receive->commands[i];
        length += (size_t)snprintf(r->out + length, r->size - length, "%.*s ", (int)command->length,
                                   command->json);
        *r->last = command->sequence;
    }
    request->arg = &r->answer;
    on_done(request);
}

int driver_receive(driver_handle *h, mf_session *session, uint64_t acknowledged, uint64_t *last,
                   char *out, size_t size)
{
    receiving r = {.answer.handle = h, .last = last, .out = out, .size = size};
    mf_receive_request request = {.request = {.done = on_received, .arg = &r},
                                  .session = session,
                                  .acknowledged = acknowledged,
                                  .limit = 64};

    h->broker->operations->receive(h->broker, &request);
    driver_await(h, &r.answer.came, 1);
    return h->error.code;
}

/* Without waiting. */

static void on_pending(mf_request *request)
{
    driver_pending *pending = request->arg;

    pending->answered++;
    mf_loop_stop(pending->loop);
}

void driver_begin(driver_handle *h, driver_pending *pending, driver_claims_slot slot,
                  mf_session *session, mf_claim *claim)
{
    pending->claim = claim;
    pending->loop = h->loop;
    pending->answered = 0;
    pending->request = (mf_claims_request){.request = {.done = on_pending, .arg = pending},
                                           .session = session,
                                           .claims = &pending->claim,
                                           .count = 1};
    slot(h->broker, &pending->request);
}
