/* The schedule of faults: the same for the same seed, possible, and followed by calm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "schedule.h"

static schedule_options options_of(uint64_t seed)
{
    return (schedule_options){.seed = seed,
                              .seconds = 300,
                              .nodes = 4,
                              .servers = 3,
                              .lease_ms = 5000,
                              .faults = FAULT(FAULT_KINDS) - 1};
}

static void test_a_seed_gives_one_schedule(void **state)
{
    schedule_options options = options_of(7), others = options_of(8);
    schedule first, second, other;

    (void)state;
    schedule_make(&first, &options);
    schedule_make(&second, &options);
    schedule_make(&other, &others);
    assert_true(first.count > 20);
    assert_int_equal(first.count, second.count);
    for (size_t i = 0; i < first.count; i++) {
        const planned_fault *a = &first.faults[i], *b = &second.faults[i];
        assert_true(a->kind == b->kind && a->target == b->target && a->from_ms == b->from_ms &&
                    a->to_ms == b->to_ms && a->choice == b->choice);
    }
    assert_true(other.count != first.count || other.faults[0].from_ms != first.faults[0].from_ms);
    schedule_clear(&first);
    schedule_clear(&second);
    schedule_clear(&other);
}

static bool overlap(const planned_fault *a, const planned_fault *b)
{
    return fault_describe(a->kind)->place == fault_describe(b->kind)->place &&
           a->target == b->target && a->from_ms <= b->to_ms && b->from_ms <= a->to_ms;
}

/* In order, on nodes and servers that there are, never two at once in one place, and over before
 * the run's last calm. */
static void assert_possible(const schedule *s, const schedule_options *options)
{
    for (size_t i = 0; i < s->count; i++) {
        const planned_fault *fault = &s->faults[i];
        bool at_server = fault_describe(fault->kind)->place == AT_SERVER;
        assert_in_range(fault->target, 0, (at_server ? options->servers : options->nodes) - 1);
        assert_true(fault->from_ms <= fault->to_ms && fault->to_ms < s->length_ms);
        assert_true(i == 0 || s->faults[i - 1].from_ms <= fault->from_ms);
        assert_true(fault->from_ms <= s->length_ms - schedule_calm_ms(options->lease_ms));
        for (size_t j = 0; j < i; j++)
            assert_false(overlap(fault, &s->faults[j]));
    }
}

static void test_schedules_are_possible(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        schedule_options options = options_of(seed);
        schedule s;
        schedule_make(&s, &options);
        assert_possible(&s, &options);
        schedule_clear(&s);
    }
}

/* Each kind comes, each kind that lasts also beyond the lease where it may, and only those that
 * were asked for. */
static void test_all_kinds_come(void **state)
{
    bool seen[FAULT_KINDS] = {false}, lasted[FAULT_KINDS] = {false};
    schedule_options options = options_of(0);

    (void)state;
    options.faults &= ~FAULT(LINK_SLOW);
    for (options.seed = 0; options.seed < 200; options.seed++) {
        schedule s;
        schedule_make(&s, &options);
        for (size_t i = 0; i < s.count; i++) {
            const planned_fault *fault = &s.faults[i];
            seen[fault->kind] = true;
            lasted[fault->kind] |= fault->to_ms - fault->from_ms > options.lease_ms;
        }
        schedule_clear(&s);
    }
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        const fault_description *about = fault_describe((fault_kind)kind);
        assert_int_equal(seen[kind], kind != LINK_SLOW);
        assert_int_equal(lasted[kind], kind != LINK_SLOW && about->most_percent > 100);
        assert_int_equal(fault_by_name(about->name), kind);
    }
    assert_int_equal(fault_by_name("none"), FAULT_KINDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_seed_gives_one_schedule),
        cmocka_unit_test(test_schedules_are_possible),
        cmocka_unit_test(test_all_kinds_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
