/* What a process that was forked, and does not exec, keeps open. */
#ifndef MF_PROCESS_DESCRIPTORS_H
#define MF_PROCESS_DESCRIPTORS_H

/* Keeps stderr and `count` descriptors, which become 3 and so on, are closed on exec, and are
 * replaced in the array; one that is -1 stays -1. stdin and stdout become /dev/null, all others are
 * closed. Returns 0, or -1 with errno. */
int mf__descriptors_keep(int *descriptors, int count);

#endif
