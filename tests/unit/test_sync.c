/* The synchronous client: from many threads, with deadlines, and where it must not wait. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/metafora.h>

#include "embedded_link.h"

enum { THREADS = 8, EACH = 300, ALL = THREADS * EACH };

static const mf_driver *const drivers[] = {&embedded_link_driver, NULL};

static mf_sync_options usual(void)
{
    mf_sync_options options = MF_SYNC_OPTIONS_INIT;

    options.broker = "troubled://sync";
    options.broker_options.name_space = "sync";
    options.drivers = drivers;
    return options;
}

static int setup(void **state)
{
    mf_sync_options options = usual();
    mf_sync *sync;

    embedded_link_set(EMBEDDED_PASS);
    assert_int_equal(mf_sync_open(&sync, &options, NULL), MF_OK);
    *state = sync;
    return 0;
}

static int teardown(void **state)
{
    embedded_link_set(EMBEDDED_PASS);
    assert_int_equal(mf_sync_close(*state), MF_OK);
    return 0;
}

/* What listings show, and on which thread. */
typedef struct listing {
    pthread_t caller;
    size_t seen[ALL];
    size_t count, pages, lasts;
} listing;

static void on_tasks(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    listing *l = arg;

    assert_null(error);
    assert_true(pthread_equal(pthread_self(), l->caller));
    for (size_t i = 0; i < count; i++)
        l->seen[atoi(tasks[i].id)]++;
    l->count += count;
    l->pages++;
    l->lasts += last;
}

static listing *list(mf_sync *sync)
{
    listing *l = calloc(1, sizeof *l);

    l->caller = pthread_self();
    assert_int_equal(mf_sync_tasks(sync, on_tasks, l, 0, NULL), MF_OK);
    assert_int_equal(l->lasts, 1);
    return l;
}

typedef struct submitter {
    mf_sync *sync;
    int first;
    pthread_t thread;
} submitter;

static void *submit_and_list(void *arg)
{
    submitter *me = arg;
    char ids[EACH][12];
    mf_task_spec tasks[EACH] = {0};
    mf_item_result results[EACH];

    for (int i = 0; i < EACH; i++) {
        snprintf(ids[i], sizeof ids[i], "%d", me->first + i);
        tasks[i].id = ids[i];
    }
    for (int round = 0; round < 2; round++) {
        mf_error error = {0};
        assert_int_equal(mf_sync_submit(me->sync, tasks, EACH, results, 0, &error), MF_OK);
        for (int i = 0; i < EACH; i++) {
            assert_ptr_equal(results[i].id, ids[i]);
            assert_int_equal(results[i].code, round == 0 ? MF_OK : MF_EEXISTS);
        }
    }
    listing *l = list(me->sync);
    for (int i = 0; i < EACH; i++)
        assert_int_equal(l->seen[me->first + i], 1);
    free(l);
    return NULL;
}

