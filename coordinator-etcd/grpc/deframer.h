/* Takes messages out of a stream of bytes: a flag, a length of four bytes, and the message. */
#ifndef MF_GRPC_DEFRAMER_H
#define MF_GRPC_DEFRAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MF_GRPC_HEAD_SIZE = 5 };

/* All zero but for the limit. */
typedef struct mf_deframer {
    size_t limit; /* bytes of one message */
    uint8_t head[MF_GRPC_HEAD_SIZE];
    size_t head_count;
    uint8_t *body;
    size_t length, count, room; /* of the body: announced, received, allocated */
} mf_deframer;

/* `bytes` are borrowed for the call. Returns false when the deframer is gone: then no more comes
 * out of this piece. */
typedef bool (*mf_deframer_fn)(const uint8_t *bytes, size_t length, void *arg);

/* Adds a piece of the stream and calls `fn` for each message that it completes. Returns NULL, or
 * what is wrong with the stream, a static text; then only clear is allowed. */
const char *mf__deframer_feed(mf_deframer *deframer, const uint8_t *bytes, size_t length,
                              mf_deframer_fn fn, void *arg);

/* True when the stream may end here. */
bool mf__deframer_is_between(const mf_deframer *deframer);

void mf__deframer_clear(mf_deframer *deframer);

/* Writes the head of an uncompressed message. */
void mf__deframer_write_head(uint8_t *head, size_t length);

#endif
