/* The options of consumers, handlers, balancers and stateful handlers: each field at its bounds,
 * and one step beyond them refused by the name of the field and the rule. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/metafora.h>

#include "consumer/internal.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static char some_loop;

static void start(mf_task *task, void *payload)
{
    (void)task;
    (void)payload;
}

static void stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    (void)task;
    (void)reason;
    (void)payload;
}

static mf_outcome run(mf_task *task, void *payload)
{
    (void)task;
    (void)payload;
    return MF_DONE;
}

/* Options in which nothing is wrong. */
static mf_consumer_options usual(void)
{
    mf_consumer_options o = MF_CONSUMER_OPTIONS_INIT;

    o.loop = (mf_loop *)(void *)&some_loop;
    o.handler = mf_evented_handler(start, stop, NULL);
    o.balancer = mf_balancer_dumb();
    mf__options_fill_in(&o);
    return o;
}

/* The error's text; "": they are good. */
static const char *fault_of(const mf_consumer_options *o)
{
    static mf_error error;
    int code = mf__options_check(o, &error);

    assert_int_equal(code, code == MF_OK ? MF_OK : error.code);
    return code == MF_OK ? "" : error.text;
}

#define FIELD(field, least, most)                                 \
    {                                                             \
#field, offsetof(mf_consumer_options, field), least, most \
    }

/* Whole numbers, with a lease of 15 seconds. */
static void test_numbers(void **state)
{
    static const struct {
        const char *name;
        size_t offset;
        int least, most;
    } fields[] = {
        FIELD(lease_ms, 2000, 3600000),
        FIELD(stop_grace_ms, 1, 7500),
        FIELD(balance_interval_ms, 1, INT32_MAX),
        FIELD(reconcile_interval_ms, 1, INT32_MAX),
        FIELD(reclaim_delay_ms, 1, INT32_MAX),
        FIELD(max_offers, 1, INT32_MAX),
        FIELD(on_overrun, MF_OVERRUN_LOG, MF_OVERRUN_ABORT),
        FIELD(restart_grace_ms, 1, INT32_MAX),
        FIELD(max_moves, 0, INT32_MAX),
    };

    (void)state;
    for (size_t i = 0; i < COUNT(fields); i++) {
        const int64_t values[] = {fields[i].least, fields[i].most, fields[i].least - INT64_C(1),
                                  fields[i].most + INT64_C(1)};
        for (size_t v = 0; v < COUNT(values) && values[v] <= INT32_MAX; v++) {
            mf_consumer_options o = usual();
            int value = (int)values[v];
            char rule[128] = "";
            o.stop_grace_ms = 1; /* but for its own turn, right for every lease */
            memcpy((char *)&o + fields[i].offset, &value, sizeof value);
            if (strcmp(fields[i].name, "stop_grace_ms") == 0)
                o.lease_ms = 15000;
            if (v >= 2)
                snprintf(rule, sizeof rule, "%s: %d is not between %d and %d", fields[i].name,
                         value, fields[i].least, fields[i].most);
            assert_string_equal(fault_of(&o), rule);
        }
    }
}

/* The defaults keep all rules, for the shortest and the longest lease too. */
static void test_defaults(void **state)
{
    const int leases[] = {0, 2000, 3600000};

    (void)state;
    for (size_t i = 0; i < COUNT(leases); i++) {
        mf_consumer_options o = MF_CONSUMER_OPTIONS_INIT;
        o.loop = (mf_loop *)(void *)&some_loop;
        o.handler = mf_blocking_handler(run, NULL);
        o.lease_ms = leases[i];
        mf__options_fill_in(&o);
        assert_string_equal(fault_of(&o), "");
        assert_int_equal(o.stop_grace_ms, (leases[i] != 0 ? leases[i] : 15000) / 4);
        assert_int_equal(o.balance_interval_ms, 15000);
        assert_int_equal(o.reconcile_interval_ms, 10000);
        assert_int_equal(o.reclaim_delay_ms, 2000);
        assert_int_equal(o.max_offers, 200000);
        assert_int_equal(o.restart_grace_ms, 60000);
        assert_true(o.weight == 1);
        o.balancer.free(o.balancer.payload);
    }
}

