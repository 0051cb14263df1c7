/* Processes that commands have left behind: found by a mark in their environment, or by the
 * session, which is the guard's unless they have begun one of their own. */
#ifndef MF_PROCESS_STRAYS_H
#define MF_PROCESS_STRAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct mf__stray {
    pid_t pid, group;
    const char *mark; /* what follows the prefix; NULL: it has none, or may not be looked at */
    int descriptor;   /* see pidfd.h */
} mf__stray;

/* Calls fn for each living process whose environment has a string that begins with `prefix`, or
 * whose session is `session`; not for this process. Zombies are not living. */
void mf__strays_each(const char *prefix, pid_t session,
                     void (*fn)(const mf__stray *stray, void *arg), void *arg);

/* Sends SIGKILL. False: it runs as another user, and this process may not. */
bool mf__stray_kill(const mf__stray *stray);

/* How many children this process has, zombies too; -1 when the system does not tell. */
long mf__children_count(void);

/* Sends SIGKILL to each child of this process; returns how many it may send it to. */
long mf__children_kill(void);

#endif
