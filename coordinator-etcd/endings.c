/* release and done: the owner key goes, or all of the task, if the claim still holds.
 *
 * A task that was removed may be there again, in a new life that waits for this claim to end: then
 * only the owner key goes. */
#include "claims.h"
#include "crashes.h"
#include "keys.h"
#include "leases.h"
#include "op.h"
#include "recent.h"
#include "session.h"
#include "slots.h"

typedef struct ending_op {
    mf_op op; /* first */
    mf_claims_request *request;
    bool done;
} ending_op;

/* Whether the task was there, by the answer of end_life. */
static bool was_there(const Etcd__TxnResponse *life, bool done)
{
    if (life == NULL || !life->succeeded || life->n_responses != 2)
        return false;
    if (!done)
        return mf__answer_exists(life, 1);
    const Etcd__ResponseOp *erased = life->responses[0];
    return erased->response_case == ETCD__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE &&
           erased->response_delete_range->deleted > 0;
}

static int result_of(const Etcd__TxnResponse *part, bool done, bool *ended)
{
    *ended = part != NULL && part->succeeded;
    if (part == NULL)
        return MF_ELATE;
    if (part->succeeded)
        return was_there(mf__answer_txn(part, 0), done) ? MF_OK : MF_EGONE;
    const Etcd__TxnResponse *former = mf__answer_txn(part, 0);
    return former != NULL && !former->succeeded && mf__answer_exists(former, 0) ? MF_ELATE
                                                                                : MF_EGONE;
}

static void on_ended(mf_op *op)
{
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);
    mf_claims_request *request = ((ending_op *)op)->request;
    bool done = ((ending_op *)op)->done, ended;

    if (!answer->succeeded) {
        mf__guard_refused(op, mf__answer_get(answer, 0));
        return;
    }
    for (size_t i = 0; i < request->count; i++) {
        mf_claim *claim = request->claims[i];
        claim->result = result_of(mf__answer_txn(answer, i), done, &ended);
        mf__claim_set_ended(claim, claim->result == MF_EGONE || (done && claim->result == MF_OK));
        if (ended)
            mf__key_leases_give_back(&op->session->claims, (int64_t)claim->group, 1);
    }
    mf__op_end(op);
}

/* If the task is in the life in which it was claimed. Each comparison costs etcd a read. */
static mf_txn *end_life(mf_op *op, mf_task_keys *keys, const mf_claim *claim, bool done)
{
    mf_arena *arena = &op->arena;
    mf_txn *txn = mf__txn_new(arena, 1, 2, 1);

    mf__txn_if_created_before(txn, keys->task, mf__claim_revision(claim)); /* or is not there */
    if (done) {
        mf__task_keys_end(arena, keys);
        mf__txn_then(txn, mf__op_delete(arena, keys->task));
        mf__txn_then(txn, mf__op_delete_range(arena, keys->slash, keys->slash_end));
    } else {
        mf__txn_then(txn, mf__op_delete(arena, keys->owner));
        mf__txn_then(txn, mf__op_count(arena, keys->task));
    }
    mf__txn_else(txn, mf__op_delete(arena, keys->owner));
    return txn;
}

/* The owner key of a task that was removed may have been moved to another lease since it was put.
 */
static mf_txn *end_former(mf_op *op, const mf_task_keys *keys, const mf_claim *claim)
{
    mf_txn *txn = mf__txn_new(&op->arena, 2, 1, 1);

    mf__claim_if_owned(op, txn, keys->owner, claim);
    mf__txn_then(txn, mf__op_delete(&op->arena, keys->owner));
    mf__txn_else(txn, mf__op_count(&op->arena, keys->task));
    return txn;
}

static mf_txn *end_one(mf_op *op, const mf_claim *claim, bool done)
{
    mf_arena *arena = &op->arena;
    mf_task_keys keys = mf__task_keys(op->etcd, arena, claim->id);
    mf_txn *txn = mf__txn_new(arena, 1, 1, 1);

    mf__txn_if_mod(txn, keys.owner, mf__claim_revision(claim));
    mf__txn_then(txn, mf__op_txn(arena, end_life(op, &keys, claim, done)));
    mf__txn_else(txn, mf__op_txn(arena, end_former(op, &keys, claim)));
    return txn;
}

static void transact(mf_op *op)
{
    const ending_op *ending = (ending_op *)op;
    mf_claims_request *request = ending->request;
    mf_txn *txn = mf__txn_new(&op->arena, 1, request->count, 1);
    mf__guard(op, txn);
    for (size_t i = 0; i < request->count; i++)
        mf__txn_then(txn, mf__op_txn(&op->arena, end_one(op, request->claims[i], ending->done)));
    mf__op_transact(op, txn, on_ended);
}

static void begin(mf_op *op)
{
    const ending_op *ending = (ending_op *)op;
    bool counted = false;

    for (size_t i = 0; i < ending->request->count; i++)
        counted |= mf__recent_end(op->session, ending->request->claims[i], ending->done);
    if (counted) {
        mf__crashes_await(op, transact);
        return;
    }
    mf__crashes_go_on(op->etcd);
    transact(op);
}

static void end(mf_broker *broker, mf_claims_request *request, bool done)
{
    ending_op *ending = mf__op_new_of(broker, &request->request, sizeof *ending, request->session);

    if (ending == NULL)
        return;
    ending->request = request;
    ending->done = done;
    mf__op_begin(&ending->op, begin);
}

void mf__etcd_release(mf_broker *broker, mf_claims_request *request)
{
    end(broker, request, false);
}

void mf__etcd_done(mf_broker *broker, mf_claims_request *request)
{
    end(broker, request, true);
}
