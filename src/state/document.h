/* JSON of states and messages: reading by cJSON after a strict check, writing as Go does. */
#ifndef MF_STATE_DOCUMENT_H
#define MF_STATE_DOCUMENT_H

#include <stddef.h>

#include <cjson/cJSON.h>

#include <metafora/state.h>

enum { MF_STATE_MAX_BYTES = 1048576 };

/* An object, or NULL with the error set; `what` begins its text. */
cJSON *mf__document_parse(const char *what, const char *json, size_t length, mf_error *error);

/* The member's value; NULL: it is absent or null. */
const cJSON *mf__document_member(const cJSON *object, const char *name);

/* An optional time: MF_OK, and *has tells whether it is there. */
int mf__document_time(const cJSON *object, const char *name, mf_time *out, bool *has,
                      mf_error *error);

/* The bytes that mf__document_put_string needs at most, quotes included. */
size_t mf__document_string_size(const char *text);
/* Writes a JSON string as Go's encoder does, which escapes what is special in HTML as well and
 * replaces invalid UTF-8. Returns the end. */
char *mf__document_put_string(char *to, const char *text);

#endif
