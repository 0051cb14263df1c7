/* States of tasks on their way to and from the broker, gathered into batches.
 *
 * Each request holds copies of what it sends, for its task may be gone when a late answer comes. A
 * batch without an answer is asked again under the session's next epoch: both operations are
 * harmless when repeated, and a write of a claim that has ended is refused. Writes that are refused
 * whole, for a reason that may pass, are asked again for a while. */
#include <stdlib.h>
#include <string.h>

#include "coordinator/internal.h"

enum { max_bytes = 512 * 1024 /* of documents in one batch, but for a single longer one */ };

struct mf__state_request {
    mf__state_request *next, *previous;
    mf__state_fn done; /* NULL: dropped */
    void *arg;
    uint64_t fence, mark, acknowledged;
    char *json; /* to be stored */
    size_t length;
    bool is_load, is_sent;
    int64_t refused_us; /* when its first try was; 0: it was not */
    char id[];
};

typedef struct batch {
    union {
        mf_request head;
        mf_load_request load;
        mf_store_request store;
    } request; /* first: a batch is found by its request */
    mf_coordinator *coordinator;
    bool is_load;
    size_t count;
    mf_write *writes;
    const char **ids;
    mf__state_request *requests[];
} batch;

static void link_before(mf_coordinator *me, mf__state_request *r, mf__state_request *next)
{
    mf__state_request **first = r->is_load ? &me->loads : &me->stores;
    mf__state_request **last = r->is_load ? &me->loads_last : &me->stores_last;

    r->is_sent = false;
    r->next = next;
    r->previous = next != NULL ? next->previous : *last;
    *(r->previous != NULL ? &r->previous->next : first) = r;
    *(next != NULL ? &next->previous : last) = r;
}

static void unlink_request(mf_coordinator *me, mf__state_request *r)
{
    mf__state_request **first = r->is_load ? &me->loads : &me->stores;
    mf__state_request **last = r->is_load ? &me->loads_last : &me->stores_last;

    *(r->previous != NULL ? &r->previous->next : first) = r->next;
    *(r->next != NULL ? &r->next->previous : last) = r->previous;
}

static void free_request(mf__state_request *r)
{
    free(r->json);
    free(r);
}

static void answer(mf__state_request *r, int code, const char *json, size_t length)
{
    if (r->done != NULL)
        r->done(r->arg, code, json, length);
    free_request(r);
}

static void answer_all(batch *b, int code)
{
    for (size_t i = 0; i < b->count; i++) {
        mf__state_request *r = b->requests[i];
        if (code != MF_OK || !b->is_load) {
            answer(r, code != MF_OK ? code : b->writes[i].result, NULL, 0);
        } else {
            const mf_document *document = &b->request.load.documents[i];
            answer(r, MF_OK, document->json, document->length);
        }
    }
}

static void ask_again(batch *b)
{
    mf_coordinator *me = b->coordinator;

    for (size_t i = b->count; i-- > 0;) {
        mf__state_request *r = b->requests[i];
        if (r->done == NULL)
            free_request(r);
        else
            link_before(me, r, r->is_load ? me->loads : me->stores);
    }
}

/* The others wait as well: what was refused whole would be so for them. */
static void pause_stores(mf_coordinator *me)
{
    if (me->stores_timer.heap_slot == 0)
        mf_timer_start(me->loop, &me->stores_timer,
                       mf_loop_now_us(me->loop) + mf__pause_us(me, ++me->store_refusals));
}

static void on_stores_timer(void *arg)
{
    mf_coordinator *me = arg;
    mf_defer(me->loop, &me->pump_call);
}

/* Writes that were refused whole are asked again for as long as a lease lasts; the claims are
 * renewed meanwhile. The batch keeps those for which that is over. */
static void ask_refused_again(batch *b)
{
    mf_coordinator *me = b->coordinator;
    mf__state_request *next = me->stores;
    int64_t now = mf_loop_now_us(me->loop);
    size_t kept = 0;

    for (size_t i = 0; i < b->count; i++) {
        mf__state_request *r = b->requests[i];
        if (r->refused_us == 0)
            r->refused_us = now;
        if (r->done == NULL || now - r->refused_us >= me->lease_us)
            b->requests[kept++] = r;
        else
            link_before(me, r, next);
    }
    b->count = kept;
    pause_stores(me);
}

static void on_refused(batch *b, const mf_error *why)
{
    mf_coordinator *me = b->coordinator;

    mf_log(me->loop, MF_LOG_ERROR, "coordinator", "states of %zu tasks not %s: %s", b->count,
           b->is_load ? "read" : "written", why->text);
    if (!b->is_load && !mf__session_is_over(me))
        ask_refused_again(b);
    answer_all(b, why->code);
}

