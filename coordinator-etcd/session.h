/* What a handle knows of the sessions that use it, and the guard of their requests. */
#ifndef MF_ETCD_SESSION_H
#define MF_ETCD_SESSION_H

#include <metafora/driver.h>

#include "leases.h"
#include "looks.h"
#include "message.h"

typedef struct mf_etcd mf_etcd;
typedef struct mf_op mf_op;
typedef struct mf_etcd_session mf_etcd_session;
typedef struct mf_recent mf_recent;

struct mf_etcd_session {
    struct mf_etcd_session *next;
    char token[33];
    char *node_key, *owner_json;
    char *node_json; /* of the epoch and weight below */
    uint64_t epoch;
    double weight;
    int64_t lease; /* of its node key; 0: none yet */
    mf_key_leases claims;
    mf_recent *recent; /* claims, the latest first */
    mf_look *look;     /* the latest; NULL: none */
    /* The end of another session that has its name, as far as is known. */
    char holder[33];
    int64_t holder_until_us;
    bool mail_waits; /* its watchers are to be told */
    size_t users;    /* operations */
    size_t joins;    /* of them, under way */
    mf_op *behind;   /* those that wait for these, in order */
    bool over;       /* it has left: to be forgotten with its last user */
};

/* The session as it is now; NULL: no memory. */
mf_etcd_session *mf__session_of(mf_etcd *etcd, const mf_session *session);
void mf__session_release(mf_etcd *etcd, mf_etcd_session *session);
void mf__sessions_clear(mf_etcd *etcd);

/* The transaction's condition that the operation's session is the present one, and what tells
 * otherwise: its one compare, and the one operation of its failure. */
void mf__guard(mf_op *op, mf_txn *txn);
/* Ends the operation because the guard did not hold: MF_ESTALE or MF_ENOSESSION. */
void mf__guard_refused(mf_op *op, const Etcd__KeyValue *node);
/* Whether this is the session's node key. */
bool mf__guard_holds(const mf_op *op, const Etcd__KeyValue *node);

#endif
