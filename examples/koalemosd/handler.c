/* Tasks as OS processes: start, stop with a grace, prolong, end. */
#include "handler.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

#include "command.h"
#include "events.h"
#include "task_log.h"

/* On a machine with too much to do the guard may wait its turn for a while. */
enum { LEAST_SILENT_MS = 5000, MOST_SILENT_MS = 30000, SILENT_AT_END_TICKS = 2 };

typedef struct koa_job {
    process_handler *handler;
    mf_task *task;
    uint32_t slot;
    bool stopped;        /* a signal was sent */
    bool killed;         /* SIGKILL was */
    int64_t deadline_us; /* of the lease, as the guard was last told */
    char *log_path;
    mf_timer kill_timer;
    struct koa_job *next, *previous;
} koa_job;

struct process_handler {
    mf_loop *loop;
    koa_guard *guard;
    koa_event_log events;
    char *log_directory;
    int64_t kill_grace_us, tick_us;
    int64_t lead_us;  /* the guard kills this long before a lease ends */
    int silent_ticks; /* after which a guard that says nothing is given up */
    mf_timer tick;
    koa_job jobs; /* list head */
    void (*on_guard_lost)(void *arg);
    void *arg;
};

/* The clock is read first, so that the deadline is never too late. */
static int64_t lease_deadline_us(const mf_task *task)
{
    int64_t now = steady_us();
    return now + mf_task_lease_remaining(task) * 1000;
}

static void log_task(const process_handler *handler, const char *name, const mf_task *task,
                     int64_t deadline_us, const char *detail)
{
    koa_event event = {.name = name,
                       .task = mf_task_id(task),
                       .fence = mf_task_fence(task),
                       .deadline_us = deadline_us,
                       .detail = detail};
    event_log_write(&handler->events, &event);
}

static void finish_task(process_handler *handler, mf_task *task, mf_outcome outcome)
{
    log_task(handler, outcome == MF_DONE ? "done" : "released", task, lease_deadline_us(task),
             NULL);
    mf_task_finish(task, outcome);
}

static void free_job(koa_job *job)
{
    mf_timer_stop(job->handler->loop, &job->kill_timer);
    if (job->next != NULL) {
        job->next->previous = job->previous;
        job->previous->next = job->next;
    }
    free(job->log_path);
    free(job);
}

/* SIGKILL; and if the guard, too, does nothing by the end of the lease, the guard itself, with
 * which all its commands die. */
static void kill_job(void *arg)
{
    koa_job *job = arg;
    mf_loop *loop = job->handler->loop;
    int64_t end_us = lease_deadline_us(job->task) - job->handler->lead_us / 2;

    if (!job->killed)
        guard_signal(job->handler->guard, job->slot, SIGKILL);
    else if (steady_us() >= end_us && guard_is_silent(job->handler->guard, SILENT_AT_END_TICKS))
        guard_abandon(job->handler->guard);
    job->killed = true;
    int64_t soonest_us = mf_loop_now_us(loop) + job->handler->tick_us;
    mf_timer_start(loop, &job->kill_timer, end_us > soonest_us ? end_us : soonest_us);
}

static koa_job *make_job(process_handler *handler, mf_task *task)
{
    koa_job *made = calloc(1, sizeof *made);
    if (made == NULL)
        return NULL;
    made->handler = handler;
    made->task = task;
    mf_timer_init(&made->kill_timer, kill_job, made);
    made->log_path = task_log_path(handler->log_directory, mf_task_id(task));
    if (made->log_path == NULL) {
        free(made);
        return NULL;
    }
    return made;
}

/* Properties that are no command will never be one: giving them back would send them round the
 * cluster for ever. */
static void refuse(koa_job *job, const char *why)
{
    mf_log(job->handler->loop, MF_LOG_ERROR, "koalemosd", "task %s: %s", mf_task_id(job->task),
           why);
    task_log_note(job->log_path, "not run: %s", why);
    finish_task(job->handler, job->task, MF_DONE);
    free_job(job);
}

/* It is this node that cannot run it, now. */
static void give_back(koa_job *job, const char *what, int number)
{
    mf_log(job->handler->loop, MF_LOG_ERROR, "koalemosd", "task %s: %s: %s", mf_task_id(job->task),
           what, strerror(number));
    finish_task(job->handler, job->task, MF_RELEASE);
    free_job(job);
}

static void launch(koa_job *job, char **arguments)
{
    process_handler *handler = job->handler;
    guard_command command = {.task = mf_task_id(job->task),
                             .fence = mf_task_fence(job->task),
                             .deadline_us = job->deadline_us - handler->lead_us,
                             .output = job->log_path,
                             .arguments = arguments};

    if (task_log_note(job->log_path, "%s, fence %" PRIu64 ": %s", handler->events.node,
                      command.fence, mf_task_properties(job->task)) != 0) {
        give_back(job, job->log_path, errno);
        return;
    }
    if (guard_start(handler->guard, &command, job, &job->slot) != 0) {
        give_back(job, "guard", ENOMEM);
        return;
    }
    job->next = &handler->jobs;
    job->previous = handler->jobs.previous;
    job->previous->next = job->next->previous = job;
    mf_task_set_data(job->task, job);
}

static void start(mf_task *task, void *payload)
{
    process_handler *handler = payload;
    char **arguments;
    char why[128];
    koa_job *job = make_job(handler, task);

    log_task(handler, "claimed", task, lease_deadline_us(task), NULL);
    if (job == NULL) {
        finish_task(handler, task, MF_RELEASE);
        return;
    }
    job->deadline_us = lease_deadline_us(task);
    if (command_parse(&arguments, mf_task_properties(task), why, sizeof why) != 0) {
        refuse(job, why);
        return;
    }
    launch(job, arguments);
    command_free(arguments);
}

