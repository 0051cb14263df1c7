/* Leases: when claims are renewed, and what is told of those that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

enum { LEASE_US = STAGE_LEASE_MS * 1000, GRACE_US = STAGE_GRACE_MS * 1000 };

static int setup(void **state)
{
    *state = stage_joined(64);
    return 0;
}

static int teardown(void **state)
{
    stage_free(*state);
    return 0;
}

static void hold_renewals(stage *s)
{
    s->broker->rules[RENEW].held = true;
}

/* Answers the renewal under way: of its claims, the one with this index is lost by `code`. */
static void answer_lost(stage *s, size_t index, int code)
{
    mf_renew_request *renew = (mf_renew_request *)script_first(s->broker, RENEW);

    assert_non_null(renew);
    renew->lost[renew->lost_count++] = (mf_lost_claim){.index = index, .code = code};
    script_answer(s->broker, RENEW, MF_OK);
}

static void check(stage *s, size_t index)
{
    mf__coordinator_check(s->coordinator, &s->actors[index].claim);
}

/* Every third of a lease, from when the last was sent, for hours; nothing is stopped. */
static void renewed_by_thirds(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 3);
    stage_run_ms(s, 4 * 3600 * 1000);
    assert_in_range(s->broker->counts[RENEW], 2870, 2881);
    assert_int_equal(stage_stops(s), 0);
}

/* A claim that the broker calls another's: stopped, and its lease over, at once. */
static void lost(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 3);
    hold_renewals(s);
    check(s, 0);
    stage_run_ms(s, 100);
    answer_lost(s, 1, MF_ELATE);
    assert_int_equal(s->actors[1].stop, MF_STOP_LOST);
    assert_int_equal(s->actors[1].expiries, 1);
    assert_int_equal(s->actors[1].expired_us, stage_now_us(s));
    assert_int_equal(mf__claim_deadline_us(&s->actors[1].claim), stage_now_us(s));
    assert_int_equal(stage_stops(s), 1);
    stage_run_ms(s, 60000);
    assert_int_equal(s->actors[1].expiries, 1);
}

/* One that ends when it is told does not run on. Its ending needs no broker. */
static void lost_and_ended(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 2);
    hold_renewals(s);
    s->ends_when_stopped = true;
    check(s, 0);
    answer_lost(s, 0, MF_ELATE);
    stage_run_ms(s, 1);
    assert_int_equal(stage_expiries(s), 0);
    assert_int_equal(s->actors[0].ended, MF_ELATE);
    assert_int_equal(s->broker->counts[DONE], 0);
}

/* A removed task's claim is renewed no more, and its lease ends at its own deadline, while the
 * others are renewed: a task that is submitted anew then runs elsewhere. */
static void removed(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 3);
    hold_renewals(s);
    check(s, 0);
    answer_lost(s, 0, MF_EGONE);
    s->broker->rules[RENEW].held = false;
    int64_t deadline = mf__claim_deadline_us(&s->actors[0].claim);
    assert_int_equal(s->actors[0].stop, MF_STOP_DELETED);
    assert_int_equal(s->actors[0].expiries, 0);
    stage_run_ms(s, 60000);
    assert_int_equal(s->actors[0].expiries, 1);
    assert_int_equal(s->actors[0].expired_us, deadline);
    assert_int_equal(s->actors[0].expired_at_us, deadline);
    assert_int_equal(s->actors[0].stops, 1);
    assert_int_equal(stage_stops(s), 1);
    assert_int_equal(stage_expiries(s), 1);
}

/* A removed task that ends in time has not run on; the broker answers its ending. */
static void removed_and_ended(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 1);
    hold_renewals(s);
    check(s, 0);
    answer_lost(s, 0, MF_EGONE);
    s->broker->rules[RELEASE].result = MF_EGONE;
    stage_end(s, 0, MF_RELEASE);
    stage_run_ms(s, 60000);
    assert_int_equal(s->actors[0].ended, MF_EGONE);
    assert_int_equal(stage_expiries(s), 0);
    assert_int_equal(s->broker->counts[RENEW], 1);
}

