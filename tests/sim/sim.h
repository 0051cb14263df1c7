/* One seeded run of a whole cluster under faults, and what must hold in it. */
#ifndef MF_SIM_SIM_H
#define MF_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "mutation.h"

typedef struct sim_options {
    uint64_t seed;
    int nodes, tasks;
    int fault_seconds; /* how long faults go on, virtual time */
    mutation mutation; /* a rule that the broker or its link does not keep */
    FILE *trace;       /* NULL: none */
    bool hash;         /* of the trace, into the report */
} sim_options;

/* What happened, so that a run that met no fault of some kind can be told from
 * one that did. */
#define SIM_COUNTS(X)                             \
    X(grants, "grants")                           \
    X(repeats, "grants repeated")                 \
    X(starts, "starts")                           \
    X(takeovers, "takeovers")                     \
    X(refused, "late endings refused")            \
    X(overruns, "handlers running past a lease")  \
    X(submits, "submits")                         \
    X(removals, "removals")                       \
    X(commands, "commands")                       \
    X(runs, "runs of stateful handlers")          \
    X(messages, "messages to tasks")              \
    X(late_writes, "late states refused")         \
    X(cuts, "cuts")                               \
    X(partitions, "partitions")                   \
    X(one_way, "one-way partitions")              \
    X(pauses, "pauses")                           \
    X(crashes, "crashes")                         \
    X(leaves, "shutdowns")                        \
    X(drains, "drains and their ends")            \
    X(rivals, "second processes of a name")       \
    X(usurped, "names taken from a hung process") \
    X(restarts, "broker restarts")                \
    X(stalls, "broker stalls")                    \
    X(audits, "audits")

typedef struct sim_report {
    uint64_t steps;
#define SIM_FIELD(name, text) uint64_t name;
    SIM_COUNTS(SIM_FIELD)
#undef SIM_FIELD
    uint64_t hash;       /* of the trace */
    char violation[512]; /* "": everything held */
} sim_report;

void sim_run(const sim_options *options, sim_report *report);

#endif
