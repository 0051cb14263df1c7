/* Claims, endings and states on their way: batches, turns, refusals, lost answers, drains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "stage.h"

enum { LEASE_US = STAGE_LEASE_MS * 1000 };

static int setup(void **state)
{
    *state = stage_joined(6000);
    return 0;
}

static int teardown(void **state)
{
    stage_free(*state);
    return 0;
}

static void rule(stage *s, script_kind kind, script_rule to)
{
    s->broker->rules[kind] = to;
}

static mf_claims_request *first_of(const stage *s, script_kind kind)
{
    return (mf_claims_request *)script_first(s->broker, kind);
}

/* Claims of one turn of the loop go together, as many as fit, in order. */
static void batches(void **state)
{
    stage *s = *state;

    rule(s, CLAIM, (script_rule){.held = true});
    stage_claim(s, 0, 300);
    stage_run_ms(s, 1);
    assert_int_equal(s->broker->counts[CLAIM], 3);
    assert_int_equal(first_of(s, CLAIM)->count, 128);
    for (size_t i = 0; i < 128; i++)
        assert_ptr_equal(first_of(s, CLAIM)->claims[i], &s->actors[i].claim);
    stage_claim(s, 300, 20 * 128);
    stage_run_ms(s, 1);
    assert_int_equal(s->broker->under_way[CLAIM], 16);
}

/* What the broker says of a claim is told. */
static void claims_not_granted(void **state)
{
    static const int codes[] = {MF_ETAKEN, MF_EGONE, MF_EDAMAGED, MF_EREFUSED};
    stage *s = *state;

    for (size_t i = 0; i < 4; i++) {
        rule(s, CLAIM, (script_rule){.result = codes[i]});
        stage_hold(s, i, 1);
        assert_int_equal(s->actors[i].granted, codes[i]);
    }
    rule(s, CLAIM, (script_rule){.code = MF_EREFUSED});
    stage_hold(s, 4, 1);
    assert_int_equal(s->actors[4].granted, MF_EREFUSED);
    stage_run_ms(s, 60000);
    assert_int_equal(s->broker->counts[RENEW], 0);
}

/* An ending that is refused, whole or for this task alone, is asked again with growing pauses, and
 * the claim is renewed, until the broker takes it. */
static void refused_endings(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 4);
    rule(s, DONE, (script_rule){.code = MF_EREFUSED});
    rule(s, RELEASE, (script_rule){.result = MF_EPROTO});
    for (size_t i = 0; i < 4; i++)
        stage_end(s, i, i < 2 ? MF_DONE : MF_RELEASE);
    stage_run_ms(s, 1000);
    assert_in_range(s->broker->counts[DONE], 3, 8);
    stage_run_ms(s, 60000);
    assert_in_range(s->broker->counts[DONE], 25, 60);
    assert_in_range(s->broker->counts[RELEASE], 25, 60);
    assert_in_range(s->broker->counts[RENEW], 11, 14);
    rule(s, DONE, (script_rule){0});
    rule(s, RELEASE, (script_rule){0});
    stage_run_ms(s, 3000);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(s->actors[i].ended, MF_OK);
        assert_int_equal(s->actors[i].endings, 1);
    }
    assert_int_equal(stage_stops(s) + stage_expiries(s), 0);
    size_t renewals = s->broker->counts[RENEW];
    stage_run_ms(s, 60000);
    assert_int_equal(s->broker->counts[RENEW], renewals);
}

/* After a refusal that has passed, the next one is asked again as soon as the first was. */
static void refusals_begin_anew(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 2);
    rule(s, DONE, (script_rule){.code = MF_EREFUSED});
    stage_end(s, 0, MF_DONE);
    stage_run_ms(s, 30000);
    rule(s, DONE, (script_rule){0});
    stage_run_ms(s, 3000);
    assert_int_equal(s->actors[0].ended, MF_OK);
    rule(s, DONE, (script_rule){.code = MF_EREFUSED});
    stage_end(s, 1, MF_DONE);
    stage_run_ms(s, 1);
    rule(s, DONE, (script_rule){0});
    stage_run_ms(s, 61);
    assert_int_equal(s->actors[1].ended, MF_OK);
}

