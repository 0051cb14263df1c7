/* The in-memory store by itself: size, cost, threads, and what needs a clock that can be moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>

#include "embedded/embedded.h"
#include "embedded/space.h"
#include "virtual_loop.h"

static int set_up(void **state)
{
    mf_space *space = calloc(1, sizeof *space);
    mf__space_init(space, 0);
    *state = space;
    return 0;
}

static int tear_down(void **state)
{
    mf__space_clear(*state);
    free(*state);
    return 0;
}

static void submit_numbers(mf_space *space, size_t first, size_t count)
{
    enum { BATCH = 1000 };
    static mf_item items[BATCH];
    static char ids[BATCH][24];
    char token[24];

    for (size_t at = 0; at < count; at += BATCH) {
        for (size_t i = 0; i < BATCH; i++) {
            snprintf(ids[i], sizeof ids[i], "task-%015zu", first + at + i);
            items[i] = (mf_item){.id = ids[i]};
        }
        snprintf(token, sizeof token, "%zu", first + at);
        mf_items_request request = {.token = token, .items = items, .count = BATCH};
        assert_int_equal(mf__space_submit(space, &request, (int64_t)at), MF_OK);
        for (int kind = 0; kind < MF_NEWS_KINDS; kind++)
            space->news[kind].length = space->news[kind].count = 0;
    }
}

/* A million tasks with ids of 20 bytes take less than 250 bytes each. */
static void a_million_tasks_are_small(void **state)
{
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    submit_numbers(*state, 0, 1000000);
    size_t bytes = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    print_message("%zu bytes a task\n", bytes / 1000000);
    assert_true(bytes < 250u * 1000000);
}

static size_t next_page(mf_space *space, mf_page_request *page)
{
    page->limit = 1000;
    assert_int_equal(mf__space_list_claimable(space, page), MF_OK);
    mf__answer_free(&page->request);
    return page->count;
}

static void claim_numbers(mf_space *space, const mf_session *session, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        char id[24];
        snprintf(id, sizeof id, "task-%015zu", i);
        mf_claim claim = {.id = id}, *pointer = &claim;
        mf_claims_request request = {
            .session = (mf_session *)session, .claims = &pointer, .count = 1};
        assert_int_equal(mf__space_claim(space, &request, 1), MF_OK);
        assert_int_equal(claim.result, MF_OK);
    }
}

/* A listing shows what was claimable when it began and still is, in order, although the tasks that
 * it has shown are claimed from page to page and others come behind. */
static void listing_goes_on_while_tasks_are_claimed(void **state)
{
    mf_session session = {.node = "a", .token = "a", .epoch = 1, .lease_ms = 1000000};
    mf_join_request join = {.session = &session};
    mf_page_request page = {0};
    size_t seen = 0;

    assert_int_equal(mf__space_join(*state, &join, 1), MF_OK);
    submit_numbers(*state, 0, 20000);
    do {
        size_t count = next_page(*state, &page);
        claim_numbers(*state, &session, seen, count);
        seen += count;
        submit_numbers(*state, 100000 + seen, 1000);
    } while (page.cursor[0] != 0);
    assert_int_equal(seen, 20000);
}

static void send_one(mf_space *space, int64_t now_us)
{
    mf_send_request send = {.node = "a", .json = "{}", .length = 2};
    assert_int_equal(mf__space_send(space, &send, now_us), MF_OK);
}

static size_t receive_all(mf_space *space, mf_session *session, int64_t now_us)
{
    mf_receive_request receive = {.session = session, .limit = 10};
    assert_int_equal(mf__space_receive(space, &receive, now_us), MF_OK);
    mf__answer_free(&receive.request);
    return receive.count;
}

/* Commands that nobody read expire after ten minutes, one by one; later ones stay. */
static void unread_commands_expire(void **state)
{
    mf_session session = {.node = "a", .token = "a", .epoch = 1, .lease_ms = 10000000};
    mf_join_request join = {.session = &session};
    const int64_t ttl_us = MF_COMMAND_TTL_MS * INT64_C(1000);

    assert_int_equal(mf__space_join(*state, &join, 0), MF_OK);
    send_one(*state, 0);
    send_one(*state, 1000);
    assert_int_equal(receive_all(*state, &session, ttl_us - 1), 2);
    assert_int_equal(receive_all(*state, &session, ttl_us), 1);
    assert_int_equal(receive_all(*state, &session, ttl_us + 1000), 0);
}

