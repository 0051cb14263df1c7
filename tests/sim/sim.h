/* One seeded run of a whole cluster under faults, and what must hold in it. */
#ifndef MF_SIM_SIM_H
#define MF_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct sim_options {
    uint64_t seed;
    int nodes, tasks;
    int fault_seconds; /* how long faults go on, virtual time */
    FILE *trace;       /* NULL: none */
} sim_options;

typedef struct sim_report {
    uint64_t steps;
    uint64_t grants, starts, takeovers, cuts, partitions, pauses, crashes, commands;
    uint64_t repeats;    /* claims granted again to the session that had them */
    uint64_t refused;    /* endings that came too late */
    char violation[512]; /* "": everything held */
} sim_report;

void sim_run(const sim_options *options, sim_report *report);

#endif
