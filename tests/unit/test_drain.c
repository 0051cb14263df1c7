/* Draining, restarting and explaining: consumers on the embedded broker in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster.h"
#include "consumer/internal.h"

enum { TASKS = 120 };

static int setup(void **state)
{
    *state = cluster_new(5);
    return 0;
}

static int teardown(void **state)
{
    cluster_free(*state);
    return 0;
}

static void submit(cluster *c, int count)
{
    char ids[TASKS][24];
    const char *names[TASKS];

    for (int i = 0; i < count; i++) {
        snprintf(ids[i], sizeof ids[i], "task-%d", i);
        names[i] = ids[i];
    }
    cluster_submit(c, names, (size_t)count);
}

static void join(cluster *c, int count)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};

    for (int i = 0; i < count; i++)
        cluster_join(c, names[c->node_count], ENDS_WHEN_STOPPED, NULL);
    cluster_run_ms(c, 1000);
}

static size_t running(const cluster *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->node_count; i++)
        count += c->nodes[i].running;
    return count;
}

/* Runs on and returns the least number of tasks that ran at any time. */
static size_t least_running(cluster *c, int ms)
{
    size_t least = SIZE_MAX;
    for (; ms > 0; ms--) {
        cluster_run_ms(c, 1);
        least = running(c) < least ? running(c) : least;
    }
    return least;
}

/* A drained node gives all away, a few at a time, and takes nothing until it is undrained. */
static void drain_and_undrain(void **state)
{
    cluster *c = *state;

    join(c, 3);
    submit(c, TASKS);
    cluster_run_ms(c, 1000);
    assert_in_range(c->nodes[0].running, 30, 50);
    cluster_command(c, "a", MF_COMMAND_DRAIN, NULL);
    assert_in_range(least_running(c, 5000), TASKS - 8, TASKS);
    assert_true(mf_consumer_draining(c->nodes[0].consumer));
    assert_int_equal(c->nodes[0].running, 0);
    assert_true(cluster_traced(c, "a drained"));
    cluster_run_ms(c, 60000);
    assert_int_equal(c->nodes[0].running, 0);
    assert_int_equal(running(c), TASKS);
    cluster_command(c, "a", MF_COMMAND_UNDRAIN, NULL);
    cluster_run_ms(c, 16000);
    assert_in_range(c->nodes[0].running, 35, 45);
    assert_int_equal(cluster_trace_count(c, "a drained"), 1);
}

/* Alone, a drained node goes on running its tasks; when another joins, it gives them to that. */
static void drain_without_others(void **state)
{
    cluster *c = *state;

    join(c, 1);
    submit(c, TASKS);
    cluster_run_ms(c, 1000);
    mf_consumer_drain(c->nodes[0].consumer);
    cluster_run_ms(c, 60000);
    assert_int_equal(c->nodes[0].running, TASKS);
    assert_false(cluster_traced(c, "a drained"));
    join(c, 1);
    cluster_run_ms(c, 10000);
    assert_int_equal(c->nodes[0].running, 0);
    assert_int_equal(c->nodes[1].running, TASKS);
    assert_true(cluster_traced(c, "a drained"));
}

/* What nobody takes comes back, and is offered one at a time from then on. */
static void drain_that_nobody_heeds(void **state)
{
    cluster *c = *state;
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    join(c, 1);
    submit(c, TASKS);
    cluster_run_ms(c, 1000);
    options.balancer = mf_balancer_resource(mf_report_memory, NULL, 1, 2); /* it is always full */
    cluster_join(c, "full", ENDS_WHEN_STOPPED, &options);
    cluster_run_ms(c, 1000);
    mf_consumer_drain(c->nodes[0].consumer);
    assert_in_range(least_running(c, 60000), TASKS - 1, TASKS);
    assert_int_equal(c->nodes[0].running, TASKS);
}

/* A drained node that has nothing says so at once, and one that is shut down while it drains just
 * does so. */
static void drain_and_shutdown(void **state)
{
    cluster *c = *state;

    join(c, 2);
    mf_consumer_drain(c->nodes[1].consumer);
    cluster_run_ms(c, 10);
    assert_true(cluster_traced(c, "b drained"));
    mf_consumer_drain(c->nodes[0].consumer);
    mf_consumer_shutdown(c->nodes[0].consumer);
    cluster_await_closed(c, &c->nodes[0]);
}

/* A broker that answers each claim, or release, with a code, right behind a hint that the task is
 * claimable: the hint was late, since another node has taken the task meanwhile. */
