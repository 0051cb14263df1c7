/* Tasks that this node holds: start, stop, end. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/internal.h"

static const int64_t damaged_pause_us = INT64_C(600) * 1000000;
static const int64_t failed_pause_us = 1000000;

mf_stop_reason mf__task_stop_reason(const mf_task *task)
{
    return (mf_stop_reason)__atomic_load_n(&task->stop_reason, __ATOMIC_ACQUIRE);
}

static int enter_running(mf_task *task)
{
    mf_consumer *me = task->consumer;

    if (me->running_count == me->running_size) {
        size_t size = me->running_size != 0 ? me->running_size * 2 : 64;
        mf_task **running = realloc(me->running, size * sizeof *running);
        if (running == NULL)
            return MF_ENOMEM;
        me->running = running;
        me->running_size = size;
    }
    task->state = TASK_RUNNING;
    task->slot = (uint32_t)me->running_count;
    me->running[me->running_count++] = task;
    return MF_OK;
}

static void leave_running(mf_task *task)
{
    mf_consumer *me = task->consumer;
    mf_task *last = me->running[--me->running_count];

    me->running[task->slot] = last;
    last->slot = task->slot;
    me->statistics.running--;
    if (mf__task_stop_reason(task) != MF_STOP_NONE)
        me->statistics.stopping--;
}

static void end(mf_task *task, mf_outcome outcome)
{
    task->state = TASK_ENDING;
    task->consumer->ending_count++;
    mf__coordinator_end(task->consumer->coordinator, &task->claim, outcome);
}

static void start(mf_task *task)
{
    mf_consumer *me = task->consumer;

    if (enter_running(task) != MF_OK) {
        end(task, MF_RELEASE);
        return;
    }
    task->run = (mf__run){.started_wall_us = mf_loop_wall_us(me->loop)};
    task->stop_reason = MF_STOP_NONE;
    memset(mf_task_memory(task), 0, me->handler.memory_size);
    me->statistics.started++;
    me->statistics.running++;
    if (me->handler.run == NULL) {
        me->handler.start(task, me->handler.payload);
    } else if (mf__blocking_start(task) != MF_OK) {
        mf_log(me->loop, MF_LOG_ERROR, "consumer", "task %s: no thread to run it on",
               task->claim.id);
        mf_task_finish(task, MF_RELEASE);
    }
}

/* Gives back a task whose record cannot be used, and leaves it alone for a while. */
static void refuse_record(mf_task *task, const char *why)
{
    mf_consumer *me = task->consumer;

    me->statistics.damaged++;
    mf_log(me->loop, MF_LOG_WARN, "consumer", "task %s is set aside: %s", task->claim.id, why);
}

static void granted(mf_task *task)
{
    mf_consumer *me = task->consumer;
    mf_error why;

    me->statistics.claims_granted++;
    if (me->draining) {
        end(task, MF_RELEASE);
    } else if (task->claim.properties != NULL &&
               mf_check_properties("properties", task->claim.properties, &why) != MF_OK) {
        refuse_record(task, why.text);
        task->bad_record = true;
        end(task, MF_RELEASE);
    } else {
        start(task);
    }
}

static void not_granted(mf_task *task, int code)
{
    mf_consumer *me = task->consumer;
    int64_t now = mf_loop_now_us(me->loop);

    me->statistics.claims_taken += code == MF_ETAKEN;
    me->statistics.claims_gone += code == MF_EGONE;
    me->statistics.claims_failed += code != MF_ETAKEN && code != MF_EGONE;
    if (me->draining) {
        mf__task_free(task);
    } else if (code == MF_EDAMAGED) {
        refuse_record(task, "its record in the broker is damaged");
        task->damaged = true;
        mf__offers_defer(task, now + damaged_pause_us);
    } else if (code != MF_ETAKEN && code != MF_EGONE) {
        mf__offers_defer(task, now + failed_pause_us);
    } else if (task->offered_again) {
        mf__offers_put_back(task);
    } else {
        mf__task_free(task);
    }
}

static void learn(mf_task *task, int code)
{
    mf_consumer *me = task->consumer;
    int64_t now = mf_loop_now_us(me->loop);

    if (code == MF_OK)
        mf__flow_taken(&me->flow, 1, now);
    mf__flow_answered(&me->flow, task->candidate.asked_us, me->statistics.claiming, now);
}

/* A claim that got no such answer is asked for again. */
static void conclude_handover(mf_task *task, int code)
{
    if (!task->handed_over)
        return;
    if (code == MF_OK)
        mf__handover_returned(task);
    else if (code == MF_ETAKEN || code == MF_EGONE || code == MF_EDAMAGED)
        mf__handover_left(task);
}

void mf__task_granted(mf_task *task, int code)
{
    task->consumer->statistics.claiming--;
    task->damaged = false;
    learn(task, code);
    conclude_handover(task, code);
    if (code == MF_OK)
        granted(task);
    else
        not_granted(task, code);
}

