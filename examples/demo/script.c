/* The demo's tasks, read from a file. */
#include "script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

#include "../common/properties.h"

static int add(script *s, const char *id, const char *text, mf_error *error)
{
    mf_task_spec *larger = realloc(s->tasks, (s->count + 1) * sizeof *larger);
    if (larger == NULL)
        return mf_error_set(error, MF_ENOMEM, "out of memory");
    s->tasks = larger;
    char *const arguments[] = {"sh", "-c", (char *)text, NULL};
    mf_task_spec *task = &s->tasks[s->count++];
    *task = (mf_task_spec){.id = strdup(id), .properties = properties_format(arguments)};
    if (task->id == NULL || task->properties == NULL)
        return mf_error_set(error, MF_ENOMEM, "out of memory");
    return MF_OK;
}

static int add_line(script *s, char *line, mf_error *error)
{
    static const char *const blanks = " \t";

    line[strcspn(line, "\n")] = '\0';
    char *id = line + strspn(line, blanks);
    if (*id == '\0' || *id == '#')
        return MF_OK;
    char *text = id + strcspn(id, blanks);
    if (*text == '\0')
        return mf_error_set(error, MF_EINVAL, "task %s: has no command", id);
    *text++ = '\0';
    return add(s, id, text + strspn(text, blanks), error);
}

int script_read(script *out, const char *path, mf_error *error)
{
    char *line = NULL;
    size_t size = 0;
    int code = MF_OK;
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return mf_error_set(error, MF_ESYSTEM, "%s: %s", path, strerror(errno));
    while (code == MF_OK && getline(&line, &size, file) >= 0)
        code = add_line(out, line, error);
    free(line);
    fclose(file);
    return code;
}

void script_clear(script *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free((char *)s->tasks[i].id);
        free((char *)s->tasks[i].properties);
    }
    free(s->tasks);
}
