/* Workers: consumers of a case, and a log that shows whether two of them ever had one task. */
#ifndef MF_TESTS_WORKER_H
#define MF_TESTS_WORKER_H

#include <metafora/metafora.h>

#include "contract.h"

/* How a worker's handlers end. */
typedef enum manner {
    RUNS_UNTIL_STOPPED, /* then releases at once */
    LINGERS,            /* then releases after linger_ms */
    DONE_AT_ONCE,       /* in start */
    DONE_WHEN_STOPPED
} manner;

/* What happened to the tasks "t0" to "t<count - 1>". */
typedef struct task_log {
    unsigned owners, most_owners, starts, dones;
    uint64_t fence;
    bool fence_fell;
} task_log;

typedef struct crew {
    contract *c;
    size_t count;
    task_log *logs;
    size_t done;
} crew;

typedef struct worker {
    crew *crew;
    mf_loop *loop;
    mf_consumer *consumer;
    manner manner;
    int linger_ms;
    struct run *runs;
    size_t running, started;
    bool joined, failed, closed;
    mf_stop_reason reason; /* of the latest stop */
    int64_t stopped_us;    /* its time */
    int64_t lease_left_ms; /* and what was left of the lease */
} worker;

crew *crew_new(contract *c, size_t count);

/* Options that a case may change before worker_open. */
mf_consumer_options worker_options(contract *c, const char *name);
/* Opened on the case's loop, or on `loop`; drained and freed at the end of the case. */
worker *worker_open(crew *all, const mf_consumer_options *options, manner how);
worker *worker_joined(crew *all, const char *name, manner how);
void worker_close(worker *w);

bool await_running(worker *w, size_t count, int bound_ms);
/* Both together run so many. */
bool await_total(worker *a, worker *b, size_t count, int bound_ms);
bool await_all_done(crew *all, int bound_ms);
bool await_worker_failed(worker *w, int bound_ms);
bool await_worker_joined(worker *w, int bound_ms);
bool await_worker_closed(worker *w, int bound_ms);

/* Runs a loop of its own for a time, or until it is stopped. */
void run_for(mf_loop *loop, int ms);

/* No task had two owners at a time, and each new owner a higher fence. */
void expect_one_owner_each(const crew *all);

#endif