/* Threads that all call at once get their own results, and pages on their own stacks. */
static void test_threads(void **state)
{
    submitter all[THREADS];

    for (int i = 0; i < THREADS; i++) {
        all[i] = (submitter){.sync = *state, .first = i * EACH};
        assert_int_equal(pthread_create(&all[i].thread, NULL, submit_and_list, &all[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(all[i].thread, NULL);
    listing *l = list(*state);
    assert_int_equal(l->count, ALL);
    assert_true(l->pages > 1);
    free(l);
}

static void on_nodes(const mf_error *error, const mf_node *nodes, size_t count, void *arg)
{
    (void)nodes;
    assert_null(error);
    *(size_t *)arg = count + 1;
}

static void on_placement(const mf_error *error, const mf_placement *placement, void *arg)
{
    assert_null(error);
    *(int *)arg = placement->code;
}

static void on_states(const mf_error *error, const mf_state_record *states, size_t count, bool last,
                      void *arg)
{
    assert_null(error);
    (void)last;
    for (size_t i = 0; i < count; i++)
        *(int *)arg += states[i].code == MF_EGONE ? 1 : 100;
}

static void on_lookup(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                      void *arg)
{
    int *codes = arg;

    assert_null(error);
    assert_true(last);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++)
        codes[i] = tasks[i].code;
}

/* Each call is the client's of the same name. */
static void test_calls(void **state)
{
    static const char *const ids[] = {"here", "not here"};
    const mf_task_spec spec = {.id = "here"};
    const mf_message message = mf_message_of(MF_MESSAGE_PAUSE);
    const mf_command command = {.verb = MF_COMMAND_FREEZE};
    mf_item_result results[2];
    int codes[2], code = 1, states = 0;
    size_t nodes = 0;

    assert_int_equal(mf_sync_submit(*state, &spec, 1, NULL, 0, NULL), MF_OK);
    assert_int_equal(mf_sync_lookup(*state, ids, 2, on_lookup, codes, 0, NULL), MF_OK);
    assert_int_equal(codes[0], MF_OK);
    assert_int_equal(codes[1], MF_EGONE);
    assert_int_equal(mf_sync_tell(*state, ids, 2, &message, results, 0, NULL), MF_OK);
    assert_int_equal(results[0].code, MF_OK);
    assert_int_equal(results[1].code, MF_EGONE);
    assert_int_equal(mf_sync_nodes(*state, on_nodes, &nodes, 0, NULL), MF_OK);
    assert_int_equal(nodes, 1);
    assert_int_equal(mf_sync_explain(*state, "not here", 0, on_placement, &code, 0, NULL), MF_OK);
    assert_int_equal(code, MF_EGONE);
    assert_int_equal(mf_sync_lookup_states(*state, ids, 2, on_states, &states, 0, NULL), MF_OK);
    assert_int_equal(states, 2);
    assert_int_equal(mf_sync_states(*state, 0, on_states, &states, 0, NULL), MF_OK);
    assert_int_equal(states, 2);
    assert_int_equal(mf_sync_command(*state, "node", &command, 0, NULL), MF_OK);
    assert_int_equal(mf_sync_revive(*state, &spec, 1, results, 0, NULL), MF_OK);
    assert_int_equal(results[0].code, MF_OK);
    assert_int_equal(mf_sync_remove(*state, ids, 2, results, 0, NULL), MF_OK);
    assert_int_equal(results[0].code, MF_OK);
    assert_int_equal(results[1].code, MF_EGONE);
    assert_int_equal(mf_sync_erase(*state, ids, 2, results, 0, NULL), MF_OK);
    assert_int_equal(results[0].code, MF_EGONE);
}

/* What was asked and is not answered in time may be executed; the object can be used afterwards. */
static void test_deadline(void **state)
{
    const mf_task_spec spec = {.id = "slow"};
    mf_item_result result;
    mf_error error;

    assert_int_equal(mf_sync_submit(*state, &spec, 1, NULL, 0, NULL), MF_OK);
    embedded_link_set(EMBEDDED_SILENT);
    assert_int_equal(mf_sync_submit(*state, &spec, 1, &result, 50, &error), MF_EUNKNOWN);
    assert_string_equal(error.text, "sync: its time is over, before the answer came");
    assert_ptr_equal(result.id, spec.id);
    assert_int_equal(result.code, MF_EUNKNOWN);
    embedded_link_set(EMBEDDED_PASS);
    assert_int_equal(mf_sync_remove(*state, &spec.id, 1, &result, -1, &error), MF_OK);
    assert_int_equal(result.code, MF_OK);
}

typedef struct waiting {
    mf_sync *sync;
    pthread_t thread;
    int timeout_ms;
    int code;
    mf_error error;
} waiting;

static void *remove_something(void *arg)
{
    static const char *const id = "something";
    waiting *w = arg;

    w->code = mf_sync_remove(w->sync, &id, 1, NULL, w->timeout_ms, &w->error);
    return NULL;
}

static void on_page_with_another(const mf_error *error, const mf_task_record *tasks, size_t count,
                                 bool last, void *arg)
{
    waiting *w = arg;
    mf_error inside;

    (void)error;
    (void)tasks;
    (void)count;
    (void)last;
    pthread_create(&w->thread, NULL, remove_something, w);
    pthread_join(w->thread, NULL);
    assert_int_equal(mf_sync_tasks(w->sync, on_page_with_another, w, 0, &inside), MF_EINVAL);
    assert_string_equal(inside.text,
                        "sync: cannot wait in a callback, nor on a thread that runs a loop");
    assert_int_equal(mf_sync_close(w->sync), MF_EINVAL);
}

/* While a callback holds the object up nothing is asked, which can be said; the callback itself
 * cannot wait for it. */
static void test_held_up(void **state)
{
    waiting w = {.sync = *state, .timeout_ms = 50};

    assert_int_equal(mf_sync_tasks(*state, on_page_with_another, &w, 0, NULL), MF_OK);
    assert_int_equal(w.code, MF_EUNREACHABLE);
    assert_string_equal(w.error.text, "sync: its time is over, and nothing was asked yet");
}

static void cancel_from_page(const mf_error *error, const mf_task_record *tasks, size_t count,
                             bool last, void *arg)
{
    (void)error;
    (void)tasks;
    (void)count;
    assert_false(last);
    mf_sync_cancel(arg);
}

static void submit_all(mf_sync *sync)
{
    static char ids[ALL][12];
    static mf_task_spec tasks[ALL];

    for (int i = 0; i < ALL; i++) {
        snprintf(ids[i], sizeof ids[i], "%d", i);
        tasks[i].id = ids[i];
    }
    assert_int_equal(mf_sync_submit(sync, tasks, ALL, NULL, 0, NULL), MF_OK);
}

/* Cancelled in the middle of a listing: no further page is shown, later calls are not touched. */
static void test_cancel(void **state)
{
    mf_error error;

    submit_all(*state);
    assert_int_equal(mf_sync_tasks(*state, cancel_from_page, *state, 0, &error), MF_EUNKNOWN);
    assert_string_equal(error.text, "sync: cancelled, before the answer came");
    listing *l = list(*state);
    assert_int_equal(l->count, ALL);
    free(l);
}

typedef struct endless {
    mf_sync *sync;
    sem_t shown;
    int code;
} endless;

static void fall_silent(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                        void *arg)
{
    endless *e = arg;

    (void)error;
    (void)tasks;
    (void)count;
    assert_false(last);
    embedded_link_set(EMBEDDED_SILENT);
    sem_post(&e->shown);
}

static void *list_without_end(void *arg)
{
    endless *e = arg;

    e->code = mf_sync_tasks(e->sync, fall_silent, e, -1, NULL);
    return NULL;
}

/* A close ends the calls that wait. */
static void test_close(void **state)
{
    endless e = {0};
    pthread_t thread;

    setup((void **)&e.sync);
    (void)state;
    submit_all(e.sync);
    sem_init(&e.shown, 0, 0);
    pthread_create(&thread, NULL, list_without_end, &e);
    sem_wait(&e.shown);
    assert_int_equal(mf_sync_close(e.sync), MF_OK);
    pthread_join(thread, NULL);
    assert_int_equal(e.code, MF_EUNKNOWN);
    sem_destroy(&e.shown);
    assert_int_equal(mf_sync_close(NULL), MF_OK);
}

typedef struct handler_try {
    mf_sync *sync;
    mf_loop *loop;
    int code;
} handler_try;

static void call_from_loop(void *arg)
{
    handler_try *t = arg;

    t->code = mf_sync_remove(t->sync, &(const char *){"any"}, 1, NULL, 0, NULL);
    mf_loop_stop(t->loop);
}

/* A thread that runs a loop, as evented handlers' does, is not held up. */
static void test_on_a_loop(void **state)
{
    handler_try t = {.sync = *state};

    assert_int_equal(mf_loop_new(&t.loop, NULL), MF_OK);
    assert_int_equal(mf_loop_post(t.loop, call_from_loop, &t), MF_OK);
    mf_loop_run(t.loop);
    assert_int_equal(t.code, MF_EINVAL);
    mf_loop_free(t.loop);
    assert_int_equal(mf_sync_remove(*state, &(const char *){"any"}, 1, NULL, 0, NULL), MF_OK);
}

/* Bad input names the field and the rule. */
static void test_bad_input(void **state)
{
    mf_sync_options bad[5];
    static const char *const faults[] = {
        "options: version 7 is not known", "timeout_ms: -2 is less than -1", "name_space: missing",
        "url: scheme: this program has no driver for 'redis', only embedded; link that "
        "driver's library instead, or open the broker with several",
        "options: missing"};
    const mf_task_spec specs[] = {{.id = "good"}, {.id = "a/b"}};
    mf_item_result results[2];
    mf_sync *sync = NULL;
    mf_error error;

    for (size_t i = 0; i < 5; i++)
        bad[i] = usual();
    bad[0].version = 7;
    bad[1].timeout_ms = -2;
    bad[2].broker_options.name_space = NULL;
    bad[3].broker = "redis://h";
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(mf_sync_open(&sync, i < 4 ? &bad[i] : NULL, &error), MF_EINVAL);
        assert_string_equal(error.text, faults[i]);
        assert_null(sync);
    }
    assert_int_equal(mf_sync_submit(*state, specs, 2, results, 0, &error), MF_EINVAL);
    assert_non_null(strstr(error.text, "contains '/'"));
    assert_int_equal(results[0].code, MF_EINVAL);
    assert_int_equal(results[1].code, MF_EINVAL);
    assert_string_equal(results[1].id, "a/b");
    assert_int_equal(mf_sync_submit(*state, specs, 1, NULL, -2, &error), MF_EINVAL);
    assert_string_equal(error.text, "timeout_ms: -2 is less than -1");
    assert_int_equal(mf_sync_tasks(*state, NULL, NULL, 0, &error), MF_EINVAL);
    assert_string_equal(error.text, "fn: missing");
    assert_int_equal(mf_sync_nodes(NULL, on_nodes, NULL, 0, &error), MF_EINVAL);
    assert_string_equal(error.text, "sync: missing");
    mf_sync_cancel(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_held_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
        cmocka_unit_test(test_close),
        cmocka_unit_test_setup_teardown(test_on_a_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_input, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
