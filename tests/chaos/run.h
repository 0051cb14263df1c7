/* A run: servers, nodes and tasks, the faults of a schedule, and what came of them. */
#ifndef MF_CHAOS_RUN_H
#define MF_CHAOS_RUN_H

#include "backend.h"
#include "schedule.h"

typedef struct run_options {
    const backend *backend;
    schedule_options schedule;
    int tasks;
    const char *command; /* that repeats the run */
} run_options;

/* Returns the exit status: 0, 1 after a violation, 2 when the run has proven nothing. */
int run_chaos(const run_options *options);

#endif
