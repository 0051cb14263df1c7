/* A consumer in a process of its own: this program again, as `node`. */
#ifndef MF_BENCH_CHILD_H
#define MF_BENCH_CHILD_H

#include <sys/types.h>

#include "rig.h"

typedef struct bench_child {
    pid_t pid;
    int pipe;
    char text[256];
    size_t length;
    bool joined;
    size_t running;
    double changed; /* when `running` last rose, by cpu_now of the child */
} bench_child;

void child_start(bench_child *child, const bench_rig *rig, const char *name_space,
                 const char *name);
/* Reads what the children tell until `done(arg)`; not within `limit_s`: bench_fail with `what`. */
void child_await(bench_child *children, size_t count, bool (*done)(void *arg), void *arg,
                 double limit_s, const char *what);
/* Sends the signal, waits until the process has ended, closes the pipe. */
void child_end(bench_child *child, int signal_number);

#endif
