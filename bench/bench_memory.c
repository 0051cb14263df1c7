/* memory: what a resident task takes in the consumer's process. */
#include "cpu.h"
#include "worker.h"

enum { START_LIMIT_S = 600 };

typedef struct memory_use {
    double resident, allocated;
} memory_use;

static memory_use read_memory(void)
{
    cpu_trim();
    return (memory_use){cpu_resident(), cpu_allocated()};
}

static double per_task(double after, double before, const bench_options *options)
{
    double properties = options->properties != 0 ? (double)options->properties + 1 : 0;
    return (after - before) / (double)options->tasks - properties;
}

static void run(const bench_options *options, bench_report *report)
{
    bench_rig rig;
    rig_tasks tasks;
    bench_worker worker = {0};

    rig_open(&rig, options, report);
    rig_tasks_make(&tasks, (size_t)options->tasks, (size_t)options->properties);
    rig_submit(&rig, "memory", &tasks);
    memory_use before = read_memory();
    worker_open(&worker, &rig, "memory", "bench", mf_balancer_dumb());
    worker_await_starts(&worker, tasks.count, START_LIMIT_S);
    /* Through a round of renewals, so that what they take is counted too. */
    rig_pass(&rig, (double)options->lease_ms / 2e3);
    memory_use after = read_memory();

    report_count(report, "tasks", (double)options->tasks, "tasks");
    report_number(report, "bytes_per_task", per_task(after.resident, before.resident, options), 1,
                  "bytes, resident");
    report_number(report, "heap_bytes_per_task",
                  per_task(after.allocated, before.allocated, options), 1, "bytes, allocated");
    report_at_most(report, "bytes_per_task", 600);
    worker_close(&worker);
    rig_wipe(&rig, "memory", &tasks);
    rig_tasks_free(&tasks);
    rig_close(&rig);
}

const bench_scenario bench_memory = {
    .name = "memory",
    .summary = "what a running task takes in the consumer's process",
    .description =
        "Submits the tasks, then opens a consumer with an evented handler and waits until all run. "
        "The growth of the process's resident memory, free memory given back to the system before "
        "and after, over the number of tasks, less their properties. With the embedded broker its "
        "store is not counted, but the owner records that the claims add to it are.",
    .defaults = {.broker = "private-redis", .tasks = 100000, .lease_ms = 15000},
    .run = run,
};
