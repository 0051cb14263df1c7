/* claim: how fast one consumer claims and starts tasks. */
#include "floor.h"
#include "worker.h"

enum { LIMIT_S = 300 };

static void claim_all(bench_rig *rig, const rig_tasks *tasks, bench_meter *meter)
{
    bench_worker worker = {0};
    rig_submit(rig, "claim", tasks);
    meter_start(meter);
    worker_open(&worker, rig, "claim", "bench", mf_balancer_dumb());
    worker_await_starts(&worker, tasks->count, LIMIT_S);
    meter_stop(meter);
    worker_close(&worker);
    rig_wipe(rig, "claim", tasks);
}

static void run(const bench_options *options, bench_report *report)
{
    bench_rig rig;
    rig_open(&rig, options, report);
    report_count(report, "tasks", (double)options->tasks, "tasks");
    versus_run(&rig, report, claim_all, floor_claim(&rig));
    report_at_least(report, "of_floor", rig.etcd ? 0.5 : 0.7);
    rig_close(&rig);
}

const bench_scenario bench_claim = {
    .name = "claim",
    .summary = "claim and start tasks that wait in the broker, one consumer",
    .description =
        "Submits the tasks, then opens one consumer with an evented handler that does nothing, and "
        "takes the time from the opening to the last start: connect, join, list, claim, start. The "
        "floor is the driver's claim script alone, with batches of the driver's size, pipelined by "
        "a minimal client over as many tasks on the same server; on etcd, the driver's "
        "transactions.",
    .defaults = {.broker = "private-redis", .tasks = 100000, .rounds = 3, .lease_ms = 15000},
    .run = run,
};
