/* gRPC on a connection that heals: time and bytes for the protocol. */
#include "grpc/channel.h"

#include <assert.h>
#include <stdlib.h>

#include "grpc/http2.h"

enum { KEEPALIVE_MS = 10000, REPLY_TIMEOUT_MS = 5000 };
/* How long a peer that takes no more calls has to answer those that it took. */
static const int64_t goodbye_us = 1000000;
/* When this process was held up, an answer may be here and only be waiting to be read: a call that
 * is overdue waits for that much more. */
static const int64_t look_again_us = 20000;

struct mf_grpc_channel {
    mf_loop *loop;
    mf_connection *connection;
    const mf_grpc_events *events;
    void *arg;
    const char *scheme;
    int64_t keepalive_us, reply_timeout_us;
    mf_http2 *http2; /* NULL: not up */
    mf_deferred flush;
    mf_timer keepalive, goodbye;
    int64_t received_us; /* when bytes last came */
    bool leaving;        /* the goodbye timer runs */
    unsigned depth;      /* callbacks that we are in */
    bool closed;
};

static void leave(mf_grpc_channel *channel)
{
    if (--channel->depth == 0 && channel->closed)
        free(channel);
}

/* Ends the protocol; calls back what was under way. */
static void stop(mf_grpc_channel *channel, const char *why)
{
    mf_http2 *http2 = channel->http2;

    if (http2 == NULL)
        return;
    channel->http2 = NULL;
    channel->leaving = false;
    mf_timer_stop(channel->loop, &channel->keepalive);
    mf_timer_stop(channel->loop, &channel->goodbye);
    mf__http2_abort(http2, why);
    mf_deferred_cancel(channel->loop, &channel->flush); /* a callback may have ended other calls */
    mf__http2_free(http2);
}

void mf__grpc_fail(mf_grpc_channel *channel, const mf_error *why)
{
    if (!channel->closed)
        mf__connection_fail(channel->connection, why);
}

static void fail(mf_grpc_channel *channel, const mf_error *why)
{
    mf_error text;

    mf_error_set(&text, why->code, "%s: %s", mf__grpc_peer(channel), why->text);
    mf__grpc_fail(channel, &text);
}

/* Bytes. */

static void transmit(mf_grpc_channel *channel)
{
    struct evbuffer *output = mf__connection_output(channel->connection);
    const uint8_t *bytes;
    size_t length;
    mf_error why;

    while (channel->http2 != NULL &&
           (length = mf__http2_transmit(channel->http2, &bytes, mf_loop_now_us(channel->loop))) > 0)
        if (evbuffer_add(output, bytes, length) != 0) {
            mf_error_set(&why, MF_ENOMEM, "out of memory");
            fail(channel, &why);
            return;
        }
    if (channel->http2 != NULL && mf__http2_is_over(channel->http2, &why))
        fail(channel, &why);
}

static void on_flush(void *arg)
{
    mf_grpc_channel *channel = arg;

    channel->depth++;
    if (channel->http2 != NULL && mf__connection_is_up(channel->connection))
        transmit(channel);
    leave(channel);
}

static void flush_soon(mf_grpc_channel *channel)
{
    mf_defer(channel->loop, &channel->flush);
}

static void start_goodbye(mf_grpc_channel *channel)
{
    if (channel->leaving || mf__http2_goodbye(channel->http2) == NULL)
        return;
    channel->leaving = true;
    mf_timer_start(channel->loop, &channel->goodbye, channel->received_us + goodbye_us);
}

static void on_goodbye(void *arg)
{
    mf_grpc_channel *channel = arg;
    mf_error why;

    mf_error_set(&why, MF_EUNREACHABLE, "%s", mf__http2_goodbye(channel->http2));
    fail(channel, &why);
}

static void on_data(mf_connection *connection, struct evbuffer *input, void *arg)
{
    mf_grpc_channel *channel = arg;
    struct evbuffer_iovec piece;
    mf_error why;
    int code = MF_OK;

    channel->depth++;
    channel->received_us = mf_loop_now_us(channel->loop);
    mf__connection_expect(connection, 0);
    while (code == MF_OK && channel->http2 != NULL &&
           evbuffer_peek(input, -1, NULL, &piece, 1) > 0 && piece.iov_len > 0) {
        code = mf__http2_receive(channel->http2, piece.iov_base, piece.iov_len, &why);
        if (!channel->closed)
            evbuffer_drain(input, piece.iov_len);
    }
    if (code != MF_OK) {
        fail(channel, &why);
    } else if (channel->http2 != NULL) {
        start_goodbye(channel);
        transmit(channel);
    }
    leave(channel);
}

/* A sign of life. */

static void arm_keepalive(mf_grpc_channel *channel)
{
    mf_timer_start(channel->loop, &channel->keepalive,
                   channel->received_us + channel->keepalive_us);
}

static void on_keepalive(void *arg)
{
    mf_grpc_channel *channel = arg;
    int64_t now = mf_loop_now_us(channel->loop);

    if (!mf__http2_has_calls(channel->http2))
        return;
    if (now >= channel->received_us + channel->keepalive_us) {
        if (mf__http2_ping(channel->http2) == MF_OK) {
            mf__connection_expect(channel->connection, now + channel->reply_timeout_us);
            flush_soon(channel);
        }
        mf_timer_start(channel->loop, &channel->keepalive, now + channel->keepalive_us);
    } else {
        arm_keepalive(channel);
    }
}

/* Up and down. */

