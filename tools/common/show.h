/* Showing text that came from elsewhere. */
#ifndef TOOLS_SHOW_H
#define TOOLS_SHOW_H

#include <stdio.h>

/* Writes it as mf_escape does, so that it stays in its place of a line or table; "-" for NULL. */
void show(FILE *to, const char *text);

/* A line "<program>: WHAT: WHY" on stderr; without WHAT when it is NULL. */
void show_complaint(const char *what, const char *why);

#endif
