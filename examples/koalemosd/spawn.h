/* Starting a command as a process of its own group that dies with its parent. */
#ifndef KOALEMOSD_SPAWN_H
#define KOALEMOSD_SPAWN_H

#include <sys/types.h>

typedef struct spawn_order {
    char *const *arguments;   /* ends with NULL; arguments[0] is looked up in PATH */
    char *const *environment; /* ends with NULL */
    const char *output;       /* file that stdout and stderr are appended to */
    int priority;             /* as for setpriority */
} spawn_order;

/* Exit statuses of a child that did not come to run its command; the reason is in the output. */
enum { SPAWN_NO_OUTPUT = 125, SPAWN_NO_COMMAND = 127 };

/* Returns the process id, which is its process group's id as well; or -1 with errno. */
pid_t spawn(const spawn_order *order);

#endif
