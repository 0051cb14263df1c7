/* TLS as a filter between two buffers: what was received goes in, what is to be sent comes out. It
 * does no I/O. */
#ifndef MF_NET_TLS_H
#define MF_NET_TLS_H

#include <event2/buffer.h>
#include <stdbool.h>

#include "net/connection.h"

/* What the connections of one owner share: certificates, keys and rules. */
typedef struct mf_tls_context mf_tls_context;

/* MF_EINVAL (the text names the file and the cause), MF_ENOMEM. */
int mf__tls_context_new(mf_tls_context **out, const mf_connection_options *options,
                        mf_error *error);
void mf__tls_context_free(mf_tls_context *context);

typedef struct mf_tls {
    struct evbuffer *received, *to_send;
    bool ready;    /* the handshake is done */
    char why[160]; /* when a function has returned false */
    struct ssl_st *ssl;
    const mf_tls_context *context;
} mf_tls;

/* A session with the server that must prove to be `host`, a name or a numeric address. NULL: out
 * of memory. `context` must stay. */
mf_tls *mf__tls_new(const mf_tls_context *context, const char *host);
void mf__tls_free(mf_tls *tls);

/* Goes on with the handshake, then decrypts all of `received` into `input`. False: the session has
 * ended. */
bool mf__tls_read(mf_tls *tls, struct evbuffer *input);

/* Encrypts `output` into `to_send`, until that has `limit` bytes. False: the session has ended. */
bool mf__tls_write(mf_tls *tls, struct evbuffer *output, size_t limit);

/* Tells the peer that nothing more follows. */
void mf__tls_end(mf_tls *tls);

#endif
