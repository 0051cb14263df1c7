/* The connection over TLS, against redis-server and openssl's test server. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "certificates.h"
#include "process.h"
#include "proxy.h"
#include "redis_server.h"
#include "resources.h"
#include "witness.h"

/* A redis-server sends its authority along. */
#define NOT_ACCEPTED "TLS: certificate not accepted: self-signed certificate in certificate chain"
#define BIG (8 * 1024 * 1024)

/* Servers are started once; what each test opens is in the fixture. */
static redis_server *redis, *strict_redis;

typedef struct fixture {
    witness *w;
    process openssl;
    int openssl_port;
    proxy *proxy;
    char *directory;
} fixture;

static int set_up_group(void **state)
{
    redis_server_options options = {.certificates = certificates_directory()};

    (void)state;
    redis = redis_server_start(&options);
    options.client_certificate = true;
    strict_redis = redis_server_start(&options);
    return 0;
}

static int tear_down_group(void **state)
{
    (void)state;
    redis_server_free(redis);
    redis_server_free(strict_redis);
    return 0;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    f->w = witness_new();
    f->directory = directory_new();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    witness_free(f->w);
    proxy_free(f->proxy);
    process_kill(&f->openssl);
    directory_remove(f->directory);
    free(f);
    return 0;
}

static mf_connection_options verified(void)
{
    return (mf_connection_options){
        .connect_timeout_ms = 5000, .tls = true, .tls_ca_file = certificates_file("ca.crt")};
}

/* openssl's server sends back each line in reverse. */
static void start_openssl(fixture *f, const char *certificate, const char *protocol)
{
    char accept[32], certificate_file[32], key_file[32], output[256];

    snprintf(certificate_file, sizeof certificate_file, "%s.crt", certificate);
    snprintf(key_file, sizeof key_file, "%s.key", certificate);
    snprintf(output, sizeof output, "%s/openssl", f->directory);
    f->openssl_port = free_port();
    snprintf(accept, sizeof accept, "127.0.0.1:%d", f->openssl_port);
    const char *const argv[] = {"openssl",
                                "s_server",
                                "-rev",
                                "-accept",
                                accept,
                                "-cert",
                                certificates_file(certificate_file),
                                "-key",
                                certificates_file(key_file),
                                protocol != NULL ? "-alpn" : NULL,
                                protocol,
                                NULL};
    process_start(&f->openssl, argv, output);
    assert_true(process_await_output(&f->openssl, "ACCEPT", 0, 5000));
}

static void assert_down(const fixture *f, const char *host, int port, const char *why)
{
    char text[256];

    snprintf(text, sizeof text, "%s:%d: %s", host, port, why);
    assert_string_equal(f->w->why.text, text);
    assert_int_equal(f->w->why.code, MF_EUNREACHABLE);
    assert_int_equal(f->w->ups, 0);
}

/* A server whose certificate is for the name, from the given authority, is talked to. */
static void test_exchange(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();

    witness_open(f->w, "localhost", redis->tls_port, &options);
    witness_await(f->w, 1, 0, 0);
    witness_send(f->w, "PING\r\n");
    witness_await(f->w, 1, 0, 7);
    witness_assert_input(f->w, "+PONG\r\n");
}

/* A numeric host is looked for among the certificate's addresses. */
static void test_address(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();

    witness_open(f->w, "127.0.0.1", redis->tls_port, &options);
    witness_await(f->w, 1, 0, 0);
}

/* An authority that did not sign the server's certificate: no connection, and the cause. */
static void test_wrong_authority(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();

    options.tls_ca_file = certificates_file("other-ca.crt");
    witness_open(f->w, "localhost", redis->tls_port, &options);
    witness_await(f->w, 0, 1, 0);
    assert_down(f, "localhost", redis->tls_port, NOT_ACCEPTED);
}

/* The system's authorities, which are the default, did not sign it either. */
static void test_system_authorities(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();

    options.tls_ca_file = NULL;
    witness_open(f->w, "localhost", redis->tls_port, &options);
    witness_await(f->w, 0, 1, 0);
    assert_down(f, "localhost", redis->tls_port, NOT_ACCEPTED);
}

/* A certificate for another name is not accepted, be the host given by name or by address. */
static void test_wrong_host(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();

    start_openssl(f, "elsewhere", NULL);
    witness_open(f->w, "localhost", f->openssl_port, &options);
    witness_await(f->w, 0, 1, 0);
    assert_down(f, "localhost", f->openssl_port,
                "TLS: certificate not accepted: hostname mismatch");
    witness_close(f->w);
    witness_open(f->w, "127.0.0.1", f->openssl_port, &options);
    witness_await(f->w, 0, f->w->downs + 1, 0);
    assert_down(f, "127.0.0.1", f->openssl_port,
                "TLS: certificate not accepted: IP address mismatch");
}

