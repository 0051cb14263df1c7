/* claim.
 *
 * One transaction for all tasks of the request, each in a nested one of its own: if the task exists
 * and has no owner key, that key is put on a lease with the claims of up to a thousand others, and
 * the properties are read. A mark of migration is an owner key, too. The fence is the revision that
 * created the owner key, above the namespace's base, which the same transaction reads. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

typedef struct claim_op {
    mf_op op; /* first */
    mf_claims_request *request;
    int64_t lease;
    bool marks;     /* the transaction marks the lease */
    mf_part *parts; /* renewals of leases with tasks that were claimed before */
    size_t part_count;
} claim_op;

static void start(mf_op *op, mf_key_lease *lease, const mf_error *error);

int64_t mf__claim_revision(const mf_claim *claim)
{
    return claim->fence > claim->mark ? (int64_t)(claim->fence - claim->mark) : INT64_MAX;
}

uint64_t mf__claim_hash(const mf_claim *claim)
{
    return mf__held_hash(claim->id, strlen(claim->id));
}

void mf__claim_if_owned(mf_op *op, mf_txn *txn, mf_bytes owner_key, const mf_claim *claim)
{
    mf__txn_if_created(txn, owner_key, mf__claim_revision(claim));
    mf__txn_if_value(txn, owner_key, mf__bytes_of(op->session->owner_json));
}

void mf__claim_note_held(mf_op *op, const mf_claim *claim, int64_t revision)
{
    mf_watch_state watch = mf__etcd_watch_state(op->etcd);
    bool seen = watch.changed <= revision; /* nothing that was told before this was read */

    mf__held_put(&op->session->held, (mf_held_claim){.hash = mf__claim_hash(claim),
                                                     .revision = mf__claim_revision(claim),
                                                     .watch = seen ? watch.number : 0});
}

void mf__claim_note_ended(mf_op *op, const mf_claim *claim)
{
    const mf_held_claim *known = mf__held_find(&op->session->held, mf__claim_hash(claim));

    if (known != NULL && known->revision == mf__claim_revision(claim))
        mf__held_remove(&op->session->held, known->hash);
}

/* The claims are the core's no longer: the request fails. */
static void fail(claim_op *claim, int code, const char *text)
{
    for (size_t i = 0; i < claim->request->count; i++) {
        free(claim->request->claims[i]->properties);
        claim->request->claims[i]->properties = NULL;
    }
    mf__op_fail(&claim->op, code, "claim: %s", text);
}

/* The transaction is over: `refused` of its keys were not put. */
static void settle(claim_op *claim, size_t refused)
{
    mf_key_leases *leases = &claim->op.session->claims;
    mf_key_lease *lease = mf__key_leases_find(leases, claim->lease);

    if (lease != NULL)
        lease->being_put -= claim->request->count;
    mf__key_leases_give_back(leases, claim->lease, refused);
}

/* Tasks that were the session's already hold for a whole lease from now, or they are not held. */

static void each_kept(mf_op *op, mf_part *part, const mf_error *error)
{
    claim_op *claim = (claim_op *)op;
    const Etcd__LeaseKeepAliveRequest *request = part->user;
    const Etcd__LeaseKeepAliveResponse *answer =
        (const Etcd__LeaseKeepAliveResponse *)part->rpc.answer;

    if (error->code != MF_OK) {
        mf__op_note_error(op, error);
        return;
    }
    for (size_t i = 0; answer->ttl <= 0 && i < claim->request->count; i++) {
        mf_claim *c = claim->request->claims[i];
        if (c->result != MF_OK || (int64_t)c->group != request->id)
            continue;
        free(c->properties);
        c->properties = NULL;
        mf__claim_note_ended(op, c);
        c->result = MF_ETAKEN; /* until etcd has removed the key */
    }
}

static void on_kept(mf_op *op)
{
    if (op->error.code != MF_OK)
        fail((claim_op *)op, op->error.code, op->error.text);
    else
        mf__op_end(op);
}

static void keep_alive(claim_op *claim, int64_t lease)
{
    mf_part *part = &claim->parts[claim->part_count++];
    Etcd__LeaseKeepAliveRequest *request = mf__keep_alive_new(&claim->op.arena, lease);

    mf__op_part(&claim->op, part, claim->op.etcd->calls, &mf__method_keep_alive, &request->base,
                each_kept);
    part->user = request;
}

static void keep_held(claim_op *claim)
{
    mf_claims_request *request = claim->request;
    int64_t *ids = MF_ARENA_NEW(&claim->op.arena, int64_t, request->count);
    size_t count = 0;

    for (size_t i = 0; i < request->count; i++) {
        const mf_claim *c = request->claims[i];
        size_t at = count;
        if (c->result != MF_OK || (int64_t)c->group == claim->lease)
            continue;
        while (at > 0 && ids[at - 1] != (int64_t)c->group)
            at--;
        if (at == 0)
            ids[count++] = (int64_t)c->group;
    }
    claim->parts = MF_ARENA_NEW(&claim->op.arena, mf_part, count);
    claim->op.then = on_kept;
    claim->op.left = 1;
    while (claim->part_count < count)
        keep_alive(claim, ids[claim->part_count]);
    mf__op_part_over(&claim->op);
}

/* The answer. */

static void set_owned(const claim_op *claim, mf_claim *c, int64_t revision, int64_t lease)
{
    c->mark = claim->op.etcd->fence_base;
    c->fence = c->mark + (uint64_t)revision;
    c->group = (uint64_t)lease;
}

