/* The consumer's stories, on the embedded broker in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster.h"

static int setup(void **state)
{
    *state = cluster_new(1);
    return 0;
}

static int teardown(void **state)
{
    cluster_free(*state);
    return 0;
}

/* A submitted task is claimed and started once; its end as done removes it from the broker. */
static void task_runs_once_and_is_removed(void **state)
{
    cluster *c = *state;
    node *a = cluster_join(c, "a", ENDS_WHEN_TOLD, NULL);

    cluster_submit_one(c, "1", "{\"x\":1}");
    cluster_await_running(c, a, 1);
    mf_task *task = cluster_task(a, "1");
    assert_string_equal(mf_task_properties(task), "{\"x\":1}");
    assert_true(mf_task_fence(task) > 0);
    assert_in_range(mf_task_lease_remaining(task), 14000, 15000);
    cluster_finish(a, "1", MF_DONE);
    cluster_run_ms(c, 60000);
    assert_int_equal(cluster_trace_count(c, "a start 1"), 1);
    assert_int_equal(cluster_task_count(c), 0);
    assert_int_equal(cluster_statistics(a).done, 1);
}

/* A task that was submitted before anyone had joined is found by the first look. */
static void tasks_from_before_the_join_are_found(void **state)
{
    cluster *c = *state;
    const char *ids[] = {"1", "2", "3"};

    cluster_submit(c, ids, 3);
    node *a = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);
    cluster_await_running(c, a, 3);
}

/* A handler that ends inside start leaves nothing behind. */
static void handler_that_ends_at_once(void **state)
{
    cluster *c = *state;
    node *a = cluster_join(c, "a", ENDS_AT_ONCE, NULL);

    cluster_submit_one(c, "1", NULL);
    cluster_await_trace(c, "a end 1 done");
    cluster_run_ms(c, 1000);
    assert_int_equal(cluster_task_count(c), 0);
    assert_int_equal(cluster_statistics(a).running, 0);
}

/* What a handler gives back, the other node picks up before the one that gave it back. */
static void released_task_goes_to_another_node(void **state)
{
    cluster *c = *state;
    node *a = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);

    cluster_submit_one(c, "1", NULL);
    cluster_await_running(c, a, 1);
    node *b = cluster_join(c, "b", ENDS_WHEN_STOPPED, NULL);
    cluster_run_ms(c, 100);
    cluster_command(c, "a", MF_COMMAND_STOP_TASK, "1");
    cluster_await_running(c, b, 1);
    assert_true(cluster_traced(c, "a stop 1 command"));
    cluster_run_ms(c, 60000);
    assert_int_equal(cluster_trace_count(c, "a start 1"), 1);
}

/* A handler that asks for memory has it with each task: zero at each start, aligned, its own. */
typedef struct own_memory {
    int starts, dirty;
    uintptr_t low_bits;
} own_memory;

static void fill_memory(mf_task *task, void *payload)
{
    own_memory *seen = payload;
    unsigned char *memory = mf_task_memory(task);

    seen->starts++;
    seen->low_bits |= (uintptr_t)memory % 8;
    for (int i = 0; i < 24; i++)
        seen->dirty += memory[i] != 0;
    memset(memory, 0xff, 24);
    mf_task_finish(task, seen->starts <= 3 ? MF_RELEASE : MF_DONE);
}

static void never_stopped(mf_task *task, mf_stop_reason reason, void *payload)
{
    (void)task;
    (void)reason;
    (void)payload;
    fail();
}

static void memory_of_a_task(void **state)
{
    cluster *c = *state;
    own_memory seen = {0};
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    const char *ids[] = {"1", "an id of some length", "3"};

    options.handler = mf_evented_handler(fill_memory, never_stopped, &seen);
    options.handler.memory_size = 24;
    node *a = cluster_join(c, "a", ENDS_AT_ONCE, &options);
    cluster_submit(c, ids, 3);
    cluster_run_ms(c, 60000);
    assert_int_equal(seen.starts, 6);
    assert_int_equal(seen.dirty, 0);
    assert_int_equal(seen.low_bits, 0);
    assert_int_equal(cluster_statistics(a).done, 3);
    assert_int_equal(cluster_task_count(c), 0);
}

