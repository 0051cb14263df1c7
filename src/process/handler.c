/* The handler: its options, its guard, and the clock by which it tells the guard of renewals. */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"
#include "process/internal.h"

/* On a machine with too much to do the guard may wait its turn for a while. */
enum { LEAST_SILENT_MS = 5000, MOST_SILENT_MS = 30000, SILENT_AT_END_MS = 1000 };

enum { MOST_GRACE_MS = 86400000, LONGEST_PATH = PATH_MAX - 256 - 1 };

/* Attaching: the loop and the lease are known when the first task starts. */

static void on_lost(void *arg)
{
    mf__processes *me = arg;
    mf_error error;

    mf_error_set(&error, MF_ESYSTEM, "the guard process is gone");
    mf_consumer_fail(me->consumer, &error);
}

static const mf__guard_events guard_events = {
    .started = mf__job_started, .denied = mf__job_denied, .ended = mf__job_ended, .lost = on_lost};

static void on_tick(void *arg)
{
    mf__processes *me = arg;

    /* First: its place among the timers is still free, so it cannot fail. */
    mf_timer_start(me->loop, &me->tick, mf_loop_now_us(me->loop) + me->tick_us);
    for (mf__job *job = me->jobs.next; job != &me->jobs; job = job->next)
        mf__job_prolong(job);
    mf__guard_tick(me->guard, me->silent_ticks);
}

static int clamp(int value, int least, int most)
{
    return value < least ? least : value > most ? most : value;
}

static void set_times(mf__processes *me, int lease_ms)
{
    int grace_ms = me->options.stop_grace_ms != 0 ? me->options.stop_grace_ms : lease_ms / 8;
    int tick_ms = clamp(lease_ms / 20, 50, 500);

    me->stop_grace_us = (int64_t)grace_ms * 1000;
    me->tick_us = (int64_t)tick_ms * 1000;
    me->lead_us = (int64_t)clamp(lease_ms / 10, 200, 1000) * 1000;
    me->silent_ticks = clamp(lease_ms, LEAST_SILENT_MS, MOST_SILENT_MS) / tick_ms;
    me->silent_at_end_ticks = SILENT_AT_END_MS / tick_ms;
}

int mf__processes_attach(mf__processes *me, mf_consumer *consumer)
{
    mf_error error;

    if (me->loop != NULL)
        return me->attached ? 0 : -1;
    me->consumer = consumer;
    me->loop = mf_consumer_loop(consumer);
    set_times(me, mf_consumer_lease_ms(consumer));
    struct event_base *base = mf_loop_event_base(me->loop);
    if (base != NULL && mf__guard_attach(me->guard, base, &guard_events, me) == 0 &&
        mf_timer_start(me->loop, &me->tick, mf_loop_now_us(me->loop) + me->tick_us) == MF_OK) {
        mf_log(me->loop, MF_LOG_DEBUG, "process", "guard: process %d",
               (int)mf__guard_pid(me->guard));
        me->attached = true;
        return 0;
    }
    mf_error_set(&error, MF_ESYSTEM, "the guard process cannot be watched on this loop");
    mf_consumer_fail(consumer, &error);
    return -1;
}

/* What the consumer and the state machine call. */

static void start(mf_task *task, void *payload)
{
    mf__job_start(payload, task);
}

static void stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    mf_message release = mf_message_of(MF_MESSAGE_RELEASE);

    (void)payload;
    mf__job_stop(mf_task_data(task), &release, mf_stop_reason_text(reason));
}

static void on_message(mf_task *task, const mf_message *message, void *payload)
{
    mf_stop_reason reason = mf_task_stop_reason(task);

    (void)payload;
    if (message->code == MF_MESSAGE_RUN || message->code == MF_MESSAGE_CHECKPOINT)
        return;
    mf__job_stop(mf_task_data(task), message,
                 reason != MF_STOP_NONE ? mf_stop_reason_text(reason)
                                        : mf_message_text(message->code));
}

static mf_message on_error(mf_task *task, const mf_state *state, size_t *keep, void *payload)
{
    mf__processes *me = payload;
    return me->on_error(task, state, keep, me->states_payload);
}

/* Making and freeing. */

static void free_processes(void *payload)
{
    mf__processes *me = payload;

    if (me->loop != NULL)
        mf_timer_stop(me->loop, &me->tick);
    mf__guard_close(me->guard);
    if (me->options.free != NULL)
        me->options.free(me->options.payload);
    if (me->free_states != NULL)
        me->free_states(me->states_payload);
    free((char *)me->options.output_directory);
    free((char *)me->options.event_log);
    free(me);
}

