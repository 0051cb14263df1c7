/* What is in the broker, in memory: which tasks there are, which lease each one's owner key is on
 * and which revision put it, which of them may not be claimed yet, which nodes there are, and how
 * many tasks each holds. Pure: it knows no connection.
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

/* That a task may not be claimed yet. */
typedef struct mf_mirror_delay {
    int64_t due_us;   /* when it is to be ended: `until_us`, or 0 when the task is gone */
    int64_t until_us; /* wall time */
    int64_t revision; /* that put it */
    mf_mirror_task *task;
} mf_mirror_delay;

/* All zero at first. */
typedef struct mf_mirror {
    /* Tasks, and owner keys without one: open addressing. */
    mf_mirror_task **tasks;
    size_t count, size; /* size: 0, or a power of two */
    mf_mirror_task **open;
    size_t open_count, open_size;
    mf_mirror_delay *delays; /* a heap by due time */
    size_t delay_count, delay_size;
    bool listing_tasks;
    bool broken; /* memory was out: what it says is wrong until it is cleared */

    mf_mirror_lease *leases;
    mf_mirror_node *nodes, *changed;
    bool listing_nodes;
} mf_mirror;

void mf__mirror_clear(mf_mirror *mirror);

/* Who says so. */
typedef enum mf_mirror_source { MF_MIRROR_TOLD, MF_MIRROR_LISTED } mf_mirror_source;

/* The task is there, created by this revision, or is not, deleted by it. A listing shows only what
 * is. */
void mf__mirror_set_task(mf_mirror *mirror, mf_mirror_source source, mf_bytes id, bool there,
                         int64_t revision);
/* The task's owner key is there, put last by this revision, on this lease (0: on none), or is not.
 */
void mf__mirror_set_owner(mf_mirror *mirror, mf_mirror_source source, mf_bytes id, bool there,
                          int64_t revision, int64_t lease);

/* A listing of all tasks, owner keys and delays begins, also when another one has not ended; it
 * ends, and has shown what was there at a revision. */
void mf__mirror_begin_tasks(mf_mirror *mirror);
void mf__mirror_end_tasks(mf_mirror *mirror, int64_t revision);

/* The tasks that may be claimed are numbered from 0 to open_count - 1. When one goes, the last one
 * takes its place: a walk from the end to the start, with pauses, misses none that stays. */
const char *mf__mirror_open(const mf_mirror *mirror, size_t index);

/* The lease that the task's owner key is on; 0: there is none. */
int64_t mf__mirror_owner(const mf_mirror *mirror, mf_bytes id);
/* The task is there, and its owner key since then as this revision put it, on this lease. */
bool mf__mirror_is_held(const mf_mirror *mirror, mf_bytes id, int64_t revision, int64_t lease);

/* Delays (mirror_delays.c). */

/* A revision put one, or (there is none) deleted it. */
void mf__mirror_set_delay(mf_mirror *mirror, mf_mirror_source source, mf_bytes id, bool there,
                          int64_t revision, int64_t until_us);
/* When the first one is due; INT64_MAX: there is none. */
int64_t mf__mirror_next_due(const mf_mirror *mirror);
/* Writes up to `most` of those that are due by now, and returns how many. */
size_t mf__mirror_due(const mf_mirror *mirror, int64_t now_us, const mf_mirror_delay **out,
                      size_t most);
/* The one that this revision put was ended; or it could not be, as the task was not gone. */
void mf__mirror_end_delay(mf_mirror *mirror, mf_bytes id, int64_t revision, bool ended);
const char *mf__mirror_id(const mf_mirror_task *task);

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

/* Between mirror.c and mirror_delays.c. */
enum {
    MF_MIRROR_DELAYED = 1,
    MF_MIRROR_TASK_SEEN = 2,
    MF_MIRROR_OWNER_SEEN = 4,
    MF_MIRROR_DELAY_SEEN = 8 /* seen: since the listing under way began */
};
struct mf_mirror_task {
    mf_mirror_lease *owner; /* that its owner key is on; NULL: there is none */
    int64_t owned;          /* the revision that put that key */
    int64_t created;        /* the one that created the task; 0: it is not there */
    uint32_t place;         /* among the delayed, or the open ones */
    uint8_t flags;
    char id[];
};
/* The task, if what the source says of it counts. */
mf_mirror_task *mf__mirror_judge(mf_mirror *mirror, mf_mirror_source source, mf_bytes id,
                                 bool there, uint8_t seen);
mf_mirror_task *mf__mirror_find(const mf_mirror *mirror, mf_bytes id);
/* Takes it off the open ones, if it is one of them. */
void mf__mirror_close(mf_mirror *mirror, mf_mirror_task *task);
/* It has changed: it is open, or nothing any more, or neither. */
void mf__mirror_settle(mf_mirror *mirror, mf_mirror_task *task);
/* The task's delay is due when the task is gone, unless it was put later; and as it says when the
 * task is there. */
void mf__mirror_delay_follows(mf_mirror *mirror, mf_mirror_task *task, int64_t revision);
void mf__mirror_drop_delay(mf_mirror *mirror, mf_mirror_task *task);

/* For mirror.c: one owner key more on the lease, and one less. NULL: no memory. */
mf_mirror_lease *mf__mirror_lease_add(mf_mirror *mirror, int64_t id);
int64_t mf__mirror_lease_id(const mf_mirror_lease *lease);
void mf__mirror_lease_drop(mf_mirror *mirror, mf_mirror_lease *lease);
void mf__mirror_clear_nodes(mf_mirror *mirror);

#endif
