/* A faulty network between a node and the embedded broker, in virtual time.
 *
 * It stands where a driver's connection would: requests and answers travel with
 * delay and in order; a cut loses the answers under way and some of the
 * requests, while others still arrive, late or once more; a partition swallows
 * what is sent, each way or both, and is noticed only when an answer is
 * overdue; hints get lost. */
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
    VERB_NODES,
    VERB_SUBMIT,
    VERB_REMOVE,
    VERB_SEND,
    VERB_LOAD,
    VERB_STORE,
    VERB_MAIL,
    VERB_TELL,
    VERB_FORGET,
    VERB_HELD
} verb;

/* What a node is told without having asked. */
typedef enum link_hint {
    HINT_CLAIMABLE,
    HINT_REMOVED,
    HINT_COMMAND,
    HINT_MAIL,
    HINT_RESYNC
} link_hint;

/* Places on a request's way at which the owner of the link may look at it, or
 * break a rule. Each may be NULL. `copy` is what travels; `request` is the
 * node's own. */
typedef struct link_hooks {
    void (*leaves_node)(void *arg, verb what, mf_request *request);
    void (*reaches_broker)(void *arg, verb what, mf_request *copy);
    void (*decided)(void *arg, verb what, const mf_request *copy); /* the broker's answer is in */
    void (*leaves_broker)(void *arg, verb what, mf_request *copy);
    void (*reaches_node)(void *arg, verb what, mf_request *request);
    /* The node gives up on a request that the broker has carried out. */
    void (*answer_lost)(void *arg, verb what);
    void (*hinted)(void *arg, link_hint what, const char *const *ids, size_t count);
    void *arg;
} link_hooks;

/* A broker that needs time for what it is asked: requests of all links that share this wait for
 * each other. Items are those of claims and of their ends, and what clients submit. */
typedef struct link_service {
    int64_t request_us, item_us;
    int64_t busy_until_us;
} link_service;

enum { LINK_TO_BROKER = 1, LINK_TO_NODE = 2, LINK_BOTH_WAYS = 3 };

typedef struct link_options {
    mf_loop *node_loop;    /* may be paused */
    mf_loop *network_loop; /* the broker's; may be paused */
    mf_broker *inner;      /* on the network's loop; the link closes it */
    int64_t delay_us;      /* each way, at most */
    int64_t reply_timeout_us;
    double hint_loss;      /* share of hints that get lost */
    link_service *service; /* NULL: the broker answers at once */
    link_hooks hooks;
} link_options;

/* The broker handle that the node uses; mf_broker_close as usual. */
mf_broker *link_new(const link_options *options);

/* Breaks the connection at once; it is made again after a moment. */
void link_cut(mf_broker *broker);
/* Swallows everything that goes in these directions, until 0 heals it. */
void link_partition(mf_broker *broker, int ways);
/* Breaks the connection and lets no new one come about until it is taken back.
 */
void link_refuse(mf_broker *broker, bool refused);
/* Hints may have been missed, says the link. */
void link_resync(mf_broker *broker);
/* The broker refuses what is asked for, of these kinds (bits 1 << VERB_...), until 0. */
void link_set_unwilling(mf_broker *broker, unsigned kinds);
/* The node has ended: what it left in buffers arrives soon or never. */
void link_bury(mf_broker *broker);
void link_set_hint_loss(mf_broker *broker, double share);

/* Of a request that has them, else 0. */
size_t link_items(verb what, const mf_request *request);

#endif
