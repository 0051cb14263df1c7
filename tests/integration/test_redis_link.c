/* The Redis driver's connections: what it does when they fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/redis.h>

#include "certificates.h"
#include "redis_link.h"

/* A server that is not there: an error within the time for connecting, or patience when asked. */
static void test_not_there(void **state)
{
    redis_link *f = *state;
    char url[128];
    driver_pending pending;
    mf_claim claim = {.id = "x"};

    redis_link_start(f, NULL, NULL);
    redis_server_stop(f->server);
    int64_t start_ms = clock_ms();
    assert_int_equal(redis_link_ask(f, f->server->url), MF_EUNREACHABLE);
    assert_true(clock_ms() - start_ms < 5000);
    driver_close(&f->handle);

    f->options.wait_for_broker = true;
    snprintf(url, sizeof url, "%s", f->server->url);
    assert_int_equal(driver_open(&f->handle, &mf_redis_driver, f->loop, url, &f->options), MF_OK);
    driver_begin(&f->handle, &pending, f->handle.broker->operations->claim, &f->session, &claim);
    driver_watch(&f->handle, &f->session);
    assert_int_equal(f->handle.downs, 1);
    assert_int_equal(pending.answered, 0);
    redis_server_restart(f->server);
    driver_await(&f->handle, &pending.answered, 1);
    assert_int_equal(pending.request.request.error.code, MF_ENOSESSION);
}

/* Requests under way when the server dies are unknown, later ones not executed; watchers are told,
 * and told again when it is back. */
static void test_server_dies(void **state)
{
    redis_link *f = *state;
    driver_pending pending;
    mf_claim claim = {.id = "x"};

    redis_link_start(f, NULL, NULL);
    redis_link_join(f, f->server->url);
    redis_server_pause(f->server);
    driver_begin(&f->handle, &pending, f->handle.broker->operations->claim, &f->session, &claim);
    driver_run_ms(&f->handle, 50);
    assert_int_equal(pending.answered, 0);
    redis_server_kill(f->server);
    driver_await(&f->handle, &pending.answered, 1);
    assert_int_equal(pending.request.request.error.code, MF_EUNKNOWN);
    driver_await(&f->handle, &f->handle.downs, 1);
    assert_int_equal(driver_renew(&f->handle, &f->session), MF_EUNREACHABLE);
    redis_server_restart(f->server);
    driver_await(&f->handle, &f->handle.resyncs, 2);
    assert_int_equal(f->handle.ups, 2);
    assert_int_equal(driver_renew(&f->handle, &f->session), MF_ENOSESSION);
}

/* A peer that is silently gone is found by the requests that it owes, and by pings when it owes
 * none, both within twice the reply timeout. */
static void test_silence(void **state)
{
    redis_link *f = *state;
    char url[64];

    redis_link_start(f, NULL, NULL);
    f->proxy = proxy_new(f->server->port, NULL);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", proxy_port(f->proxy));
    f->options.reply_timeout_ms = 400;
    redis_link_join(f, url);
    proxy_blackhole(f->proxy, PROXY_BOTH);
    int64_t start_ms = clock_ms();
    assert_int_equal(driver_renew(&f->handle, &f->session), MF_EUNKNOWN);
    assert_in_range(clock_ms() - start_ms, 350, 1000);
    assert_int_equal(f->handle.downs, 1);
    proxy_resume(f->proxy);
    driver_await(&f->handle, &f->handle.resyncs, 2);

    proxy_blackhole(f->proxy, PROXY_REPLIES);
    start_ms = clock_ms();
    driver_await(&f->handle, &f->handle.downs, 2);
    assert_true(clock_ms() - start_ms < 1200);
}

/* An idle connection lives: it is asked for a sign of life and gives one. */
static void test_idle(void **state)
{
    redis_link *f = *state;

    redis_link_start(f, NULL, NULL);
    f->options.reply_timeout_ms = 100;
    redis_link_join(f, f->server->url);
    driver_run_ms(&f->handle, 700);
    assert_int_equal(f->handle.downs, 0);
    assert_int_equal(f->handle.resyncs, 1);
    assert_true(redis_server_info(f->server, "total_connections_received") <= 4);
}

/* A reply that is large and slow is no silence: each piece of it is a sign of life. */
static void test_slow_replies(void **state)
{
    redis_link *f = *state;
    mf_claim claim = {.id = "x"};
    char url[64];
    char *properties = malloc((1 << 20) + 1);

    redis_link_start(f, NULL, NULL);
    memset(properties, ' ', 1 << 20);
    memcpy(properties, "{}", 2);
    properties[1 << 20] = '\0';
    f->proxy = proxy_new(f->server->port, NULL);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", proxy_port(f->proxy));
    redis_link_join(f, url);
    proxy_delay(f->proxy, PROXY_BOTH, 300);
    assert_int_equal(driver_submit(&f->handle, "s", "x", properties), MF_OK);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    assert_string_equal(claim.properties, properties);
    free(claim.properties);
    free(properties);
}

/* A claim whose reply is lost was executed or not; asked again in the next epoch it has one answer,
 * and its delayed first copy none. */
static void test_lost_reply(void **state)
{
    redis_link *f = *state;
    mf_claim claim = {.id = "x"};
    char url[64];

    redis_link_start(f, NULL, NULL);
    f->proxy = proxy_new(f->server->port, NULL);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", proxy_port(f->proxy));
    redis_link_join(f, url);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    assert_int_equal(driver_release(&f->handle, &f->session, &claim), MF_OK);
    proxy_arm(f->proxy, PROXY_LOSE_REPLY, "{t}:owner:x", 11);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_EUNKNOWN);
    driver_await(&f->handle, &f->handle.resyncs, 2);
    f->session.epoch++;
    assert_int_equal(driver_join(&f->handle, &f->session), MF_OK);
    uint64_t granted = (uint64_t)redis_server_integer(f->server, "EXISTS {t}:owner:x");
    assert_int_equal(granted, 1);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    f->session.epoch--;
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_ESTALE);
}

