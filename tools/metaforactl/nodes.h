/* The live nodes, kept. */
#ifndef METAFORACTL_NODES_H
#define METAFORACTL_NODES_H

#include <stdint.h>

#include "ctl.h"

typedef struct node_list {
    mf_node *nodes; /* by name */
    size_t count;
    uint64_t tasks; /* that they hold together */
    double weight;
} node_list;

/* Returns an exit status; clear it if that is CTL_DONE. */
int node_list_read(node_list *out, ctl_run *ctl);
void node_list_clear(node_list *list);

/* Its place; SIZE_MAX: it is not among them. */
size_t node_list_find(const node_list *list, const char *name);

/* By weight, of all that the nodes hold. */
double node_share(const node_list *list, size_t at);

/* "ready", "drained" (it takes nothing), or "restarting". */
const char *node_status(const mf_node *node);

#endif
