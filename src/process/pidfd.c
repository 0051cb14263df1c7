/* Signals by descriptor; glibc before 2.36 has no functions for it. */
#include "process/pidfd.h"

#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

int mf__pidfd_open(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

int mf__pidfd_kill(int descriptor, pid_t pid, int number)
{
    if (descriptor < 0)
        return kill(pid, number);
    return (int)syscall(SYS_pidfd_send_signal, descriptor, number, NULL, 0);
}
