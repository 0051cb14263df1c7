/* A master with its replicas, watched by Sentinels that fail over within about two seconds: all of
 * them private servers of their own (redis_server.h). What cannot be done fails the test. */
#ifndef MF_TESTS_REDIS_SENTINELS_H
#define MF_TESTS_REDIS_SENTINELS_H

#include "redis_server.h"

enum { SENTINELS_MOST = 5, SENTINEL_SERVERS_MOST = 3 };

#define SENTINEL_MASTER "mymaster"

typedef struct redis_sentinels_options {
    int servers;                   /* 3: a master and two replicas */
    int sentinels;                 /* 3 */
    int down_after_ms;             /* 500. A silent server is down after it */
    bool persistent;               /* the servers' */
    const char *config;            /* more lines of the servers' configuration */
    const char *sentinel_config;   /* and of the Sentinels' */
    const char *password;          /* of the servers */
    const char *sentinel_password; /* of the Sentinels */
} redis_sentinels_options;

typedef struct redis_sentinels {
    redis_server *servers[SENTINEL_SERVERS_MOST]; /* the first one is the master at the start */
    redis_server *sentinels[SENTINELS_MOST];
    int server_count, sentinel_count;
    char url[256]; /* "redis+sentinel://127.0.0.1:port,.../mymaster" */
} redis_sentinels;

/* Started; every Sentinel knows the others and all replicas, which are in step. `options` may be
 * NULL. */
redis_sentinels *redis_sentinels_start(const redis_sentinels_options *options);
void redis_sentinels_free(redis_sentinels *set);

/* The server that a Sentinel (the first that answers) names as the master now. */
redis_server *redis_sentinels_master(redis_sentinels *set);

/* Waits until a majority of the Sentinels names another master than `old`, which is also one, and
 * returns it. */
redis_server *redis_sentinels_await_failover(redis_sentinels *set, const redis_server *old);

/* A failover in good order, as an operator asks for it; returns the new master. */
redis_server *redis_sentinels_failover(redis_sentinels *set);

#endif
