/* States of tasks on their way to and from the broker, gathered into batches.
 *
 * Each request holds copies of what it sends, for its task may be gone when a late answer comes. A
 * batch without an answer is asked again under the session's next epoch: both operations are
 * harmless when repeated, and a write of a claim that has ended is refused. */
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

static void on_batch(mf_request *request)
{
    batch *b = (batch *)request;
    mf_coordinator *me = b->coordinator;
    int code = request->error.code;

    me->in_flight--;
    me->batches--;
    if (mf_error_is_transient(code) && !me->failed && !me->closing) {
        mf__session_broken(me);
        ask_again(b);
    } else {
        if (code != MF_OK)
            mf_log(me->loop, MF_LOG_ERROR, "coordinator", "states of %zu tasks not %s: %s",
                   b->count, b->is_load ? "read" : "written", request->error.text);
        answer_all(b, code);
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

/* Sends up to a batch of what waits; false: nothing was there, or no memory. */
static bool send_some(mf_coordinator *me, bool is_load)
{
    mf__state_request *const *first = is_load ? &me->loads : &me->stores;
    size_t room = 0, bytes = 0;

    for (mf__state_request *r = *first; r != NULL && room < me->broker->max_batch; r = r->next)
        room++;
    batch *b = room > 0 ? new_batch(me, is_load, room) : NULL;
    if (b == NULL)
        return false;
    while (b->count < room && (b->count == 0 || bytes + (*first)->length <= max_bytes)) {
        mf__state_request *r = *first;
        unlink_request(me, r);
        add(b, r);
        bytes += r->length;
    }
    send(b);
    return true;
}

/* Writes before reads: a task that is waiting to end ends sooner. */
void mf__state_pump(mf_coordinator *me, size_t limit)
{
    while (me->joined && me->batches < limit)
        if (!send_some(me, false) && !send_some(me, true))
            break;
}

void mf__state_drop_all(mf_coordinator *me)
{
    mf__state_request *r;

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
