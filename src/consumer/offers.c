/* Claimable tasks: remembered, put to the balancer, claimed or set aside until later. */
#include <stdlib.h>
#include <string.h>

#include "consumer/internal.h"

/* A record that cannot be used is looked at again after this long. */
static const int64_t damaged_pause_us = INT64_C(600) * 1000000;
/* Who knows so many candidates need not read of more. */
static const size_t plenty = 10000;

static void list_append(mf_task *task)
{
    mf_consumer *me = task->consumer;

    task->candidate.next = NULL;
    task->candidate.previous = me->offers_last;
    if (me->offers_last != NULL)
        me->offers_last->candidate.next = task;
    else
        me->offers = task;
    me->offers_last = task;
}

static void list_remove(mf_task *task)
{
    mf_consumer *me = task->consumer;

    if (task->candidate.previous != NULL)
        task->candidate.previous->candidate.next = task->candidate.next;
    else
        me->offers = task->candidate.next;
    if (task->candidate.next != NULL)
        task->candidate.next->candidate.previous = task->candidate.previous;
    else
        me->offers_last = task->candidate.previous;
}

static mf_task *task_of(const mf__id_link *link)
{
    return link != NULL ? (mf_task *)((char *)link - offsetof(mf_task, link)) : NULL;
}

static const char *id_of(const mf__id_link *link)
{
    return task_of(link)->claim.id;
}

mf_task *mf__task_find(mf_consumer *me, const char *id)
{
    return task_of(mf__id_table_find(&me->tasks, id));
}

mf_task *mf__task_next(const mf_consumer *me, const mf_task *task)
{
    return task_of(mf__id_table_next(&me->tasks, task != NULL ? &task->link : NULL));
}

static void enter_offered(mf_task *task)
{
    task->state = TASK_OFFERED;
    task->offered_again = task->bad_record = task->held_back = false;
    task->consumer->statistics.offered++;
    list_append(task);
    mf__offers_pump_soon(task->consumer);
}

static void on_deferral_over(void *arg)
{
    mf_task *task = arg;

    task->consumer->statistics.offered--;
    task->consumer->statistics.deferred--;
    if (task->bad_id)
        mf__task_free(task);
    else if (task->handed_over)
        mf__offers_claim(task); /* nobody has taken it */
    else
        enter_offered(task);
}

/* Takes an offered or deferred task out of its queue. */
static void leave_queue(mf_task *task)
{
    mf_consumer *me = task->consumer;

    me->statistics.offered--;
    if (task->state == TASK_OFFERED) {
        list_remove(task);
    } else {
        me->statistics.deferred--;
        mf_timer_stop(me->loop, &task->timer);
    }
}

static void defer(mf_task *task, int64_t until_us)
{
    mf_consumer *me = task->consumer;

    task->state = TASK_DEFERRED;
    task->offered_again = false;
    me->statistics.offered++;
    me->statistics.deferred++;
    mf_timer_init(&task->timer, on_deferral_over, task);
    if (mf_timer_start(me->loop, &task->timer, until_us) != MF_OK) {
        me->statistics.offered--;
        me->statistics.deferred--;
        mf__task_free(task); /* the next reconcile offers it again */
    }
}

void mf__offers_defer(mf_task *task, int64_t until_us)
{
    task->held_back = false;
    task->candidate.awaited_us = 0;
    defer(task, until_us);
}

void mf__offers_put_back(mf_task *task)
{
    task->timer.due_us = 0; /* a new offer: the balancer has not set this one aside yet */
    task->candidate.awaited_us = 0;
    task->candidate.offered_us = mf_loop_now_us(task->consumer->loop);
    enter_offered(task);
}

void mf__task_free(mf_task *task)
{
    mf_consumer *me = task->consumer;

    if (task->handed_over)
        mf__handover_left(task);
    mf__id_table_remove(&me->tasks, &task->link);
    free(task->claim.properties);
    free(task);
    mf__consumer_task_gone(me);
    mf__handover_go_on(me);
}

static mf_task *new_task(mf_consumer *me, const char *id, const mf__left *left)
{
    size_t memory = me->handler.memory_size, length = strlen(id);
    mf_task *task = calloc(1, sizeof *task + memory + length + 1);

    if (task == NULL)
        return NULL;
    task->claim.id = memcpy((char *)(task + 1) + memory, id, length + 1);
    task->consumer = me;
    task->candidate.offered_us = mf_loop_now_us(me->loop);
    if (left != NULL) {
        task->candidate.awaited_us = left->until_us;
        task->left_by = left->by;
    }
    if (mf__id_table_add(&me->tasks, &task->link) != MF_OK) {
        free(task);
        return NULL;
    }
    return task;
}

static void refuse_id(mf_task *task, const mf_error *why)
{
    mf_consumer *me = task->consumer;

    me->statistics.damaged++;
    mf_log(me->loop, MF_LOG_WARN, "consumer", "a claimable task is ignored: %s", why->text);
    task->bad_id = true;
    mf__offers_defer(task, mf_loop_now_us(me->loop) + damaged_pause_us);
}

