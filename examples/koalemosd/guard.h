/* The daemon's end of the guard: start commands, signal them, prolong their deadlines.
 *
 * One guard a node; it is forked by guard_spawn, which must come before the process has threads,
 * and used from the loop's thread after guard_attach. */
#ifndef KOALEMOSD_GUARD_H
#define KOALEMOSD_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <event2/event.h>

#include "wire.h"

typedef struct koa_guard koa_guard;

/* On the loop's thread, never from inside a function of the guard. */
typedef struct guard_events {
    void (*started)(void *process, pid_t pid);
    /* Once for each guard_start that returned 0; nothing of the command is left. */
    void (*ended)(void *process, const ended_report *end);
    /* The guard is gone. Follows `ended` with END_GUARD for each command; nothing can be started
     * any more. */
    void (*lost)(void *arg);
} guard_events;

/* A command to start; all is copied. */
typedef struct guard_command {
    const char *task;
    uint64_t fence;
    int64_t deadline_us; /* on CLOCK_BOOTTIME: when the group is killed */
    const char *output;  /* file to append stdout and stderr to */
    char **arguments;    /* ends with NULL */
} guard_command;

/* Forks the guard. `events_path` as for event_log_open. 0, or -1 with errno. */
int guard_spawn(koa_guard **out, const char *node, const char *events_path);

/* `events` must stay. 0, or -1: out of memory. */
int guard_attach(koa_guard *guard, struct event_base *base, const guard_events *events, void *arg);

/* Orders the start; `process` comes back in the events, *slot names the command until `ended`.
 * -1: out of memory, or the guard is lost. */
int guard_start(koa_guard *guard, const guard_command *command, void *process, uint32_t *slot);

/* To the whole process group. */
void guard_signal(koa_guard *guard, uint32_t slot, int number);

/* The command may run until `deadline_us`; one that is not later than before changes nothing. */
void guard_renew(koa_guard *guard, uint32_t slot, int64_t deadline_us);

/* To be called regularly: a guard that has said nothing for so many calls is stopped or hangs; it
 * is killed, and so lost. */
void guard_tick(koa_guard *guard, int silent_ticks);

/* It has said nothing for more than so many calls of guard_tick. */
bool guard_is_silent(const koa_guard *guard, int ticks);

/* Kills the guard, and with it all commands; `ended` and `lost` follow. */
void guard_abandon(koa_guard *guard);

/* Parts from the guard, which kills what still runs, and waits for its end. Not from inside an
 * event. */
void guard_close(koa_guard *guard);

pid_t guard_pid(const koa_guard *guard);

#endif
