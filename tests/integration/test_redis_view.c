/* The nodes as watchers of a Redis broker are told of them: by hints, and, where hints were lost or
 * are not sent, by a listing that one node asks for and all hear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/redis.h>

#include "driver_calls.h"
#include "redis_server.h"

enum {
    NODES = 30,
    TASKS = 100000,
    LEASE_MS = 15000,
    RIGHT_WITHIN_MS = 2000,
    POLL_MS = 10,
};

/* One that watches, as no session, and keeps what it is told. */
typedef struct observer {
    driver_handle handle;
    struct {
        char name[32];
        double weight;
        uint64_t tasks;
    } nodes[NODES + 2];
    size_t count;
    unsigned told;
} observer;

typedef struct fixture {
    redis_server *server;
    mf_loop *loop;
    driver_handle worker; /* of all sessions */
    mf_session sessions[NODES];
    char names[NODES][16];
    observer observer;
} fixture;

static size_t place(const observer *o, const char *name)
{
    size_t i = 0;

    while (i < o->count && strcmp(o->nodes[i].name, name) != 0)
        i++;
    return i;
}

static void on_node(mf_watcher *watcher, const mf_node *node, bool gone)
{
    observer *o = (observer *)((char *)watcher - offsetof(observer, handle.watcher));
    size_t i = place(o, node->name);

    o->told++;
    if (gone) {
        if (i < o->count)
            o->nodes[i] = o->nodes[--o->count];
        return;
    }
    assert_true(i < sizeof o->nodes / sizeof *o->nodes);
    if (i == o->count)
        snprintf(o->nodes[o->count++].name, sizeof o->nodes->name, "%s", node->name);
    o->nodes[i].weight = node->weight;
    o->nodes[i].tasks = node->tasks;
}

/* How many tasks the node holds, as the observer knows; -1: it does not know the node. */
static int64_t known_tasks(const observer *o, const char *name)
{
    size_t i = place(o, name);

    return i < o->count ? (int64_t)o->nodes[i].tasks : -1;
}

static void open_handle(fixture *f, driver_handle *h)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;

    options.name_space = "t";
    assert_int_equal(driver_open(h, &mf_redis_driver, f->loop, f->server->url, &options), MF_OK);
}

static void on_log(mf_log_level level, const char *subsystem, const char *text, void *arg)
{
    (void)arg;
    print_message("%d %s: %s\n", level, subsystem, text);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    f->server = redis_server_start(NULL);
    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, on_log, NULL, MF_LOG_ERROR);
    open_handle(f, &f->worker);
    for (int i = 0; i < NODES; i++) {
        snprintf(f->names[i], sizeof f->names[i], "node-%02d", i);
        f->sessions[i] = driver_session(f->names[i], 'a', LEASE_MS);
        snprintf(f->sessions[i].token, sizeof f->sessions[i].token, "%032d", i);
    }
    open_handle(f, &f->observer.handle);
    f->observer.handle.node_changed = on_node;
    driver_watch(&f->observer.handle, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    driver_close(&f->worker);
    driver_close(&f->observer.handle);
    mf_loop_free(f->loop);
    redis_server_free(f->server);
    free(f);
    return 0;
}

static void join(fixture *f, int i)
{
    assert_int_equal(driver_join(&f->worker, &f->sessions[i]), MF_OK);
}

/* Runs until the observer knows so many tasks of the node; how long that took, in ms. */
static int64_t await_tasks(fixture *f, int i, int64_t tasks, int64_t limit_ms)
{
    int64_t began_us = mf_loop_now_us(f->loop), took_ms = 0;

    while (known_tasks(&f->observer, f->names[i]) != tasks) {
        driver_run_ms(&f->worker, POLL_MS);
        took_ms = (mf_loop_now_us(f->loop) - began_us) / 1000;
        assert_true(took_ms < limit_ms);
    }
    return took_ms;
}

/* A join, a weight, claims, a release and a leave are told at once, in this order, without anything
 * being read. */
static void test_hints(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "t0"};

    join(f, 0);
    await_tasks(f, 0, 0, RIGHT_WITHIN_MS);
    f->sessions[0].weight = -2; /* it will be back */
    f->sessions[0].epoch++;
    join(f, 0);
    driver_submit_many(&f->worker, "t", 3);
    assert_int_equal(driver_claim(&f->worker, &f->sessions[0], &claim), MF_OK);
    await_tasks(f, 0, 1, RIGHT_WITHIN_MS);
    assert_true(f->observer.nodes[0].weight == -2);
    assert_int_equal(driver_release(&f->worker, &f->sessions[0], &claim), MF_OK);
    await_tasks(f, 0, 0, RIGHT_WITHIN_MS);
    assert_int_equal(driver_leave(&f->worker, &f->sessions[0]), MF_OK);
    await_tasks(f, 0, -1, RIGHT_WITHIN_MS);
}

/* What no hint tells, tasks that are done, is known within two seconds. */
static void test_done(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "t0"};

    join(f, 0);
    driver_submit_many(&f->worker, "t", 1);
    assert_int_equal(driver_claim(&f->worker, &f->sessions[0], &claim), MF_OK);
    await_tasks(f, 0, 1, RIGHT_WITHIN_MS);
    assert_int_equal(driver_done(&f->worker, &f->sessions[0], &claim), MF_OK);
    await_tasks(f, 0, 0, RIGHT_WITHIN_MS);
}

/* Another session under the name of one that was ended takes its place; that the old one has gone
 * is then no news. */
