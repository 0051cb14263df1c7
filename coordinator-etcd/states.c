/* States of tasks: read, written by their owners, listed. They are the Go library's documents,
 * under its keys, which are apart from the tasks' and outlive them. */
#include <string.h>

#include "claims.h"
#include "keys.h"
#include "op.h"
#include "session.h"
#include "slots.h"

static mf_bytes state_key(mf_op *op, const char *id)
{
    return mf__key(op->etcd, &op->arena, "state/%s", id);
}

static mf_document document_of(mf_op *op, const char *id, const Etcd__KeyValue *value)
{
    if (value == NULL)
        return (mf_document){.id = id};
    return (mf_document){.id = id,
                         .json = mf__bytes_terminated(&op->arena, value->value),
                         .length = value->value.len};
}

/* load */

typedef struct load_op {
    mf_op op; /* first */
    mf_load_request *request;
} load_op;

static void on_loaded(mf_op *op)
{
    mf_load_request *request = ((load_op *)op)->request;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);
    mf_document *documents = MF_ARENA_NEW(&op->arena, mf_document, request->id_count);

    for (size_t i = 0; i < request->id_count; i++)
        documents[i] = document_of(op, request->ids[i], mf__answer_get(answer, i));
    request->documents = documents;
    mf__op_end(op);
}

void mf__etcd_load(mf_broker *broker, mf_load_request *request)
{
    load_op *load = mf__op_new(broker, &request->request, sizeof *load);

    if (load == NULL)
        return;
    mf_op *op = &load->op;
    load->request = request;
    mf_txn *txn = mf__txn_new(&op->arena, 0, request->id_count, 0);
    for (size_t i = 0; i < request->id_count; i++)
        mf__txn_then(txn, mf__op_get(&op->arena, state_key(op, request->ids[i])));
    mf__op_transact(op, txn, on_loaded);
}

/* store */

typedef struct store_op {
    mf_op op; /* first */
    mf_store_request *request;
} store_op;

/* Why it was refused, by the answer of store_one: the owner key of a task that was removed stays
 * with its owner, maybe moved to another lease. */
static int refusal(const mf_op *op, const mf_write *write, const Etcd__TxnResponse *part)
{
    const Etcd__KeyValue *owner = mf__answer_get(part, 0);
    bool ours = owner != NULL &&
                owner->create_revision == mf__fence_revision(write->fence, write->mark) &&
                mf__bytes_are(owner->value, op->session->owner_json);

    return !ours && mf__answer_exists(part, 1) ? MF_ELATE : MF_EGONE;
}

static void on_stored(mf_op *op)
{
    mf_store_request *request = ((store_op *)op)->request;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);

    if (!answer->succeeded) {
        mf__guard_refused(op, mf__answer_get(answer, 0));
        return;
    }
    for (size_t i = 0; i < request->count; i++) {
        const Etcd__TxnResponse *part = mf__answer_txn(answer, i);
        mf_write *write = &request->writes[i];
        write->result = part != NULL && part->succeeded ? MF_OK : refusal(op, write, part);
    }
    mf__op_end(op);
}

/* A message's number is the revision that put it. */
static mf_txn *forget_message(mf_op *op, mf_bytes key, uint64_t number)
{
    mf_txn *txn = mf__txn_new(&op->arena, 1, 1, 0);

    mf__txn_if_mod_before(txn, key, number < INT64_MAX ? (int64_t)number + 1 : INT64_MAX);
    mf__txn_then(txn, mf__op_delete(&op->arena, key));
    return txn;
}

/* If the owner key is the claim's, in the task's same life. */
static mf_txn *store_one(mf_op *op, const mf_write *write)
{
    mf_arena *arena = &op->arena;
    mf_task_keys keys = mf__task_keys(op->etcd, arena, write->id);
    int64_t revision = mf__fence_revision(write->fence, write->mark);
    mf_bytes json = {.len = write->length, .data = (uint8_t *)write->json};
    mf_txn *txn = mf__txn_new(arena, 4, 2, 2);

    mf__txn_if_created(txn, keys.owner, revision);
    mf__txn_if_value(txn, keys.owner, mf__bytes_of(op->session->owner_json));
    mf__txn_if_exists(txn, keys.task);
    mf__txn_if_created_before(txn, keys.task, revision);
    if (write->json != NULL)
        mf__txn_then(txn, mf__op_put(arena, state_key(op, write->id), json, 0));
    if (write->acknowledged != 0)
        mf__txn_then(txn, mf__op_txn(arena, forget_message(op, keys.message, write->acknowledged)));
    mf__txn_else(txn, mf__op_get(arena, keys.owner));
    mf__txn_else(txn, mf__op_count(arena, keys.task));
    return txn;
}

static void write_all(mf_op *op)
{
    mf_store_request *request = ((store_op *)op)->request;
    mf_txn *txn = mf__txn_new(&op->arena, 1, request->count, 1);
    mf__guard(op, txn);
    for (size_t i = 0; i < request->count; i++)
        mf__txn_then(txn, mf__op_txn(&op->arena, store_one(op, &request->writes[i])));
    mf__op_transact(op, txn, on_stored);
}

void mf__etcd_store(mf_broker *broker, mf_store_request *request)
{
    store_op *store = mf__op_new_of(broker, &request->request, sizeof *store, request->session);

    if (store == NULL)
        return;
    store->request = request;
    mf__op_begin(&store->op, write_all);
}

/* states */

typedef struct states_op {
    mf_op op; /* first */
    mf_states_request *request;
} states_op;

static void on_listed(mf_op *op)
{
    mf_states_request *request = ((states_op *)op)->request;
    const Etcd__RangeResponse *page = mf__op_range_answer(op);
    mf_document *documents = MF_ARENA_NEW(&op->arena, mf_document, page->n_kvs);

    for (size_t i = 0; i < page->n_kvs; i++) {
        mf_bytes rest = mf__key_rest(op->etcd, page->kvs[i]->key, "state/");
        const char *id = mf__key_is_marker(rest) ? NULL : mf__key_id(&op->arena, rest);
        if (id != NULL)
            documents[request->count++] = document_of(op, id, page->kvs[i]);
    }
    request->documents = documents;
    request->cursor[0] = '\0';
    if (page->more && page->n_kvs > 0)
        mf__key_to_cursor(request->cursor,
                          mf__key_rest(op->etcd, page->kvs[page->n_kvs - 1]->key, "state/"));
    mf__op_end(op);
}

void mf__etcd_states(mf_broker *broker, mf_states_request *request)
{
    states_op *states = mf__op_new(broker, &request->request, sizeof *states);

    if (states == NULL)
        return;
    mf_op *op = &states->op;
    states->request = request;
    request->count = 0;
    mf_bytes end = mf__bytes_after_prefix(&op->arena, mf__key(op->etcd, &op->arena, "state/"));
    Etcd__RangeRequest *range = mf__range_new(
        &op->arena, mf__key_behind_cursor(op->etcd, &op->arena, "state/", request->cursor), end);
    range->limit = (int64_t)(request->limit > 0 ? request->limit : 1);
    mf__op_call(op, &mf__method_range, &range->base, on_listed);
}
