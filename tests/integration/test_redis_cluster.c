/* The Redis driver on a cluster. */
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

static void start_cluster(redis_link *f)
{
    f->cluster = redis_cluster_start(NULL);
}

/* By a plain URL a node that does not serve the namespace is refused, and the text says which URL
 * would do. */
static void test_plain_url(void **state)
{
    redis_link *f = *state;

    start_cluster(f);
    assert_int_equal(redis_link_ask(f, redis_cluster_other(f->cluster, "{t}")->url), MF_EREFUSED);
    redis_link_assert_says(f, "redis+cluster://");
    assert_int_equal(redis_link_ask(f, redis_cluster_master(f->cluster, "{t}")->url), MF_OK);
}

/* A master that is demoted answers MOVED, which is no answer to a request: the link leaves it, and
 * finds the new master among the hosts of a plain URL too. */
static void test_plain_failover(void **state)
{
    redis_link *f = *state;
    char url[128];

    start_cluster(f);
    redis_server *first = redis_cluster_master(f->cluster, "{t}");
    redis_server *second = redis_cluster_replica(f->cluster, "{t}");
    snprintf(url, sizeof url, "redis://127.0.0.1:%d,127.0.0.1:%d", first->port, second->port);
    redis_link_join(f, url);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    assert_ptr_equal(redis_cluster_failover(f->cluster, "{t}"), second);
    assert_int_equal(driver_submit(&f->handle, "s1", "y", NULL), MF_EUNREACHABLE);
    driver_await(&f->handle, &f->handle.ups, 2);
    assert_int_equal(driver_submit(&f->handle, "s1", "y", NULL), MF_OK);
}

/* From any node of the URL the way leads to the one that serves the namespace; hints come by
 * sharded channels, to watchers who come and go. */
static void test_any_seed(void **state)
{
    redis_link *f = *state;
    char url[128];

    start_cluster(f);
    snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d",
             redis_cluster_other(f->cluster, "{t}")->port);
    redis_link_join(f, url);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    driver_await_size(&f->handle, &f->handle.claimable, 1);
    assert_int_equal(driver_send(&f->handle, "a", "{}"), MF_OK);
    driver_await(&f->handle, &f->handle.commands, 1);
    driver_unwatch(&f->handle);
    driver_watch(&f->handle, &f->session);
    assert_int_equal(driver_submit(&f->handle, "s1", "y", NULL), MF_OK);
    driver_await_size(&f->handle, &f->handle.claimable, 2);
    assert_int_equal(f->handle.downs, 0);
}

/* What the cluster cannot have. */
static void test_bad_url(void **state)
{
    redis_link *f = *state;

    assert_int_equal(
        driver_open(&f->handle, &mf_redis_driver, f->loop, "redis+cluster://h/1", &f->options),
        MF_EINVAL);
    redis_link_assert_says(f, "url: database: a cluster has none but 0");
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

/* A failover in good order, and one because the master was killed, are followed although the URL
 * names only a node of another shard, and so are hints. */
static void test_failover(void **state)
{
    redis_link *f = *state;
    char url[128];

    start_cluster(f);
    snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d",
             redis_cluster_other(f->cluster, "{t}")->port);
    redis_link_join(f, url);
    assert_works(f, "x");
    redis_server *second = redis_cluster_failover(f->cluster, "{t}");
    assert_int_equal(driver_submit(&f->handle, "s", "y", NULL), MF_EUNREACHABLE);
    driver_await(&f->handle, &f->handle.resyncs, 2);
    assert_works(f, "x2");
    while (redis_cluster_replica(f->cluster, "{t}") == NULL)
        driver_run_ms(&f->handle, 20);
    unsigned ups = f->handle.ups;
    redis_server_kill(second);
    driver_await(&f->handle, &f->handle.downs, 1);
    driver_await(&f->handle, &f->handle.ups, ups + 1);
    assert_works(f, "x3");
}

/* A slot that is moved, key by key: what is asked for meanwhile waits, and the session stays. When
 * the slot is elsewhere so are requests, hints and the claims from before. */
static void test_moved_slot(void **state)
{
    redis_link *f = *state;
    driver_pending pending, after;
    mf_claim claims[2] = {{.id = "x"}, {.id = "y"}};

    start_cluster(f);
    redis_server *from = redis_cluster_master(f->cluster, "{t}");
    redis_server *to = redis_cluster_other(f->cluster, "{t}");
    redis_link_join(f, f->cluster->url);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_submit(&f->handle, "s1", "y", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claims[0]), MF_OK);
    redis_cluster_begin_move(f->cluster, "{t}", from, to);
    redis_cluster_move_keys(f->cluster, "{t}", from, to, 2);
    driver_begin(&f->handle, &pending, f->handle.broker->operations->claim, &f->session,
                 &claims[1]);
    driver_run_ms(&f->handle, 300);
    redis_cluster_move_keys(f->cluster, "{t}", from, to, -1);
    driver_begin(&f->handle, &after, f->handle.broker->operations->release, &f->session,
                 &claims[0]);
    driver_run_ms(&f->handle, 300);
    assert_int_equal(pending.answered, 0);
    assert_int_equal(after.answered, 0);
    assert_int_equal(f->handle.downs, 0);
    redis_cluster_end_move(f->cluster, "{t}", from, to);
    driver_await(&f->handle, &f->handle.resyncs, 2);
    assert_int_equal(pending.request.request.error.code, MF_EUNREACHABLE);
    assert_true(mf_error_is_transient(after.request.request.error.code));
    assert_int_equal(driver_renew_one(&f->handle, &f->session, &claims[0]), MF_OK);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claims[1]), MF_OK);
    assert_works(f, "z");
}

/* A move that is not finished in the time of a reply is told to those who wait. */
static void test_stuck_move(void **state)
{
    redis_link *f = *state;

    f->options.reply_timeout_ms = 500;
    start_cluster(f);
    redis_server *from = redis_cluster_master(f->cluster, "{t}");
    redis_link_join(f, f->cluster->url);
    redis_cluster_begin_move(f->cluster, "{t}", from, redis_cluster_other(f->cluster, "{t}"));
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_EUNREACHABLE);
    redis_link_assert_says(f, "slot is being moved");
    assert_int_equal(f->handle.downs, 0);
    redis_server_do(from, "CLUSTER SETSLOT %d STABLE", redis_cluster_slot(f->cluster, "{t}"));
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain_url, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_plain_failover, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_any_seed, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_bad_url, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_failover, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_moved_slot, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_stuck_move, redis_link_setup, redis_link_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
