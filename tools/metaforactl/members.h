/* The members of a JSON object, each value as the text that it was, so that numbers of any size and
 * all strings stay as they are. */
#ifndef METAFORACTL_MEMBERS_H
#define METAFORACTL_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include <metafora/error.h>

typedef struct json_member {
    char *name;  /* decoded */
    char *value; /* JSON; both end with a zero byte and are the caller's buffer's */
} json_member;

/* Takes the next member of an object; `*at` is the text of the object at first, and is changed.
 * 1: there is one; 0: the object has ended; MF_EINVAL. The values' inner parts are not looked at:
 * whoever uses one checks it. */
int member_next(char **at, json_member *out, mf_error *error);

/* A value that must be a string, decoded, to be freed. MF_EINVAL: "<field>: must be a string". */
int member_string(char **out, const char *field, const char *value, mf_error *error);

bool member_is_null(const char *value);

#endif
