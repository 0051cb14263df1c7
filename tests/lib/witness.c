/* A connection under test, its loop, and what happened to it. */
#include "witness.h"

#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT_US 10000000
#define PEER_LIMIT_MS 5000

static void check(witness *w)
{
    if (w->ups >= w->wanted_ups && w->downs >= w->wanted_downs &&
        evbuffer_get_length(w->input) >= w->wanted_bytes)
        mf_loop_stop(w->loop);
}

static void on_up(mf_connection *connection, void *arg)
{
    witness *w = arg;

    (void)connection;
    w->ups++;
    if (w->on_up != NULL)
        w->on_up(w);
    check(w);
}

static void on_data(mf_connection *connection, struct evbuffer *input, void *arg)
{
    witness *w = arg;

    (void)connection;
    evbuffer_add_buffer(w->input, input);
    if (w->on_data != NULL)
        w->on_data(w);
    check(w);
}

static void on_down(mf_connection *connection, const mf_error *why, void *arg)
{
    witness *w = arg;

    (void)connection;
    w->downs++;
    w->why = *why;
    if (w->on_down != NULL)
        w->on_down(w);
    check(w);
}

static void on_limit(void *arg)
{
    witness *w = arg;

    w->overdue = true;
    mf_loop_stop(w->loop);
}

witness *witness_new(void)
{
    witness *w = calloc(1, sizeof *w);

    assert_non_null(w);
    assert_int_equal(mf_loop_new(&w->loop, NULL), MF_OK);
    mf_loop_set_log(w->loop, NULL, NULL, MF_LOG_NONE);
    w->input = evbuffer_new();
    mf_timer_init(&w->limit, on_limit, w);
    return w;
}

void witness_free(witness *w)
{
    if (w == NULL)
        return;
    witness_close(w);
    mf_timer_stop(w->loop, &w->limit);
    mf_loop_free(w->loop);
    evbuffer_free(w->input);
    free(w);
}

void witness_open(witness *w, const char *host, int port, const mf_connection_options *options)
{
    static const mf_connection_events events = {.up = on_up, .data = on_data, .down = on_down};
    mf_connection_options with = {.connect_timeout_ms = 5000};
    mf_endpoint endpoint = {.host = host, .port = port};
    mf_error error = {0};

    if (port == 0)
        endpoint = (mf_endpoint){.path = host};
    if (options != NULL)
        with = *options;
    if (with.endpoints == NULL) {
        with.endpoints = &endpoint;
        with.endpoint_count = 1;
    }
    if (mf__connection_open(&w->connection, w->loop, &with, &events, w, &error) != MF_OK)
        fail_msg("%s", error.text);
}

void witness_close(witness *w)
{
    if (w->connection != NULL)
        mf__connection_close(w->connection);
    w->connection = NULL;
}

void witness_await(witness *w, unsigned ups, unsigned downs, size_t bytes)
{
    w->wanted_ups = ups;
    w->wanted_downs = downs;
    w->wanted_bytes = bytes;
    if (w->ups >= ups && w->downs >= downs && evbuffer_get_length(w->input) >= bytes)
        return;
    mf_timer_start(w->loop, &w->limit, mf_loop_now_us(w->loop) + LIMIT_US);
    mf_loop_run(w->loop);
    mf_timer_stop(w->loop, &w->limit);
    if (w->overdue)
        fail_msg("waited for %u ups, %u downs, %zu bytes; there are %u, %u, %zu; last: %s", ups,
                 downs, bytes, w->ups, w->downs, evbuffer_get_length(w->input), w->why.text);
}

static void on_turned(void *arg)
{
    mf_loop_stop(arg);
}

void witness_turn(witness *w)
{
    mf_timer turned;

    mf_timer_init(&turned, on_turned, w->loop);
    mf_timer_start(w->loop, &turned, mf_loop_now_us(w->loop) + 1);
    mf_loop_run(w->loop);
    mf_timer_stop(w->loop, &turned);
}

void witness_send(witness *w, const char *text)
{
    evbuffer_add(mf__connection_output(w->connection), text, strlen(text));
}

void witness_assert_input(witness *w, const char *text)
{
    size_t size = evbuffer_get_length(w->input);

    assert_int_equal(size, strlen(text));
    assert_memory_equal(evbuffer_pullup(w->input, -1), text, size);
    evbuffer_drain(w->input, size);
}

int listen_tcp(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 128), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return listener;
}

int listen_tcp6(int port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                   .sin6_addr = IN6ADDR_LOOPBACK_INIT,
                                   .sin6_port = htons((uint16_t)port)};
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
        listen(listener, 128) == 0)
        return listener;
    close(listener);
    return -1;
}

int listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(strlen(path) < sizeof address.sun_path);
    strcpy(address.sun_path, path);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 128), 0);
    return listener;
}

int accept_peer(int listener)
{
    struct pollfd polled = {.fd = listener, .events = POLLIN};

    assert_int_equal(poll(&polled, 1, PEER_LIMIT_MS), 1);
    int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(peer >= 0);
    return peer;
}

void peer_send(int peer, const char *text)
{
    assert_int_equal(send(peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void peer_assert_receives(int peer, const char *text)
{
    char got[4096];
    size_t size = strlen(text), have = 0;
    struct pollfd polled = {.fd = peer, .events = POLLIN};

    assert_true(size <= sizeof got);
    while (have < size) {
        assert_int_equal(poll(&polled, 1, PEER_LIMIT_MS), 1);
        ssize_t more = read(peer, got + have, size - have);
        assert_true(more > 0);
        have += (size_t)more;
    }
    assert_memory_equal(got, text, size);
}

void peer_reset(int peer)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(peer);
}
