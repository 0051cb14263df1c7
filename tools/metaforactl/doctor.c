/* Findings. */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void finding_add(findings *to, const char *check, finding_level level, const char *advice,
                 const char *format, ...)
{
    finding *larger = realloc(to->all, (to->count + 1) * sizeof *larger);
    va_list arguments;
    char *text;

    va_start(arguments, format);
    if (larger == NULL || vasprintf(&text, format, arguments) < 0)
        abort();
    va_end(arguments);
    to->all = larger;
    to->all[to->count++] = (finding){check, level, text, advice};
}

void findings_clear(findings *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->all[i].text);
    free(list->all);
    *list = (findings){0};
}

bool doctor_field(char *out, size_t size, const char *text, const char *name)
{
    size_t length = strlen(name);

    out[0] = '\0';
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) != 0 || line[length] != ':')
            continue;
        const char *value = line + length + 1;
        snprintf(out, size, "%.*s", (int)strcspn(value, "\r\n"), value);
        return true;
    }
    return false;
}
