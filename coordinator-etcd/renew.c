/* renew.
 *
 * At the same time the leases that the claims are on are kept alive, and the session is looked at
 * (looks.c): its own lease is kept alive and its node key is read. What was kept alive by a leader
 * counts from before the read was sent, if that was answered in the same term: the read took a
 * majority, so a leader of a later term came to office after it was sent, and grants every lease
 * anew for all of its time. A member that was cut off and does not know it would not have answered.
 * So a renewal takes one round trip.
 *
 * A claim on a lease that is alive holds unless somebody has removed its owner key or its task, and
 * of that the watch tells: so a thousand claims are renewed by a handful of calls. What the watch
 * cannot vouch for is read, too: claims that it has not seen the whole time and those of whose keys
 * it has told; and, in a second round trip, all of them when there was a removal that it has yet to
 * tell of. The owner keys may be removed by their owner or with their lease only; should someone do
 * it by hand, it is noticed when the watch tells of it, before the next renewal. As long as the
 * watch is off, and now and then while it is on, the keys on each lease are listed, and a claim
 * whose owner key is not among them is lost, whoever did it. */
#include <stdlib.h>
#include <string.h>

#include "claims.h"
#include "handle.h"
#include "history.h"
#include "keys.h"
#include "leases.h"
#include "looks.h"
#include "op.h"
#include "recent.h"
#include "session.h"
#include "slots.h"
#include "table.h"
#include "watch.h"

/* The claims of one lease. */
typedef struct renewed_lease {
    mf_part part; /* first */
    mf_part list_part;
    int64_t id;
    int64_t renewed_before_us; /* 0: not known */
    bool gone;
    const Etcd__LeaseTimeToLiveResponse *listing; /* NULL: not needed */
    mf_table keys;                                /* those listed */
} renewed_lease;

/* Claims that are read together. */
typedef struct check {
    mf_part part; /* first */
    struct check *next;
    const size_t *indices;
} check;

typedef struct renew_op {
    mf_op op; /* first */
    mf_renew_request *request;
    mf_etcd_link *link;
    renewed_lease *leases;
    size_t count;
    uint64_t term;
    const Etcd__KeyValue *node;
    bool gone;       /* the session's lease is */
    bool again;      /* the second round trip */
    bool doubtful;   /* there was a removal that the watch has not told of */
    size_t *indices; /* of claims to be read */
    size_t index_count;
    check *checks;  /* not judged yet */
    bool *read;     /* for each claim */
    size_t *former; /* of those, claims on a task's former life */
    size_t former_count, moved;
    int64_t former_lease, former_until_us;
} renew_op;

static renewed_lease *find_lease(renew_op *renew, int64_t id)
{
    for (size_t i = 0; i < renew->count; i++)
        if (renew->leases[i].id == id)
            return &renew->leases[i];
    return NULL;
}

static mf_claim *claim_at(const renew_op *renew, size_t index)
{
    return renew->request->lease->claims[index];
}

static void lose(renew_op *renew, size_t index, int code)
{
    mf_renew_request *request = renew->request;

    request->lost[request->lost_count++] = (mf_lost_claim){.index = index, .code = code};
}

/* Claims on removed tasks. They are in force until they are released or their leases end, but must
 * not be renewed with the others: their owner keys move to a lease that lasts for as long as they
 * would have lasted. */

/* Claims in one transaction, at most two operations each. */
static size_t portion(const renew_op *renew, size_t left)
{
    size_t most = renew->op.etcd->broker.max_batch / 2;

    return left < most ? left : most;
}

static void move_former(mf_op *op);

static void on_moved(mf_op *op)
{
    move_former(op);
}

