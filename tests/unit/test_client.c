/* The client, on the embedded broker behind a link that loses things, in virtual time. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <event2/event.h>

#include <metafora/client.h>

#include "embedded/embedded.h"
#include "lossy_broker.h"
#include "virtual_loop.h"

enum { MANY = 5000 };

typedef struct fixture {
    virtual_world *world;
    mf__embedded_store *store;
    mf_loop *loop;
    mf_broker *broker;
    mf_client *client;
    char ids[MANY][24];
    mf_task_spec tasks[MANY];
    const char *names[MANY];

    /* What the last call came back with. */
    int calls;
    mf_error error;
    size_t count;
    int codes[MANY];
    size_t seen[MANY]; /* how often task-i was listed */
    size_t pages, last_pages;
    char text[256];
    int waited; /* what mf_client_wait returned where it must not be called */
} fixture;

static int64_t store_clock(void *arg)
{
    return virtual_world_now_us(arg);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_broker *inner;

    f->world = virtual_world_new(1);
    f->store = mf__embedded_store_new(store_clock, f->world);
    f->loop = virtual_loop_new(f->world, 1.0);
    options.name_space = "test";
    assert_int_equal(mf__embedded_open(&inner, f->store, &options, f->loop, NULL), MF_OK);
    f->broker = lossy_broker_new(inner);
    assert_int_equal(mf_client_open(&f->client, f->broker, NULL), MF_OK);
    for (int i = 0; i < MANY; i++) {
        snprintf(f->ids[i], sizeof f->ids[i], "task-%d", i);
        f->names[i] = f->tasks[i].id = f->ids[i];
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    mf_client_close(f->client);
    mf_broker_close(f->broker, NULL, NULL);
    virtual_world_run_for(f->world, 1000000);
    mf_loop_free(f->loop);
    mf__embedded_store_release(f->store);
    virtual_world_free(f->world);
    free(f);
    return 0;
}

static void run_ms(fixture *f, int64_t ms)
{
    virtual_world_run_for(f->world, ms * 1000);
}

static void note(fixture *f, const mf_error *error)
{
    f->calls++;
    f->error = error != NULL ? *error : (mf_error){0};
}

static void on_items(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    fixture *f = arg;
    note(f, error);
    f->count = count;
    for (size_t i = 0; i < count; i++)
        f->codes[i] = items[i].code;
}

static void on_tasks(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    fixture *f = arg;
    note(f, error);
    f->pages++;
    f->last_pages += last;
    for (size_t i = 0; i < count; i++) {
        int number = atoi(tasks[i].id + 5);
        assert_in_range(number, 0, MANY - 1);
        f->codes[f->count++] = tasks[i].code;
        f->seen[number]++;
        if (tasks[i].properties != NULL)
            snprintf(f->text, sizeof f->text, "%s", tasks[i].properties);
    }
}

static void on_nodes(const mf_error *error, const mf_node *nodes, size_t count, void *arg)
{
    fixture *f = arg;
    note(f, error);
    f->count = count;
    if (count != 0)
        snprintf(f->text, sizeof f->text, "%s", nodes[0].name);
}

static void on_result(const mf_error *error, void *arg)
{
    note(arg, error);
}

static void submit(fixture *f, size_t count)
{
    assert_int_equal(mf_client_submit(f->client, f->tasks, count, on_items, f, NULL), MF_OK);
}

static void submitted(fixture *f, size_t count)
{
    submit(f, count);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
}

static void assert_codes(const fixture *f, size_t count, int code)
{
    assert_int_equal(f->count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(f->codes[i], code);
}

static void list(fixture *f)
{
    f->count = f->pages = f->last_pages = 0;
    memset(f->seen, 0, sizeof f->seen);
    assert_int_equal(mf_client_tasks(f->client, on_tasks, f, NULL), MF_OK);
    mf_client_wait(f->client, NULL);
}

/* Submitted tasks are in the broker with their properties; a second submit finds them there. */
static void submit_and_find(void **state)
{
    fixture *f = *state;

    f->tasks[1].properties = "{\"a\":1}";
    submitted(f, 3);
    assert_codes(f, 3, MF_OK);
    submitted(f, 3);
    assert_codes(f, 3, MF_EEXISTS);
    list(f);
    assert_int_equal(f->count, 3);
    assert_string_equal(f->text, "{\"a\":1}");
}

/* The input is the caller's again when the call returns, and the callback is not made inside it. */
static void input_is_copied(void **state)
{
    fixture *f = *state;
    char id[] = "task-7", properties[] = "[7]";

    assert_int_equal(mf_client_submit(f->client,
                                      &(mf_task_spec){.id = id, .properties = properties}, 1,
                                      on_items, f, NULL),
                     MF_OK);
    memset(id, 'x', sizeof id - 1);
    memset(properties, 'x', sizeof properties - 1);
    assert_int_equal(f->calls, 0);
    mf_client_wait(f->client, NULL);
    assert_codes(f, 1, MF_OK);
    list(f);
    assert_int_equal(f->seen[7], 1);
    assert_string_equal(f->text, "[7]");
}

typedef struct bad_case {
    mf_task_spec task;
    const char *error;
} bad_case;

static const bad_case bad_tasks[] = {
    {{.id = NULL, .properties = NULL}, "task 1: id: missing"},
    {{.id = "", .properties = NULL}, "task 1: id: empty"},
    {{.id = "a/b", .properties = NULL}, "task 1: id: contains '/'"},
    {{.id = "a\n", .properties = NULL}, "task 1: id: contains a control byte"},
    {{.id = "\xff", .properties = NULL}, "task 1: id: not valid UTF-8"},
    {{.id = "_metafora", .properties = NULL}, "task 1: id: '_metafora' is reserved"},
    {{.id = "a", .properties = "{"},
     "task 1: properties: not JSON: a member's name is expected at byte 1"},
    {{.id = "a", .properties = ""}, "task 1: properties: not JSON: a value is expected at byte 0"},
};

/* One bad task refuses the whole call at once, by item, field and rule; nothing is submitted. */
static void bad_input(void **state)
{
    fixture *f = *state;

    for (size_t i = 0; i < sizeof bad_tasks / sizeof bad_tasks[0]; i++) {
        const mf_task_spec tasks[] = {{.id = "task-0"}, bad_tasks[i].task};
        mf_error error = {0};
        assert_int_equal(mf_client_submit(f->client, tasks, 2, on_items, f, &error), MF_EINVAL);
        assert_string_equal(error.text, bad_tasks[i].error);
    }
    run_ms(f, 1000);
    assert_int_equal(f->calls, 0);
    list(f);
    assert_int_equal(f->count, 0);
}

/* The same goes for ids to remove and look up, and for nodes and commands. */
static void bad_names(void **state)
{
    fixture *f = *state;
    const char *const ids[] = {"ok", "a/b"};
    const mf_command freeze = {MF_COMMAND_FREEZE, NULL}, stop = {MF_COMMAND_STOP_TASK, "a/b"};
    mf_error error = {0};

    assert_int_equal(mf_client_remove(f->client, ids, 2, on_items, f, &error), MF_EINVAL);
    assert_string_equal(error.text, "task 1: id: contains '/'");
    error.text[0] = '\0';
    assert_int_equal(mf_client_lookup(f->client, ids, 2, on_tasks, f, &error), MF_EINVAL);
    assert_string_equal(error.text, "task 1: id: contains '/'");
    assert_int_equal(mf_client_command(f->client, "", &freeze, on_result, f, &error), MF_EINVAL);
    assert_string_equal(error.text, "node: empty");
    assert_int_equal(mf_client_command(f->client, "n", &stop, on_result, f, &error), MF_EINVAL);
    assert_string_equal(error.text, "parameters.task: contains '/'");
    run_ms(f, 1000);
    assert_int_equal(f->calls, 0);
}

/* Calls of no items come back as well, once, and not from inside. */
static void empty_calls(void **state)
{
    fixture *f = *state;

    assert_int_equal(mf_client_submit(f->client, NULL, 0, on_items, f, NULL), MF_OK);
    assert_int_equal(mf_client_remove(f->client, NULL, 0, on_items, f, NULL), MF_OK);
    assert_int_equal(mf_client_lookup(f->client, NULL, 0, on_tasks, f, NULL), MF_OK);
    assert_int_equal(f->calls, 0);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
    assert_int_equal(f->calls, 3);
    assert_int_equal(f->last_pages, 1);
    assert_int_equal(lossy_count(f->broker).sent, 0);
}

/* Many items go in batches of what the broker takes, several at a time, and each has its result. */
static void many_items(void **state)
{
    fixture *f = *state;

    f->broker->max_batch = 100;
    submitted(f, MANY);
    assert_codes(f, MANY, MF_OK);
    lossy_counts counts = lossy_count(f->broker);
    assert_int_equal(counts.sent, MANY / 100);
    assert_int_equal(counts.largest_batch, 100);
    assert_int_equal(counts.most_under_way, 32);
    list(f);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(f->seen[i], 1);
    assert_int_equal(f->last_pages, 1);
    assert_true(f->pages > 1);
}

/* Large properties make smaller batches, down to one task. */
static void large_items(void **state)
{
    fixture *f = *state;
    char *large = malloc(600001);

    memset(large, '1', 600000);
    large[600000] = '\0';
    f->tasks[0].properties = large;
    for (int i = 2; i < 5; i++)
        f->tasks[i].properties = large + 400000;
    submitted(f, 5);
    assert_codes(f, 5, MF_OK);
    assert_int_equal(lossy_count(f->broker).sent, 3); /* 0 alone; 1, 2, 3; 4 */
    free(large);
}

/* Removing tells what was there. */
static void remove_tasks(void **state)
{
    fixture *f = *state;

    submitted(f, 2);
    assert_int_equal(mf_client_remove(f->client, f->names, 3, on_items, f, NULL), MF_OK);
    mf_client_wait(f->client, NULL);
    assert_int_equal(f->codes[0], MF_OK);
    assert_int_equal(f->codes[1], MF_OK);
    assert_int_equal(f->codes[2], MF_EGONE);
    list(f);
    assert_int_equal(f->count, 0);
}

/* Looking up gives a record for each id in order, over several batches, and tells which are not
 * there. */
static void lookup_tasks(void **state)
{
    fixture *f = *state;

    submitted(f, 150);
    f->broker->max_batch = 100;
    f->count = 0;
    assert_int_equal(mf_client_lookup(f->client, f->names, 250, on_tasks, f, NULL), MF_OK);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
    assert_int_equal(f->count, 250);
    for (int i = 0; i < 250; i++) {
        assert_int_equal(f->codes[i], i < 150 ? MF_OK : MF_EGONE);
        assert_int_equal(f->seen[i], 1);
    }
    assert_int_equal(f->last_pages, 1);
    assert_int_equal(f->pages, 3);
}

static void finished(mf_request *request)
{
    *(bool *)request->arg = true;
}

static void await(fixture *f, const bool *flag)
{
    for (int i = 0; i < 1000 && !*flag; i++)
        virtual_world_run_for(f->world, 1000);
    assert_true(*flag);
}

static void join(fixture *f, mf_session *session)
{
    bool joined = false;
    mf_join_request request = {.request = {.done = finished, .arg = &joined}, .session = session};

    f->broker->operations->join(f->broker, &request);
    await(f, &joined);
    assert_int_equal(request.request.error.code, MF_OK);
}

/* A live node is listed, and a command to it is stored as JSON for it to read. */
static void nodes_and_commands(void **state)
{
    fixture *f = *state;
    mf_session session = {.node = "n", .token = "1", .epoch = 1, .lease_ms = 60000, .weight = 1};
    const mf_command stop = {MF_COMMAND_STOP_TASK, "task-1"};
    bool received = false;
    mf_receive_request request = {
        .request = {.done = finished, .arg = &received}, .session = &session, .limit = 10};

    join(f, &session);
    assert_int_equal(mf_client_nodes(f->client, on_nodes, f, NULL), MF_OK);
    assert_int_equal(mf_client_command(f->client, "n", &stop, on_result, f, NULL), MF_OK);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
    assert_int_equal(f->calls, 2);
    assert_int_equal(f->count, 1);
    assert_string_equal(f->text, "n");
    f->broker->operations->receive(f->broker, &request);
    await(f, &received);
    assert_int_equal(request.count, 1);
}

/* A submit whose reply was lost is asked again with its token: it was the first, and it is told
 * so. */
static void lost_reply_of_submit(void **state)
{
    fixture *f = *state;

    run_ms(f, 10);
    lossy_next(f->broker, LOSSY_LOSE_REPLY, 1);
    submitted(f, 3);
    assert_codes(f, 3, MF_OK);
    assert_int_equal(lossy_count(f->broker).sent, 2);
}

/* A remove whose reply was lost is repeated; that the task is gone then is success. */
static void lost_reply_of_remove(void **state)
{
    fixture *f = *state;

    submitted(f, 2);
    lossy_next(f->broker, LOSSY_LOSE_REPLY, 1);
    assert_int_equal(mf_client_remove(f->client, f->names, 2, on_items, f, NULL), MF_OK);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
    assert_codes(f, 2, MF_OK);
}

/* Lists go on where they were when a page is lost on the way. */
static void lost_pages(void **state)
{
    fixture *f = *state;

    submitted(f, MANY);
    f->count = 0;
    assert_int_equal(mf_client_tasks(f->client, on_tasks, f, NULL), MF_OK);
    lossy_next(f->broker, LOSSY_LOSE_REPLY, 2);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
    assert_int_equal(f->count, MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(f->seen[i], 1);
    assert_int_equal(f->last_pages, 1);
}

static void on_placement(const mf_error *error, const mf_placement *placement, void *arg)
{
    fixture *f = arg;

    note(f, error);
    snprintf(f->text, sizeof f->text, "%.63s", placement != NULL ? placement->text : "-");
}

/* An explanation asks again for what was lost on the way, of the task as of the nodes; when the
 * broker is gone for good, or the client closes, it fails once. */
static void lost_replies_of_explain(void **state)
{
    fixture *f = *state;

    submitted(f, 1);
    f->calls = 0;
    for (int lost = 1; lost <= 2; lost++) { /* the task's, the nodes' */
        size_t sent = lossy_count(f->broker).sent;
        if (lost == 1)
            lossy_next(f->broker, LOSSY_LOSE_REPLY, 2);
        assert_int_equal(mf_client_explain(f->client, "task-0", 0, on_placement, f, NULL), MF_OK);
        if (lost == 2)
            lossy_next(f->broker, LOSSY_LOSE_REPLY, 2);
        assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
        assert_int_equal(f->calls, lost);
        assert_string_equal(f->text, "no node has it; no live node takes tasks");
        assert_int_equal(lossy_count(f->broker).sent - sent, 4);
    }
    lossy_link(f->broker, false);
    assert_int_equal(mf_client_explain(f->client, "task-0", 0, on_placement, f, NULL), MF_OK);
    run_ms(f, 31000);
    assert_int_equal(f->calls, 3);
    assert_int_equal(f->error.code, MF_EUNREACHABLE);
    assert_int_equal(mf_client_explain(f->client, "task-0", 0, on_placement, f, NULL), MF_OK);
    mf_client_close(f->client);
    assert_int_equal(f->calls, 4);
    assert_int_equal(f->error.code, MF_ECLOSED);
    assert_int_equal(mf_client_open(&f->client, f->broker, NULL), MF_OK);
}

/* While the link is down calls wait, and are sent as soon as it is up. */
static void link_down_for_a_while(void **state)
{
    fixture *f = *state;

    run_ms(f, 10);
    lossy_link(f->broker, false);
    submit(f, 3);
    run_ms(f, 29000);
    assert_int_equal(f->calls, 0);
    lossy_link(f->broker, true);
    run_ms(f, 1);
    assert_int_equal(f->calls, 1);
    assert_codes(f, 3, MF_OK);
}

/* A link that stays down fails calls after thirty seconds; nothing of them was executed. */
static void link_down_for_good(void **state)
{
    fixture *f = *state;

    run_ms(f, 10);
    lossy_link(f->broker, false);
    submit(f, 3);
    run_ms(f, 31000);
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->error.code, MF_EUNREACHABLE);
    assert_codes(f, 3, MF_EUNREACHABLE);
}

/* What may have been executed before the link went down for good is unknown; of the rest it is
 * certain that it was not, but for the call as a whole it is not. */
static void unknown_stays_unknown(void **state)
{
    fixture *f = *state;

    run_ms(f, 10);
    f->broker->max_batch = 2;
    lossy_next(f->broker, LOSSY_HOLD_REPLY, 1);
    submit(f, 4);
    lossy_link(f->broker, false);
    run_ms(f, 10);
    lossy_let_go(f->broker, true);
    run_ms(f, 31000);
    assert_int_equal(f->error.code, MF_EUNKNOWN);
    assert_int_equal(f->codes[0], MF_EUNKNOWN);
    assert_int_equal(f->codes[1], MF_EUNKNOWN);
}

/* Requests that fail while the link is said to be up are not repeated in a hot loop. */
static void no_hot_loop(void **state)
{
    fixture *f = *state;

    run_ms(f, 10);
    lossy_next(f->broker, LOSSY_LOSE_REQUEST, 1000000);
    submit(f, 3);
    run_ms(f, 31000);
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->error.code, MF_EUNREACHABLE);
    assert_in_range(lossy_count(f->broker).sent, 50, 200);
}

/* A broker that was never reached fails a call at once. */
static void never_reached(void **state)
{
    fixture *f = *state;

    lossy_link(f->broker, false);
    lossy_next(f->broker, LOSSY_LOSE_REQUEST, 1);
    submit(f, 3);
    virtual_world_step(f->world, INT64_MAX);
    virtual_world_step(f->world, INT64_MAX);
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->error.code, MF_EUNREACHABLE);
    assert_string_equal(f->error.text, "the request was lost");
}

