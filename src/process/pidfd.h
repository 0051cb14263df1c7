/* Signals to a process that may have ended and been reaped: to it, or to nobody. A bare process id
 * may be another process's by then. */
#ifndef MF_PROCESS_PIDFD_H
#define MF_PROCESS_PIDFD_H

#include <sys/types.h>

/* A descriptor for the process, closed on exec; -1 with errno ESRCH: there is none, or with
 * another one: the kernel (before 5.3) has no such descriptors. */
int mf__pidfd_open(pid_t pid);

/* As kill; by the process id where the descriptor is -1. */
int mf__pidfd_kill(int descriptor, pid_t pid, int number);

#endif