/* What is refused until after its lease, with all renewals, is asked again all the same: a broker
 * that has kept the claim takes it then, and nobody else would run the task. */
static void refused_beyond_the_lease(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 2);
    rule(s, RENEW, (script_rule){.code = MF_EREFUSED});
    rule(s, DONE, (script_rule){.code = MF_EREFUSED});
    rule(s, RELEASE, (script_rule){.code = MF_EREFUSED});
    stage_end(s, 0, MF_DONE);
    stage_end(s, 1, MF_RELEASE);
    stage_run_us(s, LEASE_US + 30000000);
    assert_int_equal(s->actors[0].endings + s->actors[1].endings, 0);
    assert_true(mf_loop_now_us(s->loop) > s->actors[0].claim.deadline_us);
    rule(s, DONE, (script_rule){0});
    rule(s, RELEASE, (script_rule){0});
    stage_run_ms(s, 3000);
    assert_int_equal(s->actors[0].ended, MF_OK);
    assert_int_equal(s->actors[1].ended, MF_OK);
    stage_run_ms(s, 30000);
    assert_int_equal(s->actors[0].endings + s->actors[1].endings, 2);
}

/* A drain does not wait for it, whether it begins before the lease is over or after. */
static void refused_until_a_drain(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 1);
    rule(s, RENEW, (script_rule){.held = true});
    rule(s, DONE, (script_rule){.code = MF_EREFUSED});
    stage_end(s, 0, MF_DONE);
    stage_run_us(s, LEASE_US + 30000000);
    assert_int_equal(s->actors[0].endings, 0);
    mf__coordinator_stop_claiming(s->coordinator);
    stage_run_ms(s, 1);
    script_answer(s->broker, RENEW, MF_EUNKNOWN);
    assert_int_equal(s->actors[0].ended, MF_EREFUSED);
    stage_run_ms(s, 30000);
    assert_int_equal(s->actors[0].endings, 1);
}

/* While draining, it is renewed no more, so that the drain ends. */
static void refused_in_a_drain(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 2);
    rule(s, RELEASE, (script_rule){.code = MF_EREFUSED});
    mf__coordinator_stop_claiming(s->coordinator);
    stage_end(s, 0, MF_RELEASE);
    stage_run_ms(s, 16000);
    assert_int_equal(s->actors[0].ended, MF_EREFUSED);
    assert_int_equal(stage_stops(s), 0); /* the other one is renewed */
}

/* The answer to a repeated ending may be that of the first try; without a try before it is not. */
static void repeated_endings(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 4);
    rule(s, DONE, (script_rule){.held = true, .result = MF_EGONE});
    rule(s, RELEASE, (script_rule){.held = true, .result = MF_ELATE});
    for (size_t i = 0; i < 2; i++)
        stage_end(s, i, i == 0 ? MF_DONE : MF_RELEASE);
    stage_run_ms(s, 1);
    script_answer(s->broker, DONE, MF_EUNKNOWN);
    script_answer(s->broker, RELEASE, MF_EUNREACHABLE); /* certainly not executed */
    stage_run_ms(s, 100);
    script_answer(s->broker, DONE, MF_OK);
    script_answer(s->broker, RELEASE, MF_OK);
    assert_int_equal(s->actors[0].ended, MF_OK);
    assert_int_equal(s->actors[1].ended, MF_ELATE);
    stage_end(s, 2, MF_RELEASE);
    stage_run_ms(s, 1);
    script_answer(s->broker, RELEASE, MF_EUNKNOWN);
    stage_run_ms(s, 100);
    script_answer(s->broker, RELEASE, MF_EREFUSED);
    stage_run_ms(s, 100);
    script_answer(s->broker, RELEASE, MF_OK);
    assert_int_equal(s->actors[2].ended, MF_OK);
    s->broker->rules[DONE].result =
        MF_ELATE; /* a done that succeeded leaves no task to be late on */
    stage_end(s, 3, MF_DONE);
    stage_run_ms(s, 1);
    script_answer(s->broker, DONE, MF_EUNKNOWN);
    stage_run_ms(s, 100);
    script_answer(s->broker, DONE, MF_OK);
    assert_int_equal(s->actors[3].ended, MF_ELATE);
}

