/* The connection over plain TCP and unix sockets, against sockets of the test's own. */
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/address.h"
#include "net/backoff.h"
#include "process.h"
#include "resources.h"
#include "witness.h"

typedef struct fixture {
    witness *w;
    int port, listener, peer, other;
    char *directory;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    f->w = witness_new();
    f->listener = listen_tcp(&f->port);
    f->peer = f->other = -1;
    f->directory = directory_new();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    witness_free(f->w);
    close(f->listener);
    close(f->peer);
    close(f->other);
    directory_remove(f->directory);
    free(f);
    return 0;
}

static void close_listener(fixture *f)
{
    close(f->listener);
    f->listener = -1;
}

static void close_peer(fixture *f)
{
    close(f->peer);
    f->peer = -1;
}

/* Connects, and gets the peer's end. */
static void connect_peer(fixture *f)
{
    if (f->w->connection == NULL)
        witness_open(f->w, "127.0.0.1", f->port, NULL);
    witness_await(f->w, f->w->ups + 1, 0, 0);
    f->peer = accept_peer(f->listener);
}

static void assert_why(const fixture *f, const char *format, ...) MF_PRINTF(2, 3);
static void assert_why(const fixture *f, const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert_string_equal(f->w->why.text, text);
    assert_int_equal(f->w->why.code, MF_EUNREACHABLE);
}

/* Bytes go both ways over TCP, in order, and the peer has its name. */
static void test_exchange(void **state)
{
    fixture *f = *state;
    char name[32];

    connect_peer(f);
    assert_true(mf__connection_is_up(f->w->connection));
    snprintf(name, sizeof name, "127.0.0.1:%d", f->port);
    assert_string_equal(mf__connection_peer(f->w->connection), name);
    witness_send(f->w, "one ");
    witness_send(f->w, "two");
    witness_turn(f->w);
    peer_assert_receives(f->peer, "one two");
    peer_send(f->peer, "three");
    witness_await(f->w, 1, 0, 5);
    witness_assert_input(f->w, "three");
}

/* The same over a unix socket. */
static void test_unix(void **state)
{
    fixture *f = *state;
    char path[128];

    snprintf(path, sizeof path, "%s/s", f->directory);
    close_listener(f);
    f->listener = listen_unix(path);
    witness_open(f->w, path, 0, NULL);
    connect_peer(f);
    assert_string_equal(mf__connection_peer(f->w->connection), path);
    witness_send(f->w, "one");
    witness_turn(f->w);
    peer_assert_receives(f->peer, "one");
}

/* A unix socket that is not there is named with the cause. */
static void test_unix_missing(void **state)
{
    fixture *f = *state;
    char path[128];

    snprintf(path, sizeof path, "%s/none", f->directory);
    witness_open(f->w, path, 0, NULL);
    witness_await(f->w, 0, 1, 0);
    assert_why(f, "%s: no such file or directory", path);
}

/* "localhost" needs no resolver, and its second address is tried when the first refuses. */
static void test_localhost(void **state)
{
    fixture *f = *state;

    witness_open(f->w, "localhost", f->port, NULL);
    connect_peer(f);
    witness_close(f->w);
    close_listener(f);
    f->listener = listen_tcp6(f->port);
    if (f->listener < 0)
        skip();
    witness_open(f->w, "LocalHost", f->port, NULL);
    connect_peer(f);
}

