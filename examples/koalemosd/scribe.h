/* A process that writes the guard's event log, so that no slow disk holds up the guard. */
#ifndef KOALEMOSD_SCRIBE_H
#define KOALEMOSD_SCRIBE_H

#include <sys/types.h>

#include "events.h"

/* Forks the scribe, and turns the log into one that goes through it; its file is closed here. When
 * the scribe cannot keep up, lines are left out. It ends when nobody has the log open any more.
 * Returns its process id, 0 for a log that writes nothing, or -1 with errno. */
pid_t scribe_start(koa_event_log *log);

#endif