/* So is one that was executed, and confirmed by too few replicas; that is told. */
static void unconfirmed_endings(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 1);
    rule(s, DONE, (script_rule){.held = true, .result = MF_EGONE});
    stage_end(s, 0, MF_DONE);
    stage_run_ms(s, 1);
    script_answer(s->broker, DONE, MF_EUNCONFIRMED);
    assert_int_equal(s->unconfirmed, 1);
    stage_run_ms(s, 100);
    script_answer(s->broker, DONE, MF_OK);
    assert_int_equal(s->actors[0].ended, MF_OK);
    assert_int_equal(s->unconfirmed, 1);
}

/* A claim that the broker did not get to is asked again, and told when it was. */
static void claims_left_for_later(void **state)
{
    stage *s = *state;

    rule(s, CLAIM, (script_rule){.held = true, .result = MF_EUNREACHABLE});
    stage_claim(s, 0, 3);
    stage_run_ms(s, 1);
    script_answer(s->broker, CLAIM, MF_OK);
    stage_run_ms(s, 1);
    assert_int_equal(s->actors[0].grants, 0);
    assert_int_equal(s->joins, 1);
    s->broker->rules[CLAIM].result = MF_OK;
    script_answer(s->broker, CLAIM, MF_OK);
    stage_run_ms(s, 1);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(s->actors[i].granted, MF_OK);
}

