/* A request becomes an operation: one or more calls, each of which starts when the one before it
 * has been answered, in an arena that is freed when the request has been called back. */
#ifndef MF_ETCD_OP_H
#define MF_ETCD_OP_H

#include <metafora/driver.h>
#include <metafora/export.h>

#include "leases.h"
#include "link.h"
#include "looks.h"
#include "message.h"

typedef struct mf_etcd mf_etcd;
typedef struct mf_op mf_op;
typedef struct mf_etcd_session mf_etcd_session;

struct mf_op {
    mf_etcd *etcd;
    mf_request *request;
    mf_etcd_session *session; /* NULL: none */
    mf_bytes guard;           /* the session's node document when the operation began */
    uint64_t epoch;
    bool joins; /* those of the session that come later wait for it */
    mf_op *next, *previous;
    mf_arena arena;
    mf_rpc rpc;
    void (*then)(mf_op *op);
    /* May be NULL. Returns true when the operation goes on in spite of the error. */
    bool (*rescue)(mf_op *op, const mf_error *error);
    size_t left;    /* parts of a group under way */
    mf_error error; /* the first of a group */
    struct mf_revokes *revokes;
    void (*revoked)(mf_op *op);
    /* The lease that it took keys on. */
    mf_key_leases *leases;
    int64_t lease;
    size_t lease_keys;
    mf_lease_fn leased;
    bool retaken;
    /* The look that it waits for. */
    mf_look_fn looked;
    mf_op *next_waiting; /* for whatever */
};

/* `size` bytes that begin with an mf_op, all zero; NULL: the request will be called back. */
void *mf__op_new(mf_broker *broker, mf_request *request, size_t size);
/* The same, with op->session. */
void *mf__op_new_of(mf_broker *broker, mf_request *request, size_t size, const mf_session *session);
/* Calls fn(op) when the session is joined by no request that has no answer yet: the operation's
 * guard is what that one writes. At once, if there is none. */
void mf__op_begin(mf_op *op, void (*fn)(mf_op *op));
/* Ends the operation, calls the request back and frees all. */
void mf__op_end(mf_op *op);
/* The same, soon: for one that has its answer while it is still inside the slot. */
void mf__op_end_soon(mf_op *op);
void mf__op_fail(mf_op *op, int code, const char *format, ...) MF_PRINTF(3, 4);
void mf__op_fail_as(mf_op *op, const mf_error *error);
/* Ends it well, or with the error that a group has noted. */
void mf__op_end_group(mf_op *op);
void mf__ops_run_refused(void *arg);

/* Calls, then calls `then`; an error ends the operation unless `rescue` takes it. */
void mf__op_call(mf_op *op, const mf_method *method, const ProtobufCMessage *request,
                 void (*then)(mf_op *op));
void mf__op_transact(mf_op *op, mf_txn *txn, void (*then)(mf_op *op));
/* The answer of the last call. */
const Etcd__TxnResponse *mf__op_txn_answer(const mf_op *op);
const Etcd__RangeResponse *mf__op_range_answer(const mf_op *op);

/* One call of a group that is under way together: `each` is called when it is answered, and
 * op->then, set by the caller, when it was the last one. */
typedef struct mf_part {
    mf_rpc rpc; /* first */
    mf_op *op;
    void *user; /* whatever its user likes */
    void (*each)(mf_op *op, struct mf_part *part, const mf_error *error);
} mf_part;
void mf__op_part(mf_op *op, mf_part *part, mf_etcd_link *link, const mf_method *method,
                 const ProtobufCMessage *request,
                 void (*each)(mf_op *op, mf_part *part, const mf_error *error));
/* A part is over, one that is no call: op->left was raised for it. */
void mf__op_part_over(mf_op *op);
/* Keeps the first error of a group in op->error. */
void mf__op_note_error(mf_op *op, const mf_error *error);

#endif
