/* What the consumer shows a balancer. */
#ifndef MF_CONSUMER_BALANCE_H
#define MF_CONSUMER_BALANCE_H

#include <metafora/balancer.h>
#include <metafora/loop.h>

struct mf_balance {
    mf_loop *loop;
    const mf_node *nodes; /* at least this node */
    size_t node_count, self;
    uint64_t view;
    size_t held;
    mf_task *(*task)(const mf_balance *balance, size_t index); /* NULL past the last */
    void (*release)(mf_balance *balance, mf_task *task);       /* NULL in can_claim */
    void *arg;                                                 /* the consumer's */
};

#endif