/* A process that was stopped for so long that the broker may have forgotten the token does not ask
 * again: the task could have run and ended, and would run twice. */
static void paused_beyond_the_token(void **state)
{
    fixture *f = *state;

    run_ms(f, 10);
    lossy_next(f->broker, LOSSY_HOLD_REPLY, 1);
    submit(f, 1);
    run_ms(f, 1);
    virtual_loop_pause(f->loop, true);
    run_ms(f, 55000);
    virtual_loop_pause(f->loop, false);
    lossy_let_go(f->broker, true);
    run_ms(f, 2000);
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->error.code, MF_EUNKNOWN);
    assert_codes(f, 1, MF_EUNKNOWN);
    assert_int_equal(lossy_count(f->broker).sent, 1);
}

/* Closing calls back what is under way, from inside; the request that is still the driver's comes
 * back to nobody. */
static void close_under_way(void **state)
{
    fixture *f = *state;

    run_ms(f, 10);
    f->broker->max_batch = 1;
    lossy_next(f->broker, LOSSY_HOLD_REPLY, 2);
    submit(f, 3);
    assert_int_equal(mf_client_tasks(f->client, on_tasks, f, NULL), MF_OK);
    run_ms(f, 10);
    f->calls = 0;
    submit(f, 40);
    f->count = 0;
    mf_client_close(f->client);
    f->client = NULL;
    assert_int_equal(f->error.code, MF_ECLOSED);
    assert_int_equal(f->calls, 2);
    assert_int_equal(f->codes[0], MF_EUNKNOWN);
    assert_int_equal(f->codes[39], MF_ECLOSED);
    lossy_let_go(f->broker, false);
    run_ms(f, 10);
    assert_int_equal(f->calls, 2);
}

