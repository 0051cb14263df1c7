/* Why a task runs here, or not. */
#include "consumer/internal.h"

static const char *state_of(const mf_task *task)
{
    static const char *const names[] = {"offered", "held back", "claiming", "running", "ending"};

    if (task == NULL || task->bad_id)
        return "not known here";
    if (task->state == TASK_RUNNING && mf__task_stop_reason(task) != MF_STOP_NONE)
        return "stopping";
    return names[task->state];
}

void mf_consumer_explain(mf_consumer *me, const char *task_id, mf_explanation *out)
{
    const mf_task *task = mf__task_find(me, task_id);
    int64_t now = mf_loop_now_us(me->loop);

    *out = (mf_explanation){.version = out->version, .state = state_of(task)};
    if (task != NULL && task->state == TASK_DEFERRED && task->timer.due_us > now)
        out->wait_ms = (task->timer.due_us - now) / 1000;
    mf__balancing_explain(me, task_id, out->balance, sizeof out->balance);
}