/* The resolver's thread finds addresses, and tells of it through its descriptor. */
static void test_lookup(void **state)
{
    mf_lookup *lookup;
    mf_addresses found;

    (void)state;
    assert_int_equal(mf__lookup_start(&lookup, "127.0.0.1", 7), 0);
    struct pollfd polled = {.fd = mf__lookup_descriptor(lookup), .events = POLLIN};
    assert_int_equal(poll(&polled, 1, 5000), 1);
    assert_null(mf__lookup_result(lookup, &found));
    mf__lookup_drop(lookup);
    assert_int_equal(found.count, 1);
    const struct sockaddr_in *address = (struct sockaddr_in *)&found.list[0].storage;
    assert_int_equal(address->sin_port, htons(7));
    assert_int_equal(address->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}

/* A name that does not resolve, or whose resolver does not answer, is told within the timeout. */
static void test_unknown_name(void **state)
{
    fixture *f = *state;
    mf_connection_options options = {.connect_timeout_ms = 300};
    int64_t start = clock_ms();

    witness_open(f->w, "no-such-host.invalid", 1, &options);
    witness_await(f->w, 0, 1, 0);
    assert_true(clock_ms() - start < 2000);
    assert_memory_equal(f->w->why.text, "no-such-host.invalid:1: ", 24);
}

/* A connection may be closed while its name is being looked up. */
static void test_close_while_resolving(void **state)
{
    fixture *f = *state;

    witness_open(f->w, "no-such-host.invalid", 1, NULL);
    witness_turn(f->w);
    witness_close(f->w);
    witness_turn(f->w);
    assert_int_equal(f->w->downs, 0);
}

/* A refused attempt names the peer and the cause; the next one is made by itself. */
static void test_refused(void **state)
{
    fixture *f = *state;

    close_listener(f);
    witness_open(f->w, "127.0.0.1", f->port, NULL);
    witness_await(f->w, 0, 2, 0);
    assert_why(f, "127.0.0.1:%d: connection refused", f->port);
    assert_false(mf__connection_is_up(f->w->connection));
}

/* A host that swallows packets costs the connect timeout, not more. */
static void test_connect_timeout(void **state)
{
    fixture *f = *state;
    mf_connection_options options = {.connect_timeout_ms = 200};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)f->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fill[8];

    /* With its queue full, the kernel drops what else asks to connect. */
    listen(f->listener, 0);
    for (int i = 0; i < 8; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(fill[i], (struct sockaddr *)&address, sizeof address);
    }
    int64_t start = clock_ms();
    witness_open(f->w, "127.0.0.1", f->port, &options);
    witness_await(f->w, 0, 1, 0);
    int64_t took = clock_ms() - start;
    for (int i = 0; i < 8; i++)
        close(fill[i]);
    assert_why(f, "127.0.0.1:%d: connection timed out", f->port);
    assert_true(took >= 150 && took < 2000);
}

/* The pause doubles from 50 ms to 5 s and is spread by its random number, never to nothing. */
static void test_backoff(void **state)
{
    int64_t limit = MF_BACKOFF_FIRST_US;

    (void)state;
    for (unsigned failures = 1; failures < 40; failures++) {
        int64_t least = mf__backoff_us(failures, 0);
        assert_int_equal(least, limit / 5);
        assert_int_equal(mf__backoff_us(failures, (uint64_t)(limit - least)), limit);
        assert_in_range(mf__backoff_us(failures, UINT64_MAX), least, limit);
        limit = limit * 2 < MF_BACKOFF_MOST_US ? limit * 2 : MF_BACKOFF_MOST_US;
    }
    assert_int_equal(mf__backoff_us(UINT32_MAX, 0), MF_BACKOFF_MOST_US / 5);
}

/* A lost connection is made again by itself; retry_now cuts the pause short. */
static void test_reconnect(void **state)
{
    fixture *f = *state;

    connect_peer(f);
    mf__connection_healthy(f->w->connection);
    close_peer(f);
    witness_await(f->w, 1, 1, 0);
    assert_why(f, "127.0.0.1:%d: connection closed by peer", f->port);
    connect_peer(f);
    close_listener(f);
    peer_reset(f->peer);
    f->peer = -1;
    witness_await(f->w, 2, 6, 0); /* pauses grow meanwhile */
    assert_why(f, "127.0.0.1:%d: connection refused", f->port);
    mf__connection_retry_now(f->w->connection);
    for (int turns = 0; turns < 20; turns++)
        witness_turn(f->w);
    assert_true(f->w->downs >= 7);
}

/* What a peer sent before it closed is told before the loss. */
static void test_last_words(void **state)
{
    fixture *f = *state;

    connect_peer(f);
    peer_send(f->peer, "-ERR max number of clients reached\r\n");
    close_peer(f);
    witness_send(f->w, "PING\r\n");
    witness_await(f->w, 1, 1, 0);
    witness_assert_input(f->w, "-ERR max number of clients reached\r\n");
}

/* A peer that resets is told as such. */
static void test_reset(void **state)
{
    fixture *f = *state;

    connect_peer(f);
    peer_reset(f->peer);
    f->peer = -1;
    witness_await(f->w, 1, 1, 0);
    assert_why(f, "127.0.0.1:%d: connection reset by peer", f->port);
}

/* Writing to a peer that has gone does not raise SIGPIPE, whose default would end the process. */
static void test_no_sigpipe(void **state)
{
    fixture *f = *state;
    char path[128];

    assert_true(signal(SIGPIPE, SIG_DFL) == SIG_DFL);
    snprintf(path, sizeof path, "%s/s", f->directory);
    close_listener(f);
    f->listener = listen_unix(path);
    witness_open(f->w, path, 0, NULL);
    connect_peer(f);
    close_peer(f);
    witness_send(f->w, "to nobody");
    witness_await(f->w, 1, 1, 0);
}

