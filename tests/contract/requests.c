/* Requests of the contract suite, each made through the driver's operations. */
#include "contract.h"

static call *new_call(peer *p, void (*finished)(mf_request *request))
{
    call *one = keep(p->c, sizeof *one);
    one->c = p->c;
    one->next = p->c->calls;
    p->c->calls = one;
    one->request.head.done = finished;
    one->request.head.arg = one;
    return one;
}

static void finish(call *one)
{
    one->finished = true;
    one->answers++;
    poke(one->c);
}

static void on_done(mf_request *request)
{
    finish(request->arg);
}

static mf_task_record *copy_records(contract *c, const mf_task_record *from, size_t count)
{
    mf_task_record *records = keep(c, (count + 1) * sizeof *records);
    for (size_t i = 0; i < count; i++) {
        records[i] = from[i];
        records[i].id = keep_text(c, "%s", from[i].id);
        if (from[i].properties != NULL)
            records[i].properties = keep_text(c, "%s", from[i].properties);
        if (from[i].owner != NULL)
            records[i].owner = keep_text(c, "%s", from[i].owner);
    }
    return records;
}

/* A page's records may carry no more than the id. */
static void on_claimable_page(mf_request *request)
{
    call *one = request->arg;
    mf_page_request *page = &one->request.page;
    size_t count = request->error.code == MF_OK ? page->count : 0;
    mf_task_record *records = keep(one->c, (count + 1) * sizeof *records);
    for (size_t i = 0; i < count; i++)
        records[i].id = keep_text(one->c, "%s", page->records[i].id);
    page->records = records;
    finish(one);
}

static void on_page(mf_request *request)
{
    call *one = request->arg;
    mf_page_request *page = &one->request.page;
    if (request->error.code == MF_OK)
        page->records = copy_records(one->c, page->records, page->count);
    finish(one);
}

static void on_lookup(mf_request *request)
{
    call *one = request->arg;
    mf_lookup_request *lookup_request = &one->request.lookup;
    if (request->error.code == MF_OK)
        lookup_request->records =
            copy_records(one->c, lookup_request->records, lookup_request->id_count);
    finish(one);
}

static void on_nodes(mf_request *request)
{
    call *one = request->arg;
    mf_nodes_request *nodes = &one->request.nodes;
    size_t count = request->error.code == MF_OK ? nodes->count : 0;
    mf_node *copy = keep(one->c, (count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i] = nodes->nodes[i];
        copy[i].name = keep_text(one->c, "%s", nodes->nodes[i].name);
    }
    nodes->nodes = copy;
    finish(one);
}

static void on_receive(mf_request *request)
{
    call *one = request->arg;
    mf_receive_request *receive = &one->request.receive;
    size_t count = request->error.code == MF_OK ? receive->count : 0;
    mf_command_record *copy = keep(one->c, (count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i] = receive->commands[i];
        copy[i].json = keep_text(one->c, "%.*s", (int)copy[i].length, copy[i].json);
    }
    receive->commands = copy;
    finish(one);
}

static const char *keep_if(contract *c, const char *text)
{
    return text != NULL ? keep_text(c, "%s", text) : NULL;
}

static void on_holds(mf_request *request)
{
    call *one = request->arg;
    mf_holds_request *holds = &one->request.holds;
    for (size_t i = 0; request->error.code == MF_OK && i < holds->count; i++) {
        mf_hold *hold = &holds->holds[i];
        if (hold->result != MF_OK)
            continue;
        hold->properties = keep_if(one->c, hold->properties);
        hold->state = keep_if(one->c, hold->state);
        hold->message = keep_if(one->c, hold->message);
    }
    finish(one);
}

static void on_holds_page(mf_request *request)
{
    call *one = request->arg;
    mf_holds_page_request *page = &one->request.holds_page;
    size_t count = request->error.code == MF_OK ? page->count : 0;
    mf_hold *copy = keep(one->c, (count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i] = page->holds[i];
        copy[i].id = keep_text(one->c, "%s", copy[i].id);
        copy[i].migration = keep_text(one->c, "%s", copy[i].migration);
    }
    page->holds = copy;
    finish(one);
}

