/* A TCP proxy between a test and a server, on a thread of its own, that spoils things on demand. */
#include "proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"

#define READ_SIZE (64 * 1024)
#define QUEUE_MOST (16 * 1024 * 1024)
#define PATTERN_MOST 256
#define PAIRS_MOST 1024

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
    char tail[PATTERN_MOST];
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
    char pattern[PATTERN_MOST];
    size_t pattern_size;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    proxy_counters counters;
    const command *command;
};

enum { REQUESTS, REPLIES };

static void count(proxy *p, uint64_t *counter, int64_t difference)
{
    pthread_mutex_lock(&p->lock);
    *counter += (uint64_t)difference;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* Pairs of sockets. */

static void set_nodelay(int descriptor)
{
    int one = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void close_reset(int descriptor)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (descriptor < 0)
        return;
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(descriptor);
}

static int connect_server(const proxy *p)
{
    struct sockaddr_in by_port = loopback(p->server_port);
    bool unix_socket = p->server_path.sun_family == AF_UNIX;
    const struct sockaddr *address =
        unix_socket ? (const struct sockaddr *)&p->server_path : (const struct sockaddr *)&by_port;
    socklen_t size = unix_socket ? sizeof p->server_path : sizeof by_port;
    struct timeval limit = {.tv_sec = 2};
    int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(descriptor, address, size) != 0) {
        close(descriptor);
        return -1;
    }
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    if (!unix_socket)
        set_nodelay(descriptor);
    return descriptor;
}

/* False: none is waiting. */
static bool accept_pair(proxy *p)
{
    int client = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0)
        return false;
    count(p, &p->counters.accepted, 1);
    int server = connect_server(p);
    if (server < 0) {
        close_reset(client);
        return true;
    }
    set_nodelay(client);
    pair *l = calloc(1, sizeof *l);
    l->flows[REQUESTS] = (flow){.from = client, .to = server};
    l->flows[REPLIES] = (flow){.from = server, .to = client};
    for (int i = 0; i < 2; i++)
        l->flows[i].last = &l->flows[i].first;
    l->next = p->pairs;
    p->pairs = l;
    count(p, &p->counters.open, 1);
    return true;
}

static void drop_queue(flow *f)
{
    while (f->first != NULL) {
        chunk *c = f->first;
        f->first = c->next;
        free(c);
    }
    f->last = &f->first;
    f->queued = 0;
}

static void reset_client(pair *l)
{
    if (l->client_gone)
        return;
    l->client_gone = true;
    close_reset(l->flows[REQUESTS].from);
    l->flows[REQUESTS].from = l->flows[REPLIES].to = -1;
}

/* These mark it to be freed by sweep. */

static void reset_pair(pair *l)
{
    reset_client(l);
    close_reset(l->flows[REPLIES].from);
    l->flows[REQUESTS].to = l->flows[REPLIES].from = -1;
}

static void close_pair(pair *l)
{
    close(l->flows[REQUESTS].from);
    close(l->flows[REPLIES].from);
    l->flows[REQUESTS] = l->flows[REPLIES] = (flow){.from = -1, .to = -1};
}

static bool is_over(const pair *l)
{
    return l->flows[REPLIES].from < 0;
}

static void sweep(proxy *p)
{
    for (pair **at = &p->pairs; *at != NULL;) {
        pair *l = *at;
        if (!is_over(l)) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        drop_queue(&l->flows[REQUESTS]);
        drop_queue(&l->flows[REPLIES]);
        free(l);
        count(p, &p->counters.open, -1);
    }
}

/* Traps. */

static bool matches(proxy *p, flow *f, const char *data, size_t size)
{
    char *joined = malloc(f->tail_size + size);

    memcpy(joined, f->tail, f->tail_size);
    memcpy(joined + f->tail_size, data, size);
    size_t total = f->tail_size + size;
    bool found = memmem(joined, total, p->pattern, p->pattern_size) != NULL;
    size_t keep = p->pattern_size > 0 ? p->pattern_size - 1 : 0;
    f->tail_size = keep < total ? keep : total;
    memcpy(f->tail, joined + total - f->tail_size, f->tail_size);
    free(joined);
    return found;
}

