/* Private etcd servers: one member, or a cluster of three, on free ports of 127.0.0.1, in a
 * directory of their own. What cannot be done fails the test. */
#ifndef MF_TESTS_ETCD_SERVER_H
#define MF_TESTS_ETCD_SERVER_H

#include <stdbool.h>
#include <stdlib.h>

#include "process.h"

enum { ETCD_MEMBERS_MOST = 3 };

typedef struct etcd_server_options {
    int members;                 /* 0: one */
    const char *const *argv;     /* more arguments for each, ends with NULL */
    const char *certificates;    /* not NULL: clients speak TLS, see certificates.h */
    bool client_certificate;     /* and must show one */
    const char *ctl_credentials; /* "user:password" for etcd_ctl, once authentication is on */
} etcd_server_options;

typedef struct etcd_member {
    process process;
    int port, peer_port;
} etcd_member;

typedef struct etcd_server {
    etcd_server_options options;
    etcd_member members[ETCD_MEMBERS_MOST];
    int count;
    char url[160]; /* of all members: "etcd://127.0.0.1:1,127.0.0.1:2" */
    char *directory;
    unsigned runs; /* of etcdctl */
} etcd_server;

/* Started, with a leader, and serving when it returns. `options` may be NULL. */
etcd_server *etcd_server_start(const etcd_server_options *options);

/* Ends it and frees all; its directory is removed. NULL is let pass. */
void etcd_server_free(etcd_server *server);

/* A member down by SIGKILL, and up again with what it had stored. Restarting waits until it serves,
 * which takes a majority of members. */
void etcd_server_kill(etcd_server *server, int member);
void etcd_server_restart(etcd_server *server, int member);

/* A backup of a server of one member, which there is one of; and back to it: the server is killed
 * and started again, on the same port, with what the backup has. */
void etcd_server_save(etcd_server *server);
void etcd_server_restore(etcd_server *server);

/* SIGSTOP, SIGCONT: the kernel goes on accepting its connections, nobody answers. */
void etcd_server_pause(etcd_server *server, int member);
void etcd_server_resume(etcd_server *server, int member);

/* The member that leads; waits for an election that is under way. */
int etcd_server_leader(etcd_server *server);

/* Runs etcdctl with these arguments, the last being NULL, against the members that run; returns
 * what it printed, to be freed. */
char *etcd_ctl(etcd_server *server, const char *argument, ...);

/* The same, but it may fail: NULL. */
char *etcd_ctl_may_fail(etcd_server *server, const char *argument, ...);

/* The same, for when only the effect is wanted. */
#define etcd_ctl_do(...) free(etcd_ctl(__VA_ARGS__))
#define etcd_ctl_try(...) free(etcd_ctl_may_fail(__VA_ARGS__))
/* Compacts the history up to now. */
void etcd_ctl_compact(etcd_server *server);

#endif
