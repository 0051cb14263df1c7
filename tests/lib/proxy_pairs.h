/* Inside the proxy: pairs of sockets, and the bytes between them. All on the proxy's thread. */
#ifndef MF_TESTS_PROXY_PAIRS_H
#define MF_TESTS_PROXY_PAIRS_H

#include <netinet/in.h>
#include <pthread.h>
#include <sys/un.h>

#include "proxy.h"

#define PROXY_QUEUE_MOST (16 * 1024 * 1024)
#define PROXY_PATTERN_MOST 256

typedef struct chunk {
    struct chunk *next;
    int64_t due_ms;
    size_t size, sent;
    char data[];
} chunk;

/* One direction of a pair. */
typedef struct flow {
    int from, to;
    chunk *first, **last;
    size_t queued;
    bool ended;     /* nothing more is passed on: `from` has ended, or was made to */
    bool end_seen;  /* `from` has ended */
    bool end_sent;  /* `to` knows */
    bool broken;    /* `from` was reset; `to` is, when the way is free */
    bool swallowed; /* bytes were lost, so none may follow */
    bool blocked;   /* until `to` is writable */
    char tail[PROXY_PATTERN_MOST];
    size_t tail_size;
} flow;

typedef struct pair {
    struct pair *next;
    flow flows[2]; /* requests, replies */
    bool losing;   /* PROXY_LOSE_REPLY has matched */
    bool client_gone;
} pair;

typedef struct mode {
    int delay_ms;
    bool swallow, hold;
} mode;

/* What the test's thread asks of the proxy's. */
typedef struct command {
    void (*run)(proxy *p, const struct command *command);
    int number, other;
    const void *pattern;
    size_t size;
} command;

struct proxy {
    int server_port;
    struct sockaddr_un server_path; /* sun_family 0: by port */
    int port, listener, wake;
    pthread_t thread;
    bool stopping;

    pair *pairs;
    mode modes[2];
    bool armed;
    proxy_trap trap;
    char pattern[PROXY_PATTERN_MOST];
    size_t pattern_size;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    proxy_counters counters;
    const command *command;
};

enum { REQUESTS, REPLIES };

/* Changes a counter, and tells who waits for it. */
void proxy_add(proxy *p, uint64_t *counter, int64_t difference);

struct sockaddr_in proxy_loopback(int port);

/* False: none is waiting. */
bool pairs_accept(proxy *p);

/* Resets both sides; it is freed by pairs_sweep. */
void pair_reset(pair *l);
bool pair_is_over(const pair *l);
void pairs_sweep(proxy *p);

/* Nothing keeps bytes of this flow back. */
bool flow_is_free(const proxy *p, const flow *f, int side);

/* Reads from a side that is readable. */
void pair_read(proxy *p, pair *l, int side);

/* Passes on all that is due, then frees what is over. */
void pairs_write(proxy *p);

#endif