/* The endpoints of one attempt are tried in turn without a word, the next one after a loss. */
static void test_endpoints(void **state)
{
    fixture *f = *state;
    int port;
    mf_endpoint endpoints[3] = {{.host = "127.0.0.1"}, {.path = "/none"}, {.host = "127.0.0.1"}};
    mf_connection_options options = {.endpoints = endpoints, .endpoint_count = 3};

    f->other = listen_tcp(&port);
    endpoints[0].port = port;
    endpoints[2].port = f->port;
    witness_open(f->w, NULL, 0, &options);
    witness_await(f->w, 1, 0, 0);
    f->peer = accept_peer(f->other);
    close(f->other);
    f->other = -1;
    close_peer(f);
    witness_await(f->w, 2, 0, 0);
    assert_int_equal(f->w->downs, 1);
    f->peer = accept_peer(f->listener);
}

/* When no endpoint can be reached there is one down for all of them. */
static void test_endpoints_unreachable(void **state)
{
    fixture *f = *state;
    mf_endpoint endpoints[] = {{.path = "/none"}, {.path = "/neither"}};
    mf_connection_options options = {.endpoints = endpoints, .endpoint_count = 2};

    witness_open(f->w, NULL, 0, &options);
    witness_await(f->w, 0, 1, 0);
    assert_why(f, "/neither: no such file or directory");
    witness_await(f->w, 0, 2, 0);
    assert_why(f, "/neither: no such file or directory");
}

/* A peer that owes an answer is given up at the deadline, with its name and the time. */
static void test_expect(void **state)
{
    fixture *f = *state;

    connect_peer(f);
    int64_t now = mf_loop_now_us(f->w->loop);
    mf__connection_expect(f->w->connection, now + 50000);
    mf__connection_expect(f->w->connection, now + 150000);
    witness_await(f->w, 1, 1, 0);
    assert_true(mf_loop_now_us(f->w->loop) >= now + 150000);
    int within = atoi(strstr(f->w->why.text, "within ") + 7);
    assert_in_range(within, 1, 150);
    assert_why(f, "no reply from 127.0.0.1:%d within %d ms", f->port, within);
}

static void end_expectation(witness *w)
{
    mf__connection_expect(w->connection, 0);
}

/* An answer that has arrived before the deadline was looked at counts, however late we are. */
static void test_expect_after_pause(void **state)
{
    fixture *f = *state;

    connect_peer(f);
    f->w->on_data = end_expectation;
    peer_send(f->peer, "+PONG");
    mf__connection_expect(f->w->connection, mf_loop_now_us(f->w->loop) - 1000000);
    witness_send(f->w, "PING"); /* makes the loop look at its timers before it reads */
    witness_await(f->w, 1, 0, 5);
    witness_turn(f->w);
    assert_int_equal(f->w->downs, 0);
}

/* A deadline that was taken back does not end the connection, nor does one of a lost connection
 * end the next. */
static void test_expect_nothing(void **state)
{
    fixture *f = *state;

    connect_peer(f);
    mf__connection_expect(f->w->connection, mf_loop_now_us(f->w->loop));
    mf__connection_expect(f->w->connection, 0);
    witness_turn(f->w);
    assert_int_equal(f->w->downs, 0);
    mf__connection_expect(f->w->connection, mf_loop_now_us(f->w->loop) + 200000);
    close_peer(f);
    witness_await(f->w, 1, 1, 0);
    connect_peer(f);
    int64_t start = mf_loop_now_us(f->w->loop);
    mf__connection_expect(f->w->connection, start + 400000);
    witness_await(f->w, 2, 2, 0);
    assert_true(mf_loop_now_us(f->w->loop) >= start + 400000);
}

/* fail drops the connection with the given reason, and not from inside the call. */
static void test_fail(void **state)
{
    fixture *f = *state;
    mf_error why = {.code = MF_EREFUSED, .text = "wrong password"};

    connect_peer(f);
    mf__connection_fail(f->w->connection, &why);
    mf__connection_fail(f->w->connection, &(mf_error){.code = MF_EPROTO, .text = "later"});
    assert_int_equal(f->w->downs, 0);
    assert_false(mf__connection_is_up(f->w->connection));
    witness_await(f->w, 1, 1, 0);
    assert_int_equal(f->w->why.code, MF_EREFUSED);
    assert_string_equal(f->w->why.text, "wrong password");
    connect_peer(f);
}

static void fail_at_once(witness *w)
{
    mf__connection_fail(w->connection, &(mf_error){.code = MF_EPROTO, .text = "nonsense"});
}

/* fail works from inside the callbacks of the same connection. */
static void test_fail_inside(void **state)
{
    fixture *f = *state;

    connect_peer(f);
    f->w->on_data = fail_at_once;
    peer_send(f->peer, "x");
    witness_await(f->w, 1, 1, 0);
    f->w->on_up = fail_at_once;
    witness_await(f->w, 2, 2, 0);
    assert_string_equal(f->w->why.text, "nonsense");
}