static mf_broker_operations late;
static node *hinted;

static void answer(void *arg)
{
    mf_request *request = arg;
    request->done(request);
}

static int late_code; /* what becomes of each */

static void answer_late(mf_broker *broker, mf_claims_request *request)
{
    for (size_t i = 0; i < request->count; i++) {
        const char *id = request->claims[i]->id;
        mf__offers_add(hinted->consumer, &id, 1, NULL);
        request->claims[i]->result = late_code;
    }
    request->request.error.code = MF_OK;
    mf_loop_post(broker->loop, answer, &request->request);
}

/* Node a drains its three tasks, which nobody else takes, on such a broker. */
static void drain_late(cluster *c, int code, bool release)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    late_code = code;
    options.balancer = mf_balancer_resource(mf_report_memory, NULL, 1, 2); /* it is always full */
    join(c, 1);
    submit(c, 3);
    cluster_run_ms(c, 1000);
    cluster_join(c, "full", ENDS_WHEN_STOPPED, &options);
    cluster_run_ms(c, 1000);
    hinted = &c->nodes[0];
    late = *hinted->broker->operations;
    if (release)
        late.release = answer_late;
    else
        late.claim = answer_late;
    hinted->broker->operations = &late;
    mf_consumer_drain(hinted->consumer);
    cluster_run_ms(c, 60000);
    assert_int_equal(hinted->running, 0);
    assert_true(cluster_traced(c, "a drained"));
    assert_int_equal(cluster_statistics(hinted).handed_over, 3);
}

/* What was handed over and then offered again by a late hint has left: the drain goes on. */
static void drain_with_a_late_hint(void **state)
{
    drain_late(*state, MF_ETAKEN, false);
}

/* So has what cannot be claimed back since its record is damaged. */
static void drain_of_damaged_tasks(void **state)
{
    drain_late(*state, MF_EDAMAGED, false);
}

/* And what was another's already when it was given back. */
static void drain_of_lost_tasks(void **state)
{
    drain_late(*state, MF_ELATE, true);
}

/* A task that is done while it is being handed over has left as well. */
static void drain_of_a_task_that_ends(void **state)
{
    cluster *c = *state;

    node *a = cluster_join(c, "a", ENDS_WHEN_TOLD, NULL);
    submit(c, 2);
    cluster_await_running(c, a, 2);
    cluster_join(c, "b", ENDS_WHEN_STOPPED, NULL);
    cluster_run_ms(c, 1000);
    mf_consumer_drain(a->consumer);
    cluster_run_ms(c, 1000);
    while (a->running > 0) {
        const char *id = a->consumer->running[0]->claim.id;
        char copy[24];
        snprintf(copy, sizeof copy, "%s", id);
        cluster_finish(a, copy, MF_DONE);
        cluster_run_ms(c, 1000);
    }
    assert_true(cluster_traced(c, "a drained"));
    assert_int_equal(cluster_task_count(c), 0);
}

static size_t moved(const cluster *c)
{
    uint64_t started = 0;
    for (size_t i = 0; i < c->node_count; i++)
        started += cluster_statistics(&c->nodes[i]).started;
    return (size_t)started;
}

/* A node that says that it will be back finds its tasks waiting for it; new ones do not wait. */
static void restart_keeps_tasks(void **state)
{
    cluster *c = *state;

    join(c, 4);
    submit(c, TASKS);
    cluster_run_ms(c, 20000);
    size_t held = c->nodes[3].running, others = running(c) - held;
    size_t before = moved(c);
    mf_consumer_shutdown_for_restart(c->nodes[3].consumer);
    cluster_await_closed(c, &c->nodes[3]);
    cluster_run_ms(c, 5000);
    assert_int_equal(running(c), others);
    cluster_submit_one(c, "new", NULL);
    cluster_run_ms(c, 1000);
    assert_int_equal(running(c), others + 1);
    node *again = cluster_join(c, "d", ENDS_WHEN_STOPPED, NULL);
    cluster_run_ms(c, 1000);
    assert_int_equal(running(c), TASKS + 1);
    assert_int_equal(again->running, held);
    cluster_run_ms(c, 60000);
    assert_int_equal(moved(c) - before, held + 1); /* and no others */
}

