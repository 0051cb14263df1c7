/* The library against its floor: the same work by the least client that could do it, in one run. */
#ifndef MF_BENCH_VERSUS_H
#define MF_BENCH_VERSUS_H

#include "rig.h"

/* What a stretch of work took. */
typedef struct bench_meter {
    double seconds;
    double program_cpu; /* processor seconds of this process */
    double broker_cpu;  /* and of the private server; 0 when there is none */
} bench_meter;
void meter_start(bench_meter *meter);
void meter_stop(bench_meter *meter);

/* Does the work once on an empty namespace; leaves the broker empty. Starts and stops `meter`
 * around what counts. */
typedef void (*versus_work)(bench_rig *rig, const rig_tasks *tasks, bench_meter *meter);

/* Runs both options->rounds times, in turns, and reports the medians. `floor` NULL: there is none
 * with this broker. */
void versus_run(bench_rig *rig, bench_report *report, versus_work library, versus_work floor);

#endif
