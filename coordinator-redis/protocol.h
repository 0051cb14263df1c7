/* RESP2: requests as bytes, replies as values. */
#ifndef MF_REDIS_PROTOCOL_H
#define MF_REDIS_PROTOCOL_H

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <metafora/error.h>

/* A request being written, part by part. The number of parts comes first on the wire and is known
 * last, so the parts are gathered here and sent behind a head of their own. */
typedef struct mf_parts {
    char *data;
    size_t length, size;
    size_t count;
    bool failed; /* memory was out; what was written is not usable */
} mf_parts;

void mf__parts_clear(mf_parts *parts); /* keeps the memory */
void mf__parts_free(mf_parts *parts);
void mf__parts_add(mf_parts *parts, const void *data, size_t length);
void mf__parts_add_pair(mf_parts *parts, const char *prefix, size_t prefix_length, const char *text,
                        size_t length);
void mf__parts_add_text(mf_parts *parts, const char *text);
void mf__parts_add_number(mf_parts *parts, int64_t number);

/* Sends the parts behind `head`, parts that were written before. MF_ENOMEM: nothing was sent. */
int mf__parts_send(const mf_parts *head, const mf_parts *parts, struct evbuffer *output);

typedef enum mf_value_type {
    MF_VALUE_NIL,
    MF_VALUE_STRING,
    MF_VALUE_STATUS,
    MF_VALUE_ERROR,
    MF_VALUE_INTEGER,
    MF_VALUE_ARRAY
} mf_value_type;

typedef struct mf_value {
    mf_value_type type;
    size_t length; /* of text, without the NUL behind it; or how many items */
    union {
        char *text; /* string, status, error */
        int64_t integer;
        struct mf_value *items;
    };
} mf_value;

typedef struct mf_reader mf_reader;

mf_reader *mf__reader_new(void); /* NULL: memory is out */
void mf__reader_free(mf_reader *reader);

/* Takes one reply out of `input`. Returns 1 with *out, which is the reader's until the next call
 * and may be written to; 0: more bytes are needed; MF_EPROTO, after which the reader is of no use.
 */
int mf__reader_next(mf_reader *reader, struct evbuffer *input, mf_value **out);

/* The number in a string or integer value; false when it is none, or negative. */
bool mf__value_number(const mf_value *value, uint64_t *out);
/* An array of at least `count` items. */
bool mf__value_is_array(const mf_value *value, size_t count);
bool mf__value_equals(const mf_value *value, const char *text);

#endif