/* Without an answer: stopped at stop_grace before the deadline, over at the deadline; then it is
 * renewed no more. */
static void no_answer(void **state)
{
    stage *s = *state;
    int64_t sent = stage_now_us(s);

    stage_hold(s, 0, 1);
    hold_renewals(s);
    int64_t deadline = sent + LEASE_US - stage_margin_us(s);
    assert_int_equal(mf__claim_deadline_us(&s->actors[0].claim), deadline);
    stage_run_ms(s, 20000);
    assert_int_equal(s->actors[0].stop, MF_STOP_EXPIRING);
    assert_int_equal(s->actors[0].stopped_us, deadline - GRACE_US);
    assert_int_equal(s->actors[0].expired_at_us, deadline);
    script_answer(s->broker, RENEW, MF_OK);
    stage_run_ms(s, 60000);
    assert_int_equal(s->broker->counts[RENEW], 1);
    assert_int_equal(mf__claim_deadline_us(&s->actors[0].claim), deadline);
    assert_int_equal(stage_stops(s) + stage_expiries(s), 2);
}

/* An answer within stop_grace of the end: it goes on being renewed, and can be stopped again. */
static void answer_after_the_stop(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 1);
    hold_renewals(s);
    stage_run_ms(s, 13000);
    assert_int_equal(stage_stops(s), 1);
    script_answer(s->broker, RENEW, MF_OK); /* sent 8 s ago */
    assert_int_equal(stage_expiries(s), 0);
    stage_run_ms(s, 1);
    assert_int_equal(s->broker->counts[RENEW], 2);
    script_answer(s->broker, RENEW, MF_OK);
    stage_run_ms(s, 10000);
    assert_int_equal(stage_stops(s), 1);
    stage_run_ms(s, 20000);
    assert_int_equal(stage_stops(s), 2);
    assert_int_equal(stage_expiries(s), 1);
}

/* A claim that joined during a renewal keeps its deadline, and a renewal of its own follows. */
static void joined_during_a_renewal(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 1);
    stage_run_ms(s, 1000);
    hold_renewals(s);
    int64_t asked = stage_now_us(s);
    check(s, 0);
    stage_hold(s, 1, 1);
    int64_t deadline = mf__claim_deadline_us(&s->actors[1].claim);
    assert_ptr_equal(s->actors[0].claim.lease, s->actors[1].claim.lease);
    assert_in_range(deadline, asked + LEASE_US - stage_margin_us(s) - 1000,
                    asked + LEASE_US - stage_margin_us(s));
    stage_run_ms(s, 100);
    stage_hold(s, 2, 1);
    int64_t second = mf__claim_deadline_us(&s->actors[2].claim);
    assert_true(second > deadline);
    stage_run_ms(s, 400);
    script_answer(s->broker, RENEW, MF_OK);
    assert_int_equal(mf__claim_deadline_us(&s->actors[0].claim),
                     asked + LEASE_US - stage_margin_us(s));
    assert_int_equal(mf__claim_deadline_us(&s->actors[1].claim), deadline);
    assert_int_equal(mf__claim_deadline_us(&s->actors[2].claim), second);
    stage_run_ms(s, 60000);
    assert_int_equal(s->actors[2].expired_us, second);
}

/* A claim that was asked for earlier than the others of its lease, and granted later, is stopped
 * and over by its own deadline, and the others by theirs. */
static void one_deadline_a_claim(void **state)
{
    stage *s = *state;
    script_rule *claims = &s->broker->rules[CLAIM];

    claims->held = true;
    stage_claim(s, 0, 1);
    stage_run_ms(s, 4000);
    claims->held = false;
    stage_hold(s, 1, 1);
    hold_renewals(s);
    script_answer(s->broker, CLAIM, MF_OK);
    int64_t first = mf__claim_deadline_us(&s->actors[0].claim);
    int64_t second = mf__claim_deadline_us(&s->actors[1].claim);
    assert_int_equal(second - first, 4000000);
    assert_ptr_equal(s->actors[0].claim.lease, s->actors[1].claim.lease);
    stage_run_ms(s, 60000);
    assert_int_equal(s->actors[0].stopped_us, first - GRACE_US);
    assert_int_equal(s->actors[1].stopped_us, second - GRACE_US);
    assert_int_equal(s->actors[0].expired_at_us, first);
    assert_int_equal(s->actors[1].expired_at_us, second);
    assert_int_equal(stage_stops(s) + stage_expiries(s), 4);
}

