/* A redis-server or an etcd of the run's own, in a temporary directory. */
#ifndef MF_BENCH_SERVER_H
#define MF_BENCH_SERVER_H

#include <stdbool.h>

typedef enum server_kind { SERVER_REDIS, SERVER_REDIS_UNIX, SERVER_ETCD } server_kind;

/* Starts the server, on a free loopback port or a unix socket, waits until it answers, and returns
 * its URL, which stays. One server a process. It is ended, by its pid, and its directory removed
 * by server_stop, at exit, and on SIGINT, SIGTERM and SIGHUP; if this process is killed, the system
 * ends it. */
const char *server_start(server_kind kind);
void server_stop(void);

/* Starts a replica of the private Redis on a loopback port, which ends with it. */
void server_add_replica(void);

/* Processor seconds that the server has used. */
double server_cpu(void);
/* How often it was made to give up a processor. */
double server_preemptions(void);
bool server_is_running(void);

#endif
