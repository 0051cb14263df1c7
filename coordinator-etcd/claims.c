/* claim.
 *
 * One transaction for all tasks of the request, each in a nested one of its own: if the task
 * exists, is not delayed and has no owner key, that key is put on a lease with the claims of up to
 * a thousand others, and the properties are read. A mark of migration is an owner key, too. The
 * fence is the revision that created the owner key, above the namespace's base, which the same
 * transaction reads. */
#include <stdlib.h>
#include <string.h>

#include "claims.h"
#include "crashes.h"
#include "delays.h"
#include "handle.h"
#include "history.h"
#include "keys.h"
#include "leases.h"
#include "mail.h"
#include "op.h"
#include "recent.h"
#include "records.h"
#include "revoke.h"
#include "session.h"
#include "slots.h"

typedef struct claim_op {
    mf_op op; /* first */
    mf_claims_request *request;
    int64_t lease;
    bool marks;      /* the transaction marks the lease */
    uint64_t recent; /* number of its note of them; 0: none */
    size_t *refused; /* indices of claims */
    size_t refused_count;
    int64_t *messages; /* for each claim: revision of the message that waits; 0: none */
    mf_part *parts;    /* renewals of leases with tasks that were claimed before */
    size_t part_count;
    int64_t kept_us; /* when the first of these was sent */
    uint64_t term;   /* of the transaction */
} claim_op;

static void start(mf_op *op, mf_key_lease *lease, const mf_error *error);

int64_t mf__fence_revision(uint64_t fence, uint64_t base)
{
    return fence > base ? (int64_t)(fence - base) : INT64_MAX;
}

int64_t mf__claim_revision(const mf_claim *claim)
{
    return mf__fence_revision(claim->fence, claim->mark);
}

/* The mark is no base of the fence then. */
void mf__claim_set_ended(mf_claim *claim, bool gone)
{
    claim->mark = claim->fence + gone;
}

int mf__claim_ended(const mf_claim *claim)
{
    if (mf__claim_revision(claim) != INT64_MAX)
        return MF_OK;
    return claim->mark > claim->fence ? MF_EGONE : MF_ELATE;
}

void mf__claim_if_owned(mf_op *op, mf_txn *txn, mf_bytes owner_key, const mf_claim *claim)
{
    mf__txn_if_created(txn, owner_key, mf__claim_revision(claim));
    mf__txn_if_value(txn, owner_key, mf__bytes_of(op->session->owner_json));
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
    if (part->rpc.sent_us < claim->kept_us)
        claim->kept_us = part->rpc.sent_us;
    for (size_t i = 0; answer->ttl <= 0 && i < claim->request->count; i++) {
        mf_claim *c = claim->request->claims[i];
        if (c->result != MF_OK || (int64_t)c->group != request->id)
            continue;
        free(c->properties);
        c->properties = NULL;
        c->result = MF_ETAKEN; /* until etcd has removed the key */
    }
}

/* Deadlines count from when the claims' leases were kept alive, which is later than the transaction
 * was sent if it took another round trip to learn why some were refused. A lease that an old leader
 * has refreshed meanwhile may end earlier: another one takes the next claims. */
static bool set_sent(claim_op *claim)
{
    mf_key_lease *lease = mf__key_leases_find(&claim->op.session->claims, claim->lease);
    int64_t since_us = lease != NULL ? lease->renewed_us : claim->op.request->sent_us;

    claim->op.request->sent_us = since_us < claim->kept_us ? since_us : claim->kept_us;
    if (lease == NULL || lease->term == 0 || lease->term == claim->term)
        return true;
    lease->renewed_us = 0;
    return false;
}

static void on_settled(mf_op *op)
{
    claim_op *claim = (claim_op *)op;

    if (op->error.code != MF_OK) {
        fail(claim, op->error.code, op->error.text);
        return;
    }
    if (!set_sent(claim)) {
        fail(claim, MF_EUNKNOWN, "the leader has changed meanwhile");
        return;
    }
    for (size_t i = 0; i < claim->request->count; i++)
        if (claim->request->claims[i]->result == MF_OK)
            mf__mail_claimed(op->etcd, op->session, claim->request->claims[i]->id,
                             claim->messages[i]);
    mf__op_end(op);
}

