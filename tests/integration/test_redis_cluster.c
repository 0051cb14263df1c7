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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain_url, redis_link_setup, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_plain_failover, redis_link_setup, redis_link_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
