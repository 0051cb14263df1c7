/* The nodes as one of them knows them: read whole now and then, and kept up by hints in between. */
#ifndef MF_CONSUMER_VIEW_H
#define MF_CONSUMER_VIEW_H

#include <metafora/balancer.h>

typedef struct mf__view_entry mf__view_entry;

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
    int64_t grace_us; /* how long to wait for a node that will be back */
} mf__view;

/* MF_ENOMEM. Clear it also then. */
int mf__view_init(mf__view *view, const char *self, double weight, int64_t grace_us);
void mf__view_clear(mf__view *view);

/* All live nodes. Returns whether some came or went, or have another weight. */
bool mf__view_replace(mf__view *view, const mf_node *nodes, size_t count, int64_t now_us);
/* One that is live, or is gone. Returns the same. */
bool mf__view_update(mf__view *view, const mf_node *node, bool gone, int64_t now_us);

/* This node's own. */
void mf__view_set_weight(mf__view *view, double weight);

/* Makes it ready for a balancer: this node's own count, nodes that were waited for in vain, and a
 * new version if there is news, but not for each count that changes. */
void mf__view_refresh(mf__view *view, uint64_t own_tasks, int64_t now_us);

#endif