/* A certificate whose time is over is not accepted. */
static void test_expired(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();

    start_openssl(f, "expired", NULL);
    witness_open(f->w, "localhost", f->openssl_port, &options);
    witness_await(f->w, 0, 1, 0);
    assert_down(f, "localhost", f->openssl_port,
                "TLS: certificate not accepted: certificate has expired");
}

/* Who asks for it gets a connection to anybody. */
static void test_insecure(void **state)
{
    fixture *f = *state;
    mf_connection_options options = {.tls = true, .tls_insecure = true};

    start_openssl(f, "elsewhere", NULL);
    witness_open(f->w, "localhost", f->openssl_port, &options);
    witness_await(f->w, 1, 0, 0);
    witness_send(f->w, "abc\n");
    witness_await(f->w, 1, 0, 4);
    witness_assert_input(f->w, "cba\n");
}

/* A server that demands a certificate says so when there is none, and talks when there is. */
static void test_client_certificate(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();

    witness_open(f->w, "localhost", strict_redis->tls_port, &options);
    witness_await(f->w, 0, 1, 0);
    assert_non_null(strstr(f->w->why.text, "TLS: tlsv13 alert certificate required"));
    witness_close(f->w);
    options.tls_cert_file = certificates_file("client.crt");
    options.tls_key_file = certificates_file("client.key");
    witness_open(f->w, "localhost", strict_redis->tls_port, &options);
    witness_await(f->w, f->w->ups + 1, 0, 0);
    witness_send(f->w, "PING\r\n");
    witness_await(f->w, 0, 0, 7);
}

/* A client's certificate that the server does not accept. */
static void test_strange_client(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();

    options.tls_cert_file = certificates_file("stranger.crt");
    options.tls_key_file = certificates_file("stranger.key");
    witness_open(f->w, "localhost", strict_redis->tls_port, &options);
    witness_await(f->w, 0, 1, 0);
    assert_non_null(strstr(f->w->why.text, "TLS: tlsv1 alert unknown ca"));
}

/* The protocol that was asked for must be selected. */
static void test_alpn(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();

    start_openssl(f, "server", "h2");
    options.tls_alpn = "h2";
    witness_open(f->w, "localhost", f->openssl_port, &options);
    witness_await(f->w, 1, 0, 0);
    witness_close(f->w);
    f->w->ups = 0;
    witness_open(f->w, "localhost", redis->tls_port, &options);
    witness_await(f->w, 0, 1, 0);
    assert_down(f, "localhost", redis->tls_port, "TLS: server does not speak h2");
}

/* A server that does not speak TLS on that port ends the attempt with a cause. */
static void test_plain_server(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();
    int port, listener = listen_tcp(&port);

    witness_open(f->w, "localhost", port, &options);
    witness_turn(f->w);
    int peer = accept_peer(listener);
    peer_send(peer, "-ERR unknown command\r\n");
    witness_await(f->w, 0, 1, 0);
    close(peer);
    close(listener);
    assert_down(f, "localhost", port, "TLS: wrong version number");
}

/* A server that accepts and then says nothing is given up within the connect timeout. */
static void test_handshake_timeout(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();
    int port, listener = listen_tcp(&port);

    options.connect_timeout_ms = 200;
    witness_open(f->w, "localhost", port, &options);
    witness_await(f->w, 0, 1, 0);
    close(listener);
    assert_down(f, "localhost", port, "TLS handshake not finished in time");
}

static void append_big(struct evbuffer *output, char letter)
{
    char *data = malloc(BIG);

    memset(data, letter, BIG);
    evbuffer_add_printf(output, "*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n", BIG);
    evbuffer_add(output, data, BIG);
    evbuffer_add_printf(output, "\r\nGET big\r\n");
    free(data);
}

/* Megabytes go through in both directions unchanged, also when the socket's buffers are full. */
static void test_big(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();
    const char head[] = "+OK\r\n$8388608\r\n";

    witness_open(f->w, "localhost", redis->tls_port, &options);
    witness_await(f->w, 1, 0, 0);
    append_big(mf__connection_output(f->w->connection), 'x');
    witness_await(f->w, 1, 0, sizeof head - 1 + BIG + 2);
    const char *got = (const char *)evbuffer_pullup(f->w->input, -1);
    assert_memory_equal(got, head, sizeof head - 1);
    for (size_t i = 0; i < BIG; i++)
        assert_true(got[sizeof head - 1 + i] == 'x');
}

/* The end of the server without TLS' own goodbye is an ordinary loss, and no SIGPIPE. */
static void test_killed_server(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();

    assert_true(signal(SIGPIPE, SIG_DFL) == SIG_DFL);
    start_openssl(f, "server", NULL);
    witness_open(f->w, "localhost", f->openssl_port, &options);
    witness_await(f->w, 1, 0, 0);
    process_kill(&f->openssl);
    witness_send(f->w, "abc\n");
    witness_await(f->w, 1, 1, 0);
    assert_true(strstr(f->w->why.text, "connection closed by peer") != NULL ||
                strstr(f->w->why.text, "connection reset by peer") != NULL);
}

