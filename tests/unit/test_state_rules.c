/* The transition table: every state with every message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/state.h>

enum { STATES = MF_STATE_FAILED + 1, MESSAGES = MF_MESSAGE_RELEASE + 1 };

/* A row for each state, a column for each message in the order of their codes: run, sleep, pause,
 * kill, error, complete, checkpoint, release. The first letter of the new state; m is completed,
 * d is failed; a dot is no transition. */
static const char table[STATES][MESSAGES + 1] = {
    [MF_STATE_RUNNABLE] = ".spkfmrr",  [MF_STATE_SLEEPING] = "rspkf.ss",
    [MF_STATE_PAUSED] = "rspk..pp",    [MF_STATE_FAULT] = ".s..d...",
    [MF_STATE_COMPLETED] = "........", [MF_STATE_KILLED] = "........",
    [MF_STATE_FAILED] = "........",
};

static const char letters[STATES] = {'r', 's', 'p', 'f', 'm', 'k', 'd'};

static mf_message message_of(mf_message_code code)
{
    mf_message message = mf_message_of(code);

    if (code == MF_MESSAGE_SLEEP)
        message = mf_message_sleep_until(7000000);
    if (code == MF_MESSAGE_ERROR)
        message = mf_message_error("e");
    return message;
}

static mf_state state_of(mf_state_code code)
{
    return (mf_state){
        .code = code, .has_until = code == MF_STATE_SLEEPING, .until = {.seconds = 5}};
}

static void check_cell(mf_state_code from, mf_message_code code)
{
    mf_state state = state_of(from);
    mf_message message = message_of(code);
    mf_time now = {.seconds = 3};
    char expected = table[from][code];
    int result = mf_state_apply(&state, &message, &now, NULL);
    char is = result == MF_OK ? letters[state.code] : '.';

    if (is != expected)
        fail_msg("%s, %s: %c", mf_state_text(from), mf_message_text(code), is);
    if (expected == '.') {
        assert_int_equal(state.code, from);
        assert_int_equal(state.error_count, 0);
    }
    mf_state_clear(&state);
}

/* Every cell of the table; where there is no transition the state stays as it was. */
static void test_every_cell(void **state)
{
    (void)state;
    for (int from = 0; from < STATES; from++)
        for (int code = 0; code < MESSAGES; code++)
            check_cell((mf_state_code)from, (mf_message_code)code);
}

/* Checkpoint and release keep a sleep's end; run, pause and sleep do not. */
static void test_until(void **state)
{
    static const struct {
        mf_message_code code;
        int64_t seconds; /* of the new end; 0: none */
    } cases[] = {{MF_MESSAGE_CHECKPOINT, 5}, {MF_MESSAGE_RELEASE, 5}, {MF_MESSAGE_RUN, 0},
                 {MF_MESSAGE_PAUSE, 0},      {MF_MESSAGE_KILL, 0},    {MF_MESSAGE_SLEEP, 7}};
    mf_time now = {.seconds = 3};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mf_state s = state_of(MF_STATE_SLEEPING);
        mf_message message = message_of(cases[i].code);
        assert_int_equal(mf_state_apply(&s, &message, &now, NULL), MF_OK);
        assert_int_equal(s.has_until, cases[i].seconds != 0);
        assert_int_equal(s.until.seconds, cases[i].seconds);
    }
}

/* After an error in a sleep no retry comes before the sleep's end, and a later one is later. */
static void test_error_never_shortens_a_sleep(void **state)
{
    static const int64_t retries[] = {4, 6};
    static const int64_t ends[] = {5, 6};
    mf_time now = {.seconds = 3};

    (void)state;
    for (int i = 0; i < 2; i++) {
        mf_state s = state_of(MF_STATE_SLEEPING);
        mf_message error = mf_message_error("e");
        mf_message retry = mf_message_sleep_until(retries[i] * 1000000);
        assert_int_equal(mf_state_apply(&s, &error, &now, NULL), MF_OK);
        assert_int_equal(mf_state_apply(&s, &retry, &now, NULL), MF_OK);
        assert_int_equal(s.code, MF_STATE_SLEEPING);
        assert_int_equal(s.until.seconds, ends[i]);
        mf_state_clear(&s);
    }
}

/* Errors gather with their times, over other transitions too; giving up adds its reason. */
static void test_errors_gather(void **state)
{
    mf_state s = {.code = MF_STATE_RUNNABLE};
    const mf_message messages[] = {mf_message_error("one"), mf_message_sleep_until(1),
                                   mf_message_of(MF_MESSAGE_RUN), mf_message_error("two"),
                                   mf_message_error("too many")};

    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        mf_time now = {.seconds = (int64_t)i};
        assert_int_equal(mf_state_apply(&s, &messages[i], &now, NULL), MF_OK);
    }
    assert_int_equal(s.code, MF_STATE_FAILED);
    assert_int_equal(s.error_count, 3);
    assert_string_equal(s.errors[1].text, "two");
    assert_int_equal(s.errors[1].timestamp.seconds, 3);
    assert_string_equal(s.errors[2].text, "too many");
    mf_state_clear(&s);
}

/* The refusal names the message and the state. */
static void test_refusal(void **state)
{
    mf_state s = {.code = MF_STATE_PAUSED};
    mf_message message = mf_message_of(MF_MESSAGE_COMPLETE);
    mf_time now = {0};
    mf_error error;

    (void)state;
    assert_int_equal(mf_state_apply(&s, &message, &now, &error), MF_EINVAL);
    assert_string_equal(error.text, "message: complete is not for a task that is paused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cell),
        cmocka_unit_test(test_until),
        cmocka_unit_test(test_error_never_shortens_a_sleep),
        cmocka_unit_test(test_errors_gather),
        cmocka_unit_test(test_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
