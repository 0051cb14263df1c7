/* The library against its floor: the same work by the least client that could do it, in one run. */
#include "versus.h"

#include <stdlib.h>

#include "cpu.h"
#include "server.h"
#include "statistics.h"

void meter_start(bench_meter *meter)
{
    meter->broker_cpu = -server_cpu();
    meter->program_cpu = -cpu_self();
    meter->seconds = -cpu_now();
}

void meter_stop(bench_meter *meter)
{
    meter->seconds += cpu_now();
    meter->program_cpu += cpu_self();
    meter->broker_cpu += server_cpu();
}

typedef struct round_times {
    double seconds[BENCH_MOST_ROUNDS], program_cpu[BENCH_MOST_ROUNDS],
        broker_cpu[BENCH_MOST_ROUNDS];
    size_t count;
} round_times;

static void run_round(round_times *rounds, versus_work work, bench_rig *rig, const rig_tasks *tasks)
{
    bench_meter meter;
    if (work == NULL)
        return;
    work(rig, tasks, &meter);
    rounds->seconds[rounds->count] = meter.seconds;
    rounds->program_cpu[rounds->count] = meter.program_cpu;
    rounds->broker_cpu[rounds->count] = meter.broker_cpu;
    rounds->count++;
}

static double cores(round_times *rounds, double *cpu, double seconds)
{
    return 100 * statistics_median(cpu, rounds->count) / seconds;
}

static double report_library(bench_report *report, round_times *library, size_t tasks)
{
    report_array(report, "round_seconds", library->seconds, library->count);
    double seconds = statistics_median(library->seconds, library->count);
    report_number(report, "seconds", seconds, 6, "s");
    report_count(report, "per_second", (double)tasks / seconds, "tasks/s");
    report_number(report, "program_cpu_percent", cores(library, library->program_cpu, seconds), 1,
                  "% of a core");
    if (server_is_running())
        report_number(report, "broker_cpu_percent", cores(library, library->broker_cpu, seconds), 1,
                      "% of a core");
    return seconds;
}

static void report_floor(bench_report *report, round_times *floor, size_t tasks,
                         double library_seconds)
{
    if (floor->count == 0) {
        report_nothing(report, "floor_per_second", "only private servers have a floor");
        report_nothing(report, "of_floor", "only private servers have a floor");
        return;
    }
    report_array(report, "floor_round_seconds", floor->seconds, floor->count);
    double seconds = statistics_median(floor->seconds, floor->count);
    report_number(report, "floor_seconds", seconds, 6, "s");
    report_count(report, "floor_per_second", (double)tasks / seconds, "tasks/s");
    report_number(report, "floor_program_cpu_percent", cores(floor, floor->program_cpu, seconds), 1,
                  "% of a core");
    if (server_is_running())
        report_number(report, "floor_broker_cpu_percent", cores(floor, floor->broker_cpu, seconds),
                      1, "% of a core");
    report_number(report, "of_floor", seconds / library_seconds, 3, "of the floor");
}

void versus_run(bench_rig *rig, bench_report *report, versus_work library, versus_work floor)
{
    const bench_options *options = rig->options;
    rig_tasks tasks;
    round_times *of_library = bench_alloc(1, sizeof *of_library);
    round_times *of_floor = bench_alloc(1, sizeof *of_floor);

    rig_tasks_make(&tasks, (size_t)options->tasks, (size_t)options->properties);
    for (long i = 0; i < options->rounds; i++) {
        /* In turns also as to which is first: what drifts does so for both. */
        run_round(i % 2 == 0 ? of_floor : of_library, i % 2 == 0 ? floor : library, rig, &tasks);
        run_round(i % 2 == 0 ? of_library : of_floor, i % 2 == 0 ? library : floor, rig, &tasks);
    }
    report_count(report, "rounds", (double)options->rounds, "");
    double seconds = report_library(report, of_library, tasks.count);
    report_floor(report, of_floor, tasks.count, seconds);
    rig_tasks_free(&tasks);
    free(of_library);
    free(of_floor);
}
