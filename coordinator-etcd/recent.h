/* Notes of recent claims, by which crashes are found. */
#ifndef MF_ETCD_RECENT_H
#define MF_ETCD_RECENT_H

#include "op.h"

/* Adds the note of these claims on a lease to their transaction. Its number; 0: no memory, and no
 * crash is counted. */
uint64_t mf__recent_add(mf_op *op, mf_txn *txn, int64_t lease, mf_claim *const *claims,
                        size_t count);
/* The transaction was carried out; `counted`: there are crash counts. */
void mf__recent_answered(mf_op *op, uint64_t number, int64_t revision, bool counted);
/* One of its claims was not granted; none was. */
void mf__recent_refused(mf_op *op, uint64_t number, size_t index);
void mf__recent_failed(mf_op *op, uint64_t number);
/* The lease was kept alive by a call that was sent then. */
void mf__recent_survive(mf_etcd *etcd, mf_etcd_session *session, int64_t lease, int64_t sent_us);
/* All its claims end well; the claim does. True: crash counts may go by it, await that. */
bool mf__recent_leave(mf_etcd_session *session);
bool mf__recent_end(mf_etcd_session *session, const mf_claim *claim, bool done);
/* A transaction by which the broker learns what has changed, and its answer, NULL if there is none.
 * NULL: nothing has. */
mf_txn *mf__recent_tell(mf_etcd *etcd, mf_arena *arena);
void mf__recent_told(mf_etcd *etcd, const Etcd__TxnResponse *answer);
void mf__recent_clear(mf_etcd_session *session);

#endif
