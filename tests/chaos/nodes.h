/* The nodes: processes of koalemosd, which are started again when they end, and their faults. */
#ifndef MF_CHAOS_NODES_H
#define MF_CHAOS_NODES_H

#include "history.h"
#include "links.h"

typedef struct nodes nodes;

typedef struct nodes_options {
    const backend *backend;
    void *servers;
    const links *links;
    const char *directory; /* for events-<node>, <node>.log and the tasks' logs; borrowed */
    int count, lease_ms;
} nodes_options;

/* Starts them all. */
nodes *nodes_start(const nodes_options *options);
void nodes_free(nodes *all);

/* False: it had no effect. */
bool nodes_begin(nodes *all, const planned_fault *fault);
void nodes_end(nodes *all, const planned_fault *fault);

/* Starts those again that have ended by themselves, and writes down that they did. */
void nodes_tick(nodes *all, history *h);

#endif
