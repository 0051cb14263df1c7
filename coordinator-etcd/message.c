/* Building etcd's messages in an arena, and reading its answers. */
#include "message.h"

#include <stdlib.h>
#include <string.h>

mf_bytes mf__bytes_of(const char *text)
{
    return (mf_bytes){.len = strlen(text), .data = (uint8_t *)text};
}

bool mf__bytes_equal(mf_bytes a, mf_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

mf_bytes mf__bytes_copy(mf_arena *arena, mf_bytes bytes)
{
    mf_bytes copy = {.len = bytes.len, .data = mf__arena_take(arena, bytes.len)};

    if (bytes.len > 0)
        memcpy(copy.data, bytes.data, bytes.len);
    return copy;
}

mf_bytes mf__bytes_after_prefix(mf_arena *arena, mf_bytes prefix)
{
    mf_bytes end = mf__bytes_copy(arena, prefix);

    end.data[end.len - 1]++;
    return end;
}

char *mf__bytes_terminated(mf_arena *arena, mf_bytes bytes)
{
    char *text = mf__arena_take(arena, bytes.len + 1);

    if (bytes.len > 0)
        memcpy(text, bytes.data, bytes.len);
    return text;
}

char *mf__bytes_to_text(mf_bytes bytes)
{
    if (bytes.len == 0)
        return strdup("");
    if (memchr(bytes.data, '\0', bytes.len) != NULL)
        return NULL;
    return strndup((const char *)bytes.data, bytes.len);
}

/* Transactions. */

mf_txn *mf__txn_new(mf_arena *arena, size_t compares, size_t successes, size_t failures)
{
    mf_txn *txn = mf__arena_take(arena, sizeof *txn);

    etcd__txn_request__init(&txn->message);
    txn->arena = arena;
    txn->message.compare = MF_ARENA_NEW(arena, Etcd__Compare *, compares);
    txn->message.success = MF_ARENA_NEW(arena, Etcd__RequestOp *, successes);
    txn->message.failure = MF_ARENA_NEW(arena, Etcd__RequestOp *, failures);
    return txn;
}

static Etcd__Compare *add_compare(mf_txn *txn, mf_bytes key)
{
    Etcd__Compare *compare = mf__arena_take(txn->arena, sizeof *compare);

    etcd__compare__init(compare);
    compare->key = key;
    txn->message.compare[txn->message.n_compare++] = compare;
    return compare;
}

void mf__txn_if_value(mf_txn *txn, mf_bytes key, mf_bytes value)
{
    Etcd__Compare *compare = add_compare(txn, key);

    compare->target = ETCD__COMPARE__COMPARE_TARGET__VALUE;
    compare->target_union_case = ETCD__COMPARE__TARGET_UNION_VALUE;
    compare->value = value;
}

static void add_mod(mf_txn *txn, mf_bytes key, int64_t revision,
                    Etcd__Compare__CompareResult result)
{
    Etcd__Compare *compare = add_compare(txn, key);

    compare->target = ETCD__COMPARE__COMPARE_TARGET__MOD;
    compare->target_union_case = ETCD__COMPARE__TARGET_UNION_MOD_REVISION;
    compare->mod_revision = revision;
    compare->result = result;
}

void mf__txn_if_mod(mf_txn *txn, mf_bytes key, int64_t revision)
{
    add_mod(txn, key, revision, ETCD__COMPARE__COMPARE_RESULT__EQUAL);
}

void mf__txn_if_mod_before(mf_txn *txn, mf_bytes key, int64_t revision)
{
    add_mod(txn, key, revision, ETCD__COMPARE__COMPARE_RESULT__LESS);
}

static void add_created(mf_txn *txn, mf_bytes key, int64_t revision,
                        Etcd__Compare__CompareResult result)
{
    Etcd__Compare *compare = add_compare(txn, key);

    compare->target = ETCD__COMPARE__COMPARE_TARGET__CREATE;
    compare->target_union_case = ETCD__COMPARE__TARGET_UNION_CREATE_REVISION;
    compare->create_revision = revision;
    compare->result = result;
}

void mf__txn_if_created(mf_txn *txn, mf_bytes key, int64_t revision)
{
    add_created(txn, key, revision, ETCD__COMPARE__COMPARE_RESULT__EQUAL);
}

void mf__txn_if_created_before(mf_txn *txn, mf_bytes key, int64_t revision)
{
    add_created(txn, key, revision, ETCD__COMPARE__COMPARE_RESULT__LESS);
}

void mf__txn_if_exists(mf_txn *txn, mf_bytes key)
{
    add_created(txn, key, 0, ETCD__COMPARE__COMPARE_RESULT__GREATER);
}

void mf__txn_then(mf_txn *txn, Etcd__RequestOp *op)
{
    txn->message.success[txn->message.n_success++] = op;
}

void mf__txn_else(mf_txn *txn, Etcd__RequestOp *op)
{
    txn->message.failure[txn->message.n_failure++] = op;
}

static Etcd__RequestOp *new_op(mf_arena *arena, Etcd__RequestOp__RequestCase kind)
{
    Etcd__RequestOp *op = mf__arena_take(arena, sizeof *op);

    etcd__request_op__init(op);
    op->request_case = kind;
    return op;
}

Etcd__RequestOp *mf__op_put(mf_arena *arena, mf_bytes key, mf_bytes value, int64_t lease)
{
    Etcd__RequestOp *op = new_op(arena, ETCD__REQUEST_OP__REQUEST_REQUEST_PUT);
    Etcd__PutRequest *put = mf__arena_take(arena, sizeof *put);

    etcd__put_request__init(put);
    put->key = key;
    put->value = value;
    put->lease = lease;
    op->request_put = put;
    return op;
}

Etcd__RangeRequest *mf__range_new(mf_arena *arena, mf_bytes key, mf_bytes end)
{
    Etcd__RangeRequest *range = mf__arena_take(arena, sizeof *range);

    etcd__range_request__init(range);
    range->key = key;
    range->range_end = end;
    return range;
}

Etcd__RequestOp *mf__op_range(mf_arena *arena, Etcd__RangeRequest *range)
{
    Etcd__RequestOp *op = new_op(arena, ETCD__REQUEST_OP__REQUEST_REQUEST_RANGE);

    op->request_range = range;
    return op;
}

Etcd__RequestOp *mf__op_get(mf_arena *arena, mf_bytes key)
{
    return mf__op_range(arena, mf__range_new(arena, key, (mf_bytes){0}));
}

Etcd__RequestOp *mf__op_count(mf_arena *arena, mf_bytes key)
{
    Etcd__RequestOp *op = mf__op_get(arena, key);

    op->request_range->count_only = true;
    return op;
}

Etcd__RequestOp *mf__op_delete(mf_arena *arena, mf_bytes key)
{
    Etcd__RequestOp *op = new_op(arena, ETCD__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE);
    Etcd__DeleteRangeRequest *erase = mf__arena_take(arena, sizeof *erase);

    etcd__delete_range_request__init(erase);
    erase->key = key;
    op->request_delete_range = erase;
    return op;
}

Etcd__RequestOp *mf__op_delete_range(mf_arena *arena, mf_bytes key, mf_bytes end)
{
    Etcd__RequestOp *op = mf__op_delete(arena, key);

    op->request_delete_range->range_end = end;
    return op;
}

Etcd__RequestOp *mf__op_txn(mf_arena *arena, mf_txn *txn)
{
    Etcd__RequestOp *op = new_op(arena, ETCD__REQUEST_OP__REQUEST_REQUEST_TXN);

    op->request_txn = &txn->message;
    return op;
}

/* Answers. */

static const Etcd__ResponseOp *part(const Etcd__TxnResponse *txn, size_t index,
                                    Etcd__ResponseOp__ResponseCase kind)
{
    if (txn == NULL || index >= txn->n_responses || txn->responses[index]->response_case != kind)
        return NULL;
    return txn->responses[index];
}

const Etcd__TxnResponse *mf__answer_txn(const Etcd__TxnResponse *txn, size_t index)
{
    const Etcd__ResponseOp *op = part(txn, index, ETCD__RESPONSE_OP__RESPONSE_RESPONSE_TXN);

    return op != NULL ? op->response_txn : NULL;
}

const Etcd__RangeResponse *mf__answer_range(const Etcd__TxnResponse *txn, size_t index)
{
    const Etcd__ResponseOp *op = part(txn, index, ETCD__RESPONSE_OP__RESPONSE_RESPONSE_RANGE);

    return op != NULL ? op->response_range : NULL;
}

const Etcd__KeyValue *mf__answer_get(const Etcd__TxnResponse *txn, size_t index)
{
    const Etcd__RangeResponse *range = mf__answer_range(txn, index);

    return range != NULL && range->n_kvs == 1 ? range->kvs[0] : NULL;
}

bool mf__answer_exists(const Etcd__TxnResponse *txn, size_t index)
{
    const Etcd__RangeResponse *range = mf__answer_range(txn, index);

    return range != NULL && range->count > 0;
}
