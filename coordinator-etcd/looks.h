/* Looks at a session's node key. */
#ifndef MF_ETCD_LOOKS_H
#define MF_ETCD_LOOKS_H

#include "link.h"

typedef struct mf_op mf_op;
typedef struct mf_look mf_look;

typedef struct mf_looked {
    const Etcd__KeyValue *node, *removals; /* NULL: there is no such key */
    bool gone;                             /* the session's lease is */
    uint64_t term;
    int64_t sent_us;
} mf_looked;

/* `seen` is the look's, and counts if the error's code is MF_OK. */
typedef void (*mf_look_fn)(mf_op *op, const mf_looked *seen, const mf_error *error);

/* Calls fn with a look at the session of the operation by this connection, which may have begun a
 * moment before. Never from inside. */
void mf__look_join(mf_op *op, mf_etcd_link *link, mf_look_fn fn);
/* The session goes: it has no operations any more. */
void mf__look_forget(mf_look *look);

#endif