/* Closing a client with results that were not yet called back gives the results. */
static void close_with_results(void **state)
{
    fixture *f = *state;

    run_ms(f, 10);
    lossy_next(f->broker, LOSSY_HOLD_REPLY, 1);
    submit(f, 1);
    run_ms(f, 10);
    lossy_let_go(f->broker, false);
    assert_int_equal(f->calls, 0);
    mf_client_close(f->client);
    f->client = NULL;
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->error.code, MF_OK);
    assert_codes(f, 1, MF_OK);
}

/* Waiting returns the first error among the calls, and forgets it. */
static void wait_returns_the_first_error(void **state)
{
    fixture *f = *state;
    const mf_error *error;

    lossy_next(f->broker, LOSSY_LOSE_REQUEST, 1);
    assert_int_equal(mf_client_nodes(f->client, on_nodes, f, NULL), MF_OK);
    submit(f, 1);
    assert_int_equal(mf_client_wait(f->client, &error), MF_EUNREACHABLE);
    assert_string_equal(error->text, "the request was lost");
    assert_int_equal(mf_client_wait(f->client, &error), MF_OK);
    assert_int_equal(error->code, MF_OK);
}

static void on_items_submit_more(const mf_error *error, const mf_item_result *items, size_t count,
                                 void *arg)
{
    fixture *f = arg;
    on_items(error, items, count, f);
    submit(f, 2);
}

