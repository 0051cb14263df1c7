/* How far a long command has come: a line on stderr, when that is a terminal. */
#ifndef METAFORACTL_PROGRESS_H
#define METAFORACTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct progress_line {
    bool is_shown;
    const char *verb; /* "submitted" */
    int64_t begun_ms, drawn_ms;
} progress_line;

void progress_begin(progress_line *progress, const char *verb);
/* So many items; `part` of `whole`, in any unit, has been dealt with; whole 0: nobody knows. */
void progress_show(progress_line *progress, uint64_t items, uint64_t part, uint64_t whole);
/* Takes the line away. */
void progress_end(progress_line *progress);

#endif