static void test_name_taken_over(void **state)
{
    fixture *f = *state;
    mf_session heir = driver_session(f->names[0], 'f', LEASE_MS);
    mf_join_request request = {.session = &heir, .takeover = true};
    mf_claim claim = {.id = "t0"};

    join(f, 0);
    driver_submit_many(&f->worker, "t", 1);
    assert_int_equal(driver_claim(&f->worker, &f->sessions[0], &claim), MF_OK);
    await_tasks(f, 0, 1, RIGHT_WITHIN_MS);
    assert_int_equal(driver_join_with(&f->worker, &request), MF_OK);
    await_tasks(f, 0, 0, RIGHT_WITHIN_MS);
    assert_int_equal(driver_leave(&f->worker, &f->sessions[0]), MF_OK);
    driver_run_ms(&f->worker, RIGHT_WITHIN_MS);
    assert_int_equal(known_tasks(&f->observer, f->names[0]), 0);
    assert_int_equal(f->observer.count, 1);
}

/* A node that has died is not among the others any more when its lease has ended. */
static void test_lapsed(void **state)
{
    fixture *f = *state;

    f->sessions[0].lease_ms = 1000;
    join(f, 0);
    await_tasks(f, 0, 0, RIGHT_WITHIN_MS);
    await_tasks(f, 0, -1, f->sessions[0].lease_ms + RIGHT_WITHIN_MS);
}

static void kill_subscriptions(fixture *f)
{
    redis_server_do(f->server, "CLIENT KILL TYPE pubsub");
}

/* Hints that are lost, because the subscription is, every time that it is made anew: the view is
 * right within two seconds all the same. */
static void test_hints_lost(void **state)
{
    fixture *f = *state;

    join(f, 0);
    driver_submit_many(&f->worker, "t", 1000);
    await_tasks(f, 0, 0, RIGHT_WITHIN_MS);
    kill_subscriptions(f);
    driver_claim_many(&f->worker, &f->sessions[0], "t", 1000);
    int64_t began_us = mf_loop_now_us(f->loop);
    while (known_tasks(&f->observer, f->names[0]) != 1000) {
        kill_subscriptions(f);
        driver_run_ms(&f->worker, POLL_MS);
        assert_true(mf_loop_now_us(f->loop) - began_us < RIGHT_WITHIN_MS * INT64_C(1000));
    }
    assert_true(f->observer.handle.resyncs > 1); /* it was made anew */
}

static bool all_known(const fixture *f, const int64_t *tasks)
{
    for (int i = 0; i < NODES; i++)
        if (known_tasks(&f->observer, f->names[i]) != tasks[i])
            return false;
    return true;
}

/* Sets what sessions hold behind the scripts' backs, as if every hint of it had been lost. */
static void set_counts(fixture *f, int64_t *tasks, int64_t change)
{
    for (int i = 0; i < NODES; i++) {
        tasks[i] += i % 2 == 0 ? change : -change;
        redis_server_do(f->server, "HSET {t}:counts %s %lld", f->sessions[i].token,
                        (long long)tasks[i]);
    }
}

static long long calls_of(const redisReply *statistics, const char *command)
{
    const char *line = strstr(statistics->str, command);

    return line != NULL ? strtoll(strchr(line, '=') + 1, NULL, 10) : 0;
}

/* The first time that a connection calls one it sends its text. */
static long long scripts_called(fixture *f)
{
    redisReply *reply = redis_server_command(f->server, "INFO commandstats");
    long long calls =
        calls_of(reply, "cmdstat_evalsha:calls=") + calls_of(reply, "cmdstat_eval:calls=");

    freeReplyObject(reply);
    return calls;
}

/* 100,000 tasks on 30 nodes: the view is right within two seconds of their claims; and while it
 * stands, watching it costs a script or so a second, which reads a line for each node, however many
 * handles watch. */
static void test_many_tasks(void **state)
{
    enum { WATCH_MS = 3000, WATCHERS = 5 };
    fixture *f = *state;
    observer others[WATCHERS] = {0};
    int64_t tasks[NODES];
    char prefix[16];

    for (int i = 0; i < NODES; i++) {
        join(f, i);
        tasks[i] = TASKS / NODES;
        snprintf(prefix, sizeof prefix, "n%d-", i);
        driver_submit_many(&f->worker, prefix, (size_t)tasks[i]);
        driver_claim_many(&f->worker, &f->sessions[i], prefix, (size_t)tasks[i]);
    }
    for (int i = 0; i < NODES; i++)
        await_tasks(f, i, tasks[i], RIGHT_WITHIN_MS);

    for (int i = 0; i < WATCHERS; i++) {
        open_handle(f, &others[i].handle);
        others[i].handle.node_changed = on_node;
        driver_watch(&others[i].handle, NULL);
    }
    driver_run_ms(&f->worker, RIGHT_WITHIN_MS);
    long long before = scripts_called(f);
    driver_run_ms(&f->worker, WATCH_MS);
    long long scripts = scripts_called(f) - before;
    print_message("%lld scripts in %d ms\n", scripts, WATCH_MS);
    assert_in_range(scripts, 1, WATCH_MS / 1000 * 3);

    set_counts(f, tasks, 7);
    int64_t began_us = mf_loop_now_us(f->loop);
    while (!all_known(f, tasks)) {
        driver_run_ms(&f->worker, POLL_MS);
        assert_true(mf_loop_now_us(f->loop) - began_us < RIGHT_WITHIN_MS * INT64_C(1000));
    }
    for (int i = 0; i < WATCHERS; i++) {
        assert_int_equal(others[i].count, NODES);
        driver_close(&others[i].handle);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hints, setup, teardown),
        cmocka_unit_test_setup_teardown(test_done, setup, teardown),
        cmocka_unit_test_setup_teardown(test_name_taken_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lapsed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hints_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_tasks, setup, teardown),
    };
    process_outrank_others();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