static int read_granted(claim_op *claim, mf_claim *c, const Etcd__TxnResponse *part,
                        int64_t revision)
{
    set_owned(claim, c, revision, claim->lease);
    return mf__properties_read(&c->properties, claim->op.etcd, c->id, mf__answer_get(part, 1));
}

static int read_refused(claim_op *claim, mf_claim *c, const Etcd__TxnResponse *part)
{
    const Etcd__KeyValue *owner = mf__answer_get(part, 0);
    const Etcd__KeyValue *task = mf__answer_get(part, 1);

    if (task == NULL)
        return MF_EGONE;
    /* Also by this session, when it was claimed in a former life of the task. */
    if (owner == NULL || owner->lease == 0 || owner->create_revision < task->create_revision ||
        !mf__bytes_are(owner->value, claim->op.session->owner_json))
        return MF_ETAKEN;
    set_owned(claim, c, owner->create_revision, owner->lease);
    return mf__properties_read(&c->properties, claim->op.etcd, c->id, mf__answer_get(part, 2));
}

/* Returns how many keys were not put; false in *good: there was no memory. */
static size_t read_claims(claim_op *claim, const Etcd__TxnResponse *answer, bool *good)
{
    size_t refused = 0;

    for (size_t i = 0; i < claim->request->count; i++) {
        mf_claim *c = claim->request->claims[i];
        const Etcd__TxnResponse *part = mf__answer_txn(answer, i + 1);
        c->properties = NULL;
        if (part != NULL && part->succeeded) {
            c->result = read_granted(claim, c, part, answer->header->revision);
        } else {
            c->result = part != NULL ? read_refused(claim, c, part) : MF_ETAKEN;
            refused++;
        }
        *good &= c->result != MF_ENOMEM;
        if (c->result == MF_OK)
            mf__claim_note_held(&claim->op, c, answer->header->revision);
    }
    return refused;
}

static void on_claimed(mf_op *op)
{
    claim_op *claim = (claim_op *)op;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);
    mf_key_lease *lease = mf__key_leases_find(&op->session->claims, claim->lease);
    bool good = true;

    if (!answer->succeeded || answer->header == NULL) {
        settle(claim, claim->request->count);
        mf__guard_refused(op, mf__answer_get(answer, 0));
        return;
    }
    op->request->sent_us = op->rpc.sent_us;
    if (lease != NULL && lease->renewed_us < op->request->sent_us)
        op->request->sent_us = lease->renewed_us;
    if (lease != NULL && claim->marks)
        lease->marked = true;
    if (mf__fence_base_read(&op->etcd->fence_base, mf__answer_get(answer, 0)) != MF_OK) {
        settle(claim, 0);
        fail(claim, MF_EDAMAGED, "the namespace's fence base is no number");
        return;
    }
    settle(claim, read_claims(claim, answer, &good));
    if (good)
        keep_held(claim);
    else
        fail(claim, MF_ENOMEM, "out of memory");
}

static bool rescue(mf_op *op, const mf_error *error)
{
    claim_op *claim = (claim_op *)op;

    if (mf__key_leases_take_again(op, error))
        return true;
    settle(claim, error->code == MF_EUNKNOWN ? 0 : claim->request->count);
    return false;
}

/* The transaction. */

static mf_txn *claim_one(claim_op *claim, const char *id, mf_bytes owner)
{
    mf_arena *arena = &claim->op.arena;
    mf_task_keys keys = mf__task_keys(claim->op.etcd, arena, id);
    mf_txn *txn = mf__txn_new(arena, 2, 2, 3);

    mf__txn_if_mod(txn, keys.owner, 0);
    mf__txn_if_exists(txn, keys.task);
    mf__txn_then(txn, mf__op_put(arena, keys.owner, owner, claim->lease));
    mf__txn_then(txn, mf__op_get(arena, keys.properties));
    mf__txn_else(txn, mf__op_get(arena, keys.owner));
    mf__txn_else(txn, mf__op_get(arena, keys.task));
    mf__txn_else(txn, mf__op_get(arena, keys.properties));
    return txn;
}

static void start(mf_op *op, mf_key_lease *lease, const mf_error *error)
{
    claim_op *claim = (claim_op *)op;
    mf_claims_request *request = claim->request;
    mf_bytes owner = mf__bytes_of(op->session->owner_json);

    if (error != NULL) {
        mf__op_fail_as(op, error);
        return;
    }
    claim->lease = lease->id;
    claim->marks = !lease->marked;
    lease->being_put += request->count;
    mf_txn *txn = mf__txn_new(&op->arena, 1, request->count + 2, 1);
    mf__guard(op, txn);
    mf__txn_then(txn, mf__op_get(&op->arena, mf__key(op->etcd, &op->arena, "_mf/fence")));
    for (size_t i = 0; i < request->count; i++)
        mf__txn_then(txn, mf__op_txn(&op->arena, claim_one(claim, request->claims[i]->id, owner)));
    if (claim->marks)
        mf__txn_then(txn, mf__op_put(&op->arena, mf__lease_mark(op, op->session->token, lease->id),
                                     owner, lease->id));
    op->rescue = rescue;
    mf__op_transact(op, txn, on_claimed);
}

void mf__etcd_claim(mf_broker *broker, mf_claims_request *request)
{
    claim_op *claim = mf__op_new_of(broker, &request->request, sizeof *claim, request->session);

    if (claim == NULL)
        return;
    claim->request = request;
    mf__key_leases_take(&claim->op.session->claims, &claim->op, request->count, start);
}
