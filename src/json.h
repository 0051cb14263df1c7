/* Strict JSON: is a text valid by RFC 8259? */
#ifndef MF_JSON_H
#define MF_JSON_H

#include <stddef.h>

/* Levels of arrays and objects; also keeps parsers that recurse off the end of their stack. */
#define MF_JSON_DEPTH 512

typedef enum mf_json_rule {
    MF_JSON_ANY,
    MF_JSON_NO_NUL /* no \u0000 in strings, which C strings cannot hold */
} mf_json_rule;

/* Checks a whole text in one pass without allocation: NULL, or what is wrong (a static string) and
 * at which byte. */
const char *mf__json_check(const char *text, size_t length, mf_json_rule rule, size_t *where);

#endif
