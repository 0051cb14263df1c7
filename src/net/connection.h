/* A connection that heals: resolves, connects (TCP, TLS or unix), and connects again after a loss.
 *
 * Bytes only; it knows no protocol. One user at a time, on the loop's thread, which must run on
 * libevent. Name resolution, connecting and the TLS handshake never block the loop. */
#ifndef MF_NET_CONNECTION_H
#define MF_NET_CONNECTION_H

#include <event2/buffer.h>
#include <stdbool.h>
#include <stdint.h>

#include <metafora/driver.h>

typedef struct mf_connection mf_connection;

/* Where to connect: host and port, or the path of a unix socket. Borrowed for mf__connection_open.
 * Over TLS the server's certificate must be for `host`, also behind a path. */
typedef struct mf_endpoint {
    const char *host;
    int port;
    const char *path; /* not NULL: a unix socket, host and port are not used to connect */
} mf_endpoint;

typedef struct mf_connection_options {
    /* Strings are copied. One attempt tries them in turn, and all addresses of each, until one
     * connects; after a loss the next attempt begins with the one behind it. */
    const mf_endpoint *endpoints;
    size_t endpoint_count; /* 0: none is known yet, see mf__connection_set_endpoints */
    /* One attempt, from name resolution to the end of the TLS handshake; each endpoint has an equal
     * part of what is left. 0: 5,000. */
    int connect_timeout_ms;
    bool tls;
    const char *tls_ca_file, *tls_cert_file, *tls_key_file;
    const char *tls_alpn; /* e.g. "h2": the server must select it; NULL: none */
    bool tls_insecure;
    const char *subsystem; /* static string, for the log */
} mf_connection_options;

/* All on the loop thread. None is called from inside mf__connection_open or _close. */
typedef struct mf_connection_events {
    /* Connected, handshake done. Write with mf__connection_output. */
    void (*up)(mf_connection *connection, void *arg);
    /* Bytes arrived; drain from `input` what is understood. */
    void (*data)(mf_connection *connection, struct evbuffer *input, void *arg);
    /* An attempt failed, or the connection was lost; what was in its buffers is gone. A next
     * attempt follows after a pause, unless mf__connection_close is called. MF_EUNREACHABLE, or
     * what mf__connection_fail was given; the text names the peer and the cause. Under TLS 1.3 a
     * server that refuses our certificate does so after `up`. */
    void (*down)(mf_connection *connection, const mf_error *why, void *arg);
} mf_connection_events;

/* MF_EINVAL (a TLS file that cannot be used: the text names it), MF_ENOMEM. `events` must stay. */
int mf__connection_open(mf_connection **out, mf_loop *loop, const mf_connection_options *options,
                        const mf_connection_events *events, void *arg, mf_error *error);

/* Closes and frees, safe from inside a callback of the same connection. No callback afterwards. */
void mf__connection_close(mf_connection *connection);

bool mf__connection_is_up(const mf_connection *connection);

/* The buffer that is sent, soon; append to it while the connection is up. */
struct evbuffer *mf__connection_output(mf_connection *connection);

/* Other endpoints, from the next attempt on, which begins with the first of them; strings are
 * copied. What is connected or being tried stays: to have it end, call mf__connection_fail, and
 * mf__connection_retry_now when `down` comes. MF_EINVAL, MF_ENOMEM: those from before stay. */
int mf__connection_set_endpoints(mf_connection *connection, const mf_endpoint *endpoints,
                                 size_t count, mf_error *error);

/* Drops the present connection or attempt, as if it were lost, with this reason: protocol errors,
 * refused credentials. `down` follows, not from inside this call. Between attempts it does
 * nothing. */
void mf__connection_fail(mf_connection *connection, const mf_error *why);

/* The peer must answer by the steady time `due_us`, or the connection is dropped with
 * MF_EUNREACHABLE "no reply from HOST within ..."; 0: nothing is owed. This is how a half-open
 * connection is found: the protocol above sends pings when idle and sets this. Cheap to call often.
 */
void mf__connection_expect(mf_connection *connection, int64_t due_us);

/* "host:port" or the path that is connected or being tried; "?" while there is none. Borrowed. */
const char *mf__connection_peer(const mf_connection *connection);

/* The pause before the next attempt starts over at its shortest. Call when the protocol above has
 * found the peer healthy (not merely connected). */
void mf__connection_healthy(mf_connection *connection);

/* The next attempt is made at once, without the rest of the pause. */
void mf__connection_retry_now(mf_connection *connection);

#endif
