/* Writing JSON: one object a line, for programs. */
#ifndef METAFORACTL_JSON_H
#define METAFORACTL_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct json {
    FILE *to;
    bool follows; /* the next value follows another one of its object or array */
} json;

/* `key` is NULL in arrays and at the outermost. A text that is NULL is null. */
void json_open(json *out, const char *key, char bracket); /* '{' or '[' */
void json_close(json *out, char bracket);                 /* '}' or ']' */
void json_line(json *out);                                /* ends the line of an outermost value */
void json_text(json *out, const char *key, const char *text);
void json_count(json *out, const char *key, uint64_t number);
void json_number(json *out, const char *key, double number);
void json_flag(json *out, const char *key, bool flag);
/* JSON from elsewhere, kept byte for byte, but line ends between its tokens become blanks. */
void json_raw(json *out, const char *key, const char *text);

#endif
