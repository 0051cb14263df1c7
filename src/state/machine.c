/* The state machine of a task: what is done in each state, and what messages make of it. */
#include "state/machine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Clocks may be set: a long sleep looks at the wall's from time to time. */
static const int64_t longest_rest_us = INT64_C(3600) * 1000000;
/* What is left of a lease when a write is given up, so that the task is not held beyond it. */
static const int64_t give_up_us = 50000;
enum { release_pause_default_ms = 10000 };

static const mf_state_options *options_of(const mf__machine *me)
{
    return &((const mf__stateful *)mf__machine_task(me)->consumer->handler.payload)->options;
}

static mf_loop *loop_of(const mf__machine *me)
{
    return mf__machine_task(me)->consumer->loop;
}

static void settle(mf__machine *me);
static void transition(mf__machine *me, const mf_message *message);

static void drop_request(mf__machine *me)
{
    if (me->request != NULL)
        mf__coordinator_drop(mf__machine_task(me)->consumer->coordinator, me->request);
    me->request = NULL;
}

static void finish(mf__machine *me, mf_outcome outcome)
{
    mf_task *task = mf__machine_task(me);

    assert(me->runner == NULL);
    drop_request(me);
    mf_timer_stop(loop_of(me), &task->timer);
    mf_state_clear(&me->state);
    free(me->waiting);
    mf_task_finish(task, outcome);
}

static int rest(mf__machine *me, mf__phase phase, int64_t due_us)
{
    me->phase = (uint8_t)phase;
    return mf_timer_start(loop_of(me), &mf__machine_task(me)->timer, due_us);
}

/* The task cannot go on here for now; others need not find that out at once as well. */
static void give_up(mf__machine *me, const char *why)
{
    int pause = options_of(me)->release_pause_ms;
    int64_t now = mf_loop_now_us(loop_of(me));

    mf_log(loop_of(me), MF_LOG_WARN, "state", "task %s is given back: %s",
           mf_task_id(mf__machine_task(me)), why);
    if (me->stopping ||
        rest(me, MF_PHASE_STUCK,
             now + (pause != 0 ? pause : release_pause_default_ms) * INT64_C(1000)) != MF_OK)
        finish(me, MF_RELEASE);
}

/* Writing. */

static void on_stored(void *arg, int code, const char *json, size_t length)
{
    mf__machine *me = arg;

    (void)json;
    (void)length;
    me->request = NULL;
    mf_timer_stop(loop_of(me), &mf__machine_task(me)->timer);
    if (code == MF_OK)
        settle(me);
    else if (code == MF_ELATE || code == MF_EGONE)
        finish(me, MF_RELEASE);
    else
        give_up(me, mf_strerror(code));
}

/* While the lease cannot be renewed the write is waited for only as long as the lease lasts. */
static void limit_wait(mf__machine *me)
{
    int64_t deadline = mf__claim_deadline_us(&mf__machine_task(me)->claim) - give_up_us;

    if (mf_timer_start(loop_of(me), &mf__machine_task(me)->timer, deadline) != MF_OK)
        finish(me, MF_RELEASE);
}

static bool is_lost(const mf__machine *me)
{
    mf_stop_reason reason = mf__task_stop_reason(mf__machine_task(me));
    return reason == MF_STOP_LOST || reason == MF_STOP_DELETED;
}

/* `json` NULL: only the message is acknowledged. */
static void store(mf__machine *me, char *json)
{
    mf_consumer *consumer = mf__machine_task(me)->consumer;
    uint64_t acknowledged = me->unread ? me->number : 0;

    mf_timer_stop(loop_of(me), &mf__machine_task(me)->timer);
    if (is_lost(me)) {
        free(json);
        finish(me, MF_RELEASE);
        return;
    }
    me->phase = MF_PHASE_STORING;
    me->unread = false;
    me->request = mf__coordinator_store(consumer->coordinator, &mf__machine_task(me)->claim, json,
                                        acknowledged, on_stored, me);
    if (me->request == NULL)
        give_up(me, mf_strerror(MF_ENOMEM));
    else if (mf__task_stop_reason(mf__machine_task(me)) == MF_STOP_EXPIRING)
        limit_wait(me);
}

static void save(mf__machine *me)
{
    mf_error error;
    char *json;

    if (mf_state_format(&json, &me->state, &error) == MF_OK)
        store(me, json);
    else
        give_up(me, error.text);
}

/* Transitions. */

/* A state and what one wrote of it; a message changes nothing else. */
static bool leaves_state(const mf_message *message)
{
    return message->code == MF_MESSAGE_RELEASE || message->code == MF_MESSAGE_CHECKPOINT;
}

