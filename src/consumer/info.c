/* What a consumer tells of itself. */
#include <string.h>

#include "consumer/internal.h"

const mf_error *mf_consumer_error(const mf_consumer *me)
{
    return &me->error;
}

const char *mf_consumer_name(const mf_consumer *me)
{
    return me->name;
}

mf_loop *mf_consumer_loop(const mf_consumer *me)
{
    return me->loop;
}

int mf_consumer_lease_ms(const mf_consumer *me)
{
    return me->lease_ms;
}

mf_broker *mf_consumer_broker(const mf_consumer *me)
{
    return me->broker;
}

static double present_overrun_seconds(const mf_consumer *me)
{
    int64_t now = mf_loop_now_us(me->loop);
    double seconds = 0;

    if (me->overrunning == 0)
        return 0;
    for (size_t i = 0; i < me->running_count; i++)
        if (me->running[i]->run.expired_us != 0)
            seconds += (double)(now - me->running[i]->run.expired_us) / 1e6;
    return seconds;
}

/* A caller built with an older header has a shorter struct: no field is written past it. So far
 * there is one version. */
void mf_consumer_get_statistics(const mf_consumer *me, mf_consumer_statistics *out)
{
    int version = out->version;

    *out = me->statistics;
    out->version = version;
    out->overrun_seconds += present_overrun_seconds(me);
}

size_t mf_consumer_tasks(const mf_consumer *me, bool (*fn)(const mf_task_info *info, void *arg),
                         void *arg)
{
    for (size_t i = 0; i < me->running_count; i++) {
        const mf_task *task = me->running[i];
        mf_task_info info = {
            .id = task->claim.id,
            .fence = task->claim.fence,
            .started_wall_us = task->run.started_wall_us,
            .stopped_wall_us = task->run.stopped_wall_us,
            .lease_remaining_ms = mf_task_lease_remaining(task),
            .stop_reason = mf__task_stop_reason(task),
            .task = task,
        };
        if (!fn(&info, arg))
            return i + 1;
    }
    return me->running_count;
}