static void join_at(mf_space *space, mf_session *session, int64_t now_us)
{
    mf_join_request join = {.session = session};

    session->epoch++;
    mf__space_reap(space, now_us);
    assert_int_equal(mf__space_join(space, &join, now_us), MF_OK);
}

static int claim_at(mf_space *space, mf_session *session, const char *id, int64_t now_us)
{
    mf_claim claim = {.id = id}, *pointer = &claim;
    mf_claims_request request = {.session = session, .claims = &pointer, .count = 1};

    mf__space_reap(space, now_us);
    assert_int_equal(mf__space_claim(space, &request, now_us), MF_OK);
    free(claim.properties);
    return claim.result;
}

/* A session that comes back after its lapse has not died: its task is charged, as often as set it
 * aside, and pardoned. Another's death counts all the same. */
static void one_that_comes_back_has_not_crashed(void **state)
{
    mf_space *space = *state;
    mf_session a = {.node = "a", .token = "a", .lease_ms = 1};
    mf_session b = {.node = "b", .token = "b", .lease_ms = 1};
    mf_session live = {.node = "live", .token = "live", .lease_ms = 100000000};
    const char *id = "task-000000000000000";

    space->max_crashes = 2;
    submit_numbers(space, 0, 1000);
    join_at(space, &live, 0);
    join_at(space, &a, 0);
    assert_int_equal(claim_at(space, &a, id, 0), MF_OK);
    join_at(space, &b, 2000);
    assert_int_equal(mf__space_find(space, id)->crashes, 1);
    assert_int_equal(claim_at(space, &b, id, 2000), MF_OK);
    mf__space_reap(space, 4000);
    assert_true(mf__space_find(space, id)->set_aside);
    join_at(space, &a, 5000);
    assert_int_equal(mf__space_find(space, id)->crashes, 1);
    assert_int_equal(claim_at(space, &a, id, 5000), MF_OK);
    mf__space_reap(space, 7000);
    assert_true(mf__space_find(space, id)->set_aside);
}

/* When all sessions lapse at once, nobody could renew: that is no crash. */
static void an_outage_is_no_crash(void **state)
{
    mf_space *space = *state;
    mf_session a = {.node = "a", .token = "a", .lease_ms = 1};
    mf_session b = {.node = "b", .token = "b", .lease_ms = 2};
    const char *id = "task-000000000000000";

    space->max_crashes = 2;
    submit_numbers(space, 0, 1000);
    join_at(space, &a, 0);
    join_at(space, &b, 0);
    assert_int_equal(claim_at(space, &a, id, 0), MF_OK);
    mf__space_reap(space, 5000);
    assert_int_equal(mf__space_find(space, id)->crashes, 0);
    join_at(space, &a, 5000);
    assert_int_equal(claim_at(space, &a, id, 5000), MF_OK);
    mf__space_reap(space, 7000);
    assert_int_equal(mf__space_find(space, id)->crashes, 1);
}

/* A submit's results are remembered for a minute, and not for ever. */
static void submits_are_forgotten(void **state)
{
    mf_space *space = *state;
    mf_item item = {.id = "t"};
    mf_items_request request = {.token = "x", .items = &item, .count = 1};

    assert_int_equal(mf__space_submit(space, &request, 0), MF_OK);
    assert_int_equal(mf__space_submit(space, &request, MF_REMEMBER_US - 1), MF_OK);
    assert_int_equal(item.result, MF_OK);
    assert_int_equal(mf__space_submit(space, &request, MF_REMEMBER_US), MF_OK);
    assert_int_equal(item.result, MF_EEXISTS);
    assert_int_equal(HASH_COUNT(space->remembered), 1);
}

