/* The etcd driver: how it is opened and connects, and what its requests are made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <metafora/etcd.h>

#include "certificates.h"
#include "driver_calls.h"
#include "etcd_server.h"
#include "loop/loop.h"

enum { LEASE_MS = 20000 };

typedef struct fixture {
    etcd_server *server;
    mf_loop *loop;
    driver_handle a;
    mf_session session;
    mf_broker_options options;
    char url[256];
} fixture;

static fixture *new_fixture(const etcd_server_options *options)
{
    fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->server = etcd_server_start(options);
    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, NULL, NULL, MF_LOG_NONE);
    f->session = driver_session("a", 'a', LEASE_MS);
    f->options = (mf_broker_options)MF_BROKER_OPTIONS_INIT;
    f->options.name_space = "t";
    f->options.connect_timeout_ms = 2000;
    return f;
}

static int plain(void **state)
{
    *state = new_fixture(NULL);
    return 0;
}

static int with_tls(void **state)
{
    etcd_server_options options = {.certificates = certificates_directory(),
                                   .client_certificate = true};

    *state = new_fixture(&options);
    return 0;
}

static int with_few_operations(void **state)
{
    static const char *const argv[] = {"--max-txn-ops=32", NULL};
    static const etcd_server_options options = {.argv = argv};

    *state = new_fixture(&options);
    return 0;
}

static int with_many_operations(void **state)
{
    static const char *const argv[] = {"--max-txn-ops=10000", NULL};
    static const etcd_server_options options = {.argv = argv};

    *state = new_fixture(&options);
    return 0;
}

static int no_server(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, NULL, NULL, MF_LOG_NONE);
    f->options = (mf_broker_options)MF_BROKER_OPTIONS_INIT;
    f->options.name_space = "t";
    f->options.connect_timeout_ms = 300;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    driver_close(&f->a);
    mf_loop_free(f->loop);
    etcd_server_free(f->server);
    free(f);
    return 0;
}

static int open_at(fixture *f, const char *url)
{
    return driver_open(&f->a, &mf_etcd_driver, f->loop, url, &f->options);
}

/* The code of the first request on a handle of its own. */
static int first_code(fixture *f, const char *url)
{
    assert_int_equal(open_at(f, url), MF_OK);
    int code = driver_send(&f->a, "n", "{}");
    driver_close(&f->a);
    return code;
}

/* URLs with parts that do not belong are refused, and the error names the part. */
static void test_urls(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *url, *part;
    } bad[] = {{"etcd://", "host"},
               {"etcd:///path", "host"},
               {"etcd://h/path", "path"},
               {"etcd://h:0", "port"},
               {"etcd://h:x", "port"},
               {"etcd://h?max_txn_ops=7", "max_txn_ops"},
               {"etcd://h?max_txn_ops=", "max_txn_ops"},
               {"etcd://h?max_txn_ops=128x", "max_txn_ops"},
               {"etcd://h?nonsense=1", "nonsense"}};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(open_at(f, bad[i].url), MF_EINVAL);
        if (strstr(f->a.error.text, bad[i].part) == NULL)
            fail_msg("%s: %s", bad[i].url, f->a.error.text);
    }
    f->options.name_space = "a/b";
    assert_int_equal(open_at(f, "etcd://h"), MF_EINVAL);
    assert_non_null(strstr(f->a.error.text, "name_space"));
}

/* TLS is spoken with what the options say: a server that the authority has not signed is refused,
 * and so are we without a certificate. */
static void test_tls(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};

    assert_int_not_equal(first_code(f, f->server->url), MF_OK);
    f->options.tls_ca_file = certificates_file("other-ca.crt");
    assert_int_not_equal(first_code(f, f->server->url), MF_OK);
    f->options.tls_ca_file = certificates_file("ca.crt");
    assert_int_not_equal(first_code(f, f->server->url), MF_OK);
    f->options.tls_cert_file = certificates_file("client.crt");
    f->options.tls_key_file = certificates_file("client.key");
    assert_int_equal(first_code(f, f->server->url), MF_OK);

    assert_int_equal(open_at(f, f->server->url), MF_OK);
    driver_watch(&f->a, &f->session);
    assert_int_equal(driver_join(&f->a, &f->session), MF_OK);
    assert_int_equal(driver_submit(&f->a, "k", "x", NULL), MF_OK);
    driver_await_size(&f->a, &f->a.claimable, 1);
    assert_int_equal(driver_claim(&f->a, &f->session, &claim), MF_OK);
    assert_int_equal(driver_renew_one(&f->a, &f->session, &claim), MF_OK);
}