/* A session that is reset in the middle of big data is lost, made again, and works. */
static void test_cut(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();
    proxy_counters counters;

    f->proxy = proxy_new(redis->tls_port, NULL);
    witness_open(f->w, "localhost", proxy_port(f->proxy), &options);
    witness_await(f->w, 1, 0, 0);
    proxy_hold(f->proxy, PROXY_REPLIES);
    append_big(mf__connection_output(f->w->connection), 'y');
    witness_turn(f->w);
    assert_true(proxy_await(f->proxy, &counters, &counters.requests, 1024, 5000));
    proxy_cut(f->proxy);
    proxy_resume(f->proxy);
    witness_await(f->w, 2, 1, 0);
    witness_send(f->w, "PING\r\n");
    witness_await(f->w, 2, 1, 7);
    witness_assert_input(f->w, "+PONG\r\n");
}

static void ping(witness *w)
{
    witness_send(w, "PING\r\n");
}

/* A connection may be closed inside each of its callbacks. */
static void test_close_inside(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();

    f->w->on_up = witness_close;
    witness_open(f->w, "localhost", redis->tls_port, &options);
    witness_await(f->w, 1, 0, 0);
    f->w->on_up = ping;
    f->w->on_data = witness_close;
    witness_open(f->w, "localhost", redis->tls_port, &options);
    witness_await(f->w, 2, 0, 7);
    f->w->on_down = witness_close;
    options.tls_ca_file = certificates_file("other-ca.crt");
    witness_open(f->w, "localhost", redis->tls_port, &options);
    witness_await(f->w, 2, 1, 0);
}

/* Closing before the handshake is done. */
static void test_close_in_handshake(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();

    for (int turns = 0; turns < 6; turns++) {
        witness_open(f->w, "localhost", redis->tls_port, &options);
        for (int i = 0; i < turns; i++)
            witness_turn(f->w);
        witness_close(f->w);
    }
}

/* Hundreds of sessions later there are as many descriptors as before, and as much memory. */
static void test_cycles(void **state)
{
    fixture *f = *state;
    mf_connection_options options = verified();
    resources before = {0};

    f->w->on_up = ping;
    for (int i = 0; i < 320; i++) {
        if (i == 20)
            before = resources_now();
        witness_open(f->w, "localhost", redis->tls_port, &options);
        witness_await(f->w, 0, 0, 7);
        witness_assert_input(f->w, "+PONG\r\n");
        witness_close(f->w);
    }
    resources_assert_same(before, 64 * 1024);
}

typedef struct bad_case {
    const char *ca, *certificate, *key, *text;
} bad_case;

static const char *file_or_null(const char *name)
{
    return name == NULL || name[0] == '/' ? name : certificates_file(name);
}

/* Files that cannot be used are refused when the connection is opened, by option, path and cause.
 */
static void test_bad_files(void **state)
{
    fixture *f = *state;
    const bad_case cases[] = {
        {"/none", NULL, NULL, "tls_ca_file: /none: no such file or directory"},
        {"server.key", NULL, NULL, "server.key: no certificate or crl found"},
        {NULL, "/none", NULL, "tls_cert_file: /none: no such file or directory"},
        {NULL, "client.key", NULL, "client.key: no start line"},
        {NULL, "client.crt", "/none", "tls_key_file: /none: no such file or directory"},
        {NULL, "client.crt", NULL, "client.crt: "},
        {NULL, "client.crt", "server.key", "server.key: key values mismatch"},
        {NULL, "client.crt", "locked.key",
         "locked.key: needs a password"}, /* nobody is asked for the password */
        {NULL, NULL, "client.key", "tls_key_file: given without tls_cert_file"},
    };
    mf_endpoint endpoint = {.host = "localhost", .port = 1};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mf_connection_options options = {.endpoints = &endpoint,
                                         .endpoint_count = 1,
                                         .tls = true,
                                         .tls_ca_file = file_or_null(cases[i].ca),
                                         .tls_cert_file = file_or_null(cases[i].certificate),
                                         .tls_key_file = file_or_null(cases[i].key)};
        mf_connection *connection;
        mf_error error;
        assert_int_equal(mf__connection_open(&connection, f->w->loop, &options, NULL, NULL, &error),
                         MF_EINVAL);
        if (strstr(error.text, cases[i].text) == NULL)
            fail_msg("\"%s\" has no \"%s\"", error.text, cases[i].text);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_exchange),
        TEST(test_address),
        TEST(test_wrong_authority),
        TEST(test_system_authorities),
        TEST(test_wrong_host),
        TEST(test_expired),
        TEST(test_insecure),
        TEST(test_client_certificate),
        TEST(test_strange_client),
        TEST(test_alpn),
        TEST(test_plain_server),
        TEST(test_handshake_timeout),
        TEST(test_big),
        TEST(test_killed_server),
        TEST(test_cut),
        TEST(test_close_inside),
        TEST(test_close_in_handshake),
        TEST(test_cycles),
        TEST(test_bad_files),
    };
    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
