/* Listings of claimable tasks that are interrupted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/flow.h"
#include "stage.h"

static int setup(void **state)
{
    *state = stage_new(0);
    ((stage *)*state)->broker->rules[CLAIMABLE].held = true;
    return 0;
}

static int teardown(void **state)
{
    stage_free(*state);
    return 0;
}

/* Answers the page under way with three tasks. */
static void answer_page(stage *s, bool last)
{
    static const mf_task_record records[3] = {{.id = "a"}, {.id = "b"}, {.id = "c"}};
    mf_page_request *page = (mf_page_request *)script_first(s->broker, CLAIMABLE);

    assert_non_null(page);
    page->records = records;
    page->count = 3;
    strcpy(page->cursor, last ? "" : "more");
    script_answer(s->broker, CLAIMABLE, MF_OK);
    stage_run_ms(s, 1);
}

/* A listing whose link broke begins anew, and says so before it shows anything: what was shown of
 * the first does not count twice. */
static void an_interrupted_listing_counts_once(void **state)
{
    stage *s = *state;

    stage_open(s);
    stage_run_ms(s, 10);
    answer_page(s, false);
    assert_int_equal(s->listed, 3);
    script_answer(s->broker, CLAIMABLE, MF_EUNKNOWN);
    stage_run_ms(s, 2000);
    answer_page(s, false);
    assert_int_equal(s->listed, 3);
    answer_page(s, true);
    assert_int_equal(s->listed, 6);
    assert_int_equal(s->reconciles, 1);
}

/* The consumer's view of what is to be claimed is that of the listing that was complete. */
static void the_flow_counts_complete_listings(void **state)
{
    mf__flow flow = {0};

    (void)state;
    mf__flow_list_begins(&flow);
    mf__flow_listed(&flow, 100);
    mf__flow_list_begins(&flow);
    mf__flow_listed(&flow, 70);
    mf__flow_taken(&flow, 20, 1000000);
    mf__flow_list_complete(&flow);
    assert_int_equal(flow.unowned, 50);
    mf__flow_list_begins(&flow);
    mf__flow_list_complete(&flow);
    assert_int_equal(flow.unowned, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_interrupted_listing_counts_once, setup, teardown),
        cmocka_unit_test(the_flow_counts_complete_listings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