/* A callback may make calls; a further wait is for those. */
static void call_from_a_callback(void **state)
{
    fixture *f = *state;

    assert_int_equal(mf_client_submit(f->client, f->tasks, 1, on_items_submit_more, f, NULL),
                     MF_OK);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
    assert_in_range(f->calls, 1, 2);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
    assert_int_equal(f->calls, 2);
    assert_int_equal(f->codes[0], MF_EEXISTS);
    assert_int_equal(f->codes[1], MF_OK);
}

static void count_call(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    fixture *f = arg;

    (void)items;
    (void)count;
    note(f, error);
}

static double cpu_seconds(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* Very many calls that end together cost the loop no more than a look at each. */
static void many_calls_fail_at_once(void **state)
{
    enum { CALLS = 100000 };
    fixture *f = *state;

    run_ms(f, 10);
    lossy_link(f->broker, false);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(mf_client_submit(f->client, f->tasks, 1, count_call, f, NULL), MF_OK);
    double before = cpu_seconds();
    run_ms(f, 31000);
    assert_int_equal(f->calls, CALLS);
    assert_int_equal(f->error.code, MF_EUNREACHABLE);
    assert_true(cpu_seconds() - before < 5);
}

static void call_again(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    enum { BOUND = 1000000 };
    fixture *f = arg;

    (void)items;
    note(f, error);
    if (count == 0 && f->calls < BOUND)
        mf_client_submit(f->client, f->tasks, 0, call_again, f, NULL);
}

static void take_note(void *arg)
{
    fixture *f = arg;

    f->count = (size_t)f->calls;
    f->calls = 1000000; /* ends the chain */
}

/* Callbacks that make calls which end at once, on and on, keep no timer from firing. */
static void chained_calls_let_timers_fire(void **state)
{
    fixture *f = *state;
    mf_timer timer;

    mf_timer_init(&timer, take_note, f);
    call_again(NULL, NULL, 0, f);
    assert_int_equal(mf_timer_start(f->loop, &timer, mf_loop_now_us(f->loop)), MF_OK);
    run_ms(f, 1);
    assert_in_range(f->count, 1, 10);
}

/* Waits where it must not, and notes what that gives. */
static void wait_here(void *arg)
{
    fixture *f = arg;
    const mf_error *error;

    f->waited = mf_client_wait(f->client, &error);
    snprintf(f->text, sizeof f->text, "%s", error->text);
}

static void wait_in_items(const mf_error *error, const mf_item_result *items, size_t count,
                          void *arg)
{
    on_items(error, items, count, arg);
    wait_here(arg);
}

static void assert_wait_refused(fixture *f)
{
    assert_int_equal(f->waited, MF_EINVAL);
    assert_string_equal(f->text,
                        "client: wait: the loop runs already: not in a callback or a handler");
    f->waited = 0;
}

/* Waiting in a callback, of the client's or of any other of the loop's, is refused with an error
 * that says so; the calls go on, and their errors are kept for the one who may wait. */
static void wait_in_a_callback_is_refused(void **state)
{
    fixture *f = *state;
    mf_timer timer;

    lossy_next(f->broker, LOSSY_LOSE_REQUEST, 1);
    assert_int_equal(mf_client_submit(f->client, f->tasks, 1, wait_in_items, f, NULL), MF_OK);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_EUNREACHABLE);
    assert_wait_refused(f);
    submit(f, 1);
    mf_timer_init(&timer, wait_here, f);
    assert_int_equal(mf_timer_start(f->loop, &timer, mf_loop_now_us(f->loop)), MF_OK);
    run_ms(f, 1);
    assert_wait_refused(f);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
    assert_int_equal(f->calls, 2);
}