static void move_former(mf_op *op)
{
    renew_op *renew = (renew_op *)op;
    size_t count = portion(renew, renew->former_count - renew->moved);
    mf_bytes owner = mf__bytes_copy(&op->arena, mf__bytes_of(op->session->owner_json));

    if (count == 0) {
        mf__op_end(op);
        return;
    }
    mf_txn *txn = mf__txn_new(&op->arena, 0, count, 0);
    for (size_t i = 0; i < count; i++) {
        const mf_claim *claim = claim_at(renew, renew->former[renew->moved++]);
        mf_bytes key = mf__task_keys(op->etcd, &op->arena, claim->id).owner;
        mf_txn *one = mf__txn_new(&op->arena, 2, 1, 0);
        mf__claim_if_owned(op, one, key, claim);
        mf__txn_then(one, mf__op_put(&op->arena, key, owner, renew->former_lease));
        mf__txn_then(txn, mf__op_txn(&op->arena, one));
        mf__key_leases_give_back(&op->session->claims, (int64_t)claim->group, 1);
    }
    mf__op_transact(op, txn, on_moved);
}

static void begin_move(renew_op *renew)
{
    mf_op *op = &renew->op;
    int64_t left_us = renew->former_until_us - mf_loop_now_us(op->etcd->broker.loop);
    Etcd__LeaseGrantRequest *request = mf__arena_take(&op->arena, sizeof *request);

    etcd__lease_grant_request__init(request);
    request->id = renew->former_lease = mf__lease_new_id(op->etcd);
    request->ttl = left_us > 1000000 ? mf__lease_seconds(left_us / 1000) : 1;
    mf__op_call(op, &mf__method_grant, &request->base, move_former);
}

static void note_former(renew_op *renew, size_t index)
{
    const mf_claim *claim = claim_at(renew, index);
    const renewed_lease *lease = find_lease(renew, (int64_t)claim->group);
    int64_t since =
        lease->renewed_before_us != 0 ? lease->renewed_before_us : renew->op.request->sent_us;
    int64_t until = since + renew->request->session->lease_ms * 1000;

    if (until > renew->former_until_us)
        renew->former_until_us = until;
    renew->former[renew->former_count++] = index;
}

/* Claims that are read. */

static void judge(renew_op *renew, size_t index, const Etcd__KeyValue *task,
                  const Etcd__KeyValue *owner)
{
    const mf_claim *claim = claim_at(renew, index);

    if (owner == NULL || owner->create_revision != mf__claim_revision(claim) ||
        owner->lease != (int64_t)claim->group ||
        !mf__bytes_are(owner->value, renew->op.session->owner_json)) {
        lose(renew, index, task != NULL ? MF_ELATE : MF_EGONE);
    } else if (task == NULL || task->create_revision > owner->create_revision) {
        lose(renew, index, MF_EGONE);
        note_former(renew, index);
    }
}

static void each_checked(mf_op *op, mf_part *part, const mf_error *error)
{
    (void)part;
    if (error->code != MF_OK)
        mf__op_note_error(op, error);
}

/* MF_OK: as far as is known, it has not. */
static int how_ended(const renew_op *renew, const mf_claim *claim)
{
    return mf__history_lost_claim(renew->op.etcd, claim->fence) ? MF_ELATE : mf__claim_ended(claim);
}

/* What was read of a claim while its lease ended says nothing. */
static bool counts(renew_op *renew, const mf_claim *claim)
{
    return how_ended(renew, claim) == MF_OK &&
           (renew->again || !find_lease(renew, (int64_t)claim->group)->gone);
}

static void judge_one(renew_op *renew, const check *one)
{
    const Etcd__TxnResponse *answer = (const Etcd__TxnResponse *)one->part.rpc.answer;

    for (size_t i = 0; 2 * i + 1 < answer->n_responses; i++) {
        size_t index = one->indices[i];
        renew->read[index] = counts(renew, claim_at(renew, index));
        if (renew->read[index])
            judge(renew, index, mf__answer_get(answer, 2 * i), mf__answer_get(answer, 2 * i + 1));
    }
}

static void judge_checked(renew_op *renew)
{
    for (; renew->checks != NULL; renew->checks = renew->checks->next)
        judge_one(renew, renew->checks);
}

static void on_checked(mf_op *op)
{
    renew_op *renew = (renew_op *)op;

    if (op->error.code == MF_OK)
        judge_checked(renew);
    if (op->error.code == MF_OK && renew->former_count > 0)
        begin_move(renew);
    else
        mf__op_end_group(op);
}