/* A join that is delayed until its session has left does not bring it back. */
static void late_join_does_not_resurrect(void **state)
{
    mf_session session = {.node = "a", .token = "a", .epoch = 2, .lease_ms = 1000};
    mf_join_request join = {.session = &session};
    mf_session_request leave = {.session = &session};

    assert_int_equal(mf__space_join(*state, &join, 0), MF_OK);
    assert_int_equal(mf__space_leave(*state, &leave, 1), MF_OK);
    assert_int_equal(mf__space_join(*state, &join, 2), MF_ESTALE);
    session.epoch = 1;
    assert_int_equal(mf__space_join(*state, &join, 3), MF_ESTALE);
}

/* Sessions that are over are forgotten, once a minute has passed and their claims have lapsed. */
static void sessions_are_forgotten(void **state)
{
    mf_space *space = *state;
    char token[33];
    mf_session session = {.node = token, .epoch = 1, .lease_ms = 1000};
    mf_join_request join = {.session = &session};

    for (int i = 0; i < 100; i++) {
        snprintf(session.token, sizeof session.token, "%d", i);
        strcpy(token, session.token);
        assert_int_equal(mf__space_join(space, &join, 0), MF_OK);
    }
    mf__space_reap(space, 1000000);
    assert_int_equal(HASH_CNT(by_node, space->nodes), 0);
    strcpy(session.token, "last");
    assert_int_equal(mf__space_join(space, &join, MF_REMEMBER_US), MF_OK);
    mf__space_reap(space, MF_REMEMBER_US + 1000000);
    assert_int_equal(HASH_COUNT(space->sessions), 1);
}

/* Handles in several threads. */

enum { THREADS = 4, RACED = 2000, RACE_BATCH = 20 };

typedef struct racer {
    pthread_t thread;
    mf_loop *loop;
    mf_broker *broker;
    mf_session session;
    mf_watcher watcher;
    mf_join_request join;
    mf_claims_request request;
    mf_claim claims[RACE_BATCH], *pointers[RACE_BATCH];
    char ids[RACE_BATCH][16];
    char node[16];
    size_t at, granted, heard;
    uint64_t fences[RACED];
} racer;

static void ignore_link(mf_watcher *watcher, bool up, const mf_error *why)
{
    (void)watcher;
    (void)up;
    (void)why;
}

static void ignore(mf_watcher *watcher)
{
    (void)watcher;
}

static void count_ids(mf_watcher *watcher, const char *const *ids, size_t count)
{
    (void)ids;
    racer *me = (racer *)(void *)((char *)watcher - offsetof(racer, watcher));
    me->heard += count;
}

static void on_closed(void *arg)
{
    mf_loop_stop(arg);
}

static void claim_next(racer *me)
{
    for (size_t i = 0; i < RACE_BATCH; i++) {
        snprintf(me->ids[i], sizeof me->ids[i], "%zu", me->at + i);
        me->claims[i] = (mf_claim){.id = me->ids[i]};
        me->pointers[i] = &me->claims[i];
    }
    me->broker->operations->claim(me->broker, &me->request);
}

static void on_claimed(mf_request *request)
{
    racer *me = request->arg;
    for (size_t i = 0; i < RACE_BATCH; i++)
        if (me->claims[i].result == MF_OK) {
            me->fences[me->at + i] = me->claims[i].fence;
            me->granted++;
        }
    me->at += RACE_BATCH;
    if (me->at < RACED) {
        claim_next(me);
        return;
    }
    me->broker->operations->unwatch(me->broker, &me->watcher);
    mf_broker_close(me->broker, on_closed, me->loop);
}

static void on_joined(mf_request *request)
{
    claim_next(request->arg);
}

static void *race(void *arg)
{
    racer *me = arg;
    me->broker->operations->watch(me->broker, &me->watcher);
    me->broker->operations->join(me->broker, &me->join);
    mf_loop_run(me->loop);
    return NULL;
}