/* Closing calls back from outside the loop; to wait there is refused as well. */
static void wait_while_closing_is_refused(void **state)
{
    fixture *f = *state;

    lossy_next(f->broker, LOSSY_HOLD_REPLY, 1);
    assert_int_equal(mf_client_submit(f->client, f->tasks, 1, wait_in_items, f, NULL), MF_OK);
    mf_client_close(f->client);
    f->client = NULL;
    assert_wait_refused(f);
}

static void wait_on_readable(evutil_socket_t descriptor, short what, void *arg)
{
    fixture *f = arg;

    (void)descriptor;
    (void)what;
    wait_here(f);
    mf_loop_stop(f->loop);
}

static void *wait_on_a_thread(void *arg)
{
    wait_here(arg);
    return NULL;
}

/* Runs while the loop's own thread stands here. */
static void wait_elsewhere(void *arg)
{
    fixture *f = arg;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, wait_on_a_thread, f), 0);
    pthread_join(thread, NULL);
    mf_loop_stop(f->loop);
}

/* The same in an event of the program's own on the loop's base, where the loop itself is not at
 * work, and on a handler's thread. */
static void wait_where_the_base_runs_is_refused(void **state)
{
    fixture f = {0};
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    const mf_task_spec task = {.id = "t"};

    (void)state;
    options.name_space = "wait";
    assert_int_equal(mf_loop_new(&f.loop, NULL), MF_OK);
    assert_int_equal(mf_broker_open(&f.broker, "embedded://wait", &options, f.loop, NULL), MF_OK);
    assert_int_equal(mf_client_open(&f.client, f.broker, NULL), MF_OK);
    struct event *event = event_new(mf_loop_event_base(f.loop), -1, EV_READ, wait_on_readable, &f);
    event_active(event, EV_READ, 0);
    assert_int_equal(mf_client_submit(f.client, &task, 1, NULL, NULL, NULL), MF_OK);
    mf_loop_run(f.loop);
    assert_wait_refused(&f);
    assert_int_equal(mf_loop_post(f.loop, wait_elsewhere, &f), MF_OK);
    assert_int_equal(mf_client_submit(f.client, &task, 1, NULL, NULL, NULL), MF_OK);
    mf_loop_run(f.loop);
    assert_wait_refused(&f);
    assert_int_equal(mf_client_wait(f.client, NULL), MF_OK);
    event_free(event);
    mf_client_close(f.client);
    mf_broker_close(f.broker, (void (*)(void *))mf_loop_stop, f.loop);
    mf_loop_run(f.loop);
    mf_loop_free(f.loop);
}

