/* Leases for keys: granted when they are needed, filled up, and left to lapse. */
#include <assert.h>
#include <stdlib.h>

#include "handle.h"
#include "leases.h"
#include "op.h"
#include "watch.h"

/* A lease is refreshed when so much of its time has gone by. */
enum { REFRESHES_MOST = 16 };

/* A keep-alive of a lease on which claims are being put: they count from when it was sent. */
typedef struct mf_refresh {
    mf_rpc rpc; /* first */
    mf_key_leases *leases;
    int64_t id;
    mf_arena arena;
    mf_op *waiting;
} refresh;

static void grant(mf_key_leases *leases);

void mf__key_leases_init(mf_key_leases *leases, mf_etcd *etcd, int64_t ttl_s, int64_t fresh_us)
{
    *leases = (mf_key_leases){.etcd = etcd, .ttl_s = ttl_s, .fresh_us = fresh_us};
    leases->waiting_last = &leases->waiting;
    mf__arena_init(&leases->arena);
}

void mf__key_leases_clear(mf_key_leases *leases)
{
    assert(leases->waiting == NULL && !leases->granting && leases->refreshing == 0);
    mf__key_leases_forget_all(leases);
    mf__arena_clear(&leases->arena);
}

void mf__key_leases_forget_all(mf_key_leases *leases)
{
    while (leases->list != NULL)
        mf__key_leases_forget(leases, leases->list->id);
}

mf_key_lease *mf__key_leases_find(mf_key_leases *leases, int64_t id)
{
    mf_key_lease *lease = leases->list;

    while (lease != NULL && lease->id != id)
        lease = lease->next;
    return lease;
}

/* At random, so that the leases of many claims that were granted at once do not come at once. */
void mf__key_lease_plan_audit(mf_etcd *etcd, mf_key_lease *lease)
{
    lease->audit_us = mf_loop_now_us(etcd->broker.loop) + MF_AUDIT_US / 2 +
                      (int64_t)(mf_loop_random(etcd->broker.loop) % MF_AUDIT_US);
}

void mf__key_leases_forget(mf_key_leases *leases, int64_t id)
{
    mf_key_lease **at = &leases->list;

    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    mf_key_lease *gone = *at;
    *at = gone->next;
    free(gone);
}

static void note_refreshed(mf_key_lease *lease, const mf_rpc *rpc)
{
    const Etcd__LeaseKeepAliveResponse *answer = (const Etcd__LeaseKeepAliveResponse *)rpc->answer;

    if (answer->ttl <= 0 || answer->header == NULL || rpc->sent_us < lease->renewed_us)
        return;
    lease->renewed_us = rpc->sent_us;
    lease->term = answer->header->raft_term;
}

static void on_refreshed(mf_rpc *rpc, const mf_error *error)
{
    refresh *one = (refresh *)rpc;
    mf_key_lease *lease = mf__key_leases_find(one->leases, one->id);
    mf_op *op = one->waiting;

    one->leases->refreshing--;
    if (lease != NULL)
        lease->refresh = NULL;
    if (lease != NULL && error->code == MF_OK)
        note_refreshed(lease, rpc);
    mf__arena_clear(&one->arena);
    free(one);
    while (op != NULL) {
        mf_op *next = op->next_waiting;
        op->then(op);
        op = next;
    }
}

/* Without memory, claims count from when the lease was last renewed. */
void mf__key_lease_refresh(mf_key_leases *leases, mf_key_lease *lease)
{
    int64_t due_us = lease->renewed_us + leases->ttl_s * 1000000 / REFRESHES_MOST;
    refresh *one;

    if (lease->refresh != NULL || mf_loop_now_us(leases->etcd->broker.loop) < due_us ||
        (one = calloc(1, sizeof *one)) == NULL)
        return;
    lease->refresh = one;
    leases->refreshing++;
    one->leases = leases;
    one->id = lease->id;
    one->rpc.done = on_refreshed;
    mf__arena_init(&one->arena);
    mf__rpc_start(&one->rpc, leases->etcd->calls, &mf__method_keep_alive,
                  &mf__keep_alive_new(&one->arena, lease->id)->base, &one->arena);
}

void mf__key_leases_await(mf_key_leases *leases, int64_t id, mf_op *op)
{
    mf_key_lease *lease = mf__key_leases_find(leases, id);

    if (lease == NULL || lease->refresh == NULL) {
        op->then(op);
        return;
    }
    op->next_waiting = lease->refresh->waiting;
    lease->refresh->waiting = op;
}

void mf__key_leases_give_back(mf_key_leases *leases, int64_t id, size_t keys)
{
    mf_key_lease *lease = mf__key_leases_find(leases, id);

    if (lease != NULL)
        lease->keys -= lease->keys < keys ? lease->keys : keys;
}

/* Those that nobody has renewed are gone by themselves. */
static void drop_lapsed(mf_key_leases *leases, int64_t now_us)
{
    for (mf_key_lease *lease = leases->list, *next; lease != NULL; lease = next) {
        next = lease->next;
        if (lease->renewed_us + leases->ttl_s * 1000000 < now_us)
            mf__key_leases_forget(leases, lease->id);
    }
}

