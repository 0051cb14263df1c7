/* Strict JSON: is a text valid by RFC 8259? */
#ifndef MF_JSON_H
#define MF_JSON_H

#include <stddef.h>

/* Levels of arrays and objects; also keeps parsers that recurse off the end of their stack. */
#define MF_JSON_DEPTH 512

typedef enum mf_json_rule {
    MF_JSON_ANY,
    /* Strings must fit in C strings of UTF-8: no \u0000, no half of a surrogate pair. */
    MF_JSON_C_STRINGS
} mf_json_rule;

/* Checks a whole text in one pass without allocation: NULL, or what is wrong (a static string) and
 * at which byte. */
const char *mf__json_check(const char *text, size_t length, mf_json_rule rule, size_t *where);

#endif
