/* A broker that is slow, but answers each request within 0.3 of the lease: tasks start, and none is
 * stopped. Whole nodes, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cluster.h"
#include "embedded_link.h"

enum { TASKS = 40, LEASES = 20, REPLY_TIMEOUT_MS = 5000 };

static void submit_tasks(cluster *c)
{
    char ids[TASKS][8];
    const char *list[TASKS];

    for (int i = 0; i < TASKS; i++) {
        snprintf(ids[i], sizeof ids[i], "t%d", i);
        list[i] = ids[i];
    }
    cluster_submit(c, list, TASKS);
}

static int64_t round_trip_us(int lease_ms)
{
    int64_t most_us = REPLY_TIMEOUT_MS * INT64_C(1000) - 1;
    int64_t us = lease_ms * INT64_C(290);

    return us < most_us ? us : most_us;
}

/* Half of the tasks are there before the node, the others come while it renews. */
static void hold(int lease_ms)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    cluster *c = cluster_new(1);

    options.lease_ms = lease_ms;
    c->has_links = true;
    embedded_link_delay(round_trip_us(lease_ms));
    node *n = cluster_join(c, "a", ENDS_WHEN_STOPPED, &options);
    submit_tasks(c);
    cluster_run_ms(c, lease_ms * INT64_C(2));
    assert_int_equal(n->running, TASKS);
    cluster_run_ms(c, lease_ms * (int64_t)LEASES);
    assert_int_equal(n->running, TASKS);
    assert_null(strstr(c->trace, " stop "));
    embedded_link_delay(0);
    cluster_free(c);
}

#define TEST(name, lease_ms)       \
    static void name(void **state) \
    {                              \
        (void)state;               \
        hold(lease_ms);            \
    }

TEST(lease_of_2_s, 2000)
TEST(lease_of_5_s, 5000)
TEST(lease_of_15_s, 15000)
TEST(lease_of_60_s, 60000)
TEST(lease_of_an_hour, 3600000)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lease_of_2_s),     cmocka_unit_test(lease_of_5_s),
        cmocka_unit_test(lease_of_15_s),    cmocka_unit_test(lease_of_60_s),
        cmocka_unit_test(lease_of_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
