/* Building etcd's messages in an arena, and reading its answers. */
#ifndef MF_ETCD_MESSAGE_H
#define MF_ETCD_MESSAGE_H

#include <stdbool.h>

#include "arena.h"
#include "rpc.pb-c.h"

/* A key, or any piece of bytes. What is pointed to must live as long as the message. */
typedef ProtobufCBinaryData mf_bytes;

mf_bytes mf__bytes_of(const char *text);
mf_bytes mf__bytes_copy(mf_arena *arena, mf_bytes bytes);
bool mf__bytes_equal(mf_bytes a, mf_bytes b);
/* The first key behind all that begin with `prefix`, which ends with '/'. */
mf_bytes mf__bytes_after_prefix(mf_arena *arena, mf_bytes prefix);
/* A copy with a zero byte behind it, for those who take the bytes for text. */
char *mf__bytes_terminated(mf_arena *arena, mf_bytes bytes);
/* A copy with a zero byte behind it; NULL when there is one in it, or no memory. malloc'd. */
char *mf__bytes_to_text(mf_bytes bytes);

/* A transaction that is filled up to the counts that it was made for. */
typedef struct mf_txn {
    Etcd__TxnRequest message; /* first */
    mf_arena *arena;
} mf_txn;

mf_txn *mf__txn_new(mf_arena *arena, size_t compares, size_t successes, size_t failures);
void mf__txn_if_value(mf_txn *txn, mf_bytes key, mf_bytes value);
/* Revision 0: the key does not exist. */
void mf__txn_if_mod(mf_txn *txn, mf_bytes key, int64_t revision);
void mf__txn_if_mod_before(mf_txn *txn, mf_bytes key, int64_t revision); /* or does not exist */
void mf__txn_if_created(mf_txn *txn, mf_bytes key, int64_t revision);
void mf__txn_if_created_before(mf_txn *txn, mf_bytes key, int64_t revision);
void mf__txn_if_exists(mf_txn *txn, mf_bytes key);
void mf__txn_then(mf_txn *txn, Etcd__RequestOp *op);
void mf__txn_else(mf_txn *txn, Etcd__RequestOp *op);

Etcd__RequestOp *mf__op_put(mf_arena *arena, mf_bytes key, mf_bytes value, int64_t lease);
Etcd__RequestOp *mf__op_get(mf_arena *arena, mf_bytes key);
Etcd__RequestOp *mf__op_count(mf_arena *arena, mf_bytes key);
Etcd__RequestOp *mf__op_range(mf_arena *arena, Etcd__RangeRequest *range);
Etcd__RequestOp *mf__op_delete(mf_arena *arena, mf_bytes key);
Etcd__RequestOp *mf__op_delete_range(mf_arena *arena, mf_bytes key, mf_bytes end);
Etcd__RequestOp *mf__op_txn(mf_arena *arena, mf_txn *txn);

Etcd__RangeRequest *mf__range_new(mf_arena *arena, mf_bytes key, mf_bytes end);

/* Parts of an answer; NULL when it has no such part. */
const Etcd__TxnResponse *mf__answer_txn(const Etcd__TxnResponse *txn, size_t index);
const Etcd__RangeResponse *mf__answer_range(const Etcd__TxnResponse *txn, size_t index);
/* The one key that was asked for; NULL when it does not exist. */
const Etcd__KeyValue *mf__answer_get(const Etcd__TxnResponse *txn, size_t index);
bool mf__answer_exists(const Etcd__TxnResponse *txn, size_t index); /* of mf__op_count */

#endif
