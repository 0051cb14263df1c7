/* What is in the broker, in memory: which tasks there are, which lease each one's owner key is on,
 * which nodes there are, and how many tasks each holds. Pure: it knows no connection.
 *
 * It is fed from two sides. Events tell of every change, in order. A listing shows everything there
 * is as of one moment after it began, piece by piece, while events go on coming in. What an event
 * has told of since the listing began counts, whatever the listing shows: if it is older than what
 * is shown, those that lead from there to here are still to come. When the listing ends, what
 * neither has shown is not there any more. So one that has been listed once, and told of all events
 * since, is right up to the last of them; listed again, it is right even if events were lost. */
#ifndef MF_ETCD_MIRROR_H
#define MF_ETCD_MIRROR_H

#include <metafora/balancer.h>

#include "message.h"

typedef struct mf_mirror_task mf_mirror_task;
typedef struct mf_mirror_lease mf_mirror_lease;
typedef struct mf_mirror_node mf_mirror_node;

/* All zero at first. */
typedef struct mf_mirror {
    /* Tasks, and owner keys without one: open addressing. */
    mf_mirror_task **tasks;
    size_t count, size; /* size: 0, or a power of two */
    mf_mirror_task **open;
    size_t open_count, open_size;
    bool listing_tasks;
    bool broken; /* memory was out: what it says is wrong until it is cleared */

    mf_mirror_lease *leases;
    mf_mirror_node *nodes, *changed;
    bool listing_nodes;
} mf_mirror;

void mf__mirror_clear(mf_mirror *mirror);

/* Who says so. */
typedef enum mf_mirror_source { MF_MIRROR_TOLD, MF_MIRROR_LISTED } mf_mirror_source;

/* Whether the task is there. A listing shows only what is. */
void mf__mirror_set_task(mf_mirror *mirror, mf_mirror_source source, mf_bytes id, bool there);
/* Whether the task's owner key is there, and on which lease; 0: on none. */
void mf__mirror_set_owner(mf_mirror *mirror, mf_mirror_source source, mf_bytes id, bool there,
                          int64_t lease);

/* A listing of all tasks and owner keys begins, also when another one has not ended; it ends. */
void mf__mirror_begin_tasks(mf_mirror *mirror);
void mf__mirror_end_tasks(mf_mirror *mirror);

/* The tasks without an owner key are numbered from 0 to open_count - 1. When one goes, the last one
 * takes its place: a walk from the end to the start, with pauses, misses none that stays. */
const char *mf__mirror_open(const mf_mirror *mirror, size_t index);

/* Nodes (mirror_nodes.c). */

/* `node`: name and weight count. */
void mf__mirror_set_node(mf_mirror *mirror, mf_mirror_source source, const mf_node *node,
                         bool there);
/* Owner keys on this lease are this node's, which need not be there yet. */
void mf__mirror_name_lease(mf_mirror *mirror, int64_t lease, const char *node);
bool mf__mirror_has_name(const mf_mirror *mirror, int64_t lease);
/* A listing of all nodes, and of all leases that may have a name; as that of tasks. */
void mf__mirror_begin_nodes(mf_mirror *mirror);
void mf__mirror_end_nodes(mf_mirror *mirror);
/* How many owner keys there are on its leases. */
uint64_t mf__mirror_count(const mf_mirror *mirror, const char *node);
size_t mf__mirror_live_nodes(const mf_mirror *mirror);

/* A node that has come, gone or changed since it was last taken; false: no more. The name is
 * copied to the arena. */
bool mf__mirror_take_changed(mf_mirror *mirror, mf_arena *arena, mf_node *out, bool *gone);
/* As if all had changed. */
void mf__mirror_change_all(mf_mirror *mirror);

/* For mirror.c: one owner key more on the lease, and one less. NULL: no memory. */
mf_mirror_lease *mf__mirror_lease_add(mf_mirror *mirror, int64_t id);
void mf__mirror_lease_drop(mf_mirror *mirror, mf_mirror_lease *lease);
void mf__mirror_clear_nodes(mf_mirror *mirror);

#endif
