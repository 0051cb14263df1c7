/* A thread beside the loop's. */
#include "loop/thread.h"

#include <signal.h>
#include <time.h>

#include <metafora/error.h>

static const size_t default_stack_size = 256 * 1024;

static void clear(mf__thread *me)
{
    pthread_cond_destroy(&me->woken);
    pthread_mutex_destroy(&me->lock);
}

static void on_end(void *arg)
{
    mf__thread *me = arg;

    pthread_join(me->id, NULL);
    clear(me);
    me->ended(me->arg);
}

static void *run(void *arg)
{
    mf__thread *me = arg;

    me->run(me->arg);
    mf__loop_post_embedded(me->loop, &me->end, on_end, me);
    return NULL;
}

int mf__thread_spawn(pthread_t *out, size_t stack_size, void *(*run_fn)(void *arg), void *arg)
{
    pthread_attr_t attributes;
    sigset_t all, before;

    pthread_attr_init(&attributes);
    int failed =
        pthread_attr_setstacksize(&attributes, stack_size != 0 ? stack_size : default_stack_size);
    if (!failed) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        failed = pthread_create(out, &attributes, run_fn, arg);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    return failed ? MF_ESYSTEM : MF_OK;
}

void mf__condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

int mf__thread_start(mf__thread *me, mf_loop *loop, size_t stack_size, void (*run_fn)(void *arg),
                     void (*ended)(void *arg), void *arg)
{
    *me = (mf__thread){.loop = loop, .run = run_fn, .ended = ended, .arg = arg};
    pthread_mutex_init(&me->lock, NULL);
    mf__condition_init(&me->woken);
    int code = mf__thread_spawn(&me->id, stack_size, run, me);
    if (code != MF_OK)
        clear(me);
    return code;
}

void mf__thread_wake(mf__thread *me)
{
    pthread_mutex_lock(&me->lock);
    pthread_cond_broadcast(&me->woken);
    pthread_mutex_unlock(&me->lock);
}

/* There is no condition that waits by CLOCK_BOOTTIME, so none waits for long: after a suspension
 * the caller, who looks at the loop's clock again, is late by no more than this. */
static const int64_t longest_wait_us = 1000000;

void mf__condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t us)
{
    struct timespec at;

    if (us > longest_wait_us)
        us = longest_wait_us;
    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t ns = at.tv_nsec + us % 1000000 * 1000;
    at.tv_sec += (time_t)(us / 1000000 + ns / 1000000000);
    at.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(condition, lock, &at);
}

void mf__thread_wait(mf__thread *me, int64_t us)
{
    mf__condition_wait(&me->woken, &me->lock, us);
}
