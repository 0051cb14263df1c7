/* A task as a line of JSON has it. */
#ifndef METAFORACTL_LINE_TASK_H
#define METAFORACTL_LINE_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include <metafora/client.h>

typedef struct line_task {
    char *id;               /* NULL: not said */
    const char *properties; /* JSON, in the line; NULL: none */
    const char *state;      /* likewise */
    int64_t not_before_us;  /* 0: not said */
    bool ended;
} line_task;

/* Reads the object, and changes the line. `others` are members to let pass besides id, properties
 * and not_before, ends with NULL; of these, "state" and "ended" are read. MF_EINVAL, with a text
 * that names the member and the rule. Clear it in any case. */
int line_task_read(line_task *out, char *line, const char *const *others, mf_error *error);
void line_task_clear(line_task *task);

#endif
