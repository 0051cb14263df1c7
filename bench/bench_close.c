/* close: how a node with many tasks leaves. */
#include "cpu.h"
#include "request_clock.h"
#include "worker.h"

enum { START_LIMIT_S = 300 };

static void run(const bench_options *options, bench_report *report)
{
    bench_rig rig;
    rig_tasks tasks;
    bench_worker worker = {0};

    rig_open(&rig, options, report);
    rig_tasks_make(&tasks, (size_t)options->tasks, (size_t)options->properties);
    rig_submit(&rig, "close", &tasks);
    worker_open(&worker, &rig, "close", "bench", mf_balancer_dumb());
    worker_await_starts(&worker, tasks.count, START_LIMIT_S);
    clock_attach(worker.broker);
    double began = cpu_now();
    worker_close(&worker);
    double seconds = cpu_now() - began;
    clock_totals totals = clock_read();

    report_count(report, "tasks", (double)tasks.count, "tasks");
    report_number(report, "seconds", seconds, 3, "s");
    report_number(report, "per_second", (double)tasks.count / seconds, 0, "tasks/s");
    report_count(report, "requests", (double)totals.requests, "");
    report_number(report, "longest_release_ms", totals.release * 1e3, 1, "ms");
    report_at_most(report, "longest_release_ms", 1000);
    report_number(report, "leave_ms", totals.leave * 1e3, 1, "ms");
    report_at_most(report, "leave_ms", 1000);
    report_number(report, "longest_renewal_ms", totals.renew * 1e3, 1, "ms");
    rig_wipe(&rig, "close", &tasks);
    rig_tasks_free(&tasks);
    rig_close(&rig);
}

const bench_scenario bench_close = {
    .name = "close",
    .summary = "a node gives all its tasks back and leaves",
    .description =
        "One consumer holds all the tasks and is shut down: it stops and releases all of them and "
        "leaves. Takes the time until it is closed, and that of the longest request by which it "
        "releases tasks and of the last one, which leaves: each should be under a second. A "
        "renewal meanwhile waits behind the releases; on etcd it is several calls.",
    .defaults = {.broker = "private-redis", .tasks = 100000, .lease_ms = 15000},
    .run = run,
};
