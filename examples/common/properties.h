/* The properties of a task that is a command: {"args":["sleep","3"]}. */
#ifndef COMMON_PROPERTIES_H
#define COMMON_PROPERTIES_H

/* The properties for these arguments, which end with NULL; the caller frees them. NULL: out of
 * memory. */
char *properties_format(char *const *arguments);

#endif
