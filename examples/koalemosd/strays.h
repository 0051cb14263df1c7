/* Processes that have left their process group: found by a mark in their environment. */
#ifndef KOALEMOSD_STRAYS_H
#define KOALEMOSD_STRAYS_H

#include <stddef.h>
#include <sys/types.h>

/* Calls fn for each living process whose environment has a string that begins with `prefix`, with
 * what follows the prefix. Processes of other users and zombies are not seen. */
void strays_each(const char *prefix, void (*fn)(pid_t pid, const char *rest, void *arg), void *arg);

/* How many children this process has, zombies too; -1 when the system does not tell. */
long children_count(void);

/* Sends SIGKILL to each child of this process. */
void children_kill(void);

#endif
