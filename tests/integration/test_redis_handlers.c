/* Handlers on a Redis that changes under them: a failover that is shorter than half a lease stops
 * none, nor does a slot that is moved while ten thousand tasks run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include <metafora/metafora.h>
#include <metafora/redis.h>

#include "redis_link.h"

enum { TASKS = 10000, LEASE_MS = 15000 };

typedef struct fixture {
    redis_link *link;
    mf_broker *broker;
    mf_consumer *consumer;
    unsigned started, stopped, closed;
} fixture;

static void on_start(mf_task *task, void *payload)
{
    fixture *f = payload;

    (void)task;
    f->started++;
    mf_loop_stop(f->link->loop);
}

static void on_stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    (void)reason;
    ((fixture *)payload)->stopped++;
    mf_task_finish(task, MF_RELEASE);
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    fixture *f = payload;

    (void)consumer;
    f->closed += event == MF_CONSUMER_CLOSED;
    mf_loop_stop(f->link->loop);
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
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    if (f->consumer != NULL) {
        mf_consumer_shutdown(f->consumer);
        driver_await(&f->link->handle, &f->closed, 1);
        mf_consumer_free(f->consumer);
        mf_broker_close(f->broker, on_closed, f);
        driver_await(&f->link->handle, &f->closed, 2);
    }
    redis_link_teardown((void **)&f->link);
    free(f);
    return 0;
}

/* A consumer that runs so many tasks. */
static void run_tasks(fixture *f, const char *url, size_t tasks, int lease_ms)
{
    const mf_driver *const drivers[] = {&mf_redis_driver, NULL};
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    assert_int_equal(
        driver_open(&f->link->handle, &mf_redis_driver, f->link->loop, url, &f->link->options),
        MF_OK);
    driver_submit_many(&f->link->handle, "t", tasks);
    assert_int_equal(
        mf_broker_open_any(&f->broker, url, &f->link->options, f->link->loop, drivers, NULL),
        MF_OK);
    options.loop = f->link->loop;
    options.broker_handle = f->broker;
    options.name = "a";
    options.lease_ms = lease_ms;
    options.handler = mf_evented_handler(on_start, on_stop, f);
    options.balancer = mf_balancer_dumb();
    options.on_event = on_event;
    options.payload = f;
    assert_int_equal(mf_consumer_open(&f->consumer, &options, NULL), MF_OK);
    driver_await(&f->link->handle, &f->started, (unsigned)tasks);
}

/* For longer than a lease, in which each claim must be renewed; then all run still. */
static void assert_none_stops(fixture *f, int lease_ms)
{
    mf_consumer_statistics statistics = MF_CONSUMER_STATISTICS_INIT;

    driver_run_ms(&f->link->handle, lease_ms + lease_ms / 3);
    assert_int_equal(f->stopped, 0);
    mf_consumer_get_statistics(f->consumer, &statistics);
    assert_int_equal(statistics.running, f->started);
    assert_int_equal(statistics.lost, 0);
}

/* What an operator does to the servers while the node works: on a thread of its own, whose are the
 * servers until it has ended. */
typedef struct deed {
    fixture *f;
    void (*what)(fixture *f);
    atomic_bool done;
} deed;

static void *run_deed(void *arg)
{
    deed *d = arg;

    d->what(d->f);
    atomic_store(&d->done, true);
    return NULL;
}

static void meanwhile(fixture *f, void (*what)(fixture *f))
{
    deed d = {.f = f, .what = what};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run_deed, &d), 0);
    while (!atomic_load(&d.done))
        driver_run_ms(&f->link->handle, 20);
    pthread_join(thread, NULL);
}

static void fail_over_by_sentinels(fixture *f)
{
    redis_sentinels_failover(f->link->sentinels);
}

/* A failover in good order, by Sentinels. */
static void test_sentinel_failover(void **state)
{
    fixture *f = *state;

    f->link->sentinels = redis_sentinels_start(NULL);
    run_tasks(f, f->link->sentinels->url, TASKS, LEASE_MS);
    meanwhile(f, fail_over_by_sentinels);
    assert_none_stops(f, LEASE_MS);
}

static void kill_master(fixture *f)
{
    redis_server *old = redis_sentinels_master(f->link->sentinels);

    redis_server_integer(old, "WAIT 2 5000");
    redis_server_kill(old);
    redis_sentinels_await_failover(f->link->sentinels, old);
}

/* A master that is killed, whose replicas are in step. */
static void test_sentinel_killed_master(void **state)
{
    fixture *f = *state;

    f->link->sentinels = redis_sentinels_start(NULL);
    run_tasks(f, f->link->sentinels->url, 1000, LEASE_MS);
    meanwhile(f, kill_master);
    assert_none_stops(f, LEASE_MS);
}

static void fail_over_in_cluster(fixture *f)
{
    redis_cluster_failover(f->link->cluster, "{t}");
}

static void test_cluster_failover(void **state)
{
    fixture *f = *state;

    f->link->cluster = redis_cluster_start(NULL);
    run_tasks(f, f->link->cluster->url, TASKS, LEASE_MS);
    meanwhile(f, fail_over_in_cluster);
    assert_none_stops(f, LEASE_MS);
}

/* Every so often renewals fall into it. */
static void move_slot_slowly(fixture *f)
{
    redis_cluster *cluster = f->link->cluster;
    redis_server *from = redis_cluster_master(cluster, "{t}");
    redis_server *to = redis_cluster_other(cluster, "{t}");

    redis_cluster_begin_move(cluster, "{t}", from, to);
    for (int i = 0; i < 10; i++) {
        redis_cluster_move_keys(cluster, "{t}", from, to, TASKS / 10);
        usleep(400000); /* as slow as the network of a large cluster makes it */
    }
    redis_cluster_move_keys(cluster, "{t}", from, to, -1);
    redis_cluster_end_move(cluster, "{t}", from, to);
    assert_int_equal(redis_server_integer(to, "HLEN {t}:tasks"), TASKS);
}

/* Ten thousand owner keys, and the lists of as many tasks, are moved one after another, in about
 * the time from one renewal to the next. */
static void test_moved_slot(void **state)
{
    fixture *f = *state;

    f->link->cluster = redis_cluster_start(NULL);
    run_tasks(f, f->link->cluster->url, TASKS, LEASE_MS);
    meanwhile(f, move_slot_slowly);
    assert_none_stops(f, LEASE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sentinel_failover, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sentinel_killed_master, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cluster_failover, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_moved_slot, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
