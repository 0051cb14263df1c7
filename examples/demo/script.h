/* The demo's tasks, read from a file. */
#ifndef DEMO_SCRIPT_H
#define DEMO_SCRIPT_H

#include <metafora/metafora.h>

typedef struct script {
    mf_task_spec *tasks;
    size_t count;
} script;

/* Each line is a task's id and, after blanks, what `sh -c` is to run; blank lines and lines that
 * begin with '#' are left out. MF_ESYSTEM, MF_ENOMEM, MF_EINVAL: a line without a command. */
int script_read(script *out, const char *path, mf_error *error);
void script_clear(script *s);

#endif