/* Plain bytes to a server that speaks TLS, and the other way around, are found out in time. */
static void test_wrong_scheme(void **state)
{
    fixture *f = *state;

    snprintf(f->url, sizeof f->url, "etcds://localhost:%d", f->server->members[0].port);
    assert_true(first_code(f, f->url) != MF_OK);
}

/* The first of several places that is a server is used. */
static void test_several_places(void **state)
{
    fixture *f = *state;

    snprintf(f->url, sizeof f->url, "etcd://127.0.0.1:%d,no-such-host.invalid,%s", free_port(),
             f->server->url + strlen("etcd://"));
    assert_int_equal(first_code(f, f->url), MF_OK);
}

/* Items that are too much for one request to the server go as several, each with its results, also
 * when they come again; an id that comes twice is there already. */
static void test_large_submit(void **state)
{
    fixture *f = *state;
    enum { COUNT = 6 };
    static const char *const ids[COUNT] = {"a", "b", "c", "d", "a", "e"};
    static const int expected[COUNT] = {MF_OK, MF_EEXISTS, MF_OK, MF_OK, MF_EEXISTS, MF_OK};
    char *large = malloc(900001);
    mf_item items[COUNT];

    memset(large, '1', 900000);
    large[900000] = '\0';
    assert_int_equal(open_at(f, f->server->url), MF_OK);
    assert_int_equal(driver_submit(&f->a, "first", "b", NULL), MF_OK);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT; i++)
            items[i] = (mf_item){.id = ids[i], .properties = large, .result = MF_EPROTO};
        assert_int_equal(driver_submit_list(&f->a, "k", items, COUNT), MF_OK);
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(items[i].result, expected[i]);
    }
    free(large);
    assert_int_equal(driver_count_tasks(&f->a, NULL), 5);
}

/* A server that takes fewer operations than usual says so; told how many, the driver fits in. */
static void test_few_operations(void **state)
{
    fixture *f = *state;

    assert_int_equal(open_at(f, f->server->url), MF_OK);
    assert_int_equal(driver_join(&f->a, &f->session), MF_OK);
    size_t usual = f->a.broker->max_batch;
    driver_close(&f->a);
    snprintf(f->url, sizeof f->url, "%s?max_txn_ops=32", f->server->url);
    assert_int_equal(open_at(f, f->url), MF_OK);
    assert_true(f->a.broker->max_batch < usual);
    assert_int_equal(driver_join(&f->a, &f->session), MF_OK);
    driver_submit_many(&f->a, "t", 300);
    driver_claim_many(&f->a, &f->session, "t", 300);
    assert_int_equal(driver_node_tasks(&f->a, "a"), 300);
    assert_int_equal(driver_count_tasks(&f->a, NULL), 300);
    assert_int_equal(driver_leave(&f->a, &f->session), MF_OK);
    assert_int_equal(driver_count_claimable(&f->a), 300);
}

/* Servers that are none. */

typedef struct impostor {
    struct evconnlistener *listener;
    const char *bytes;
    size_t length;
    bool hang_up;
    unsigned connections;
    struct bufferevent *sockets[64];
} impostor;

static void on_connection(struct evconnlistener *listener, evutil_socket_t socket,
                          struct sockaddr *address, int length, void *arg)
{
    impostor *i = arg;
    struct bufferevent *b =
        bufferevent_socket_new(evconnlistener_get_base(listener), socket, BEV_OPT_CLOSE_ON_FREE);

