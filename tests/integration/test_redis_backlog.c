/* A long queue on a real Redis: what nodes without room cost it, and that no task is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/metafora.h>
#include <metafora/redis.h>

#include "redis_link.h"

enum { TASKS = 20000, NODES = 3, RECONCILE_MS = 300, INTERVALS = 10 };

typedef struct fixture {
    redis_link *link;
    mf_consumer *nodes[NODES];
    mf_broker *brokers[NODES];
    size_t room; /* of each node */
    unsigned running, closed;
} fixture;

static void on_start(mf_task *task, void *payload)
{
    fixture *f = payload;

    (void)task;
    f->running++;
    mf_loop_stop(f->link->loop);
}

static void on_stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    (void)reason;
    ((fixture *)payload)->running--;
    mf_task_finish(task, MF_RELEASE);
}

static bool can_claim(void *payload, const mf_balance *balance, const char *id, int64_t *until_us)
{
    (void)id;
    (void)until_us;
    return mf_balance_held(balance) < ((fixture *)payload)->room;
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    fixture *f = payload;

    (void)consumer;
    f->closed += event == MF_CONSUMER_CLOSED;
    mf_loop_stop(f->link->loop);
}

static void open_node(fixture *f, int i)
{
    static const char *const names[NODES] = {"a", "b", "c"};
    const mf_driver *const drivers[] = {&mf_redis_driver, NULL};
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    assert_int_equal(mf_broker_open_any(&f->brokers[i], f->link->server->url, &f->link->options,
                                        f->link->loop, drivers, NULL),
                     MF_OK);
    options.loop = f->link->loop;
    options.broker_handle = f->brokers[i];
    options.name = names[i];
    options.handler = mf_evented_handler(on_start, on_stop, f);
    options.balancer =
        (mf_balancer){.version = MF_BALANCER_VERSION, .can_claim = can_claim, .payload = f};
    options.on_event = on_event;
    options.payload = f;
    options.reconcile_interval_ms = RECONCILE_MS;
    assert_int_equal(mf_consumer_open(&f->nodes[i], &options, NULL), MF_OK);
}

static void on_closed(void *arg)
{
    fixture *f = arg;

    f->closed++;
    mf_loop_stop(f->link->loop);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    redis_link_setup((void **)&f->link);
    redis_link_start(f->link, NULL, NULL);
    assert_int_equal(driver_open(&f->link->handle, &mf_redis_driver, f->link->loop,
                                 f->link->server->url, &f->link->options),
                     MF_OK);
    driver_submit_many(&f->link->handle, "t", TASKS);
    for (int i = 0; i < NODES; i++)
        open_node(f, i);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    for (int i = 0; i < NODES; i++)
        mf_consumer_shutdown(f->nodes[i]);
    driver_await(&f->link->handle, &f->closed, NODES);
    for (int i = 0; i < NODES; i++) {
        mf_consumer_free(f->nodes[i]);
        mf_broker_close(f->brokers[i], on_closed, f);
    }
    driver_await(&f->link->handle, &f->closed, 2 * NODES);
    redis_link_teardown((void **)&f->link);
    free(f);
    return 0;
}

/* How many scripts the server has run. */
static long long scripts(fixture *f)
{
    return redis_server_integer(f->link->server, "EVAL %s 0",
                                "return tonumber(string.match(redis.call('INFO', 'commandstats'), "
                                "'cmdstat_evalsha:calls=(%d+)'))");
}

/* Nodes without room read a page of a queue of twenty at each reconcile, not all of it. */
static void test_full_nodes_cost_little(void **state)
{
    fixture *f = *state;

    driver_run_ms(&f->link->handle, 1000);
    long long before = scripts(f);
    driver_run_ms(&f->link->handle, RECONCILE_MS * INTERVALS);
    long long count = scripts(f) - before;
    print_message("%d nodes, %d intervals: %lld scripts\n", NODES, INTERVALS, count);
    assert_true(count < NODES * INTERVALS * 6);
}

/* The queue was there before they came, so no hint told of it: it is claimed to its end as soon as
 * somebody has room, and what is given back meanwhile as well. */
static void test_nothing_is_stranded(void **state)
{
    fixture *f = *state;

    driver_run_ms(&f->link->handle, 1000);
    f->room = 1000;
    driver_await(&f->link->handle, &f->running, 3 * 1000);
    f->room = TASKS;
    driver_await(&f->link->handle, &f->running, TASKS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full_nodes_cost_little, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_is_stranded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
