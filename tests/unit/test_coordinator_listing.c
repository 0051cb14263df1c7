/* What is read to find what hints have missed: claimable tasks, commands, messages, nodes. */
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

static int setup_joined(void **state)
{
    stage *s = stage_new(0);

    s->options.mail = true;
    *state = s;
    stage_open(s);
    stage_run_ms(s, 1);
    return 0;
}

static const script_kind readings[] = {CLAIMABLE, RECEIVE, MAIL, NODES};
enum { READINGS = sizeof readings / sizeof *readings };

/* Hints may have been lost: all is read again. */
static void a_resync_reads_everything(void **state)
{
    stage *s = *state;
    size_t before[READINGS];

    for (int i = 0; i < READINGS; i++)
        before[i] = s->broker->counts[readings[i]];
    s->broker->watcher->resync(s->broker->watcher);
    for (int i = 0; i < READINGS; i++)
        assert_int_equal(s->broker->counts[readings[i]], before[i] + 1);
}

/* What may have come while it was read is read once more, however often it was announced. */
static void what_came_meanwhile_is_read(void **state)
{
    stage *s = *state;
    size_t before[READINGS];

    for (int i = 0; i < READINGS; i++) {
        s->broker->rules[readings[i]].held = true;
        before[i] = s->broker->counts[readings[i]];
    }
    for (int i = 0; i < 3; i++) {
        mf__coordinator_reconcile(s->coordinator);
        mf__coordinator_refresh_view(s->coordinator);
        s->broker->watcher->command(s->broker->watcher);
        s->broker->watcher->mail(s->broker->watcher);
    }
    for (int i = 0; i < READINGS; i++) {
        assert_int_equal(s->broker->counts[readings[i]], before[i] + 1);
        script_answer(s->broker, readings[i], MF_OK);
        assert_int_equal(s->broker->counts[readings[i]], before[i] + 2);
        script_answer(s->broker, readings[i], MF_OK);
        assert_int_equal(s->broker->counts[readings[i]], before[i] + 2);
    }
}

static void answer_commands(stage *s, const mf_command_record *commands, size_t count)
{
    mf_receive_request *receive = (mf_receive_request *)script_first(s->broker, RECEIVE);

    assert_non_null(receive);
    receive->commands = commands;
    receive->count = count;
    script_answer(s->broker, RECEIVE, MF_OK);
}

/* Commands are handed on once each, by their numbers, and acknowledged with the next reading. */
static void commands_come_once(void **state)
{
    static const mf_command_record commands[] = {{.sequence = 1, .json = "one", .length = 3},
                                                 {.sequence = 2, .json = "two", .length = 3},
                                                 {.sequence = 3, .json = "three", .length = 5}};
    stage *s = *state;

    s->broker->rules[RECEIVE].held = true;
    s->broker->watcher->command(s->broker->watcher);
    answer_commands(s, commands, 2);
    mf_receive_request *receive = (mf_receive_request *)script_first(s->broker, RECEIVE);
    assert_non_null(receive);
    assert_int_equal(receive->acknowledged, 2);
    answer_commands(s, commands + 1, 2);
    assert_string_equal(s->commands, "one two three ");
    answer_commands(s, NULL, 0);
    assert_null(script_first(s->broker, RECEIVE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_interrupted_listing_counts_once, setup, teardown),
        cmocka_unit_test(the_flow_counts_complete_listings),
        cmocka_unit_test_setup_teardown(a_resync_reads_everything, setup_joined, teardown),
        cmocka_unit_test_setup_teardown(what_came_meanwhile_is_read, setup_joined, teardown),
        cmocka_unit_test_setup_teardown(commands_come_once, setup_joined, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
