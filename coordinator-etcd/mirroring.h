/* The mirror's place in the driver. */
#ifndef MF_ETCD_MIRRORING_H
#define MF_ETCD_MIRRORING_H

#include <metafora/driver.h>

#include "mirror.h"

typedef struct mf_etcd mf_etcd;

/* The namespace as the watch and listings have shown it. */
typedef struct mf_etcd_mirror {
    mf_mirror content;
    uint32_t number;             /* one more when it has been emptied */
    bool has_tasks, has_nodes;   /* a listing of them was completed */
    unsigned tasks_listing;      /* number of the last one that began */
    unsigned nodes_listing;      /* as well */
    int64_t revision;            /* that the listing of tasks reads; 0: what is there now */
    char cursor[MF_CURSOR_SIZE]; /* where it goes on */
    int64_t audit_us;            /* from when on tasks are to be listed again */
} mf_etcd_mirror;

/* It has what there is, and is told of changes. */
bool mf__etcd_mirror_is_good(const mf_etcd *etcd);
/* Nothing that it has is certain any more. */
void mf__etcd_mirror_reset(mf_etcd *etcd);
/* An event of the watch, in order. */
void mf__etcd_mirror_event(mf_etcd *etcd, const Etcd__Event *event, mf_arena *arena);
/* Tells the watchers of nodes that have changed, if it is good. */
void mf__etcd_mirror_tell(mf_etcd *etcd, mf_arena *arena);

/* A listing of all tasks, for whatever reason it is made, feeds the mirror when that has need of
 * it: 0 when it has not, or the number to name. To be asked before each page is. */
unsigned mf__etcd_mirror_begin_tasks(mf_etcd *etcd, const char *cursor);
/* A page of that listing: keys of tasks, as far as `cursor`, or delays. */
void mf__etcd_mirror_page(mf_etcd *etcd, unsigned number, const Etcd__RangeResponse *page,
                          const char *cursor, mf_arena *arena);
/* It was the last one. */
void mf__etcd_mirror_end_tasks(mf_etcd *etcd, unsigned number, mf_arena *arena);
/* The listing cannot be gone on with. */
void mf__etcd_mirror_abandon(mf_etcd *etcd, unsigned number);
/* It is time to list the tasks again. */
bool mf__etcd_mirror_wants_tasks(const mf_etcd *etcd);

/* As with tasks; all nodes, and leases, are set in between. */
unsigned mf__etcd_mirror_begin_nodes(mf_etcd *etcd);
bool mf__etcd_mirror_takes_nodes(const mf_etcd *etcd, unsigned number);
void mf__etcd_mirror_end_nodes(mf_etcd *etcd, mf_arena *arena);

#endif
