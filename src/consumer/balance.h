/* What the consumer shows a balancer. */
#ifndef MF_CONSUMER_BALANCE_H
#define MF_CONSUMER_BALANCE_H

#include <metafora/balancer.h>
#include <metafora/loop.h>

struct mf_balance {
    mf_loop *loop;
    const mf_node *nodes;       /* at least this node */
    const int64_t *expected_us; /* in their places; NULL: none is waited for */
    size_t node_count, self;
    uint64_t view, members;
    size_t held, limit;
    uint64_t unowned;
    int64_t offered_us, patience_us;
    mf_task *(*task)(const mf_balance *balance, size_t index); /* NULL past the last */
    void (*release)(mf_balance *balance, mf_task *task);       /* NULL in can_claim */
    void *arg;                                                 /* the consumer's */
};

#endif