/* Of those that were renewed not long ago, the fullest with room. */
static mf_key_lease *choose(mf_key_leases *leases, size_t keys)
{
    int64_t now = mf_loop_now_us(leases->etcd->broker.loop);
    mf_key_lease *best = NULL;

    drop_lapsed(leases, now);
    for (mf_key_lease *lease = leases->list; lease != NULL; lease = lease->next)
        if (lease->renewed_us + leases->fresh_us > now && lease->keys + keys <= MF_LEASE_KEYS_MAX &&
            (best == NULL || lease->keys > best->keys))
            best = lease;
    return best;
}

static void give(mf_op *op, mf_key_lease *lease)
{
    lease->keys += op->lease_keys;
    op->lease = lease->id;
    op->leased(op, lease, NULL);
}

static void serve(mf_key_leases *leases)
{
    mf_op *op;
    mf_key_lease *lease;

    while ((op = leases->waiting) != NULL && (lease = choose(leases, op->lease_keys)) != NULL) {
        leases->waiting = op->next_waiting;
        if (leases->waiting == NULL)
            leases->waiting_last = &leases->waiting;
        give(op, lease);
    }
    if (leases->waiting != NULL)
        grant(leases);
}

static void fail_waiting(mf_key_leases *leases, const mf_error *error)
{
    mf_op *op = leases->waiting;

    leases->waiting = NULL;
    leases->waiting_last = &leases->waiting;
    while (op != NULL) {
        mf_op *next = op->next_waiting;
        op->leased(op, NULL, error);
        op = next;
    }
}

static void on_granted(mf_rpc *rpc, const mf_error *error)
{
    mf_key_leases *leases = (mf_key_leases *)((char *)rpc - offsetof(mf_key_leases, rpc));
    mf_key_lease *lease = error->code == MF_OK ? calloc(1, sizeof *lease) : NULL;
    mf_error none;

    leases->granting = false;
    mf__arena_clear(&leases->arena);
    if (lease == NULL) {
        mf_error_set(&none, MF_ENOMEM, "etcd: out of memory");
        fail_waiting(leases, error->code == MF_OK ? &none : error);
        return;
    }
    lease->id = leases->granted_id;
    lease->renewed_us = rpc->sent_us;
    mf__key_lease_plan_audit(leases->etcd, lease);
    lease->next = leases->list;
    leases->list = lease;
    serve(leases);
}

int64_t mf__lease_new_id(mf_etcd *etcd)
{
    int64_t id = (int64_t)(mf_loop_random(etcd->broker.loop) >> 1);

    return id != 0 ? id : 1;
}

/* The id is ours, and new at each try: a grant whose answer was lost leaves a lease without keys,
 * which lapses. */
static void grant(mf_key_leases *leases)
{
    if (leases->granting)
        return;
    leases->granting = true;
    leases->granted_id = mf__lease_new_id(leases->etcd);
    leases->rpc = (mf_rpc){.done = on_granted};
    Etcd__LeaseGrantRequest *request = MF_ARENA_NEW(&leases->arena, Etcd__LeaseGrantRequest, 1);
    etcd__lease_grant_request__init(request);
    request->ttl = leases->ttl_s;
    request->id = leases->granted_id;
    mf__rpc_start(&leases->rpc, leases->etcd->calls, &mf__method_grant, &request->base,
                  &leases->arena);
}

void mf__key_leases_prepare(mf_key_leases *leases)
{
    if (choose(leases, MF_LEASE_KEYS_MAX / 2) == NULL)
        grant(leases);
}

const mf_key_lease *mf__key_leases_next(mf_key_leases *leases)
{
    return choose(leases, 1);
}

void mf__key_leases_take(mf_key_leases *leases, mf_op *op, size_t keys, mf_lease_fn fn)
{
    mf_key_lease *lease = leases->waiting == NULL ? choose(leases, keys) : NULL;

    op->leases = leases;
    op->leased = fn;
    op->lease_keys = keys;
    op->next_waiting = NULL;
    if (lease == NULL) {
        *leases->waiting_last = op;
        leases->waiting_last = &op->next_waiting;
        grant(leases);
        return;
    }
    give(op, lease);
    mf__key_leases_prepare(leases);
}

bool mf__key_leases_take_again(mf_op *op, const mf_error *error)
{
    (void)error;
    if (op->rpc.grpc != MF_GRPC_NOT_FOUND || op->retaken)
        return false;
    op->retaken = true;
    mf__key_leases_forget(op->leases, op->lease);
    mf__key_leases_take(op->leases, op, op->lease_keys, op->leased);
    return true;
}

int64_t mf__lease_seconds(int64_t lease_ms)
{
    return (lease_ms + 999) / 1000;
}

Etcd__LeaseKeepAliveRequest *mf__keep_alive_new(mf_arena *arena, int64_t lease)
{
    Etcd__LeaseKeepAliveRequest *request = mf__arena_take(arena, sizeof *request);

    etcd__lease_keep_alive_request__init(request);
    request->id = lease;
    return request;
}
