/* The Redis driver on servers that Sentinels watch. */
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

static void start(redis_link *f)
{
    f->sentinels = redis_sentinels_start(NULL);
}

static void assert_works(redis_link *f, const char *id)
{
    mf_claim claim = {.id = id};
    size_t hints = f->handle.claimable;

    f->session.epoch++;
    assert_int_equal(driver_join(&f->handle, &f->session), MF_OK);
    assert_int_equal(driver_submit(&f->handle, id, id, NULL), MF_OK);
    driver_await_size(&f->handle, &f->handle.claimable, hints + 1);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    assert_int_equal(driver_done(&f->handle, &f->session, &claim), MF_OK);
}

/* Bad URLs are refused by a text that names the part and the rule. */
static void test_bad_input(void **state)
{
    static const struct {
        const char *url, *text;
    } cases[] = {
        {"redis+sentinel://h", "url: path: the name of the master is missing"},
        {"redis+sentinel:///m", "url: host: missing"},
        {"redis+sentinel://h/m/x", "url: database: not a number"},
        {"redis+sentinel://h/m?sentinel_password=", "sentinel_password: empty"},
    };
    redis_link *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(
            driver_open(&f->handle, &mf_redis_driver, f->loop, cases[i].url, &f->options),
            MF_EINVAL);
        f->handle.broker = NULL;
        redis_link_assert_says(f, cases[i].text);
    }
}

/* A name that no Sentinel knows, and Sentinels that are not there, are told at once; the database
 * is that of the URL. */
static void test_names(void **state)
{
    redis_link *f = *state;
    char url[320];

    start(f);
    snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d/other",
             f->sentinels->sentinels[0]->port);
    assert_int_equal(redis_link_ask(f, url), MF_EREFUSED);
    redis_link_assert_says(f, "knows no master other");
    snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d/" SENTINEL_MASTER, free_port());
    assert_int_equal(redis_link_ask(f, url), MF_EUNREACHABLE);
    snprintf(url, sizeof url, "%s/3", f->sentinels->url);
    assert_int_equal(redis_link_ask(f, url), MF_OK);
    redis_server_do(f->sentinels->servers[0], "SELECT 3");
    assert_int_equal(redis_server_integer(f->sentinels->servers[0], "HEXISTS {t}:tasks x"), 1);
}

/* A master that is killed is left for the one that the Sentinels choose, soon after they have. */
static void test_killed_master(void **state)
{
    redis_link *f = *state;

    start(f);
    redis_server *first = redis_sentinels_master(f->sentinels);
    redis_link_join(f, f->sentinels->url);
    assert_works(f, "x");
    redis_server_kill(first);
    driver_await(&f->handle, &f->handle.resyncs, 2);
    assert_works(f, "y");
    redis_server *second = redis_sentinels_await_failover(f->sentinels, first);
    assert_int_equal(redis_server_integer(second, "EXISTS {t}:fence"), 1);
    assert_true(f->handle.downs >= 1);
}

/* A failover in good order is followed by the hint of it: the old master lives, and would keep the
 * connections. */
static void test_switched_master(void **state)
{
    redis_link *f = *state;

    start(f);
    redis_link_join(f, f->sentinels->url);
    assert_works(f, "x");
    redis_server *second = redis_sentinels_failover(f->sentinels);
    driver_await(&f->handle, &f->handle.resyncs, 2);
    assert_works(f, "y");
    assert_true(redis_server_says(second, "role", "master"));
    assert_int_equal(redis_server_integer(second, "ZCARD {t}:sessions"), 1);
}

/* The loss of Sentinels changes nothing while the master is there; one of them that is left is
 * enough to find it. */
static void test_lost_sentinels(void **state)
{
    redis_link *f = *state;

    start(f);
    redis_link_join(f, f->sentinels->url);
    redis_server_kill(f->sentinels->sentinels[0]);
    redis_server_kill(f->sentinels->sentinels[1]);
    assert_works(f, "x");
    redis_server_do(f->sentinels->servers[0], "CLIENT KILL TYPE normal SKIPME yes");
    driver_await(&f->handle, &f->handle.ups, 2);
    assert_works(f, "y");
    driver_close(&f->handle);
    assert_int_equal(redis_link_ask(f, f->sentinels->url), MF_OK);
}

