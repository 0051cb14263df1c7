/* Nodes of a cluster that can be asked where the namespace is: those of the URL, and those that the
 * cluster has named since. Of servers that are no cluster, just the former. */
#ifndef MF_REDIS_SEEDS_H
#define MF_REDIS_SEEDS_H

#include <stdbool.h>
#include <stddef.h>

#include "net/connection.h"
#include "protocol.h"

typedef struct mf_seeds {
    const mf_endpoint *given; /* borrowed */
    size_t given_count;
    mf_endpoint *learned; /* with hosts of their own */
    size_t learned_count;
    mf_endpoint *list; /* what was given out last */
    size_t count;      /* all of them */
} mf_seeds;

void mf__seeds_init(mf_seeds *seeds, const mf_endpoint *given, size_t count);
void mf__seeds_clear(mf_seeds *seeds);

/* Takes the nodes out of an answer to CLUSTER SLOTS, in place of those that were learned before.
 * One that names none changes nothing. */
void mf__seeds_learn(mf_seeds *seeds, const mf_value *slots);

/* All of them, behind `first` unless that is NULL; *out is borrowed until the next call. Returns
 * how many; 0: memory is out. */
size_t mf__seeds_list(mf_seeds *seeds, const mf_endpoint *first, const mf_endpoint **out);

/* The address in "MOVED <slot> <host>:<port>". When the node that answered does not know the host
 * it is that of `peer` ("host:port"), its own. False: it is of another form. */
bool mf__seeds_parse_moved(const char *reply, const char *peer, char *host, size_t size, int *port);

/* The endpoint is what `peer` names. */
bool mf__seeds_is(const mf_endpoint *endpoint, const char *peer);

#endif
