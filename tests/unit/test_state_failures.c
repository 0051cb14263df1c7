/* States that can be neither read nor written: for now, or not on this node at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/driver.h>

#include "cluster.h"

enum { RELEASE_PAUSE_MS = 10000 };

/* What a node's next loads and stores end with, before they come to the broker. */
typedef struct refusal {
    mf_broker_operations operations;
    const mf_broker_operations *real;
    int code, loads, stores;
} refusal;

static cluster *c;
static node *a;
static refusal refuse;
static size_t runs;

static void answer(void *arg)
{
    mf_request *request = arg;
    request->done(request);
}

static void turn_down(mf_broker *broker, mf_request *request)
{
    mf_error_set(&request->error, refuse.code, "refused");
    mf_loop_post(broker->loop, answer, request);
}

static void load(mf_broker *broker, mf_load_request *request)
{
    if (refuse.loads-- > 0)
        turn_down(broker, &request->request);
    else
        refuse.real->load(broker, request);
}

static void store(mf_broker *broker, mf_store_request *request)
{
    if (refuse.stores-- > 0)
        turn_down(broker, &request->request);
    else
        refuse.real->store(broker, request);
}

static void on_run(mf_task *task, void *payload)
{
    mf_message pause = mf_message_of(MF_MESSAGE_PAUSE);

    (void)payload;
    runs++;
    mf_task_return(task, &pause);
}

static void on_told(mf_task *task, const mf_message *message, void *payload)
{
    (void)payload;
    mf_task_return(task, message);
}

/* A node on which so many loads and stores end with the code. */
static void join(int code, int loads, int stores)
{
    mf_state_options states = MF_STATE_OPTIONS_INIT;
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    states.start = on_run;
    states.on_message = on_told;
    states.release_pause_ms = RELEASE_PAUSE_MS;
    options.handler = mf_stateful_handler(&states);
    options.balancer = mf_balancer_dumb();
    a = cluster_join(c, "a", ENDS_WHEN_STOPPED, &options);
    refuse = (refusal){.operations = *a->broker->operations,
                       .real = a->broker->operations,
                       .code = code,
                       .loads = loads,
                       .stores = stores};
    refuse.operations.load = load;
    refuse.operations.store = store;
    a->broker->operations = &refuse.operations;
}

static int setup(void **state)
{
    (void)state;
    c = cluster_new(11);
    runs = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cluster_free(c);
    return 0;
}

static void on_state(const mf_error *error, const mf_state_record *records, size_t count, bool last,
                     void *arg)
{
    (void)last;
    assert_null(error);
    assert_int_equal(count, 1);
    snprintf(arg, 256, "%s", records->json != NULL ? records->json : "none");
}

static const char *state_now(void)
{
    static char json[256];
    static const char *const id = "t";

    assert_int_equal(mf_client_lookup_states(c->client, &id, 1, on_state, json, NULL), MF_OK);
    assert_int_equal(mf_client_wait(c->client, NULL), MF_OK);
    return json;
}

/* Without an answer a load is asked for again until there is one; the task stays here. */
static void test_load_unanswered(void **state)
{
    (void)state;
    join(MF_EUNKNOWN, 3, 0);
    cluster_submit_one(c, "t", NULL);
    cluster_run_ms(c, RELEASE_PAUSE_MS);
    assert_int_equal(runs, 1);
    assert_int_equal(cluster_statistics(a).released, 0);
    assert_string_equal(state_now(), "{\"state\":\"paused\"}");
}

/* A store without an answer is repeated, and the state is what the handler made it. */
static void test_store_unanswered(void **state)
{
    (void)state;
    join(MF_EUNREACHABLE, 0, 3);
    cluster_submit_one(c, "t", NULL);
    cluster_run_ms(c, RELEASE_PAUSE_MS);
    assert_int_equal(runs, 1);
    assert_string_equal(state_now(), "{\"state\":\"paused\"}");
}

/* A node that may not read states gives the task back, but not before a pause; whoever can read it
 * runs it. */
static void test_load_refused(void **state)
{
    (void)state;
    join(MF_EREFUSED, 1, 0);
    cluster_submit_one(c, "t", NULL);
    cluster_run_ms(c, RELEASE_PAUSE_MS - 1000);
    assert_int_equal(runs, 0);
    assert_int_equal(cluster_statistics(a).released, 0);
    cluster_run_ms(c, RELEASE_PAUSE_MS);
    assert_int_equal(cluster_statistics(a).released, 1);
    assert_int_equal(runs, 1);
    assert_string_equal(state_now(), "{\"state\":\"paused\"}");
}

/* A write that is refused once is made a moment later. */
static void test_store_refused_once(void **state)
{
    (void)state;
    join(MF_EREFUSED, 0, 1);
    cluster_submit_one(c, "t", NULL);
    cluster_run_ms(c, 200);
    assert_string_equal(state_now(), "{\"state\":\"paused\"}");
    cluster_run_ms(c, 60000);
    assert_int_equal(runs, 1);
}

/* A node that may not write states for longer than a lease gives the task back in the state that
 * the broker has. */
static void test_store_refused(void **state)
{
    (void)state;
    join(MF_EREFUSED, 0, 1000);
    cluster_submit_one(c, "t", NULL);
    cluster_run_ms(c, 18000);
    refuse.stores = 0;
    cluster_run_ms(c, RELEASE_PAUSE_MS - 4000);
    assert_int_equal(runs, 1);
    assert_string_equal(state_now(), "none");
    cluster_run_ms(c, RELEASE_PAUSE_MS);
    assert_int_equal(runs, 2);
    assert_string_equal(state_now(), "{\"state\":\"paused\"}");
}

/* A task that waits to be given back for a failed load ends at once with the node. */
static void test_shutdown_while_stuck(void **state)
{
    (void)state;
    join(MF_EREFUSED, 1000, 0);
    cluster_submit_one(c, "t", NULL);
    cluster_run_ms(c, 1000);
    mf_consumer_shutdown(a->consumer);
    cluster_run_ms(c, 1000);
    assert_true(a->closed);
    assert_int_equal(cluster_task_count(c), 1);
}

#define FAILURE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAILURE_TEST(test_load_unanswered), FAILURE_TEST(test_store_unanswered),
        FAILURE_TEST(test_load_refused),    FAILURE_TEST(test_store_refused_once),
        FAILURE_TEST(test_store_refused),   FAILURE_TEST(test_shutdown_while_stuck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