/* Looks at a client's bytes; false: they are not to be passed on. */
static bool look(proxy *p, pair *l, const char *data, size_t size)
{
    if (!p->armed || !matches(p, &l->flows[REQUESTS], data, size))
        return true;
    p->armed = false;
    if (p->trap == PROXY_LOSE_REPLY) {
        l->losing = true;
        return true;
    }
    if (p->trap == PROXY_LOSE_REQUEST)
        reset_pair(l);
    if (p->trap == PROXY_SILENCE)
        l->flows[REPLIES].swallowed = true;
    count(p, &p->counters.sprung, 1);
    return p->trap != PROXY_LOSE_REQUEST;
}

/* The client loses the reply; the server gets an orderly end behind what was asked of it. */
static void lose_reply(pair *l)
{
    reset_client(l);
    l->flows[REQUESTS].ended = true;
    l->flows[REPLIES].swallowed = true;
}

/* Bytes. */

static void append(flow *f, const char *data, size_t size, int64_t due_ms)
{
    chunk *c = malloc(sizeof *c + size);

    *c = (chunk){.due_ms = due_ms, .size = size};
    memcpy(c->data, data, size);
    *f->last = c;
    f->last = &c->next;
    f->queued += size;
}

static void take(proxy *p, pair *l, int side, const char *data, size_t size)
{
    flow *f = &l->flows[side];

    if (p->modes[side].swallow)
        f->swallowed = true;
    if (f->swallowed || f->ended) {
        count(p, &p->counters.swallowed, (int64_t)size);
    } else if (side == REPLIES && l->losing) {
        lose_reply(l);
        count(p, &p->counters.swallowed, (int64_t)size);
    } else if (side == REPLIES || look(p, l, data, size)) {
        append(f, data, size, clock_ms() + p->modes[side].delay_ms);
    }
}

