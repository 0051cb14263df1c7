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

/* What happened, and how often it must in 100 seeds, so that a run that hardly met a fault or race
 * of some kind can be told from one that did: about a third of what usually happens. */
#define SIM_COUNTS(X)                                           \
    X(grants, "grants", 7000)                                   \
    X(repeats, "grants repeated", 8)                            \
    X(starts, "starts", 5000)                                   \
    X(takeovers, "takeovers", 5000)                             \
    X(refused, "late endings refused", 1700)                    \
    X(overruns, "handlers running past a lease", 1000)          \
    X(submits, "submits", 300)                                  \
    X(removals, "removals", 150)                                \
    X(commands, "commands", 200)                                \
    X(runs, "runs of stateful handlers", 2500)                  \
    X(messages, "messages to tasks", 40)                        \
    X(late_writes, "late states refused", 30)                   \
    X(cuts, "cuts", 400)                                        \
    X(partitions, "partitions", 100)                            \
    X(one_way, "one-way partitions", 70)                        \
    X(pauses, "pauses", 140)                                    \
    X(crashes, "crashes", 160)                                  \
    X(leaves, "shutdowns", 60)                                  \
    X(drains, "drains and their ends", 40)                      \
    X(rivals, "second processes of a name", 30)                 \
    X(usurped, "names taken from a hung process", 10)           \
    X(restarts, "broker restarts", 40)                          \
    X(stalls, "broker stalls", 40)                              \
    X(audits, "audits", 2000)                                   \
    X(refusals, "times of refused writes", 80)                  \
    X(lulls, "lulls", 60)                                       \
    X(late_grants, "grants that came too late", 4)              \
    X(lost_joins, "joins whose answer was lost", 5)             \
    X(lost_claims, "claims whose answer was lost", 20)          \
    X(lost_endings, "endings whose answer was lost", 14)        \
    X(lost_stores, "writes of states whose answer was lost", 1) \
    X(repeated_endings, "endings asked again", 120)             \
    X(rejoins, "joins with leases in force", 500)               \
    X(stale_renewals, "renewals refused by epoch", 220)         \
    X(resubmits, "submits while the old handler runs", 12)      \
    X(expired_pauses, "deadlines passed in a pause", 800)       \
    X(late_handovers, "hints of what was handed over", 4)       \
    X(waiting_endings, "shutdowns with endings that wait", 6)   \
    X(forced_joins, "names taken from the dead", 180)           \
    X(set_backs, "set-backs of the broker", 50)                 \
    X(orphans, "times that nodes gave back what they did not know", 80)

typedef struct sim_report {
    uint64_t steps;
#define SIM_FIELD(name, text, least) uint64_t name;
    SIM_COUNTS(SIM_FIELD)
#undef SIM_FIELD
    uint64_t hash;       /* of the trace */
    char violation[512]; /* "": everything held */
} sim_report;

void sim_run(const sim_options *options, sim_report *report);

#endif
