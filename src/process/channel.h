/* This program's end of a socket to the guard or the scribe, on the loop.
 *
 * Not a bufferevent: those write with writev(), and a peer that has died then raises SIGPIPE, which
 * a library may neither let kill the program nor ignore for all of it. */
#ifndef MF_PROCESS_CHANNEL_H
#define MF_PROCESS_CHANNEL_H

#include <stdbool.h>

struct event;
struct event_base;
struct evbuffer;

typedef struct mf__channel {
    int socket;           /* -1: none */
    struct evbuffer *in;  /* what has come */
    struct evbuffer *out; /* add to it, then call mf__channel_send */
    bool gone;            /* the other end; told once */
    struct event *readable, *writable;
    void (*on_data)(void *arg); /* `in` has grown */
    void (*on_gone)(void *arg);
    void *arg;
} mf__channel;

/* Takes the socket, also when it fails; -1 makes a channel that loses what is added. The functions
 * are set before, and may be NULL. They must not close the channel. 0, or -1: out of memory. */
int mf__channel_open(mf__channel *channel, int socket, struct event_base *base);

/* Sends soon what is in `out`. */
void mf__channel_send(mf__channel *channel);

/* Sends what is left, waiting for the other end to take it if told so, and closes. Harmless when it
 * is not open. */
void mf__channel_close(mf__channel *channel, bool wait);

#endif
