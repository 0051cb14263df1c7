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
