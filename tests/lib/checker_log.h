/* The events that the checker has read. */
#ifndef MF_TESTS_CHECKER_LOG_H
#define MF_TESTS_CHECKER_LOG_H

#include <stddef.h>
#include <stdint.h>

typedef enum log_kind {
    LOG_CLAIMED,
    LOG_RENEWED,
    LOG_RELEASED,
    LOG_DONE,
    LOG_TASK_STARTED,
    LOG_TASK_BEAT,
    LOG_TASK_ENDED,
    LOG_TASK_OVERLAP,
    LOG_OTHER
} log_kind;

typedef struct log_record {
    log_kind kind;
    int64_t at_us, deadline_us;
    uint64_t fence;
    int64_t pid;
    char *node, *task; /* from malloc */
    size_t order;      /* place in the order of reading */
} log_record;

/* Reads a line into *out, to be cleared; 0, or -1 when it is not understood. */
int log_record_parse(log_record *out, const char *line);
void log_record_clear(log_record *record);

/* qsort's: by task, then time, then order of reading. */
int log_record_compare(const void *left, const void *right);

#endif
