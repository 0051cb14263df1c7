/* backlog: what nodes without room cost a broker with a long queue. */
#include <stdio.h>
#include <string.h>

#include "server.h"
#include "slowlog.h"
#include "versus.h"
#include "worker.h"

enum { SLICE = 100000, SETTLE_S = 15 };

/* Has no room, as a node whose handlers are all it can run. */
static bool refuse(void *payload, const mf_balance *balance, const char *task_id, int64_t *until_us)
{
    (void)payload;
    (void)balance;
    (void)task_id;
    (void)until_us;
    return false;
}

/* In slices, for the client keeps what it submits; each has ids of its own. */
static void fill(bench_rig *rig, size_t count)
{
    size_t size = count < SLICE ? count : SLICE;
    rig_tasks tasks;
    rig_client client;
    char name[32];

    rig_tasks_make(&tasks, size, (size_t)rig->options->properties);
    rig_client_open(&client, rig, "backlog");
    for (size_t done = 0; done < count; done += size) {
        tasks.count = count - done < size ? count - done : size;
        for (size_t i = 0; i < tasks.count; i++) {
            snprintf(name, sizeof name, "t%08zu", done + i);
            memcpy((char *)tasks.specs[i].id, name, strlen(tasks.specs[i].id));
        }
        rig_client_submit(&client, &tasks);
    }
    rig_client_close(&client);
    tasks.count = size;
    rig_tasks_free(&tasks);
}

static void report_costs(bench_rig *rig, bench_report *report, const bench_meter *meter)
{
    report_number(report, "seconds", meter->seconds, 2, "s");
    report_number(report, "consumers_cpu_percent", 100 * meter->program_cpu / meter->seconds, 2,
                  "% of a core");
    if (server_is_running()) {
        report_number(report, "broker_cpu_percent", 100 * meter->broker_cpu / meter->seconds, 2,
                      "% of a core");
        report_at_most(report, "broker_cpu_percent", 10);
    }
    slowlog_report(rig, report);
    if (rig->private_server && rig->redis)
        report_at_most(report, "longest_script_ms", 5);
}

static void run(const bench_options *options, bench_report *report)
{
    bench_rig rig;
    bench_meter meter;
    bench_worker workers[BENCH_MOST_NODES] = {0};
    mf_balancer full = {.version = MF_BALANCER_VERSION, .can_claim = refuse};
    static char names[BENCH_MOST_NODES][32];

    rig_open(&rig, options, report);
    report_count(report, "tasks", (double)options->tasks, "tasks");
    report_count(report, "nodes", (double)options->nodes, "consumers");
    fill(&rig, (size_t)options->tasks);
    for (long i = 0; i < options->nodes; i++) {
        snprintf(names[i], sizeof names[i], "node-%ld", i);
        worker_open(&workers[i], &rig, "backlog", names[i], full);
        worker_await_join(&workers[i]);
    }
    rig_pass(&rig, SETTLE_S);
    slowlog_start(&rig);
    meter_start(&meter);
    rig_pass(&rig, (double)options->seconds);
    meter_stop(&meter);
    report_costs(&rig, report, &meter);
    for (long i = 0; i < options->nodes; i++)
        worker_close(&workers[i]);
    rig_close(&rig);
}

const bench_scenario bench_backlog = {
    .name = "backlog",
    .summary = "nodes that are full, and a long queue",
    .description =
        "Some consumers whose balancers claim nothing, on one loop, and a queue of tasks. Reports "
        "the processor time of the broker and of the consumers in percent of a core, and the "
        "longest script by the server's SLOWLOG. The broker should be a private one: the tasks "
        "stay.",
    .defaults =
        {.broker = "private-redis", .tasks = 1000000, .nodes = 4, .lease_ms = 15000, .seconds = 60},
    .run = run,
};
