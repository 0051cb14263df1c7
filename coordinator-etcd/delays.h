/* Tasks for later. */
#ifndef MF_ETCD_DELAYS_H
#define MF_ETCD_DELAYS_H

#include <metafora/loop.h>

#include "link.h"

typedef struct mf_etcd mf_etcd;

/* The work of ending delays that are due. */
typedef struct mf_delays {
    mf_timer timer;
    int64_t next_us; /* wall time that it waits for; INT64_MAX: none */
    mf_rpc rpc;
    mf_arena arena; /* of the call */
    bool calling;
    struct due *due;
    size_t due_count;
} mf_delays;

void mf__delays_init(mf_etcd *etcd);
void mf__delays_clear(mf_etcd *etcd);
/* The key that keeps a task from being claimed, and what is in it. */
mf_bytes mf__delay_key(mf_etcd *etcd, mf_arena *arena, const char *id);
mf_bytes mf__delay_text(mf_arena *arena, int64_t until_us);
/* What it says, INT64_MAX for a value that is no number. */
int64_t mf__delay_read(mf_etcd *etcd, mf_bytes id, mf_bytes value);
/* More is known by now. */
void mf__delays_go_on(mf_etcd *etcd);
/* Somebody is ending delays. */
void mf__delays_deleted(mf_etcd *etcd);

#endif
