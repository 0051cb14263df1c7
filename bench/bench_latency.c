/* latency: from submit to start on an idle cluster. */
#include <stdlib.h>

#include "cpu.h"
#include "resp.h"
#include "statistics.h"
#include "worker.h"

enum { LIMIT_S = 30 };
static const double PAUSE_S = 0.002;

typedef struct latency_bench {
    bench_rig rig;
    bench_worker worker;
    rig_client client;
    resp *ping; /* NULL: the broker is not Redis */
    double submitted, started;
} latency_bench;

static void starting(bench_worker *worker, mf_task *task)
{
    latency_bench *latency = worker->arg;
    latency->started = cpu_now();
    worker_finish(worker, task, MF_DONE);
}

static double measure_start(latency_bench *latency, const mf_task_spec *spec, size_t number)
{
    mf_error error;
    latency->submitted = cpu_now();
    if (mf_client_submit(latency->client.client, spec, 1, NULL, NULL, &error) != MF_OK)
        bench_fail("%s", error.text);
    worker_await_starts(&latency->worker, number, LIMIT_S);
    return latency->started - latency->submitted;
}

static double measure_ping(latency_bench *latency)
{
    double sent = cpu_now();
    resp_call(latency->ping, 1, (const char *[]){"PING"});
    return cpu_now() - sent;
}

static double us(double *values, size_t count, double percent)
{
    return statistics_percentile(values, count, percent) * 1e6;
}

static void report_times(bench_report *report, double *starts, double *pings, size_t count,
                         bool pinged)
{
    report_number(report, "p50_us", us(starts, count, 50), 1, "us");
    report_number(report, "p99_us", us(starts, count, 99), 1, "us");
    report_number(report, "longest_us", us(starts, count, 100), 1, "us");
    if (!pinged) {
        report_nothing(report, "p50_round_trips", "this broker has no PING");
        report_nothing(report, "p99_round_trips", "this broker has no PING");
        return;
    }
    double round_trip = us(pings, count, 50);
    report_number(report, "ping_p50_us", round_trip, 1, "us");
    report_number(report, "ping_p99_us", us(pings, count, 99), 1, "us");
    report_number(report, "p50_round_trips", us(starts, count, 50) / round_trip, 2, "round trips");
    report_number(report, "p99_round_trips", us(starts, count, 99) / round_trip, 2, "round trips");
    report_at_most(report, "p50_round_trips", 3);
    report_at_most(report, "p99_round_trips", 10);
}

static void run(const bench_options *options, bench_report *report)
{
    latency_bench latency = {.worker = {.starting = starting, .arg = &latency}};
    rig_tasks tasks;
    size_t count = (size_t)options->tasks;
    double *starts = bench_alloc(count, sizeof *starts);
    double *pings = bench_alloc(count, sizeof *pings);

    rig_open(&latency.rig, options, report);
    rig_tasks_make(&tasks, count, (size_t)options->properties);
    worker_open(&latency.worker, &latency.rig, "latency", "bench", mf_balancer_dumb());
    worker_await_join(&latency.worker);
    rig_client_open(&latency.client, &latency.rig, "latency");
    latency.ping = latency.rig.embedded ? NULL : resp_open(latency.rig.url);
    for (size_t i = 0; i < count; i++) {
        /* Both after the same pause: a processor that has slept is slower to answer. */
        rig_pass(&latency.rig, PAUSE_S);
        pings[i] = latency.ping != NULL ? measure_ping(&latency) : 0;
        rig_pass(&latency.rig, PAUSE_S);
        starts[i] = measure_start(&latency, &tasks.specs[i], i + 1);
    }
    report_count(report, "tasks", (double)count, "tasks");
    report_times(report, starts, pings, count, latency.ping != NULL);

    if (latency.ping != NULL)
        resp_close(latency.ping);
    rig_client_close(&latency.client);
    worker_close(&latency.worker);
    rig_tasks_free(&tasks);
    rig_close(&latency.rig);
    free(starts);
    free(pings);
}

const bench_scenario bench_latency = {
    .name = "latency",
    .summary = "from submit to start on an idle cluster",
    .description =
        "A client submits one task at a time, with a pause between, and the consumer's handler "
        "ends it at once. Takes the time from mf_client_submit to the handler's start, and "
        "between the tasks, after the same pause, that of a PING by a minimal client: one round "
        "trip. Reports both, and the one in units of the other's median.",
    .defaults = {.broker = "private-redis", .tasks = 2000, .lease_ms = 15000},
    .run = run,
};