static bool is_finished(void *arg)
{
    return ((call *)arg)->finished;
}

int call_wait(call *one)
{
    if (!wait_until(one->c, is_finished, one, REPLY_BOUND_MS))
        fail_msg("no answer within %d ms", REPLY_BOUND_MS);
    return one->request.head.error.code;
}

/* Starting. */

call *start_join(peer *p, bool takeover)
{
    call *one = new_call(p, on_done);
    one->request.join.session = &p->session;
    one->request.join.takeover = takeover;
    p->broker->operations->join(p->broker, &one->request.join);
    return one;
}

call *start_leave(peer *p)
{
    call *one = new_call(p, on_done);
    one->request.session.session = &p->session;
    p->broker->operations->leave(p->broker, &one->request.session);
    return one;
}

static mf_claim **pointers_to(contract *c, mf_claim *claims, size_t count)
{
    mf_claim **pointers = keep(c, (count + 1) * sizeof *pointers);
    for (size_t i = 0; i < count; i++)
        pointers[i] = &claims[i];
    return pointers;
}

call *start_renew(peer *p, mf_claim *claims, size_t count)
{
    call *one = new_call(p, on_done);
    mf_renew_request *request = &one->request.renew;
    request->session = &p->session;
    request->count = count;
    request->lost = keep(p->c, (count + 1) * sizeof *request->lost);
    if (count != 0) {
        request->lease = keep(p->c, sizeof *request->lease);
        request->lease->claims = pointers_to(p->c, claims, count);
        request->lease->count = count;
    }
    p->broker->operations->renew(p->broker, request);
    return one;
}

static call *claims_call(peer *p, mf_claim *claims, size_t count,
                         void (*slot)(mf_broker *broker, mf_claims_request *request),
                         void (*finished)(mf_request *request))
{
    call *one = new_call(p, finished);
    one->request.claims.session = &p->session;
    one->request.claims.claims = pointers_to(p->c, claims, count);
    one->request.claims.count = count;
    slot(p->broker, &one->request.claims);
    return one;
}

/* What a claim gives out is the core's to free; here the case's end does it. */
static void on_claimed(mf_request *request)
{
    call *one = request->arg;
    mf_claims_request *claims = &one->request.claims;
    for (size_t i = 0; i < claims->count; i++) {
        mf_claim *granted = claims->claims[i];
        if (granted->properties == NULL)
            continue;
        char *copy = keep_text(one->c, "%s", granted->properties);
        free(granted->properties);
        granted->properties = copy;
    }
    finish(one);
}

call *start_claim(peer *p, mf_claim *claims, size_t count)
{
    for (size_t i = 0; i < count; i++)
        claims[i].properties = NULL;
    return claims_call(p, claims, count, p->broker->operations->claim, on_claimed);
}

call *start_release(peer *p, mf_claim *claims, size_t count)
{
    return claims_call(p, claims, count, p->broker->operations->release, on_done);
}

call *start_done(peer *p, mf_claim *claims, size_t count)
{
    return claims_call(p, claims, count, p->broker->operations->done, on_done);
}

static call *items_call(peer *p, const char *token, mf_item *items, size_t count,
                        void (*slot)(mf_broker *broker, mf_items_request *request))
{
    call *one = new_call(p, on_done);
    if (token == NULL)
        token = keep_text(p->c, "%016llx%016llx", (unsigned long long)mf_loop_random(p->c->loop),
                          (unsigned long long)mf_loop_random(p->c->loop));
    one->request.items.token = token;
    one->request.items.items = items;
    one->request.items.count = count;
    slot(p->broker, &one->request.items);
    return one;
}

call *start_items(peer *p, items_slot slot, const char *token, mf_item *items, size_t count)
{
    return items_call(p, token, items, count, slot);
}

call *start_submit(peer *p, const char *token, mf_item *items, size_t count)
{
    return items_call(p, token, items, count, p->broker->operations->submit);
}

call *start_remove(peer *p, const char *token, mf_item *items, size_t count)
{
    return items_call(p, token, items, count, p->broker->operations->remove);
}

