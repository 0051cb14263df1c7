/* The floors on etcd: the driver's transactions, nested and under way as the library has them, by
 * the least client. */
#include <metafora/driver.h>
#include <metafora/etcd.h>

#include <stdio.h>
#include <stdlib.h>

#include "cpu.h"
#include "etcd.h"
#include "etcd_client.h"

/* As many as the library has. */
enum { CLAIMS_IN_FLIGHT = 16, SUBMITS_IN_FLIGHT = 32 };
/* As the driver does. */
enum { KEYS_OF_A_LEASE = 1000, LEASE_S = 3600, LEASE_FIRST = 1 };

#define TASKS "/floor/tasks/"
static const char node_key[] = "/floor/nodes/floor/_metafora";
static const char node[] = "{\"epoch\":1}";
static const char owner[] = "{\"node\":\"floor\",\"session\":\"0123456789abcdef0123456789abcdef\"}";

const mf_driver *etcd_driver(void)
{
    return &mf_etcd_driver;
}

typedef struct floor_client {
    etcd_client *client;
    const rig_tasks *tasks;
    size_t batch;
} floor_client;

static void open_client(floor_client *floor, bench_rig *rig, const rig_tasks *tasks)
{
    mf_broker *broker = rig_broker(rig, "floor");
    *floor = (floor_client){.tasks = tasks, .batch = broker->max_batch};
    rig_broker_close(rig, broker);
    floor->client = etcd_open(rig);
}

static size_t batches(const floor_client *floor)
{
    return (floor->tasks->count + floor->batch - 1) / floor->batch;
}

/* The tasks of a batch. */
static size_t first_of(const floor_client *floor, size_t batch)
{
    return batch * floor->batch;
}

static size_t count_of(const floor_client *floor, size_t batch)
{
    size_t left = floor->tasks->count - first_of(floor, batch);
    return left < floor->batch ? left : floor->batch;
}

static mf_bytes key(mf_arena *arena, const char *id, const char *tail)
{
    char text[320];
    int length = snprintf(text, sizeof text, TASKS "%s%s", id, tail);
    return mf__bytes_copy(arena, (mf_bytes){.data = (uint8_t *)text, .len = (size_t)length});
}

static void run(floor_client *floor, size_t in_flight,
                const ProtobufCMessage *(*make)(size_t, mf_arena *, void *))
{
    etcd_work work = {.count = batches(floor), .in_flight = in_flight, .make = make, .arg = floor};
    size_t succeeded = etcd_run(floor->client, &work);
    if (succeeded != floor->tasks->count)
        bench_fail("the floor's transactions succeeded for %zu of %zu tasks", succeeded,
                   floor->tasks->count);
}

/* Submit. */

static const ProtobufCMessage *make_submit(size_t index, mf_arena *arena, void *arg)
{
    floor_client *floor = arg;
    size_t first = first_of(floor, index), count = count_of(floor, index);
    char text[64];
    mf_txn *txn = mf__txn_new(arena, 1, count + 1, 1);

    snprintf(text, sizeof text, "/floor/_mf/requests/%zu", index);
    mf_bytes mark = mf__bytes_copy(arena, mf__bytes_of(text));
    mf__txn_if_mod(txn, mark, 0);
    mf__txn_then(txn, mf__op_put(arena, mark, (mf_bytes){0}, 0));
    mf__txn_else(txn, mf__op_get(arena, mark));
    for (size_t i = first; i < first + count; i++) {
        const mf_task_spec *spec = &floor->tasks->specs[i];
        mf_bytes task = key(arena, spec->id, "");
        mf_txn *one = mf__txn_new(arena, 1, 2, 0);
        mf__txn_if_mod(one, task, 0);
        mf__txn_then(one, mf__op_put(arena, task, (mf_bytes){0}, 0));
        if (spec->properties != NULL)
            mf__txn_then(one, mf__op_put(arena, key(arena, spec->id, "/props"),
                                         mf__bytes_of(spec->properties), 0));
        mf__txn_then(txn, mf__op_txn(arena, one));
    }
    return &txn->message.base;
}

void etcd_floor_submit(bench_rig *rig, const rig_tasks *tasks, bench_meter *meter)
{
    floor_client floor;
    open_client(&floor, rig, tasks);
    meter_start(meter);
    run(&floor, SUBMITS_IN_FLIGHT, make_submit);
    meter_stop(meter);
    etcd_close(floor.client);
    etcd_wipe(rig);
}

/* Claim. */

static const ProtobufCMessage *make_grant(size_t index, mf_arena *arena, void *arg)
{
    Etcd__LeaseGrantRequest *request = MF_ARENA_NEW(arena, Etcd__LeaseGrantRequest, 1);
    (void)arg;
    etcd__lease_grant_request__init(request);
    request->id = LEASE_FIRST + (int64_t)index;
    request->ttl = LEASE_S;
    return &request->base;
}

static const ProtobufCMessage *make_node(size_t index, mf_arena *arena, void *arg)
{
    mf_txn *txn = mf__txn_new(arena, 0, 1, 0);
    (void)index;
    (void)arg;
    mf__txn_then(txn, mf__op_put(arena, mf__bytes_of(node_key), mf__bytes_of(node), 0));
    return &txn->message.base;
}

