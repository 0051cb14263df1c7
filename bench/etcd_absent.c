/* What stands for etcd where its driver is not built. */
#include "etcd.h"

const mf_driver *etcd_driver(void)
{
    return NULL;
}

void etcd_wipe(bench_rig *rig)
{
    (void)rig;
}

void etcd_floor_claim(bench_rig *rig, const rig_tasks *tasks, bench_meter *meter)
{
    (void)rig;
    (void)tasks;
    (void)meter;
}

void etcd_floor_submit(bench_rig *rig, const rig_tasks *tasks, bench_meter *meter)
{
    (void)rig;
    (void)tasks;
    (void)meter;
}

etcd_peer *etcd_peer_open(bench_rig *rig, const rig_tasks *tasks)
{
    (void)rig;
    (void)tasks;
    return NULL;
}

double etcd_peer_ping(etcd_peer *peer)
{
    (void)peer;
    return 0;
}

double etcd_peer_start(etcd_peer *peer, size_t index)
{
    (void)peer;
    (void)index;
    return 0;
}

void etcd_peer_close(etcd_peer *peer)
{
    (void)peer;
}
