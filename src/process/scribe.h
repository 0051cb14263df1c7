/* A process that writes files, so that no slow disk holds up the guard or the loop: the event log,
 * and notes in the output of tasks. */
#ifndef MF_PROCESS_SCRIBE_H
#define MF_PROCESS_SCRIBE_H

#include <sys/types.h>

#include "process/events.h"

struct evbuffer;

/* Forks the scribe, which takes frames from the other ends of sockets[0] and sockets[1], and ends
 * when both are closed. `event_log` is a descriptor or -1, and stays the caller's. Returns its
 * process id, or -1 with errno. */
pid_t mf__scribe_start(int sockets[2], int event_log);

/* Appends frames to what goes to the scribe. Lines are left out while more than a megabyte waits,
 * or when memory is out: a log that cannot be written must not stop the work. */
void mf__scribe_event(struct evbuffer *out, const mf__event *event);
/* A dated line, such as "-- 2030-01-31T12:00:00.000Z started", for the file `path`. */
void mf__scribe_note(struct evbuffer *out, const char *path, const char *text);

#endif
