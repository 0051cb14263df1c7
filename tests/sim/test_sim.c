/* The simulator itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim.h"

static sim_report run(uint64_t seed, mutation broken)
{
    sim_options options = {
        .seed = seed,
        .nodes = 5,
        .tasks = 50,
        .fault_seconds = 60,
        .mutation = broken,
        .hash = true,
    };
    sim_report report;

    sim_run(&options, &report);
    return report;
}

/* One seed gives one run, line for line, and another seed another one. */
static void same_seed_same_trace(void **state)
{
    uint64_t before = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        sim_report first = run(seed, MUTATION_NONE);
        sim_report again = run(seed, MUTATION_NONE);
        assert_string_equal(first.violation, "");
        assert_int_equal(first.hash, again.hash);
        assert_int_equal(first.steps, again.steps);
        assert_int_not_equal(first.hash, before);
        before = first.hash;
    }
}

/* A run that ends early, at a violation, repeats as well. */
static void same_seed_same_violation(void **state)
{
    uint64_t seed = 1;

    (void)state;
    sim_report first = run(seed, MUTATION_NO_MARGIN);
    while (first.violation[0] == '\0' && seed < 100)
        first = run(++seed, MUTATION_NO_MARGIN);
    sim_report again = run(seed, MUTATION_NO_MARGIN);
    assert_string_not_equal(first.violation, "");
    assert_string_equal(first.violation, again.violation);
    assert_int_equal(first.hash, again.hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_trace),
        cmocka_unit_test(same_seed_same_violation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
