/* What etcd's errors mean. */
#ifndef MF_ETCD_STATUS_H
#define MF_ETCD_STATUS_H

#include <metafora/error.h>

#include "grpc/status.h"

/* What else is to be done about an error. */
typedef enum mf_etcd_remedy {
    MF_REMEDY_NONE,
    MF_REMEDY_AUTHENTICATE, /* the token is not valid any more; nothing was carried out */
    MF_REMEDY_RECONNECT,    /* this server is of no use for now; another may be */
    MF_REMEDY_DOUBT         /* the same, unless it answers others: there was no answer in time */
} mf_etcd_remedy;

/* Writes code and "<method>: <text>" to `error`. */
mf_etcd_remedy mf__etcd_status(const mf_grpc_status *status, const char *path, mf_error *error);

#endif