/* A grant that comes late is renewed at once; one of which little is left is asked for again. */
static void late_grants(void **state)
{
    stage *s = *state;

    s->broker->rules[CLAIM].held = true;
    stage_claim(s, 0, 2);
    stage_run_ms(s, 6000);
    script_answer(s->broker, CLAIM, MF_OK);
    stage_run_ms(s, 1);
    assert_int_equal(s->broker->counts[RENEW], 1);
    stage_run_ms(s, 4000);
    assert_int_equal(s->broker->counts[RENEW], 1);

    stage_claim(s, 2, 1);
    stage_run_us(s, LEASE_US - GRACE_US - stage_margin_us(s));
    script_answer(s->broker, CLAIM, MF_OK);
    assert_int_equal(s->actors[2].grants, 0);
    stage_run_ms(s, 1);
    script_answer(s->broker, CLAIM, MF_OK);
    assert_int_equal(s->actors[2].granted, MF_OK);
    assert_int_equal(s->actors[2].grants, 1);
    assert_int_equal(stage_stops(s), 0);
}

/* The loop was held up past both times: both are told, in order. */
static void held_up(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 1);
    virtual_loop_pause(s->loop, true);
    stage_run_ms(s, 60000);
    virtual_loop_pause(s->loop, false);
    stage_run_ms(s, 1);
    assert_int_equal(s->actors[0].stop, MF_STOP_EXPIRING);
    assert_int_equal(s->actors[0].expiries, 1);
}

/* Claims of one group go to one lease as far as there is room. */
static void groups_and_room(void **state)
{
    stage *s = *state;

    s->broker->broker.max_lease = 2;
    for (size_t i = 0; i < 6; i++)
        s->actors[i].claim.group = i < 3;
    stage_hold(s, 0, 6);
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < i; j++)
            if (s->actors[i].claim.group != s->actors[j].claim.group)
                assert_ptr_not_equal(s->actors[i].claim.lease, s->actors[j].claim.lease);
    stage_run_ms(s, 5100);
    assert_int_equal(s->broker->counts[RENEW], 4);
    for (size_t i = 0; i < 6; i++)
        stage_end(s, i, MF_RELEASE);
    stage_run_ms(s, 60000);
    assert_int_equal(s->broker->counts[RENEW], 4);
}

/* Room that an ending leaves is used again. */
static void room_is_used_again(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 3);
    mf_lease *lease = s->actors[0].claim.lease;
    stage_end(s, 0, MF_DONE);
    stage_run_ms(s, 1);
    assert_null(s->actors[0].claim.lease);
    assert_int_equal(lease->count, 2);
    stage_hold(s, 3, 1);
    assert_ptr_equal(s->actors[3].claim.lease, lease);
    for (size_t i = 0; i < lease->count; i++)
        assert_int_equal(lease->claims[i]->slot, i);
}

/* An ending that is answered during a renewal waits for it: the driver still has the claim. */
static void ended_during_a_renewal(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 2);
    hold_renewals(s);
    check(s, 0);
    stage_end(s, 0, MF_DONE);
    stage_end(s, 1, MF_DONE);
    stage_run_ms(s, 10);
    assert_int_equal(s->broker->counts[DONE], 1);
    assert_int_equal(s->actors[0].endings + s->actors[1].endings, 0);
    script_answer(s->broker, RENEW, MF_OK);
    assert_int_equal(s->actors[0].endings + s->actors[1].endings, 2);
    assert_int_equal(s->actors[0].ended, MF_OK);
    stage_run_ms(s, 60000);
    assert_int_equal(s->broker->counts[RENEW], 1);
}

