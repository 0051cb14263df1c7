/* A broker's private servers, and the faults that can befall them. */
#ifndef MF_CHAOS_BACKEND_H
#define MF_CHAOS_BACKEND_H

#include <stddef.h>

#include "fault.h"

enum { SERVERS_MOST = 6 };

typedef struct backend {
    const char *name; /* as on the command line */
    int servers;
    fault_set faults;   /* of its servers */
    fault_set losses;   /* those of them that may take back what was acknowledged in their time */
    int loss_margin_ms; /* and so long before and after: replicas lag, an old master serves on */
    bool reroute;       /* nodes learn of addresses from the servers: reroute.c sends them by way of
                           their proxies, and url() is not told of ports */

    /* What it returns is the first argument of all others. What cannot be done ends the program. */
    void *(*start)(void);
    void (*free)(void *servers);
    /* Where a server listens. */
    int (*port)(void *servers, int server);
    /* The URL by which a node reaches the servers, at these ports instead of their own. */
    void (*url)(void *servers, const int *ports, char *out, size_t size);
    /* Begins a fault, and ends it if it lasts. False: it had no effect. */
    bool (*begin)(void *servers, const planned_fault *fault);
    void (*end)(void *servers, const planned_fault *fault);
} backend;

extern const backend backend_redis, backend_redis_lossy, backend_sentinel, backend_cluster,
    backend_etcd, backend_etcd3;

#endif
