/* What happens to clusters in the balancing report, and what each of these cost. */
#ifndef MF_SIM_SCENARIOS_H
#define MF_SIM_SCENARIOS_H

#include "fleet.h"

/* Points of a curve. */
typedef struct series {
    double *x, *y;
    size_t count, size;
} series;

void series_add(series *s, double x, double y);
void series_free(series *s);

typedef struct figures {
    const char *scenario;
    size_t nodes, tasks; /* when it was over */
    double balanced_s;   /* until the cluster was balanced; below 0: it did not get there; NAN:
                            nobody looked */
    double largest;      /* node over its share, in the end */
    uint64_t moves, minimum;
    double attempts_per_start; /* claims asked for, by tasks started; 0: none were started */
    double requests_per_start, requests_per_s;
    series curve;
} figures;

enum {
    SCENARIO_COLD_START,    /* all nodes start within a second, and the tasks are there */
    SCENARIO_SUBMIT,        /* a tenth more tasks come at once */
    SCENARIO_QUIET,         /* nothing changes for ten minutes */
    SCENARIO_JOIN,          /* one node more */
    SCENARIO_DEATH,         /* one node is killed */
    SCENARIO_MANY_DEATHS,   /* a tenth of the nodes */
    SCENARIO_ROLLING_GRACE, /* nodes are restarted one by one, and say that they will be back */
    SCENARIO_ROLLING,       /* without a word */
    SCENARIOS
};

/* One after the other on one cluster of nodes of weight 1, up to and including `last`. */
void scenarios_run(size_t nodes, size_t tasks, int last, figures out[SCENARIOS]);

/* Clusters of their own. */
figures scenario_weights(size_t nodes, size_t tasks);        /* of 1, 1, 2 and 4 */
figures scenario_costs_fair(size_t nodes, size_t tasks);     /* `largest` is by cost */
figures scenario_costs_resource(size_t nodes, size_t tasks); /* likewise */

#endif
