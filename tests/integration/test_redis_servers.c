/* Which servers the Redis driver takes, and how: URLs, credentials, settings, replicas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/redis.h>

#include "redis_link.h"

/* Bad URLs and options are refused at once, by a text that names the field and the rule. */
static void test_bad_input(void **state)
{
    static const struct {
        const char *url, *name_space, *text;
    } cases[] = {
        {"redis://", "t", "host"},
        {"redis://h/x", "t", "url: database: not a number"},
        {"redis://h/99999999999", "t", "url: database: not a number"},
        {"redis://h?db=1", "t", "'db' is not known"},
        {"unix://", "t", "url: "},
        {"unix:///", "t", "url: path: missing"},
        {"unix:///s?db=x", "t", "url: database: not a number"},
        {"redis://h", NULL, "name_space: missing"},
        {"redis://h", "", "name_space: empty"},
        {"redis://h", "a}b", "name_space: contains '{' or '}'"},
        {"rediss://h?tls_ca_file=/nonexistent", "t", "/nonexistent"},
    };
    redis_link *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f->options.name_space = cases[i].name_space;
        assert_int_equal(
            driver_open(&f->handle, &mf_redis_driver, f->loop, cases[i].url, &f->options),
            MF_EINVAL);
        f->handle.broker = NULL;
        redis_link_assert_says(f, cases[i].text);
    }
}

/* The database of the URL is used, by TCP and by a unix socket, and hints stay within it. */
static void test_databases(void **state)
{
    redis_link *f = *state;
    driver_handle zero;
    char url[256];

    redis_link_start(f, NULL, NULL);
    snprintf(url, sizeof url, "%s/3", f->server->url);
    assert_int_equal(redis_link_ask(f, url), MF_OK);
    driver_watch(&f->handle, NULL);
    redis_server_do(f->server, "SELECT 3");
    assert_int_equal(redis_server_integer(f->server, "HEXISTS {t}:tasks x"), 1);
    snprintf(url, sizeof url, "unix://%s", f->server->socket);
    assert_int_equal(driver_open(&zero, &mf_redis_driver, f->loop, url, &f->options), MF_OK);
    assert_int_equal(driver_submit(&zero, "s", "y", NULL), MF_OK);
    assert_int_equal(driver_submit(&f->handle, "s3", "z", NULL), MF_OK);
    driver_await_size(&f->handle, &f->handle.claimable, 1);
    assert_string_equal(f->handle.last_claimable, "z");
    driver_close(&zero);
    snprintf(url, sizeof url, "unix://%s?db=3", f->server->socket);
    assert_int_equal(redis_link_ask(f, url), MF_OK);
    snprintf(url, sizeof url, "%s/99", f->server->url);
    assert_int_equal(redis_link_ask(f, url), MF_EREFUSED);
    redis_link_assert_says(f, "SELECT");
}

/* Credentials: the right ones work, as default user and as another; without and with wrong ones the
 * server's text is handed on, and no password with it. */
static void test_credentials(void **state)
{
    redis_link *f = *state;
    char url[128];

    redis_link_start(f, "user eve on >se/cret ~{t}:* &{t}:* +@all\n", "pass@word");
    snprintf(url, sizeof url, "redis://:pass%%40word@127.0.0.1:%d", f->server->port);
    assert_int_equal(redis_link_ask(f, url), MF_OK);
    snprintf(url, sizeof url, "redis://eve:se%%2Fcret@127.0.0.1:%d", f->server->port);
    assert_int_equal(redis_link_ask(f, url), MF_OK);
    assert_int_equal(redis_link_ask(f, f->server->url), MF_EREFUSED);
    redis_link_assert_says(f, "NOAUTH");
    snprintf(url, sizeof url, "redis://:sesame@127.0.0.1:%d", f->server->port);
    assert_int_equal(redis_link_ask(f, url), MF_EREFUSED);
    redis_link_assert_says(f, "WRONGPASS");
    assert_null(strstr(f->handle.error.text, "sesame"));
    snprintf(url, sizeof url, "redis://eve:se%%2Fcret@127.0.0.1:%d", f->server->port);
    f->options.name_space = "other";
    assert_int_equal(redis_link_ask(f, url), MF_EREFUSED);
    redis_link_assert_says(f, "NOPERM");
}

