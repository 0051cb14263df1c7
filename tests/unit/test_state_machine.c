/* The state machine's stories, told by consumers on the embedded broker in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster.h"

/* What the handler traces: "run <id>", "told <id> <message>". Tasks whose id begins with "deaf" do
 * not return when they are told. */
static cluster *c;

static void trace(const char *what, const char *id, const char *more)
{
    size_t used = strlen(c->trace);
    snprintf(c->trace + used, sizeof c->trace - used, "%s %s%s%s\n", what, id,
             more[0] != '\0' ? " " : "", more);
}

static void on_run(mf_task *task, void *payload)
{
    const char *id = mf_task_id(task);
    mf_message complete = mf_message_of(MF_MESSAGE_COMPLETE);

    (void)payload;
    trace("run", id, "");
    if (strncmp(id, "quick", 5) == 0)
        mf_task_return(task, &complete);
}

static void on_told(mf_task *task, const mf_message *message, void *payload)
{
    (void)payload;
    trace("told", mf_task_id(task), mf_message_text(message->code));
    if (strncmp(mf_task_id(task), "deaf", 4) != 0)
        mf_task_return(task, message);
}

static node *join(const char *name, const mf_state_options *changes)
{
    mf_state_options states = MF_STATE_OPTIONS_INIT;
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    if (changes != NULL)
        states = *changes;
    states.start = on_run;
    states.on_message = on_told;
    options.handler = mf_stateful_handler(&states);
    options.balancer = mf_balancer_dumb();
    return cluster_join(c, name, ENDS_WHEN_STOPPED, &options);
}

static int setup(void **state)
{
    (void)state;
    c = cluster_new(7);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cluster_free(c);
    return 0;
}

/* Waits until the task has started to run so many times. */
static void await_runs(const char *id, size_t count)
{
    char line[300];

    snprintf(line, sizeof line, "run %s", id);
    for (int i = 0; i < 3000 && cluster_trace_count(c, line) < count; i++)
        cluster_run_ms(c, 100);
    if (cluster_trace_count(c, line) != count)
        fail_msg("%s ran %zu times\n%s", id, cluster_trace_count(c, line), c->trace);
}

static void give_back(node *n, const char *id, mf_message message)
{
    mf_task *task = cluster_task(n, id);
    assert_non_null(task);
    mf_task_return(task, &message);
    cluster_run_ms(c, 100);
}

