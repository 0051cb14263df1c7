/* Commands to nodes: sent, read in the order in which they were sent, and deleted when they are
 * acknowledged. A command's sequence is the revision that created its key, above those of the
 * histories that this one took the place of (history.h).
 *
 * Those of this library are on leases that last for ten to eleven minutes, a thousand on each, so
 * that those of a dead node go away. */
#include <string.h>

#include "handle.h"
#include "history.h"
#include "keys.h"
#include "leases.h"
#include "op.h"
#include "session.h"
#include "slots.h"

/* send */

typedef struct send_op {
    mf_op op; /* first */
    mf_send_request *request;
} send_op;

static void put_command(mf_op *op, mf_key_lease *lease, const mf_error *error)
{
    mf_send_request *request = ((send_op *)op)->request;
    mf_txn *txn = mf__txn_new(&op->arena, 0, 1, 0);

    if (error != NULL) {
        mf__op_fail_as(op, error);
        return;
    }
    mf_bytes key = mf__command_key(op->etcd, &op->arena, request->node);
    mf_bytes json = {.len = request->length, .data = (uint8_t *)request->json};
    mf__txn_then(txn, mf__op_put(&op->arena, key, json, lease->id));
    op->rescue = mf__key_leases_take_again;
    mf__op_transact(op, txn, mf__op_end);
}

void mf__etcd_send(mf_broker *broker, mf_send_request *request)
{
    send_op *send = mf__op_new(broker, &request->request, sizeof *send);

    if (send == NULL)
        return;
    send->request = request;
    mf__key_leases_take(&send->op.etcd->commands, &send->op, 1, put_command);
}

/* receive */

typedef struct receive_op {
    mf_op op; /* first */
    mf_receive_request *request;
    mf_bytes prefix, end;
} receive_op;

/* The last revision of this history that is acknowledged; 0: none is. */
static int64_t acknowledged(const receive_op *receive)
{
    int64_t sequence = (int64_t)receive->request->acknowledged;
    int64_t before = receive->op.etcd->history.before;

    return sequence > before ? sequence - before : 0;
}

static Etcd__RangeRequest *commands_range(receive_op *receive)
{
    return mf__range_new(&receive->op.arena, receive->prefix, receive->end);
}

static void on_read(mf_op *op)
{
    mf_receive_request *request = ((receive_op *)op)->request;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);
    const Etcd__RangeResponse *range = mf__answer_range(answer, 0);

    if (!answer->succeeded || range == NULL) {
        mf__guard_refused(op, mf__answer_get(answer, 0));
        return;
    }
    mf_command_record *records = MF_ARENA_NEW(&op->arena, mf_command_record, range->n_kvs);
    for (size_t i = 0; i < range->n_kvs && request->count < request->limit; i++) {
        const Etcd__KeyValue *value = range->kvs[i];
        if (mf__key_is_marker(value->key))
            continue;
        records[request->count++] = (mf_command_record){
            .sequence = (uint64_t)(value->create_revision + op->etcd->history.before),
            .json = value->value.len > 0 ? (const char *)value->value.data : "",
            .length = value->value.len,
        };
    }
    request->commands = records;
    mf__op_end(op);
}

static void read_rest(receive_op *receive)
{
    mf_op *op = &receive->op;
    Etcd__RangeRequest *range = commands_range(receive);
    mf_txn *txn = mf__txn_new(&op->arena, 1, 1, 1);

    range->min_create_revision = acknowledged(receive) + 1;
    range->sort_order = ETCD__RANGE_REQUEST__SORT_ORDER__ASCEND;
    range->sort_target = ETCD__RANGE_REQUEST__SORT_TARGET__CREATE;
    range->limit = (int64_t)receive->request->limit + 1; /* one may be the marker */
    mf__guard(op, txn);
    mf__txn_then(txn, mf__op_range(&op->arena, range));
    mf__op_transact(op, txn, on_read);
}

static void find_acknowledged(receive_op *receive);

static void on_deleted(mf_op *op)
{
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);

    if (answer->succeeded)
        find_acknowledged((receive_op *)op);
    else
        mf__guard_refused(op, mf__answer_get(answer, 0));
}

static void on_found(mf_op *op)
{
    receive_op *receive = (receive_op *)op;
    const Etcd__RangeResponse *found = mf__op_range_answer(op);
    mf_txn *txn = mf__txn_new(&op->arena, 1, found->n_kvs, 1);

    for (size_t i = 0; i < found->n_kvs; i++)
        if (!mf__key_is_marker(found->kvs[i]->key))
            mf__txn_then(txn, mf__op_delete(&op->arena, found->kvs[i]->key));
    if (txn->message.n_success == 0) {
        read_rest(receive);
        return;
    }
    mf__guard(op, txn);
    mf__op_transact(op, txn, on_deleted);
}

static void find_acknowledged(receive_op *receive)
{
    Etcd__RangeRequest *range = commands_range(receive);

    range->max_create_revision = acknowledged(receive);
    range->keys_only = true;
    range->limit = (int64_t)receive->op.etcd->broker.max_batch;
    mf__op_call(&receive->op, &mf__method_range, &range->base, on_found);
}

static void begin(mf_op *op)
{
    receive_op *receive = (receive_op *)op;

    if (acknowledged(receive) > 0)
        find_acknowledged(receive);
    else
        read_rest(receive);
}

void mf__etcd_receive(mf_broker *broker, mf_receive_request *request)
{
    receive_op *receive =
        mf__op_new_of(broker, &request->request, sizeof *receive, request->session);

    if (receive == NULL)
        return;
    mf_op *op = &receive->op;
    receive->request = request;
    request->count = 0;
    receive->prefix = mf__key(op->etcd, &op->arena, "nodes/%s/commands/", request->session->node);
    receive->end = mf__bytes_after_prefix(&op->arena, receive->prefix);
    mf__op_begin(op, begin);
}
