/* Showing text that came from elsewhere. */
#include "show.h"

#include <errno.h>
#include <stdlib.h>

#include <metafora/log.h>

void show(FILE *to, const char *text)
{
    if (text == NULL)
        text = "-";
    size_t size = mf_escape(NULL, 0, text) + 1;
    char *line = malloc(size);
    if (line == NULL) {
        fputs("(out of memory)", to);
        return;
    }
    mf_escape(line, size, text);
    fputs(line, to);
    free(line);
}

void show_complaint(const char *what, const char *why)
{
    fprintf(stderr, "%s: ", program_invocation_short_name);
    if (what != NULL) {
        show(stderr, what);
        fputs(": ", stderr);
    }
    show(stderr, why);
    fputc('\n', stderr);
}