static void on_kept(mf_op *op)
{
    op->then = on_settled;
    mf__key_leases_await(&op->session->claims, ((claim_op *)op)->lease, op);
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
    claim->kept_us = INT64_MAX;
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

/* The keys of a task from its message to its properties. */
static Etcd__RequestOp *get_papers(mf_arena *arena, const mf_task_keys *keys)
{
    return mf__op_range(arena, mf__range_new(arena, keys->message, keys->behind_properties));
}

static const Etcd__KeyValue *find_paper(const Etcd__RangeResponse *papers, mf_bytes key)
{
    for (size_t i = 0; papers != NULL && i < papers->n_kvs; i++)
        if (mf__bytes_equal(papers->kvs[i]->key, key))
            return papers->kvs[i];
    return NULL;
}

static int read_papers(claim_op *claim, size_t index, const Etcd__RangeResponse *papers)
{
    mf_claim *c = claim->request->claims[index];
    mf_etcd *etcd = claim->op.etcd;
    mf_task_keys keys = mf__task_keys(etcd, &claim->op.arena, c->id);
    const Etcd__KeyValue *message = find_paper(papers, keys.message);

    claim->messages[index] = message != NULL ? message->mod_revision : 0;
    return mf__properties_read(&c->properties, etcd, c->id, find_paper(papers, keys.properties));
}

static int read_granted(claim_op *claim, size_t index, const Etcd__TxnResponse *part,
                        int64_t revision)
{
    set_owned(claim, claim->request->claims[index], revision, claim->lease);
    return read_papers(claim, index, mf__answer_range(part, 1));
}

static int read_refused(claim_op *claim, size_t index, const Etcd__TxnResponse *part)
{
    mf_claim *c = claim->request->claims[index];
    const Etcd__KeyValue *owner = mf__answer_get(part, 0);
    const Etcd__KeyValue *task = mf__answer_get(part, 1);

    if (task == NULL)
        return MF_EGONE;
    /* Also by this session, when it was claimed in a former life of the task, or of etcd. */
    if (owner == NULL || owner->lease == 0 || owner->create_revision < task->create_revision ||
        mf__history_lost_key(claim->op.etcd, owner) ||
        !mf__bytes_are(owner->value, claim->op.session->owner_json))
        return MF_ETAKEN;
    set_owned(claim, c, owner->create_revision, owner->lease);
    return read_papers(claim, index, mf__answer_range(part, 2));
}

static void finish(claim_op *claim)
{
    for (size_t i = 0; i < claim->request->count; i++)
        if (claim->request->claims[i]->result == MF_ENOMEM) {
            fail(claim, MF_ENOMEM, "out of memory");
            return;
        }
    keep_held(claim);
}

/* Why some were refused is asked for when it is known which. */

static void on_refused(mf_op *op)
{
    claim_op *claim = (claim_op *)op;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);

    for (size_t i = 0; i < claim->refused_count; i++) {
        mf_claim *c = claim->request->claims[claim->refused[i]];
        const Etcd__TxnResponse *part = mf__answer_txn(answer, i);
        c->result = part != NULL ? read_refused(claim, claim->refused[i], part) : MF_ETAKEN;
    }
    finish(claim);
}

static bool could_not_ask(mf_op *op, const mf_error *error)
{
    fail((claim_op *)op, error->code, error->text);
    return true;
}

static void ask_refused(claim_op *claim)
{
    mf_op *op = &claim->op;
    mf_key_lease *lease = mf__key_leases_find(&op->session->claims, claim->lease);
    mf_txn *txn = mf__txn_new(&op->arena, 0, claim->refused_count, 0);

    for (size_t i = 0; i < claim->refused_count; i++) {
        const char *id = claim->request->claims[claim->refused[i]]->id;
        mf_task_keys keys = mf__task_keys(op->etcd, &op->arena, id);
        mf_txn *one = mf__txn_new(&op->arena, 0, 3, 0);
        mf__txn_then(one, mf__op_get(&op->arena, keys.owner));
        mf__txn_then(one, mf__op_get(&op->arena, keys.task));
        mf__txn_then(one, get_papers(&op->arena, &keys));
        mf__txn_then(txn, mf__op_txn(&op->arena, one));
    }
    op->rescue = could_not_ask;
    if (lease != NULL)
        mf__key_lease_refresh(&op->session->claims, lease);
    mf__op_transact(op, txn, on_refused);
}

