/* System errors as texts for people. */
#ifndef MF_NET_TEXT_H
#define MF_NET_TEXT_H

#include <stddef.h>

/* The text with a small first letter, to follow a colon. */
void mf__text_copy(char *out, size_t size, const char *text);

/* "connection refused" */
void mf__text_of_errno(char *out, size_t size, int code);

#endif