/* An old master comes back while the only Sentinel that answers still knows it as the master: it
 * was outvoted before, and is not joined. */
static void test_stale_master(void **state)
{
    redis_link *f = *state;

    start(f);
    redis_server *first = redis_sentinels_master(f->sentinels);
    redis_link_join(f, f->sentinels->url);
    redis_server_pause(f->sentinels->sentinels[0]);
    redis_server_kill(first);
    redis_server *second = redis_sentinels_await_failover(f->sentinels, first);
    driver_await(&f->handle, &f->handle.ups, 2);
    assert_works(f, "x");
    redis_server_kill(f->sentinels->sentinels[1]);
    redis_server_kill(f->sentinels->sentinels[2]);
    unsigned downs = f->handle.downs;
    redis_server_restart(first);
    redis_server_resume(f->sentinels->sentinels[0]);
    assert_true(redis_server_says(first, "role", "master"));
    redis_server_kill(second);
    driver_await(&f->handle, &f->handle.downs, downs + 1);
    driver_run_ms(&f->handle, 3000);
    assert_false(f->handle.up);
}

/* Sentinels that have all been made anew count failovers from zero: the next one is followed. */
static void test_new_sentinels(void **state)
{
    redis_link *f = *state;
    redis_server *master = NULL;

    start(f);
    redis_link_join(f, f->sentinels->url);
    for (int i = 0; i < 2; i++) {
        master = redis_sentinels_failover(f->sentinels);
        driver_await(&f->handle, &f->handle.resyncs, 2 + (unsigned)i);
    }
    for (int i = 0; i < f->sentinels->sentinel_count; i++) {
        redis_server *sentinel = f->sentinels->sentinels[i];
        redis_server_do(sentinel, "SENTINEL REMOVE " SENTINEL_MASTER);
        redis_server_do(sentinel, "SENTINEL MONITOR " SENTINEL_MASTER " 127.0.0.1 %d 2",
                        master->port);
        redis_server_do(sentinel, "SENTINEL SET " SENTINEL_MASTER " down-after-milliseconds 500");
        redis_server_do(sentinel, "SENTINEL SET " SENTINEL_MASTER " failover-timeout 3000");
    }
    while (redis_link_logged(f, "count failovers anew") == 0)
        driver_run_ms(&f->handle, 100);
    redis_server_kill(master);
    driver_await(&f->handle, &f->handle.resyncs, 4);
    assert_works(f, "x");
}

/* Sentinels have credentials of their own, by URL and by option; no password is in a text. */
static void test_credentials(void **state)
{
    redis_link *f = *state;
    char url[512];

    f->sentinels = redis_sentinels_start(&(redis_sentinels_options){
        .servers = 2, .password = "servant", .sentinel_password = "watchman"});
    const char *hosts = strstr(f->sentinels->url, "127");
    snprintf(url, sizeof url, "redis+sentinel://:servant@%s", hosts);
    assert_int_equal(redis_link_ask(f, url), MF_EREFUSED);
    redis_link_assert_says(f, "NOAUTH");
    f->options.sentinel_password = "watchman";
    assert_int_equal(redis_link_ask(f, url), MF_OK);
    f->options.sentinel_password = NULL;
    snprintf(url, sizeof url, "redis+sentinel://:servant@%s?sentinel_password=wrong", hosts);
    assert_int_equal(redis_link_ask(f, url), MF_EREFUSED);
    redis_link_assert_says(f, "WRONGPASS");
    assert_int_equal(redis_link_logged(f, "watchman") + redis_link_logged(f, "servant"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bad_input, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_names, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_killed_master, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_switched_master, redis_link_setup,
                                        redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_lost_sentinels, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_stale_master, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_new_sentinels, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_credentials, redis_link_setup, redis_link_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