static void offer(mf_consumer *me, const char *id, const mf__left *left)
{
    mf_error why;
    mf_task *task = mf__task_find(me, id);

    if (task != NULL) {
        task->offered_again = task->state == TASK_CLAIMING || task->state == TASK_ENDING;
        me->some_refused |= task->state == TASK_DEFERRED && task->held_back;
        return;
    }
    if (me->statistics.offered >= me->max_offers || (task = new_task(me, id, left)) == NULL)
        me->offers_dropped = true;
    else if (mf_check_task_id("task id", id, &why) != MF_OK)
        refuse_id(task, &why);
    else
        enter_offered(task);
}

void mf__offers_add(mf_consumer *me, const char *const *ids, size_t count, const mf__left *left)
{
    for (size_t i = 0; i < count && !me->draining; i++)
        offer(me, ids[i], left);
}

static void let_go(mf_task *task, int64_t at_us)
{
    if (task->candidate.awaited_us <= at_us)
        return;
    leave_queue(task);
    task->candidate.awaited_us = at_us;
    defer(task, at_us);
}

void mf__offers_let_go(mf_consumer *me)
{
    int64_t at = mf_loop_now_us(me->loop) + me->reclaim_delay_us;
    uint32_t asked = 0;
    bool expected = false;
    mf_task *task, *next;

    for (task = mf__task_next(me, NULL); task != NULL; task = next) {
        next = mf__task_next(me, task);
        if (task->state > TASK_DEFERRED || task->candidate.awaited_us == 0)
            continue;
        if (task->left_by != asked) /* most are of one node */
            expected = mf__view_expects(&me->view, task->left_by);
        asked = task->left_by;
        if (!expected)
            let_go(task, at);
    }
}

void mf__offers_taken(mf_consumer *me, const char *const *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mf_task *task = mf__task_find(me, ids[i]);
        if (task == NULL || task->state > TASK_DEFERRED)
            continue;
        leave_queue(task);
        mf__task_free(task);
    }
    if (me->statistics.offered == 0)
        mf__offers_pump_soon(me);
}

/* The task is in no queue. */
void mf__offers_claim(mf_task *task)
{
    mf_consumer *me = task->consumer;

    task->state = TASK_CLAIMING;
    task->candidate.asked_us = mf_loop_now_us(me->loop);
    me->statistics.claiming++;
    mf__flow_asked(&me->flow, task->candidate.asked_us);
    mf__coordinator_claim(me->coordinator, &task->claim);
}

static void hold_back(mf_task *task, int64_t until_us)
{
    /* One that another node is awaited for says nothing of the others. */
    task->consumer->some_refused |= until_us != task->candidate.awaited_us;
    task->held_back = true; /* first: it may be freed */
    defer(task, until_us);
}

static void decide(mf_task *task)
{
    int64_t until;

    leave_queue(task);
    if (mf__balancing_can_claim(task->consumer, task, &until)) {
        task->consumer->some_wanted = true;
        mf__offers_claim(task);
    } else if (until == MF_BALANCE_FORGET) {
        mf__task_free(task);
    } else {
        hold_back(task, until);
    }
}

void mf__offers_look_again(mf_consumer *me)
{
    mf_task *task, *next;

    for (task = mf__task_next(me, NULL); task != NULL; task = next) {
        next = mf__task_next(me, task);
        if (task->state != TASK_DEFERRED || !task->held_back)
            continue;
        leave_queue(task);
        mf__offers_put_back(task);
    }
}

/* The balancer wants more than it was shown. One that has refused all of a page, for now, has
 * enough; it is asked again about those that it knows. To refuse a task for good says nothing of
 * others. */
static bool wants_page(const mf_consumer *me)
{
    size_t known = me->statistics.offered;

    return mf__consumer_takes(me) && known < plenty && known < me->max_offers &&
           (me->some_wanted || !me->some_refused || known == 0);
}

static void on_offers_call(void *arg)
{
    mf_consumer *me = arg;

    while (me->offers != NULL && mf__consumer_takes(me))
        decide(me->offers);
    if (me->offers_dropped) {
        if (me->statistics.offered > me->max_offers / 2)
            return;
        me->offers_dropped = false;
        mf__coordinator_reconcile(me->coordinator);
    } else if (wants_page(me)) {
        me->some_wanted = me->some_refused = false;
        mf__coordinator_read_on(me->coordinator);
    }
}

void mf__offers_start(mf_consumer *me)
{
    mf__id_table_init(&me->tasks, id_of);
    mf_deferred_init(&me->offers_call, on_offers_call, me);
}

void mf__offers_pump_soon(mf_consumer *me)
{
    mf_defer(me->loop, &me->offers_call);
}

void mf__offers_drop_all(mf_consumer *me)
{
    mf_task *task, *next;

    for (task = mf__task_next(me, NULL); task != NULL; task = next) {
        next = mf__task_next(me, task);
        if (task->state > TASK_DEFERRED)
            continue;
        leave_queue(task);
        mf__task_free(task);
    }
}