static void join(floor_client *floor)
{
    etcd_work grants = {.path = "/etcdserverpb.Lease/LeaseGrant",
                        .count = floor->tasks->count / KEYS_OF_A_LEASE + 1,
                        .in_flight = CLAIMS_IN_FLIGHT,
                        .make = make_grant};
    etcd_work put = {.count = 1, .in_flight = 1, .make = make_node};
    etcd_run(floor->client, &grants);
    etcd_run(floor->client, &put);
}

static const ProtobufCMessage *make_claim(size_t index, mf_arena *arena, void *arg)
{
    floor_client *floor = arg;
    size_t first = first_of(floor, index), count = count_of(floor, index);
    int64_t lease = LEASE_FIRST + (int64_t)(first / KEYS_OF_A_LEASE);
    mf_txn *txn = mf__txn_new(arena, 1, count + 1, 1);

    mf__txn_if_value(txn, mf__bytes_of(node_key), mf__bytes_of(node));
    mf__txn_then(txn, mf__op_get(arena, mf__bytes_of("/floor/_mf/fence")));
    mf__txn_else(txn, mf__op_get(arena, mf__bytes_of(node_key)));
    for (size_t i = first; i < first + count; i++) {
        const char *id = floor->tasks->specs[i].id;
        mf_bytes owner_key = key(arena, id, "/owner");
        mf_txn *one = mf__txn_new(arena, 2, 2, 0);
        mf__txn_if_mod(one, owner_key, 0);
        mf__txn_if_exists(one, key(arena, id, ""));
        mf__txn_then(one, mf__op_put(arena, owner_key, mf__bytes_of(owner), lease));
        mf__txn_then(one, mf__op_get(arena, key(arena, id, "/props")));
        mf__txn_then(txn, mf__op_txn(arena, one));
    }
    return &txn->message.base;
}

static const ProtobufCMessage *make_revoke(size_t index, mf_arena *arena, void *arg)
{
    Etcd__LeaseRevokeRequest *request = MF_ARENA_NEW(arena, Etcd__LeaseRevokeRequest, 1);
    (void)arg;
    etcd__lease_revoke_request__init(request);
    request->id = LEASE_FIRST + (int64_t)index;
    return &request->base;
}

static void leave(floor_client *floor)
{
    etcd_work revokes = {.path = "/etcdserverpb.Lease/LeaseRevoke",
                         .count = floor->tasks->count / KEYS_OF_A_LEASE + 1,
                         .in_flight = 1,
                         .make = make_revoke};
    etcd_run(floor->client, &revokes);
}

void etcd_floor_claim(bench_rig *rig, const rig_tasks *tasks, bench_meter *meter)
{
    floor_client floor;
    open_client(&floor, rig, tasks);
    run(&floor, SUBMITS_IN_FLIGHT, make_submit);
    join(&floor);
    meter_start(meter);
    run(&floor, CLAIMS_IN_FLIGHT, make_claim);
    meter_stop(meter);
    leave(&floor);
    etcd_close(floor.client);
    etcd_wipe(rig);
}

/* One task at a time. */

struct etcd_peer {
    floor_client floor;
    bench_rig *rig;
    size_t index;
};

etcd_peer *etcd_peer_open(bench_rig *rig, const rig_tasks *tasks)
{
    etcd_peer *peer = bench_alloc(1, sizeof *peer);
    open_client(&peer->floor, rig, tasks);
    peer->floor.batch = 1;
    peer->rig = rig;
    join(&peer->floor);
    return peer;
}

static double timed(etcd_peer *peer, const ProtobufCMessage *(*make)(size_t, mf_arena *, void *))
{
    double begun = cpu_now();
    etcd_work work = {.count = 1, .in_flight = 1, .make = make, .arg = peer};
    etcd_run(peer->floor.client, &work);
    return cpu_now() - begun;
}

double etcd_peer_ping(etcd_peer *peer)
{
    return timed(peer, make_node);
}

static const ProtobufCMessage *submit_one(size_t index, mf_arena *arena, void *arg)
{
    etcd_peer *peer = arg;
    (void)index;
    return make_submit(peer->index, arena, &peer->floor);
}

static const ProtobufCMessage *claim_one(size_t index, mf_arena *arena, void *arg)
{
    etcd_peer *peer = arg;
    (void)index;
    return make_claim(peer->index, arena, &peer->floor);
}

double etcd_peer_start(etcd_peer *peer, size_t index)
{
    peer->index = index;
    double seconds = timed(peer, submit_one);
    return seconds + timed(peer, claim_one);
}

void etcd_peer_close(etcd_peer *peer)
{
    if (peer == NULL)
        return;
    leave(&peer->floor);
    etcd_close(peer->floor.client);
    etcd_wipe(peer->rig);
    free(peer);
}

/* Emptying. */

static const ProtobufCMessage *make_wipe(size_t index, mf_arena *arena, void *arg)
{
    static uint8_t zero[] = {0}; /* from the first key, and without end */
    mf_bytes all = {.data = zero, .len = 1};
    mf_txn *txn = mf__txn_new(arena, 0, 1, 0);
    (void)index;
    (void)arg;
    mf__txn_then(txn, mf__op_delete_range(arena, all, all));
    return &txn->message.base;
}

void etcd_wipe(bench_rig *rig)
{
    etcd_work wipe = {.count = 1, .in_flight = 1, .make = make_wipe};
    etcd_client *client = etcd_open(rig);
    etcd_run(client, &wipe);
    etcd_close(client);
}
