/* Takes messages out of a stream of bytes: a flag, a length of four bytes, and the message. */
#include "grpc/deframer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* What is allocated grows with what has come, not with what was announced. */
enum { FIRST_ROOM = 4096 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t take_head(mf_deframer *deframer, const uint8_t *bytes, size_t length)
{
    size_t taken = least(length, MF_GRPC_HEAD_SIZE - deframer->head_count);

    memcpy(deframer->head + deframer->head_count, bytes, taken);
    deframer->head_count += taken;
    if (deframer->head_count == MF_GRPC_HEAD_SIZE) {
        const uint8_t *h = deframer->head;
        deframer->length = (size_t)h[1] << 24 | (size_t)h[2] << 16 | (size_t)h[3] << 8 | h[4];
        deframer->count = 0;
    }
    return taken;
}

static bool grow(mf_deframer *deframer, size_t wanted)
{
    size_t room = deframer->room < FIRST_ROOM ? FIRST_ROOM : deframer->room * 2;

    if (deframer->room >= wanted)
        return true;
    room = least(room < wanted ? wanted : room, deframer->length);
    uint8_t *body = realloc(deframer->body, room);
    if (body == NULL)
        return false;
    deframer->body = body;
    deframer->room = room;
    return true;
}

/* The message is complete and what comes next is a head. It is given out by memory that the
 * deframer does not know any more, since `fn` may clear it. */
static bool give_out(mf_deframer *deframer, mf_deframer_fn fn, void *arg)
{
    uint8_t *body = deframer->body;

    deframer->body = NULL;
    deframer->room = 0;
    deframer->head_count = 0;
    bool there = fn(body, deframer->length, arg);
    free(body);
    return there;
}

static const char *check_head(const mf_deframer *deframer)
{
    if (deframer->head[0] != 0)
        return "a compressed message, which was not asked for";
    return deframer->length > deframer->limit ? "a message over the limit" : NULL;
}

/* What a message consists of when all of it is in the piece needs no copy. */
static bool is_whole(const mf_deframer *deframer, size_t length)
{
    return deframer->count == 0 && deframer->length <= length;
}

/* Takes as much of the body as there is; -1: no memory. */
static ssize_t take_body(mf_deframer *deframer, const uint8_t *bytes, size_t length)
{
    size_t taken = least(length, deframer->length - deframer->count);

    if (taken == 0)
        return 0;
    if (!grow(deframer, deframer->count + taken))
        return -1;
    memcpy(deframer->body + deframer->count, bytes, taken);
    deframer->count += taken;
    return (ssize_t)taken;
}

const char *mf__deframer_feed(mf_deframer *deframer, const uint8_t *bytes, size_t length,
                              mf_deframer_fn fn, void *arg)
{
    const uint8_t *end = bytes + length;

    for (;;) {
        if (deframer->head_count < MF_GRPC_HEAD_SIZE)
            bytes += take_head(deframer, bytes, (size_t)(end - bytes));
        if (deframer->head_count < MF_GRPC_HEAD_SIZE)
            return NULL;
        const char *wrong = check_head(deframer);
        if (wrong != NULL)
            return wrong;
        if (is_whole(deframer, (size_t)(end - bytes))) {
            deframer->head_count = 0;
            if (!fn(bytes, deframer->length, arg))
                return NULL;
            bytes += deframer->length;
            continue;
        }
        ssize_t taken = take_body(deframer, bytes, (size_t)(end - bytes));
        if (taken < 0)
            return "a message for which there is no memory";
        bytes += taken;
        if (deframer->count < deframer->length || !give_out(deframer, fn, arg))
            return NULL;
    }
}

bool mf__deframer_is_between(const mf_deframer *deframer)
{
    return deframer->head_count == 0;
}

void mf__deframer_clear(mf_deframer *deframer)
{
    free(deframer->body);
    *deframer = (mf_deframer){.limit = deframer->limit};
}

void mf__deframer_write_head(uint8_t *head, size_t length)
{
    head[0] = 0;
    head[1] = (uint8_t)(length >> 24);
    head[2] = (uint8_t)(length >> 16);
    head[3] = (uint8_t)(length >> 8);
    head[4] = (uint8_t)length;
}
