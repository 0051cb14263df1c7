/* The session: how it leaves, and how it comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "stage.h"

static int setup(void **state)
{
    *state = stage_joined(4);
    return 0;
}

static int teardown(void **state)
{
    stage_free(*state);
    return 0;
}

/* A renewal that a join with a new weight has overtaken is refused as stale; a close that comes
 * then leaves all the same. */
static void closed_when_overtaken(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 1);
    s->broker->rules[RENEW].held = true;
    mf__coordinator_check(s->coordinator, &s->actors[0].claim);
    mf__coordinator_set_weight(s->coordinator, 0);
    stage_end(s, 0, MF_RELEASE);
    stage_run_ms(s, 1);
    script_answer(s->broker, RENEW, MF_ESTALE);
    assert_int_equal(s->actors[0].endings, 1);
    stage_close(s);
    stage_run_ms(s, 10);
    assert_int_equal(s->broker->counts[LEAVE], 1);
    assert_true(s->closed);
}

/* While the join with the new weight is under way, its answer is awaited. */
static void closed_during_a_join(void **state)
{
    stage *s = *state;

    s->broker->rules[JOIN].held = true;
    mf__coordinator_set_weight(s->coordinator, 0);
    stage_close(s);
    stage_run_ms(s, 10);
    script_answer(s->broker, JOIN, MF_OK);
    stage_run_ms(s, 10);
    assert_int_equal(s->broker->counts[LEAVE], 1);
    assert_true(s->closed);
}

/* Without a link there is nobody to tell. */
static void closed_without_a_link(void **state)
{
    stage *s = *state;

    script_link(s->broker, false);
    stage_close(s);
    stage_run_ms(s, 10);
    assert_int_equal(s->broker->counts[JOIN], 1);
    assert_true(s->closed);
}

/* A broker that is there but lets nobody join is asked less and less often, and the log does not
 * fill; once a session has renewed, the next break is mended as soon as the first. */
static void refused_again_and_again(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 1);
    s->broker->rules[JOIN].code = s->broker->rules[RENEW].code = MF_EUNREACHABLE;
    mf__coordinator_check(s->coordinator, &s->actors[0].claim);
    stage_run_ms(s, 10000);
    assert_in_range(s->broker->counts[JOIN], 6, 14);
    assert_in_range(s->lines, 1, 5);
    s->broker->rules[JOIN].code = s->broker->rules[RENEW].code = MF_OK;
    stage_run_ms(s, 2500);
    assert_int_equal(stage_stops(s), 1);
    size_t joins = s->broker->counts[JOIN];
    s->broker->rules[RENEW].code = MF_EUNREACHABLE;
    mf__coordinator_check(s->coordinator, &s->actors[0].claim);
    stage_run_ms(s, 100);
    assert_in_range(s->broker->counts[JOIN] - joins, 1, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(closed_when_overtaken),
        TEST(closed_during_a_join),
        TEST(closed_without_a_link),
        TEST(refused_again_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
