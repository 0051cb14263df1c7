/* Starting a command as a process of its own group that dies with its parent. */
#ifndef MF_PROCESS_SPAWN_H
#define MF_PROCESS_SPAWN_H

#include <sys/types.h>

typedef struct mf__spawn_order {
    char *const *arguments;   /* ends with NULL; arguments[0] is looked up in PATH */
    char *const *environment; /* ends with NULL */
    const char *output;       /* file that stdout and stderr are appended to; "": stderr */
    const char *note;         /* to be written to that file first */
    int failures;             /* a pipe for an mf__spawn_failure, of a child that cannot begin */
    int priority;             /* as for setpriority */
} mf__spawn_order;

typedef struct mf__spawn_failure {
    pid_t pid;
    int error; /* errno */
} mf__spawn_failure;

/* Exit status of a child whose command cannot be run, as shells have it; its output says why. */
enum { SPAWN_NO_COMMAND = 127 };

/* Returns the process id, which is its process group's id as well; or -1 with errno. */
pid_t mf__spawn(const mf__spawn_order *order);

#endif
