/* A redis-server of the run's own, in a temporary directory. */
#ifndef MF_BENCH_SERVER_H
#define MF_BENCH_SERVER_H

#include <stdbool.h>

/* Starts the server, on a unix socket or a free loopback port, waits until it answers, and returns
 * its URL, which stays. One server a process. It is ended, by its pid, and its directory removed
 * by server_stop, at exit, and on SIGINT, SIGTERM and SIGHUP; if this process is killed, the system
 * ends it. */
const char *server_start(bool unix_socket);
void server_stop(void);

/* Processor seconds that the server has used. */
double server_cpu(void);
/* How often it was made to give up a processor. */
double server_preemptions(void);
bool server_is_running(void);

#endif
