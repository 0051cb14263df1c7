/* The fair balancer at work: consumers on the embedded broker in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster.h"

enum { TASKS = 300 };

static int setup(void **state)
{
    *state = cluster_new(11);
    return 0;
}

static int teardown(void **state)
{
    cluster_free(*state);
    return 0;
}

static void submit(cluster *c, int from, int to)
{
    char ids[TASKS][24];
    const char *names[TASKS];

    for (int i = from; i < to; i++) {
        snprintf(ids[i - from], sizeof ids[0], "task-%d", i);
        names[i - from] = ids[i - from];
    }
    cluster_submit(c, names, (size_t)(to - from));
}

static void join(cluster *c, int count, double weight)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    options.weight = weight;
    for (int i = 0; i < count; i++)
        cluster_join(c, names[c->node_count], ENDS_WHEN_STOPPED, &options);
    cluster_run_ms(c, 10000); /* each has seen all */
}

static size_t running(const cluster *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->node_count; i++)
        count += c->nodes[i].running;
    return count;
}

static uint64_t releases(const cluster *c)
{
    uint64_t count = 0;
    for (size_t i = 0; i < c->node_count; i++)
        count += cluster_statistics(&c->nodes[i]).balance_releases;
    return count;
}

static uint64_t claims(const cluster *c)
{
    uint64_t count = 0;
    for (size_t i = 0; i < c->node_count; i++) {
        mf_consumer_statistics s = cluster_statistics(&c->nodes[i]);
        count += s.claims_granted + s.claims_taken;
    }
    return count;
}

static void assert_share(const cluster *c, size_t index, size_t least, size_t most)
{
    if (c->nodes[index].running < least || c->nodes[index].running > most)
        fail_msg("node %zu runs %zu, not %zu to %zu", index, c->nodes[index].running, least, most);
}

/* Tasks that are submitted to a cluster are running within a second, spread by the order of each
 * task, with hardly a claim in vain; then nothing moves. */
static void cold_start(void **state)
{
    cluster *c = *state;

    join(c, 3, 1);
    submit(c, 0, TASKS);
    cluster_run_ms(c, 1100);
    assert_int_equal(running(c), TASKS);
    assert_in_range(claims(c), TASKS, TASKS * 11 / 10);
    cluster_run_ms(c, 60000);
    for (size_t i = 0; i < 3; i++)
        assert_share(c, i, 80, 120);
    uint64_t moved = releases(c);
    cluster_run_ms(c, 120000);
    assert_int_equal(releases(c), moved);
    assert_int_equal(running(c), TASKS);
}

/* A node that joins gets its share within one balance interval, and no task moves that need not. */
static void newcomer(void **state)
{
    cluster *c = *state;

    join(c, 1, 1);
    submit(c, 0, TASKS);
    cluster_run_ms(c, 2000);
    assert_share(c, 0, TASKS, TASKS);
    join(c, 1, 1);
    cluster_run_ms(c, 20000);
    assert_share(c, 0, 150, 150);
    assert_share(c, 1, 150, 150);
    assert_int_equal(releases(c), 150);
}

/* A node of twice the weight ends up with twice as much. */
static void weights(void **state)
{
    cluster *c = *state;

    join(c, 1, 1);
    submit(c, 0, TASKS);
    join(c, 1, 2);
    cluster_run_ms(c, 30000);
    assert_share(c, 0, 90, 110);
    assert_share(c, 1, 190, 210);
}

/* Three tasks on five nodes stay where they are. */
static void fewer_tasks_than_nodes(void **state)
{
    cluster *c = *state;

    join(c, 5, 1);
    submit(c, 0, 3);
    cluster_run_ms(c, 60000);
    uint64_t moved = releases(c);
    assert_true(moved <= 2);
    cluster_run_ms(c, 300000);
    assert_int_equal(releases(c), moved);
    assert_int_equal(running(c), 3);
    for (size_t i = 0; i < 5; i++)
        assert_share(c, i, 0, 1);
}

/* A frozen node claims nothing, and says so: the others run its part of new tasks at once, and give
 * up nothing for its sake. */
static void frozen_node(void **state)
{
    cluster *c = *state;

    join(c, 2, 1);
    mf_consumer_freeze(c->nodes[1].consumer);
    submit(c, 0, TASKS);
    cluster_run_ms(c, 100);
    assert_share(c, 0, TASKS, TASKS);
    cluster_run_ms(c, 150000);
    assert_share(c, 0, TASKS, TASKS);
    assert_int_equal(releases(c), 0);
    mf_consumer_unfreeze(c->nodes[1].consumer);
    cluster_run_ms(c, 60000);
    assert_share(c, 0, 150, 150);
    assert_share(c, 1, 150, 150);
}

/* The tasks of a node that died are spread over those that are left. */
static void death(void **state)
{
    cluster *c = *state;

    join(c, 4, 1);
    submit(c, 0, TASKS);
    cluster_run_ms(c, 60000);
    size_t held = c->nodes[3].running;
    assert_in_range(held, 60, 90);
    virtual_loop_pause(c->nodes[3].loop, true);
    cluster_run_ms(c, 15000 + 2000);
    assert_int_equal(running(c) - held, TASKS); /* its own still think that they run */
    cluster_run_ms(c, 30000);
    for (size_t i = 0; i < 3; i++)
        assert_share(c, i, 80, 120);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cold_start),  TEST(newcomer), TEST(weights), TEST(fewer_tasks_than_nodes),
        TEST(frozen_node), TEST(death),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
