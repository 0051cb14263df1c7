/* Times and counts at their ends: what cannot be written is an error of the task, never a task that
 * goes round. On the embedded broker in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster.h"

/* 9999-12-31T23:59:59.999999Z. */
static const int64_t last_wall_us = INT64_C(253402300799999999);

/* What each run returns, and what the error handler says. */
typedef struct script {
    mf_message result, decision;
    int64_t pause_ms; /* not 0: it says to sleep for so long */
    size_t runs, errors;
} script;

static cluster *c;
static script says;

/* A decision to sleep that long from now. */
static mf_message sleep_for_ms(int64_t ms)
{
    return mf_message_sleep_until(mf_loop_wall_us(c->client_loop) + ms * 1000);
}

static void on_run(mf_task *task, void *payload)
{
    (void)payload;
    says.runs++;
    mf_task_return(task, &says.result);
}

static void on_told(mf_task *task, const mf_message *message, void *payload)
{
    (void)payload;
    mf_task_return(task, message);
}

static mf_message on_error(mf_task *task, const mf_state *state, size_t *keep, void *payload)
{
    (void)task;
    (void)payload;
    assert_int_equal(*keep, state->error_count);
    says.errors++;
    return says.pause_ms != 0 ? sleep_for_ms(says.pause_ms) : says.decision;
}

static void join(mf_state_options states)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    states.version = MF_STATE_OPTIONS_VERSION;
    states.start = on_run;
    states.on_message = on_told;
    options.handler = mf_stateful_handler(&states);
    options.balancer = mf_balancer_dumb();
    cluster_join(c, "a", ENDS_WHEN_STOPPED, &options);
    cluster_submit_one(c, "1", NULL);
    cluster_run_ms(c, 60000);
}

static int setup(void **state)
{
    (void)state;
    c = cluster_new(13);
    says = (script){.decision = mf_message_of(MF_MESSAGE_ERROR)};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cluster_free(c);
    return 0;
}

typedef struct seen_state {
    mf_state_code code;
    size_t errors;
    int64_t until_us;
    char error[300]; /* the last one */
} seen_state;

static void on_state(const mf_error *error, const mf_state_record *records, size_t count, bool last,
                     void *arg)
{
    seen_state *seen = arg;

    (void)last;
    assert_null(error);
    assert_int_equal(count, 1);
    assert_non_null(records->state);
    seen->code = records->state->code;
    seen->errors = records->state->error_count;
    seen->until_us = mf_time_to_wall_us(&records->state->until);
    if (seen->errors > 0)
        snprintf(seen->error, sizeof seen->error, "%s",
                 records->state->errors[seen->errors - 1].text);
}

static seen_state seen(void)
{
    seen_state state = {.code = MF_STATE_FAULT};
    const char *id = "1";

    assert_int_equal(mf_client_lookup_states(c->client, &id, 1, on_state, &state, NULL), MF_OK);
    assert_int_equal(mf_client_wait(c->client, NULL), MF_OK);
    return state;
}

/* The last time that can be written is a sleep like any other. */
static void test_last_time(void **state)
{
    (void)state;
    says.result = mf_message_sleep_until(last_wall_us);
    join((mf_state_options){0});
    assert_int_equal(seen().code, MF_STATE_SLEEPING);
    assert_int_equal(seen().until_us, last_wall_us);
    assert_int_equal(says.runs, 1);
}

/* A sleep until a time that cannot be written is an error, which says why, and is tried again as
 * any other. */
static void test_unwritable_sleep(void **state)
{
    const int64_t times[] = {last_wall_us + 1, INT64_MAX, INT64_MIN};

    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        if (i > 0) {
            teardown(state);
            setup(state);
        }
        says.result = mf_message_sleep_until(times[i]);
        join((mf_state_options){0});
        assert_int_equal(says.runs, 1);
        assert_int_equal(seen().code, MF_STATE_SLEEPING);
        assert_int_equal(seen().errors, 1);
        assert_string_equal(seen().error, "until: time: its year is not between 0 and 9999");
    }
}

/* An error handler that asks for such a sleep, or for what no fault becomes, fails the task. */
static void test_bad_decisions(void **state)
{
    const struct {
        mf_message decision;
        const char *error;
    } cases[] = {
        {mf_message_sleep_until(INT64_MAX), "the error handler returned sleep: until: time: its "
                                            "year is not between 0 and 9999"},
        {{.code = MF_MESSAGE_SLEEP},
         "the error handler returned sleep: until: missing in a sleep "
         "message"},
        {{.code = MF_MESSAGE_RUN},
         "the error handler returned run: message: run is not for a "
         "task that is fault"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (i > 0) {
            teardown(state);
            setup(state);
        }
        says.result = mf_message_error("oh");
        says.decision = cases[i].decision;
        join((mf_state_options){.on_error = on_error});
        assert_int_equal(says.runs, 1);
        assert_int_equal(seen().code, MF_STATE_FAILED);
        assert_int_equal(seen().errors, 2);
        assert_string_equal(seen().error, cases[i].error);
    }
}

/* A window and a pause of a hundred years: the second error within it fails the task, and the sleep
 * after the first can be written. */
static void test_longest_times(void **state)
{
    const int64_t century_ms = INT64_C(3155760000000);
    int64_t now = mf_loop_wall_us(c->client_loop);

    (void)state;
    says.result = mf_message_error("oh");
    join(
        (mf_state_options){.max_errors = 2, .error_window_ms = century_ms, .retry_ms = century_ms});
    assert_int_equal(seen().code, MF_STATE_SLEEPING);
    assert_true(seen().until_us >= now + century_ms * 1000);
    teardown(state);
    setup(state);
    says.result = mf_message_error("oh");
    join((mf_state_options){.max_errors = 2, .error_window_ms = century_ms, .retry_ms = 1000});
    assert_int_equal(seen().code, MF_STATE_FAILED);
    assert_int_equal(says.runs, 2);
}

/* An error handler that keeps all errors keeps the newest 500: with more the state would become a
 * document that cannot be read. */
static void test_most_errors(void **state)
{
    (void)state;
    says.result = mf_message_error("oh");
    says.pause_ms = 100;
    join((mf_state_options){.on_error = on_error});
    cluster_run_ms(c, 60000);
    assert_true(says.errors > 600);
    assert_int_equal(seen().errors, 500);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_last_time),     STORY(test_unwritable_sleep), STORY(test_bad_decisions),
        STORY(test_longest_times), STORY(test_most_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
