/* Handlers that run on a thread of their own. */
#include <stdlib.h>

#include "consumer/internal.h"
#include "loop/thread.h"

struct mf__blocking {
    mf_task *task;
    mf__thread thread;
    mf_outcome outcome;
};

/* Whose thread this is. */
static _Thread_local const mf_task *own_task;

static void run(void *arg)
{
    mf__blocking *blocking = arg;
    const mf_handler *handler = &blocking->task->consumer->handler;

    own_task = blocking->task;
    blocking->outcome = handler->run(blocking->task, handler->payload);
}

static void on_ended(void *arg)
{
    mf__blocking *blocking = arg;
    mf_task *task = blocking->task;
    mf_outcome outcome = blocking->outcome;

    task->run.blocking = NULL;
    free(blocking);
    mf_task_finish(task, outcome);
}

int mf__blocking_start(mf_task *task)
{
    const mf_consumer *me = task->consumer;
    mf__blocking *blocking = calloc(1, sizeof *blocking);

    if (blocking == NULL)
        return MF_ENOMEM;
    blocking->task = task;
    task->run.blocking = blocking;
    int code = mf__thread_start(&blocking->thread, me->loop, me->handler.stack_size, run, on_ended,
                                blocking);
    if (code != MF_OK) {
        task->run.blocking = NULL;
        free(blocking);
    }
    return code;
}

void mf__blocking_stop(mf_task *task)
{
    if (task->run.blocking != NULL)
        mf__thread_wake(&task->run.blocking->thread);
}

/* Until a stop is asked for, the time is over, or the lease comes near its end unrenewed. Another
 * thread is not woken, and may be the loop's: it does not wait. */
bool mf_task_wait_stop(mf_task *task, int timeout_ms)
{
    if (task != own_task)
        return mf_task_stopping(task);
    mf__thread *thread = &task->run.blocking->thread;
    mf_consumer *me = task->consumer;
    int64_t end_us =
        timeout_ms < 0 ? INT64_MAX : mf_loop_now_us(me->loop) + (int64_t)timeout_ms * 1000;

    pthread_mutex_lock(&thread->lock);
    while (!mf_task_stopping(task)) {
        int64_t now = mf_loop_now_us(me->loop);
        int64_t until = mf__claim_deadline_us(&task->claim) - me->stop_grace_us;
        if (now >= end_us)
            break;
        mf__thread_wait(thread, (until < end_us ? until : end_us) - now);
    }
    pthread_mutex_unlock(&thread->lock);
    return mf_task_stopping(task);
}

mf_handler mf_blocking_handler(mf_outcome (*fn)(mf_task *task, void *payload), void *payload)
{
    return (mf_handler){.version = MF_HANDLER_VERSION, .run = fn, .payload = payload};
}

mf_handler mf_evented_handler(void (*start)(mf_task *task, void *payload),
                              void (*stop)(mf_task *task, mf_stop_reason reason, void *payload),
                              void *payload)
{
    return (mf_handler){
        .version = MF_HANDLER_VERSION, .start = start, .stop = stop, .payload = payload};
}
