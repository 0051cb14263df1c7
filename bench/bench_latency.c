/* latency: from submit to start on an idle cluster. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "etcd.h"
#include "floor.h"
#include "relay.h"
#include "resp.h"
#include "statistics.h"
#include "worker.h"

enum { LIMIT_S = 30, NETWORK_TASKS = 500 };
static const double PAUSE_S = 0.002;

typedef struct latency_bench {
    bench_rig rig;
    bench_worker worker;
    rig_client client;
    resp *ping;          /* NULL: the broker is not Redis */
    floor_client *floor; /* NULL: there is none */
    etcd_peer *etcd;     /* not NULL: has both instead */
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
    if (latency->etcd != NULL)
        return etcd_peer_ping(latency->etcd);
    double sent = cpu_now();
    resp_call(latency->ping, 1, (const char *[]){"PING"});
    return cpu_now() - sent;
}

static double measure_floor(latency_bench *latency, size_t index)
{
    return latency->etcd != NULL ? etcd_peer_start(latency->etcd, index)
                                 : floor_start(latency->floor, index);
}

/* Seconds, one for each task; both others in turn with the starts. */
typedef struct latency_times {
    double *starts, *pings, *floors;
    size_t count;
} latency_times;

static void measure(latency_bench *me, const rig_tasks *tasks, latency_times *times)
{
    for (size_t i = 0; i < times->count; i++) {
        /* Each after the same pause: a processor that has slept is slower to answer. */
        rig_pass(&me->rig, PAUSE_S);
        if (me->ping != NULL || me->etcd != NULL)
            times->pings[i] = measure_ping(me);
        rig_pass(&me->rig, PAUSE_S);
        if (me->floor != NULL || me->etcd != NULL)
            times->floors[i] = measure_floor(me, i);
        rig_pass(&me->rig, PAUSE_S);
        times->starts[i] = measure_start(me, &tasks->specs[i], i + 1);
    }
}

static double us(double *values, size_t count, double percent)
{
    return statistics_percentile(values, count, percent) * 1e6;
}

static void report_round_trips(bench_report *report, const latency_times *times)
{
    double round_trip = us(times->pings, times->count, 50);
    report_number(report, "ping_p50_us", round_trip, 1, "us");
    report_number(report, "ping_p99_us", us(times->pings, times->count, 99), 1, "us");
    report_number(report, "p50_round_trips", us(times->starts, times->count, 50) / round_trip, 2,
                  "round trips");
    report_number(report, "p99_round_trips", us(times->starts, times->count, 99) / round_trip, 2,
                  "round trips");
    report_at_most(report, "p50_round_trips", 3);
    report_at_most(report, "p99_round_trips", 10);
}

static void report_floor(bench_report *report, const latency_times *times)
{
    double p50 = us(times->starts, times->count, 50), floor = us(times->floors, times->count, 50);
    report_number(report, "floor_p50_us", floor, 1, "us");
    report_number(report, "floor_p99_us", us(times->floors, times->count, 99), 1, "us");
    report_number(report, "of_floor", floor / p50, 3, "of the floor");
    /* The floor is two requests, one after the other. */
    report_number(report, "p50_requests", 2 * p50 / floor, 2, "requests");
}

static void report_starts(bench_report *report, const latency_times *times)
{
    report_number(report, "p50_us", us(times->starts, times->count, 50), 1, "us");
    report_number(report, "p99_us", us(times->starts, times->count, 99), 1, "us");
    report_number(report, "longest_us", us(times->starts, times->count, 100), 1, "us");
}

/* From here to the broker at rig.url and back. */
static void measure_way(latency_bench *me, const rig_tasks *tasks, bench_report *report)
{
    size_t count = tasks->count;
    double *values = bench_alloc(3 * count, sizeof *values);
    latency_times times = {values, values + count, values + 2 * count, count};

    me->worker = (bench_worker){.starting = starting, .arg = me};
    worker_open(&me->worker, &me->rig, "latency", "bench", mf_balancer_dumb());
    worker_await_join(&me->worker);
    rig_client_open(&me->client, &me->rig, "latency");
    me->ping = !me->rig.redis ? NULL : resp_open(me->rig.url);
    me->floor = floor_start_open(&me->rig, tasks);
    if (me->rig.etcd && me->rig.private_server)
        me->etcd = etcd_peer_open(&me->rig, tasks);
    measure(me, tasks, &times);

    report_starts(report, &times);
    if (me->floor != NULL || me->etcd != NULL)
        report_floor(report, &times);
    if (me->ping != NULL || me->etcd != NULL) {
        report_round_trips(report, &times);
    } else {
        report_nothing(report, "p50_round_trips", "this broker has no PING");
        report_nothing(report, "p99_round_trips", "this broker has no PING");
    }
    if (me->ping != NULL)
        resp_close(me->ping);
    rig_client_close(&me->client);
    worker_close(&me->worker);
    floor_start_close(me->floor);
    etcd_peer_close(me->etcd);
    me->etcd = NULL;
    free(values);
}

/* The same through a network, for which a relay stands in. */
static void measure_network(latency_bench *me, long rtt_us, bench_report *report)
{
    const char *port = strrchr(me->rig.url, ':');
    char url[64];
    rig_tasks tasks;

    report_part(report, "network_");
    report_count(report, "rtt_us", (double)rtt_us, "us");
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", relay_start(atoi(port + 1), rtt_us / 2));
    me->rig.url = url;
    rig_tasks_make(&tasks, NETWORK_TASKS, (size_t)me->rig.options->properties);
    measure_way(me, &tasks, report);
    rig_tasks_free(&tasks);
    relay_stop();
}

static void run(const bench_options *options, bench_report *report)
{
    latency_bench me = {0};
    rig_tasks tasks;

    rig_open(&me.rig, options, report);
    rig_tasks_make(&tasks, (size_t)options->tasks, (size_t)options->properties);
    report_count(report, "tasks", (double)tasks.count, "tasks");
    measure_way(&me, &tasks, report);
    if (me.rig.private_server && strncmp(me.rig.url, "redis://", 8) == 0)
        measure_network(&me, options->rtt_us, report);
    rig_tasks_free(&tasks);
    rig_close(&me.rig);
}

const bench_scenario bench_latency = {
    .name = "latency",
    .summary = "from submit to start on an idle cluster",
    .description =
        "A client submits one task at a time, with a pause between, and the consumer's handler "
        "ends it at once. Takes the time from mf_client_submit to the handler's start. In turn "
        "with the tasks, after the same pause, a minimal client sends a PING, which is one round "
        "trip, and, as the floor, calls the driver's submit and then its claim script. Reports "
        "the time also in units of the PING's median. On etcd the round trip is a put of one key, "
        "and the floor the driver's transactions. On a redis-server of the run's own the same is "
        "done "
        "again, for a few hundred tasks, through a relay that keeps all bytes back as a network "
        "of that round trip would.",
    .defaults = {.broker = "private-redis", .tasks = 2000, .lease_ms = 15000, .rtt_us = 500},
    .run = run,
};