static void read_flow(proxy *p, pair *l, int side)
{
    char data[READ_SIZE];
    flow *f = &l->flows[side];
    ssize_t got = read(f->from, data, sizeof data);

    if (got > 0) {
        take(p, l, side, data, (size_t)got);
        return;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    f->ended = f->end_seen = true;
    f->broken = got < 0;
    if (side == REPLIES && l->client_gone) {
        reset_pair(l);
        count(p, &p->counters.sprung, 1);
    }
}

static bool is_free_way(const proxy *p, const flow *f, int side)
{
    return !p->modes[side].swallow && !p->modes[side].hold && !f->swallowed;
}

/* Sends the first chunk; false: not all of it. */
static bool send_chunk(proxy *p, pair *l, int side)
{
    flow *f = &l->flows[side];
    chunk *c = f->first;
    ssize_t sent = send(f->to, c->data + c->sent, c->size - c->sent, MSG_NOSIGNAL);

    if (sent < 0) {
        f->blocked = errno == EAGAIN || errno == EINTR;
        if (!f->blocked)
            reset_pair(l);
        return false;
    }
    c->sent += (size_t)sent;
    f->queued -= (size_t)sent;
    count(p, side == REQUESTS ? &p->counters.requests : &p->counters.replies, sent);
    f->blocked = c->sent < c->size;
    if (f->blocked)
        return false;
    f->first = c->next;
    if (f->first == NULL)
        f->last = &f->first;
    free(c);
    return true;
}

static void send_end(pair *l, int side)
{
    flow *f = &l->flows[side];

    f->end_sent = true;
    shutdown(f->to, SHUT_WR);
    if (f->broken)
        reset_pair(l);
    else if (l->flows[!side].end_sent && !l->client_gone)
        close_pair(l);
}

/* Passes on what is due, then the end. */
static void write_flow(proxy *p, pair *l, int side)
{
    flow *f = &l->flows[side];

    if (!is_free_way(p, f, side))
        return;
    f->blocked = false;
    while (f->first != NULL && f->first->due_ms <= clock_ms())
        if (!send_chunk(p, l, side))
            return;
    if (f->first == NULL && f->ended && !f->end_sent)
        send_end(l, side);
}

static void write_all(proxy *p)
{
    for (pair *l = p->pairs; l != NULL; l = l->next)
        for (int side = 0; side < 2; side++)
            if (!is_over(l))
                write_flow(p, l, side);
    sweep(p);
}

/* The thread. */

static int wait_ms(const proxy *p)
{
    int64_t due = INT64_MAX;

    for (const pair *l = p->pairs; l != NULL; l = l->next)
        for (int i = 0; i < 2; i++) {
            const flow *f = &l->flows[i];
            if (f->first != NULL && !f->blocked && is_free_way(p, f, i) && f->first->due_ms < due)
                due = f->first->due_ms;
        }
    int64_t left = due - clock_ms();
    return due == INT64_MAX ? -1 : left > 0 ? (int)left : 0;
}

static struct pollfd interest(const flow *in, const flow *out)
{
    bool read = !in->end_seen && in->queued < QUEUE_MOST;
    short events = (short)((read ? POLLIN : 0) | (out->blocked ? POLLOUT : 0));

    return (struct pollfd){.fd = events != 0 ? in->from : -1, .events = events};
}

static void read_all(proxy *p, const struct pollfd *polled, const struct pollfd *end)
{
    for (pair *l = p->pairs; l != NULL && polled != end; l = l->next, polled += 2)
        for (int side = 0; side < 2; side++)
            if (polled[side].fd >= 0 && polled[side].fd == l->flows[side].from &&
                (polled[side].revents & ~POLLOUT) != 0)
                read_flow(p, l, side);
}

static void run_command(proxy *p)
{
    pthread_mutex_lock(&p->lock);
    const command *c = p->command;
    pthread_mutex_unlock(&p->lock);
    if (c == NULL)
        return;
    /* A connection that the test has made already is not to escape. */
    while (p->listener >= 0 && accept_pair(p))
        ;
    c->run(p, c);
    write_all(p);
    pthread_mutex_lock(&p->lock);
    p->command = NULL;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static void turn(proxy *p)
{
    struct pollfd polled[2 + 2 * PAIRS_MOST] = {{.fd = p->wake, .events = POLLIN},
                                                {.fd = p->listener, .events = POLLIN}};
    nfds_t used = 2;
    eventfd_t ignored;

    for (pair *l = p->pairs; l != NULL && used + 2 <= 2 + 2 * PAIRS_MOST; l = l->next) {
        polled[used++] = interest(&l->flows[REQUESTS], &l->flows[REPLIES]);
        polled[used++] = interest(&l->flows[REPLIES], &l->flows[REQUESTS]);
    }
    if (poll(polled, used, wait_ms(p)) < 0)
        return;
    read_all(p, polled + 2, polled + used);
    write_all(p);
    if (polled[1].revents != 0)
        accept_pair(p);
    if (polled[0].revents != 0) {
        eventfd_read(p->wake, &ignored);
        run_command(p);
    }
}

static void *run(void *arg)
{
    proxy *p = arg;

    while (!p->stopping)
        turn(p);
    return NULL;
}

static void ask(proxy *p, command c)
{
    pthread_mutex_lock(&p->lock);
    p->command = &c;
    eventfd_write(p->wake, 1);
    while (p->command != NULL)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

/* The test's side. */

static void listen_on(proxy *p, const command *c)
{
    struct sockaddr_in address = loopback(p->port);
    int one = 1;

    (void)c;
    if (p->listener >= 0)
        return;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(p->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(p->listener, 128) != 0) {
        close(p->listener);
        p->listener = -1;
    }
}

static void do_refuse(proxy *p, const command *c)
{
    (void)c;
    if (p->listener >= 0)
        close(p->listener);
    p->listener = -1;
}

static void do_stop(proxy *p, const command *c)
{
    (void)c;
    p->stopping = true;
}

static void do_delay(proxy *p, const command *c)
{
    for (int side = 0; side < 2; side++)
        if ((c->number & (1 << side)) != 0)
            p->modes[side].delay_ms = c->other;
}

static void do_swallow(proxy *p, const command *c)
{
    for (int side = 0; side < 2; side++)
        if ((c->number & (1 << side)) != 0)
            p->modes[side].swallow = true;
}

static void do_hold(proxy *p, const command *c)
{
    for (int side = 0; side < 2; side++)
        if ((c->number & (1 << side)) != 0)
            p->modes[side].hold = true;
}

static void do_resume(proxy *p, const command *c)
{
    memset(p->modes, 0, sizeof p->modes);
    listen_on(p, c);
}

static void do_cut(proxy *p, const command *c)
{
    (void)c;
    for (pair *l = p->pairs; l != NULL; l = l->next)
        if (!is_over(l))
            reset_pair(l);
}

static void do_half_close(proxy *p, const command *c)
{
    for (pair *l = p->pairs; l != NULL; l = l->next)
        for (int side = 0; side < 2; side++)
            if ((c->number & (1 << side)) != 0)
                l->flows[side].ended = true;
}

static void do_arm(proxy *p, const command *c)
{
    p->armed = true;
    p->trap = (proxy_trap)c->number;
    p->pattern_size = c->size;
    memcpy(p->pattern, c->pattern, c->size);
    for (pair *l = p->pairs; l != NULL; l = l->next)
        l->flows[REQUESTS].tail_size = 0;
}

proxy *proxy_new(int port, const char *path)
{
    pthread_condattr_t monotonic;
    proxy *p = calloc(1, sizeof *p);

    assert_non_null(p);
    p->server_port = port;
    if (path != NULL) {
        p->server_path.sun_family = AF_UNIX;
        assert_true(strlen(path) < sizeof p->server_path.sun_path);
        strcpy(p->server_path.sun_path, path);
    }
    p->listener = -1;
    for (int i = 0; i < 5 && p->listener < 0; i++) {
        p->port = free_port();
        listen_on(p, NULL);
    }
    p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(p->listener >= 0 && p->wake >= 0);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    assert_int_equal(pthread_create(&p->thread, NULL, run, p), 0);
    return p;
}

void proxy_free(proxy *p)
{
    if (p == NULL)
        return;
    ask(p, (command){.run = do_stop});
    pthread_join(p->thread, NULL);
    do_cut(p, NULL);
    sweep(p);
    do_refuse(p, NULL);
    close(p->wake);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->changed);
    free(p);
}

int proxy_port(const proxy *p)
{
    return p->port;
}

void proxy_delay(proxy *p, proxy_side sides, int ms)
{
    ask(p, (command){.run = do_delay, .number = (int)sides, .other = ms});
}

void proxy_blackhole(proxy *p, proxy_side sides)
{
    ask(p, (command){.run = do_swallow, .number = (int)sides});
}

void proxy_hold(proxy *p, proxy_side sides)
{
    ask(p, (command){.run = do_hold, .number = (int)sides});
}

void proxy_resume(proxy *p)
{
    ask(p, (command){.run = do_resume});
}

void proxy_cut(proxy *p)
{
    ask(p, (command){.run = do_cut});
}

void proxy_half_close(proxy *p, proxy_side side)
{
    ask(p, (command){.run = do_half_close, .number = (int)side});
}

void proxy_refuse(proxy *p)
{
    ask(p, (command){.run = do_refuse});
}

void proxy_arm(proxy *p, proxy_trap trap, const void *pattern, size_t length)
{
    assert_true(length <= PATTERN_MOST);
    ask(p, (command){.run = do_arm, .number = (int)trap, .pattern = pattern, .size = length});
}

proxy_counters proxy_count(proxy *p)
{
    pthread_mutex_lock(&p->lock);
    proxy_counters now = p->counters;
    pthread_mutex_unlock(&p->lock);
    return now;
}

bool proxy_await(proxy *p, proxy_counters *counters, const uint64_t *counter, uint64_t value,
                 int timeout_ms)
{
    int64_t until = clock_ms() + timeout_ms;
    struct timespec limit = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
    int code = 0;

    pthread_mutex_lock(&p->lock);
    *counters = p->counters;
    while (*counter < value && code == 0) {
        code = pthread_cond_timedwait(&p->changed, &p->lock, &limit);
        *counters = p->counters;
    }
    pthread_mutex_unlock(&p->lock);
    return *counter >= value;
}
