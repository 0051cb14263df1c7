/* A connection under test, its loop, and what happened to it. */
#ifndef MF_TESTS_WITNESS_H
#define MF_TESTS_WITNESS_H

#include <stdbool.h>

#include "net/connection.h"

typedef struct witness witness;

struct witness {
    mf_loop *loop;
    mf_connection *connection; /* NULL: closed */
    unsigned ups, downs;
    mf_error why;           /* of the last down */
    struct evbuffer *input; /* what has arrived, moved here */
    /* Each may be NULL; called after the above is written down. */
    void (*on_up)(witness *w);
    void (*on_data)(witness *w);
    void (*on_down)(witness *w);
    /* Of witness_await. */
    unsigned wanted_ups, wanted_downs;
    size_t wanted_bytes;
    bool overdue;
    mf_timer limit;
};

witness *witness_new(void);
void witness_free(witness *w);

/* Opens the connection; fails the test if that is refused. options->endpoints
 * may be NULL for one of `host` and `port`, or of the path `host` when `port` is 0. */
void witness_open(witness *w, const char *host, int port, const mf_connection_options *options);
void witness_close(witness *w);

/* Runs the loop until so many ups, downs and unread bytes have been seen, or all of it is late:
 * then the test fails, with what was seen. */
void witness_await(witness *w, unsigned ups, unsigned downs, size_t bytes);

/* Runs the loop once around: what is ready is done. */
void witness_turn(witness *w);

void witness_send(witness *w, const char *text);
/* Takes all that has arrived; it must be `text`. */
void witness_assert_input(witness *w, const char *text);

/* Sockets of the test's own to connect to. */
int listen_tcp(int *port); /* on 127.0.0.1 */
int listen_tcp6(int port); /* on ::1; -1: there is no IPv6 */
int listen_unix(const char *path);
/* The next connection, which the client has made already or is making. */
int accept_peer(int listener);
void peer_send(int peer, const char *text);
void peer_assert_receives(int peer, const char *text);
void peer_reset(int peer); /* closes with a reset */

#endif