static void read_claims(claim_op *claim, const Etcd__TxnResponse *answer)
{
    claim->refused = MF_ARENA_NEW(&claim->op.arena, size_t, claim->request->count);
    for (size_t i = 0; i < claim->request->count; i++) {
        mf_claim *c = claim->request->claims[i];
        const Etcd__TxnResponse *part = mf__answer_txn(answer, i + 1);
        if (part == NULL || !part->succeeded) {
            mf__recent_refused(&claim->op, claim->recent, i);
            claim->refused[claim->refused_count++] = i;
            continue;
        }
        c->result = read_granted(claim, i, part, answer->header->revision);
    }
}

static void on_claimed(mf_op *op)
{
    claim_op *claim = (claim_op *)op;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);
    mf_key_lease *lease = mf__key_leases_find(&op->session->claims, claim->lease);

    if (!answer->succeeded || answer->header == NULL) {
        mf__recent_failed(op, claim->recent);
        settle(claim, claim->request->count);
        mf__guard_refused(op, mf__answer_get(answer, 0));
        return;
    }
    op->request->sent_us = op->rpc.sent_us;
    claim->term = answer->header->raft_term;
    if (lease != NULL && claim->marks)
        lease->marked = true;
    if (mf__fence_base_read(&op->etcd->fence_base, mf__answer_get(answer, 0)) != MF_OK) {
        settle(claim, 0);
        fail(claim, MF_EDAMAGED, "the namespace's fence base is no number");
        return;
    }
    mf__history_see_base(op->etcd, op->etcd->fence_base);
    mf__history_see(op->etcd, answer->header);
    mf__recent_answered(op, claim->recent, answer->header->revision,
                        mf__answer_exists(answer, claim->request->count + 2));
    read_claims(claim, answer);
    if (claim->refused_count > 0)
        mf__crashes_go_on(op->etcd);
    settle(claim, claim->refused_count);
    if (claim->refused_count > 0)
        ask_refused(claim);
    else
        finish(claim);
}

static bool rescue(mf_op *op, const mf_error *error)
{
    claim_op *claim = (claim_op *)op;

    if (error->code != MF_EUNKNOWN)
        mf__recent_failed(op, claim->recent);
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
    mf_txn *txn = mf__txn_new(arena, 3, 2, 0);

    mf__txn_if_mod(txn, keys.owner, 0);
    mf__txn_if_exists(txn, keys.task);
    mf__txn_if_mod(txn, mf__delay_key(claim->op.etcd, arena, id), 0);
    mf__txn_then(txn, mf__op_put(arena, keys.owner, owner, claim->lease));
    mf__txn_then(txn, get_papers(arena, &keys));
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
    mf_txn *txn = mf__txn_new(&op->arena, 1, request->count + 4, 1);
    mf__guard(op, txn);
    mf__txn_then(txn, mf__op_get(&op->arena, mf__key(op->etcd, &op->arena, "_mf/fence")));
    for (size_t i = 0; i < request->count; i++)
        mf__txn_then(txn, mf__op_txn(&op->arena, claim_one(claim, request->claims[i]->id, owner)));
    if (op->etcd->crashes.max > 0)
        claim->recent = mf__recent_add(op, txn, lease->id, request->claims, request->count);
    if (claim->recent != 0)
        mf__txn_then(txn, mf__crashes_any(op->etcd, &op->arena));
    if (claim->marks)
        mf__txn_then(txn,
                     mf__op_put(&op->arena,
                                mf__lease_mark(op->etcd, &op->arena, op->session->token, lease->id),
                                owner, lease->id));
    op->rescue = rescue;
    mf__key_lease_refresh(&op->session->claims, lease);
    mf__op_transact(op, txn, on_claimed);
}

static void on_counted(mf_op *op)
{
    claim_op *claim = (claim_op *)op;

    mf__key_leases_take(&op->session->claims, op, claim->request->count, start);
}

static void begin(mf_op *op)
{
    if (mf__crashes_are_counted(op->etcd))
        on_counted(op);
    else
        mf__crashes_await(op, on_counted);
}

void mf__etcd_claim(mf_broker *broker, mf_claims_request *request)
{
    claim_op *claim = mf__op_new_of(broker, &request->request, sizeof *claim, request->session);

    if (claim == NULL)
        return;
    claim->request = request;
    claim->messages = MF_ARENA_NEW(&claim->op.arena, int64_t, request->count);
    for (size_t i = 0; i < request->count; i++)
        request->claims[i]->properties = NULL;
    mf__op_begin(&claim->op, begin);
}
