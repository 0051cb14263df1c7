/* takeover: how soon the tasks of a killed process run elsewhere. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "child.h"
#include "cpu.h"
#include "statistics.h"

enum { START_LIMIT_S = 120 };

typedef struct takeover_scene {
    bench_child *children; /* the first one is killed */
    size_t count;
    size_t tasks;
} takeover_scene;

static bool all_joined(void *arg)
{
    const takeover_scene *scene = arg;
    for (size_t i = 0; i < scene->count; i++)
        if (!scene->children[i].joined)
            return false;
    return true;
}

static bool holder_has_all(void *arg)
{
    const takeover_scene *scene = arg;
    return scene->children[0].running == scene->tasks;
}

static bool others_have_all(void *arg)
{
    const takeover_scene *scene = arg;
    size_t running = 0;
    for (size_t i = 1; i < scene->count; i++)
        running += scene->children[i].running;
    return running == scene->tasks;
}

/* The holder is alone until it has everything; the others then join and find nothing to claim. */
static void set_scene(takeover_scene *scene, const bench_rig *rig, const char *name_space)
{
    size_t all = scene->count;
    child_start(&scene->children[0], rig, name_space, "node-0");
    scene->count = 1;
    child_await(scene->children, 1, holder_has_all, scene, START_LIMIT_S,
                "the first node does not start all tasks");
    for (size_t i = 1; i < all; i++) {
        char name[32];
        snprintf(name, sizeof name, "node-%zu", i);
        child_start(&scene->children[i], rig, name_space, name);
    }
    scene->count = all;
    child_await(scene->children, all, all_joined, scene, START_LIMIT_S,
                "the other nodes do not join");
}

/* Seconds from the kill to the last start elsewhere. */
static double kill_holder(takeover_scene *scene, double lease)
{
    double killed = cpu_now(), last = 0;
    child_end(&scene->children[0], SIGKILL);
    child_await(scene->children, scene->count, others_have_all, scene, 2 * lease + 60,
                "the tasks of the killed node do not run elsewhere");
    for (size_t i = 1; i < scene->count; i++)
        if (scene->children[i].changed > last)
            last = scene->children[i].changed;
    return last - killed;
}

static double run_round(bench_rig *rig, const rig_tasks *tasks, long number)
{
    char name_space[32];
    size_t nodes = (size_t)rig->options->nodes;
    takeover_scene scene = {bench_alloc(nodes, sizeof(bench_child)), nodes, tasks->count};

    snprintf(name_space, sizeof name_space, "takeover-%ld", number);
    rig_submit(rig, name_space, tasks);
    set_scene(&scene, rig, name_space);
    /* At another moment between two renewals in each round, which come each third of a lease. */
    double third = (double)rig->options->lease_ms / 3e3;
    rig_pass(rig, third * (double)number / (double)rig->options->rounds);
    double seconds = kill_holder(&scene, (double)rig->options->lease_ms / 1e3);
    for (size_t i = 1; i < nodes; i++)
        child_end(&scene.children[i], SIGKILL);
    rig_wipe(rig, name_space, tasks);
    free(scene.children);
    return seconds;
}

static void run(const bench_options *options, bench_report *report)
{
    bench_rig rig;
    rig_tasks tasks;
    double seconds[BENCH_MOST_ROUNDS];
    size_t rounds = (size_t)options->rounds;

    rig_open(&rig, options, report);
    if (rig.embedded)
        bench_fail("takeover: needs a broker that processes can share");
    rig_tasks_make(&tasks, (size_t)options->tasks, (size_t)options->properties);
    for (size_t i = 0; i < rounds; i++)
        seconds[i] = run_round(&rig, &tasks, (long)i);

    double lease = (double)options->lease_ms / 1e3;
    report_count(report, "tasks", (double)tasks.count, "tasks");
    report_count(report, "nodes", (double)options->nodes, "processes");
    report_count(report, "lease_ms", (double)options->lease_ms, "ms");
    report_count(report, "rounds", (double)rounds, "");
    report_array(report, "round_seconds", seconds, rounds);
    report_number(report, "median_seconds", statistics_median(seconds, rounds), 3, "s");
    report_number(report, "seconds", seconds[rounds - 1], 3, "s, the longest");
    report_number(report, "seconds_over_lease", seconds[rounds - 1] - lease, 3, "s");
    report_at_most(report, "seconds_over_lease", rig.etcd ? 2 : 1);
    rig_tasks_free(&tasks);
    rig_close(&rig);
}

const bench_scenario bench_takeover = {
    .name = "takeover",
    .summary = "the tasks of a process that is killed run elsewhere",
    .description =
        "One of several consumer processes holds all the tasks and is killed with SIGKILL. Takes "
        "the time from then to the start of the last task elsewhere, and reports the longest of "
        "the rounds, each of which kills at another moment between two renewals. What the lease "
        "does not explain should be under a second, on etcd under two.",
    .defaults =
        {.broker = "private-redis", .tasks = 10000, .nodes = 3, .lease_ms = 5000, .rounds = 3},
    .run = run,
};