/* A check during a renewal is made after it. */
static void check_again(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 1);
    hold_renewals(s);
    check(s, 0);
    check(s, 0);
    check(s, 0);
    assert_int_equal(s->broker->counts[RENEW], 1);
    script_answer(s->broker, RENEW, MF_OK);
    assert_int_equal(s->broker->counts[RENEW], 2);
    script_answer(s->broker, RENEW, MF_OK);
    assert_int_equal(s->broker->counts[RENEW], 2);
}

/* A renewal that is refused is asked for again soon, then less often; nothing is stopped. */
static void refused_renewals(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 2);
    s->broker->rules[RENEW].code = MF_EREFUSED;
    stage_run_ms(s, 9000);
    assert_in_range(s->broker->counts[RENEW], 5, 12);
    s->broker->rules[RENEW].code = MF_OK;
    stage_run_ms(s, 30000);
    assert_int_equal(stage_stops(s), 0);
    assert_in_range(s->broker->counts[RENEW], 10, 20);
}

/* A short break: the claims are renewed as soon as the session has joined again. */
static void short_break(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 50);
    stage_run_ms(s, 4500);
    script_link(s->broker, false);
    stage_run_ms(s, 1000);
    assert_int_equal(s->broker->counts[RENEW], 0); /* none is sent without a session */
    script_link(s->broker, true);
    stage_run_ms(s, 1);
    assert_int_equal(s->broker->counts[RENEW], 1);
    stage_run_ms(s, 60000);
    assert_int_equal(stage_stops(s), 0);
}

/* Tasks start and none is stopped when everything is answered within 0.3 of the lease. */
static void hold_slowly(int lease_ms)
{
    stage *s = stage_new(64);

    s->options.lease_ms = lease_ms;
    s->options.stop_grace_ms = lease_ms / 4;
    for (int kind = 0; kind < SCRIPT_KINDS; kind++)
        s->broker->rules[kind].delay_us = lease_ms * INT64_C(300);
    stage_open(s);
    stage_run_ms(s, lease_ms);
    for (size_t i = 0; i < 64; i++) { /* at any moment of the renewals of the others */
        stage_claim(s, i, 1);
        stage_run_us(s, lease_ms * INT64_C(1000) / 23);
    }
    stage_run_us(s, (int64_t)lease_ms * 20000);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(s->actors[i].granted_us != 0 && s->actors[i].granted == MF_OK, 1);
    assert_int_equal(stage_stops(s) + stage_expiries(s), 0);
    stage_free(s);
}

static void slow_broker(void **state)
{
    (void)state;
    hold_slowly(2000);
    hold_slowly(STAGE_LEASE_MS);
    hold_slowly(3600000);
}

/* A fast broker needs no more leases than there are claims for. */
static void few_leases(void **state)
{
    stage *s = *state;

    for (int kind = 0; kind < SCRIPT_KINDS; kind++)
        s->broker->rules[kind].delay_us = 20000;
    for (size_t i = 0; i < 64; i++) {
        stage_claim(s, i, 1);
        stage_run_ms(s, 997);
    }
    size_t before = s->broker->counts[RENEW];
    stage_run_ms(s, 5040);
    assert_in_range(s->broker->counts[RENEW] - before, 1, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(renewed_by_thirds),
        TEST(lost),
        TEST(lost_and_ended),
        TEST(removed),
        TEST(removed_and_ended),
        TEST(no_answer),
        TEST(answer_after_the_stop),
        TEST(joined_during_a_renewal),
        TEST(one_deadline_a_claim),
        TEST(late_grants),
        TEST(held_up),
        TEST(groups_and_room),
        TEST(room_is_used_again),
        TEST(ended_during_a_renewal),
        TEST(check_again),
        TEST(refused_renewals),
        TEST(short_break),
        cmocka_unit_test(slow_broker),
        TEST(few_leases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
