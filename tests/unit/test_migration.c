/* Migration between two brokers in virtual time: whatever becomes of the migrator, each task is
 * recorded in at least one of them and claimable in at most one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/metafora.h>

#include "embedded/embedded.h"
#include "mortal_broker.h"
#include "virtual_loop.h"

enum { TASKS = 7, MIGRATORS = 4, MINUTE_US = 60000000 };

/* A migrator's process. */
typedef struct process {
    mf_loop *loop;
    mf_broker *brokers[2];
    mortal_life life;
    mf_migration *migration;
    mf_error error; /* how it ended */
    mf_migration_statistics statistics;
    bool started, ended;
    int closed;
} process;

typedef struct stage {
    virtual_world *world;
    mf__embedded_store *stores[2];
    /* Of the test itself: it sees what the stores hold at any time. */
    mf_loop *loop;
    mf_broker *eyes[2];
    mf_session session;
    process processes[MIGRATORS];
    size_t process_count;
    int closed;
    bool strays; /* tasks may be claimable nowhere and recorded once, but not in two */
} stage;

static int64_t clock_of(void *arg)
{
    return virtual_world_now_us(arg);
}

static mf_broker *open_broker(stage *s, int side, mf_loop *loop)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_broker *broker;

    options.name_space = "ns";
    assert_int_equal(mf__embedded_open(&broker, s->stores[side], &options, loop, NULL), MF_OK);
    return broker;
}

static int setup(void **state)
{
    stage *s = calloc(1, sizeof *s);

    s->world = virtual_world_new(1);
    s->loop = virtual_loop_new(s->world, 1.0);
    mf_loop_set_log(s->loop, NULL, NULL, MF_LOG_ERROR);
    for (int side = 0; side < 2; side++) {
        s->stores[side] = mf__embedded_store_new(clock_of, s->world);
        s->eyes[side] = open_broker(s, side, s->loop);
    }
    *state = s;
    return 0;
}

static void on_closed(void *arg)
{
    ++*(int *)arg;
}

static bool is_two(void *arg)
{
    return *(int *)arg == 2;
}

static bool has_ended(void *arg)
{
    return ((process *)arg)->ended;
}

static void end_process(stage *s, process *p)
{
    if (p->migration != NULL && !p->ended) {
        mf_migration_stop(p->migration);
        mortal_bury(&p->life);
        assert_true(virtual_world_run_until(s->world, has_ended, p, MINUTE_US));
    }
    for (int side = 0; side < 2; side++)
        p->brokers[side]->operations->close(p->brokers[side], on_closed, &p->closed);
    assert_true(virtual_world_run_until(s->world, is_two, &p->closed, MINUTE_US));
    mf_loop_free(p->loop);
}

static int teardown(void **state)
{
    stage *s = *state;

    for (size_t i = 0; i < s->process_count; i++)
        end_process(s, &s->processes[i]);
    for (int side = 0; side < 2; side++)
        s->eyes[side]->operations->close(s->eyes[side], on_closed, &s->closed);
    virtual_world_run_until(s->world, is_two, &s->closed, MINUTE_US);
    mf_loop_free(s->loop);
    for (int side = 0; side < 2; side++)
        mf__embedded_store_release(s->stores[side]);
    virtual_world_free(s->world);
    free(s);
    return 0;
}

/* Requests of the test: the in-process broker has carried them out when the slot returns. What they
 * give out is theirs until the loop has run. */

static void free_request(mf_request *request)
{
    free(request);
}

static void *request_of(size_t size)
{
    mf_request *request = calloc(1, size);
    request->done = free_request;
    return request;
}

static bool is_id(const char *id, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], id) == 0)
            return true;
    return false;
}

/* The task as a side has it: MF_EGONE. */
static mf_task_record look(stage *s, int side, const char *const *id)
{
    mf_lookup_request *request = request_of(sizeof *request);

    request->ids = id;
    request->id_count = 1;
    s->eyes[side]->operations->lookup(s->eyes[side], request);
    return request->records[0];
}