/* MF_OK, or MF_EINVAL: the message means nothing in this state, not even an error. */
static int apply(mf__machine *me, const mf_message *message)
{
    mf_time now = mf_time_from_wall_us(mf_loop_wall_us(loop_of(me)));
    mf_error error;
    int code = mf_state_apply(&me->state, message, &now, &error);

    if (code == MF_EINVAL) {
        mf_message fault = mf_message_error("%s", error.text);
        mf_log(loop_of(me), MF_LOG_WARN, "state", "task %s: %s", mf_task_id(mf__machine_task(me)),
               error.text);
        code = mf_state_apply(&me->state, &fault, &now, NULL);
    }
    if (code == MF_OK && me->state.code == MF_STATE_FAULT)
        code = mf__errors_settle(me, options_of(me), &now);
    return code;
}

/* A write that says nothing new is left out, but not a checkpoint that asks for one. */
static void transition(mf__machine *me, const mf_message *message)
{
    mf_timer_stop(loop_of(me), &mf__machine_task(me)->timer);
    int code = apply(me, message);

    if (code == MF_ENOMEM) {
        give_up(me, mf_strerror(MF_ENOMEM));
        return;
    }
    bool changed = code == MF_OK && !leaves_state(message);
    if (me->stopping && message->code == MF_MESSAGE_RELEASE)
        me->unread = false; /* for the next owner: here the stop came in between */
    me->releasing |= message->code == MF_MESSAGE_RELEASE;
    if (changed || message->code == MF_MESSAGE_CHECKPOINT)
        save(me);
    else if (me->unread)
        store(me, NULL);
    else
        settle(me);
}

/* Waits until the machine can take it; without memory the task is given back, since it comes again
 * only to the next owner. */
static void keep_waiting(mf__machine *me, const mf_message *message)
{
    if (me->waiting == NULL)
        me->waiting = malloc(sizeof *me->waiting);
    if (me->waiting != NULL)
        *me->waiting = *message;
    else
        me->releasing = true;
    me->unread = false;
}

void mf__machine_not_received(mf__machine *me, const mf_message *message)
{
    me->unread = false;
    if (!me->stopping)
        keep_waiting(me, message);
}

void mf__machine_returned(mf__machine *me, const mf_message *message)
{
    mf_message copy = *message;

    assert(me->phase == MF_PHASE_RUNNING);
    me->phase = MF_PHASE_RESTING;
    transition(me, &copy);
}

void mf_task_return(mf_task *task, const mf_message *message)
{
    mf__machine_returned(mf_task_memory(task), message);
}

/* Being in a state. */

static void run(mf__machine *me)
{
    const mf_state_options *o = options_of(me);

    me->phase = MF_PHASE_RUNNING;
    if (o->start != NULL)
        o->start(mf__machine_task(me), o->payload);
    else if (mf__runner_start(me, o) != MF_OK)
        give_up(me, "no thread to run it on");
}

static void sleep_on(mf__machine *me)
{
    int64_t left = mf_time_to_wall_us(&me->state.until) - mf_loop_wall_us(loop_of(me));
    mf_message wake = mf_message_of(MF_MESSAGE_RUN);

    if (left <= 0) {
        transition(me, &wake);
        return;
    }
    int64_t due = mf_loop_now_us(loop_of(me)) + (left < longest_rest_us ? left : longest_rest_us);
    if (rest(me, MF_PHASE_RESTING, due) != MF_OK)
        finish(me, MF_RELEASE);
}

static void take_waiting(mf__machine *me)
{
    mf_message message = *me->waiting;

    free(me->waiting);
    me->waiting = NULL;
    me->unread = true;
    transition(me, &message);
}

/* Another library's node left the task in this state, between two writes. */
static void leave_found_fault(mf__machine *me)
{
    mf_time now = mf_time_from_wall_us(mf_loop_wall_us(loop_of(me)));

    if (mf__errors_settle(me, options_of(me), &now) == MF_OK)
        save(me);
    else
        give_up(me, mf_strerror(MF_ENOMEM));
}

static void settle(mf__machine *me)
{
    if (mf_state_is_terminal(me->state.code))
        finish(me, MF_DONE);
    else if (me->stopping || me->releasing)
        finish(me, MF_RELEASE);
    else if (me->waiting != NULL)
        take_waiting(me);
    else if (me->state.code == MF_STATE_RUNNABLE)
        run(me);
    else if (me->state.code == MF_STATE_SLEEPING)
        sleep_on(me);
    else if (me->state.code == MF_STATE_PAUSED)
        me->phase = MF_PHASE_RESTING;
    else
        leave_found_fault(me);
}

static void on_timer(void *arg)
{
    mf__machine *me = mf_task_memory(arg);

    if (me->phase == MF_PHASE_RESTING)
        sleep_on(me);
    else
        finish(me, MF_RELEASE); /* stuck, or out of time to write */
}

/* Starting. */