/* Alone, a node takes back what it gave back, after the reclaim delay and not sooner. */
static void released_task_is_reclaimed_when_nobody_else_wants_it(void **state)
{
    cluster *c = *state;
    node *a = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);

    cluster_submit_one(c, "1", NULL);
    cluster_await_running(c, a, 1);
    uint64_t fence = mf_task_fence(cluster_task(a, "1"));
    cluster_finish(a, "1", MF_RELEASE);
    cluster_run_ms(c, 1900);
    assert_int_equal(a->running, 0);
    cluster_await_running(c, a, 1);
    assert_true(mf_task_fence(cluster_task(a, "1")) > fence);
}

/* Shutdown waits for a slow handler, and its lease is renewed meanwhile. */
static void shutdown_waits_for_a_slow_handler_and_renews(void **state)
{
    cluster *c = *state;
    node *a = cluster_join(c, "a", ENDS_WHEN_TOLD, NULL);

    cluster_submit_one(c, "1", NULL);
    cluster_await_running(c, a, 1);
    mf_consumer_shutdown(a->consumer);
    mf_consumer_shutdown(a->consumer);
    cluster_run_ms(c, 120000);
    assert_int_equal(cluster_trace_count(c, "a stop 1 shutdown"), 1);
    assert_false(a->closed);
    assert_true(mf_task_lease_remaining(cluster_task(a, "1")) > 5000);
    cluster_finish(a, "1", MF_RELEASE);
    cluster_await_closed(c, a);
    assert_int_equal(cluster_task_count(c), 1);
}

/* A consumer that is shut down before it joined closes all the same. */
static void shutdown_before_the_join(void **state)
{
    cluster *c = *state;
    node *a = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);

    mf_consumer_shutdown(a->consumer);
    cluster_await_closed(c, a);
}

/* Frozen, a node keeps what it runs and claims nothing; unfrozen, it claims what came meanwhile. */
static void freeze_and_unfreeze(void **state)
{
    cluster *c = *state;
    node *a = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);

    cluster_submit_one(c, "1", NULL);
    cluster_await_running(c, a, 1);
    cluster_command(c, "a", MF_COMMAND_FREEZE, NULL);
    cluster_run_ms(c, 100);
    assert_true(mf_consumer_frozen(a->consumer));
    cluster_submit_one(c, "2", NULL);
    cluster_run_ms(c, 60000);
    assert_int_equal(a->running, 1);
    cluster_command(c, "a", MF_COMMAND_UNFREEZE, NULL);
    cluster_await_running(c, a, 2);
}

/* stop_task for a task that does not run here does nothing. */
static void stop_task_that_is_not_here(void **state)
{
    cluster *c = *state;
    node *a = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);

    cluster_submit_one(c, "1", NULL);
    cluster_await_running(c, a, 1);
    assert_int_equal(mf_consumer_stop_task(a->consumer, "2"), MF_EGONE);
    cluster_command(c, "a", MF_COMMAND_STOP_TASK, "2");
    cluster_run_ms(c, 5000);
    assert_int_equal(a->running, 1);
}

/* Stopping twice for the same reason calls the handler once; a more urgent reason calls it again.
 */
static void stop_comes_again_only_for_a_more_urgent_reason(void **state)
{
    cluster *c = *state;
    node *a = cluster_join(c, "a", ENDS_WHEN_TOLD, NULL);

    cluster_submit_one(c, "1", NULL);
    cluster_await_running(c, a, 1);
    assert_int_equal(mf_consumer_stop_task(a->consumer, "1"), MF_OK);
    assert_int_equal(mf_consumer_stop_task(a->consumer, "1"), MF_OK);
    mf_consumer_shutdown(a->consumer);
    cluster_await_trace(c, "a stop 1 shutdown");
    assert_int_equal(cluster_trace_count(c, "a stop 1 command"), 1);
    assert_int_equal(mf_task_stop_reason(cluster_task(a, "1")), MF_STOP_SHUTDOWN);
}

