/* The event log: one JSON line for each thing that happens to a task and to its process.
 *
 * {"at":<us>,"node":"a","event":"started","task":"x","fence":7,"deadline":<us>}
 * Times are on the steady clock CLOCK_BOOTTIME, which all processes of a machine share. Each line
 * is one write to a file opened for appending, so several processes may share the file.
 *
 *   claimed          the handler has begun: the node owns the task until `deadline`
 *   renewed          until this `deadline` now
 *   stopping         asked to stop; `detail` is the reason
 *   released, done   given back, or finished for good
 *   process-started  by the guard: the command runs as process `pid`
 *   process-ended    by the guard: nothing of it is left; `detail` says how it ended */
#ifndef KOALEMOSD_EVENTS_H
#define KOALEMOSD_EVENTS_H

#include <stdint.h>

typedef struct koa_event_log {
    int descriptor; /* -1: writes nothing */
    char node[256];
} koa_event_log;

/* Fields that are 0 or NULL are left out, `at_us` 0 is now. */
typedef struct koa_event {
    int64_t at_us;
    const char *name;
    const char *task;
    uint64_t fence;
    int64_t deadline_us;
    int64_t pid;
    const char *detail;
} koa_event;

/* `path` NULL: writes nothing. Returns 0, or -1 with errno. */
int event_log_open(koa_event_log *log, const char *path, const char *node);
void event_log_close(koa_event_log *log);
void event_log_write(const koa_event_log *log, const koa_event *event);

/* Microseconds on CLOCK_BOOTTIME. */
int64_t steady_us(void);

#endif
