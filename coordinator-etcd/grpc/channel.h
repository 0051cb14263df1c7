/* gRPC on a connection that heals. Knows no service. All of it on the loop's thread. */
#ifndef MF_GRPC_CHANNEL_H
#define MF_GRPC_CHANNEL_H

#include "grpc/call.h"
#include "net/connection.h"

typedef struct mf_grpc_channel mf_grpc_channel;

/* None is called from inside a function of the channel. */
typedef struct mf_grpc_events {
    /* Connected: calls can be started. */
    void (*up)(mf_grpc_channel *channel, void *arg);
    /* An attempt failed or the connection was lost; its calls have been called back already.
     * Another attempt will follow. */
    void (*down)(mf_grpc_channel *channel, const mf_error *why, void *arg);
} mf_grpc_events;

typedef struct mf_grpc_options {
    /* With tls, "h2" is asked for; tls_alpn is not looked at. */
    mf_connection_options connection;
    /* A connection with calls on it that brings nothing for so long is asked for a sign of life,
     * which must come within reply_timeout_ms. 0: 10 s; servers take less than 5 s for an attack.
     */
    int keepalive_ms;
    int reply_timeout_ms;
} mf_grpc_options;

/* As mf__connection_open. */
int mf__grpc_open(mf_grpc_channel **out, mf_loop *loop, const mf_grpc_options *options,
                  const mf_grpc_events *events, void *arg, mf_error *error);

/* Closes and frees, safe from inside a callback of the same channel but for `message`. Calls under
 * way are called back first, from inside. */
void mf__grpc_close(mf_grpc_channel *channel);

bool mf__grpc_is_up(const mf_grpc_channel *channel);

/* Starts a call. MF_EUNREACHABLE when the channel is not up, MF_ENOMEM: it is not under way.
 * A call that exceeds its timeout ends with DEADLINE_EXCEEDED; when nothing at all has come from
 * the peer in that time, the connection is given up as well. */
int mf__grpc_start(mf_grpc_channel *channel, mf_grpc_call *call);

/* Adds a message: returns where its `length` bytes are to be written, at once. NULL: no memory. */
uint8_t *mf__grpc_message(mf_grpc_call *call, size_t length);

/* No more messages follow. */
void mf__grpc_end(mf_grpc_call *call);

/* Ends a call that is under way without calling `finished`. */
void mf__grpc_cancel(mf_grpc_call *call);

/* True from start to `finished` or cancel. */
bool mf__grpc_is_under_way(const mf_grpc_call *call);

/* Steady time at which bytes last came. */
int64_t mf__grpc_received_us(const mf_grpc_channel *channel);

/* Drops the present connection for this reason; `down` follows, later. */
void mf__grpc_fail(mf_grpc_channel *channel, const mf_error *why);

/* See mf__connection_healthy and mf__connection_peer. */
void mf__grpc_healthy(mf_grpc_channel *channel);
const char *mf__grpc_peer(const mf_grpc_channel *channel);

#endif
