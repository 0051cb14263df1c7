/* Names to socket addresses, without blocking the loop. */
#ifndef MF_NET_ADDRESS_H
#define MF_NET_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>

#include "net/connection.h"

#define MF_ADDRESS_MAX 16

typedef struct mf_address {
    struct sockaddr_storage storage;
    socklen_t length;
} mf_address;

typedef struct mf_addresses {
    mf_address list[MF_ADDRESS_MAX];
    size_t count;
} mf_addresses;

/* The addresses that need no resolver: unix paths, numeric hosts, localhost (which RFC 6761 keeps
 * out of the DNS). Leaves count 0 when there are none. */
void mf__addresses_known(mf_addresses *out, const mf_endpoint *endpoint);

/* A lookup by the system's resolver, which knows /etc/hosts and everything else that is configured
 * in nsswitch.conf. It blocks, so each runs on a short-lived thread of its own. */
typedef struct mf_lookup mf_lookup;

/* Returns 0 or an errno. */
int mf__lookup_start(mf_lookup **out, const char *host, int port);

/* Becomes readable when the lookup has ended. The lookup's. */
int mf__lookup_descriptor(const mf_lookup *lookup);

/* Once it has ended: NULL and the addresses, or a static text that says why there are none. */
const char *mf__lookup_result(const mf_lookup *lookup, mf_addresses *out);

/* Frees it; one that has not ended is left to its thread. Never blocks. */
void mf__lookup_drop(mf_lookup *lookup);

#endif