/* A subscription that the server ends is made again: the watcher is told to read again, and not
 * that the broker was gone. */
static void test_subscription_killed(void **state)
{
    redis_link *f = *state;

    redis_link_start(f, NULL, NULL);
    redis_link_join(f, f->server->url);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(redis_server_integer(f->server, "CLIENT KILL TYPE pubsub"), 1);
        driver_await(&f->handle, &f->handle.resyncs, i + 2);
    }
    assert_int_equal(f->handle.downs, 0);
    assert_int_equal(f->handle.ups, 1);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    driver_await_size(&f->handle, &f->handle.claimable, 1);
}

/* Watchers come and go on one handle; the node's channel goes with its last watcher. */
static void test_watchers(void **state)
{
    redis_link *f = *state;
    driver_handle second;

    redis_link_start(f, NULL, NULL);
    redis_link_join(f, f->server->url);
    second = (driver_handle){.loop = f->loop, .broker = f->handle.broker};
    driver_watch(&second, &f->session);
    assert_int_equal(second.ups, 1);
    assert_int_equal(driver_send(&f->handle, "a", "{}"), MF_OK);
    driver_await(&f->handle, &f->handle.commands, 1);
    driver_await(&second, &second.commands, 1);
    driver_unwatch(&f->handle);
    assert_int_equal(driver_send(&f->handle, "a", "{}"), MF_OK);
    driver_await(&second, &second.commands, 2);
    driver_unwatch(&second);
    assert_int_equal(driver_send(&f->handle, "a", "{}"), MF_OK);
    while (redis_server_integer(f->server, "PUBLISH {t}:hints:a x") != 0)
        driver_run_ms(&f->handle, 5);
    assert_int_equal(f->handle.commands, 1);
    assert_int_equal(second.commands, 2);
}

/* Closing answers what is under way, whether it was sent or waits for a connection. */
static void test_close(void **state)
{
    redis_link *f = *state;
    driver_pending sent[4], waiting;
    mf_claim claims[5] = {{.id = "x"}, {.id = "x"}, {.id = "x"}, {.id = "x"}, {.id = "x"}};

    redis_link_start(f, NULL, NULL);
    redis_link_join(f, f->server->url);
    redis_server_pause(f->server);
    for (int i = 0; i < 4; i++)
        driver_begin(&f->handle, &sent[i], f->handle.broker->operations->claim, &f->session,
                     &claims[i]);
    driver_close(&f->handle);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sent[i].answered, 1);
        assert_int_equal(sent[i].request.request.error.code, MF_EUNKNOWN);
    }
    assert_int_equal(
        driver_open(&f->handle, &mf_redis_driver, f->loop, f->server->url, &f->options), MF_OK);
    driver_begin(&f->handle, &waiting, f->handle.broker->operations->claim, &f->session,
                 &claims[4]);
    driver_close(&f->handle);
    assert_int_equal(waiting.answered, 1);
    assert_int_equal(waiting.request.request.error.code, MF_ECLOSED);
    redis_server_resume(f->server);
}

/* rediss:// verifies the server, shows a client certificate when it has one, and keeps both of its
 * connections under TLS. */
static void test_tls(void **state)
{
    redis_link *f = *state;
    redis_server_options options = {.certificates = certificates_directory(),
                                    .client_certificate = true};
    char url[1024];

    f->server = redis_server_start(&options);
    snprintf(url, sizeof url, "%s?tls_ca_file=%s&tls_cert_file=%s&tls_key_file=%s",
             f->server->tls_url, certificates_file("ca.crt"), certificates_file("client.crt"),
             certificates_file("client.key"));
    redis_link_join(f, url);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    driver_await_size(&f->handle, &f->handle.claimable, 1);
    driver_close(&f->handle);
    snprintf(url, sizeof url, "%s?tls_ca_file=%s", f->server->tls_url, certificates_file("ca.crt"));
    assert_int_equal(redis_link_ask(f, url), MF_EUNREACHABLE);
    snprintf(url, sizeof url, "%s?tls_ca_file=%s", f->server->tls_url,
             certificates_file("other-ca.crt"));
    assert_int_equal(redis_link_ask(f, url), MF_EUNREACHABLE);
    redis_link_assert_says(f, "certificate");
}

static bool cluster_is_up(redis_server *server)
{
    redisReply *reply = redis_server_command(server, "CLUSTER INFO");
    bool up = strstr(reply->str, "cluster_state:ok") != NULL;

    freeReplyObject(reply);
    return up;
}

/* A node of a cluster serves a namespace whose slot it has; one that has not says who does. */
static void test_cluster(void **state)
{
    redis_link *f = *state;

    redis_link_start(f, "cluster-enabled yes\n", NULL);
    redis_server_do(f->server, "CLUSTER ADDSLOTSRANGE 0 16383");
    while (!cluster_is_up(f->server))
        driver_run_ms(&(driver_handle){.loop = f->loop}, 20);
    redis_link_join(f, f->server->url);
    mf_claim claim = {.id = "x"};
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    assert_int_equal(driver_done(&f->handle, &f->session, &claim), MF_OK);
    assert_int_equal(driver_count_tasks(&f->handle, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_not_there, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_server_dies, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_silence, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_idle, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_slow_replies, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_lost_reply, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_subscription_killed, redis_link_setup,
                                        redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_watchers, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_close, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_tls, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_cluster, redis_link_setup, redis_link_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