static mf_page_request *claimable(stage *s, int side)
{
    mf_page_request *request = request_of(sizeof *request);

    request->limit = 1000;
    s->eyes[side]->operations->claimable(s->eyes[side], request);
    return request;
}

static const char *const ids[TASKS] = {"plain", "full", "later", "aside", "told", "a", "b"};

/* The invariant, at this instant. */
static void observe(void *arg)
{
    stage *s = arg;
    mf_page_request *here = claimable(s, 0), *there = claimable(s, 1);
    const char *list[TASKS];

    assert_in_range(here->count, 0, TASKS);
    for (size_t i = 0; i < here->count; i++)
        list[i] = here->records[i].id;
    for (size_t i = 0; i < there->count; i++)
        assert_false(is_id(there->records[i].id, list, here->count));
    for (size_t i = 0; i < TASKS; i++)
        assert_true(look(s, 0, &ids[i]).code == MF_OK || look(s, 1, &ids[i]).code == MF_OK);
}

static void join_eyes(stage *s, int side, const char *node)
{
    static unsigned serial;
    mf_join_request *request = request_of(sizeof *request);

    s->session = (mf_session){.node = node, .epoch = 1, .lease_ms = 3600000, .weight = 1};
    snprintf(s->session.token, sizeof s->session.token, "%032x", ++serial);
    request->session = &s->session;
    s->eyes[side]->operations->join(s->eyes[side], request);
    assert_int_equal(request->request.error.code, MF_OK);
}

static void leave_eyes(stage *s, int side)
{
    mf_session_request *request = request_of(sizeof *request);

    request->session = &s->session;
    s->eyes[side]->operations->leave(s->eyes[side], request);
}

static const mf_hold tasks[TASKS] = {
    {.id = "plain"},
    {.id = "full", .properties = "{\"a\":1}", .state = "{\"state\":1}", .message = "{\"m\":1}"},
    {.id = "later", .delay_us = INT64_C(3600) * 1000000},
    {.id = "aside", .crashes = 5, .set_aside = true},
    {.id = "told", .message = "{\"m\":2}"},
    {.id = "a", .crashes = 1},
    {.id = "b"},
};

static void put_tasks(stage *s)
{
    mf_holds_request *request = request_of(sizeof *request);
    static mf_hold copies[TASKS];
    static mf_hold orphan = {.id = "gone", .state = "{\"end\":1}", .orphan = true};

    join_eyes(s, 0, "setup");
    memcpy(copies, tasks, sizeof copies);
    for (int i = 0; i < TASKS; i++)
        copies[i].fence = 100;
    *request = (mf_holds_request){.request = request->request,
                                  .session = &s->session,
                                  .migration = "setup",
                                  .holds = copies,
                                  .count = TASKS};
    mf_holds_request *second = memcpy(request_of(sizeof *second), request, sizeof *second);
    mf_holds_request *third = memcpy(request_of(sizeof *third), request, sizeof *third);
    third->holds = &orphan;
    third->count = 1;
    s->eyes[0]->operations->copy(s->eyes[0], request);
    s->eyes[0]->operations->free(s->eyes[0], second);
    s->eyes[0]->operations->copy(s->eyes[0], third);
    for (int i = 0; i < TASKS; i++)
        assert_int_equal(copies[i].result, MF_OK);
    assert_int_equal(orphan.result, MF_OK);
    leave_eyes(s, 0);
}

/* Migrators. */

static void on_event(mf_migration *migration, mf_migration_event event, void *payload)
{
    process *p = payload;

    p->started |= event == MF_MIGRATION_STARTED;
    if (event != MF_MIGRATION_CLOSED)
        return;
    p->error = *mf_migration_error(migration);
    p->statistics.version = MF_MIGRATION_STATISTICS_VERSION;
    mf_migration_get_statistics(migration, &p->statistics);
    p->ended = true;
    mf_migration_free(migration);
    p->migration = NULL;
}

