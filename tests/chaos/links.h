/* The network of each node: a proxy before each server, and its faults. */
#ifndef MF_CHAOS_LINKS_H
#define MF_CHAOS_LINKS_H

#include "backend.h"

typedef struct links links;

links *links_new(int nodes, int servers, const int *ports);
void links_free(links *l);

/* What reroute.c is told of this node: "port:proxy,..." for all servers. */
void links_routes(const links *l, int node, char *out, size_t size);

/* The ports at which this node finds the servers. */
const int *links_ports(const links *l, int node);

/* False: it had no effect, which shows in the end for those that last. */
void links_begin(links *l, const planned_fault *fault);
bool links_end(links *l, const planned_fault *fault);

#endif
