/* A line to words, much as a shell does it. */
#ifndef KOALEMOSCTL_WORDS_H
#define KOALEMOSCTL_WORDS_H

#include <stddef.h>

/* Splits at blanks; 'single' and "double" quotes keep blanks, a backslash keeps what follows it
 * (not inside single quotes; inside double quotes only before '"' and '\'). A line that begins with
 * '[' is a JSON array of strings instead. Nothing else is special. *out ends with NULL and is freed
 * with words_free. Returns the number of words, 0 for a blank line or one that begins with '#'; or
 * -1 with a text that says what is wrong. */
int words_split(char ***out, const char *line, char *why, size_t why_size);
void words_free(char **words);

#endif
