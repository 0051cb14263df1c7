/* etcd for the benchmark: the driver, a floor, and a clean broker. */
#ifndef MF_BENCH_ETCD_H
#define MF_BENCH_ETCD_H

#include "versus.h"

/* NULL: this program was built without it. */
const mf_driver *etcd_driver(void);

/* Deletes every key. */
void etcd_wipe(bench_rig *rig);

/* The floors, see floor.h: the driver's transactions, by its HTTP/2 and little else. */
void etcd_floor_claim(bench_rig *rig, const rig_tasks *tasks, bench_meter *meter);
void etcd_floor_submit(bench_rig *rig, const rig_tasks *tasks, bench_meter *meter);

/* For one task at a time, on a private server. */
typedef struct etcd_peer etcd_peer;
etcd_peer *etcd_peer_open(bench_rig *rig, const rig_tasks *tasks);
/* Seconds that a put of one small key takes: the least that etcd can make durable. */
double etcd_peer_ping(etcd_peer *peer);
/* Seconds that the submit of task number `index` takes, and then its claim. */
double etcd_peer_start(etcd_peer *peer, size_t index);
/* Leaves the server empty. NULL is let pass. */
void etcd_peer_close(etcd_peer *peer);

#endif