static void init_racer(racer *me, size_t number)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    options.name_space = "race";
    snprintf(me->node, sizeof me->node, "node-%zu", number);
    me->session = (mf_session){.node = me->node, .epoch = 1, .lease_ms = 60000, .weight = 1};
    strcpy(me->session.token, me->node);
    me->watcher = (mf_watcher){.link = ignore_link,
                               .resync = ignore,
                               .claimable = count_ids,
                               .taken = count_ids,
                               .removed = count_ids,
                               .command = ignore};
    me->join =
        (mf_join_request){.request = {.done = on_joined, .arg = me}, .session = &me->session};
    me->request = (mf_claims_request){.request = {.done = on_claimed, .arg = me},
                                      .session = &me->session,
                                      .claims = me->pointers,
                                      .count = RACE_BATCH};
    assert_int_equal(mf_loop_new(&me->loop, NULL), MF_OK);
    assert_int_equal(
        mf_embedded_driver.open(&me->broker, "embedded://race", &options, me->loop, NULL), MF_OK);
}

static void ignore_answer(mf_request *request)
{
    (void)request;
}

static void submit_raced(mf_broker *broker)
{
    static mf_item items[RACED];
    static char ids[RACED][16];
    static mf_items_request requests[2];
    for (size_t i = 0; i < RACED; i++) {
        snprintf(ids[i], sizeof ids[i], "%zu", i);
        items[i] = (mf_item){.id = ids[i]};
    }
    for (size_t i = 0; i < 2; i++) {
        requests[i] = (mf_items_request){.request = {.done = ignore_answer},
                                         .token = ids[i],
                                         .items = items + i * RACED / 2,
                                         .count = RACED / 2};
        broker->operations->submit(broker, &requests[i]);
    }
}

/* Four threads with a loop and a handle each claim the same 2,000 tasks: each task is granted once,
 * and handles close while hints from other threads are on their way to them. */
static void threads_race_on_one_store(void **state)
{
    racer *racers = calloc(THREADS, sizeof *racers);
    size_t granted = 0;

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        init_racer(&racers[i], i);
    submit_raced(racers[0].broker);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(racers[i].thread, NULL);
        granted += racers[i].granted;
        mf_loop_free(racers[i].loop);
    }
    for (size_t task = 0; task < RACED; task++) {
        size_t owners = 0;
        for (size_t i = 0; i < THREADS; i++)
            owners += racers[i].fences[task] != 0;
        assert_int_equal(owners, 1);
    }
    assert_int_equal(granted, RACED);
    free(racers);
}

/* Two handles on one store in virtual time, each on a loop of its own. */

typedef struct pair {
    virtual_world *world;
    mf__embedded_store *store;
    mf_loop *loops[2];
    mf_broker *brokers[2];
    mf_watcher watcher; /* on the second */
    size_t offered, resyncs;
} pair;

static pair *pair_of(mf_watcher *watcher)
{
    return (pair *)(void *)((char *)watcher - offsetof(pair, watcher));
}

static void count_resync(mf_watcher *watcher)
{
    pair_of(watcher)->resyncs++;
}

static void count_offered(mf_watcher *watcher, const char *const *ids, size_t count)
{
    (void)ids;
    pair_of(watcher)->offered += count;
}

static void ignore_ids(mf_watcher *watcher, const char *const *ids, size_t count)
{
    (void)watcher;
    (void)ids;
    (void)count;
}

static int64_t world_clock(void *arg)
{
    return virtual_world_now_us(arg);
}

static int set_up_pair(void **state)
{
    pair *p = *state = calloc(1, sizeof *p);
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;

    options.name_space = "pair";
    p->world = virtual_world_new(1);
    p->store = mf__embedded_store_new(world_clock, p->world);
    for (int i = 0; i < 2; i++) {
        p->loops[i] = virtual_loop_new(p->world, 1);
        assert_int_equal(mf__embedded_open(&p->brokers[i], p->store, &options, p->loops[i], NULL),
                         MF_OK);
    }
    p->watcher = (mf_watcher){.link = ignore_link,
                              .resync = count_resync,
                              .claimable = count_offered,
                              .taken = ignore_ids,
                              .removed = ignore_ids,
                              .command = ignore};
    p->brokers[1]->operations->watch(p->brokers[1], &p->watcher);
    virtual_world_run_for(p->world, 1000);
    assert_int_equal(p->resyncs, 1);
    return 0;
}

