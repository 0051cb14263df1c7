/* Ending the leases of a session. */
#ifndef MF_ETCD_REVOKE_H
#define MF_ETCD_REVOKE_H

#include "op.h"

/* Leases to be revoked one after the other, a few at a time, each with up to a thousand keys. */
enum { MF_REVOKES_AT_ONCE = 4 };
typedef struct mf_revokes {
    int64_t *leases;
    size_t count, next;
    mf_part parts[MF_REVOKES_AT_ONCE];
} mf_revokes;
/* Finds the leases that a session has marked as its own, revokes them and calls `then`. */
void mf__op_revoke_marked(mf_op *op, mf_revokes *revokes, const char *token,
                          void (*then)(mf_op *op));
/* Revokes one. */
void mf__op_revoke(mf_op *op, mf_revokes *revokes, int64_t lease, void (*then)(mf_op *op));
/* The mark of a lease with claims: it is on that lease, and tells a later session of them. */
mf_bytes mf__lease_mark(mf_etcd *etcd, mf_arena *arena, const char *token, int64_t lease);
bool mf__lease_mark_parse(int64_t *out, mf_bytes text);

/* What is left of a session that has ended, for a minute: its epoch, so that a join which comes
 * late is refused. */
mf_bytes mf__session_end_key(mf_op *op, const char *token);

#endif
