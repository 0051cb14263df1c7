/* Processes that have left their process group: found by a mark in their environment. */
#ifndef MF_PROCESS_STRAYS_H
#define MF_PROCESS_STRAYS_H

#include <stddef.h>
#include <sys/types.h>

/* Calls fn for each living process whose environment has a string that begins with `prefix`, with
 * what follows the prefix. Processes of other users and zombies are not seen. */
void mf__strays_each(const char *prefix, void (*fn)(pid_t pid, const char *rest, void *arg),
                     void *arg);

/* How many children this process has, zombies too; -1 when the system does not tell. */
long mf__children_count(void);

/* Sends SIGKILL to each child of this process. */
void mf__children_kill(void);

#endif