/* SIGINT, then SIGKILL after the grace, or just before the lease ends. A task that may run
 * elsewhere already has no grace. */
static void stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    process_handler *handler = payload;
    koa_job *job = mf_task_data(task);
    int64_t now = steady_us();
    int64_t last = lease_deadline_us(task) - 3 * handler->lead_us / 2;
    int64_t due = now + handler->kill_grace_us;

    log_task(handler, "stopping", task, lease_deadline_us(task), mf_stop_reason_text(reason));
    if (!job->stopped)
        guard_signal(handler->guard, job->slot, SIGINT);
    if (reason == MF_STOP_LOST)
        due = now;
    else if (reason == MF_STOP_EXPIRING && last < due)
        due = last;
    if (due <= now && !job->killed)
        kill_job(job);
    else if (!job->stopped || due < job->kill_timer.due_us)
        mf_timer_start(handler->loop, &job->kill_timer, due);
    job->stopped = true;
}

static void on_started(void *process, pid_t pid)
{
    koa_job *job = process;
    mf_log(job->handler->loop, MF_LOG_DEBUG, "koalemosd", "task %s: process %d",
           mf_task_id(job->task), (int)pid);
}

static void on_ended(void *process, const ended_report *end)
{
    koa_job *job = process;
    mf_outcome outcome = end->cause == END_OWN && !job->stopped ? MF_DONE : MF_RELEASE;
    bool clean = end->cause == END_OWN && (job->stopped || end->status == 0);
    char how[128];

    end_describe(end, how, sizeof how);
    mf_log(job->handler->loop, clean ? MF_LOG_INFO : MF_LOG_WARN, "koalemosd", "task %s: %s%s",
           mf_task_id(job->task), how, job->stopped ? ", stopped" : "");
    task_log_note(job->log_path, "%s, fence %" PRIu64 ": %s%s", job->handler->events.node,
                  mf_task_fence(job->task), how, job->stopped ? ", stopped" : "");
    finish_task(job->handler, job->task, outcome);
    free_job(job);
}

static void on_lost(void *arg)
{
    process_handler *handler = arg;
    mf_log(handler->loop, MF_LOG_ERROR, "koalemosd", "the guard process is gone");
    if (handler->on_guard_lost != NULL)
        handler->on_guard_lost(handler->arg);
}

static const guard_events guard_callbacks = {
    .started = on_started, .ended = on_ended, .lost = on_lost};

static void prolong(koa_job *job)
{
    int64_t deadline_us = lease_deadline_us(job->task);
    if (mf_task_lease_remaining(job->task) == 0 ||
        deadline_us < job->deadline_us + job->handler->tick_us)
        return;
    job->deadline_us = deadline_us;
    guard_renew(job->handler->guard, job->slot, deadline_us - job->handler->lead_us);
    log_task(job->handler, "renewed", job->task, deadline_us, NULL);
}

static void on_tick(void *arg)
{
    process_handler *handler = arg;

    for (koa_job *job = handler->jobs.next; job != &handler->jobs; job = job->next)
        prolong(job);
    guard_tick(handler->guard, handler->silent_ticks);
    mf_timer_start(handler->loop, &handler->tick, mf_loop_now_us(handler->loop) + handler->tick_us);
}

static void free_handler(void *payload)
{
    process_handler *handler = payload;

    mf_timer_stop(handler->loop, &handler->tick);
    event_log_close(&handler->events);
    free(handler->log_directory);
    free(handler);
}

static int clamp(int value, int least, int most)
{
    return value < least ? least : value > most ? most : value;
}

static void set_times(process_handler *handler, const process_handler_options *options)
{
    int lease_ms = options->lease_ms;
    int grace_ms = options->kill_grace_ms != 0 ? options->kill_grace_ms : lease_ms / 8;
    int tick_ms = clamp(lease_ms / 20, 50, 500);

    handler->kill_grace_us = (int64_t)grace_ms * 1000;
    handler->tick_us = (int64_t)tick_ms * 1000;
    handler->lead_us = (int64_t)clamp(lease_ms / 10, 200, 1000) * 1000;
    handler->silent_ticks = clamp(lease_ms, LEAST_SILENT_MS, MOST_SILENT_MS) / tick_ms;
}

int process_handler_new(process_handler **out, const process_handler_options *options,
                        koa_guard *guard, struct event_base *base, mf_loop *loop, mf_error *error)
{
    process_handler *made = calloc(1, sizeof *made);
    if (made == NULL)
        return mf_error_set(error, MF_ENOMEM, "out of memory");
    made->loop = loop;
    made->guard = guard;
    made->on_guard_lost = options->on_guard_lost;
    made->arg = options->arg;
    made->jobs.next = made->jobs.previous = &made->jobs;
    set_times(made, options);
    mf_timer_init(&made->tick, on_tick, made);

    made->log_directory = strdup(options->log_directory);
    if (event_log_open(&made->events, options->events_path, options->node) != 0) {
        mf_error_set(error, MF_ESYSTEM, "%s: %s", options->events_path, strerror(errno));
        free_handler(made);
        return MF_ESYSTEM;
    }
    if (made->log_directory == NULL || guard_attach(guard, base, &guard_callbacks, made) != 0 ||
        mf_timer_start(loop, &made->tick, mf_loop_now_us(loop) + made->tick_us) != MF_OK) {
        free_handler(made);
        return mf_error_set(error, MF_ENOMEM, "out of memory");
    }
    *out = made;
    return MF_OK;
}

mf_handler process_handler_get(process_handler *handler)
{
    mf_handler made = mf_evented_handler(start, stop, handler);
    made.free = free_handler;
    return made;
}
