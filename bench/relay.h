/* A network between this program and a server on loopback: a process that passes bytes on, a while
 * after they came. */
#ifndef MF_BENCH_RELAY_H
#define MF_BENCH_RELAY_H

/* Starts it, in front of the port of 127.0.0.1, and returns its own port. What it is sent is passed
 * on `delay_us` later, in either direction. It ends with this process, or by relay_stop. One
 * a process. */
int relay_start(int port, long delay_us);
void relay_stop(void);

#endif
