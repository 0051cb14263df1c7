/* A link that loses requests and replies; what it delivers is carried out by a real broker. */
#include "lossy_broker.h"

#include <assert.h>
#include <stdlib.h>

enum { WATCHERS = 8 };

typedef struct passage passage;

typedef struct lossy {
    mf_broker broker;
    mf_broker *inner;
    lossy_fate fate;
    int times;
    bool down;
    mf_watcher *watchers[WATCHERS];
    passage *held;
    passage *refused, **refused_end;
    int posts; /* a refused request each: refuse_next is still to be called */
    bool closed;
    lossy_counts counts;
} lossy;

/* A request on its way, with what its done() is to find again. */
struct passage {
    lossy *link;
    mf_request *request;
    void (*done)(mf_request *request);
    void *arg;
    lossy_fate fate;
    passage *next;
};

static lossy *self(mf_broker *broker)
{
    return (lossy *)broker;
}

static void arrive(passage *p, bool lost)
{
    mf_request *request = p->request;

    p->link->counts.under_way--;
    request->done = p->done;
    request->arg = p->arg;
    if (lost)
        mf_error_set(&request->error, MF_EUNKNOWN, "the reply was lost");
    free(p);
    request->done(request);
}

static void free_when_over(lossy *me)
{
    if (me->closed && me->posts == 0 && me->counts.under_way == 0)
        free(me);
}

/* A reply that would be held is lost when the link is closed already. */
static void on_done(mf_request *request)
{
    passage *p = request->arg;
    lossy *me = p->link;
    bool held = p->fate == LOSSY_HOLD_REPLY && request->error.code == MF_OK;

    if (held && !me->closed) {
        p->next = me->held;
        me->held = p;
        return;
    }
    arrive(p, held || p->fate == LOSSY_LOSE_REPLY);
    free_when_over(me);
}

static void refuse_first(lossy *me)
{
    passage *p = me->refused;

    me->refused = p->next;
    if (me->refused == NULL)
        me->refused_end = &me->refused;
    mf_error_set(&p->request->error, MF_EUNREACHABLE, "the request was lost");
    arrive(p, false);
}

static void refuse_next(void *arg)
{
    lossy *me = arg;

    me->posts--;
    if (me->refused != NULL)
        refuse_first(me);
    free_when_over(me);
}

static void refuse(lossy *me, passage *p)
{
    *me->refused_end = p;
    me->refused_end = &p->next;
    me->posts++;
    mf_loop_post(me->broker.loop, refuse_next, me);
}

/* True: the request is to go on to the broker. */
static bool pass(mf_broker *broker, mf_request *request, size_t batch)
{
    lossy *me = self(broker);
    passage *p = malloc(sizeof *p);

    *p = (passage){.link = me, .request = request, .done = request->done, .arg = request->arg};
    if (me->times > 0) {
        me->times--;
        p->fate = me->fate;
    }
    lossy_counts *counts = &me->counts;
    counts->sent++;
    if (++counts->under_way > counts->most_under_way)
        counts->most_under_way = counts->under_way;
    if (batch > counts->largest_batch)
        counts->largest_batch = batch;
    if (me->down || p->fate == LOSSY_LOSE_REQUEST) {
        refuse(me, p);
        return false;
    }
    request->done = on_done;
    request->arg = p;
    return true;
}

#define FORWARD(operation, type, batch)                          \
    static void operation##_on(mf_broker *broker, type *request) \
    {                                                            \
        mf_broker *inner = self(broker)->inner;                  \
        if (pass(broker, &request->request, batch))              \
            inner->operations->operation(inner, request);        \
    }

FORWARD(join, mf_join_request, 0)
FORWARD(leave, mf_session_request, 0)
FORWARD(renew, mf_renew_request, request->count)
FORWARD(claim, mf_claims_request, request->count)
FORWARD(release, mf_claims_request, request->count)
FORWARD(done, mf_claims_request, request->count)
FORWARD(claimable, mf_page_request, 0)
FORWARD(receive, mf_receive_request, 0)
FORWARD(submit, mf_items_request, request->count)
FORWARD(remove, mf_items_request, request->count)
FORWARD(tasks, mf_page_request, 0)
FORWARD(lookup, mf_lookup_request, request->id_count)
FORWARD(nodes, mf_nodes_request, 0)
FORWARD(send, mf_send_request, 0)

static void watch(mf_broker *broker, mf_watcher *watcher)
{
    lossy *me = self(broker);
    int i = 0;

    while (me->watchers[i] != NULL)
        assert(++i < WATCHERS);
    me->watchers[i] = watcher;
    me->inner->operations->watch(me->inner, watcher);
}

static void unwatch(mf_broker *broker, mf_watcher *watcher)
{
    lossy *me = self(broker);

    for (int i = 0; i < WATCHERS; i++)
        if (me->watchers[i] == watcher)
            me->watchers[i] = NULL;
    me->inner->operations->unwatch(me->inner, watcher);
}

void lossy_let_go(mf_broker *broker, bool lost)
{
    lossy *me = self(broker);

    while (me->held != NULL) {
        passage *p = me->held;
        me->held = p->next;
        arrive(p, lost);
    }
}

static void close_link(mf_broker *broker, void (*closed)(void *arg), void *arg)
{
    lossy *me = self(broker);

    lossy_let_go(broker, true);
    while (me->refused != NULL)
        refuse_first(me);
    me->inner->operations->close(me->inner, closed, arg);
    me->closed = true;
    free_when_over(me);
}

static const mf_broker_operations operations = {
    .version = MF_DRIVER_VERSION,
    .close = close_link,
    .watch = watch,
    .unwatch = unwatch,
    .join = join_on,
    .leave = leave_on,
    .renew = renew_on,
    .claim = claim_on,
    .release = release_on,
    .done = done_on,
    .claimable = claimable_on,
    .receive = receive_on,
    .submit = submit_on,
    .remove = remove_on,
    .tasks = tasks_on,
    .lookup = lookup_on,
    .nodes = nodes_on,
    .send = send_on,
};

mf_broker *lossy_broker_new(mf_broker *inner)
{
    lossy *me = calloc(1, sizeof *me);

    me->broker = *inner;
    me->broker.operations = &operations;
    me->inner = inner;
    me->refused_end = &me->refused;
    return &me->broker;
}

void lossy_next(mf_broker *broker, lossy_fate fate, int times)
{
    self(broker)->fate = fate;
    self(broker)->times = times;
}

void lossy_link(mf_broker *broker, bool up)
{
    lossy *me = self(broker);
    mf_error why;

    me->down = !up;
    mf_error_set(&why, MF_EUNREACHABLE, "the link is down");
    for (int i = 0; i < WATCHERS; i++)
        if (me->watchers[i] != NULL)
            me->watchers[i]->link(me->watchers[i], up, up ? NULL : &why);
}

lossy_counts lossy_count(const mf_broker *broker)
{
    return ((const lossy *)broker)->counts;
}
