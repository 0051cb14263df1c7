/* forget: what is known of tasks that nobody owns, besides that they exist. */
#include "crashes.h"
#include "delays.h"
#include "handle.h"
#include "keys.h"
#include "op.h"
#include "slots.h"

typedef struct forget_op {
    mf_op op; /* first */
    mf_items_request *request;
    size_t done, portion; /* items */
} forget_op;

enum { FORGET_OPS = 5 };

static bool deleted(const Etcd__TxnResponse *txn, size_t index)
{
    const Etcd__ResponseOp *op = txn->responses[index];

    return op->response_case == ETCD__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE &&
           op->response_delete_range->deleted > 0;
}

static int result_of(const Etcd__TxnResponse *part)
{
    const Etcd__TxnResponse *forgotten = part;

    if (part != NULL && !part->succeeded)
        forgotten = mf__answer_txn(part, 0);
    if (forgotten == NULL || !forgotten->succeeded || forgotten->n_responses != FORGET_OPS)
        return MF_ETAKEN;
    return deleted(forgotten, 0) || deleted(forgotten, 1) || deleted(forgotten, 2) ||
                   mf__answer_exists(forgotten, 3)
               ? MF_OK
               : MF_EGONE;
}

/* One that was set aside is claimable then; one that was submitted for later still is not. */
static mf_txn *end_setting_aside(mf_op *op, const char *id)
{
    mf_bytes key = mf__delay_key(op->etcd, &op->arena, id);
    mf_txn *txn = mf__txn_new(&op->arena, 1, 1, 0);

    mf__txn_if_value(txn, key, mf__delay_text(&op->arena, INT64_MAX));
    mf__txn_then(txn, mf__op_delete(&op->arena, key));
    return txn;
}

static void add_deletions(mf_op *op, mf_txn *txn, const char *id, const mf_task_keys *keys)
{
    mf_arena *arena = &op->arena;

    mf__txn_then(txn, mf__op_delete(arena, mf__key(op->etcd, arena, "state/%s", id)));
    mf__txn_then(txn, mf__op_delete(arena, keys->message));
    mf__txn_then(txn, mf__op_delete(arena, mf__crash_key(op->etcd, arena, id)));
    mf__txn_then(txn, mf__op_count(arena, keys->task));
    mf__txn_then(txn, mf__op_txn(arena, end_setting_aside(op, id)));
}

/* The owner key of a task that was removed is not in the way. */
static mf_txn *forget_removed(mf_op *op, const char *id, const mf_task_keys *keys)
{
    mf_txn *txn = mf__txn_new(&op->arena, 1, FORGET_OPS, 0);

    mf__txn_if_mod(txn, keys->task, 0);
    add_deletions(op, txn, id, keys);
    return txn;
}

static mf_txn *forget_one(mf_op *op, const char *id)
{
    mf_task_keys keys = mf__task_keys(op->etcd, &op->arena, id);
    mf_txn *txn = mf__txn_new(&op->arena, 1, FORGET_OPS, 1);

    mf__txn_if_mod(txn, keys.owner, 0);
    add_deletions(op, txn, id, &keys);
    mf__txn_else(txn, mf__op_txn(&op->arena, forget_removed(op, id, &keys)));
    return txn;
}

static void next_portion(mf_op *op);

static void on_forgotten(mf_op *op)
{
    forget_op *forget = (forget_op *)op;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);

    for (size_t i = 0; i < forget->portion; i++)
        forget->request->items[forget->done++].result = result_of(mf__answer_txn(answer, i));
    next_portion(op);
}

/* Half a batch at a time: an item is three transactions deep. */
static void next_portion(mf_op *op)
{
    forget_op *forget = (forget_op *)op;
    size_t left = forget->request->count - forget->done, most = op->etcd->broker.max_batch / 2;

    forget->portion = left < most ? left : most;
    if (forget->portion == 0) {
        mf__op_end(op);
        return;
    }
    mf_txn *txn = mf__txn_new(&op->arena, 0, forget->portion, 0);
    for (size_t i = 0; i < forget->portion; i++) {
        const char *id = forget->request->items[forget->done + i].id;
        mf__txn_then(txn, mf__op_txn(&op->arena, forget_one(op, id)));
    }
    mf__op_transact(op, txn, on_forgotten);
}

void mf__etcd_forget(mf_broker *broker, mf_items_request *request)
{
    forget_op *forget = mf__op_new(broker, &request->request, sizeof *forget);

    if (forget == NULL)
        return;
    forget->request = request;
    next_portion(&forget->op);
}
