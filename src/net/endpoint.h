/* The endpoints of a connection: copies, and their names in texts. */
#ifndef MF_NET_ENDPOINT_H
#define MF_NET_ENDPOINT_H

#include "net/connection.h"

typedef struct mf_endpoints {
    mf_endpoint *list;
    char **names; /* "host:port", "[::1]:port" or a path */
    size_t count;
} mf_endpoints;

/* MF_EINVAL (the text names the endpoint and the rule), MF_ENOMEM. Clear it in any case. */
int mf__endpoints_copy(mf_endpoints *out, const mf_endpoint *from, size_t count, mf_error *error);
void mf__endpoints_clear(mf_endpoints *endpoints);

#endif
