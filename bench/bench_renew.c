/* renew: what it costs to hold tasks. */
#include "cpu.h"
#include "server.h"
#include "slowlog.h"
#include "versus.h"
#include "worker.h"

enum { START_LIMIT_S = 300, IDLE_SECONDS = 10 };

static void measure(bench_rig *rig, bench_meter *meter, double seconds)
{
    meter_start(meter);
    rig_pass(rig, seconds);
    meter_stop(meter);
}

static double percent(double cpu, const bench_meter *meter)
{
    return 100 * cpu / meter->seconds;
}

static void report_cpu(bench_report *report, const bench_meter *busy, const bench_meter *idle)
{
    report_number(report, "seconds", busy->seconds, 2, "s");
    report_number(report, "consumer_cpu_percent", percent(busy->program_cpu, busy), 2,
                  "% of a core");
    report_number(report, "consumer_idle_percent", percent(idle->program_cpu, idle), 2,
                  "% of a core");
    report_at_most(report, "consumer_cpu_percent", 5);
    if (!server_is_running())
        return;
    report_number(report, "broker_cpu_percent", percent(busy->broker_cpu, busy), 2, "% of a core");
    report_number(report, "broker_idle_percent", percent(idle->broker_cpu, idle), 2, "% of a core");
    report_at_most(report, "broker_cpu_percent", 5);
}

static void run(const bench_options *options, bench_report *report)
{
    bench_rig rig;
    rig_tasks tasks;
    bench_worker worker = {0};
    bench_meter idle, busy;
    double seconds = (double)options->seconds;

    rig_open(&rig, options, report);
    report_count(report, "tasks", (double)options->tasks, "tasks");
    report_count(report, "lease_ms", (double)options->lease_ms, "ms");
    worker_open(&worker, &rig, "renew", "bench", mf_balancer_dumb());
    worker_await_join(&worker);
    measure(&rig, &idle, seconds < IDLE_SECONDS ? seconds : IDLE_SECONDS);

    rig_tasks_make(&tasks, (size_t)options->tasks, (size_t)options->properties);
    rig_submit(&rig, "renew", &tasks);
    worker_await_starts(&worker, tasks.count, START_LIMIT_S);
    /* Past the first renewals, which come in a bunch as the claims did. */
    rig_pass(&rig, (double)options->lease_ms / 2e3);
    slowlog_start(&rig);
    measure(&rig, &busy, seconds);
    if (worker.running != tasks.count)
        bench_fail("%zu of %zu tasks were lost", tasks.count - worker.running, tasks.count);

    report_cpu(report, &busy, &idle);
    slowlog_report(&rig, report);
    if (rig.private_server && rig.redis)
        report_at_most(report, "longest_script_ms", 5);
    worker_close(&worker);
    rig_wipe(&rig, "renew", &tasks);
    rig_tasks_free(&tasks);
    rig_close(&rig);
}

const bench_scenario bench_renew = {
    .name = "renew",
    .summary = "hold tasks, renewing their leases, one consumer",
    .description =
        "One consumer holds all the tasks. Reports the processor time of consumer and broker in "
        "percent of a core, as it is and, to compare, of the same consumer without tasks, and the "
        "longest script by the server's SLOWLOG.",
    .defaults = {.broker = "private-redis", .tasks = 100000, .lease_ms = 15000, .seconds = 30},
    .run = run,
};