/* Callers that do not care about the outcome pass no callback. */
static void without_callbacks(void **state)
{
    fixture *f = *state;
    const mf_command freeze = {MF_COMMAND_FREEZE, NULL};

    assert_int_equal(mf_client_submit(f->client, f->tasks, 1, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_remove(f->client, f->names, 1, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_tasks(f->client, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_lookup(f->client, f->names, 1, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_nodes(f->client, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_command(f->client, "n", &freeze, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
}

/* On a loop of its own in real time, with a broker opened by its URL, a program without a loop
 * submits and lists. */
static void real_loop(void **state)
{
    fixture *f = *state;
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_loop *loop;
    mf_broker *broker;
    mf_client *client;

    options.name_space = "real";
    assert_int_equal(mf_loop_new(&loop, NULL), MF_OK);
    assert_int_equal(mf_broker_open(&broker, "embedded://test-client", &options, loop, NULL),
                     MF_OK);
    assert_int_equal(mf_client_open(&client, broker, NULL), MF_OK);
    assert_int_equal(mf_client_submit(client, f->tasks, MANY, on_items, f, NULL), MF_OK);
    assert_int_equal(mf_client_wait(client, NULL), MF_OK);
    assert_codes(f, MANY, MF_OK);
    mf_client_close(client);
    mf_broker_close(broker, (void (*)(void *))mf_loop_stop, loop);
    mf_loop_run(loop);
    mf_loop_free(loop);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(submit_and_find),
        TEST(input_is_copied),
        TEST(bad_input),
        TEST(bad_names),
        TEST(empty_calls),
        TEST(many_items),
        TEST(large_items),
        TEST(remove_tasks),
        TEST(lookup_tasks),
        TEST(nodes_and_commands),
        TEST(lost_reply_of_submit),
        TEST(lost_reply_of_remove),
        TEST(lost_pages),
        TEST(lost_replies_of_explain),
        TEST(link_down_for_a_while),
        TEST(link_down_for_good),
        TEST(unknown_stays_unknown),
        TEST(no_hot_loop),
        TEST(never_reached),
        TEST(paused_beyond_the_token),
        TEST(close_under_way),
        TEST(close_with_results),
        TEST(wait_returns_the_first_error),
        TEST(call_from_a_callback),
        TEST(wait_in_a_callback_is_refused),
        TEST(wait_while_closing_is_refused),
        cmocka_unit_test(wait_where_the_base_runs_is_refused),
        TEST(many_calls_fail_at_once),
        TEST(chained_calls_let_timers_fire),
        TEST(without_callbacks),
        TEST(real_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
