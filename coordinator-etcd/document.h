/* The JSON documents under owner and node keys. */
#ifndef MF_ETCD_DOCUMENT_H
#define MF_ETCD_DOCUMENT_H

#include <metafora/driver.h>

#include "message.h"

/* What is known of an owner or a node. Those of other libraries have a name alone. */
typedef struct mf_etcd_document {
    const char *node; /* in the arena */
    char token[33];   /* "": none */
    uint64_t epoch;
    double weight;
} mf_etcd_document;

/* Reads a document; members that are not known are passed over. MF_EDAMAGED: it is no object with
 * a name that is one. */
int mf__etcd_document_read(mf_etcd_document *out, mf_bytes json, mf_arena *arena);

/* {"node":"...","token":"..."}, from malloc; NULL: no memory. */
char *mf__etcd_document_of_owner(const mf_session *session);
/* The same with epoch and weight. It names the session's present join: requests compare it. */
char *mf__etcd_document_of_node(const mf_session *session);

#endif
