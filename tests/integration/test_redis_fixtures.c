/* The set-ups of several Redis servers that tests run on do what they are used for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "redis_cluster.h"
#include "redis_sentinels.h"

static int stop_sentinels(void **state)
{
    redis_sentinels_free(*state);
    return 0;
}

static int stop_cluster(void **state)
{
    redis_cluster_free(*state);
    return 0;
}

/* Sentinels replace a master that is killed by one that has its writes, also when asked to; the old
 * one comes back as a replica. */
static void test_sentinels(void **state)
{
    redis_sentinels *set = *state = redis_sentinels_start(NULL);
    redis_server *first = redis_sentinels_master(set);

    redis_server_do(first, "SET k v");
    assert_true(redis_server_integer(first, "WAIT 2 5000") == 2);
    redis_server_kill(first);
    redis_server *second = redis_sentinels_await_failover(set, first);
    assert_int_equal(redis_server_integer(second, "EXISTS k"), 1);
    redis_server_restart(first);
    while (!redis_server_says(first, "role", "slave"))
        ;
    assert_ptr_not_equal(redis_sentinels_failover(set), second);
}

/* A cluster replaces a master that is killed, and one that an operator asks to. A slot moves with
 * its keys. */
static void test_cluster(void **state)
{
    redis_cluster *cluster = *state = redis_cluster_start(NULL);
    redis_server *first = redis_cluster_master(cluster, "{t}");

    redis_server_do(first, "SET {t}k v");
    assert_true(redis_server_integer(first, "WAIT 1 5000") == 1);
    redis_server_kill(first);
    redis_server *second = redis_cluster_await_failover(cluster, "{t}", first);
    assert_int_equal(redis_server_integer(second, "EXISTS {t}k"), 1);
    redis_server_restart(first);
    while (!redis_server_says(first, "master_link_status", "up"))
        ;
    assert_ptr_equal(redis_cluster_failover(cluster, "{t}"), first);
    redis_server *other = redis_cluster_other(cluster, "{t}");
    redis_cluster_move_slot(cluster, "{t}", first, other);
    assert_int_equal(redis_server_integer(other, "EXISTS {t}k"), 1);
    assert_ptr_equal(redis_cluster_master(cluster, "{t}"), other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_sentinels, stop_sentinels),
        cmocka_unit_test_teardown(test_cluster, stop_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