static call *page_call(peer *p, const char *cursor, size_t limit,
                       void (*finished)(mf_request *request))
{
    call *one = new_call(p, finished);
    one->request.page.limit = limit;
    snprintf(one->request.page.cursor, sizeof one->request.page.cursor, "%s", cursor);
    return one;
}

call *start_claimable(peer *p, const char *cursor, size_t limit)
{
    call *one = page_call(p, cursor, limit, on_claimable_page);
    p->broker->operations->claimable(p->broker, &one->request.page);
    return one;
}

call *start_tasks(peer *p, const char *cursor, size_t limit)
{
    call *one = page_call(p, cursor, limit, on_page);
    p->broker->operations->tasks(p->broker, &one->request.page);
    return one;
}

call *start_lookup(peer *p, const char *const *ids, size_t count)
{
    call *one = new_call(p, on_lookup);
    one->request.lookup.ids = ids;
    one->request.lookup.id_count = count;
    p->broker->operations->lookup(p->broker, &one->request.lookup);
    return one;
}

call *start_nodes(peer *p)
{
    call *one = new_call(p, on_nodes);
    p->broker->operations->nodes(p->broker, &one->request.nodes);
    return one;
}

call *start_send(peer *p, const char *node, const char *json)
{
    call *one = new_call(p, on_done);
    one->request.send.node = node;
    one->request.send.json = json;
    one->request.send.length = strlen(json);
    p->broker->operations->send(p->broker, &one->request.send);
    return one;
}

call *start_receive(peer *p, uint64_t acknowledged, size_t limit)
{
    call *one = new_call(p, on_receive);
    one->request.receive.session = &p->session;
    one->request.receive.acknowledged = acknowledged;
    one->request.receive.limit = limit;
    p->broker->operations->receive(p->broker, &one->request.receive);
    return one;
}

/* One at a time. */

call *start_holds(peer *p, holds_slot slot, const char *migration, mf_hold *holds, size_t count)
{
    call *one = new_call(p, on_holds);
    one->request.holds.session = &p->session;
    one->request.holds.migration = migration;
    one->request.holds.holds = holds;
    one->request.holds.count = count;
    slot(p->broker, &one->request.holds);
    return one;
}

call *start_holds_page(peer *p, const char *cursor, size_t limit)
{
    call *one = new_call(p, on_holds_page);
    one->request.holds_page.limit = limit;
    strcpy(one->request.holds_page.cursor, cursor);
    p->broker->operations->holds(p->broker, &one->request.holds_page);
    return one;
}

call *start_mark(peer *p, const mf_mark *mark)
{
    call *one = new_call(p, on_done);
    one->request.mark.session = &p->session;
    one->request.mark.mark = *mark;
    p->broker->operations->mark(p->broker, &one->request.mark);
    return one;
}

call *start_moved(peer *p)
{
    call *one = new_call(p, on_done);
    p->broker->operations->moved(p->broker, &one->request.mark);
    return one;
}

int join(peer *p)
{
    return call_wait(start_join(p, false));
}

int join_again(peer *p)
{
    p->session.epoch++;
    return join(p);
}

int leave(peer *p)
{
    return call_wait(start_leave(p));
}

static int one_result(call *one, const mf_claim *of)
{
    int code = call_wait(one);
    return code != MF_OK ? code : of->result;
}

int claim(peer *p, mf_claim *of)
{
    return one_result(start_claim(p, of, 1), of);
}

int release(peer *p, mf_claim *of)
{
    return one_result(start_release(p, of, 1), of);
}

int done(peer *p, mf_claim *of)
{
    return one_result(start_done(p, of, 1), of);
}

int renew(peer *p, mf_claim *of)
{
    call *one = start_renew(p, of, 1);
    int code = call_wait(one);
    if (code != MF_OK)
        return code;
    return one->request.renew.lost_count != 0 ? one->request.renew.lost[0].code : MF_OK;
}