/* A claim without an answer is asked again before those that came later. */
static void claims_asked_again(void **state)
{
    stage *s = *state;

    rule(s, CLAIM, (script_rule){.held = true});
    stage_claim(s, 0, 3);
    stage_run_ms(s, 1);
    stage_claim(s, 3, 1);
    script_answer(s->broker, CLAIM, MF_EUNKNOWN);
    stage_run_ms(s, 200);
    assert_int_equal(first_of(s, CLAIM)->count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_ptr_equal(first_of(s, CLAIM)->claims[i], &s->actors[i].claim);
    script_answer(s->broker, CLAIM, MF_OK);
    assert_int_equal(s->actors[3].granted, MF_OK);
}

/* Each state that has been stored is stored again, and each that was read is read again: some tasks
 * that do nothing else. */
typedef struct busy {
    stage *stage;
    const mf_claim *claim;
    size_t stored, loaded;
} busy;

static void store_again(void *arg, int code, const char *json, size_t length)
{
    busy *b = arg;
    (void)json;
    (void)length;
    b->stored += code == MF_OK;
    if (code == MF_OK)
        mf__coordinator_store(b->stage->coordinator, b->claim, strdup("{}"), 0, store_again, b);
}

static void load_again(void *arg, int code, const char *json, size_t length)
{
    busy *b = arg;
    (void)json;
    (void)length;
    b->loaded += code == MF_OK;
    if (code == MF_OK)
        mf__coordinator_load(b->stage->coordinator, b->claim->id, load_again, b);
}

/* Each kind has its turn: thousands of tasks that store and load without end hold up neither
 * claims nor endings, nor do those each other. */
static void turns(void **state)
{
    enum { BUSY = 4000 };
    stage *s = *state;
    busy *all = calloc(BUSY, sizeof *all);
    size_t stored = 0, loaded = 0;

    stage_hold(s, 0, 5000);
    for (int kind = 0; kind < SCRIPT_KINDS; kind++)
        rule(s, kind, (script_rule){.delay_us = 20000});
    for (size_t i = 0; i < BUSY; i++) {
        all[i] = (busy){.stage = s, .claim = &s->actors[i].claim};
        store_again(&all[i], MF_OK, NULL, 0);
        load_again(&all[i], MF_OK, NULL, 0);
        all[i].stored = all[i].loaded = 0;
    }
    stage_run_ms(s, 1000);
    stage_claim(s, 5000, 1000);
    for (size_t i = 4000; i < 5000; i++)
        stage_end(s, i, i % 2 == 0 ? MF_DONE : MF_RELEASE);
    stage_run_ms(s, 150);
    for (size_t i = 4000; i < 5000; i++)
        assert_int_equal(s->actors[i].endings, 1);
    for (size_t i = 5000; i < 6000; i++)
        assert_int_equal(s->actors[i].granted, MF_OK);
    for (size_t i = 0; i < BUSY; i++) {
        stored += all[i].stored;
        loaded += all[i].loaded;
    }
    assert_in_range(stored, loaded * 8 / 10, loaded * 12 / 10);
    mf__coordinator_close(s->coordinator); /* they are answered with an error */
    stage_run_ms(s, 100);
    free(all);
}

static void note(void *arg, int code, const char *json, size_t length)
{
    (void)length;
    *(int *)arg = json != NULL ? 1000 : code;
}

/* A store that is refused whole is asked again for as long as a lease lasts, then answered. */
static void refused_stores(void **state)
{
    stage *s = *state;
    int first = 1, second = 1;

    stage_hold(s, 0, 2);
    rule(s, STORE, (script_rule){.code = MF_EREFUSED});
    mf__coordinator_store(s->coordinator, &s->actors[0].claim, strdup("{}"), 0, note, &first);
    stage_run_ms(s, 14000);
    assert_int_equal(first, 1);
    assert_in_range(s->broker->counts[STORE], 8, 18);
    mf__coordinator_store(s->coordinator, &s->actors[1].claim, strdup("{}"), 0, note, &second);
    stage_run_ms(s, 4000);
    assert_int_equal(first, MF_EREFUSED);
    assert_int_equal(second, 1);
    rule(s, STORE, (script_rule){0});
    stage_run_ms(s, 3000);
    assert_int_equal(second, MF_OK);
    rule(s, STORE, (script_rule){.result = MF_EINVAL}); /* of one alone: it is its own fault */
    mf__coordinator_store(s->coordinator, &s->actors[1].claim, strdup("{}"), 0, note, &second);
    stage_run_ms(s, 1);
    assert_int_equal(second, MF_EINVAL);
}

/* In a drain, with the broker gone, an ending waits until its lease is over, whether it came before
 * or after; without a drain it is told when the broker is back. */
static void late_endings(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 4);
    script_link(s->broker, false);
    stage_end(s, 0, MF_DONE);
    stage_end(s, 1, MF_RELEASE);
    stage_run_ms(s, 20000);
    assert_int_equal(s->actors[0].endings + s->actors[1].endings, 0);
    assert_int_equal(stage_expiries(s), 2);
    mf__coordinator_stop_claiming(s->coordinator);
    stage_run_ms(s, 1);
    assert_int_equal(s->actors[0].ended, MF_EUNREACHABLE);
    assert_int_equal(s->actors[1].ended, MF_EUNREACHABLE);
    stage_end(s, 2, MF_RELEASE);
    stage_run_ms(s, 1);
    assert_int_equal(s->actors[2].ended, MF_EUNREACHABLE);
    assert_int_equal(s->broker->counts[DONE] + s->broker->counts[RELEASE], 0);
}

static void late_endings_without_a_drain(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 1);
    script_link(s->broker, false);
    stage_end(s, 0, MF_RELEASE);
    stage_run_ms(s, 20000);
    script_link(s->broker, true);
    stage_run_ms(s, 10);
    assert_int_equal(s->broker->counts[RELEASE], 1);
    assert_int_equal(s->actors[0].ended, MF_OK);
}

