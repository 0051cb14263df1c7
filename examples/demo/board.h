/* The demo's board: what has become of each task on which node, and lines that tell it. */
#ifndef DEMO_BOARD_H
#define DEMO_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct board board;

/* One line of an event log, see event_log of mf_process_options. Strings are borrowed. */
typedef struct board_event {
    int64_t at_us;
    const char *node, *name, *task, *detail;
    uint64_t fence;
} board_event;

/* `log_directory` has the tasks' output, of which the last line is shown. */
board *board_new(const char *log_directory);
void board_free(board *b);

int board_add_node(board *b, const char *name);
int board_add_task(board *b, const char *id);

/* Takes in an event of the nodes' log and tells it. */
void board_note(board *b, const board_event *event);

/* Something that the demo itself does: a line of its own, about a node or, NULL, about none. */
void board_say(board *b, const char *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The node that runs the most tasks. */
const char *board_busiest(const board *b);
size_t board_running(const board *b, const char *node);
/* The node is gone from now on; what it held is to be taken over. */
void board_lose(board *b, const char *node);

bool board_all_claimed(const board *b);
bool board_all_done(const board *b);
/* Prints the counts. */
void board_sum_up(const board *b);

#endif
