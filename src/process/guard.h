/* This program's end of the guard: start commands, signal them, prolong their deadlines.
 *
 * One guard a handler; it is forked by mf__guard_spawn, which should come before the program has
 * threads, and used from the loop's thread after mf__guard_attach. */
#ifndef MF_PROCESS_GUARD_H
#define MF_PROCESS_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <metafora/error.h>

#include "process/events.h"
#include "process/wire.h"

struct event_base;

typedef struct mf__guard mf__guard;

/* On the loop's thread, never from inside a function of the guard. */
typedef struct mf__guard_events {
    void (*started)(void *process, pid_t pid);
    /* A process of it runs as another user and cannot be killed: `ended` comes only when it has
     * ended by itself. Once for a command, also when it could be in the end. */
    void (*denied)(void *process, pid_t pid);
    /* Once for each mf__guard_start that returned 0; nothing of the command is left. */
    void (*ended)(void *process, const mf__ended *end);
    /* The guard is gone. Follows `ended` with END_GUARD for each command, but for those of which
     * something cannot be killed; nothing can be started any more. */
    void (*lost)(void *arg);
} mf__guard_events;

/* A command to start; all is copied. */
typedef struct mf__guard_command {
    const char *task, *node;
    uint64_t fence;
    int64_t deadline_us; /* on CLOCK_BOOTTIME: when the group is killed */
    const char *output;  /* file to append stdout and stderr to; NULL: this program's stderr */
    char **arguments;    /* ends with NULL */
} mf__guard_command;

/* Forks the guard, and a scribe for it if there is an event log (a file's path, or NULL) or if
 * there will be notes. MF_ESYSTEM, MF_ENOMEM. */
int mf__guard_spawn(mf__guard **out, const char *event_log, bool notes, mf_error *error);

/* `events` must stay. 0, or -1: out of memory; then close it. */
int mf__guard_attach(mf__guard *guard, struct event_base *base, const mf__guard_events *events,
                     void *arg);

/* Orders the start; `process` comes back in the events, *slot names the command until `ended`.
 * -1: out of memory, or the guard is lost. */
int mf__guard_start(mf__guard *guard, const mf__guard_command *command, void *process,
                    uint32_t *slot);

/* To the whole process group. 0, also when the guard is lost; -1: out of memory. */
int mf__guard_signal(mf__guard *guard, uint32_t slot, int number);

/* The command may run until `deadline_us`; one that is not later than before changes nothing. */
void mf__guard_renew(mf__guard *guard, uint32_t slot, int64_t deadline_us);

/* Lines for the event log and for an output file, as mf__scribe_event and mf__scribe_note. Lost
 * where there is no scribe, or no event log. */
void mf__guard_event(mf__guard *guard, const mf__event *event);
void mf__guard_note(mf__guard *guard, const char *path, const char *text);

/* To be called regularly: a guard that has said nothing for so many calls is stopped or hangs; it
 * is killed, and so lost. */
void mf__guard_tick(mf__guard *guard, int silent_ticks);

/* It has said nothing for more than so many calls of mf__guard_tick. */
bool mf__guard_is_silent(const mf__guard *guard, int ticks);

/* Kills the guard, and with it all commands; `ended` and `lost` follow. */
void mf__guard_abandon(mf__guard *guard);

/* Parts from the guard, which kills what still runs, and waits for its end and the scribe's. Not
 * from inside an event. */
void mf__guard_close(mf__guard *guard);

pid_t mf__guard_pid(const mf__guard *guard);

#endif
