/* The consumer's side of balancing: the view of the nodes, and when the balancer is asked. */
#include <stdlib.h>

#include "consumer/balance.h"
#include "consumer/internal.h"

/* The tasks that a balancer may give up, and those that it has. */
typedef struct balancing {
    mf_task **tasks;
    size_t count;
    mf_task **released;
    size_t released_count, limit;
} balancing;

size_t mf__balancing_held(const mf_consumer *me)
{
    return me->statistics.running - me->statistics.stopping + me->statistics.claiming;
}

static mf_task *task_at(const mf_balance *balance, size_t index)
{
    const balancing *b = balance->arg;
    return index < b->count ? b->tasks[index] : NULL;
}

static void release(mf_balance *balance, mf_task *task)
{
    balancing *b = balance->arg;

    if (task->given_up || b->released_count == b->limit)
        return;
    task->given_up = true;
    b->released[b->released_count++] = task;
}

static mf_balance context(mf_consumer *me, balancing *b)
{
    int64_t now = mf_loop_now_us(me->loop);
    uint64_t claiming = me->statistics.claiming;
    /* What is being given back will soon have no owner. */
    uint64_t unowned = me->flow.unowned + me->statistics.stopping + me->ending_count;
    size_t held = mf__balancing_held(me);

    mf__view_refresh(&me->view, held, now);
    return (mf_balance){
        .loop = me->loop,
        .nodes = me->view.nodes,
        .expected_us = me->view.expected_us,
        .node_count = me->view.count,
        .self = me->view.self,
        .view = me->view.version,
        .members = me->view.members,
        .held = held,
        .unowned = unowned > claiming ? unowned - claiming : 0,
        .patience_us = mf__flow_patience_us(&me->flow, now),
        .task = task_at,
        .release = release,
        .arg = b,
    };
}

bool mf__balancing_can_claim(mf_consumer *me, mf_task *task, int64_t *until_us)
{
    balancing none = {0};
    mf_balance balance = context(me, &none);
    int64_t now = mf_loop_now_us(me->loop);

    *until_us = task->candidate.awaited_us;
    if (task->candidate.awaited_us > now)
        return false;
    *until_us = task->timer.due_us;
    balance.offered_us = now - (task->candidate.awaited_us != 0 ? task->candidate.awaited_us
                                                                : task->candidate.offered_us);
    if (me->balancer.can_claim(me->balancer.payload, &balance, task->claim.id, until_us))
        return true;
    if (*until_us <= now)
        *until_us = now + 1000000;
    return false;
}

void mf__balancing_explain(mf_consumer *me, const char *task_id, char *text, size_t size)
{
    balancing none = {0};
    mf_balance balance = context(me, &none);

    if (me->balancer.explain != NULL)
        me->balancer.explain(me->balancer.payload, &balance, task_id, text, size);
}

static void collect(mf_consumer *me, balancing *b)
{
    for (size_t i = 0; i < me->running_count; i++)
        if (mf__task_stop_reason(me->running[i]) == MF_STOP_NONE)
            b->tasks[b->count++] = me->running[i];
}

static int64_t between(mf_consumer *me, int64_t least_us, int64_t most_us)
{
    return mf_loop_now_us(me->loop) + least_us +
           (int64_t)(mf_loop_random(me->loop) % (uint64_t)(most_us - least_us + 1));
}

/* Nodes have come or gone: no need to wait for the interval, but not all at once. */
static void balance_soon(mf_consumer *me)
{
    int64_t due = between(me, me->balance_interval_us / 20, me->balance_interval_us / 4);

    if (me->balance_timer.heap_slot != 0 && due < me->balance_timer.due_us)
        mf_timer_start(me->loop, &me->balance_timer, due);
}

static void balance(mf_consumer *me)
{
    balancing b = {0};

    if (me->balancer.balance == NULL || me->draining || me->handover.on || me->running_count == 0)
        return;
    b.tasks = calloc(me->running_count * 2, sizeof *b.tasks);
    if (b.tasks == NULL)
        return;
    b.released = b.tasks + me->running_count;
    collect(me, &b);
    b.limit = me->max_moves != 0 && me->max_moves < b.count ? me->max_moves : b.count;
    mf_balance all = context(me, &b);
    all.limit = b.limit;
    me->balancer.balance(me->balancer.payload, &all);
    me->statistics.balance_releases += b.released_count;
    for (size_t i = 0; i < b.released_count; i++) {
        b.released[i]->given_up = false;
        mf__task_stop(b.released[i], MF_STOP_BALANCE);
    }
    /* Others move as well, perhaps after this node has looked. */
    if (me->settling) {
        me->settling = false;
        balance_soon(me);
    }
    free(b.tasks);
}

/* Balancing goes by a fresh view, or by one that hints have kept so. */
void mf_consumer_balance(mf_consumer *me)
{
    if (me->leaving || me->closed)
        return;
    if (me->view_holds) {
        mf_defer(me->loop, &me->balance_call);
    } else {
        me->balance_wanted = true;
        mf__coordinator_refresh_view(me->coordinator);
    }
}

static void on_balance_call(void *arg)
{
    balance(arg);
}

static void on_balance_timer(void *arg)
{
    mf_consumer *me = arg;
    int64_t interval = me->balance_interval_us;

    /* First: its place among the timers is still free, so it cannot fail. */
    mf_timer_start(me->loop, &me->balance_timer, between(me, interval - interval / 5, interval));
    mf_consumer_balance(me);
}

static void nodes_changed(mf_consumer *me, bool some_take_less)
{
    if (some_take_less)
        mf__offers_look_again(me);
    if (me->view.returned)
        mf__offers_let_go(me);
    me->view.returned = false;
    me->settling = true;
    balance_soon(me);
    mf__handover_go_on(me);
}

void mf__balancing_node(mf_consumer *me, const mf_node *node, bool gone)
{
    if (mf__view_update(&me->view, node, gone, mf_loop_now_us(me->loop)))
        nodes_changed(me, gone || node->weight <= 0);
}

void mf__balancing_view(mf_consumer *me, const mf_node *nodes, size_t count)
{
    int64_t asked = mf__coordinator_view_asked_us(me->coordinator);
    bool changed = mf__view_replace(&me->view, nodes, count, asked, mf_loop_now_us(me->loop));

    me->view_holds = me->broker->tells_nodes;
    if (mf__view_is_doubtful(&me->view, asked))
        mf__coordinator_refresh_view(me->coordinator);
    if (!me->viewed) {
        me->viewed = true;
        mf__offers_pump_soon(me);
    } else if (changed) {
        nodes_changed(me, true);
    }
    if (me->balance_wanted) {
        me->balance_wanted = false;
        balance(me);
    }
}

int mf__balancing_start(mf_consumer *me)
{
    int64_t interval = me->balance_interval_us;

    mf_deferred_init(&me->balance_call, on_balance_call, me);
    mf_timer_init(&me->balance_timer, on_balance_timer, me);
    return mf_timer_start(me->loop, &me->balance_timer, between(me, interval / 5, interval));
}

void mf__balancing_stop(mf_consumer *me)
{
    mf_timer_stop(me->loop, &me->balance_timer);
    mf_deferred_cancel(me->loop, &me->balance_call);
}
