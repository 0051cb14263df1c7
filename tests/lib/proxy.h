/* A TCP proxy between a test and a server, on a thread of its own, that spoils things on demand.
 *
 * It knows no protocol. All functions are the test thread's; each has taken full effect when it
 * returns. It listens on 127.0.0.1 and connects to a port of 127.0.0.1 or to a unix socket. */
#ifndef MF_TESTS_PROXY_H
#define MF_TESTS_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct proxy proxy;

typedef enum proxy_side {
    PROXY_REQUESTS = 1, /* what flows from the client to the server */
    PROXY_REPLIES = 2,  /* and back */
    PROXY_BOTH = 3
} proxy_side;

/* The server is `path` or, when that is NULL, `port`. It needs not be there yet. */
proxy *proxy_new(int port, const char *path);
void proxy_free(proxy *p);

/* Where to connect to. */
int proxy_port(const proxy *p);

/* Holds all bytes of these directions for so long; 0: none. For present and future connections. */
void proxy_delay(proxy *p, proxy_side sides, int ms);

/* Swallows these directions and keeps the sockets open: the peer is gone without a word. Also for
 * new connections, which are accepted. */
void proxy_blackhole(proxy *p, proxy_side sides);

/* As blackhole, but nothing is lost: it is held back until proxy_resume. */
void proxy_hold(proxy *p, proxy_side sides);

/* Back to passing everything at once, and to accepting after proxy_refuse. A direction that lost
 * bytes stays swallowed, for a stream with a hole is nothing that TCP does. */
void proxy_resume(proxy *p);

/* Resets all present connections, both ways. */
void proxy_cut(proxy *p);

/* Ends one direction of all present connections in order, behind the bytes that it has:
 * PROXY_REPLIES shows the client an end of stream, while its requests still pass. */
void proxy_half_close(proxy *p, proxy_side side);

/* Closes the listening socket: connecting is refused until proxy_resume. Present connections stay.
 */
void proxy_refuse(proxy *p);

/* What to do when bytes from a client match a pattern. */
typedef enum proxy_trap {
    /* The bytes are passed on. The next reply is swallowed and the client is reset; the server sees
     * an end of stream behind all requests. Sprung when the server has closed as well: it has then
     * executed them, and the client cannot know. */
    PROXY_LOSE_REPLY,
    /* Both sides are reset before the last byte of the pattern reaches the server. */
    PROXY_LOSE_REQUEST,
    /* The bytes are passed on; no reply comes any more on this connection, which stays open. */
    PROXY_SILENCE,
    /* They are passed on, and counted. */
    PROXY_NOTICE
} proxy_trap;

/* Arms a trap, which springs once, on whichever connection the pattern passes first; also when it
 * comes in pieces. An empty pattern is any byte. Replaces one that has not matched. */
void proxy_arm(proxy *p, proxy_trap trap, const void *pattern, size_t length);

/* What has happened so far. Bytes are those that were passed on. */
typedef struct proxy_counters {
    uint64_t accepted;  /* connections */
    uint64_t open;      /* now */
    uint64_t requests;  /* bytes, client to server */
    uint64_t replies;   /* bytes, server to client */
    uint64_t swallowed; /* bytes, both ways */
    uint64_t sprung;    /* traps that did what they were armed for */
} proxy_counters;

proxy_counters proxy_count(proxy *p);

/* Waits until `counter`, which points into `counters`, is at least `value`: writes the counters
 * each time they change. False: not within the time. E.g. proxy_await(p, &c, &c.sprung, 1, 5000).
 */
bool proxy_await(proxy *p, proxy_counters *counters, const uint64_t *counter, uint64_t value,
                 int timeout_ms);

#endif
