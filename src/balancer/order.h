/* In which order the nodes of a cluster stand for a task: weighted rendezvous hashing.
 *
 * All nodes that know the same names and weights compute the same order, without a word to each
 * other. Each node comes first for a part of the tasks that is its part of the weight; when one
 * joins or goes, no more tasks than that change their first.
 *
 * In large clusters the nodes are in groups by their names' hashes, and first a group is picked,
 * then a node of it: a pick costs the square root of what it would otherwise, and a node that joins
 * or goes changes the first for up to twice its part. */
#ifndef MF_BALANCER_ORDER_H
#define MF_BALANCER_ORDER_H

#include <metafora/balancer.h>

enum { MF_ORDER_GROUPS = 32, MF_ORDER_UNGROUPED = 64 };

typedef struct mf__order {
    size_t count;
    uint64_t *hashes; /* of the names */
    size_t *members;  /* nodes, group by group, and in a group by hash: alike for all viewers */
    size_t starts[MF_ORDER_GROUPS + 1];
    size_t groups;
} mf__order;

/* The weights of one kind of pick. */
typedef struct mf__wheel {
    double *weights; /* by node; none below 0 */
    double groups[MF_ORDER_GROUPS];
} mf__wheel;

#define MF_ORDER_NONE SIZE_MAX

/* -log2 of a hash as a number in (0, 1), to within a hundredth. */
double mf__order_score(uint64_t hash);

/* Begins anew with these nodes. MF_ENOMEM: there are none then. */
int mf__order_set(mf__order *order, const mf_node *nodes, size_t count);
void mf__order_clear(mf__order *order);

/* Call when the weights have changed. */
void mf__wheel_sum(const mf__order *order, mf__wheel *wheel);

/* The node that is first for the task; with another `turn`, first in another order. MF_ORDER_NONE:
 * no node has weight. */
size_t mf__order_pick(const mf__order *order, const mf__wheel *wheel, uint64_t task, uint64_t turn);

#endif
