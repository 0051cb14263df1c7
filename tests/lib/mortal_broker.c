/* Broker handles of a process that is killed at a request of its choice. */
#include "mortal_broker.h"

#include <stdlib.h>

#include "virtual_loop.h"

typedef struct mortal {
    mf_broker broker; /* first */
    mf_broker *inner;
    mortal_life *life;
} mortal;

static mortal *self(mf_broker *broker)
{
    return (mortal *)broker;
}

static void refuse(void *arg)
{
    mf_request *request = arg;
    const mortal_life *life = request->driver;

    mf_error_set(&request->error, life->refused ? MF_EREFUSED : MF_EUNREACHABLE,
                 "the process was killed");
    request->done(request);
}

/* True: the request is to go on to the broker. */
static bool pass(mf_broker *broker, mf_request *request)
{
    mortal_life *life = self(broker)->life;

    if (!life->refused && (life->left != 0 || life->carried_out) && !life->dead)
        return true;
    request->driver = life;
    mf_loop_post(broker->loop, refuse, request);
    return false;
}

static void after(mf_broker *broker)
{
    mortal_life *life = self(broker)->life;

    if (life->observe != NULL && !life->refused)
        life->observe(life->arg);
    if (life->dead || life->refused || life->left < 0 || life->left-- > 0)
        return;
    life->dead = true;
    virtual_loop_pause(life->loop, true);
}

#define FORWARD(operation, type)                                 \
    static void operation##_on(mf_broker *broker, type *request) \
    {                                                            \
        mf_broker *inner = self(broker)->inner;                  \
        if (pass(broker, &request->request))                     \
            inner->operations->operation(inner, request);        \
        after(broker);                                           \
    }

FORWARD(join, mf_join_request)
FORWARD(leave, mf_session_request)
FORWARD(renew, mf_renew_request)
FORWARD(tasks, mf_page_request)
FORWARD(lookup, mf_lookup_request)
FORWARD(nodes, mf_nodes_request)
FORWARD(send, mf_send_request)
FORWARD(states, mf_states_request)
FORWARD(hold, mf_holds_request)
FORWARD(copy, mf_holds_request)
FORWARD(drop, mf_holds_request)
FORWARD(free, mf_holds_request)
FORWARD(holds, mf_holds_page_request)
FORWARD(mark, mf_mark_request)
FORWARD(moved, mf_mark_request)

static void watch(mf_broker *broker, mf_watcher *watcher)
{
    mf_broker *inner = self(broker)->inner;
    inner->operations->watch(inner, watcher);
}

static void unwatch(mf_broker *broker, mf_watcher *watcher)
{
    mf_broker *inner = self(broker)->inner;
    inner->operations->unwatch(inner, watcher);
}

static void close_both(mf_broker *broker, void (*closed)(void *arg), void *arg)
{
    mf_broker *inner = self(broker)->inner;

    free(broker);
    inner->operations->close(inner, closed, arg);
}

static const mf_broker_operations operations = {
    .version = MF_DRIVER_VERSION,
    .close = close_both,
    .watch = watch,
    .unwatch = unwatch,
    .join = join_on,
    .leave = leave_on,
    .renew = renew_on,
    .tasks = tasks_on,
    .lookup = lookup_on,
    .nodes = nodes_on,
    .send = send_on,
    .states = states_on,
    .hold = hold_on,
    .copy = copy_on,
    .drop = drop_on,
    .free = free_on,
    .holds = holds_on,
    .mark = mark_on,
    .moved = moved_on,
};

mf_broker *mortal_broker_new(mf_broker *inner, mortal_life *life)
{
    mortal *me = calloc(1, sizeof *me);

    me->broker = *inner;
    me->broker.operations = &operations;
    me->inner = inner;
    me->life = life;
    return &me->broker;
}

void mortal_bury(mortal_life *life)
{
    life->refused = true;
    virtual_loop_pause(life->loop, false);
}