/* The tasks of a node that vanished run elsewhere within the lease and a second. */
static void tasks_of_a_dead_node_are_taken_over(void **state)
{
    cluster *c = *state;
    const char *ids[] = {"1", "2", "3"};
    node *a = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);

    cluster_submit(c, ids, 3);
    cluster_await_running(c, a, 3);
    virtual_loop_pause(a->loop, true);
    node *b = cluster_join(c, "b", ENDS_WHEN_STOPPED, NULL);
    cluster_run_ms(c, 16000);
    assert_int_equal(b->running, 3);
}

/* A node that slept past its lease stops its handlers when it wakes, and its late release leaves
 * the new owner alone. */
static void paused_node_stops_its_tasks_when_it_wakes(void **state)
{
    cluster *c = *state;
    node *a = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);

    cluster_submit_one(c, "1", NULL);
    cluster_await_running(c, a, 1);
    uint64_t fence = mf_task_fence(cluster_task(a, "1"));
    node *b = cluster_join(c, "b", ENDS_WHEN_STOPPED, NULL);
    virtual_loop_pause(a->loop, true);
    cluster_await_running(c, b, 1);
    assert_true(mf_task_fence(cluster_task(b, "1")) > fence);
    virtual_loop_pause(a->loop, false);
    cluster_await_trace(c, "a end 1 release");
    assert_true(cluster_traced(c, "a stop 1 expiring"));
    cluster_run_ms(c, 60000);
    assert_int_equal(b->running, 1);
    assert_int_equal(cluster_statistics(a).late_endings, 1);
    assert_int_equal(cluster_statistics(a).lost, 1);
}

/* A handler that runs on after its lease is counted, in seconds, while it runs and afterwards. */
static void overrun_is_counted(void **state)
{
    cluster *c = *state;
    node *a = cluster_join(c, "a", ENDS_WHEN_TOLD, NULL);

    cluster_submit_one(c, "1", NULL);
    cluster_await_running(c, a, 1);
    virtual_loop_pause(a->loop, true);
    cluster_run_ms(c, 20000);
    virtual_loop_pause(a->loop, false);
    cluster_run_ms(c, 10000);
    double while_running = cluster_statistics(a).overrun_seconds;
    assert_true(while_running > 10 && while_running < 20);
    cluster_finish(a, "1", MF_RELEASE);
    assert_true(cluster_statistics(a).overrun_seconds >= while_running);
}

/* A task removed by a client is stopped where it runs, and does not come back. */
static void removed_task_is_stopped(void **state)
{
    cluster *c = *state;
    node *a = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);

    cluster_submit_one(c, "1", NULL);
    cluster_await_running(c, a, 1);
    cluster_remove(c, "1");
    cluster_run_ms(c, 100);
    assert_true(cluster_traced(c, "a stop 1 deleted"));
    cluster_run_ms(c, 60000);
    assert_int_equal(cluster_trace_count(c, "a start 1"), 1);
    assert_int_equal(cluster_task_count(c), 0);
}

/* A task that is removed and submitted anew does not run beside the old one's handler. */
static void resubmitted_task_waits_for_the_old_handler(void **state)
{
    cluster *c = *state;
    node *a = cluster_join(c, "a", ENDS_WHEN_TOLD, NULL);

    cluster_submit_one(c, "1", "{\"life\":1}");
    cluster_await_running(c, a, 1);
    node *b = cluster_join(c, "b", ENDS_WHEN_STOPPED, NULL);
    cluster_run_ms(c, 1000);
    cluster_remove(c, "1");
    cluster_submit_one(c, "1", "{\"life\":2}");
    cluster_run_ms(c, 5000);
    assert_true(cluster_traced(c, "a stop 1 deleted"));
    assert_int_equal(b->running, 0);
    cluster_finish(a, "1", MF_DONE);
    cluster_run_ms(c, 5000);
    assert_int_equal(a->running + b->running, 1);
    assert_int_equal(cluster_task_count(c), 1);
}

