/* submit: how fast a client submits tasks. */
#include "floor.h"

static void submit_all(bench_rig *rig, const rig_tasks *tasks, bench_meter *meter)
{
    rig_client client;
    rig_client_open(&client, rig, "submit");
    meter_start(meter);
    rig_client_submit(&client, tasks);
    meter_stop(meter);
    rig_client_close(&client);
    rig_wipe(rig, "submit", tasks);
}

static void run(const bench_options *options, bench_report *report)
{
    bench_rig rig;
    rig_open(&rig, options, report);
    report_count(report, "tasks", (double)options->tasks, "tasks");
    versus_run(&rig, report, submit_all, floor_submit(&rig));
    report_at_least(report, "of_floor", 0.7);
    rig_close(&rig);
}

const bench_scenario bench_submit = {
    .name = "submit",
    .summary = "submit tasks in one call of a client",
    .description =
        "One mf_client_submit of all the tasks on a connected client, from the call to its result, "
        "with nobody there to claim them. The floor is the driver's submit script alone, with "
        "batches of the driver's size, pipelined by a minimal client. The aim is 200,000 tasks a "
        "second (etcd: 20,000) or 0.7 of the floor.",
    .defaults = {.broker = "private-redis", .tasks = 100000, .rounds = 3},
    .run = run,
};