static void tell(const char *id, mf_message message)
{
    assert_int_equal(mf_client_tell(c->client, &id, 1, &message, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_wait(c->client, NULL), MF_OK);
    cluster_run_ms(c, 500);
}

typedef struct seen_state {
    char json[2048];
    mf_state_code code;
    int result;
    size_t errors;
    int64_t until_us;
} seen_state;

static void on_state(const mf_error *error, const mf_state_record *records, size_t count, bool last,
                     void *arg)
{
    seen_state *seen = arg;

    assert_null(error);
    assert_true(last);
    assert_int_equal(count, 1);
    seen->result = records->code;
    snprintf(seen->json, sizeof seen->json, "%s", records->json != NULL ? records->json : "");
    if (records->state == NULL)
        return;
    seen->code = records->state->code;
    seen->errors = records->state->error_count;
    seen->until_us = mf_time_to_wall_us(&records->state->until);
}

static seen_state state_of(const char *id)
{
    seen_state seen = {.code = (mf_state_code)-1};

    assert_int_equal(mf_client_lookup_states(c->client, &id, 1, on_state, &seen, NULL), MF_OK);
    assert_int_equal(mf_client_wait(c->client, NULL), MF_OK);
    return seen;
}

static void assert_state(const char *id, mf_state_code code)
{
    seen_state seen = state_of(id);
    if (seen.code != code)
        fail_msg("%s is \"%s\", not %s\n%s", id, seen.json, mf_state_text(code), c->trace);
}

static int64_t wall_us(void)
{
    return mf_loop_wall_us(c->client_loop);
}

/* A task that completes is gone, and its state stays readable. */
static void test_complete(void **state)
{
    (void)state;
    join("a", NULL);
    cluster_submit_one(c, "quick", NULL);
    await_runs("quick", 1);
    cluster_run_ms(c, 500);
    assert_int_equal(cluster_task_count(c), 0);
    assert_string_equal(state_of("quick").json, "{\"state\":\"completed\"}");
}

/* A finished id that is submitted again ends at once in its old state, without having run. */
static void test_resubmit(void **state)
{
    (void)state;
    join("a", NULL);
    for (int i = 0; i < 2; i++) {
        cluster_submit_one(c, "quick", NULL);
        await_runs("quick", 1);
        cluster_run_ms(c, 5000);
        assert_int_equal(cluster_task_count(c), 0);
    }
    assert_state("quick", MF_STATE_COMPLETED);
}

/* A paused task runs no code until it is told to run. */
static void test_pause_and_run(void **state)
{
    (void)state;
    join("a", NULL);
    cluster_submit_one(c, "1", NULL);
    await_runs("1", 1);
    tell("1", mf_message_of(MF_MESSAGE_PAUSE));
    assert_true(cluster_traced(c, "told 1 pause"));
    assert_state("1", MF_STATE_PAUSED);
    cluster_run_ms(c, 3600000);
    await_runs("1", 1);
    tell("1", mf_message_of(MF_MESSAGE_RUN));
    await_runs("1", 2);
    assert_state("1", MF_STATE_RUNNABLE);
}

/* A sleeping task wakes at its time, not before; the sleep survives the death of its owner. */
static void test_sleep(void **state)
{
    node *a = join("a", NULL);
    int64_t until = wall_us() + 3600 * INT64_C(1000000);

    (void)state;
    cluster_submit_one(c, "1", NULL);
    await_runs("1", 1);
    give_back(a, "1", mf_message_sleep_until(until));
    assert_state("1", MF_STATE_SLEEPING);
    assert_int_equal(state_of("1").until_us, until);
    virtual_loop_pause(a->loop, true);
    join("b", NULL);
    cluster_run_ms(c, 3500000);
    await_runs("1", 1);
    cluster_run_ms(c, 100000 + 1000);
    await_runs("1", 2);
}

/* A released sleeping task goes on sleeping at its next owner, until the same time. */
static void test_release_keeps_the_sleep(void **state)
{
    node *a = join("a", NULL);
    int64_t until = wall_us() + 600 * INT64_C(1000000);

    (void)state;
    cluster_submit_one(c, "1", NULL);
    await_runs("1", 1);
    give_back(a, "1", mf_message_sleep_until(until));
    tell("1", mf_message_of(MF_MESSAGE_RELEASE));
    cluster_run_ms(c, 60000);
    assert_int_equal(state_of("1").until_us, until);
    await_runs("1", 1);
    cluster_run_ms(c, 600000);
    await_runs("1", 2);
}

/* A kill ends a task in any state: running, paused, asleep. */
static void test_kill(void **state)
{
    static const char *const ids[] = {"1", "2", "3"};
    node *a = join("a", NULL);

    (void)state;
    cluster_submit(c, ids, 3);
    await_runs("3", 1);
    give_back(a, "2", mf_message_of(MF_MESSAGE_PAUSE));
    give_back(a, "3", mf_message_sleep_until(INT64_MAX / 2000));
    for (int i = 0; i < 3; i++) {
        tell(ids[i], mf_message_of(MF_MESSAGE_KILL));
        assert_state(ids[i], MF_STATE_KILLED);
    }
    assert_int_equal(cluster_task_count(c), 0);
}

/* A checkpoint is a written state, and the handler runs on. */
static void test_checkpoint(void **state)
{
    node *a = join("a", NULL);

    (void)state;
    cluster_submit_one(c, "1", NULL);
    await_runs("1", 1);
    assert_int_equal(state_of("1").result, MF_EGONE);
    give_back(a, "1", mf_message_of(MF_MESSAGE_CHECKPOINT));
    await_runs("1", 2);
    assert_string_equal(state_of("1").json, "{\"state\":\"runnable\"}");
}

/* After an error the task sleeps ten minutes and is tried again; the eighth makes it fail. */
static void test_errors(void **state)
{
    node *a = join("a", NULL);

    (void)state;
    cluster_submit_one(c, "1", NULL);
    for (size_t i = 1; i <= 8; i++) {
        await_runs("1", i);
        give_back(a, "1", mf_message_error("fault %zu", i));
        assert_state("1", i < 8 ? MF_STATE_SLEEPING : MF_STATE_FAILED);
        cluster_run_ms(c, 599000);
        await_runs("1", i);
        cluster_run_ms(c, 1500);
    }
    assert_int_equal(cluster_task_count(c), 0);
    assert_non_null(strstr(state_of("1").json, "fault 1"));
    assert_non_null(strstr(state_of("1").json, "8 errors in 240 minutes: failed"));
}

/* Errors that are older than the window are forgotten. */
static void test_old_errors(void **state)
{
    node *a = join("a", NULL);

    (void)state;
    cluster_submit_one(c, "1", NULL);
    for (size_t i = 1; i <= 12; i++) {
        await_runs("1", i);
        give_back(a, "1", mf_message_error("fault"));
        assert_state("1", MF_STATE_SLEEPING);
        cluster_run_ms(c, 3600000);
    }
    assert_int_equal(state_of("1").errors, 4);
}

static mf_message decide(mf_task *task, const mf_state *s, size_t *keep, void *payload)
{
    (void)payload;
    trace("decide", mf_task_id(task), s->errors[s->error_count - 1].text);
    *keep = 1;
    return s->error_count < 2 ? mf_message_sleep_until(wall_us() + 1000000)
                              : mf_message_error("enough");
}

/* An error handler of the user's decides in the default one's place, and what to keep. */
static void test_error_handler(void **state)
{
    mf_state_options options = MF_STATE_OPTIONS_INIT;

    (void)state;
    options.on_error = decide;
    node *a = join("a", &options);
    cluster_submit_one(c, "1", NULL);
    await_runs("1", 1);
    give_back(a, "1", mf_message_error("one"));
    await_runs("1", 2);
    give_back(a, "1", mf_message_error("two"));
    assert_true(cluster_traced(c, "decide 1 two"));
    assert_state("1", MF_STATE_FAILED);
    assert_int_equal(state_of("1").errors, 2);
    assert_null(strstr(state_of("1").json, "one"));
    assert_non_null(strstr(state_of("1").json, "enough"));
}

/* A message that is not for the state is an error; it does not shorten a sleep. */
static void test_error_in_a_sleep(void **state)
{
    node *a = join("a", NULL);
    int64_t until = wall_us() + 7200 * INT64_C(1000000);

    (void)state;
    cluster_submit_one(c, "1", NULL);
    await_runs("1", 1);
    give_back(a, "1", mf_message_sleep_until(until));
    tell("1", mf_message_of(MF_MESSAGE_COMPLETE));
    assert_state("1", MF_STATE_SLEEPING);
    assert_int_equal(state_of("1").errors, 1);
    assert_int_equal(state_of("1").until_us, until);
}

/* Where an error cannot be, a message that is not for the state changes nothing. */
static void test_ignored_message(void **state)
{
    node *a = join("a", NULL);

    (void)state;
    cluster_submit_one(c, "1", NULL);
    await_runs("1", 1);
    give_back(a, "1", mf_message_of(MF_MESSAGE_PAUSE));
    tell("1", mf_message_of(MF_MESSAGE_COMPLETE));
    assert_string_equal(state_of("1").json, "{\"state\":\"paused\"}");
    tell("1", mf_message_of(MF_MESSAGE_RUN));
    await_runs("1", 2);
}

/* A message that is replaced before anybody read it is never seen. */
static void test_last_message_wins(void **state)
{
    (void)state;
    cluster_submit_one(c, "1", NULL);
    tell("1", mf_message_of(MF_MESSAGE_KILL));
    tell("1", mf_message_of(MF_MESSAGE_PAUSE));
    join("a", NULL);
    cluster_run_ms(c, 5000);
    assert_false(cluster_traced(c, "told 1 kill"));
    assert_state("1", MF_STATE_PAUSED);
}

/* A message for a task whose owner is gone reaches the next one, before its handler runs or while
 * it does. */
static void test_message_moves_with_its_task(void **state)
{
    node *a = join("a", NULL);

    (void)state;
    cluster_submit_one(c, "1", NULL);
    await_runs("1", 1);
    virtual_loop_pause(a->loop, true);
    tell("1", mf_message_of(MF_MESSAGE_PAUSE));
    join("b", NULL);
    cluster_run_ms(c, 30000);
    assert_state("1", MF_STATE_PAUSED);
    cluster_run_ms(c, 600000);
    assert_state("1", MF_STATE_PAUSED);
    assert_true(cluster_trace_count(c, "told 1 pause") <= 1);
}

/* A message that was dealt with does not come again, at the next owner either. */
static void test_message_comes_once(void **state)
{
    node *a = join("a", NULL);

    (void)state;
    cluster_submit_one(c, "1", NULL);
    await_runs("1", 1);
    tell("1", mf_message_of(MF_MESSAGE_PAUSE));
    tell("1", mf_message_of(MF_MESSAGE_RUN));
    await_runs("1", 2);
    mf_consumer_shutdown(a->consumer);
    cluster_await_closed(c, a);
    join("b", NULL);
    await_runs("1", 3);
    cluster_run_ms(c, 60000);
    assert_int_equal(cluster_trace_count(c, "told 1 pause"), 1);
    assert_state("1", MF_STATE_RUNNABLE);
}

/* A shutdown is a release message to the handler; sleeping and paused tasks are just given back. */
static void test_shutdown(void **state)
{
    static const char *const ids[] = {"1", "2", "3"};
    node *a = join("a", NULL);

    (void)state;
    cluster_submit(c, ids, 3);
    await_runs("3", 1);
    give_back(a, "2", mf_message_of(MF_MESSAGE_PAUSE));
    give_back(a, "3", mf_message_sleep_until(INT64_MAX / 2000));
    mf_consumer_shutdown(a->consumer);
    cluster_await_closed(c, a);
    assert_true(cluster_traced(c, "told 1 release"));
    assert_int_equal(cluster_task_count(c), 3);
    assert_int_equal(cluster_statistics(a).released, 3);
}

/* A handler that was asked to stop may still complete. */
static void test_completes_while_stopping(void **state)
{
    node *a = join("a", NULL);

    (void)state;
    cluster_submit_one(c, "deaf", NULL);
    await_runs("deaf", 1);
    mf_consumer_shutdown(a->consumer);
    cluster_run_ms(c, 1000);
    assert_true(cluster_traced(c, "told deaf release"));
    give_back(a, "deaf", mf_message_of(MF_MESSAGE_COMPLETE));
    cluster_await_closed(c, a);
    assert_state("deaf", MF_STATE_COMPLETED);
    assert_int_equal(cluster_task_count(c), 0);
}

/* What an owner writes after its lease has ended is refused: its successor's state stays. */
static void test_late_owner(void **state)
{
    node *a = join("a", NULL);

    (void)state;
    cluster_submit_one(c, "deaf", NULL);
    await_runs("deaf", 1);
    virtual_loop_pause(a->loop, true);
    node *b = join("b", NULL);
    await_runs("deaf", 2);
    give_back(b, "deaf", mf_message_of(MF_MESSAGE_PAUSE));
    mf_task *late = cluster_task(a, "deaf");
    mf_message kill = mf_message_of(MF_MESSAGE_KILL);
    mf_task_return(late, &kill);
    virtual_loop_pause(a->loop, false);
    cluster_run_ms(c, 30000);
    assert_state("deaf", MF_STATE_PAUSED);
    assert_int_equal(cluster_task_count(c), 1);
}

/* A removed task's handler is told to stop, and its last state is not written. */
static void test_removed(void **state)
{
    node *a = join("a", NULL);

    (void)state;
    cluster_submit_one(c, "deaf", NULL);
    await_runs("deaf", 1);
    cluster_remove(c, "deaf");
    cluster_run_ms(c, 1000);
    assert_true(cluster_traced(c, "told deaf release"));
    give_back(a, "deaf", mf_message_of(MF_MESSAGE_PAUSE));
    assert_int_equal(state_of("deaf").result, MF_EGONE);
}

static void on_revived(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    assert_null(error);
    assert_int_equal(count, 1);
    *(int *)arg = items->code;
}

static int revive(const char *id)
{
    mf_task_spec task = {.id = id};
    int result = -1;

    assert_int_equal(mf_client_revive(c->client, &task, 1, on_revived, &result, NULL), MF_OK);
    assert_int_equal(mf_client_wait(c->client, NULL), MF_OK);
    return result;
}

/* A killed task that is revived runs again; one that has an owner is left alone. */
static void test_revive(void **state)
{
    (void)state;
    join("a", NULL);
    cluster_submit_one(c, "1", NULL);
    await_runs("1", 1);
    assert_int_equal(revive("1"), MF_ETAKEN);
    tell("1", mf_message_of(MF_MESSAGE_KILL));
    assert_state("1", MF_STATE_KILLED);
    assert_int_equal(revive("1"), MF_OK);
    await_runs("1", 2);
    assert_int_equal(state_of("1").result, MF_EGONE);
}

/* An erased task leaves no state behind. */
static void test_erase(void **state)
{
    const char *id = "quick";
    int result = -1;

    (void)state;
    join("a", NULL);
    cluster_submit_one(c, id, NULL);
    await_runs(id, 1);
    cluster_run_ms(c, 500);
    assert_state(id, MF_STATE_COMPLETED);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mf_client_erase(c->client, &id, 1, on_revived, &result, NULL), MF_OK);
        assert_int_equal(mf_client_wait(c->client, NULL), MF_OK);
        assert_int_equal(result, i == 0 ? MF_OK : MF_EGONE);
    }
    assert_int_equal(state_of(id).result, MF_EGONE);
}