static void check_some(renew_op *renew, const size_t *indices, size_t count)
{
    mf_op *op = &renew->op;
    check *one = MF_ARENA_NEW(&op->arena, check, 1);
    mf_txn *txn = mf__txn_new(&op->arena, 0, 2 * count, 0);

    for (size_t i = 0; i < count; i++) {
        mf_task_keys keys = mf__task_keys(op->etcd, &op->arena, claim_at(renew, indices[i])->id);
        mf__txn_then(txn, mf__op_get(&op->arena, keys.task));
        mf__txn_then(txn, mf__op_get(&op->arena, keys.owner));
    }
    mf__op_part(op, &one->part, op->etcd->calls, &mf__method_txn, &txn->message.base, each_checked);
    one->indices = indices;
    one->next = renew->checks;
    renew->checks = one;
}

static void check_all(renew_op *renew)
{
    for (size_t done = 0, count; done < renew->index_count; done += count) {
        count = portion(renew, renew->index_count - done);
        check_some(renew, &renew->indices[done], count);
    }
}

/* The claims, by what is known. */

static void index_keys(renew_op *renew, renewed_lease *lease)
{
    const Etcd__LeaseTimeToLiveResponse *listing = lease->listing;

    mf__table_init(&lease->keys, &renew->op.arena, listing->n_keys);
    for (size_t i = 0; i < listing->n_keys; i++)
        mf__table_add(&lease->keys, listing->keys[i], i);
}

static bool is_certain(renew_op *renew, const mf_claim *claim)
{
    mf_op *op = &renew->op;
    const mf_etcd_mirror *known = &op->etcd->mirror;
    const renewed_lease *lease = find_lease(renew, (int64_t)claim->group);

    return !renew->doubtful && known->has_tasks &&
           mf__mirror_is_held(&known->content, mf__bytes_of(claim->id), mf__claim_revision(claim),
                              lease->id) &&
           (lease->listing == NULL ||
            mf__table_has(&lease->keys, mf__task_keys(op->etcd, &op->arena, claim->id).owner));
}

/* Those of which it is known beforehand that they have to be read. */
static void check_uncertain(renew_op *renew)
{
    mf_renew_request *request = renew->request;

    renew->indices = MF_ARENA_NEW(&renew->op.arena, size_t, request->count);
    renew->read = MF_ARENA_NEW(&renew->op.arena, bool, request->count);
    renew->former = MF_ARENA_NEW(&renew->op.arena, size_t, request->count);
    for (size_t i = 0; i < request->count; i++)
        if (how_ended(renew, claim_at(renew, i)) == MF_OK && !is_certain(renew, claim_at(renew, i)))
            renew->indices[renew->index_count++] = i;
    check_all(renew);
}

static void sort_claims(renew_op *renew)
{
    mf_renew_request *request = renew->request;

    renew->indices = MF_ARENA_NEW(&renew->op.arena, size_t, request->count);
    renew->index_count = 0;
    renew->again = true;
    renew->op.then = on_checked;
    renew->op.left = 1;
    for (size_t i = 0; i < request->count; i++) {
        const mf_claim *claim = claim_at(renew, i);
        if (renew->read[i])
            continue;
        if (how_ended(renew, claim) != MF_OK)
            lose(renew, i, how_ended(renew, claim));
        else if (find_lease(renew, (int64_t)claim->group)->gone || !is_certain(renew, claim))
            renew->indices[renew->index_count++] = i;
    }
    check_all(renew);
    mf__op_part_over(&renew->op);
}

/* How many keys are on the lease is known exactly now, but for those that are being put. */
static void note_listing(renew_op *renew, const renewed_lease *lease)
{
    mf_key_leases *leases = &renew->op.session->claims;
    mf_key_lease *known = mf__key_leases_find(leases, lease->id);

    if (lease->gone) {
        mf__key_leases_forget(leases, lease->id);
        return;
    }
    if (known == NULL || lease->listing == NULL)
        return;
    mf__key_lease_plan_audit(renew->op.etcd, known);
    if (known->keys > lease->listing->n_keys + known->being_put)
        known->keys = lease->listing->n_keys + known->being_put;
}

