/* A Redis Cluster of private servers (redis_server.h), with a short node timeout: a master that is
 * gone is replaced within about two seconds. What cannot be done fails the test. */
#ifndef MF_TESTS_REDIS_CLUSTER_H
#define MF_TESTS_REDIS_CLUSTER_H

#include "redis_server.h"

enum { CLUSTER_NODES_MOST = 8 };

typedef struct redis_cluster_options {
    int masters;         /* 3, with equal shares of the slots */
    int replicas;        /* of each master; 0: one, -1: none */
    int node_timeout_ms; /* 1,000 */
    bool persistent;
    const char *config; /* more lines of the nodes' configuration */
} redis_cluster_options;

typedef struct redis_cluster {
    redis_server *nodes[CLUSTER_NODES_MOST]; /* the masters first, at the start */
    int count;
    char url[256]; /* "redis+cluster://127.0.0.1:port,..." of all nodes */
} redis_cluster;

/* Started; every node knows all others, and the replicas are in step. `options` may be NULL. */
redis_cluster *redis_cluster_start(const redis_cluster_options *options);
void redis_cluster_free(redis_cluster *cluster);

/* The node that serves the slot of the key ("{t}"), as one that runs says; NULL: none does. */
redis_server *redis_cluster_master(redis_cluster *cluster, const char *key);
/* A running replica of the key's master, or NULL. */
redis_server *redis_cluster_replica(redis_cluster *cluster, const char *key);
/* A running master that does not serve the key's slot. */
redis_server *redis_cluster_other(redis_cluster *cluster, const char *key);

int redis_cluster_slot(redis_cluster *cluster, const char *key);

/* Waits until another node than `old` serves the key's slot, and all that run agree; returns it. */
redis_server *redis_cluster_await_failover(redis_cluster *cluster, const char *key,
                                           const redis_server *old);
/* A failover in good order (CLUSTER FAILOVER), as an operator asks for it; the new master. */
redis_server *redis_cluster_failover(redis_cluster *cluster, const char *key);

/* Moving the key's slot from one master to another, in the steps of redis-cli --cluster reshard:
 * announced, so many keys moved (a negative number: all), and given. */
void redis_cluster_begin_move(redis_cluster *cluster, const char *key, redis_server *from,
                              redis_server *to);
void redis_cluster_move_keys(redis_cluster *cluster, const char *key, redis_server *from,
                             redis_server *to, int count);
void redis_cluster_end_move(redis_cluster *cluster, const char *key, redis_server *from,
                            redis_server *to);
/* All of it. */
void redis_cluster_move_slot(redis_cluster *cluster, const char *key, redis_server *from,
                             redis_server *to);

#endif
