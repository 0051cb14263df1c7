/* A TCP proxy between a test and a server, on a thread of its own, that spoils things on demand. */
#include "proxy.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"
#include "proxy_pairs.h"

#define PAIRS_MOST 1024

/* The thread. */

static int wait_ms(const proxy *p)
{
    int64_t due = INT64_MAX;

    for (const pair *l = p->pairs; l != NULL; l = l->next)
        for (int i = 0; i < 2; i++) {
            const flow *f = &l->flows[i];
            if (f->first != NULL && !f->blocked && flow_is_free(p, f, i) && f->first->due_ms < due)
                due = f->first->due_ms;
        }
    int64_t left = due - clock_ms();
    return due == INT64_MAX ? -1 : left > 0 ? (int)left : 0;
}

static struct pollfd interest(const flow *in, const flow *out)
{
    bool read = !in->end_seen && in->queued < PROXY_QUEUE_MOST;
    short events = (short)((read ? POLLIN : 0) | (out->blocked ? POLLOUT : 0));

    return (struct pollfd){.fd = events != 0 ? in->from : -1, .events = events};
}

static void read_all(proxy *p, const struct pollfd *polled, const struct pollfd *end)
{
    for (pair *l = p->pairs; l != NULL && polled != end; l = l->next, polled += 2)
        for (int side = 0; side < 2; side++)
            if (polled[side].fd >= 0 && polled[side].fd == l->flows[side].from &&
                (polled[side].revents & ~POLLOUT) != 0)
                pair_read(p, l, side);
}

static void run_command(proxy *p)
{
    pthread_mutex_lock(&p->lock);
    const command *c = p->command;
    pthread_mutex_unlock(&p->lock);
    if (c == NULL)
        return;
    /* A connection that the test has made already is not to escape. */
    while (p->listener >= 0 && pairs_accept(p))
        ;
    c->run(p, c);
    pairs_write(p);
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
    pairs_write(p);
    if (polled[1].revents != 0)
        pairs_accept(p);
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
    struct sockaddr_in address = proxy_loopback(p->port);
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
        if (!pair_is_over(l))
            pair_reset(l);
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
    pairs_sweep(p);
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
    assert_true(length <= PROXY_PATTERN_MOST);
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