/* The renewal counts: a majority stood behind the member that acknowledged it. */
static void note_renewal(renew_op *renew, renewed_lease *lease)
{
    mf_op *op = &renew->op;
    mf_key_lease *known = mf__key_leases_find(&op->session->claims, lease->id);

    if (lease->gone)
        return;
    if (known != NULL) {
        lease->renewed_before_us = known->renewed_us;
        known->renewed_us = op->request->sent_us;
        known->term = 0;
    }
    mf__recent_survive(op->etcd, op->session, lease->id, op->request->sent_us);
}

static void on_listed(mf_op *op)
{
    renew_op *renew = (renew_op *)op;

    if (op->error.code != MF_OK) {
        mf__op_fail_as(op, &op->error);
    } else if (!mf__guard_holds(op, renew->node)) {
        mf__guard_refused(op, renew->node);
    } else if (renew->gone) {
        mf__op_fail(op, MF_ENOSESSION, "%s", mf_strerror(MF_ENOSESSION));
    } else {
        for (size_t i = 0; i < renew->count; i++) {
            if (!renew->leases[i].gone && renew->leases[i].listing != NULL)
                index_keys(renew, &renew->leases[i]);
            note_renewal(renew, &renew->leases[i]);
            note_listing(renew, &renew->leases[i]);
        }
        judge_checked(renew);
        sort_claims(renew);
    }
}

/* The first round trip. */

static void check_term(renew_op *renew, uint64_t term)
{
    mf_error error;

    if (renew->term == 0)
        renew->term = term;
    if (renew->term == term)
        return;
    mf_error_set(&error, MF_EUNKNOWN, "renew: the leader has changed meanwhile");
    mf__op_note_error(&renew->op, &error);
}

static void each_listing(mf_op *op, mf_part *part, const mf_error *error)
{
    renewed_lease *lease = part->user;

    if (error->code != MF_OK) {
        mf__op_note_error(op, error);
        return;
    }
    lease->listing = (const Etcd__LeaseTimeToLiveResponse *)part->rpc.answer;
    lease->gone |= lease->listing->ttl <= 0;
}

static void note_sent(renew_op *renew, int64_t sent_us)
{
    mf_request *request = renew->op.request;

    if (sent_us < request->sent_us || request->sent_us == 0)
        request->sent_us = sent_us;
}

static const Etcd__KeyValue *copy_of(const Etcd__KeyValue *key, mf_arena *arena)
{
    if (key == NULL)
        return NULL;
    Etcd__KeyValue *copy = MF_ARENA_NEW(arena, Etcd__KeyValue, 1);
    *copy = *key;
    copy->value = mf__bytes_copy(arena, key->value);
    return copy;
}

static void on_looked(mf_op *op, const mf_looked *seen, const mf_error *error)
{
    renew_op *renew = (renew_op *)op;

    if (error->code != MF_OK) {
        mf__op_note_error(op, error);
    } else {
        check_term(renew, seen->term);
        note_sent(renew, seen->sent_us);
        renew->node = copy_of(seen->node, &op->arena);
        renew->gone = seen->gone;
        renew->doubtful = seen->removals != NULL &&
                          seen->removals->mod_revision > mf__etcd_watch_revision(op->etcd);
    }
    mf__op_part_over(op);
}

static bool needs_listing(const renew_op *renew, const renewed_lease *lease)
{
    mf_etcd *etcd = renew->op.etcd;
    const mf_key_lease *known = mf__key_leases_find(&renew->op.session->claims, lease->id);

    return !mf__etcd_watch_is_on(etcd) || known == NULL ||
           known->audit_us <= mf_loop_now_us(etcd->broker.loop);
}

static void list_keys(renew_op *renew, renewed_lease *lease)
{
    mf_op *op = &renew->op;
    Etcd__LeaseTimeToLiveRequest *request = mf__arena_take(&op->arena, sizeof *request);

    etcd__lease_time_to_live_request__init(request);
    request->id = lease->id;
    request->keys = true;
    mf__op_part(op, &lease->list_part, renew->link, &mf__method_time_to_live, &request->base,
                each_listing);
    lease->list_part.user = lease;
}

