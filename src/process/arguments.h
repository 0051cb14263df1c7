/* A task's command: the arguments in its properties, {"args":["sleep","3"]}. */
#ifndef MF_PROCESS_ARGUMENTS_H
#define MF_PROCESS_ARGUMENTS_H

#include <metafora/error.h>

/* Reads the arguments into *out, which ends with NULL and is freed with mf__arguments_free. Other
 * members are ignored. MF_EINVAL, with a text that names the field and the rule, or MF_ENOMEM. */
int mf__arguments_parse(char ***out, const char *properties, mf_error *error);
void mf__arguments_free(char **arguments);

#endif
