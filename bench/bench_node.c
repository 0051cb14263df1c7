/* node: a consumer that tells on stdout what it runs, for other scenarios; not for people. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cpu.h"
#include "worker.h"

typedef struct node_state {
    bench_rig rig;
    bench_worker worker;
    mf_deferred tell;
    double started_at;
    bool ending;
} node_state;

/* One line for all that started in a turn of the loop. */
static void tell(void *arg)
{
    node_state *node = arg;
    dprintf(STDOUT_FILENO, "running %zu %.6f\n", node->worker.running, node->started_at);
}

static void starting(bench_worker *worker, mf_task *task)
{
    node_state *node = worker->arg;
    (void)task;
    node->started_at = cpu_now();
    mf_defer(node->rig.loop, &node->tell);
}

static void stopping(bench_worker *worker, mf_task *task, mf_stop_reason reason)
{
    node_state *node = worker->arg;
    (void)reason;
    worker_finish(worker, task, MF_RELEASE);
    mf_defer(node->rig.loop, &node->tell);
}

static void on_signal(void *arg)
{
    node_state *node = arg;
    node->ending = true;
    rig_done(&node->rig);
}

static void run(const bench_options *options, bench_report *report)
{
    enum { LIFE_S = 86400 };
    node_state node = {.worker = {.starting = starting, .stopping = stopping, .arg = &node}};
    (void)report;
    if (options->name_space == NULL || options->name == NULL)
        bench_fail("node: needs --namespace and --name");
    rig_open(&node.rig, options, NULL);
    mf_deferred_init(&node.tell, tell, &node);
    mf_loop_on_signal(node.rig.loop, SIGTERM, on_signal, &node);
    worker_open(&node.worker, &node.rig, options->name_space, options->name, mf_balancer_dumb());
    worker_await_join(&node.worker);
    dprintf(STDOUT_FILENO, "joined\n");
    while (!node.ending)
        rig_run(&node.rig, LIFE_S, "nobody ended this node within a day");
    worker_close(&node.worker);
    mf_deferred_cancel(node.rig.loop, &node.tell);
    mf_loop_on_signal(node.rig.loop, SIGTERM, NULL, NULL);
    rig_close(&node.rig);
}

const bench_scenario bench_node = {
    .name = "node",
    .summary = "",
    .description = "",
    .defaults = {.lease_ms = 15000},
    .hidden = true,
    .run = run,
};
