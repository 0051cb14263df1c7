/* Shares: how many tasks each node should hold, and what would move to get there. Pure. */
#ifndef MF_BALANCER_PLAN_H
#define MF_BALANCER_PLAN_H

#include <metafora/balancer.h>

typedef struct mf__plan {
    double threshold;
    double total;  /* tasks that the nodes below hold, and those that nobody holds */
    double weight; /* of the nodes that take tasks */
    double need;   /* what nodes lack that are far below their shares */
    double spare;  /* what nodes hold above their shares */
    double unowned;
} mf__plan;

/* A node's weight as it counts: 0 for one that takes nothing. */
double mf__plan_weight(const mf_node *node);

/* By weights as they count (mf__plan_weight, or more for a node that is waited for). */
void mf__plan_make(mf__plan *plan, const mf_node *nodes, const double *weights, size_t count,
                   double unowned, double threshold);

double mf__plan_share(const mf__plan *plan, double weight);
/* Up to how many tasks a node of such a share claims, and above how many it gives up. */
double mf__plan_claim_limit(const mf__plan *plan, double share);
double mf__plan_keep_limit(const mf__plan *plan, double share);
/* What the node lacks, if it is far below its share, else 0. */
double mf__plan_need(const mf__plan *plan, double share, double tasks);
/* How many tasks the node should give up. */
double mf__plan_excess(const mf__plan *plan, double share, double tasks);

#endif
