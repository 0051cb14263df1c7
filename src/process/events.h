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
 *   returned         a stateful task: its command has ended; `detail` is the message
 *   process-started  by the guard: the command runs as process `pid`
 *   process-denied   by the guard: something of it runs as another user and cannot be killed
 *   process-ended    by the guard: nothing of it is left; `detail` says how it ended */
#ifndef MF_PROCESS_EVENTS_H
#define MF_PROCESS_EVENTS_H

#include <stddef.h>
#include <stdint.h>

/* Fields that are 0 or NULL are left out, `at_us` 0 is now. */
typedef struct mf__event {
    int64_t at_us;
    const char *name;
    const char *node;
    const char *task;
    uint64_t fence;
    int64_t deadline_us;
    int64_t pid;
    const char *detail;
} mf__event;

/* Room for the longest names with every byte escaped, and the rest. */
enum { MF_EVENT_SIZE = 4096 };

/* Writes the line, with its line end and a NUL. Returns its length. */
size_t mf__event_format(char line[MF_EVENT_SIZE], const mf__event *event);

/* Microseconds on CLOCK_BOOTTIME. */
int64_t mf__steady_us(void);

#endif