/* A connection may be closed inside each of its callbacks; nothing is called afterwards. */
static void test_close_inside(void **state)
{
    fixture *f = *state;

    f->w->on_up = witness_close;
    witness_open(f->w, "127.0.0.1", f->port, NULL);
    witness_await(f->w, 1, 0, 0);
    f->w->on_up = NULL;
    f->peer = accept_peer(f->listener);
    close_peer(f);

    connect_peer(f);
    f->w->on_data = witness_close;
    peer_send(f->peer, "x");
    witness_await(f->w, 2, 0, 1);
    close_peer(f);

    f->w->on_down = witness_close;
    connect_peer(f);
    close_peer(f);
    witness_await(f->w, 3, 1, 0);
    witness_turn(f->w);
    assert_null(f->w->connection);
    assert_int_equal(f->w->downs, 1);
}

/* Closing in the callback of a failed attempt, which may come from inside the dialing. */
static void test_close_inside_refused(void **state)
{
    fixture *f = *state;

    close_listener(f);
    f->w->on_down = witness_close;
    witness_open(f->w, "127.0.0.1", f->port, NULL);
    witness_await(f->w, 0, 1, 0);
    witness_open(f->w, "/none", 0, NULL);
    witness_await(f->w, 0, 2, 0);
}

/* A thousand connections later there are as many descriptors as before, and as much memory. */
static void test_cycles(void **state)
{
    fixture *f = *state;
    resources before = {0};

    for (int i = 0; i < 1050; i++) {
        if (i == 50)
            before = resources_now();
        witness_open(f->w, "127.0.0.1", f->port, NULL);
        witness_await(f->w, f->w->ups + 1, 0, 0);
        f->peer = accept_peer(f->listener);
        peer_send(f->peer, "hello");
        witness_await(f->w, 0, 0, 5);
        witness_assert_input(f->w, "hello");
        witness_close(f->w);
        close_peer(f);
    }
    resources_assert_same(before, 16 * 1024);
}

/* The same when it is lost and made again. */
static void test_reconnect_cycles(void **state)
{
    fixture *f = *state;
    resources before = {0};

    connect_peer(f);
    for (int i = 0; i < 1050; i++) {
        if (i == 50)
            before = resources_now();
        mf__connection_healthy(f->w->connection);
        peer_reset(f->peer);
        witness_await(f->w, 0, f->w->downs + 1, 0);
        mf__connection_retry_now(f->w->connection);
        connect_peer(f);
    }
    resources_assert_same(before, 16 * 1024);
}

typedef struct bad_case {
    mf_endpoint endpoint;
    const char *text;
} bad_case;

/* Endpoints that cannot be are refused at once, with the rule. */
static void test_bad_endpoints(void **state)
{
    fixture *f = *state;
    char path[200], host[300];
    bad_case cases[] = {
        {{.host = "", .port = 1}, "host: not 1 to 253 bytes"},
        {{.host = host, .port = 1}, "host: not 1 to 253 bytes"},
        {{.host = "h", .port = 0}, "port 0 of h: not 1 to 65535"},
        {{.host = "h", .port = 65536}, "port 65536 of h: not 1 to 65535"},
        {{.path = ""}, "socket path \"\": not 1 to 107 bytes"},
        {{.path = path}, "not 1 to 107 bytes"},
    };

    memset(path, 'p', sizeof path - 1);
    memset(host, 'h', sizeof host - 1);
    path[sizeof path - 1] = host[sizeof host - 1] = '\0';
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mf_connection_options options = {.endpoints = &cases[i].endpoint, .endpoint_count = 1};
        mf_connection *connection;
        mf_error error;
        assert_int_equal(mf__connection_open(&connection, f->w->loop, &options, NULL, NULL, &error),
                         MF_EINVAL);
        assert_non_null(strstr(error.text, cases[i].text));
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_exchange),
        TEST(test_unix),
        TEST(test_unix_missing),
        TEST(test_localhost),
        TEST(test_lookup),
        TEST(test_unknown_name),
        TEST(test_close_while_resolving),
        TEST(test_refused),
        TEST(test_connect_timeout),
        TEST(test_backoff),
        TEST(test_reconnect),
        TEST(test_last_words),
        TEST(test_reset),
        TEST(test_no_sigpipe),
        TEST(test_endpoints),
        TEST(test_endpoints_unreachable),
        TEST(test_expect),
        TEST(test_expect_after_pause),
        TEST(test_expect_nothing),
        TEST(test_fail),
        TEST(test_fail_inside),
        TEST(test_close_inside),
        TEST(test_close_inside_refused),
        TEST(test_cycles),
        TEST(test_reconnect_cycles),
        TEST(test_bad_endpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
