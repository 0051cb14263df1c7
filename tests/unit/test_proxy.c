/* The proxy of the tests itself, for a test that spoils nothing proves nothing. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"
#include "proxy.h"
#include "redis_server.h"
#include "witness.h"

typedef struct fixture {
    int listener, port;
    proxy *proxy;
    int client, server;
    proxy_counters count;
    redis_server *redis;
    redisContext *context;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    f->listener = listen_tcp(&f->port);
    f->proxy = proxy_new(f->port, NULL);
    f->client = f->server = -1;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    if (f->context != NULL)
        redisFree(f->context);
    redis_server_free(f->redis);
    proxy_free(f->proxy);
    close(f->client);
    close(f->server);
    close(f->listener);
    free(f);
    return 0;
}

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(client, (struct sockaddr *)&address, sizeof address) == 0)
        return client;
    close(client);
    return -1;
}

static void connect_both(fixture *f)
{
    f->client = connect_to(proxy_port(f->proxy));
    assert_true(f->client >= 0);
    f->server = accept_peer(f->listener);
}

static void await_count(fixture *f, const uint64_t *counter, uint64_t value)
{
    if (!proxy_await(f->proxy, &f->count, counter, value, 5000))
        fail_msg("the counter is %llu, not %llu", (unsigned long long)*counter,
                 (unsigned long long)value);
}

static bool is_silent(int socket)
{
    struct pollfd polled = {.fd = socket, .events = POLLIN};
    return poll(&polled, 1, 0) == 0;
}

static void assert_ends(int socket)
{
    char byte;
    assert_int_equal(recv(socket, &byte, 1, 0), 0);
}

static void assert_resets(int socket)
{
    char byte;
    assert_int_equal(recv(socket, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

/* Bytes pass both ways and are counted; the end of one side reaches the other. */
static void test_pass(void **state)
{
    fixture *f = *state;

    connect_both(f);
    peer_send(f->client, "question");
    peer_assert_receives(f->server, "question");
    peer_send(f->server, "answer");
    peer_assert_receives(f->client, "answer");
    shutdown(f->client, SHUT_WR);
    assert_ends(f->server);
    shutdown(f->server, SHUT_WR);
    assert_ends(f->client);
    f->count = proxy_count(f->proxy);
    assert_int_equal(f->count.accepted, 1);
    assert_int_equal(f->count.requests, 8);
    assert_int_equal(f->count.replies, 6);
}

/* Delayed bytes come late and in order; the other direction is not held up. */
static void test_delay(void **state)
{
    fixture *f = *state;

    connect_both(f);
    proxy_delay(f->proxy, PROXY_REPLIES, 100);
    int64_t start = clock_ms();
    peer_send(f->client, "q");
    peer_assert_receives(f->server, "q");
    peer_send(f->server, "a");
    peer_send(f->server, "b");
    peer_assert_receives(f->client, "ab");
    assert_true(clock_ms() - start >= 100);
}

/* Cut: both sides are reset. New connections are welcome. */
static void test_cut(void **state)
{
    fixture *f = *state;

    connect_both(f);
    proxy_cut(f->proxy);
    assert_resets(f->client);
    assert_resets(f->server);
    assert_int_equal(proxy_count(f->proxy).open, 0);
    close(f->client);
    close(f->server);
    connect_both(f);
}

/* Black hole: bytes vanish, sockets stay open, and what was lost does not come back. */
static void test_blackhole(void **state)
{
    fixture *f = *state;

    connect_both(f);
    proxy_blackhole(f->proxy, PROXY_BOTH);
    peer_send(f->client, "question");
    await_count(f, &f->count.swallowed, 8);
    assert_true(is_silent(f->server));
    proxy_resume(f->proxy);
    peer_send(f->client, "again");
    await_count(f, &f->count.swallowed, 13);
    peer_send(f->server, "passes");
    peer_assert_receives(f->client, "passes");
}

/* One way only: the server gets the request, its reply vanishes. */
static void test_blackhole_replies(void **state)
{
    fixture *f = *state;

    connect_both(f);
    proxy_blackhole(f->proxy, PROXY_REPLIES);
    peer_send(f->client, "question");
    peer_assert_receives(f->server, "question");
    peer_send(f->server, "answer");
    await_count(f, &f->count.swallowed, 6);
    close(f->server);
    f->server = -1;
    assert_true(is_silent(f->client));
}

/* Hold: bytes and the end of a stream wait, and all come after resume. */
static void test_hold(void **state)
{
    fixture *f = *state;

    connect_both(f);
    proxy_hold(f->proxy, PROXY_BOTH);
    peer_send(f->client, "late");
    shutdown(f->client, SHUT_WR);
    proxy_delay(f->proxy, PROXY_REPLIES, 0); /* a command's end is a turn's end */
    assert_true(is_silent(f->server));
    proxy_resume(f->proxy);
    peer_assert_receives(f->server, "late");
    assert_ends(f->server);
}

