/* Operations: requests under way, each a row of calls. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "handle.h"
#include "op.h"
#include "session.h"

/* Calls the request back soon; its error is set. */
static void refuse(mf_etcd *etcd, mf_request *request)
{
    mf_request **last = &etcd->refused;

    while (*last != NULL)
        last = &(*last)->next;
    request->next = NULL;
    *last = request;
    mf_defer(etcd->broker.loop, &etcd->refuse);
}

void mf__op_end_soon(mf_op *op)
{
    mf_op **last = &op->etcd->answered;

    while (*last != NULL)
        last = &(*last)->next_waiting;
    op->next_waiting = NULL;
    *last = op;
    mf_defer(op->etcd->broker.loop, &op->etcd->refuse);
}

void mf__ops_run_refused(void *arg)
{
    mf_etcd *etcd = arg;
    mf_request *request = etcd->refused;
    mf_op *op = etcd->answered;

    etcd->refused = NULL;
    etcd->answered = NULL;
    while (op != NULL) {
        mf_op *next = op->next_waiting;
        mf__op_end(op);
        op = next;
    }
    while (request != NULL) {
        mf_request *next = request->next;
        request->next = NULL;
        request->done(request);
        request = next;
    }
}

static void unlink_op(mf_op *op)
{
    if (op->previous != NULL)
        op->previous->next = op->next;
    else
        op->etcd->ops = op->next;
    if (op->next != NULL)
        op->next->previous = op->previous;
}

void *mf__op_new(mf_broker *broker, mf_request *request, size_t size)
{
    mf_etcd *etcd = (mf_etcd *)broker;
    mf_op *op = etcd->closing ? NULL : calloc(1, size);

    request->sent_us = mf_loop_now_us(broker->loop);
    request->error = (mf_error){.code = MF_OK};
    if (op == NULL) {
        mf_error_set(&request->error, etcd->closing ? MF_ECLOSED : MF_ENOMEM,
                     etcd->closing ? "etcd: the handle is closed" : "etcd: out of memory");
        refuse(etcd, request);
        return NULL;
    }
    op->etcd = etcd;
    op->request = request;
    mf__arena_init(&op->arena);
    op->next = etcd->ops;
    if (op->next != NULL)
        op->next->previous = op;
    etcd->ops = op;
    return op;
}

void *mf__op_new_of(mf_broker *broker, mf_request *request, size_t size, const mf_session *session)
{
    mf_op *op = mf__op_new(broker, request, size);

    if (op == NULL)
        return NULL;
    op->session = mf__session_of(op->etcd, session);
    if (op->session != NULL) {
        op->session->users++;
        op->guard = mf__bytes_copy(&op->arena, mf__bytes_of(op->session->node_json));
        op->epoch = session->epoch;
        return op;
    }
    mf_error_set(&request->error, MF_ENOMEM, "etcd: out of memory");
    unlink_op(op);
    free(op);
    refuse((mf_etcd *)broker, request);
    return NULL;
}

void mf__op_begin(mf_op *op, void (*fn)(mf_op *op))
{
    mf_op **last = &op->session->behind;

    if (op->session->joins == 0) {
        fn(op);
        return;
    }
    while (*last != NULL)
        last = &(*last)->next_waiting;
    op->then = fn;
    op->next_waiting = NULL;
    *last = op;
}

static void begin_those_behind(mf_etcd_session *session)
{
    mf_op *op = session->behind;

    session->behind = NULL;
    while (op != NULL) {
        mf_op *next = op->next_waiting;
        op->then(op);
        op = next;
    }
}

void mf__op_end(mf_op *op)
{
    mf_etcd *etcd = op->etcd;
    bool last_join = op->joins && --op->session->joins == 0;

    unlink_op(op);
    op->request->done(op->request);
    if (last_join)
        begin_those_behind(op->session);
    if (op->session != NULL)
        mf__session_release(etcd, op->session);
    mf__arena_clear(&op->arena);
    free(op);
}

void mf__op_fail(mf_op *op, int code, const char *format, ...)
{
    char text[sizeof op->error.text];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    mf_error_set(&op->request->error, code, "%s", text);
    mf__op_end(op);
}

void mf__op_fail_as(mf_op *op, const mf_error *error)
{
    op->request->error = *error;
    mf__op_end(op);
}

void mf__op_end_group(mf_op *op)
{
    if (op->error.code != MF_OK)
        mf__op_fail_as(op, &op->error);
    else
        mf__op_end(op);
}

static void on_answer(mf_rpc *rpc, const mf_error *error)
{
    mf_op *op = (mf_op *)((char *)rpc - offsetof(mf_op, rpc));

    if (error->code == MF_OK)
        op->then(op);
    else if (op->rescue == NULL || !op->rescue(op, error))
        mf__op_fail_as(op, error);
}

void mf__op_call(mf_op *op, const mf_method *method, const ProtobufCMessage *request,
                 void (*then)(mf_op *op))
{
    op->then = then;
    op->rpc.done = on_answer;
    mf__rpc_start(&op->rpc, op->etcd->calls, method, request, &op->arena);
}

void mf__op_transact(mf_op *op, mf_txn *txn, void (*then)(mf_op *op))
{
    mf__op_call(op, &mf__method_txn, &txn->message.base, then);
}

const Etcd__TxnResponse *mf__op_txn_answer(const mf_op *op)
{
    return (const Etcd__TxnResponse *)op->rpc.answer;
}

const Etcd__RangeResponse *mf__op_range_answer(const mf_op *op)
{
    return (const Etcd__RangeResponse *)op->rpc.answer;
}

void mf__op_part_over(mf_op *op)
{
    if (--op->left == 0)
        op->then(op);
}

static void on_part(mf_rpc *rpc, const mf_error *error)
{
    mf_part *part = (mf_part *)rpc;
    mf_op *op = part->op;

    part->each(op, part, error);
    mf__op_part_over(op);
}

void mf__op_part(mf_op *op, mf_part *part, mf_etcd_link *link, const mf_method *method,
                 const ProtobufCMessage *request,
                 void (*each)(mf_op *op, mf_part *part, const mf_error *error))
{
    *part = (mf_part){.rpc = {.done = on_part}, .op = op, .each = each};
    op->left++;
    mf__rpc_start(&part->rpc, link, method, request, &op->arena);
}

void mf__op_note_error(mf_op *op, const mf_error *error)
{
    if (op->error.code == MF_OK)
        op->error = *error;
}