/* What a node that is back does not take runs elsewhere soon. */
static void restart_that_takes_nothing(void **state)
{
    cluster *c = *state;

    join(c, 3);
    submit(c, TASKS);
    cluster_run_ms(c, 20000);
    size_t others = running(c) - c->nodes[2].running;
    mf_consumer_shutdown_for_restart(c->nodes[2].consumer);
    cluster_await_closed(c, &c->nodes[2]);
    cluster_run_ms(c, 1000);
    assert_int_equal(running(c), others);
    node *again = cluster_join(c, "c", ENDS_WHEN_STOPPED, NULL);
    mf_consumer_freeze(again->consumer);
    cluster_run_ms(c, 3000);
    assert_int_equal(running(c), TASKS);
    assert_int_equal(again->running, 0);
}

/* One that does not come back in time has left: the others take its tasks. */
static void restart_that_does_not_come(void **state)
{
    cluster *c = *state;
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    options.restart_grace_ms = 20000;
    for (int i = 0; i < 3; i++)
        cluster_join(c, (const char *const[]){"a", "b", "c"}[i], ENDS_WHEN_STOPPED, &options);
    cluster_run_ms(c, 1000);
    submit(c, TASKS);
    cluster_run_ms(c, 20000);
    mf_consumer_shutdown_for_restart(c->nodes[2].consumer);
    cluster_await_closed(c, &c->nodes[2]);
    cluster_run_ms(c, 19000);
    assert_in_range(running(c), TASKS / 2, TASKS - 20);
    cluster_run_ms(c, 3000);
    assert_int_equal(running(c), TASKS);
}

/* A balance gives up no more than it is told; after a join there may be two. */
static void moves_are_capped(void **state)
{
    cluster *c = *state;
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    options.max_moves = 7;
    cluster_join(c, "a", ENDS_WHEN_STOPPED, &options);
    submit(c, TASKS);
    cluster_run_ms(c, 5000);
    cluster_join(c, "b", ENDS_WHEN_STOPPED, NULL);
    cluster_run_ms(c, 5000);
    size_t given = c->nodes[1].running;
    assert_true(given == 7 || given == 14);
    mf_consumer_balance(c->nodes[0].consumer);
    cluster_run_ms(c, 100);
    assert_int_equal(c->nodes[1].running, given + 7);
}

/* An explanation says where a task is with this node, and what the balancer thinks. */
static void explanations(void **state)
{
    cluster *c = *state;
    mf_explanation why = MF_EXPLANATION_INIT;

    join(c, 1);
    mf_consumer_explain(c->nodes[0].consumer, "none", &why);
    assert_string_equal(why.state, "not known here");
    cluster_submit_one(c, "1", NULL);
    cluster_run_ms(c, 100);
    mf_consumer_explain(c->nodes[0].consumer, "1", &why);
    assert_string_equal(why.state, "running");
    assert_non_null(strstr(why.balance, "its home is a"));
    mf_consumer_stop_task(c->nodes[0].consumer, "1");
    cluster_run_ms(c, 100);
    mf_consumer_explain(c->nodes[0].consumer, "1", &why);
    assert_string_equal(why.state, "held back");
    assert_in_range(why.wait_ms, 1800, 2000);
}

/* Nodes know of each other by hints alone what they hold, whether they take tasks, and that they
 * have gone. */
static void views_follow(void **state)
{
    cluster *c = *state;

    join(c, 2);
    const mf_consumer *a = c->nodes[0].consumer;
    int64_t asked = mf__coordinator_view_asked_us(a->coordinator);
    submit(c, TASKS);
    cluster_run_ms(c, 500);
    assert_int_equal(a->view.nodes[1 - a->view.self].tasks, c->nodes[1].running);
    mf_consumer_freeze(c->nodes[1].consumer);
    cluster_run_ms(c, 10);
    assert_true(a->view.nodes[1 - a->view.self].weight == 0);
    mf_consumer_shutdown(c->nodes[1].consumer);
    cluster_run_ms(c, 10);
    assert_int_equal(a->view.count, 1);
    assert_int_equal(mf__coordinator_view_asked_us(a->coordinator), asked);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(drain_and_undrain),
        TEST(drain_without_others),
        TEST(drain_that_nobody_heeds),
        TEST(drain_and_shutdown),
        TEST(drain_with_a_late_hint),
        TEST(drain_of_damaged_tasks),
        TEST(drain_of_lost_tasks),
        TEST(drain_of_a_task_that_ends),
        TEST(restart_keeps_tasks),
        TEST(restart_that_does_not_come),
        TEST(restart_that_takes_nothing),
        TEST(moves_are_capped),
        TEST(explanations),
        TEST(views_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