/* Half-close, each way: one side sees an end, the other direction still passes. */
static void test_half_close(void **state)
{
    fixture *f = *state;

    connect_both(f);
    proxy_half_close(f->proxy, PROXY_REPLIES);
    assert_ends(f->client);
    peer_send(f->client, "still");
    peer_assert_receives(f->server, "still");
    close(f->client);
    close(f->server);
    connect_both(f);
    proxy_half_close(f->proxy, PROXY_REQUESTS);
    assert_ends(f->server);
    peer_send(f->server, "still");
    peer_assert_receives(f->client, "still");
}

/* Refuse: connecting fails until resume, present connections live on. */
static void test_refuse(void **state)
{
    fixture *f = *state;

    connect_both(f);
    proxy_refuse(f->proxy);
    assert_int_equal(connect_to(proxy_port(f->proxy)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    peer_send(f->client, "still");
    peer_assert_receives(f->server, "still");
    proxy_resume(f->proxy);
    int client = connect_to(proxy_port(f->proxy));
    assert_true(client >= 0);
    close(client);
}

/* A server that is not there is a reset to the client, and is found when it comes. */
static void test_no_server(void **state)
{
    fixture *f = *state;

    close(f->listener);
    f->client = connect_to(proxy_port(f->proxy));
    assert_resets(f->client);
    f->listener = -1;
}

/* A lost request: both sides are reset, and the server never saw the end of the pattern. */
static void test_lose_request(void **state)
{
    fixture *f = *state;

    connect_both(f);
    proxy_arm(f->proxy, PROXY_LOSE_REQUEST, "marker", 6);
    peer_send(f->client, "harmless");
    peer_assert_receives(f->server, "harmless");
    peer_send(f->client, "with a mar");
    peer_assert_receives(f->server, "with a mar");
    peer_send(f->client, "ker");
    await_count(f, &f->count.sprung, 1);
    assert_resets(f->client);
    assert_resets(f->server);
}

/* A silenced connection: the request passes, no reply does, other connections work. */
static void test_silence(void **state)
{
    fixture *f = *state;

    connect_both(f);
    proxy_arm(f->proxy, PROXY_SILENCE, "marker", 6);
    peer_send(f->client, "marker");
    peer_assert_receives(f->server, "marker");
    peer_send(f->server, "answer");
    await_count(f, &f->count.swallowed, 6);
    int silenced = f->client;
    close(f->server);
    connect_both(f);
    peer_send(f->client, "marker");
    peer_assert_receives(f->server, "marker");
    peer_send(f->server, "answer");
    peer_assert_receives(f->client, "answer");
    assert_true(is_silent(silenced));
    close(silenced);
    assert_int_equal(proxy_count(f->proxy).sprung, 1);
}

/* A lost reply, with a real server behind its unix socket: it was done, the client cannot know. */
static void test_lose_reply(void **state)
{
    fixture *f = *state;

    f->redis = redis_server_start(NULL);
    proxy_free(f->proxy);
    f->proxy = proxy_new(0, f->redis->socket);
    f->context = redisConnect("127.0.0.1", proxy_port(f->proxy));
    assert_int_equal(f->context->err, 0);
    freeReplyObject(redisCommand(f->context, "SET before 1"));
    proxy_arm(f->proxy, PROXY_LOSE_REPLY, "marker", 6);
    assert_null(redisCommand(f->context, "INCR marker"));
    await_count(f, &f->count.sprung, 1);
    assert_int_equal(redis_server_integer(f->redis, "EXISTS marker"), 1);
}

/* Megabytes pass in both directions at once. */
static void test_big(void **state)
{
    fixture *f = *state;
    size_t size = 32 * 1024 * 1024;
    char *value = malloc(size);

    memset(value, 'v', size);
    f->redis = redis_server_start(NULL);
    proxy_free(f->proxy);
    f->proxy = proxy_new(f->redis->port, NULL);
    f->context = redisConnect("127.0.0.1", proxy_port(f->proxy));
    freeReplyObject(redisCommand(f->context, "SET big %b", value, size));
    redisReply *reply = redisCommand(f->context, "GET big");
    assert_int_equal(reply->len, size);
    assert_memory_equal(reply->str, value, size);
    freeReplyObject(reply);
    free(value);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pass),
        TEST(test_delay),
        TEST(test_cut),
        TEST(test_blackhole),
        TEST(test_blackhole_replies),
        TEST(test_hold),
        TEST(test_half_close),
        TEST(test_refuse),
        TEST(test_no_server),
        TEST(test_lose_request),
        TEST(test_silence),
        TEST(test_lose_reply),
        TEST(test_big),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
