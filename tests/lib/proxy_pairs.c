/* Inside the proxy: pairs of sockets, and the bytes between them. */
#include "proxy_pairs.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process.h"

#define READ_SIZE (64 * 1024)

void proxy_add(proxy *p, uint64_t *counter, int64_t difference)
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

struct sockaddr_in proxy_loopback(int port)
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
    struct sockaddr_in by_port = proxy_loopback(p->server_port);
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

bool pairs_accept(proxy *p)
{
    int client = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0)
        return false;
    proxy_add(p, &p->counters.accepted, 1);
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
    proxy_add(p, &p->counters.open, 1);
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

void pair_reset(pair *l)
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

bool pair_is_over(const pair *l)
{
    return l->flows[REPLIES].from < 0;
}

void pairs_sweep(proxy *p)
{
    for (pair **at = &p->pairs; *at != NULL;) {
        pair *l = *at;
        if (!pair_is_over(l)) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        drop_queue(&l->flows[REQUESTS]);
        drop_queue(&l->flows[REPLIES]);
        free(l);
        proxy_add(p, &p->counters.open, -1);
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
        pair_reset(l);
    if (p->trap == PROXY_SILENCE)
        l->flows[REPLIES].swallowed = true;
    proxy_add(p, &p->counters.sprung, 1);
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
        proxy_add(p, &p->counters.swallowed, (int64_t)size);
    } else if (side == REPLIES && l->losing) {
        lose_reply(l);
        proxy_add(p, &p->counters.swallowed, (int64_t)size);
    } else if (side == REPLIES || look(p, l, data, size)) {
        append(f, data, size, clock_ms() + p->modes[side].delay_ms);
    }
}

void pair_read(proxy *p, pair *l, int side)
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
        pair_reset(l);
        proxy_add(p, &p->counters.sprung, 1);
    }
}

bool flow_is_free(const proxy *p, const flow *f, int side)
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
            pair_reset(l);
        return false;
    }
    c->sent += (size_t)sent;
    f->queued -= (size_t)sent;
    proxy_add(p, side == REQUESTS ? &p->counters.requests : &p->counters.replies, sent);
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
        pair_reset(l);
    else if (l->flows[!side].end_sent && !l->client_gone)
        close_pair(l);
}

/* Passes on what is due, then the end. */
static void write_flow(proxy *p, pair *l, int side)
{
    flow *f = &l->flows[side];

    if (!flow_is_free(p, f, side))
        return;
    f->blocked = false;
    while (f->first != NULL && f->first->due_ms <= clock_ms())
        if (!send_chunk(p, l, side))
            return;
    if (f->first == NULL && f->ended && !f->end_sent)
        send_end(l, side);
}

void pairs_write(proxy *p)
{
    for (pair *l = p->pairs; l != NULL; l = l->next)
        for (int side = 0; side < 2; side++)
            if (!pair_is_over(l))
                write_flow(p, l, side);
    pairs_sweep(p);
}
