/* A blocking stateful handler: its thread, and the mailbox in which messages wait for it. */
#include <stdlib.h>

#include "loop/thread.h"
#include "state/machine.h"

struct mf__runner {
    mf__machine *machine;
    const mf_state_options *options;
    mf__thread thread;
    mf_message message, result;
    bool has_message; /* not received yet */
};

/* Whose thread this is; NULL: none's. */
static _Thread_local mf__runner *own_runner;

static void run(void *arg)
{
    mf__runner *me = arg;

    own_runner = me;
    me->result = me->options->run(mf__machine_task(me->machine), me->options->payload);
}

static void on_ended(void *arg)
{
    mf__runner *me = arg;
    mf__machine *machine = me->machine;
    mf_message result = me->result;

    machine->runner = NULL;
    if (me->has_message)
        mf__machine_not_received(machine, &me->message);
    free(me);
    mf__machine_returned(machine, &result);
}

int mf__runner_start(mf__machine *machine, const mf_state_options *options)
{
    mf_loop *loop = mf__machine_task(machine)->consumer->loop;
    mf__runner *me = calloc(1, sizeof *me);

    if (me == NULL)
        return MF_ENOMEM;
    me->machine = machine;
    me->options = options;
    machine->runner = me;
    int code = mf__thread_start(&me->thread, loop, options->stack_size, run, on_ended, me);
    if (code != MF_OK) {
        machine->runner = NULL;
        free(me);
    }
    return code;
}

void mf__runner_tell(mf__runner *me, const mf_message *message)
{
    pthread_mutex_lock(&me->thread.lock);
    me->message = *message;
    me->has_message = true;
    pthread_mutex_unlock(&me->thread.lock);
    mf__thread_wake(&me->thread);
}

void mf__runner_wake(mf__runner *me)
{
    mf__thread_wake(&me->thread);
}

/* A task that has to stop is told so even while the loop's thread is held up. */
static bool take(mf__runner *me, mf_message *message)
{
    if (mf_task_stopping(mf__machine_task(me->machine))) {
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
    mf__runner *me = own_runner;
    mf_loop *loop = task->consumer->loop;
    int64_t end_us = timeout_ms < 0 ? INT64_MAX : mf_loop_now_us(loop) + (int64_t)timeout_ms * 1000;
    bool taken;

    if (me == NULL || mf__machine_task(me->machine) != task)
        return false;
    pthread_mutex_lock(&me->thread.lock);
    while (!(taken = take(me, message))) {
        int64_t now = mf_loop_now_us(loop);
        int64_t until = mf__claim_deadline_us(&task->claim) - task->consumer->stop_grace_us;
        if (now >= end_us)
            break;
        mf__thread_wait(&me->thread, (until < end_us ? until : end_us) - now);
    }
    pthread_mutex_unlock(&me->thread.lock);
    return taken;
}
