/* A look at a session's node key. */
#ifndef MF_ETCD_LOOKS_H
#define MF_ETCD_LOOKS_H

#include <metafora/loop.h>

#include "link.h"

typedef struct mf_etcd mf_etcd;
typedef struct mf_op mf_op;
typedef struct mf_etcd_session mf_etcd_session;

typedef struct mf_looked {
    const Etcd__KeyValue *node, *removals; /* NULL: there is no such key */
    bool gone;                             /* the session's lease is */
    uint64_t term;
    int64_t sent_us; /* of the session's renewal */
} mf_looked;

/* `seen` is the look's, and counts if the error's code is MF_OK. */
typedef void (*mf_look_fn)(mf_op *op, const mf_looked *seen, const mf_error *error);

typedef struct mf_look {
    mf_etcd *etcd;
    mf_etcd_session *session;
    mf_timer timer;
    mf_rpc rpc;
    mf_arena arena;
    mf_etcd_link *link;
    int64_t began_us, lease;
    bool under_way;
    mf_looked seen;
    mf_op *waiting, *served;
} mf_look;

void mf__look_init(mf_look *look, mf_etcd *etcd, mf_etcd_session *session);
/* Those that wait for one that has not begun are called back. */
void mf__look_close(mf_look *look);
/* Calls fn when the session of the operation has been looked at by this connection, by a look that
 * has yet to begin. */
void mf__look_join(mf_op *op, mf_etcd_link *link, mf_look_fn fn);

#endif
