/* release and done: the owner key goes, or all of the task, if the claim still holds.
 *
 * A task that was removed may be there again, in a new life that waits for this claim to end: then
 * only the owner key goes. */
#include "internal.h"

typedef struct ending_op {
    mf_op op; /* first */
    mf_claims_request *request;
} ending_op;

static int result_of(const Etcd__TxnResponse *part)
{
    if (part == NULL)
        return MF_ELATE;
    if (!part->succeeded)
        return mf__answer_exists(part, 0) ? MF_ELATE : MF_EGONE;
    const Etcd__TxnResponse *life = mf__answer_txn(part, 0);
    return life != NULL && life->succeeded ? MF_OK : MF_EGONE;
}

static void on_ended(mf_op *op)
{
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);
    mf_claims_request *request = ((ending_op *)op)->request;

    if (!answer->succeeded) {
        mf__guard_refused(op, mf__answer_get(answer, 0));
        return;
    }
    for (size_t i = 0; i < request->count; i++) {
        mf_claim *claim = request->claims[i];
        const Etcd__TxnResponse *part = mf__answer_txn(answer, i);
        claim->result = result_of(part);
        mf__claim_note_ended(op, claim);
        if (part != NULL && part->succeeded)
            mf__key_leases_give_back(&op->session->claims, (int64_t)claim->group, 1);
    }
    mf__op_end(op);
}

/* If the task is in the life in which it was claimed. */
static mf_txn *end_life(mf_op *op, mf_task_keys *keys, const mf_claim *claim, bool done)
{
    mf_arena *arena = &op->arena;
    mf_txn *txn = mf__txn_new(arena, 2, 2, 1);

    mf__txn_if_exists(txn, keys->task);
    mf__txn_if_created_before(txn, keys->task, mf__claim_revision(claim));
    if (done) {
        mf__task_keys_end(arena, keys);
        mf__txn_then(txn, mf__op_delete(arena, keys->task));
        mf__txn_then(txn, mf__op_delete_range(arena, keys->slash, keys->slash_end));
    } else {
        mf__txn_then(txn, mf__op_delete(arena, keys->owner));
    }
    mf__txn_else(txn, mf__op_delete(arena, keys->owner));
    return txn;
}

static mf_txn *end_one(mf_op *op, const mf_claim *claim, bool done)
{
    mf_arena *arena = &op->arena;
    mf_task_keys keys = mf__task_keys(op->etcd, arena, claim->id);
    mf_txn *txn = mf__txn_new(arena, 2, 1, 1);

    mf__claim_if_owned(op, txn, keys.owner, claim);
    mf__txn_then(txn, mf__op_txn(arena, end_life(op, &keys, claim, done)));
    mf__txn_else(txn, mf__op_count(arena, keys.task));
    return txn;
}

static void end(mf_broker *broker, mf_claims_request *request, bool done)
{
    ending_op *ending = mf__op_new_of(broker, &request->request, sizeof *ending, request->session);

    if (ending == NULL)
        return;
    mf_op *op = &ending->op;
    ending->request = request;
    mf_txn *txn = mf__txn_new(&op->arena, 1, request->count, 1);
    mf__guard(op, txn);
    for (size_t i = 0; i < request->count; i++)
        mf__txn_then(txn, mf__op_txn(&op->arena, end_one(op, request->claims[i], done)));
    mf__op_transact(op, txn, on_ended);
}

void mf__etcd_release(mf_broker *broker, mf_claims_request *request)
{
    end(broker, request, false);
}

void mf__etcd_done(mf_broker *broker, mf_claims_request *request)
{
    end(broker, request, true);
}