/* `life`: how many requests; -1: no end of it. */
static process *migrator(stage *s, const mf_migration_options *with, long life, bool carried_out)
{
    process *p = &s->processes[s->process_count++];
    mf_migration_options options = *with;

    p->loop = virtual_loop_new(s->world, 1.0);
    p->life = (mortal_life){
        .loop = p->loop, .left = life, .carried_out = carried_out, .observe = observe, .arg = s};
    for (int side = 0; side < 2; side++)
        p->brokers[side] = mortal_broker_new(open_broker(s, side, p->loop), &p->life);
    options.from = p->brokers[0];
    options.to = p->brokers[1];
    options.from_url = "embedded://old";
    options.to_url = "embedded://new";
    options.on_event = on_event;
    options.payload = p;
    assert_int_equal(mf_migration_open(&p->migration, &options, NULL), MF_OK);
    return p;
}

static bool has_ended_or_died(void *arg)
{
    const process *p = arg;
    return p->ended || p->life.dead;
}

static void run(stage *s, process *p)
{
    if (!virtual_world_run_until(s->world, has_ended_or_died, p, 10 * (int64_t)MINUTE_US))
        fail_msg("the migration does not end");
}

static mf_migration_options options_of(mf_migration_mode mode)
{
    mf_migration_options options = MF_MIGRATION_OPTIONS_INIT;

    options.mode = mode;
    options.batch = 3;
    return options;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* All tasks are on that side, whole, and can be claimed as ever, with higher fences; nothing is
 * left on the other. */
static void judge(stage *s, int side)
{
    mf_holds_request *request = request_of(sizeof *request);
    mf_load_request *load = request_of(sizeof *load);
    static const char *const gone[] = {"gone"};
    mf_hold seen[TASKS] = {{0}};

    assert_int_equal(claimable(s, side)->count, TASKS - 2);
    assert_int_equal(claimable(s, 1 - side)->count, 0);
    join_eyes(s, side, "judge");
    for (int i = 0; i < TASKS; i++) {
        assert_int_equal(look(s, 1 - side, &ids[i]).code, MF_EGONE);
        assert_int_equal(look(s, side, &ids[i]).code, MF_OK);
        seen[i].id = ids[i];
    }
    request->session = &s->session;
    request->migration = "judge";
    request->holds = seen;
    request->count = TASKS;
    s->eyes[side]->operations->hold(s->eyes[side], request);
    for (int i = 0; i < TASKS; i++) {
        assert_int_equal(seen[i].result, MF_OK);
        assert_true(seen[i].fence > 100);
        assert_true(same(seen[i].properties, tasks[i].properties));
        assert_true(same(seen[i].state, tasks[i].state));
        assert_true(same(seen[i].message, tasks[i].message));
        assert_int_equal(seen[i].crashes, tasks[i].crashes);
        assert_int_equal(seen[i].set_aside, tasks[i].set_aside);
        assert_true((seen[i].delay_us > 0) == (tasks[i].delay_us > 0));
    }
    load->ids = gone;
    load->id_count = 1;
    s->eyes[side]->operations->load(s->eyes[side], load);
    assert_non_null(load->documents[0].json);
}

static size_t holds_left(stage *s, int side)
{
    mf_holds_page_request *request = request_of(sizeof *request);

    request->limit = 1000;
    s->eyes[side]->operations->holds(s->eyes[side], request);
    return request->count;
}

static mf_mark_phase mark_of(stage *s, int side)
{
    mf_mark_request *request = request_of(sizeof *request);

    s->eyes[side]->operations->moved(s->eyes[side], request);
    return request->mark.phase;
}

/* Waiting tasks move whole, and clients of the old broker are told where to. */
static void waiting_tasks_move(void **state)
{
    stage *s = *state;
    mf_migration_options options = options_of(MF_MIGRATE_MOVE);

    put_tasks(s);
    options.verify = true;
    process *p = migrator(s, &options, -1, false);
    run(s, p);
    assert_string_equal(p->error.text, "");
    assert_int_equal(p->error.code, MF_OK);
    assert_true(p->started);
    assert_int_equal(p->statistics.moved, TASKS);
    assert_int_equal(p->statistics.states, 1);
    assert_int_equal(mark_of(s, 0), MF_MARK_MOVED);
    assert_int_equal(mark_of(s, 1), MF_MARK_NONE);
    assert_int_equal(holds_left(s, 0) + holds_left(s, 1), 0);
    judge(s, 1);
}

/* There and back: the marks change places, and nothing is lost. */
static void forth_and_rolled_back(void **state)
{
    stage *s = *state;
    mf_migration_options move = options_of(MF_MIGRATE_MOVE),
                         back = options_of(MF_MIGRATE_ROLL_BACK);

    put_tasks(s);
    run(s, migrator(s, &move, -1, false));
    process *p = migrator(s, &back, -1, false);
    run(s, p);
    assert_int_equal(p->error.code, MF_OK);
    assert_true(p->statistics.rolling_back);
    assert_int_equal(p->statistics.moved, TASKS);
    assert_int_equal(mark_of(s, 0), MF_MARK_NONE);
    assert_int_equal(mark_of(s, 1), MF_MARK_MOVED);
    judge(s, 0);
}

/* Kills a migrator at its request `n`; false: it had ended before. Then another one goes on. */
static bool kill_at(stage *s, long n, bool carried_out, mf_migration_mode then)
{
    mf_migration_options move = options_of(MF_MIGRATE_MOVE), next = options_of(then);

    put_tasks(s);
    process *first = migrator(s, &move, n, carried_out);
    run(s, first);
    if (!first->life.dead)
        return false;
    process *second = migrator(s, &next, -1, false);
    run(s, second);
    if (second->error.code == MF_EGONE) { /* it had not begun, or had nothing left to do */
        if (mark_of(s, 0) != MF_MARK_MOVED) {
            assert_int_equal(mark_of(s, 0), MF_MARK_NONE);
            run(s, migrator(s, &move, -1, false));
        }
        then = MF_MIGRATE_MOVE;
    } else if (second->error.code != MF_OK) {
        fail_msg("killed at %ld: %s", n, second->error.text);
    }
    assert_int_equal(holds_left(s, 0) + holds_left(s, 1), 0);
    judge(s, then == MF_MIGRATE_ROLL_BACK ? 0 : 1);
    return true;
}

static long kill_everywhere(void **state, bool carried_out, mf_migration_mode then)
{
    bool died = true;
    long n = 0;

    for (; died; n++) {
        died = kill_at(*state, n, carried_out, then);
        teardown(state);
        setup(state);
    }
    return n;
}

/* Killed before or after any of its requests, and resumed: everything has moved. */
static void killed_and_resumed(void **state)
{
    assert_true(kill_everywhere(state, false, MF_MIGRATE_RESUME) > 20);
    assert_true(kill_everywhere(state, true, MF_MIGRATE_RESUME) > 20);
}

/* Killed at any of its requests, and rolled back: everything is where it was. */
static void killed_and_rolled_back(void **state)
{
    assert_true(kill_everywhere(state, false, MF_MIGRATE_ROLL_BACK) > 20);
    assert_true(kill_everywhere(state, true, MF_MIGRATE_ROLL_BACK) > 20);
}

/* One whose process stood still while another finished its work changes nothing when it goes on. */
static void migrator_that_stood_still(void **state)
{
    mf_migration_options move = options_of(MF_MIGRATE_MOVE), next = options_of(MF_MIGRATE_RESUME);
    bool stood = true;

    for (long n = 2; stood; n++) {
        stage *s = *state;
        put_tasks(s);
        process *first = migrator(s, &move, n, n % 2 == 0);
        run(s, first);
        stood = first->life.dead;
        process *second = migrator(s, &next, -1, false);
        run(s, second);
        if (stood && second->error.code == MF_OK) {
            first->life.dead = false;
            first->life.left = -1;
            virtual_loop_pause(first->loop, false);
            run(s, first);
            assert_int_equal(holds_left(s, 0) + holds_left(s, 1), 0);
            judge(s, 1);
        }
        teardown(state);
        setup(state);
    }
}

/* A second migrator is kept out while the first is at work. */
static void second_migrator_is_refused(void **state)
{
    stage *s = *state;
    mf_migration_options move = options_of(MF_MIGRATE_MOVE), next = options_of(MF_MIGRATE_RESUME);

    put_tasks(s);
    move.rate = 0.02; /* a task in 50 seconds */
    process *first = migrator(s, &move, -1, false);
    virtual_world_run_for(s->world, 1000000);
    process *second = migrator(s, &next, -1, false);
    run(s, second);
    assert_int_equal(second->error.code, MF_ENAMEINUSE);
    assert_false(first->ended);
}

/* A stopped one ends between tasks; what has moved has, the rest is where it was. */
static void stopped_and_resumed(void **state)
{
    stage *s = *state;
    mf_migration_options move = options_of(MF_MIGRATE_MOVE), next = options_of(MF_MIGRATE_RESUME);

    put_tasks(s);
    move.rate = 1;
    process *first = migrator(s, &move, -1, false);
    virtual_world_run_for(s->world, 2500000);
    mf_migration_stop(first->migration);
    run(s, first);
    assert_int_equal(first->error.code, MF_ECLOSED);
    assert_in_range(first->statistics.moved, 1, TASKS - 1);
    assert_int_equal(holds_left(s, 0) + holds_left(s, 1), 0);
    assert_int_equal(mark_of(s, 0), MF_MARK_MOVING);
    process *again = migrator(s, &move, -1, false);
    run(s, again);
    assert_int_equal(again->error.code, MF_EEXISTS);
    process *second = migrator(s, &next, -1, false);
    run(s, second);
    assert_int_equal(second->error.code, MF_OK);
    judge(s, 1);
}

/* Only ids that match; the namespace is not marked as moved. */
static void only_some(void **state)
{
    stage *s = *state;
    mf_migration_options move = options_of(MF_MIGRATE_MOVE);

    put_tasks(s);
    move.only = "*l*n";
    process *p = migrator(s, &move, -1, false);
    run(s, p);
    assert_int_equal(p->error.code, MF_OK);
    assert_int_equal(p->statistics.moved, 1);
    assert_int_equal(look(s, 1, &ids[0]).code, MF_OK);
    assert_int_equal(look(s, 0, &ids[1]).code, MF_OK);
    assert_int_equal(mark_of(s, 0), MF_MARK_NONE);
}

/* Options that cannot be are refused by name. */
static void bad_options(void **state)
{
    stage *s = *state;
    mf_migration_options options = MF_MIGRATION_OPTIONS_INIT;
    mf_migration *migration;
    mf_error error;

    assert_int_equal(mf_migration_open(&migration, &options, &error), MF_EINVAL);
    assert_string_equal(error.text, "from: missing");
    options.from = s->eyes[0];
    options.to = s->eyes[0];
    assert_int_equal(mf_migration_open(&migration, &options, &error), MF_EINVAL);
    assert_string_equal(error.text, "to: the same handle as from");
    options.to = s->eyes[1];
    assert_int_equal(mf_migration_open(&migration, &options, &error), MF_EINVAL);
    assert_string_equal(error.text, "from_url: missing");
    options.from_url = options.to_url = "embedded://x";
    options.batch = 100000;
    assert_int_equal(mf_migration_open(&migration, &options, &error), MF_EINVAL);
    assert_non_null(strstr(error.text, "batch: "));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest all[] = {
        TEST(waiting_tasks_move),
        TEST(forth_and_rolled_back),
        TEST(killed_and_resumed),
        TEST(killed_and_rolled_back),
        TEST(migrator_that_stood_still),
        TEST(second_migrator_is_refused),
        TEST(stopped_and_resumed),
        TEST(only_some),
        TEST(bad_options),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