    (void)address;
    (void)length;
    if (i->hang_up || i->connections == 64) {
        bufferevent_free(b);
        return;
    }
    bufferevent_enable(b, EV_READ | EV_WRITE);
    bufferevent_write(b, i->bytes, i->length);
    i->sockets[i->connections++] = b;
}

static int start_impostor(fixture *f, impostor *i)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;

    i->listener = evconnlistener_new_bind(mf_loop_event_base(f->loop), on_connection, i,
                                          LEV_OPT_CLOSE_ON_FREE, -1, (struct sockaddr *)&address,
                                          sizeof address);
    assert_non_null(i->listener);
    getsockname(evconnlistener_get_fd(i->listener), (struct sockaddr *)&address, &length);
    return ntohs(address.sin_port);
}

static void stop_impostor(impostor *i)
{
    for (unsigned n = 0; n < i->connections; n++)
        bufferevent_free(i->sockets[n]);
    evconnlistener_free(i->listener);
}

#define BYTES(text) text, sizeof(text) - 1

/* Whatever a peer says that is no etcd, the first request fails with an error that names it, in the
 * time for connecting, and the handle can be closed. */
static void test_impostors(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *bytes;
        size_t length;
        int code;
    } cases[] = {
        {BYTES(""), MF_EUNREACHABLE},
        {NULL, 0, MF_EUNREACHABLE},
        {BYTES("HTTP/1.1 400 Bad Request\r\n\r\n<html>what?</html>"), MF_EPROTO},
        {BYTES("-ERR unknown command 'PRI'\r\n"), MF_EPROTO},
        {BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), MF_EPROTO},
        /* SETTINGS, then a frame of type DATA on stream 0. */
        {BYTES("\0\0\0\4\0\0\0\0\0\0\0\1\0\0\0\0\0\0x"), MF_EPROTO},
        /* SETTINGS, then HEADERS for stream 1 that HPACK cannot read. */
        {BYTES("\0\0\0\4\0\0\0\0\0\0\0\2\1\5\0\0\0\1\xff\xff"), MF_EPROTO},
        /* SETTINGS, then GOAWAY with PROTOCOL_ERROR. */
        {BYTES("\0\0\0\4\0\0\0\0\0\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\1"), MF_EUNREACHABLE},
    };

    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        impostor i = {.bytes = cases[n].bytes, .length = cases[n].length};
        i.hang_up = cases[n].bytes == NULL;
        snprintf(f->url, sizeof f->url, "etcd://127.0.0.1:%d", start_impostor(f, &i));
        int64_t began_us = mf_loop_now_us(f->loop);
        int code = first_code(f, f->url);
        if (code != cases[n].code)
            fail_msg("case %zu: %s, not %s: %s", n, mf_error_name(code),
                     mf_error_name(cases[n].code), f->a.error.text);
        assert_non_null(strstr(f->a.error.text, "127.0.0.1:"));
        assert_true(mf_loop_now_us(f->loop) - began_us < 2000000);
        stop_impostor(&i);
    }
}

/* However many operations a transaction may have: a whole batch of claims is granted, on leases
 * that it fits on. */
static void test_many_operations(void **state)
{
    enum { COUNT = 2000 };
    fixture *f = *state;

    snprintf(f->url, sizeof f->url, "%s?max_txn_ops=10000", f->server->url);
    assert_int_equal(open_at(f, f->url), MF_OK);
    assert_int_equal(driver_join(&f->a, &f->session), MF_OK);
    driver_submit_many(&f->a, "x", COUNT);
    driver_claim_many(&f->a, &f->session, "x", COUNT);
    char *leases = etcd_ctl(f->server, "lease", "list", NULL);
    unsigned count = 0;
    for (const char *at = leases; (at = strchr(at, '\n')) != NULL; at++)
        count++;
    free(leases);
    assert_in_range(count, 2, 12);
}

#define TEST(function, set_up) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_urls, no_server),      TEST(test_tls, with_tls),
        TEST(test_wrong_scheme, plain),  TEST(test_several_places, plain),
        TEST(test_large_submit, plain),  TEST(test_few_operations, with_few_operations),
        TEST(test_impostors, no_server), TEST(test_many_operations, with_many_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