/* A drain that began first: each ending is answered at its claim's deadline. */
static void endings_at_their_deadlines(void **state)
{
    stage *s = *state;

    stage_hold(s, 0, 1);
    stage_run_ms(s, 3000);
    stage_hold(s, 1, 1);
    mf__coordinator_stop_claiming(s->coordinator);
    script_link(s->broker, false);
    int64_t first = mf__claim_deadline_us(&s->actors[0].claim);
    stage_end(s, 0, MF_DONE);
    stage_end(s, 1, MF_RELEASE);
    stage_run_us(s, first - stage_now_us(s) - 1);
    assert_int_equal(s->actors[0].endings, 0);
    stage_run_us(s, 2);
    assert_int_equal(s->actors[0].endings, 1);
    assert_int_equal(s->actors[1].endings, 0);
    stage_run_ms(s, 3001);
    assert_int_equal(s->actors[1].endings, 1);
}

/* Claims that were not sent are answered when no more are wanted; those that were, are answered by
 * the broker. */
static void stop_claiming(void **state)
{
    stage *s = *state;

    rule(s, CLAIM, (script_rule){.held = true});
    stage_claim(s, 0, 1);
    stage_run_ms(s, 1);
    stage_claim(s, 1, 1);
    mf__coordinator_stop_claiming(s->coordinator);
    stage_run_ms(s, 1);
    assert_int_equal(s->actors[1].granted, MF_ECLOSED);
    assert_int_equal(s->actors[0].grants, 0);
    script_answer(s->broker, CLAIM, MF_OK);
    assert_int_equal(s->actors[0].granted, MF_OK);
}

/* CPU time to drain so many tasks, a batch a turn. */
static double drain_seconds(size_t count)
{
    stage *s = stage_joined(count);

    stage_hold(s, 0, count);
    mf__coordinator_stop_claiming(s->coordinator);
    rule(s, RELEASE, (script_rule){.delay_us = 10});
    clock_t before = clock();
    for (size_t i = 0; i < count; i++)
        stage_end(s, i, MF_RELEASE);
    while (s->actors[count - 1].endings == 0)
        stage_run_us(s, 10);
    double seconds = (double)(clock() - before) / CLOCKS_PER_SEC;
    stage_free(s);
    return seconds;
}

/* A grant of which little is left by the time that no more are wanted is the consumer's to end: the
 * task would stay the session's, with nobody to run it. */
static void late_grant_in_a_drain(void **state)
{
    stage *s = *state;

    s->broker->rules[CLAIM].held = true;
    stage_claim(s, 0, 1);
    stage_run_ms(s, STAGE_LEASE_MS - STAGE_GRACE_MS);
    mf__coordinator_stop_claiming(s->coordinator);
    script_answer(s->broker, CLAIM, MF_OK);
    assert_int_equal(s->actors[0].grants, 1);
    assert_int_equal(s->actors[0].granted, MF_OK);
    stage_end(s, 0, MF_RELEASE);
    stage_run_ms(s, 1);
    assert_int_equal(s->broker->counts[RELEASE], 1);
    assert_int_equal(s->actors[0].ended, MF_OK);
}

/* Each ending costs the same, however many wait; going through all of them for each batch took
 * eight seconds. */
static void long_drain(void **state)
{
    (void)state;
    assert_true(drain_seconds(400000) < 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(batches),
        TEST(claims_not_granted),
        TEST(refused_endings),
        TEST(refusals_begin_anew),
        TEST(refused_beyond_the_lease),
        TEST(refused_until_a_drain),
        TEST(refused_in_a_drain),
        TEST(repeated_endings),
        TEST(unconfirmed_endings),
        TEST(claims_left_for_later),
        TEST(claims_asked_again),
        TEST(turns),
        TEST(refused_stores),
        TEST(late_endings),
        TEST(late_endings_without_a_drain),
        TEST(endings_at_their_deadlines),
        TEST(stop_claiming),
        TEST(late_grant_in_a_drain),
        cmocka_unit_test(long_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
