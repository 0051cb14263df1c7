/* The session: how it joins, leaves, and comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

/* A broker that refuses a session that was joined before is asked again as soon as one that fails,
 * and as often. */
static void refused_after_a_join(void **state)
{
    stage *s = *state;

    s->broker->rules[JOIN].code = MF_EREFUSED;
    script_link(s->broker, false);
    script_link(s->broker, true);
    stage_run_ms(s, 300);
    assert_in_range(s->broker->counts[JOIN], 4, 6);
    assert_int_equal(s->failed, 0);
    stage_run_ms(s, 20000);
    assert_in_range(s->broker->counts[JOIN], 12, 24);
    s->broker->rules[JOIN].code = MF_OK;
    stage_run_ms(s, 3000);
    assert_int_equal(s->joins, 1);
    stage_hold(s, 0, 1);
}

/* What a first join is refused for is final. */
static void refused_at_first(void **state)
{
    stage *s = stage_new(0);

    (void)state;
    s->broker->rules[JOIN].code = MF_EREFUSED;
    stage_open(s);
    stage_run_ms(s, 60000);
    assert_int_equal(s->failed, MF_EREFUSED);
    assert_int_equal(s->broker->counts[JOIN], 1);
    stage_free(s);
}

static mf_join_request *join_under_way(stage *s)
{
    mf_join_request *join = (mf_join_request *)script_first(s->broker, JOIN);

    assert_non_null(join);
    return join;
}

/* A join takes a name over once; when the session joins again, another that has the name by then
 * has it by right. */
static void takeover_is_for_the_first_join(void **state)
{
    stage *s = stage_new(0);

    (void)state;
    s->options.takeover = true;
    s->broker->rules[JOIN].held = true;
    stage_open(s);
    assert_true(join_under_way(s)->takeover);
    script_answer(s->broker, JOIN, MF_EUNKNOWN);
    stage_run_ms(s, 100);
    assert_true(join_under_way(s)->takeover);
    script_answer(s->broker, JOIN, MF_OK);
    script_link(s->broker, false);
    script_link(s->broker, true);
    assert_false(join_under_way(s)->takeover);
    stage_free(s);
}

/* The join under way is refused: the session `holder` has the name for so long. */
static void answer_in_use(stage *s, const char *holder, int64_t remaining_ms)
{
    mf_join_request *join = join_under_way(s);

    strcpy(join->holder, holder);
    join->remaining_ms = remaining_ms;
    script_answer(s->broker, JOIN, MF_ENAMEINUSE);
}

/* A name is refused when its holder has been seen to renew twice; once may have been under way when
 * its process died. Another holder begins anew, and a lapse that moves by little is no renewal. */
static void two_renewals_are_life(void **state)
{
    stage *s = stage_new(0);

    (void)state;
    s->broker->rules[JOIN].held = true;
    stage_open(s);
    answer_in_use(s, "first", 10000);
    stage_run_ms(s, 1010);
    answer_in_use(s, "first", 10000);
    stage_run_ms(s, 1010);
    answer_in_use(s, "second", 10000);
    stage_run_ms(s, 1010);
    answer_in_use(s, "second", 9100);
    stage_run_ms(s, 1010);
    answer_in_use(s, "second", 10000);
    stage_run_ms(s, 1010);
    assert_int_equal(s->failed, 0);
    answer_in_use(s, "second", 10000);
    stage_run_ms(s, 1);
    assert_int_equal(s->failed, MF_ENAMEINUSE);
    assert_null(script_first(s->broker, JOIN));
    stage_free(s);
}

/* One that lapses is awaited, no longer than needed. */
static void lapse_is_awaited(void **state)
{
    stage *s = stage_new(0);

    (void)state;
    s->broker->rules[JOIN].held = true;
    stage_open(s);
    answer_in_use(s, "dead", 300);
    stage_run_ms(s, 309);
    assert_null(script_first(s->broker, JOIN));
    stage_run_ms(s, 2);
    script_answer(s->broker, JOIN, MF_OK);
    assert_int_equal(s->joins, 1);
    stage_free(s);
}

/* A session whose join took long is renewed a third of a lease after that was sent. */
static void renewed_after_a_slow_join(void **state)
{
    stage *s = stage_new(0);

    (void)state;
    s->broker->rules[JOIN].delay_us = STAGE_LEASE_MS * INT64_C(580);
    stage_open(s);
    stage_run_ms(s, STAGE_LEASE_MS * 58 / 100 + 10);
    assert_int_equal(s->joins, 1);
    assert_int_equal(s->broker->counts[RENEW_SESSION], 1);
    stage_free(s);
}

/* A weight that changes while another is being told is told as well, and nothing is claimed anew or
 * renewed for it. */
static void weights_in_a_row(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 1);
    s->broker->rules[JOIN].held = true;
    mf__coordinator_set_weight(s->coordinator, 2);
    mf__coordinator_set_weight(s->coordinator, 3);
    assert_int_equal(s->broker->counts[JOIN], 2);
    script_answer(s->broker, JOIN, MF_OK);
    assert_int_equal(s->broker->counts[JOIN], 3);
    assert_true(s->broker->weight == 3);
    script_answer(s->broker, JOIN, MF_OK);
    stage_run_ms(s, 1);
    assert_int_equal(s->broker->counts[JOIN], 3);
    assert_int_equal(s->broker->counts[RENEW], 0);
}

/* A break while a weight is being told: that join is the one by which the session comes back. */
static void broken_while_telling(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 1);
    s->broker->rules[JOIN].held = true;
    mf__coordinator_set_weight(s->coordinator, 2);
    s->broker->rules[RENEW].code = MF_EUNKNOWN;
    mf__coordinator_check(s->coordinator, &s->actors[0].claim);
    stage_run_ms(s, 3000);
    assert_int_equal(s->broker->counts[JOIN], 2);
    s->broker->rules[RENEW].code = MF_OK;
    script_answer(s->broker, JOIN, MF_OK);
    stage_run_ms(s, 1);
    assert_int_equal(s->broker->counts[RENEW], 2);
    assert_int_equal(s->broker->counts[RENEW_SESSION], 1);
}

/* The consumer hears of the link once for each time that it goes and comes back, not of the first
 * time that it comes. */
static void link_is_told(void **state)
{
    stage *s = *state;

    assert_int_equal(s->ups, 0);
    script_link(s->broker, true);
    assert_int_equal(s->ups, 0);
    script_link(s->broker, false);
    script_link(s->broker, false);
    assert_int_equal(s->downs, 1);
    script_link(s->broker, true);
    script_link(s->broker, true);
    assert_int_equal(s->ups, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(closed_when_overtaken),
        TEST(closed_during_a_join),
        TEST(closed_without_a_link),
        TEST(refused_again_and_again),
        TEST(refused_after_a_join),
        cmocka_unit_test(refused_at_first),
        cmocka_unit_test(takeover_is_for_the_first_join),
        cmocka_unit_test(two_renewals_are_life),
        cmocka_unit_test(lapse_is_awaited),
        cmocka_unit_test(renewed_after_a_slow_join),
        TEST(weights_in_a_row),
        TEST(broken_while_telling),
        TEST(link_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
