/* Leases for keys. A lease takes new keys for a while after it was last renewed, and up to a limit,
 * so that its end never deletes more than that at once. */
#ifndef MF_ETCD_LEASES_H
#define MF_ETCD_LEASES_H

#include <metafora/driver.h>

#include "link.h"

typedef struct mf_etcd mf_etcd;
typedef struct mf_op mf_op;

enum { MF_LEASE_KEYS_MAX = 1000 };

typedef struct mf_key_lease {
    struct mf_key_lease *next;
    int64_t id;
    int64_t renewed_us;         /* when the grant or the last renewal was sent */
    int64_t audit_us;           /* from when on the next renewal lists its keys */
    size_t keys;                /* that are on it, or may be */
    size_t being_put;           /* of them, by transactions under way */
    uint64_t term;              /* of the leader that kept it alive last; 0: none did */
    struct mf_refresh *refresh; /* under way */
    bool marked;                /* its mark in the broker is written, see mf__lease_mark */
} mf_key_lease;

typedef struct mf_key_leases {
    mf_etcd *etcd;
    int64_t ttl_s, fresh_us;
    mf_key_lease *list;
    bool granting;
    size_t refreshing; /* leases */
    int64_t granted_id;
    mf_rpc rpc;
    mf_arena arena;
    mf_op *waiting, **waiting_last;
} mf_key_leases;

/* Either `lease` with room for the keys, which are counted on it, or `error`. */
typedef void (*mf_lease_fn)(mf_op *op, mf_key_lease *lease, const mf_error *error);

void mf__key_leases_init(mf_key_leases *leases, mf_etcd *etcd, int64_t ttl_s, int64_t fresh_us);
void mf__key_leases_clear(mf_key_leases *leases);
/* Grants a lease ahead of time, if there is none with much room. */
void mf__key_leases_prepare(mf_key_leases *leases);
/* The lease that takes the next keys; NULL: none. */
const mf_key_lease *mf__key_leases_next(mf_key_leases *leases);
/* Calls fn when there is a lease with room, at once if there is. */
void mf__key_leases_take(mf_key_leases *leases, mf_op *op, size_t keys, mf_lease_fn fn);
/* As a rescue: when etcd says that the lease is no more, in which case nothing was put, the keys
 * are taken on another one, once. */
bool mf__key_leases_take_again(mf_op *op, const mf_error *error);
/* Keeps the lease alive, unless that was done a moment ago. */
void mf__key_lease_refresh(mf_key_leases *leases, mf_key_lease *lease);
/* Calls op->then when no refresh of lease `id` is under way, at once if none is. */
void mf__key_leases_await(mf_key_leases *leases, int64_t id, mf_op *op);
mf_key_lease *mf__key_leases_find(mf_key_leases *leases, int64_t id);
/* Sets when the lease's keys are to be listed next. */
void mf__key_lease_plan_audit(mf_etcd *etcd, mf_key_lease *lease);
/* The lease is no more. Harmless when it is not known. */
void mf__key_leases_forget(mf_key_leases *leases, int64_t id);
void mf__key_leases_forget_all(mf_key_leases *leases);
/* So many keys of lease `id` were not put, or are gone. */
void mf__key_leases_give_back(mf_key_leases *leases, int64_t id, size_t keys);

int64_t mf__lease_new_id(mf_etcd *etcd);
Etcd__LeaseKeepAliveRequest *mf__keep_alive_new(mf_arena *arena, int64_t lease);

/* Whole seconds, as many as are needed. */
int64_t mf__lease_seconds(int64_t lease_ms);

#endif