/* A user who may not ask for the server's settings can work without them being checked. */
static void test_restricted_user(void **state)
{
    redis_link *f = *state;
    char url[128];

    redis_link_start(f, "user eve on >s ~{t}:* &{t}:* +@all -@dangerous -@admin -client\n", NULL);
    snprintf(url, sizeof url, "redis://eve:s@127.0.0.1:%d", f->server->port);
    redis_link_join(f, url);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_count_tasks(&f->handle, NULL), 1);
}

/* A user who may not subscribe is told why, instead of working without hints for ever. */
static void test_no_channels(void **state)
{
    redis_link *f = *state;
    char url[128];

    redis_link_start(f, "user eve on >s ~* resetchannels +@all\n", NULL);
    snprintf(url, sizeof url, "redis://eve:s@127.0.0.1:%d", f->server->port);
    assert_int_equal(driver_open(&f->handle, &mf_redis_driver, f->loop, url, &f->options), MF_OK);
    driver_watch(&f->handle, &f->session);
    assert_int_equal(f->handle.ups, 0);
    assert_int_equal(f->handle.why.code, MF_EREFUSED);
    assert_non_null(strstr(f->handle.why.text, "channel"));
}

/* A server that may evict claims is refused, by the name of the setting; once set right, it is
 * taken without opening anew. */
static void test_eviction(void **state)
{
    redis_link *f = *state;

    redis_link_start(f, "maxmemory 100mb\nmaxmemory-policy allkeys-lru\n", NULL);
    assert_int_equal(redis_link_ask(f, f->server->url), MF_EREFUSED);
    redis_link_assert_says(f, "maxmemory-policy is allkeys-lru, it must be noeviction");
    driver_watch(&f->handle, NULL);
    assert_int_equal(f->handle.downs, 1);
    redis_server_do(f->server, "CONFIG SET maxmemory-policy noeviction");
    driver_await(&f->handle, &f->handle.ups, 1);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
}

/* A key of the namespace that belongs to something else is found when connecting. */
static void test_foreign_namespace(void **state)
{
    redis_link *f = *state;

    redis_link_start(f, NULL, NULL);
    redis_server_do(f->server, "SET {t}:tasks x");
    assert_int_equal(redis_link_ask(f, f->server->url), MF_EREFUSED);
    redis_link_assert_says(f, "{t}:tasks is not a hash");
}

/* That a server keeps nothing on disk is said once, and not of one that does. */
static void test_persistence_warning(void **state)
{
    redis_link *f = *state;
    redis_server_options options = {.persistent = true};

    redis_link_start(f, NULL, NULL);
    redis_link_join(f, f->server->url);
    redis_server_stop(f->server);
    redis_server_restart(f->server);
    driver_await(&f->handle, &f->handle.ups, 2);
    assert_int_equal(f->warnings, 1);
    f->other = redis_server_start(&options);
    driver_close(&f->handle);
    assert_int_equal(redis_link_ask(f, f->other->url), MF_OK);
    assert_int_equal(f->warnings, 1);
}

static void make_replica(redis_link *f)
{
    f->other = redis_server_start(NULL);
    redis_server_do(f->other, "REPLICAOF 127.0.0.1 %d", f->server->port);
}

/* A replica is refused, and passed over when the URL names its master too. */
static void test_replica(void **state)
{
    redis_link *f = *state;
    char url[128];

    redis_link_start(f, NULL, NULL);
    make_replica(f);
    assert_int_equal(redis_link_ask(f, f->other->url), MF_EUNREACHABLE);
    redis_link_assert_says(f, "is a replica");
    snprintf(url, sizeof url, "redis://127.0.0.1:%d,127.0.0.1:%d", f->other->port, f->server->port);
    assert_int_equal(redis_link_ask(f, url), MF_OK);
}

