/* Long properties and states on a real Redis: no answer is much longer than a megabyte, however
 * many are asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/redis.h>

#include "redis_link.h"

enum { TASKS = 64, BYTES = 1 << 20, MOST = 6 * BYTES };

/* So many tasks, "t0", "t1", ..., each with properties and a state of a megabyte. */
static int set_up(void **state)
{
    redis_link *f;

    redis_link_setup(state);
    f = *state;
    redis_link_start(f, NULL, NULL);
    f->session.lease_ms = 600000; /* however long it takes to fill the server */
    redis_link_join(f, f->server->url);
    driver_submit_many(&f->handle, "t", TASKS);
    char *json = malloc(BYTES + 1);
    memset(json, 'x', BYTES);
    memcpy(json, "{\"a\":\"", 6);
    memcpy(json + BYTES - 2, "\"}", 3);
    for (int i = 0; i < TASKS; i++) {
        redis_server_do(f->server, "HSET {t}:tasks t%d %s", i, json);
        redis_server_do(f->server, "HSET {t}:state t%d %s", i, json);
    }
    free(json);
    return 0;
}

/* A claim of many is granted in parts, each of some megabytes; the rest has not been touched. */
static void test_claims(void **state)
{
    redis_link *f = *state;
    static mf_claim claims[TASKS];
    static char ids[TASKS][8];
    mf_claim *asked[TASKS];
    size_t left = TASKS, rounds = 0;

    for (size_t i = 0; i < TASKS; i++) {
        snprintf(ids[i], sizeof ids[i], "t%zu", i);
        claims[i] = (mf_claim){.id = ids[i]};
        asked[i] = &claims[i];
    }
    while (left > 0) {
        size_t bytes = 0, count = left;
        assert_int_equal(driver_claim_list(&f->handle, &f->session, asked, count), MF_OK);
        left = 0;
        for (size_t i = 0; i < count; i++) {
            if (asked[i]->result == MF_EUNREACHABLE) {
                asked[left++] = asked[i];
                continue;
            }
            assert_int_equal(asked[i]->result, MF_OK);
            bytes += strlen(asked[i]->properties);
            free(asked[i]->properties);
        }
        assert_in_range(bytes, 1, MOST);
        assert_int_equal(driver_count_claimable(&f->handle), left);
        rounds++;
    }
    assert_true(rounds >= TASKS * BYTES / MOST);
}

/* Listings: what a page had, and the longest. */
typedef struct listing {
    mf_loop *loop;
    union {
        mf_page_request tasks;
        mf_states_request states;
    } request;
    bool is_states;
    unsigned pages;
    size_t count, longest;
} listing;

static void on_page(mf_request *head)
{
    listing *l = head->arg;
    size_t bytes = 0, count = l->is_states ? l->request.states.count : l->request.tasks.count;

    assert_int_equal(head->error.code, MF_OK);
    for (size_t i = 0; i < count; i++)
        bytes += l->is_states ? l->request.states.documents[i].length
                              : strlen(l->request.tasks.records[i].properties);
    l->count += count;
    l->longest = bytes > l->longest ? bytes : l->longest;
    l->pages++;
    mf_loop_stop(l->loop);
}

static void test_pages(void **state)
{
    redis_link *f = *state;
    listing tasks = {.loop = f->loop,
                     .request.tasks = {.request = {.done = on_page, .arg = &tasks}, .limit = 1000}};
    listing states = {
        .loop = f->loop,
        .request.states = {.request = {.done = on_page, .arg = &states}, .limit = 1000},
        .is_states = true};

    do {
        f->handle.broker->operations->tasks(f->handle.broker, &tasks.request.tasks);
        driver_await(&f->handle, &tasks.pages, tasks.pages + 1);
    } while (tasks.request.tasks.cursor[0] != '\0');
    assert_int_equal(tasks.count, TASKS);
    assert_in_range(tasks.longest, BYTES, 2 * MOST);
    do {
        f->handle.broker->operations->states(f->handle.broker, &states.request.states);
        driver_await(&f->handle, &states.pages, states.pages + 1);
    } while (states.request.states.cursor[0] != '\0');
    assert_int_equal(states.count, TASKS);
    assert_in_range(states.longest, BYTES, 2 * MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_claims, set_up, redis_link_teardown),
        cmocka_unit_test_setup_teardown(test_pages, set_up, redis_link_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
