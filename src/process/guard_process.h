/* The guard: the process that starts the commands, and ends each before its lease does.
 *
 * It is forked from the host before the host has threads, and is the parent of all commands. It
 * needs nobody to go on: a host that is stopped or hangs does not renew, and each command's
 * group is killed when its last known deadline comes; a host that dies closes the socket, and all
 * are killed at once. If the guard itself dies the commands die with it (PR_SET_PDEATHSIG), and the
 * host kills what is left of them.
 *
 * It does nothing that can take long: it opens no file, and writes to none (see scribe.h).
 *
 * A command is in the table before it runs: the deadline comes with the order to start, so there is
 * no moment at which a command runs unguarded. A process id is not used after it was reaped.
 *
 * What a command starts in its turn dies with it: by its process group, and where it has left the
 * group, by a mark in its environment and by being the guard's to inherit
 * (PR_SET_CHILD_SUBREAPER). Only a process that has left the group, has replaced its environment
 * and has lost its parent is not recognised; it dies when the guard ends.
 *
 * What has become another user (sudo) may not be killed by a guard that is not root's. The command
 * is then not ended before that process has ended by itself, which the host is told. */
#ifndef MF_PROCESS_GUARD_PROCESS_H
#define MF_PROCESS_GUARD_PROCESS_H

/* The variable that marks a command's processes: <mark>.<slot>.<serial>. */
#define GUARD_VARIABLE "METAFORA_GUARD="

/* Runs the guard; does not return. Takes over the process: descriptors, signals, session. `lines`
 * goes to the scribe that writes the event log; -1: there is none. */
_Noreturn void mf__guard_process_run(int socket, int lines, const char *mark);

#endif