/* A master that becomes a replica is left, not taken for a failing request. */
static void test_demoted(void **state)
{
    redis_link *f = *state;

    redis_link_start(f, NULL, NULL);
    f->other = redis_server_start(NULL);
    redis_link_join(f, f->server->url);
    redis_server_do(f->server, "REPLICAOF 127.0.0.1 %d", f->other->port);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_EUNREACHABLE);
    driver_await(&f->handle, &f->handle.downs, 1);
    redis_server_do(f->server, "REPLICAOF NO ONE");
    driver_await(&f->handle, &f->handle.ups, 2);
    assert_int_equal(driver_submit(&f->handle, "s", "y", NULL), MF_OK);
}

/* When requests go to another master, so does the subscription, although its old server is alive
 * and would keep it for ever. */
static void test_failover(void **state)
{
    redis_link *f = *state;
    char url[128];

    redis_link_start(f, NULL, NULL);
    f->other = redis_server_start(NULL);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d,127.0.0.1:%d", f->server->port, f->other->port);
    redis_link_join(f, url);
    redis_server_do(f->server, "CLIENT KILL TYPE normal SKIPME yes");
    driver_await(&f->handle, &f->handle.resyncs, 2);
    assert_int_equal(f->handle.ups, 2);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    assert_int_equal(redis_server_integer(f->other, "HLEN {t}:tasks"), 1);
    driver_await_size(&f->handle, &f->handle.claimable, 1);
}

/* A replica that is promoted without the last writes knows neither the claim nor the counter that
 * it raised. The session joins there, and whoever claims the task has a higher fence all the same.
 */
static void test_failover_loses_claims(void **state)
{
    redis_link *f = *state;
    mf_claim claim = {.id = "x"};
    char url[128];

    redis_link_start(f, "repl-diskless-sync-delay 0\n", NULL);
    make_replica(f);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d,127.0.0.1:%d", f->server->port, f->other->port);
    redis_link_join(f, url);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    while (redis_server_integer(f->other, "HLEN {t}:tasks") == 0)
        driver_run_ms(&f->handle, 20);
    redis_server_do(f->other, "REPLICAOF NO ONE");
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    assert_int_equal(driver_release(&f->handle, &f->session, &claim), MF_OK);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    uint64_t lost = claim.fence;

    redis_server_kill(f->server);
    driver_await(&f->handle, &f->handle.ups, 2);
    assert_int_equal(redis_server_integer(f->other, "EXISTS {t}:fence {t}:owner:x"), 0);
    f->session.epoch++;
    assert_int_equal(driver_join(&f->handle, &f->session), MF_OK);
    assert_int_equal(driver_release(&f->handle, &f->session, &claim), MF_ELATE);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    assert_true(claim.fence > lost);
}

/* wait_replicas: what too few replicas have confirmed is told by a code of its own, and logged;
 * with enough of them it is done. */
static void test_wait_replicas(void **state)
{
    redis_link *f = *state;
    mf_claim claim = {.id = "x"};

    redis_link_start(f, "repl-diskless-sync-delay 0\n", NULL);
    f->options.wait_replicas = 1;
    f->options.reply_timeout_ms = 500;
    redis_link_join(f, f->server->url);
    assert_int_equal(driver_submit(&f->handle, "s", "x", "{}"), MF_EUNCONFIRMED);
    redis_link_assert_says(f, "confirmed by 0 of 1 replicas");
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_EUNCONFIRMED);
    assert_null(claim.properties);
    assert_int_equal(redis_link_logged(f, "confirmed by 0 of 1 replicas"), 1);
    redis_server_do(f->server, "SCRIPT FLUSH");
    make_replica(f);
    while (redis_server_info(f->server, "connected_slaves") == 0 ||
           driver_submit(&f->handle, "s", "x", "{}") == MF_EUNCONFIRMED)
        driver_run_ms(&f->handle, 20);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    assert_string_equal(claim.properties, "{}");
    free(claim.properties);
    assert_int_equal(driver_renew_one(&f->handle, &f->session, &claim), MF_OK);
    assert_int_equal(driver_done(&f->handle, &f->session, &claim), MF_OK);
    assert_int_equal(f->handle.downs, 0);
}