static void test_weight(void **state)
{
    static const struct {
        double weight;
        const char *fault;
    } cases[] = {
        {0.001, ""},
        {1000000, ""},
        {0.000999, "weight: 0.000999 is not between 0.001 and 1000000"},
        {1000001, "weight: 1e+06 is not between 0.001 and 1000000"},
        {-1, "weight: -1 is not between 0.001 and 1000000"},
        {(double)NAN, "weight: nan is not between 0.001 and 1000000"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        mf_consumer_options o = usual();
        o.weight = cases[i].weight;
        assert_string_equal(fault_of(&o), cases[i].fault);
    }
}

/* Versions, the loop and the name. */
static void test_place(void **state)
{
    mf_consumer_options bad[4];
    static const char *const faults[] = {"options: version 2 is not known", "loop: is required",
                                         "name: contains '/'", "name: empty"};

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = usual();
    bad[0].version = 2;
    bad[1].loop = NULL;
    bad[2].name = "a/b";
    bad[3].name = "";
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_string_equal(fault_of(&bad[i]), faults[i]);
}

/* Nothing that is given of the broker is ignored: it is heeded, or refused. */
static void test_broker(void **state)
{
    static const mf_driver *const drivers[] = {&mf_embedded_driver, NULL};
    mf_broker here = {.loop = (mf_loop *)(void *)&some_loop}, elsewhere = {.loop = NULL};
    const struct {
        mf_broker *handle;
        const char *url, *name_space, *option;
        const mf_driver *const *drivers;
        const char *fault;
    } cases[] = {
        {&here, NULL, NULL, NULL, NULL, ""},
        {&elsewhere, NULL, NULL, NULL, NULL, "broker_handle: runs on another loop"},
        {&here, "embedded://", NULL, NULL, NULL,
         "broker: not beside broker_handle, which has its own"},
        {&here, NULL, "a", NULL, NULL, "name_space: not beside broker_handle, which has its own"},
        {&here, NULL, NULL, "a", NULL, "name_space: not beside broker_handle, which has its own"},
        {&here, NULL, NULL, NULL, drivers, "drivers: not beside broker_handle, which has its own"},
        {NULL, "embedded://", "a", NULL, drivers, ""},
        {NULL, NULL, NULL, "a", NULL, ""},
        {NULL, NULL, "a", "a", NULL, ""},
        {NULL, NULL, "a", "b", NULL, "name_space: 'a', but that of broker_options is 'b'"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        mf_consumer_options o = usual();
        char own[2] = "";
        o.broker_handle = cases[i].handle;
        o.broker = cases[i].url;
        o.name_space = cases[i].name_space;
        if (cases[i].option != NULL)
            o.broker_options.name_space = memcpy(own, cases[i].option, sizeof own);
        o.drivers = cases[i].drivers;
        mf__options_fill_in(&o);
        assert_string_equal(fault_of(&o), cases[i].fault);
    }
}

static void test_handlers(void **state)
{
    static const char kind[] = "handler: needs either run, or both start and stop";
    static const char stack[] = "handler: stack_size: neither 0 nor between 16384 and 1073741824";
    const struct {
        mf_handler handler;
        const char *fault;
    } cases[] = {
        {{.version = 1, .run = run}, ""},
        {{.version = 1, .start = start, .stop = stop}, ""},
        {{.version = 2, .run = run}, "handler: version 2 is not known"},
        {{0}, "handler: is required"},
        {{.version = 0, .run = run}, "handler: version 0 is not known"},
        {{.version = 0, .start = start}, "handler: version 0 is not known"},
        {{.version = MF_ENOMEM}, "handler: out of memory"},
        {{.version = MF_EINVAL, .refusal = "size: odd"}, "handler: size: odd"},
        {{.version = 1}, kind},
        {{.version = 1, .start = start}, kind},
        {{.version = 1, .stop = stop}, kind},
        {{.version = 1, .start = start, .stop = stop, .run = run}, kind},
        {{.version = 1, .start = start, .run = run}, kind},
        {{.version = 1, .run = run, .stack_size = 16384}, ""},
        {{.version = 1, .run = run, .stack_size = 1073741824}, ""},
        {{.version = 1, .run = run, .stack_size = 16383}, stack},
        {{.version = 1, .run = run, .stack_size = 1073741825}, stack},
        {{.version = 1, .run = run, .memory_size = 1048576}, ""},
        {{.version = 1, .run = run, .memory_size = 1048577},
         "handler: memory_size: more than 1048576"},
        {{.version = 1, .run = run, .memory_size = SIZE_MAX},
         "handler: memory_size: more than 1048576"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        mf_consumer_options o = usual();
        o.handler = cases[i].handler;
        assert_string_equal(fault_of(&o), cases[i].fault);
    }
}

static int report(uint64_t *used, uint64_t *total, void *payload)
{
    (void)used;
    (void)total;
    (void)payload;
    return MF_ESYSTEM;
}

static void test_balancers(void **state)
{
    static const char claim[] = "balancer: claim_percent: not between 1 and 99";
    static const char release[] =
        "balancer: release_percent: not between claim_percent + 1 and 100";
    static const char threshold[] = "balancer: threshold: not between 1 and 100";
    const struct {
        mf_balancer balancer;
        const char *fault;
    } cases[] = {
        {mf_balancer_sleep(0, 0), ""},
        {mf_balancer_sleep(3600000, 3600000), ""},
        {mf_balancer_sleep(-1, 0), "balancer: per_task_ms: not between 0 and 3600000"},
        {mf_balancer_sleep(3600001, 0), "balancer: per_task_ms: not between 0 and 3600000"},
        {mf_balancer_sleep(0, -1), "balancer: max_ms: not between 0 and 3600000"},
        {mf_balancer_sleep(0, 3600001), "balancer: max_ms: not between 0 and 3600000"},
        {mf_balancer_fair(1), ""},
        {mf_balancer_fair(100), ""},
        {mf_balancer_fair(0.99), threshold},
        {mf_balancer_fair(100.1), threshold},
        {mf_balancer_fair((double)NAN), threshold},
        {mf_balancer_resource(report, NULL, 1, 2), ""},
        {mf_balancer_resource(report, NULL, 99, 100), ""},
        {mf_balancer_resource(NULL, NULL, 1, 2), "balancer: report: missing"},
        {mf_balancer_resource(report, NULL, 0, 2), claim},
        {mf_balancer_resource(report, NULL, 100, 101), claim},
        {mf_balancer_resource(report, NULL, 50, 50), release},
        {mf_balancer_resource(report, NULL, 50, 101), release},
        {{.version = 3}, "balancer: version 3 is not known"},
        {{.version = 1}, "balancer: can_claim is missing"},
        {{.version = MF_ENOMEM}, "balancer: out of memory"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        mf_consumer_options o = usual();
        o.balancer = cases[i].balancer;
        assert_string_equal(fault_of(&o), cases[i].fault);
        if (o.balancer.free != NULL)
            o.balancer.free(o.balancer.payload);
    }
}

static mf_message act(mf_task *task, void *payload)
{
    (void)task;
    (void)payload;
    return mf_message_of(MF_MESSAGE_COMPLETE);
}

static void on_message(mf_task *task, const mf_message *message, void *payload)
{
    (void)task;
    (void)message;
    (void)payload;
}

#define HUNDRED_YEARS_MS INT64_C(3155760000000)

static void test_states(void **state)
{
    static const char kind[] = "handler: needs either run, or both start and on_message";
    static const char stack[] = "handler: stack_size: neither 0 nor between 16384 and 1073741824";
    static const char errors[] = "handler: max_errors: not between 0 and 500";
    static const char window[] = "handler: error_window_ms: not between 0 and 3155760000000";
    static const char retry[] = "handler: retry_ms: not between 0 and 3155760000000";
    static const char pause[] = "handler: release_pause_ms: not between 0 and 86400000";
    const struct {
        mf_state_options options;
        const char *fault;
    } cases[] = {
        {{.version = 1, .run = act}, ""},
        {{.version = 1, .start = start, .on_message = on_message}, ""},
        {{.version = 2, .run = act}, "handler: version: is not known"},
        {{.version = 1}, kind},
        {{.version = 1, .start = start}, kind},
        {{.version = 1, .on_message = on_message}, kind},
        {{.version = 1, .run = act, .start = start, .on_message = on_message}, kind},
        {{.version = 1, .run = act, .on_message = on_message}, kind},
        {{.version = 1, .run = act, .stack_size = 16384}, ""},
        {{.version = 1, .run = act, .stack_size = 16383}, stack},
        {{.version = 1, .run = act, .max_errors = 500}, ""},
        {{.version = 1, .run = act, .max_errors = 501}, errors},
        {{.version = 1, .run = act, .max_errors = -1}, errors},
        {{.version = 1, .run = act, .error_window_ms = HUNDRED_YEARS_MS}, ""},
        {{.version = 1, .run = act, .error_window_ms = HUNDRED_YEARS_MS + 1}, window},
        {{.version = 1, .run = act, .error_window_ms = INT64_MAX}, window},
        {{.version = 1, .run = act, .error_window_ms = -1}, window},
        {{.version = 1, .run = act, .retry_ms = HUNDRED_YEARS_MS}, ""},
        {{.version = 1, .run = act, .retry_ms = HUNDRED_YEARS_MS + 1}, retry},
        {{.version = 1, .run = act, .retry_ms = -1}, retry},
        {{.version = 1, .run = act, .release_pause_ms = 86400000}, ""},
        {{.version = 1, .run = act, .release_pause_ms = 86400001}, pause},
        {{.version = 1, .run = act, .release_pause_ms = -1}, pause},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        mf_consumer_options o = usual();
        o.handler = mf_stateful_handler(&cases[i].options);
        assert_string_equal(fault_of(&o), cases[i].fault);
        if (o.handler.free != NULL)
            o.handler.free(o.handler.payload);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),   cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_weight),    cmocka_unit_test(test_place),
        cmocka_unit_test(test_broker),    cmocka_unit_test(test_handlers),
        cmocka_unit_test(test_balancers), cmocka_unit_test(test_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
