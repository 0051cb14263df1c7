/* The least client that etcd can have: transactions on one connection, a number of them under way.
 * It fails by bench_fail. */
#ifndef MF_BENCH_ETCD_CLIENT_H
#define MF_BENCH_ETCD_CLIENT_H

#include "message.h"
#include "rig.h"

typedef struct etcd_client etcd_client;

etcd_client *etcd_open(bench_rig *rig);
void etcd_close(etcd_client *me);

/* Calls of one method. */
typedef struct etcd_work {
    const char *path; /* NULL: transactions */
    size_t count, in_flight;
    /* Makes number `index` in the arena, which lasts until its answer has come. */
    const ProtobufCMessage *(*make)(size_t index, mf_arena *arena, void *arg);
    void *arg;
} etcd_work;

/* Carries the work out. Returns in how many nested transactions the conditions held. */
size_t etcd_run(etcd_client *me, const etcd_work *work);

#endif
