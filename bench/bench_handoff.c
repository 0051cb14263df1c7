/* handoff: how long a task runs nowhere while it moves between two live nodes. */
#include <stdlib.h>

#include "cpu.h"
#include "statistics.h"
#include "worker.h"

enum { LIMIT_S = 30 };

typedef struct handoff_bench {
    bench_rig rig;
    bench_worker from, to;
    rig_client client;
    double commanded, stopped, started;
} handoff_bench;

static void stopping(bench_worker *worker, mf_task *task, mf_stop_reason reason)
{
    handoff_bench *handoff = worker->arg;
    (void)reason;
    handoff->stopped = cpu_now();
    worker_finish(worker, task, MF_RELEASE);
}

static void starting(bench_worker *worker, mf_task *task)
{
    handoff_bench *handoff = worker->arg;
    (void)task;
    handoff->started = cpu_now();
}

/* The next task starts on its way when this one has arrived. */
static void move(handoff_bench *handoff, const char *id, size_t number)
{
    mf_error error;
    mf_command command = {.verb = MF_COMMAND_STOP_TASK, .task = id};
    handoff->commanded = cpu_now();
    if (mf_client_command(handoff->client.client, "from", &command, NULL, NULL, &error) != MF_OK)
        bench_fail("%s", error.text);
    worker_await_starts(&handoff->to, number, LIMIT_S);
}

static double ms(double *values, size_t count, double percent)
{
    return statistics_percentile(values, count, percent) * 1e3;
}

static void report_times(bench_report *report, double *gaps, double *commands, size_t count)
{
    report_count(report, "tasks", (double)count, "tasks");
    report_number(report, "p50_ms", ms(gaps, count, 50), 3, "ms");
    report_number(report, "p99_ms", ms(gaps, count, 99), 3, "ms");
    report_number(report, "longest_ms", ms(gaps, count, 100), 3, "ms");
    report_number(report, "command_p50_ms", ms(commands, count, 50), 3, "ms to stop");
    report_number(report, "command_p99_ms", ms(commands, count, 99), 3, "ms to stop");
    report_at_most(report, "p99_ms", 50);
}

static void run(const bench_options *options, bench_report *report)
{
    handoff_bench me = {.from = {.stopping = stopping, .arg = &me},
                        .to = {.starting = starting, .arg = &me}};
    rig_tasks tasks;
    size_t count = (size_t)options->tasks;
    double *gaps = bench_alloc(count, sizeof *gaps);
    double *commands = bench_alloc(count, sizeof *commands);

    rig_open(&me.rig, options, report);
    rig_tasks_make(&tasks, count, (size_t)options->properties);
    rig_submit(&me.rig, "handoff", &tasks);
    worker_open(&me.from, &me.rig, "handoff", "from", mf_balancer_dumb());
    worker_await_starts(&me.from, count, LIMIT_S);
    worker_open(&me.to, &me.rig, "handoff", "to", mf_balancer_dumb());
    worker_await_join(&me.to);
    rig_client_open(&me.client, &me.rig, "handoff");
    for (size_t i = 0; i < count; i++) {
        move(&me, tasks.specs[i].id, i + 1);
        gaps[i] = me.started - me.stopped;
        commands[i] = me.stopped - me.commanded;
    }
    report_times(report, gaps, commands, count);

    rig_client_close(&me.client);
    worker_close(&me.from);
    worker_close(&me.to);
    rig_wipe(&me.rig, "handoff", &tasks);
    rig_tasks_free(&tasks);
    rig_close(&me.rig);
    free(gaps);
    free(commands);
}

const bench_scenario bench_handoff = {
    .name = "handoff",
    .summary = "tasks move between two live nodes",
    .description =
        "One node holds the tasks, another is idle. A stop_task command for one task after the "
        "other moves them over; takes the time from the end of the handler on the one node to its "
        "start on the other, in which the task runs nowhere, and that from the command to the "
        "end. (The node that gave a task back leaves it to others for reclaim_delay.)",
    .defaults = {.broker = "private-redis", .tasks = 1000, .lease_ms = 15000},
    .run = run,
};
