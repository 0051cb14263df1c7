/* One task's command: start, stop with a grace, prolong, end. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/arguments.h"
#include "process/internal.h"
#include "process/output.h"

/* The clock is read first, so that the deadline is never too late. */
static int64_t lease_deadline_us(const mf_task *task)
{
    int64_t now = mf__steady_us();
    return now + mf_task_lease_remaining(task) * 1000;
}

static void log_event(mf__processes *processes, const char *name, const mf_task *task,
                      int64_t deadline_us, const char *detail)
{
    mf__event event = {.name = name,
                       .node = mf_consumer_name(processes->consumer),
                       .task = mf_task_id(task),
                       .fence = mf_task_fence(task),
                       .deadline_us = deadline_us,
                       .detail = detail};

    if (processes->options.event_log != NULL)
        mf__guard_event(processes->guard, &event);
}

static void note(const mf__job *job, const char *text)
{
    char line[MF_NOTE_SIZE];

    if (job->output == NULL)
        return;
    snprintf(line, sizeof line, "%s, fence %" PRIu64 ": %s",
             mf_consumer_name(job->processes->consumer), mf_task_fence(job->task), text);
    mf__guard_note(job->processes->guard, job->output, line);
}

/* Ending. */

static void finish_stateful(mf__processes *processes, mf_task *task, const mf_message *message)
{
    log_event(processes, "returned", task, lease_deadline_us(task), mf_message_text(message->code));
    mf_task_return(task, message);
}

static void finish_plain(mf__processes *processes, mf_task *task, const mf_message *message)
{
    bool released = message->code == MF_MESSAGE_RELEASE;

    log_event(processes, released ? "released" : "done", task, lease_deadline_us(task), NULL);
    mf_task_finish(task, released ? MF_RELEASE : MF_DONE);
}

static void finish(mf__processes *processes, mf_task *task, const mf_message *message)
{
    if (message->code == MF_MESSAGE_ERROR)
        mf_log(processes->loop, MF_LOG_WARN, "process", "task %s: %s", mf_task_id(task),
               message->error);
    mf_task_set_data(task, NULL);
    if (processes->stateful)
        finish_stateful(processes, task, message);
    else
        finish_plain(processes, task, message);
}

static void give_back(mf__processes *processes, mf_task *task)
{
    mf_message release = mf_message_of(MF_MESSAGE_RELEASE);
    finish(processes, task, &release);
}

static void free_job(mf__job *job)
{
    mf_timer_stop(job->processes->loop, &job->kill_timer);
    if (job->next != NULL) {
        job->next->previous = job->previous;
        job->previous->next = job->next;
    }
    free(job->output);
    free(job);
}

static mf_process_end public_end(const mf__ended *end)
{
    bool exited = end->code == CLD_EXITED;

    return (mf_process_end){.exit_status = exited ? end->status : -1,
                            .signal_number = exited ? 0 : end->status,
                            .run_us = end->run_us,
                            .user_us = end->user_us,
                            .system_us = end->system_us,
                            .max_rss_bytes = end->max_rss_kib * 1024};
}

static mf_message message_after(const mf__job *job, const mf__ended *end)
{
    const mf_process_options *options = &job->processes->options;
    mf_process_end told = public_end(end);

    if (job->stopped)
        return job->message;
    if (end->cause != END_OWN)
        return mf_message_of(MF_MESSAGE_RELEASE);
    if (options->on_exit != NULL)
        return options->on_exit(job->task, &told, options->payload);
    return mf_process_exit_message(&told);
}

static void tell_end(const mf__job *job, const mf__ended *end)
{
    bool clean = end->cause == END_OWN && (job->stopped || end->status == 0);
    mf_process_end told = public_end(end);
    char how[128], usage[96] = "", text[256];

    mf__end_describe(end, how, sizeof how);
    if (end->code != 0)
        mf__usage_describe(usage, sizeof usage, &told);
    snprintf(text, sizeof text, "%s%s%s%s", how, job->stopped ? ", stopped" : "",
             usage[0] != '\0' ? "; " : "", usage);
    mf_log(job->processes->loop, clean ? MF_LOG_INFO : MF_LOG_WARN, "process", "task %s: %s",
           mf_task_id(job->task), text);
    note(job, text);
}

void mf__job_ended(void *process, const mf__ended *end)
{
    mf__job *job = process;
    mf__processes *processes = job->processes;
    mf_task *task = job->task;

    tell_end(job, end);
    mf_message message = message_after(job, end);
    free_job(job);
    finish(processes, task, &message);
}

void mf__job_started(void *process, pid_t pid)
{
    mf__job *job = process;

    job->pid = pid;
    job->started_us = mf__steady_us();
    mf_log(job->processes->loop, MF_LOG_DEBUG, "process", "task %s: process %d",
           mf_task_id(job->task), (int)pid);
}

/* The task is not ended, nor its lease given back, before the process has ended by itself; if the
 * lease ends first, the consumer counts and logs an overrun. */
void mf__job_denied(void *process, pid_t pid)
{
    mf__job *job = process;
    char text[128];

    snprintf(text, sizeof text, "process %d runs as another user and cannot be killed: it runs on",
             (int)pid);
    mf_log(job->processes->loop, MF_LOG_ERROR, "process", "task %s: %s", mf_task_id(job->task),
           text);
    note(job, text);
}

/* Stopping. */

