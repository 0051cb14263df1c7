/* Handlers that run on a thread of their own. */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "consumer/internal.h"
#include "loop/loop.h"

struct mf__blocking {
    mf_task *task;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    mf_outcome outcome;
    mf_posted ended;
};

static const size_t default_stack_size = 256 * 1024;

static void free_blocking(mf__blocking *blocking)
{
    pthread_cond_destroy(&blocking->stopped);
    pthread_mutex_destroy(&blocking->lock);
    free(blocking);
}

static void on_ended(void *arg)
{
    mf__blocking *blocking = arg;
    mf_task *task = blocking->task;
    mf_outcome outcome = blocking->outcome;

    pthread_join(blocking->thread, NULL);
    task->blocking = NULL;
    free_blocking(blocking);
    mf_task_finish(task, outcome);
}

static void *run(void *arg)
{
    mf__blocking *blocking = arg;
    mf_task *task = blocking->task;
    mf_consumer *me = task->consumer;

    blocking->outcome = me->handler.run(task, me->handler.payload);
    mf__loop_post_embedded(me->loop, &blocking->ended, on_ended, blocking);
    return NULL;
}

/* Signals are for the program's own threads. */
static int spawn(mf__blocking *blocking, size_t stack_size)
{
    pthread_attr_t attributes;
    sigset_t all, before;

    pthread_attr_init(&attributes);
    int failed =
        pthread_attr_setstacksize(&attributes, stack_size != 0 ? stack_size : default_stack_size);
    if (!failed) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        failed = pthread_create(&blocking->thread, &attributes, run, blocking);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    return failed ? MF_ESYSTEM : MF_OK;
}

int mf__blocking_start(mf_task *task)
{
    pthread_condattr_t attributes;
    mf__blocking *blocking = calloc(1, sizeof *blocking);

    if (blocking == NULL)
        return MF_ENOMEM;
    blocking->task = task;
    pthread_mutex_init(&blocking->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&blocking->stopped, &attributes);
    pthread_condattr_destroy(&attributes);
    task->blocking = blocking;
    int code = spawn(blocking, task->consumer->handler.stack_size);
    if (code != MF_OK) {
        task->blocking = NULL;
        free_blocking(blocking);
    }
    return code;
}

void mf__blocking_stop(mf_task *task)
{
    if (task->blocking == NULL)
        return;
    pthread_mutex_lock(&task->blocking->lock);
    pthread_cond_broadcast(&task->blocking->stopped);
    pthread_mutex_unlock(&task->blocking->lock);
}

static struct timespec monotonic_in(int64_t us)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t ns = at.tv_nsec + us % 1000000 * 1000;
    at.tv_sec += (time_t)(us / 1000000 + ns / 1000000000);
    at.tv_nsec = (long)(ns % 1000000000);
    return at;
}

/* Until a stop is asked for, the time is over, or the lease comes near its end unrenewed. */
bool mf__blocking_wait(mf_task *task, int timeout_ms)
{
    mf__blocking *blocking = task->blocking;
    mf_consumer *me = task->consumer;
    int64_t end_us =
        timeout_ms < 0 ? INT64_MAX : mf_loop_now_us(me->loop) + (int64_t)timeout_ms * 1000;

    pthread_mutex_lock(&blocking->lock);
    while (!mf_task_stopping(task)) {
        int64_t now = mf_loop_now_us(me->loop);
        int64_t until = mf__claim_deadline_us(&task->claim) - me->stop_grace_us;
        if (now >= end_us)
            break;
        struct timespec at = monotonic_in((until < end_us ? until : end_us) - now);
        pthread_cond_timedwait(&blocking->stopped, &blocking->lock, &at);
    }
    pthread_mutex_unlock(&blocking->lock);
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
