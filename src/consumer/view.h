/* The nodes as one of them knows them: read whole now and then, and kept up by hints in between. */
#ifndef MF_CONSUMER_VIEW_H
#define MF_CONSUMER_VIEW_H

#include <metafora/balancer.h>

typedef struct mf__view_entry mf__view_entry;

/* Tasks that were given back by a node which will be back: they are left to it. */
typedef struct mf__left {
    uint32_t by; /* hash of the node's name */
    size_t count;
    int64_t told_us, until_us;
} mf__left;

typedef struct mf__view {
    mf_node *nodes; /* this node is always among them */
    /* Steady times until which nodes that have said that they will be back are waited for; 0: one
     * that is not. In the places of `nodes`. */
    int64_t *expected_us;
    int64_t first_expected_us; /* at or before the earliest of these */
    mf__view_entry **entries;
    mf__view_entry *by_name;
    size_t count, size, self;
    uint64_t version; /* rises with what balancers need to know */
    uint64_t members; /* rises when nodes come or go */
    bool stale;       /* counts have changed since the last version */
    int64_t version_us;
    int64_t gone_us;  /* when a hint last told that one is gone */
    int64_t grace_us; /* how long to wait for a node that will be back */
    mf__left left;    /* by the node that the last hint told of; count 0: none */
    bool returned;    /* one that was waited for is back; cleared by who has seen it */
} mf__view;

/* MF_ENOMEM. Clear it also then. */
int mf__view_init(mf__view *view, const char *self, double weight, int64_t grace_us);
void mf__view_clear(mf__view *view);

/* All live nodes, as they were at some time after `asked_us`; what hints have told since then is
 * newer. Returns whether some came or went, or have another weight. */
bool mf__view_replace(mf__view *view, const mf_node *nodes, size_t count, int64_t asked_us,
                      int64_t now_us);
/* Whether a node has gone since, so that it may be in a list which was asked for at that time. */
bool mf__view_is_doubtful(const mf__view *view, int64_t asked_us);
/* A hint: a node that is live, or is gone. Returns as replace does. */
bool mf__view_update(mf__view *view, const mf_node *node, bool gone, int64_t now_us);
/* Whose tasks a hint of so many claimable ones tells of. Drivers tell first what a node holds now,
 * then of the tasks that it has given back. NULL: nobody's, or of a node that will not be back. */
const mf__left *mf__view_left(const mf__view *view, size_t count, int64_t now_us);
/* Whether the node of that name's hash is waited for. */
bool mf__view_expects(const mf__view *view, uint32_t by);

/* This node's own. */
void mf__view_set_weight(mf__view *view, double weight);

/* Makes it ready for a balancer: this node's own count, nodes that were waited for in vain, and a
 * new version if there is news, but not for each count that changes. */
void mf__view_refresh(mf__view *view, uint64_t own_tasks, int64_t now_us);

#endif
