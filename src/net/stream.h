/* A connected socket with its buffers, plain or TLS.
 *
 * Not a bufferevent: those write with writev(), and a peer that has gone then raises SIGPIPE, which
 * a library may neither let kill the process nor ignore for all of it. Here every byte leaves by
 * sendmsg() with MSG_NOSIGNAL. TLS is a filter between two buffers and does no I/O.
 *
 * It calls nothing back: its owner watches the descriptor, calls read and write, and looks at what
 * has become of the stream. */
#ifndef MF_NET_STREAM_H
#define MF_NET_STREAM_H

#include <event2/buffer.h>
#include <stdbool.h>

#include "net/tls.h"

typedef struct mf_stream {
    int descriptor;                  /* -1: closed */
    struct evbuffer *input, *output; /* plain bytes */
    mf_tls *tls;                     /* NULL: plain */
    bool ready;                      /* bytes can be exchanged: the handshake is done */
    bool lost;                       /* nothing more can be read or written */
    char why[160];                   /* when lost */
} mf_stream;

/* Makes the buffers. MF_ENOMEM. */
int mf__stream_init(mf_stream *stream);
void mf__stream_clear(mf_stream *stream);

/* Takes a connected socket. With a `tls` the handshake begins: the stream is ready after a read. It
 * may be lost at once (out of memory). */
void mf__stream_open(mf_stream *stream, int descriptor, const mf_tls_context *tls,
                     const char *host);

/* Closes the socket; the buffers are as they were. Harmless when it is not open. */
void mf__stream_close(mf_stream *stream);
void mf__stream_empty(mf_stream *stream);

/* Reads what has arrived, up to a bound; returns true when the input has grown, also when the
 * stream is lost behind it. */
bool mf__stream_read(mf_stream *stream);

/* Sends what it can; returns true when there is more, to be sent when the socket is writable. */
bool mf__stream_write(mf_stream *stream);

#endif