/* A second consumer of a live one's name is refused, and says why. */
static void name_in_use_is_refused(void **state)
{
    cluster *c = *state;

    cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);
    cluster_run_ms(c, 1000);
    node *twin = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);
    cluster_run_ms(c, 20000);
    assert_true(twin->failed);
    assert_int_equal(mf_consumer_error(twin->consumer)->code, MF_ENAMEINUSE);
    assert_non_null(strstr(mf_consumer_error(twin->consumer)->text, "\"a\" is in use"));
    cluster_await_closed(c, twin);
}

/* A restart under the name of a dead process waits until its session lapses, then joins. */
static void restart_waits_for_the_old_session(void **state)
{
    cluster *c = *state;
    node *dead = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);

    cluster_run_ms(c, 1000);
    virtual_loop_pause(dead->loop, true);
    node *restarted = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);
    cluster_run_ms(c, 10000);
    assert_false(restarted->joined);
    cluster_run_ms(c, 6000);
    assert_true(restarted->joined);
}

/* Told that the old process is dead, a restart takes name and tasks over at once. */
static void restart_with_takeover_does_not_wait(void **state)
{
    cluster *c = *state;
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    node *dead = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);

    cluster_submit_one(c, "1", NULL);
    cluster_await_running(c, dead, 1);
    virtual_loop_pause(dead->loop, true);
    options.takeover = true;
    node *restarted = cluster_join(c, "a", ENDS_WHEN_STOPPED, &options);
    cluster_run_ms(c, 3000);
    assert_int_equal(restarted->running, 1);
}

/* A process whose name was taken over while it slept stops all it ran when it wakes, and fails. */
static void usurped_node_stops_everything(void **state)
{
    cluster *c = *state;
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    node *old = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);

    cluster_submit_one(c, "1", NULL);
    cluster_await_running(c, old, 1);
    virtual_loop_pause(old->loop, true);
    options.takeover = true;
    node *usurper = cluster_join(c, "a", ENDS_WHEN_STOPPED, &options);
    cluster_await_running(c, usurper, 1);
    virtual_loop_pause(old->loop, false);
    cluster_await_closed(c, old);
    assert_int_equal(mf_consumer_error(old->consumer)->code, MF_ENAMEINUSE);
    assert_int_equal(usurper->running, 1);
}

/* Two nodes and a thousand tasks: each task runs exactly once. */
static void two_nodes_race_for_a_thousand_tasks(void **state)
{
    cluster *c = *state;
    char names[1000][16];
    const char *ids[1000];

    node *a = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);
    node *b = cluster_join(c, "b", ENDS_WHEN_STOPPED, NULL);
    cluster_run_ms(c, 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        ids[i] = names[i];
    }
    cluster_submit(c, ids, 1000);
    cluster_run_ms(c, 5000);
    assert_int_equal(a->running + b->running, 1000);
    assert_int_equal(cluster_statistics(a).started + cluster_statistics(b).started, 1000);
}

static bool count_task(const mf_task_info *info, void *arg)
{
    assert_true(info->fence > 0);
    assert_true(info->lease_remaining_ms > 0);
    assert_true(info->started_wall_us >= INT64_C(1767225600) * 1000000);
    assert_int_equal(info->stopped_wall_us, 0);
    (*(size_t *)arg)++;
    return true;
}

/* mf_consumer_tasks shows each running task with its facts. */
static void running_tasks_are_shown(void **state)
{
    cluster *c = *state;
    const char *ids[] = {"1", "2"};
    size_t shown = 0;
    node *a = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);

    cluster_submit(c, ids, 2);
    cluster_await_running(c, a, 2);
    assert_int_equal(mf_consumer_tasks(a->consumer, count_task, &shown), 2);
    assert_int_equal(shown, 2);
}

/* More claimable tasks than max_offers are claimed all the same. */
static void more_tasks_than_offers_remembered(void **state)
{
    cluster *c = *state;
    const char *ids[] = {"1", "2", "3", "4", "5", "6", "7", "8"};
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    options.max_offers = 2;
    cluster_submit(c, ids, 8);
    node *a = cluster_join(c, "a", ENDS_WHEN_STOPPED, &options);
    cluster_run_ms(c, 5000);
    assert_int_equal(a->running, 8);
}

