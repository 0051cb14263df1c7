/* Follows an event log as it grows. */
#ifndef DEMO_TAIL_H
#define DEMO_TAIL_H

#include <event2/event.h>

#include "board.h"

typedef struct tail tail;

/* Makes the file if need be; calls fn from the base's loop for each line that is added, and that is
 * there already. 0, or -1 with errno. */
int tail_open(tail **out, struct event_base *base, const char *path,
              void (*fn)(const board_event *event, void *arg), void *arg);
void tail_close(tail *t);

#endif
