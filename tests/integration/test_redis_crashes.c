/* What Redis counts as a crash of a task: the death of its owner's process, and nothing else. What
 * a count does is in tests/lib/state_slots.c. */
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

enum { SHORT_MS = 2000, LONG_MS = 120000, MANY = 600 };

/* Two nodes on a server. */
typedef struct fixture {
    redis_link *a;
    driver_handle b;
    mf_session b_session;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    redis_link_setup((void **)&f->a);
    redis_link_start(f->a, NULL, NULL);
    f->a->session.lease_ms = SHORT_MS;
    f->b_session = driver_session("b", 'b', LONG_MS);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    driver_close(&f->b);
    redis_link_teardown((void **)&f->a);
    free(f);
    return 0;
}

static void join_b(fixture *f, int64_t lease_ms)
{
    f->b_session.lease_ms = lease_ms;
    assert_int_equal(
        driver_open(&f->b, &mf_redis_driver, f->a->loop, f->a->server->url, &f->a->options), MF_OK);
    driver_watch(&f->b, &f->b_session);
    assert_int_equal(driver_join(&f->b, &f->b_session), MF_OK);
}

static void rejoin(driver_handle *h, mf_session *session)
{
    session->epoch++;
    session->lease_ms = LONG_MS;
    assert_int_equal(driver_join(h, session), MF_OK);
}

/* Runs both nodes until the command's answer is this number. */
static void await(fixture *f, const char *command, long long expected)
{
    for (int i = 0; i < 500; i++) {
        if (redis_server_integer(f->a->server, command) == expected)
            return;
        driver_run_ms(&f->b, 20);
    }
    assert_int_equal(redis_server_integer(f->a->server, command), expected);
}

static long crashes_of(fixture *f, const char *id)
{
    redisReply *reply = redis_server_command(f->a->server, "HGET {t}:crashes %s", id);
    long count = reply->type == REDIS_REPLY_STRING ? strtol(reply->str, NULL, 10) : 0;

    freeReplyObject(reply);
    return count;
}

/* A node that lapses is dead as far as anyone can tell, and its tasks are charged with that; when
 * it comes back it was not, and none of them has a count, or waits. */
static void test_back_from_the_dead(void **state)
{
    fixture *f = *state;

    redis_link_join(f->a, f->a->server->url);
    join_b(f, LONG_MS);
    driver_submit_many(&f->a->handle, "t", MANY);
    for (int i = 0; i < MANY / 2; i++) /* these wait after another death */
        redis_server_do(f->a->server, "HSET {t}:crashes t%d %s", i, "1 1");
    redis_server_do(f->a->server, "HSET {t}:crashes t0 %s", "4 1"); /* and this is set aside */
    driver_claim_many(&f->a->handle, &f->a->session, "t", MANY);
    await(f, "HLEN {t}:crashes", MANY);
    await(f, "SCARD {t}:held:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0);
    assert_int_equal(redis_server_integer(f->a->server, "SCARD {t}:aside"), 1);
    assert_true(redis_server_integer(f->a->server, "ZCARD {t}:later") > MANY / 3);
    f->b.claimable = 0;
    rejoin(&f->a->handle, &f->a->session);
    await(f, "HLEN {t}:crashes", MANY / 2);
    assert_int_equal(redis_server_integer(f->a->server, "SCARD {t}:aside"), 0);
    assert_int_equal(redis_server_integer(f->a->server, "ZCARD {t}:later"), 0);
    assert_int_equal(driver_count_claimable(&f->b), MANY);
    driver_await_size(&f->b, &f->b.claimable, MANY / 3); /* it was told of those that waited */
    assert_int_equal(crashes_of(f, "t0"), 4);
}

/* What has happened to a task since is not touched: it survived, and another death counts. */
static void test_only_its_own_charge(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "t0"};

    redis_link_join(f->a, f->a->server->url);
    join_b(f, LONG_MS);
    driver_submit_many(&f->a->handle, "t", 2);
    driver_claim_many(&f->a->handle, &f->a->session, "t", 2);
    await(f, "HLEN {t}:crashes", 2);
    assert_int_equal(driver_claim(&f->b, &f->b_session, &c), MF_OK);
    redis_server_do(f->a->server, "HDEL {t}:crashes t0");
    redis_server_do(f->a->server, "HSET {t}:crashes t1 %s", "2 1");
    rejoin(&f->a->handle, &f->a->session);
    await(f, "EXISTS {t}:charged:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0);
    assert_int_equal(crashes_of(f, "t0"), 0);
    assert_int_equal(crashes_of(f, "t1"), 1);
    assert_int_equal(driver_renew_one(&f->b, &f->b_session, &c), MF_OK);
}

/* The server is away for longer than the leases of two nodes. */
static void sleep_through_leases(fixture *f)
{
    redis_link_join(f->a, f->a->server->url);
    join_b(f, SHORT_MS);
    driver_submit_many(&f->a->handle, "t", 2);
    driver_claim_many(&f->a->handle, &f->a->session, "t", 1);
    mf_claim c = {.id = "t1"};
    assert_int_equal(driver_claim(&f->b, &f->b_session, &c), MF_OK);
    redis_server_pause(f->a->server);
    driver_run_ms(&f->b, SHORT_MS + 200);
    redis_server_resume(f->a->server);
}

/* When nobody could renew, nobody is charged: not when the first one joins again, and others find
 * out that the rest have lapsed ... */
static void test_outage(void **state)
{
    fixture *f = *state;

    sleep_through_leases(f);
    rejoin(&f->a->handle, &f->a->session);
    await(f, "EXISTS {t}:held:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 0);
    assert_int_equal(redis_server_integer(f->a->server, "HLEN {t}:crashes"), 0);
}

/* ... nor when those that look join later. One that dies after it is charged. */
static void test_outage_found_first(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "t1"};

    sleep_through_leases(f);
    await(f, "EXISTS {t}:held:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0);
    await(f, "EXISTS {t}:held:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 0);
    assert_int_equal(redis_server_integer(f->a->server, "HLEN {t}:crashes"), 0);
    rejoin(&f->b, &f->b_session);
    f->a->session.epoch++;
    assert_int_equal(driver_join(&f->a->handle, &f->a->session), MF_OK);
    assert_int_equal(driver_claim(&f->a->handle, &f->a->session, &c), MF_OK);
    await(f, "HLEN {t}:crashes", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_back_from_the_dead, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_its_own_charge, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_outage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_outage_found_first, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