static void on_listed(const mf_error *error, const mf_state_record *records, size_t count,
                      bool last, void *arg)
{
    (void)last;
    assert_null(error);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(records[i].state->code, MF_STATE_COMPLETED);
    *(size_t *)arg += count;
}

/* States are listed over pages, those of one kind alone. */
static void test_list(void **state)
{
    enum { many = 2500 };
    static char texts[many][16];
    static const char *ids[many + 2] = {"1", "2"};
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < many; i++) {
        snprintf(texts[i], sizeof texts[i], "quick%zu", i);
        ids[i + 2] = texts[i];
    }
    node *a = join("a", NULL);
    c->trace[0] = '\0';
    cluster_submit(c, ids, 2);
    await_runs("2", 1);
    give_back(a, "1", mf_message_of(MF_MESSAGE_PAUSE));
    cluster_submit(c, ids + 2, many);
    cluster_run_ms(c, 5000);
    assert_int_equal(mf_client_states(c->client, 1u << MF_STATE_COMPLETED, on_listed, &count, NULL),
                     MF_OK);
    assert_int_equal(mf_client_wait(c->client, NULL), MF_OK);
    assert_int_equal(count, many);
}

/* A task submitted for later is not run before its time. */
static void test_not_before(void **state)
{
    mf_task_spec task = {.id = "1", .not_before_us = wall_us() + 120 * INT64_C(1000000)};

    (void)state;
    join("a", NULL);
    assert_int_equal(mf_client_submit(c->client, &task, 1, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_wait(c->client, NULL), MF_OK);
    cluster_run_ms(c, 119000);
    await_runs("1", 0);
    cluster_run_ms(c, 2000);
    await_runs("1", 1);
}

typedef struct seen_task {
    unsigned crashes;
    bool set_aside;
} seen_task;

static void on_task(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                    void *arg)
{
    (void)last;
    assert_null(error);
    assert_int_equal(count, 1);
    *(seen_task *)arg = (seen_task){tasks->crashes, tasks->set_aside};
}

static seen_task look_up(const char *id)
{
    seen_task seen;

    assert_int_equal(mf_client_lookup(c->client, &id, 1, on_task, &seen, NULL), MF_OK);
    assert_int_equal(mf_client_wait(c->client, NULL), MF_OK);
    return seen;
}

/* A task whose owners die one after another is set aside after five, until it is revived. */
static void test_crash_loop(void **state)
{
    static const char *const names[] = {"a", "b", "d", "e", "f"};

    (void)state;
    cluster_submit_one(c, "1", NULL);
    for (unsigned i = 0; i < 5; i++) {
        node *n = join(names[i], NULL);
        await_runs("1", i + 1);
        virtual_loop_pause(n->loop, true);
        cluster_run_ms(c, 20000);
        assert_int_equal(look_up("1").crashes, i + 1);
    }
    assert_true(look_up("1").set_aside);
    join("g", NULL);
    cluster_run_ms(c, 60000);
    await_runs("1", 5);
    assert_int_equal(revive("1"), MF_OK);
    await_runs("1", 6);
    assert_false(look_up("1").set_aside);
    assert_int_equal(look_up("1").crashes, 0);
}

/* Of a hundred tasks one kills its node whenever it starts: it is set aside, and no other is. */
static void test_innocent_tasks(void **state)
{
    static char texts[99][16];
    static const char *ids[100] = {"bad"};
    size_t runs = 0;

    (void)state;
    for (int i = 1; i < 100; i++) {
        snprintf(texts[i - 1], sizeof texts[0], "good%d", i);
        ids[i] = texts[i - 1];
    }
    cluster_submit(c, ids, 100);
    for (int dead = 0; dead < 5; dead++) {
        node *n = join((const char *[]){"a", "b", "d", "e", "f"}[dead], NULL);
        await_runs("bad", ++runs);
        virtual_loop_pause(n->loop, true);
        c->trace[0] = '\0';
        runs = 0;
        cluster_run_ms(c, 20000);
    }
    assert_true(look_up("bad").set_aside);
    join("g", NULL);
    cluster_run_ms(c, 600000);
    for (int i = 1; i < 100; i++)
        await_runs(ids[i], 1);
    await_runs("bad", 0);
}

/* A clean release in between resets the count, and so does a claim that lasts. */
static void test_crash_count_is_reset(void **state)
{
    (void)state;
    cluster_submit_one(c, "1", NULL);
    node *a = join("a", NULL);
    await_runs("1", 1);
    virtual_loop_pause(a->loop, true);
    node *b = join("b", NULL);
    await_runs("1", 2);
    assert_int_equal(look_up("1").crashes, 1);
    cluster_run_ms(c, 10000);
    assert_int_equal(look_up("1").crashes, 0);
    virtual_loop_pause(b->loop, true);
    cluster_run_ms(c, 20000);
    assert_int_equal(look_up("1").crashes, 1);
    node *d = join("d", NULL);
    await_runs("1", 3);
    mf_consumer_shutdown(d->consumer);
    cluster_await_closed(c, d);
    assert_int_equal(look_up("1").crashes, 0);
}

/* Handlers whose options break a rule are refused when the consumer opens. */
static void test_bad_options(void **state)
{
    mf_state_options bad[] = {
        MF_STATE_OPTIONS_INIT,
        {.version = 9, .start = on_run, .on_message = on_told},
        {.version = MF_STATE_OPTIONS_VERSION, .start = on_run},
        {.version = MF_STATE_OPTIONS_VERSION,
         .start = on_run,
         .on_message = on_told,
         .max_errors = -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
        mf_consumer *consumer;
        options.broker_handle = c->client_broker;
        options.loop = c->client_loop;
        options.handler = mf_stateful_handler(&bad[i]);
        assert_int_equal(mf_consumer_open(&consumer, &options, NULL), MF_EINVAL);
    }
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_complete),
        STORY(test_resubmit),
        STORY(test_pause_and_run),
        STORY(test_sleep),
        STORY(test_release_keeps_the_sleep),
        STORY(test_kill),
        STORY(test_checkpoint),
        STORY(test_errors),
        STORY(test_old_errors),
        STORY(test_error_handler),
        STORY(test_error_in_a_sleep),
        STORY(test_ignored_message),
        STORY(test_last_message_wins),
        STORY(test_message_moves_with_its_task),
        STORY(test_message_comes_once),
        STORY(test_shutdown),
        STORY(test_completes_while_stopping),
        STORY(test_late_owner),
        STORY(test_removed),
        STORY(test_revive),
        STORY(test_erase),
        STORY(test_list),
        STORY(test_not_before),
        STORY(test_crash_loop),
        STORY(test_innocent_tasks),
        STORY(test_crash_count_is_reset),
        STORY(test_bad_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
