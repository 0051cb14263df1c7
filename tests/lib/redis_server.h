/* Private redis-servers: on a free port of 127.0.0.1 and on a unix socket, in a directory of their
 * own. What cannot be done fails the test. $METAFORA_REDIS_SERVER names another program to run. */
#ifndef MF_TESTS_REDIS_SERVER_H
#define MF_TESTS_REDIS_SERVER_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

#include "process.h"

typedef struct redis_server_options {
    const char *config;   /* more lines for its configuration, e.g. "maxclients 5\n" */
    const char *password; /* requirepass */
    bool persistent;      /* every write is on disk when it is answered, and read at a restart */
    /* Not NULL: TLS is spoken on tls_port, with server.crt, server.key and ca.crt of this directory
     * (see certificates.h). */
    const char *certificates;
    bool client_certificate; /* demanded on tls_port */
    bool sentinel;           /* it is a Sentinel: `config` says of what, nothing else counts */
} redis_server_options;

typedef struct redis_server {
    process process;
    int port, tls_port;
    int bus_port; /* of a cluster's node */
    bool sentinel, paused;
    char url[64], tls_url[64]; /* "redis://127.0.0.1:port", "rediss://localhost:port" */
    char *directory;
    char socket[128];      /* path of the unix socket */
    char *password;        /* of redis_server_command, may be NULL */
    redisContext *context; /* the same, by the unix socket, made when it is needed */
} redis_server;

/* Started and answering when it returns. `options` may be NULL. */
redis_server *redis_server_start(const redis_server_options *options);

/* Ends it and frees all; its directory is removed. NULL is let pass. */
void redis_server_free(redis_server *server);

/* Down, in order (SIGTERM) or not (SIGKILL), and up again at the same places. Unless it is
 * persistent it comes back empty. */
void redis_server_stop(redis_server *server);
void redis_server_kill(redis_server *server);
void redis_server_restart(redis_server *server);

/* SIGSTOP, SIGCONT: the kernel goes on accepting its connections, nobody answers. */
void redis_server_pause(redis_server *server);
void redis_server_resume(redis_server *server);

/* It was neither ended nor paused. */
bool redis_server_is_running(const redis_server *server);

/* Runs a command, by a connection of the test's own; the caller frees the reply, which is never an
 * error. The format is hiredis'. */
redisReply *redis_server_command(redis_server *server, const char *format, ...);

/* The same for commands that answer with an integer, and for any answer, which is dropped. */
long long redis_server_integer(redis_server *server, const char *format, ...);
void redis_server_do(redis_server *server, const char *format, ...);

/* True when a line of INFO is "<field>:<value>". Unlike the rest it may be asked of a server that
 * is down or does not answer within a second: then it is false. */
bool redis_server_says(redis_server *server, const char *field, const char *value);

/* The number in a field of INFO, e.g. "connected_clients". */
long long redis_server_info(redis_server *server, const char *field);

#endif