static int tear_down_pair(void **state)
{
    pair *p = *state;

    virtual_loop_pause(p->loops[0], false);
    virtual_loop_pause(p->loops[1], false);
    p->brokers[1]->operations->unwatch(p->brokers[1], &p->watcher);
    for (int i = 0; i < 2; i++)
        mf_broker_close(p->brokers[i], NULL, NULL);
    virtual_world_run_for(p->world, 1000);
    for (int i = 0; i < 2; i++)
        mf_loop_free(p->loops[i]);
    mf__embedded_store_release(p->store);
    virtual_world_free(p->world);
    free(p);
    return 0;
}

static void submit_by_first(pair *p, const char *id)
{
    mf_item item = {.id = id};
    mf_items_request request = {
        .request = {.done = ignore_answer}, .token = id, .items = &item, .count = 1};
    p->brokers[0]->operations->submit(p->brokers[0], &request);
    virtual_world_run_for(p->world, 1000);
    assert_int_equal(item.result, MF_OK);
}

/* A claim of a handle whose loop is held up lapses in time for the watchers of the others, however
 * idle their handles were when it was made. */
static void lapse_is_told_while_its_handle_is_held_up(void **state)
{
    pair *p = *state;
    mf_session session = {.node = "a", .token = "a", .epoch = 1, .lease_ms = 2000};
    mf_join_request join = {.request = {.done = ignore_answer}, .session = &session};
    mf_claim claim = {.id = "t"}, *pointer = &claim;
    mf_claims_request request = {
        .request = {.done = ignore_answer}, .session = &session, .claims = &pointer, .count = 1};

    submit_by_first(p, "t");
    p->brokers[0]->operations->join(p->brokers[0], &join);
    p->brokers[0]->operations->claim(p->brokers[0], &request);
    virtual_world_run_for(p->world, 1000);
    assert_int_equal(claim.result, MF_OK);
    virtual_loop_pause(p->loops[0], true);
    p->offered = 0;
    virtual_world_run_for(p->world, 1990000);
    assert_int_equal(p->offered, 0);
    virtual_world_run_for(p->world, 20000);
    assert_int_equal(p->offered, 1);
}

/* A handle that is held up while others change much is told to read again, instead of remembering
 * every change. */
static void too_many_hints_become_a_resync(void **state)
{
    enum { REQUESTS = 400, EACH = 1000 };
    static mf_item items[REQUESTS][EACH];
    static char ids[REQUESTS][EACH][12];
    static mf_items_request requests[REQUESTS];
    pair *p = *state;

    virtual_loop_pause(p->loops[1], true);
    for (size_t r = 0; r < REQUESTS; r++) {
        for (size_t i = 0; i < EACH; i++) {
            snprintf(ids[r][i], sizeof ids[r][i], "%zu", r * EACH + i);
            items[r][i] = (mf_item){.id = ids[r][i]};
        }
        requests[r] = (mf_items_request){.request = {.done = ignore_answer},
                                         .token = ids[r][0],
                                         .items = items[r],
                                         .count = EACH};
        p->brokers[0]->operations->submit(p->brokers[0], &requests[r]);
    }
    virtual_world_run_for(p->world, 1000);
    virtual_loop_pause(p->loops[1], false);
    virtual_world_run_for(p->world, 1000);
    assert_int_equal(p->resyncs, 2);
    assert_true(p->offered < REQUESTS * EACH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_million_tasks_are_small, set_up, tear_down),
        cmocka_unit_test_setup_teardown(listing_goes_on_while_tasks_are_claimed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unread_commands_expire, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_comes_back_has_not_crashed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_outage_is_no_crash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(submits_are_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(late_join_does_not_resurrect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sessions_are_forgotten, set_up, tear_down),
        cmocka_unit_test(threads_race_on_one_store),
        cmocka_unit_test_setup_teardown(lapse_is_told_while_its_handle_is_held_up, set_up_pair,
                                        tear_down_pair),
        cmocka_unit_test_setup_teardown(too_many_hints_become_a_resync, set_up_pair,
                                        tear_down_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
