/* Reviving, on the embedded broker in virtual time, when something happens between its two steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/driver.h>

#include "embedded/embedded.h"
#include "virtual_loop.h"

enum { TASKS = 5, OWNED = 2 /* tasks 1 and 3 */ };

typedef struct fixture {
    virtual_world *world;
    mf__embedded_store *store;
    mf_loop *loop;
    mf_broker *broker;
    mf_client *client;
    const mf_broker_operations *real;
    mf_broker_operations spied;
    mf_session session;
    mf_claim claims[OWNED], *owned[OWNED];
    mf_claims_request end;
    mf_task_spec tasks[TASKS];
    int codes[TASKS];
    mf_error error;
    unsigned calls, submits;
    size_t submitted;
    int64_t delays_us[TASKS];
    bool ends_between;
} fixture;

static fixture *spied; /* by the one broker of a test */

static void ignore(mf_request *request)
{
    (void)request;
}

static void end_owned(fixture *f)
{
    if (f->owned[0] != NULL)
        return;
    f->owned[0] = &f->claims[0];
    f->owned[1] = &f->claims[1];
    f->end = (mf_claims_request){
        .request.done = ignore, .session = &f->session, .claims = f->owned, .count = OWNED};
    f->real->done(f->broker, &f->end);
}

/* The owner's tasks end just before the second step reaches the broker. */
static void spy_submit(mf_broker *broker, mf_items_request *request)
{
    fixture *f = spied;

    f->submits++;
    f->submitted = request->count;
    for (size_t i = 0; i < request->count; i++)
        f->delays_us[i] = request->items[i].delay_us;
    if (f->ends_between)
        end_owned(f);
    f->real->submit(broker, request);
}

static int64_t store_clock(void *arg)
{
    return virtual_world_now_us(arg);
}

static void claim_owned(fixture *f)
{
    mf_claim *claims[OWNED] = {&f->claims[0], &f->claims[1]};
    mf_join_request join = {.request.done = ignore, .session = &f->session};
    mf_claims_request request = {
        .request.done = ignore, .session = &f->session, .claims = claims, .count = OWNED};

    f->session =
        (mf_session){.node = "n", .token = "1", .epoch = 1, .lease_ms = 60000, .weight = 1};
    f->claims[0].id = "1";
    f->claims[1].id = "3";
    f->broker->operations->join(f->broker, &join);
    f->broker->operations->claim(f->broker, &request);
    virtual_world_run_for(f->world, 1000);
    assert_int_equal(f->claims[0].result, MF_OK);
    assert_int_equal(f->claims[1].result, MF_OK);
}

static int setup(void **state)
{
    static const char *const ids[TASKS] = {"0", "1", "2", "3", "4"};
    fixture *f = calloc(1, sizeof *f);
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;

    f->world = virtual_world_new(1);
    f->store = mf__embedded_store_new(store_clock, f->world);
    f->loop = virtual_loop_new(f->world, 1.0);
    options.name_space = "test";
    assert_int_equal(mf__embedded_open(&f->broker, f->store, &options, f->loop, NULL), MF_OK);
    assert_int_equal(mf_client_open(&f->client, f->broker, NULL), MF_OK);
    for (size_t i = 0; i < TASKS; i++)
        f->tasks[i].id = ids[i];
    assert_int_equal(mf_client_submit(f->client, f->tasks + 1, 3, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
    claim_owned(f);
    f->real = f->broker->operations;
    f->spied = *f->real;
    f->spied.submit = spy_submit;
    f->broker->operations = &f->spied;
    spied = f;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    mf_client_close(f->client);
    mf_broker_close(f->broker, NULL, NULL);
    virtual_world_run_for(f->world, 1000000);
    mf_loop_free(f->loop);
    mf__embedded_store_release(f->store);
    virtual_world_free(f->world);
    free(f);
    return 0;
}

static void on_revived(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    fixture *f = arg;

    f->calls++;
    if (error != NULL)
        f->error = *error;
    for (size_t i = 0; i < count; i++)
        f->codes[i] = items[i].code;
}

static void revive(fixture *f, size_t first, size_t count)
{
    assert_int_equal(mf_client_revive(f->client, f->tasks + first, count, on_revived, f, NULL),
                     MF_OK);
    virtual_world_run_for(f->world, 1000);
    assert_int_equal(f->calls, 1);
}

static void on_found(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    int *codes = arg;

    (void)error;
    (void)last;
    for (size_t i = 0; i < count; i++)
        codes[i] = tasks[i].code;
}

static void assert_there(fixture *f, const int expected[TASKS])
{
    const char *ids[TASKS];
    int codes[TASKS];

    for (size_t i = 0; i < TASKS; i++)
        ids[i] = f->tasks[i].id;
    assert_int_equal(mf_client_lookup(f->client, ids, TASKS, on_found, codes, NULL), MF_OK);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
    for (size_t i = 0; i < TASKS; i++)
        assert_int_equal(codes[i], expected[i]);
}

/* A task that is reported as taken is not submitted, so that one which ends meanwhile stays ended;
 * the others, before, between and after, are revived with their own delays. */
static void taken_ones_are_left_alone(void **state)
{
    fixture *f = *state;

    f->ends_between = true;
    f->tasks[4].not_before_us = mf_loop_wall_us(f->loop) + 60000000;
    revive(f, 0, TASKS);
    assert_int_equal(f->submits, 1);
    assert_int_equal(f->submitted, 3);
    assert_int_equal(f->delays_us[1], 0);
    assert_in_range(f->delays_us[2], 59000000, 60000000);
    const int expected[TASKS] = {MF_OK, MF_ETAKEN, MF_OK, MF_ETAKEN, MF_OK};
    assert_memory_equal(f->codes, expected, sizeof expected);
    assert_there(f, (const int[TASKS]){MF_OK, MF_EGONE, MF_OK, MF_EGONE, MF_OK});
}

/* When all are taken there is no second step. */
static void all_are_taken(void **state)
{
    fixture *f = *state;

    f->tasks[2].id = f->tasks[3].id;
    revive(f, 1, 2);
    assert_int_equal(f->submits, 0);
    assert_int_equal(f->codes[0], MF_ETAKEN);
    assert_int_equal(f->codes[1], MF_ETAKEN);
}

/* Batches keep their results apart when there are fewer items in the second step. */
static void several_batches(void **state)
{
    fixture *f = *state;

    f->broker->max_batch = 2;
    f->ends_between = true;
    revive(f, 0, TASKS);
    const int expected[TASKS] = {MF_OK, MF_ETAKEN, MF_OK, MF_ETAKEN, MF_OK};
    assert_memory_equal(f->codes, expected, sizeof expected);
}

/* What was refused for good stays so when the rest is given up. */
static void closed_between(void **state)
{
    fixture *f = *state;

    assert_int_equal(mf_client_revive(f->client, f->tasks, TASKS, on_revived, f, NULL), MF_OK);
    for (int i = 0; i < 10 && f->submits == 0; i++)
        virtual_world_step(f->world, INT64_MAX);
    assert_int_equal(f->submits, 1);
    mf_client_close(f->client);
    f->client = NULL;
    assert_int_equal(f->error.code, MF_ECLOSED);
    const int expected[TASKS] = {MF_EUNKNOWN, MF_ETAKEN, MF_EUNKNOWN, MF_ETAKEN, MF_EUNKNOWN};
    assert_memory_equal(f->codes, expected, sizeof expected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(taken_ones_are_left_alone),
        TEST(all_are_taken),
        TEST(several_batches),
        TEST(closed_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
