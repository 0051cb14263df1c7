/* What the tasks' own processes say of themselves: a file that all of them map.
 *
 * Each process takes a line of the ledger, says in it when it began, that it lives, and how it
 * ended. It holds a lock of the kernel's while it lives, so that a second one of its task is found
 * out whatever the clocks say; and it presents its fence, of which the ledger keeps the highest of
 * each task and refuses a lower one. Nothing in it comes from the library. */
#ifndef MF_CHAOS_LEDGER_H
#define MF_CHAOS_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "history.h"

typedef struct ledger ledger;
typedef struct ledger_line ledger_line;

/* Microseconds on CLOCK_BOOTTIME, as in the nodes' event logs. */
int64_t ledger_now_us(void);

/* A new file, or one that is there; NULL, with errno. */
ledger *ledger_new(const char *path);
ledger *ledger_open(const char *path);
void ledger_close(ledger *book);

/* Of a task's process: its line, with `life`'s task, node, number, fence and pid. NULL: it is full,
 * or there is no task of that number. */
ledger_line *ledger_begin(ledger *book, const history_life *life);
/* It lives. */
void ledger_beat(ledger *book, ledger_line *line);
/* It was asked to stop; it ends by itself, its work done. */
void ledger_told(ledger_line *line);
void ledger_end(ledger_line *line);

/* From now on all tasks end. */
void ledger_let_go(ledger *book);
bool ledger_may_end(const ledger *book);

/* A copy of all lines so far, to be freed. */
history_life *ledger_read(const ledger *book, size_t *count);

#endif
