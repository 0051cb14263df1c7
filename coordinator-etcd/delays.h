/* Tasks for later. */
#ifndef MF_ETCD_DELAYS_H
#define MF_ETCD_DELAYS_H

#include <metafora/loop.h>

#include "link.h"

typedef struct mf_etcd mf_etcd;

/* The tasks that may not be claimed yet, so far as the handle knows. */
typedef struct mf_delays {
    struct mf_delayed *list; /* by id */
    mf_timer timer;
    int64_t next_us; /* that it waits for; INT64_MAX: none */
    mf_rpc rpc;
    mf_arena arena; /* of the call */
    bool calling;
    uint32_t watch, listing; /* watch since whose beginning nothing was missed; 0: none */
    struct due *due;
    size_t due_count;
} mf_delays;

void mf__delays_init(mf_etcd *etcd);
void mf__delays_clear(mf_etcd *etcd);
/* The key that keeps a task from being claimed, and what is in it. */
mf_bytes mf__delay_key(mf_etcd *etcd, mf_arena *arena, const char *id);
mf_bytes mf__delay_text(mf_arena *arena, int64_t until_us);
/* The task is known to be delayed. */
bool mf__delays_has(const mf_etcd *etcd, const char *id);
/* The watch is on, and what it has told. */
void mf__delays_watched(mf_etcd *etcd);
void mf__delays_put(mf_etcd *etcd, mf_bytes id, mf_bytes value);
void mf__delays_deleted(mf_etcd *etcd, mf_bytes id);
/* The same of what this handle has put. */
void mf__delays_submitted(mf_etcd *etcd, const char *id, int64_t until_us);

#endif