/* While a replica does not answer, renewals and endings are not answered either, all else is. When
 * it is back within the time of a reply all of them are, and nothing was lost. */
static void test_wait_holds_up_nothing(void **state)
{
    redis_link *f = *state;
    driver_pending renewed;
    mf_claim claims[2] = {{.id = "x"}, {.id = "y"}};

    redis_link_start(f, "repl-diskless-sync-delay 0\n", NULL);
    make_replica(f);
    while (!redis_server_says(f->other, "master_link_status", "up"))
        driver_run_ms(&(driver_handle){.loop = f->loop}, 20);
    f->options.wait_replicas = 1;
    f->options.reply_timeout_ms = 8000;
    redis_link_join(f, f->server->url);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claims[0]), MF_OK);
    redis_server_pause(f->other);
    driver_begin(&f->handle, &renewed, f->handle.broker->operations->done, &f->session, &claims[0]);
    driver_run_ms(&f->handle, 1500);
    assert_int_equal(renewed.answered, 0);
    int64_t start_ms = clock_ms();
    assert_int_equal(driver_count_tasks(&f->handle, NULL), 0);
    assert_true(clock_ms() - start_ms < 500);
    redis_server_resume(f->other);
    driver_await(&f->handle, &renewed.answered, 1);
    assert_int_equal(renewed.request.request.error.code, MF_OK);
    assert_int_equal(f->handle.downs, 0);
}

/* A user who may not WAIT is told that nothing was confirmed; the server is not asked without
 * end. */
static void test_wait_refused(void **state)
{
    redis_link *f = *state;

    redis_link_start(f, "", NULL);
    redis_server_do(f->server, "ACL SETUSER default -wait");
    f->options.wait_replicas = 1;
    f->options.reply_timeout_ms = 1500;
    redis_link_join(f, f->server->url);
    int64_t before = redis_server_info(f->server, "total_commands_processed");
    assert_int_equal(driver_submit(&f->handle, "s", "x", "{}"), MF_EUNCONFIRMED);
    assert_in_range(redis_server_info(f->server, "total_commands_processed") - before, 1, 200);
}

/* A server that is fit by all it says and refuses every write is not asked again at once: the
 * pauses grow although each handshake succeeds, and it is logged once. Once it takes writes all is
 * well. */
static void test_refused_writes(void **state)
{
    redis_link *f = *state;

    redis_link_start(f, "min-replicas-to-write 1\n", NULL);
    assert_int_equal(redis_link_ask(f, f->server->url), MF_EUNREACHABLE);
    redis_link_assert_says(f, "NOREPLICAS");
    driver_watch(&f->handle, NULL);
    for (int64_t start_ms = clock_ms(); clock_ms() - start_ms < 3000;) {
        if (f->handle.up)
            assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_EUNREACHABLE);
        else
            driver_run_ms(&f->handle, 5);
    }
    assert_in_range(f->handle.ups, 2, 12);
    assert_int_equal(redis_link_logged(f, "NOREPLICAS"), 1);
    redis_server_do(f->server, "CONFIG SET min-replicas-to-write 0");
    driver_await(&f->handle, &f->handle.ups, f->handle.ups + !f->handle.up);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
}

/* A server that takes no more clients says so to the first request, whatever that is. */
static void test_too_many_clients(void **state)
{
    redis_link *f = *state;

    redis_link_start(f, "maxclients 1\n", NULL);
    redis_server_do(f->server, "PING");
    assert_int_equal(redis_link_ask(f, f->server->url), MF_EUNREACHABLE);
    redis_link_assert_says(f, "max number of clients");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bad_input, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_databases, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_credentials, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_restricted_user, redis_link_setup,
                                        redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_no_channels, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_eviction, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_foreign_namespace, redis_link_setup,
                                        redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_persistence_warning, redis_link_setup,
                                        redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_replica, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_demoted, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_failover, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_failover_loses_claims, redis_link_setup,
                                        redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_refused_writes, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_too_many_clients, redis_link_setup,
                                        redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_wait_holds_up_nothing, redis_link_setup,
                                        redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_wait_replicas, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_wait_refused, redis_link_setup, redis_link_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
