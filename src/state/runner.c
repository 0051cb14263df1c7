/* A blocking stateful handler: its thread, and the mailbox in which messages wait for it. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "loop/loop.h"
#include "state/machine.h"

struct mf__runner {
    mf__machine *machine;
    const mf_state_options *options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t told;
    mf_message message, result;
    bool has_message; /* not received yet */
    mf_posted ended;
};

static const size_t default_stack_size = 256 * 1024;

static void free_runner(mf__runner *me)
{
    pthread_cond_destroy(&me->told);
    pthread_mutex_destroy(&me->lock);
    free(me);
}

static void on_ended(void *arg)
{
    mf__runner *me = arg;
    mf__machine *machine = me->machine;
    mf_message result = me->result;

    pthread_join(me->thread, NULL);
    machine->runner = NULL;
    if (me->has_message)
        mf__machine_not_received(machine, &me->message);
    free_runner(me);
    mf__machine_returned(machine, &result);
}

static void *run(void *arg)
{
    mf__runner *me = arg;
    mf_task *task = me->machine->task;
    mf_loop *loop = task->consumer->loop;

    me->result = me->options->run(task, me->options->payload);
    mf__loop_post_embedded(loop, &me->ended, on_ended, me);
    return NULL;
}

/* Signals are for the program's own threads. */
static int spawn(mf__runner *me)
{
    size_t stack_size = me->options->stack_size;
    pthread_attr_t attributes;
    sigset_t all, before;

    pthread_attr_init(&attributes);
    int failed =
        pthread_attr_setstacksize(&attributes, stack_size != 0 ? stack_size : default_stack_size);
    if (!failed) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        failed = pthread_create(&me->thread, &attributes, run, me);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    return failed ? MF_ESYSTEM : MF_OK;
}

int mf__runner_start(mf__machine *machine, const mf_state_options *options)
{
    pthread_condattr_t attributes;
    mf__runner *me = calloc(1, sizeof *me);

    if (me == NULL)
        return MF_ENOMEM;
    me->machine = machine;
    me->options = options;
    pthread_mutex_init(&me->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&me->told, &attributes);
    pthread_condattr_destroy(&attributes);
    machine->runner = me;
    int code = spawn(me);
    if (code != MF_OK) {
        machine->runner = NULL;
        free_runner(me);
    }
    return code;
}

void mf__runner_tell(mf__runner *me, const mf_message *message)
{
    pthread_mutex_lock(&me->lock);
    me->message = *message;
    me->has_message = true;
    pthread_cond_broadcast(&me->told);
    pthread_mutex_unlock(&me->lock);
}

void mf__runner_wake(mf__runner *me)
{
    pthread_mutex_lock(&me->lock);
    pthread_cond_broadcast(&me->told);
    pthread_mutex_unlock(&me->lock);
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

/* A task that has to stop is told so even while the loop's thread is held up. */
static bool take(mf__runner *me, mf_message *message)
{
    if (mf_task_stopping(me->machine->task)) {
        *message = mf_message_of(MF_MESSAGE_RELEASE);
        return true;
    }
    if (!me->has_message)
        return false;
    *message = me->message;
    me->has_message = false;
    return true;
}

/* Until a message is there, the time is over, or the lease comes near its end unrenewed. */
bool mf_task_receive(mf_task *task, int timeout_ms, mf_message *message)
{
    mf__runner *me = ((mf__machine *)task->machine)->runner;
    mf_loop *loop = task->consumer->loop;
    int64_t end_us = timeout_ms < 0 ? INT64_MAX : mf_loop_now_us(loop) + (int64_t)timeout_ms * 1000;
    bool taken;

    if (me == NULL)
        return false;
    pthread_mutex_lock(&me->lock);
    while (!(taken = take(me, message))) {
        int64_t now = mf_loop_now_us(loop);
        int64_t until = mf__claim_deadline_us(&task->claim) - task->consumer->stop_grace_us;
        if (now >= end_us)
            break;
        struct timespec at = monotonic_in((until < end_us ? until : end_us) - now);
        pthread_cond_timedwait(&me->told, &me->lock, &at);
    }
    pthread_mutex_unlock(&me->lock);
    return taken;
}