static int one_item(peer *p, const char *id,
                    call *(*start)(peer *, const char *, mf_item *, size_t))
{
    mf_item *item = keep(p->c, sizeof *item);
    item->id = keep_text(p->c, "%s", id);
    int code = call_wait(start(p, NULL, item, 1));
    return code != MF_OK ? code : item->result;
}

int submit(peer *p, const char *id)
{
    return one_item(p, id, start_submit);
}

int remove_task(peer *p, const char *id)
{
    return one_item(p, id, start_remove);
}

int claim_within(peer *p, mf_claim *of, int bound_ms)
{
    int64_t bound_us = mf_loop_now_us(p->c->loop) + bound_ms * INT64_C(1000);
    int code;
    while ((code = claim(p, of)) == MF_ETAKEN && mf_loop_now_us(p->c->loop) < bound_us)
        pass_time(p->c, 10);
    return code;
}

/* Many. */

mf_claim *new_claim(contract *c, const char *id)
{
    mf_claim *one = keep(c, sizeof *one);
    one->id = keep_text(c, "%s", id);
    return one;
}

mf_claim *new_claims(contract *c, const char *prefix, size_t count)
{
    mf_claim *claims = keep(c, count * sizeof *claims);
    for (size_t i = 0; i < count; i++)
        claims[i].id = keep_text(c, "%s%zu", prefix, i);
    return claims;
}

static size_t batch_at(const peer *p, size_t at, size_t count)
{
    return count - at < p->broker->max_batch ? count - at : p->broker->max_batch;
}

void submit_many(peer *p, const char *prefix, size_t count)
{
    mf_item *items = keep(p->c, count * sizeof *items);
    for (size_t i = 0; i < count; i++)
        items[i].id = keep_text(p->c, "%s%zu", prefix, i);
    for (size_t at = 0, n; at < count; at += n) {
        n = batch_at(p, at, count);
        assert_int_equal(call_wait(start_submit(p, NULL, items + at, n)), MF_OK);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(items[at + i].result, MF_OK);
    }
}

size_t claim_many(peer *p, mf_claim *claims, size_t count)
{
    size_t granted = 0;
    for (size_t at = 0, n; at < count; at += n) {
        n = batch_at(p, at, count);
        assert_int_equal(call_wait(start_claim(p, claims + at, n)), MF_OK);
        for (size_t i = 0; i < n; i++)
            granted += claims[at + i].result == MF_OK;
    }
    return granted;
}

/* Reading. */

const mf_task_record *lookup(peer *p, const char *id)
{
    const char **ids = keep(p->c, sizeof *ids);
    ids[0] = keep_text(p->c, "%s", id);
    call *one = start_lookup(p, ids, 1);
    assert_int_equal(call_wait(one), MF_OK);
    return &one->request.lookup.records[0];
}

/* All pages of a listing; counts the ids that equal `id`, or all when it is NULL. */
static size_t count_pages(peer *p, const char *id,
                          call *(*start)(peer *p, const char *cursor, size_t limit))
{
    const char *cursor = "";
    size_t found = 0;
    do {
        call *one = start(p, cursor, 100);
        assert_int_equal(call_wait(one), MF_OK);
        for (size_t i = 0; i < one->request.page.count; i++)
            found += id == NULL || strcmp(one->request.page.records[i].id, id) == 0;
        cursor = one->request.page.cursor;
    } while (*cursor != 0);
    return found;
}

bool is_claimable(peer *p, const char *id)
{
    return count_pages(p, id, start_claimable) != 0;
}

size_t count_claimable(peer *p)
{
    return count_pages(p, NULL, start_claimable);
}

size_t count_tasks(peer *p)
{
    return count_pages(p, NULL, start_tasks);
}

int64_t node_tasks(peer *p, const char *node)
{
    call *one = start_nodes(p);
    assert_int_equal(call_wait(one), MF_OK);
    for (size_t i = 0; i < one->request.nodes.count; i++)
        if (strcmp(one->request.nodes.nodes[i].name, node) == 0)
            return (int64_t)one->request.nodes.nodes[i].tasks;
    return -1;
}

int send_command(peer *p, const char *node, const char *json)
{
    return call_wait(start_send(p, node, json));
}