static void each_kept(mf_op *op, mf_part *part, const mf_error *error)
{
    renew_op *renew = (renew_op *)op;
    renewed_lease *lease = (renewed_lease *)part;
    const Etcd__LeaseKeepAliveResponse *answer =
        (const Etcd__LeaseKeepAliveResponse *)part->rpc.answer;

    if (error->code != MF_OK) {
        mf__op_note_error(op, error);
        return;
    }
    check_term(renew, answer->header != NULL ? answer->header->raft_term : 0);
    lease->gone |= answer->ttl <= 0;
    note_sent(renew, part->rpc.sent_us);
}

static void add_id(int64_t *ids, size_t *count, int64_t id)
{
    size_t at = *count;

    while (at > 0 && ids[at - 1] != id)
        at--;
    if (at == 0)
        ids[(*count)++] = id;
}

static bool is_aging(const renew_op *renew, const mf_key_lease *lease)
{
    return mf_loop_now_us(renew->op.etcd->broker.loop) - lease->renewed_us >
           renew->op.session->claims.fresh_us / 4;
}

/* Claims come in long runs of one lease, if it is not one for all. The lease for the next claims is
 * kept alive as well. */
static void find_leases(renew_op *renew)
{
    const mf_renew_request *request = renew->request;
    const mf_key_lease *next = mf__key_leases_next(&renew->op.session->claims);
    int64_t *ids = MF_ARENA_NEW(&renew->op.arena, int64_t, request->count + 1);
    size_t count = 0;

    for (size_t i = 0; i < request->count; i++)
        if (!mf__history_lost_claim(renew->op.etcd, claim_at(renew, i)->fence))
            add_id(ids, &count, (int64_t)claim_at(renew, i)->group);
    if (next != NULL && is_aging(renew, next))
        add_id(ids, &count, next->id);
    renew->leases = MF_ARENA_NEW(&renew->op.arena, renewed_lease, count);
    for (renew->count = 0; renew->count < count; renew->count++)
        renew->leases[renew->count].id = ids[renew->count];
}

static void keep_alive(mf_op *op)
{
    renew_op *renew = (renew_op *)op;

    find_leases(renew);
    op->then = on_listed;
    op->left = 1;
    for (size_t i = 0; i < renew->count; i++) {
        renewed_lease *lease = &renew->leases[i];
        mf__op_part(op, &lease->part, renew->link, &mf__method_keep_alive,
                    &mf__keep_alive_new(&op->arena, lease->id)->base, each_kept);
        if (needs_listing(renew, lease))
            list_keys(renew, lease);
    }
    check_uncertain(renew);
    mf__look_join(op, renew->link, on_looked);
}

/* A handle by which the session has not joined learns the session's lease from its node key. */
static void on_unknown(mf_op *op)
{
    const Etcd__RangeResponse *answer = mf__op_range_answer(op);
    const Etcd__KeyValue *node = answer->n_kvs == 1 ? answer->kvs[0] : NULL;

    if (!mf__guard_holds(op, node)) {
        mf__guard_refused(op, node);
        return;
    }
    op->session->lease = node->lease;
    keep_alive(op);
}

static void begin(mf_op *op)
{
    ((renew_op *)op)->link = mf__etcd_renewal_link(op->etcd);
    op->request->sent_us = 0;
    if (op->session->lease != 0)
        keep_alive(op);
    else
        mf__op_call(
            op, &mf__method_range,
            &mf__range_new(&op->arena, mf__bytes_of(op->session->node_key), (mf_bytes){0})->base,
            on_unknown);
}

void mf__etcd_renew(mf_broker *broker, mf_renew_request *request)
{
    renew_op *renew = mf__op_new_of(broker, &request->request, sizeof *renew, request->session);

    if (renew == NULL)
        return;
    renew->request = request;
    request->lost_count = 0;
    mf__op_begin(&renew->op, begin);
}