static void fail_for_good(mf__machine *me, const char *json, size_t length, const mf_error *why)
{
    mf_message fault = mf_message_error("the state in the broker is damaged: %s", why->text);
    mf_time now = mf_time_from_wall_us(mf_loop_wall_us(loop_of(me)));

    mf_log(loop_of(me), MF_LOG_ERROR, "state", "task %s has failed: %s: %.*s",
           mf_task_id(mf__machine_task(me)), fault.error, length < 200 ? (int)length : 200, json);
    if (mf_state_apply(&me->state, &fault, &now, NULL) != MF_OK) {
        give_up(me, mf_strerror(MF_ENOMEM));
        return;
    }
    me->state.code = MF_STATE_FAILED;
    save(me);
}

static void on_loaded(void *arg, int code, const char *json, size_t length)
{
    mf__machine *me = arg;
    mf_error error;

    me->request = NULL;
    if (code == MF_OK && json != NULL)
        code = mf_state_parse(&me->state, json, length, &error);
    if (code == MF_OK)
        settle(me);
    else if (code == MF_EINVAL && json != NULL)
        fail_for_good(me, json, length, &error);
    else
        give_up(me, mf_strerror(code));
}

static void start(mf_task *task, void *payload)
{
    mf__machine *me = mf_task_memory(task);

    (void)payload;
    me->phase = MF_PHASE_LOADING;
    mf_timer_init(&task->timer, on_timer, task);
    me->request =
        mf__coordinator_load(task->consumer->coordinator, mf_task_id(task), on_loaded, me);
    if (me->request == NULL)
        finish(me, MF_RELEASE);
}

/* What comes from outside. */

static void tell_handler(mf__machine *me, const mf_message *message)
{
    const mf_state_options *o = options_of(me);

    if (me->runner != NULL)
        mf__runner_tell(me->runner, message);
    else
        o->on_message(mf__machine_task(me), message, o->payload);
}

static void stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    mf__machine *me = mf_task_memory(task);
    mf_message release = mf_message_of(MF_MESSAGE_RELEASE);

    (void)payload;
    me->stopping = true;
    if (me->phase == MF_PHASE_RUNNING && me->runner != NULL)
        mf__runner_wake(me->runner);
    else if (me->phase == MF_PHASE_RUNNING)
        tell_handler(me, &release);
    else if (me->phase != MF_PHASE_STORING || is_lost(me))
        finish(me, MF_RELEASE);
    else if (reason == MF_STOP_EXPIRING)
        limit_wait(me);
}

static void take_message(mf__machine *me, const mf_message *message)
{
    if (me->phase == MF_PHASE_RUNNING)
        tell_handler(me, message);
    else if (me->phase == MF_PHASE_RESTING)
        transition(me, message);
    else
        keep_waiting(me, message);
}

/* There was no memory to read it: the next owner will. */
static void leave_unread(mf__machine *me)
{
    mf_message release = mf_message_of(MF_MESSAGE_RELEASE);

    me->unread = false;
    me->releasing = true;
    if (me->phase == MF_PHASE_RUNNING)
        tell_handler(me, &release);
    else if (me->phase == MF_PHASE_RESTING)
        finish(me, MF_RELEASE);
}

static void on_message(mf_task *task, uint64_t number, const char *json, size_t length,
                       void *payload)
{
    mf__machine *me = mf_task_memory(task);
    mf_message message;
    mf_error error;

    (void)payload;
    if (number <= me->number || me->stopping)
        return;
    me->number = number;
    me->unread = true;
    int code = mf_message_parse(&message, json, length, &error);
    if (code == MF_OK)
        take_message(me, &message);
    else if (code == MF_ENOMEM)
        leave_unread(me);
    if (code != MF_EINVAL)
        return;
    mf_log(loop_of(me), MF_LOG_WARN, "state", "task %s: a message is ignored: %s", mf_task_id(task),
           error.text);
    if (me->phase == MF_PHASE_RESTING)
        store(me, NULL);
}

const mf_state *mf_task_state(const mf_task *task)
{
    return &((const mf__machine *)(task + 1))->state;
}

/* The handler. */

static void free_stateful(void *payload)
{
    mf__stateful *me = payload;

    if (me->options.free != NULL)
        me->options.free(me->options.payload);
    free(me);
}

static mf_handler refused(int code, const char *fault, const mf_state_options *options)
{
    return (mf_handler){
        .version = code, .free = options->free, .payload = options->payload, .refusal = fault};
}

mf_handler mf_stateful_handler(const mf_state_options *options)
{
    const char *fault = mf__state_options_fault(options);
    mf__stateful *me = fault == NULL ? malloc(sizeof *me) : NULL;

    if (me == NULL)
        return refused(fault != NULL ? MF_EINVAL : MF_ENOMEM, fault, options);
    me->options = *options;
    return (mf_handler){.version = MF_HANDLER_VERSION,
                        .start = start,
                        .stop = stop,
                        .free = free_stateful,
                        .payload = me,
                        .memory_size = sizeof(mf__machine),
                        .message = on_message};
}