/* A file in the directory has a name of up to 255 bytes. */
static int check_path(const char *field, const char *path, mf_error *error)
{
    if (path == NULL)
        return MF_OK;
    if (*path == '\0')
        return mf_error_set(error, MF_EINVAL, "%s: empty", field);
    if (strlen(path) > LONGEST_PATH)
        return mf_error_set(error, MF_EINVAL, "%s: longer than %d bytes", field, LONGEST_PATH);
    return MF_OK;
}

static int check(const mf_process_options *options, mf_error *error)
{
    if (options->version != MF_PROCESS_OPTIONS_VERSION)
        return mf_error_set(error, MF_EINVAL, "options: version %d is not known", options->version);
    if (options->stop_signal < 0 || options->stop_signal > SIGRTMAX)
        return mf_error_set(error, MF_EINVAL, "stop_signal: %d is not between 1 and %d",
                            options->stop_signal, SIGRTMAX);
    if (options->stop_grace_ms < 0 || options->stop_grace_ms > MOST_GRACE_MS)
        return mf_error_set(error, MF_EINVAL, "stop_grace_ms: %d is not between 1 and %d",
                            options->stop_grace_ms, MOST_GRACE_MS);
    if (check_path("output_directory", options->output_directory, error) != MF_OK)
        return MF_EINVAL;
    return check_path("event_log", options->event_log, error);
}

static int copy(const char **string)
{
    const char *from = *string;

    *string = from != NULL ? strdup(from) : NULL;
    return from == NULL || *string != NULL ? MF_OK : MF_ENOMEM;
}

static int copy_options(mf__processes *me, const mf_process_options *options)
{
    me->options = *options;
    if (me->options.stop_signal == 0)
        me->options.stop_signal = SIGTERM;
    int directory = copy(&me->options.output_directory);
    return copy(&me->options.event_log) == MF_OK ? directory : MF_ENOMEM;
}

static mf__processes *make(const mf_process_options *options, mf_error *error, int *code)
{
    mf__processes *me = calloc(1, sizeof *me);

    *code = MF_ENOMEM;
    if (me == NULL || copy_options(me, options) != MF_OK)
        mf_error_set(error, MF_ENOMEM, "process handler: out of memory");
    else if ((*code = check(options, error)) == MF_OK)
        *code = mf__guard_spawn(&me->guard, options->event_log, options->output_directory != NULL,
                                error);
    if (me == NULL)
        return NULL;
    me->jobs.next = me->jobs.previous = &me->jobs;
    mf_timer_init(&me->tick, on_tick, me);
    return me;
}

/* For mf_consumer_open to refuse. What the options brought is freed. */
static mf_handler refused(int code, mf__processes *me, const mf_process_options *options)
{
    if (me != NULL)
        free_processes(me);
    else if (options->free != NULL)
        options->free(options->payload);
    return (mf_handler){.version = code};
}

mf_handler mf_process_handler(const mf_process_options *options, mf_error *error)
{
    int code;
    mf__processes *me = make(options, error, &code);

    if (code == MF_OK) {
        mf_handler handler = mf_evented_handler(start, stop, me);
        handler.free = free_processes;
        return handler;
    }
    return refused(code, me, options);
}

static void take_states(mf__processes *me, mf_state_options *states)
{
    me->stateful = true;
    me->on_error = states->on_error;
    me->free_states = states->free;
    me->states_payload = states->payload;
    states->start = start;
    states->on_message = on_message;
    states->on_error = states->on_error != NULL ? on_error : NULL;
    states->free = free_processes;
    states->payload = me;
}

/* Its payload is freed with the handler that is made, whether that is good or not. */
static mf_handler make_stateful(mf__processes *me, const mf_state_options *states, mf_error *error)
{
    mf_state_options own = *states;

    take_states(me, &own);
    mf_handler handler = mf_stateful_handler(&own);
    if (handler.version < 0)
        mf_error_set(error, handler.version, "states: %s",
                     handler.refusal != NULL ? handler.refusal : mf_strerror(handler.version));
    return handler;
}

mf_handler mf_process_stateful_handler(const mf_process_options *options,
                                       const mf_state_options *states, mf_error *error)
{
    int code;
    mf__processes *me = NULL;

    if (states->run != NULL || states->start != NULL || states->on_message != NULL)
        code = mf_error_set(error, MF_EINVAL, "states: run, start and on_message must be NULL");
    else
        me = make(options, error, &code);
    if (code == MF_OK)
        return make_stateful(me, states, error);
    if (states->free != NULL)
        states->free(states->payload);
    return refused(code, me, options);
}
