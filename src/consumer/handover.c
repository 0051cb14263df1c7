/* Draining a node: its tasks are given away in an orderly way.
 *
 * One task is given back first; when others have taken what was given, the next batch is twice as
 * large, up to a part of all. What nobody has taken after the reclaim delay comes back, and nothing
 * more is given for a while. So at no time many tasks run nowhere. */
#include "consumer/internal.h"

enum { LEAST_BATCH = 8, PART_OF_ALL = 8 };

static bool is_receiver(const mf_consumer *me, size_t node)
{
    return node != me->view.self && me->view.nodes[node].weight > 0;
}

static bool has_receiver(const mf_consumer *me)
{
    size_t i = 0;

    while (i < me->view.count && !is_receiver(me, i))
        i++;
    return i < me->view.count;
}

static bool is_over(const mf_consumer *me)
{
    return me->running_count == 0 && me->ending_count == 0 && me->statistics.claiming == 0 &&
           me->handover.pending == 0;
}

static void give(mf_consumer *me, size_t wanted)
{
    for (size_t i = me->running_count; wanted > 0 && i-- > 0;) {
        mf_task *task = i < me->running_count ? me->running[i] : NULL;
        if (task == NULL || mf__task_stop_reason(task) != MF_STOP_NONE)
            continue;
        task->handed_over = true;
        me->handover.pending++;
        wanted--;
        mf__task_stop(task, MF_STOP_BALANCE);
    }
}

static void grow_batch(mf_consumer *me)
{
    size_t most = me->running_count / PART_OF_ALL;

    if (most < LEAST_BATCH)
        most = LEAST_BATCH;
    me->handover.batch = me->handover.batch * 2 < most ? me->handover.batch * 2 : most;
}

static void go_on(void *arg)
{
    mf_consumer *me = arg;
    mf__handover *h = &me->handover;

    if (!h->on || me->draining)
        return;
    if (is_over(me)) {
        if (!h->told)
            mf__consumer_tell(me, MF_CONSUMER_DRAINED);
        h->told = true;
        return;
    }
    if (h->pending > 0 || !has_receiver(me))
        return;
    if (mf_loop_now_us(me->loop) < h->retry_us &&
        mf_timer_start(me->loop, &h->timer, h->retry_us) == MF_OK)
        return;
    give(me, h->batch);
    grow_batch(me);
}

void mf__handover_go_on(mf_consumer *me)
{
    if (me->handover.on && !me->draining)
        mf_defer(me->loop, &me->handover.call);
}

void mf__handover_left(mf_task *task)
{
    mf_consumer *me = task->consumer;

    task->handed_over = false;
    if (!me->handover.on)
        return;
    me->handover.pending--;
    me->statistics.handed_over++;
    mf__handover_go_on(me);
}

void mf__handover_returned(mf_task *task)
{
    mf_consumer *me = task->consumer;

    task->handed_over = false;
    if (!me->handover.on)
        return;
    me->handover.pending--;
    me->handover.batch = 1;
    me->handover.retry_us = mf_loop_now_us(me->loop) + me->balance_interval_us;
    mf__handover_go_on(me);
}

void mf_consumer_drain(mf_consumer *me)
{
    mf__handover *h = &me->handover;

    if (h->on)
        return;
    h->on = true;
    h->told = false;
    h->batch = 1;
    h->pending = 0;
    h->retry_us = 0;
    mf__consumer_announce(me);
    mf__handover_go_on(me);
}

static void forget(mf_consumer *me)
{
    for (mf_task *task = NULL; (task = mf__task_next(me, task)) != NULL;)
        task->handed_over = false;
}

void mf_consumer_undrain(mf_consumer *me)
{
    if (!me->handover.on)
        return;
    me->handover.on = false;
    forget(me);
    mf__handover_stop(me);
    mf__consumer_announce(me);
    mf__offers_pump_soon(me);
}

bool mf_consumer_draining(const mf_consumer *me)
{
    return me->handover.on;
}

void mf__handover_init(mf_consumer *me)
{
    mf_deferred_init(&me->handover.call, go_on, me);
    mf_timer_init(&me->handover.timer, go_on, me);
}

void mf__handover_stop(mf_consumer *me)
{
    mf_timer_stop(me->loop, &me->handover.timer);
    mf_deferred_cancel(me->loop, &me->handover.call);
}