void mf__task_stop(mf_task *task, mf_stop_reason reason)
{
    mf_consumer *me = task->consumer;
    mf_stop_reason before = mf__task_stop_reason(task);

    if (task->state != TASK_RUNNING || reason <= before)
        return;
    if (before == MF_STOP_NONE) {
        task->run.stopped_wall_us = mf_loop_wall_us(me->loop);
        me->statistics.stopping++;
    }
    me->statistics.lost += before < MF_STOP_EXPIRING && reason >= MF_STOP_EXPIRING;
    __atomic_store_n(&task->stop_reason, (uint8_t)reason, __ATOMIC_RELEASE);
    if (me->handler.run != NULL)
        mf__blocking_stop(task);
    else
        me->handler.stop(task, reason, me->handler.payload);
}

/* From the last to the first: a handler that ends within stop moves only those behind it. */
void mf__task_stop_all(mf_consumer *me, mf_stop_reason reason)
{
    for (size_t i = me->running_count; i-- > 0;)
        if (i < me->running_count)
            mf__task_stop(me->running[i], reason);
}

void mf__task_lease_expired(mf_task *task, int64_t deadline_us)
{
    mf_consumer *me = task->consumer;

    if (task->state != TASK_RUNNING || task->run.expired_us != 0)
        return;
    task->run.expired_us = deadline_us;
    me->overrunning++;
    mf_log(me->loop, MF_LOG_ERROR, "consumer", "task %s: its handler runs on after its lease",
           task->claim.id);
    if (me->on_overrun == MF_OVERRUN_ABORT)
        abort();
}

void mf_task_finish(mf_task *task, mf_outcome outcome)
{
    mf_consumer *me = task->consumer;

    assert(task->state == TASK_RUNNING);
    if (task->run.expired_us != 0) {
        me->statistics.overrun_seconds +=
            (double)(mf_loop_now_us(me->loop) - task->run.expired_us) / 1e6;
        me->overrunning--;
    }
    leave_running(task);
    end(task, outcome);
}

static void count_end(mf_task *task, int code)
{
    mf_consumer *me = task->consumer;

    if (code == MF_OK) {
        me->statistics.done += task->claim.outcome == MF_DONE;
        me->statistics.released += task->claim.outcome == MF_RELEASE;
        return;
    }
    me->statistics.late_endings++;
    if (mf__task_stop_reason(task) < MF_STOP_EXPIRING)
        mf_log(me->loop, MF_LOG_WARN, "consumer", "task %s: its %s came too late: %s",
               task->claim.id, task->claim.outcome == MF_DONE ? "end" : "release",
               mf_strerror(code));
}

/* Given back: others get first pick. Its hint is not told to who caused it. */
static void set_aside(mf_task *task, int64_t now)
{
    mf_consumer *me = task->consumer;

    mf__flow_offered(&me->flow, 1);
    task->candidate.offered_us = now;
    mf__offers_defer(task, now + me->reclaim_delay_us);
}

void mf__task_ended(mf_task *task, int code)
{
    mf_consumer *me = task->consumer;
    int64_t now = mf_loop_now_us(me->loop);

    bool given_back = code == MF_OK && task->claim.outcome == MF_RELEASE;

    me->ending_count--;
    count_end(task, code);
    if (task->handed_over && !given_back)
        mf__handover_left(task); /* done, or somebody else's */
    free(task->claim.properties);
    task->claim.properties = NULL;
    if (me->draining)
        mf__task_free(task);
    else if (task->bad_record)
        mf__offers_defer(task, now + damaged_pause_us);
    else if (given_back)
        set_aside(task, now);
    else if (task->offered_again)
        mf__offers_put_back(task);
    else
        mf__task_free(task);
}

/* What handlers may ask. */

const char *mf_task_id(const mf_task *task)
{
    return task->claim.id;
}

const char *mf_task_properties(const mf_task *task)
{
    return task->claim.properties;
}

uint64_t mf_task_fence(const mf_task *task)
{
    return task->claim.fence;
}

int64_t mf_task_lease_remaining(const mf_task *task)
{
    int64_t left = mf__claim_deadline_us(&task->claim) - mf_loop_now_us(task->consumer->loop);
    return left > 0 ? left / 1000 : 0;
}

bool mf_task_stopping(const mf_task *task)
{
    return mf__task_stop_reason(task) != MF_STOP_NONE ||
           mf__claim_deadline_us(&task->claim) - task->consumer->stop_grace_us <=
               mf_loop_now_us(task->consumer->loop);
}

mf_stop_reason mf_task_stop_reason(const mf_task *task)
{
    mf_stop_reason reason = mf__task_stop_reason(task);
    return reason == MF_STOP_NONE && mf_task_stopping(task) ? MF_STOP_EXPIRING : reason;
}

mf_consumer *mf_task_consumer(const mf_task *task)
{
    return task->consumer;
}

void mf_task_set_data(mf_task *task, void *data)
{
    task->run.data = data;
}

void *mf_task_memory(mf_task *task)
{
    return task + 1;
}

void *mf_task_data(const mf_task *task)
{
    return task->run.data;
}

const char *mf_stop_reason_text(mf_stop_reason reason)
{
    static const char *const texts[] = {"none",     "balance", "command", "shutdown",
                                        "expiring", "deleted", "lost"};
    return reason <= MF_STOP_LOST ? texts[reason] : "unknown";
}
