/* A faulty network between a node and the embedded broker, in virtual time.
 *
 * It stands where a driver's connection would: requests and answers travel with delay and in order;
 * a cut loses the answers under way and some of the requests, while others still arrive, late; a
 * partition is noticed only when an answer is overdue; hints get lost. What the broker answers is
 * shown to an observer at the moment it is decided. */
#ifndef MF_SIM_LINK_H
#define MF_SIM_LINK_H

#include <metafora/driver.h>

#include "virtual_loop.h"

typedef enum verb {
    VERB_JOIN,
    VERB_LEAVE,
    VERB_RENEW,
    VERB_CLAIM,
    VERB_RELEASE,
    VERB_DONE,
    VERB_CLAIMABLE,
    VERB_RECEIVE,
    VERB_NODES
} verb;

/* Called when the broker has decided; the request is a copy with the answer in it. */
typedef void (*link_observer)(void *arg, verb what, const mf_request *request);

typedef struct link_options {
    mf_loop *node_loop;    /* may be paused */
    mf_loop *network_loop; /* never paused */
    mf_broker *inner;      /* on the network's loop; the link closes it */
    int64_t delay_us;      /* each way, at most */
    int64_t reply_timeout_us;
    double hint_loss; /* share of hints that get lost */
    link_observer observer;
    void *arg;
} link_options;

/* The broker handle that the node uses; mf_broker_close as usual. */
mf_broker *link_new(const link_options *options);

/* Breaks the connection at once; it is made again after a moment. */
void link_cut(mf_broker *broker);
/* Swallows everything both ways until it is healed. */
void link_partition(mf_broker *broker, bool partitioned);

#endif