static void on_batch(mf_request *request)
{
    batch *b = (batch *)request;
    mf_coordinator *me = b->coordinator;
    int code = request->error.code;

    me->in_flight--;
    me->batches--;
    if (mf_error_is_transient(code) && !mf__session_is_over(me)) {
        mf__session_broken(me, code);
        ask_again(b);
    } else if (code != MF_OK) {
        on_refused(b, &request->error);
    } else {
        if (!b->is_load)
            me->store_refusals = 0;
        answer_all(b, MF_OK);
    }
    free(b);
    mf_defer(me->loop, &me->pump_call);
    mf__request_came_back(me);
}

static batch *new_batch(mf_coordinator *me, bool is_load, size_t room)
{
    size_t each = sizeof(mf__state_request *) + (is_load ? sizeof(char *) : sizeof(mf_write));
    batch *b = calloc(1, sizeof *b + room * each);

    if (b == NULL)
        return NULL;
    b->request.head.done = on_batch;
    b->coordinator = me;
    b->is_load = is_load;
    if (is_load)
        b->ids = (const char **)(b->requests + room);
    else
        b->writes = (mf_write *)(b->requests + room);
    return b;
}

static void add(batch *b, mf__state_request *r)
{
    if (b->is_load)
        b->ids[b->count] = r->id;
    else
        b->writes[b->count] = (mf_write){.id = r->id,
                                         .fence = r->fence,
                                         .mark = r->mark,
                                         .json = r->json,
                                         .length = r->length,
                                         .acknowledged = r->acknowledged};
    b->requests[b->count++] = r;
    r->is_sent = true;
}

static void send(batch *b)
{
    mf_coordinator *me = b->coordinator;

    me->in_flight++;
    me->batches++;
    if (b->is_load) {
        b->request.load.ids = b->ids;
        b->request.load.id_count = b->count;
        me->broker->operations->load(me->broker, &b->request.load);
    } else {
        b->request.store.session = &me->session;
        b->request.store.writes = b->writes;
        b->request.store.count = b->count;
        me->broker->operations->store(me->broker, &b->request.store);
    }
}

static bool send_some(mf_coordinator *me, bool is_load)
{
    mf__state_request *const *first = is_load ? &me->loads : &me->stores;
    size_t room = 0, bytes = 0;

    for (mf__state_request *r = *first; r != NULL && room < me->broker->max_batch; r = r->next)
        room++;
    batch *b = room > 0 ? new_batch(me, is_load, room) : NULL;
    if (b == NULL) {
        if (room > 0)
            mf__batch_lacks_memory(me);
        return false;
    }
    while (b->count < room && (b->count == 0 || bytes + (*first)->length <= max_bytes)) {
        mf__state_request *r = *first;
        unlink_request(me, r);
        add(b, r);
        bytes += r->length;
    }
    send(b);
    return true;
}

bool mf__state_send_stores(mf_coordinator *me)
{
    return me->stores_timer.heap_slot == 0 && send_some(me, false);
}

bool mf__state_send_loads(mf_coordinator *me)
{
    return send_some(me, true);
}

void mf__state_start(mf_coordinator *me)
{
    mf_timer_init(&me->stores_timer, on_stores_timer, me);
}

void mf__state_drop_all(mf_coordinator *me)
{
    mf__state_request *r;

    mf_timer_stop(me->loop, &me->stores_timer);
    while ((r = me->stores != NULL ? me->stores : me->loads) != NULL) {
        unlink_request(me, r);
        answer(r, MF_EUNREACHABLE, NULL, 0);
    }
}

static mf__state_request *enqueue(mf_coordinator *me, const char *id, bool is_load, char *json,
                                  mf__state_fn done, void *arg)
{
    mf__state_request *r = calloc(1, sizeof *r + strlen(id) + 1);

    if (r == NULL) {
        free(json);
        return NULL;
    }
    strcpy(r->id, id);
    r->done = done;
    r->arg = arg;
    r->is_load = is_load;
    r->json = json;
    r->length = json != NULL ? strlen(json) : 0;
    link_before(me, r, NULL);
    mf_defer(me->loop, &me->pump_call);
    return r;
}

mf__state_request *mf__coordinator_load(mf_coordinator *me, const char *id, mf__state_fn done,
                                        void *arg)
{
    return enqueue(me, id, true, NULL, done, arg);
}

mf__state_request *mf__coordinator_store(mf_coordinator *me, const mf_claim *claim, char *json,
                                         uint64_t acknowledged, mf__state_fn done, void *arg)
{
    mf__state_request *r = enqueue(me, claim->id, false, json, done, arg);

    if (r != NULL) {
        r->fence = claim->fence;
        r->mark = claim->mark;
        r->acknowledged = acknowledged;
    }
    return r;
}

void mf__coordinator_drop(mf_coordinator *me, mf__state_request *r)
{
    r->done = NULL;
    if (r->is_sent)
        return;
    unlink_request(me, r);
    free_request(r);
}