enum { BACKLOG = 4000 }; /* four pages */

/* Claims up to `most` tasks, of a kind or of all. */
typedef struct choosy {
    size_t most;
    const char *kind; /* the one id; NULL: any */
} choosy;

static bool choose(void *payload, const mf_balance *balance, const char *task_id, int64_t *until_us)
{
    const choosy *me = payload;

    if (me->kind != NULL && strcmp(task_id, me->kind) != 0) {
        *until_us = MF_BALANCE_FORGET;
        return false;
    }
    return mf_balance_held(balance) < me->most;
}

/* A node that is to find a backlog of which no hint has told it. */
static node *join_backlog(cluster *c, choosy *payload)
{
    static char names[BACKLOG][8];
    static const char *ids[BACKLOG];
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    for (size_t i = 0; i < BACKLOG; i++) {
        snprintf(names[i], sizeof names[i], "%zu", i);
        ids[i] = names[i];
    }
    options.balancer =
        (mf_balancer){.version = MF_BALANCER_VERSION, .can_claim = choose, .payload = payload};
    cluster_submit(c, ids, BACKLOG);
    return cluster_join(c, "a", ENDS_WHEN_STOPPED, &options);
}

/* A node that wants no tasks reads one page of them, and another one at each reconcile; as soon as
 * it wants more it reads them all. */
static void full_node_reads_no_further(void **state)
{
    cluster *c = *state;
    choosy full = {.most = 0};
    node *a = join_backlog(c, &full);

    cluster_run_ms(c, 1000);
    assert_int_equal(cluster_statistics(a).offered, 1000);
    cluster_run_ms(c, 12000);
    assert_int_equal(cluster_statistics(a).offered, 2000);
    full.most = 1;
    cluster_run_ms(c, 1100);
    assert_int_equal(a->running, 1);
    assert_int_equal(cluster_statistics(a).offered, 2999);
    full.most = BACKLOG;
    cluster_run_ms(c, 3000);
    assert_int_equal(a->running, BACKLOG);
}

/* All pages are seen in the end by a node that refuses what is on the first ones. */
static void full_node_sees_all_pages(void **state)
{
    cluster *c = *state;
    choosy full = {.most = 0};
    node *a = join_backlog(c, &full);

    cluster_run_ms(c, 40000);
    assert_int_equal(cluster_statistics(a).offered, BACKLOG);
}

/* A task of the kind that a node looks for is found behind any number of others. */
static void task_of_a_kind_is_found(void **state)
{
    cluster *c = *state;
    choosy picky = {.most = BACKLOG, .kind = "3999"};
    node *a = join_backlog(c, &picky);

    cluster_run_ms(c, 1000);
    assert_int_equal(a->running, 1);
    assert_int_equal(cluster_statistics(a).offered, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        STORY(task_runs_once_and_is_removed),
        STORY(tasks_from_before_the_join_are_found),
        STORY(handler_that_ends_at_once),
        STORY(released_task_goes_to_another_node),
        STORY(memory_of_a_task),
        STORY(released_task_is_reclaimed_when_nobody_else_wants_it),
        STORY(shutdown_waits_for_a_slow_handler_and_renews),
        STORY(shutdown_before_the_join),
        STORY(freeze_and_unfreeze),
        STORY(stop_task_that_is_not_here),
        STORY(stop_comes_again_only_for_a_more_urgent_reason),
        STORY(tasks_of_a_dead_node_are_taken_over),
        STORY(paused_node_stops_its_tasks_when_it_wakes),
        STORY(overrun_is_counted),
        STORY(removed_task_is_stopped),
        STORY(resubmitted_task_waits_for_the_old_handler),
        STORY(name_in_use_is_refused),
        STORY(restart_waits_for_the_old_session),
        STORY(restart_with_takeover_does_not_wait),
        STORY(usurped_node_stops_everything),
        STORY(two_nodes_race_for_a_thousand_tasks),
        STORY(running_tasks_are_shown),
        STORY(more_tasks_than_offers_remembered),
        STORY(full_node_reads_no_further),
        STORY(full_node_sees_all_pages),
        STORY(task_of_a_kind_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
