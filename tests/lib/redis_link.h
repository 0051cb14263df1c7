/* A handle of the Redis driver and the servers that it is tried on. */
#ifndef MF_TESTS_REDIS_LINK_H
#define MF_TESTS_REDIS_LINK_H

#include "driver_calls.h"
#include "proxy.h"
#include "redis_cluster.h"
#include "redis_sentinels.h"
#include "redis_server.h"

typedef struct redis_link {
    redis_server *server, *other; /* NULL: not started */
    redis_sentinels *sentinels;   /* the same */
    redis_cluster *cluster;
    proxy *proxy; /* NULL: none */
    mf_loop *loop;
    driver_handle handle;
    mf_session session; /* of node "a" */
    mf_broker_options options;
    unsigned warnings; /* of lost data */
    unsigned lines;    /* logged, warnings and worse */
    char log[8192];    /* the first of them, a line each */
} redis_link;

/* cmocka's setup and teardown. Nothing is started or opened by the one; the other ends it all. */
int redis_link_setup(void **state);
int redis_link_teardown(void **state);

/* Starts `server`. Both may be NULL. */
void redis_link_start(redis_link *f, const char *config, const char *password);

/* Opens a handle and submits task "x"; the code of the answer, whose text is in its error. */
int redis_link_ask(redis_link *f, const char *url);

/* Opens a handle, watches and joins. */
void redis_link_join(redis_link *f, const char *url);

/* So many of the lines that were logged contain the text. */
unsigned redis_link_logged(const redis_link *f, const char *text);

/* The error of the last answer contains the text. */
void redis_link_assert_says(const redis_link *f, const char *text);

#endif
