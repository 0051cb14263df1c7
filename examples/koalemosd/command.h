/* A task's properties, {"args":["sleep","3"]}, and the arguments in them. */
#ifndef KOALEMOSD_COMMAND_H
#define KOALEMOSD_COMMAND_H

#include <stddef.h>

/* Reads the arguments into *out, which ends with NULL and is freed with command_free. Other members
 * are ignored. Returns 0; or -1 with a text that names the field and the rule. */
int command_parse(char ***out, const char *properties, char *why, size_t why_size);
void command_free(char **arguments);

/* The properties for these arguments; the caller frees them. NULL: out of memory. */
char *command_format(char *const *arguments);

#endif
