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

#endif
