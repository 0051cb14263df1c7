/* What a scenario runs on: a broker, a loop, tasks, and a bound on every wait. */
#ifndef MF_BENCH_RIG_H
#define MF_BENCH_RIG_H

#include <metafora/metafora.h>

#include "bench.h"

typedef struct bench_rig {
    const bench_options *options;
    mf_loop *loop;
    const char *url;
    bool private_server;
    bool embedded, redis, etcd; /* which kind of broker it is */
    mf_broker *anchor;          /* keeps an embedded store while no other handle is open */
    mf_timer bound;
    const char *waits_for;
    bool slept;
} bench_rig;

/* Opens the broker that options->broker names, and says so in the report. */
void rig_open(bench_rig *rig, const bench_options *options, bench_report *report);
void rig_close(bench_rig *rig);

/* Runs the loop until rig_done; not within `limit_s`: bench_fail with `what`. */
void rig_run(bench_rig *rig, double limit_s, const char *what);
void rig_done(bench_rig *rig);
/* Runs the loop for a time. */
void rig_pass(bench_rig *rig, double seconds);

mf_broker *rig_broker(bench_rig *rig, const char *name_space);
void rig_broker_close(bench_rig *rig, mf_broker *broker);

/* Tasks "t00000000" and on, with options->properties bytes of properties. */
typedef struct rig_tasks {
    mf_task_spec *specs;
    size_t count;
    char *ids, *properties;
} rig_tasks;
void rig_tasks_make(rig_tasks *tasks, size_t count, size_t properties);
void rig_tasks_free(rig_tasks *tasks);

/* A client that is connected. */
typedef struct rig_client {
    bench_rig *rig;
    mf_broker *broker;
    mf_client *client;
    size_t succeeded;
} rig_client;
void rig_client_open(rig_client *client, bench_rig *rig, const char *name_space);
/* Submits all in one call and waits until all are durable. */
void rig_client_submit(rig_client *client, const rig_tasks *tasks);
void rig_client_close(rig_client *client);

/* The three above in one. */
void rig_submit(bench_rig *rig, const char *name_space, const rig_tasks *tasks);

/* Leaves the broker as it was: a private server is emptied, elsewhere the tasks are removed. */
void rig_wipe(bench_rig *rig, const char *name_space, const rig_tasks *tasks);

#endif
