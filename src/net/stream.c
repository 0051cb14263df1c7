/* A connected socket with its buffers, plain or TLS. */
#include "net/stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <metafora/error.h>

#include "net/text.h"

/* An evbuffer takes powers of two, its own header included. */
#define READ_CHUNK (64 * 1024 - 256)
#define READ_BOUND (1024 * 1024) /* then others have their turn */
#define ENCRYPT_BOUND (256 * 1024)
#define WRITE_VECTORS 64

int mf__stream_init(mf_stream *stream)
{
    memset(stream, 0, sizeof *stream);
    stream->descriptor = -1;
    stream->input = evbuffer_new();
    stream->output = evbuffer_new();
    if (stream->input != NULL && stream->output != NULL)
        return MF_OK;
    mf__stream_clear(stream);
    return MF_ENOMEM;
}

void mf__stream_clear(mf_stream *stream)
{
    mf__stream_close(stream);
    if (stream->input != NULL)
        evbuffer_free(stream->input);
    if (stream->output != NULL)
        evbuffer_free(stream->output);
    stream->input = stream->output = NULL;
}

static void lose(mf_stream *stream, const char *why)
{
    stream->lost = true;
    snprintf(stream->why, sizeof stream->why, "%s", why);
}

static void lose_by_errno(mf_stream *stream, int code)
{
    stream->lost = true;
    mf__text_of_errno(stream->why, sizeof stream->why, code);
}

void mf__stream_open(mf_stream *stream, int descriptor, const mf_tls_context *tls, const char *host)
{
    mf__stream_empty(stream);
    stream->descriptor = descriptor;
    stream->lost = false;
    stream->ready = tls == NULL;
    if (tls == NULL)
        return;
    stream->tls = mf__tls_new(tls, host);
    if (stream->tls == NULL)
        lose_by_errno(stream, ENOMEM);
    else if (!mf__tls_read(stream->tls, stream->input))
        lose(stream, stream->tls->why);
}

/* Returns true when all of `from` has gone. */
static bool transmit(mf_stream *stream, struct evbuffer *from)
{
    while (evbuffer_get_length(from) != 0) {
        struct evbuffer_iovec parts[WRITE_VECTORS];
        int count = evbuffer_peek(from, -1, NULL, parts, WRITE_VECTORS);
        struct msghdr message = {
            .msg_iov = parts, .msg_iovlen = count < WRITE_VECTORS ? (size_t)count : WRITE_VECTORS};
        ssize_t sent = sendmsg(stream->descriptor, &message, MSG_NOSIGNAL);
        if (sent >= 0) {
            evbuffer_drain(from, (size_t)sent);
        } else if (errno != EINTR) {
            if (errno != EAGAIN)
                lose_by_errno(stream, errno);
            return false;
        }
    }
    return true;
}

void mf__stream_close(mf_stream *stream)
{
    if (stream->tls != NULL) {
        if (!stream->lost)
            mf__tls_end(stream->tls);
        transmit(stream, stream->tls->to_send); /* also an alert that says what was wrong */
    }
    mf__tls_free(stream->tls);
    if (stream->descriptor >= 0)
        close(stream->descriptor);
    stream->tls = NULL;
    stream->descriptor = -1;
    stream->ready = false;
}

void mf__stream_empty(mf_stream *stream)
{
    evbuffer_drain(stream->input, evbuffer_get_length(stream->input));
    evbuffer_drain(stream->output, evbuffer_get_length(stream->output));
}

/* Returns true when there may be more to read at once. */
static bool receive(mf_stream *stream, struct evbuffer *into)
{
    struct evbuffer_iovec space[2];
    int count = evbuffer_reserve_space(into, READ_CHUNK, space, 2);
    if (count < 1) {
        lose_by_errno(stream, ENOMEM);
        return false;
    }
    size_t room = space[0].iov_len + (count > 1 ? space[1].iov_len : 0);
    ssize_t got = readv(stream->descriptor, space, count);
    if (got <= 0) {
        int code = errno;
        if (got == 0)
            lose(stream, "connection closed by peer");
        else if (code != EAGAIN && code != EINTR)
            lose_by_errno(stream, code);
        return got < 0 && code == EINTR;
    }
    size_t left = (size_t)got;
    for (int i = 0; i < count; i++) {
        if (space[i].iov_len > left)
            space[i].iov_len = left;
        left -= space[i].iov_len;
    }
    evbuffer_commit_space(into, space, count);
    return (size_t)got == room;
}

bool mf__stream_read(mf_stream *stream)
{
    size_t before = evbuffer_get_length(stream->input);
    struct evbuffer *into = stream->tls != NULL ? stream->tls->received : stream->input;
    size_t bound = evbuffer_get_length(into) + READ_BOUND;

    while (receive(stream, into) && evbuffer_get_length(into) < bound)
        ;
    if (stream->tls != NULL) {
        if (!mf__tls_read(stream->tls, stream->input))
            lose(stream, stream->tls->why);
        stream->ready = stream->tls->ready;
    }
    return evbuffer_get_length(stream->input) > before;
}

bool mf__stream_write(mf_stream *stream)
{
    size_t left, before;

    if (stream->tls == NULL)
        return !transmit(stream, stream->output) && !stream->lost;
    do {
        before = evbuffer_get_length(stream->output);
        if (!mf__tls_write(stream->tls, stream->output, ENCRYPT_BOUND))
            lose(stream, stream->tls->why);
        if (!transmit(stream, stream->tls->to_send))
            return !stream->lost;
        left = evbuffer_get_length(stream->output);
    } while (!stream->lost && left != 0 && left < before);
    return false;
}