/* SIGKILL; and if the guard, too, does nothing by the end of the lease, the guard itself, with
 * which all its commands die. It has been given the time to obey, also where the lease has ended
 * already, and a guard that answers is at work: on a busy machine it takes its time. */
static void kill_job(void *arg)
{
    mf__job *job = arg;
    mf__processes *processes = job->processes;
    int64_t now = mf__steady_us();
    int64_t end_us = lease_deadline_us(job->task) - processes->lead_us / 2;

    if (!job->killed) {
        job->killed = mf__guard_signal(processes->guard, job->slot, SIGKILL) == 0;
        job->obeyed_us = now + processes->lead_us;
    } else if (now >= end_us && now >= job->obeyed_us &&
               mf__guard_is_silent(processes->guard, processes->silent_at_end_ticks)) {
        mf__guard_abandon(processes->guard);
    }
    int64_t soonest_us = mf_loop_now_us(processes->loop) + processes->tick_us;
    mf_timer_start(processes->loop, &job->kill_timer,
                   job->killed && end_us > soonest_us ? end_us : soonest_us);
}

/* SIGKILL follows after the grace, or just before the lease ends. A task that may run elsewhere
 * already has no grace. */
void mf__job_stop(mf__job *job, const mf_message *message, const char *why)
{
    mf__processes *processes = job->processes;
    mf_stop_reason reason = mf_task_stop_reason(job->task);
    int64_t now = mf__steady_us();
    int64_t last = lease_deadline_us(job->task) - 3 * processes->lead_us / 2;
    int64_t due = now + processes->stop_grace_us;

    log_event(processes, "stopping", job->task, lease_deadline_us(job->task), why);
    job->message = *message;
    if (!job->stopped)
        mf__guard_signal(processes->guard, job->slot, processes->options.stop_signal);
    if (reason == MF_STOP_LOST)
        due = now;
    else if (reason == MF_STOP_EXPIRING && last < due)
        due = last;
    if (due <= now && !job->killed)
        kill_job(job);
    else if ((!job->stopped || due < job->kill_timer.due_us) &&
             mf_timer_start(processes->loop, &job->kill_timer, due) != MF_OK)
        kill_job(job); /* no memory to wait for the end of the grace */
    job->stopped = true;
}

void mf__job_prolong(mf__job *job)
{
    int64_t deadline_us = lease_deadline_us(job->task);
    mf__processes *processes = job->processes;

    if (mf_task_lease_remaining(job->task) == 0 ||
        deadline_us < job->deadline_us + processes->tick_us)
        return;
    job->deadline_us = deadline_us;
    mf__guard_renew(processes->guard, job->slot, deadline_us - processes->lead_us);
    log_event(processes, "renewed", job->task, deadline_us, NULL);
}

/* Starting. */

static mf__job *make_job(mf__processes *processes, mf_task *task)
{
    const char *directory = processes->options.output_directory;
    mf__job *made = calloc(1, sizeof *made);

    if (made == NULL)
        return NULL;
    made->processes = processes;
    made->task = task;
    made->deadline_us = lease_deadline_us(task);
    mf_timer_init(&made->kill_timer, kill_job, made);
    if (directory == NULL)
        return made;
    made->output = mf_process_output_path(directory, mf_task_id(task));
    if (made->output == NULL) {
        free(made);
        return NULL;
    }
    return made;
}

static int launch(mf__job *job, char **arguments)
{
    mf__processes *processes = job->processes;
    mf__guard_command command = {.task = mf_task_id(job->task),
                                 .node = mf_consumer_name(processes->consumer),
                                 .fence = mf_task_fence(job->task),
                                 .deadline_us = job->deadline_us - processes->lead_us,
                                 .output = job->output,
                                 .arguments = arguments};

    if (mf__guard_start(processes->guard, &command, job, &job->slot) != 0)
        return -1;
    job->next = &processes->jobs;
    job->previous = processes->jobs.previous;
    job->previous->next = job->next->previous = job;
    mf_task_set_data(job->task, job);
    return 0;
}

static char **arguments_of(const mf__job *job, mf_error *error)
{
    const mf_process_options *options = &job->processes->options;
    char **arguments = NULL;

    if (options->arguments != NULL)
        return options->arguments(job->task, error, options->payload);
    mf__arguments_parse(&arguments, mf_task_properties(job->task), error);
    return arguments;
}

/* The task has no command that could be run here or elsewhere. */
static void refuse(mf__job *job, const char *why)
{
    mf__processes *processes = job->processes;
    mf_task *task = job->task;
    mf_message error = mf_message_error("%s", why);
    char text[256];

    snprintf(text, sizeof text, "not run: %s", why);
    note(job, text);
    free_job(job);
    finish(processes, task, &error);
}

void mf__job_start(mf__processes *processes, mf_task *task)
{
    mf_error error = {.text = "no command"};

    if (mf__processes_attach(processes, mf_task_consumer(task)) != 0) {
        give_back(processes, task);
        return;
    }
    log_event(processes, "claimed", task, lease_deadline_us(task), NULL);
    mf__job *job = make_job(processes, task);
    if (job == NULL) {
        give_back(processes, task);
        return;
    }
    char **arguments = arguments_of(job, &error);
    bool refused = (arguments == NULL || arguments[0] == NULL) && error.code != MF_ENOMEM;
    if (refused) {
        refuse(job, error.text);
    } else if (arguments == NULL || launch(job, arguments) != 0) {
        free_job(job);
        give_back(processes, task);
    }
    mf__arguments_free(arguments);
}