static void on_call_over(mf_grpc_call *call)
{
    mf_grpc_channel *channel = call->channel;

    mf_timer_stop(channel->loop, &call->timer);
}

static void on_up(mf_connection *connection, void *arg)
{
    mf_grpc_channel *channel = arg;
    mf_error why;

    channel->depth++;
    channel->received_us = mf_loop_now_us(channel->loop);
    if (mf__http2_new(&channel->http2, mf__connection_peer(connection), channel->scheme,
                      on_call_over) == MF_OK) {
        channel->events->up(channel, channel->arg);
        flush_soon(channel);
    } else {
        mf_error_set(&why, MF_ENOMEM, "out of memory");
        fail(channel, &why);
    }
    leave(channel);
}

static void on_down(mf_connection *connection, const mf_error *why, void *arg)
{
    mf_grpc_channel *channel = arg;

    (void)connection;
    channel->depth++;
    stop(channel, why->text);
    if (!channel->closed)
        channel->events->down(channel, why, channel->arg);
    leave(channel);
}

static const mf_connection_events connection_events = {
    .up = on_up,
    .data = on_data,
    .down = on_down,
};

int mf__grpc_open(mf_grpc_channel **out, mf_loop *loop, const mf_grpc_options *options,
                  const mf_grpc_events *events, void *arg, mf_error *error)
{
    mf_connection_options connection = options->connection;
    mf_grpc_channel *channel = calloc(1, sizeof *channel);

    if (channel == NULL)
        return mf_error_set(error, MF_ENOMEM, "grpc: out of memory");
    channel->loop = loop;
    channel->events = events;
    channel->arg = arg;
    channel->scheme = connection.tls ? "https" : "http";
    channel->keepalive_us =
        INT64_C(1000) * (options->keepalive_ms ? options->keepalive_ms : KEEPALIVE_MS);
    channel->reply_timeout_us =
        INT64_C(1000) * (options->reply_timeout_ms ? options->reply_timeout_ms : REPLY_TIMEOUT_MS);
    mf_deferred_init(&channel->flush, on_flush, channel);
    mf_timer_init(&channel->keepalive, on_keepalive, channel);
    mf_timer_init(&channel->goodbye, on_goodbye, channel);
    connection.tls_alpn = connection.tls ? "h2" : NULL;
    int code = mf__connection_open(&channel->connection, loop, &connection, &connection_events,
                                   channel, error);
    if (code == MF_OK)
        *out = channel;
    else
        free(channel);
    return code;
}

void mf__grpc_close(mf_grpc_channel *channel)
{
    assert(!channel->closed);
    channel->depth++;
    channel->closed = true;
    stop(channel, "the channel was closed"); /* whose callbacks may ask for the peer's name */
    mf__connection_close(channel->connection);
    leave(channel);
}

bool mf__grpc_is_up(const mf_grpc_channel *channel)
{
    return channel->http2 != NULL && !channel->leaving && mf__connection_is_up(channel->connection);
}

/* Calls. */

static void on_deadline(void *arg)
{
    mf_grpc_call *call = arg;
    mf_grpc_channel *channel = call->channel;
    bool silent = channel->received_us < call->started_us;
    mf_error why;

    if (!call->looked_again) {
        call->looked_again = true;
        mf_timer_start(channel->loop, &call->timer, mf_loop_now_us(channel->loop) + look_again_us);
        return;
    }
    mf_error_set(&why, MF_EUNREACHABLE, "no reply within %lld ms",
                 (long long)call->timeout_us / 1000);
    channel->depth++;
    mf__http2_finish(call, MF_GRPC_DEADLINE_EXCEEDED, why.text);
    if (channel->http2 != NULL) {
        flush_soon(channel);
        if (silent)
            fail(channel, &why);
    }
    leave(channel);
}

int mf__grpc_start(mf_grpc_channel *channel, mf_grpc_call *call)
{
    int64_t now = mf_loop_now_us(channel->loop);

    if (!mf__grpc_is_up(channel))
        return MF_EUNREACHABLE;
    mf_timer_init(&call->timer, on_deadline, call);
    if (call->timeout_us > 0 &&
        mf_timer_start(channel->loop, &call->timer, now + call->timeout_us) != MF_OK)
        return MF_ENOMEM;
    call->channel = channel;
    call->started_us = now;
    call->looked_again = false;
    int code = mf__http2_start(channel->http2, call);
    if (code != MF_OK) {
        mf_timer_stop(channel->loop, &call->timer);
        return code;
    }
    if (channel->keepalive.heap_slot == 0)
        mf_timer_start(channel->loop, &channel->keepalive, now + channel->keepalive_us);
    flush_soon(channel);
    return MF_OK;
}

uint8_t *mf__grpc_message(mf_grpc_call *call, size_t length)
{
    flush_soon(call->channel);
    return mf__http2_message(call, length);
}

void mf__grpc_end(mf_grpc_call *call)
{
    flush_soon(call->channel);
    mf__http2_end(call);
}

void mf__grpc_cancel(mf_grpc_call *call)
{
    flush_soon(call->channel);
    mf__http2_cancel(call);
}

bool mf__grpc_is_under_way(const mf_grpc_call *call)
{
    return call->http2 != NULL;
}

int64_t mf__grpc_received_us(const mf_grpc_channel *channel)
{
    return channel->received_us;
}

void mf__grpc_healthy(mf_grpc_channel *channel)
{
    mf__connection_healthy(channel->connection);
}

const char *mf__grpc_peer(const mf_grpc_channel *channel)
{
    return mf__connection_peer(channel->connection);
}
