/* The client explains where tasks are: consumers on the embedded broker in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster.h"

enum { TASKS = 10 };

typedef struct answer {
    mf_placement placement; /* its strings are not valid any more, but for text */
    char owner[16], home[16];
    int calls;
} answer;

static int setup(void **state)
{
    *state = cluster_new(9);
    return 0;
}

static int teardown(void **state)
{
    cluster_free(*state);
    return 0;
}

static void on_explained(const mf_error *error, const mf_placement *placement, void *arg)
{
    answer *a = arg;

    assert_null(error);
    a->calls++;
    a->placement = *placement;
    snprintf(a->owner, sizeof a->owner, "%s", placement->owner != NULL ? placement->owner : "-");
    snprintf(a->home, sizeof a->home, "%s", placement->home != NULL ? placement->home : "-");
}

static answer explain(cluster *c, const char *id)
{
    answer a = {0};

    assert_int_equal(mf_client_explain(c->client, id, 0, on_explained, &a, NULL), MF_OK);
    cluster_run_ms(c, 10);
    assert_int_equal(a.calls, 1);
    return a;
}

static void says(const answer *a, const char *text)
{
    if (strstr(a->placement.text, text) == NULL)
        fail_msg("'%s' does not say: %s", a->placement.text, text);
}

static void submit(cluster *c)
{
    static const char *const ids[TASKS] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    cluster_submit(c, ids, TASKS);
}

static void test_without_nodes(void **state)
{
    cluster *c = *state;

    answer a = explain(c, "0");
    assert_int_equal(a.placement.code, MF_EGONE);
    says(&a, "there is no such task");
    submit(c);
    a = explain(c, "0");
    assert_int_equal(a.placement.code, MF_OK);
    assert_string_equal(a.owner, "-");
    assert_string_equal(a.home, "-");
    says(&a, "no node has it; no live node takes tasks");
}

/* A node that holds all would give up half when a second one has joined and holds nothing. */
static void test_excess(void **state)
{
    cluster *c = *state;

    submit(c);
    cluster_await_running(c, cluster_join(c, "a", ENDS_WHEN_TOLD, NULL), TASKS);
    answer a = explain(c, "0");
    assert_string_equal(a.owner, "a");
    assert_string_equal(a.home, "a");
    assert_true(a.placement.share == TASKS && a.placement.excess == 0);
    cluster_join(c, "b", ENDS_WHEN_TOLD, NULL);
    cluster_run_ms(c, 100);
    a = explain(c, "0");
    assert_string_equal(a.owner, "a");
    assert_int_equal(a.placement.held, TASKS);
    assert_true(a.placement.share == TASKS / 2.0 && a.placement.excess == TASKS / 2.0);
    says(&a, "node a has it and 10 in all, its share is 5.0, a balance would take 5 from it");
}

static void test_bad_input(void **state)
{
    cluster *c = *state;
    mf_error error;

    assert_int_equal(mf_client_explain(c->client, "a/b", 0, NULL, NULL, &error), MF_EINVAL);
    assert_non_null(strstr(error.text, "id"));
    assert_int_equal(mf_client_explain(c->client, "a", 0.5, NULL, NULL, &error), MF_EINVAL);
    assert_non_null(strstr(error.text, "threshold"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_without_nodes),
        TEST(test_excess),
        TEST(test_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
