/* A consumer in this process whose tasks do nothing but exist. */
#ifndef MF_BENCH_WORKER_H
#define MF_BENCH_WORKER_H

#include "rig.h"

typedef struct bench_worker bench_worker;
struct bench_worker {
    bench_rig *rig;
    mf_broker *broker;
    mf_consumer *consumer;
    size_t running, started;
    size_t awaited; /* rig_done when `started` gets here */
    bool joined;
    /* May be NULL: called when a task has started, or has been asked to stop. Without `stopping` a
     * task that is asked to stop is released. */
    void (*starting)(bench_worker *worker, mf_task *task);
    void (*stopping)(bench_worker *worker, mf_task *task, mf_stop_reason reason);
    void *arg;
};

/* `worker` must be zero but for its two callbacks and arg. Returns at once; the consumer joins
 * while the loop runs. */
void worker_open(bench_worker *worker, bench_rig *rig, const char *name_space, const char *name,
                 mf_balancer balancer);
void worker_await_join(bench_worker *worker);
/* Runs the loop until `count` tasks have started since worker_open. */
void worker_await_starts(bench_worker *worker, size_t count, double limit_s);
/* From inside a callback of the worker only. */
void worker_finish(bench_worker *worker, mf_task *task, mf_outcome outcome);
/* Drains and frees. */
void worker_close(bench_worker *worker);

#endif
