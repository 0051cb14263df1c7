/* What balancing promises (docs/balancing.md), held to it on 30 simulated nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/scenarios.h"

static void assert_promises(const figures *x)
{
    double most_moves = 1.1 * (double)x->minimum + 2;

    if (x->balanced_s < 0 || x->balanced_s > 15)
        fail_msg("%s: balanced after %.1f s", x->scenario, x->balanced_s);
    if (x->largest > 1.2)
        fail_msg("%s: a node has %.2f times its share", x->scenario, x->largest);
    if (x->attempts_per_start > 1.5)
        fail_msg("%s: %.2f claims asked for per start", x->scenario, x->attempts_per_start);
    if (x->minimum != 0 && (double)x->moves > most_moves)
        fail_msg("%s: %llu moves, %llu would do", x->scenario, (unsigned long long)x->moves,
                 (unsigned long long)x->minimum);
}

/* After each change the cluster is balanced within one interval, without needless moves or claims;
 * without a change nothing moves; a restart that is announced moves hardly anything. */
static void thirty_nodes(void **state)
{
    static figures all[SCENARIOS];

    (void)state;
    scenarios_run(30, 3000, SCENARIOS - 1, all);
    for (int i = 0; i < SCENARIOS; i++) {
        assert_promises(&all[i]);
        series_free(&all[i].curve);
    }
    assert_int_equal(all[SCENARIO_SUBMIT].moves, 0);
    assert_int_equal(all[SCENARIO_QUIET].moves, 0);
    assert_in_range(all[SCENARIO_ROLLING_GRACE].moves, 0,
                    all[SCENARIO_ROLLING_GRACE].tasks * 5 / 100);
}

/* Nodes of different weights hold what they should. */
static void weights(void **state)
{
    (void)state;
    figures x = scenario_weights(12, 1200);
    assert_promises(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thirty_nodes),
        cmocka_unit_test(weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
