/* forget: what is known of tasks that nobody owns, besides that they exist. */
#include "internal.h"

typedef struct forget_op {
    mf_op op; /* first */
    mf_items_request *request;
} forget_op;

enum { FORGET_OPS = 3 };

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
    return deleted(forgotten, 0) || deleted(forgotten, 1) || mf__answer_exists(forgotten, 2)
               ? MF_OK
               : MF_EGONE;
}

static void on_forgotten(mf_op *op)
{
    mf_items_request *request = ((forget_op *)op)->request;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);

    for (size_t i = 0; i < request->count; i++)
        request->items[i].result = result_of(mf__answer_txn(answer, i));
    mf__op_end(op);
}

static void add_deletions(mf_op *op, mf_txn *txn, const char *id, const mf_task_keys *keys)
{
    mf_arena *arena = &op->arena;

    mf__txn_then(txn, mf__op_delete(arena, mf__key(op->etcd, arena, "state/%s", id)));
    mf__txn_then(txn, mf__op_delete(arena, keys->message));
    mf__txn_then(txn, mf__op_count(arena, keys->task));
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

void mf__etcd_forget(mf_broker *broker, mf_items_request *request)
{
    forget_op *forget = mf__op_new(broker, &request->request, sizeof *forget);

    if (forget == NULL)
        return;
    mf_op *op = &forget->op;
    forget->request = request;
    mf_txn *txn = mf__txn_new(&op->arena, 0, request->count, 0);
    for (size_t i = 0; i < request->count; i++)
        mf__txn_then(txn, mf__op_txn(&op->arena, forget_one(op, request->items[i].id)));
    mf__op_transact(op, txn, on_forgotten);
}
