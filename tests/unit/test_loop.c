/* The loop: deferred calls, timers and I/O take turns; on libevent and in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "loop/loop.h"
#include "virtual_loop.h"

enum { CHAIN_LIMIT = 1000000 };

typedef struct fixture {
    struct event_base *base;
    virtual_world *world;
    mf_loop *loop;
    mf_timer timer;
    mf_deferred first, second;
    char trace[64];
    int calls;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    f->base = event_base_new();
    assert_int_equal(mf_loop_from_event_base(&f->loop, f->base, NULL), MF_OK);
    *state = f;
    return 0;
}

static int setup_virtual(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    f->world = virtual_world_new(1);
    f->loop = virtual_loop_new(f->world, 1.0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    mf_loop_free(f->loop);
    if (f->base != NULL)
        event_base_free(f->base);
    if (f->world != NULL)
        virtual_world_free(f->world);
    free(f);
    return 0;
}

static void note(fixture *f, const char *what)
{
    strncat(f->trace, what, sizeof f->trace - strlen(f->trace) - 1);
}

static void stop(void *arg)
{
    fixture *f = arg;

    note(f, "t");
    mf_deferred_cancel(f->loop, &f->first);
    mf_loop_stop(f->loop);
}

/* Defers itself, without an end of its own but for a bound that makes a failure end. */
static void call_again(void *arg)
{
    fixture *f = arg;

    if (++f->calls < CHAIN_LIMIT)
        mf_defer(f->loop, &f->first);
    else
        mf_loop_stop(f->loop);
}

/* A chain of deferred calls that never ends lets a timer fire when it is due. */
static void a_chain_lets_timers_fire(void **state)
{
    fixture *f = *state;
    int64_t due_us = mf_loop_now_us(f->loop);

    mf_timer_init(&f->timer, stop, f);
    mf_deferred_init(&f->first, call_again, f);
    assert_int_equal(mf_timer_start(f->loop, &f->timer, due_us), MF_OK);
    mf_defer(f->loop, &f->first);
    mf_loop_run(f->loop);
    assert_string_equal(f->trace, "t");
    assert_in_range(f->calls, 1, CHAIN_LIMIT - 1);
}

static void on_readable(evutil_socket_t descriptor, short what, void *arg)
{
    (void)descriptor;
    (void)what;
    stop(arg);
}

/* It lets what has come for the program be read, too. */
static void a_chain_lets_io_through(void **state)
{
    fixture *f = *state;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct event *event = event_new(f->base, pair[0], EV_READ, on_readable, f);
    event_add(event, NULL);
    assert_int_equal(write(pair[1], "x", 1), 1);
    mf_deferred_init(&f->first, call_again, f);
    mf_defer(f->loop, &f->first);
    mf_loop_run(f->loop);
    assert_string_equal(f->trace, "t");
    assert_in_range(f->calls, 1, CHAIN_LIMIT - 1);
    event_free(event);
    close(pair[0]);
    close(pair[1]);
}

static void note_b_and_cancel_c(void *arg);

static void note_a(void *arg)
{
    fixture *f = arg;

    note(f, "a");
    mf_defer(f->loop, &f->first);
}

static void note_c(void *arg)
{
    note(arg, "c");
}

/* A deferred call that waits for its turn in the round can be taken back, and one that was is not
 * called; one that is queued twice is called once. */
static void a_call_of_the_round_is_taken_back(void **state)
{
    fixture *f = *state;

    mf_deferred_init(&f->first, note_b_and_cancel_c, f);
    mf_deferred_init(&f->second, note_c, f);
    mf_defer(f->loop, &f->first);
    mf_defer(f->loop, &f->second);
    mf_defer(f->loop, &f->first);
    virtual_world_run_for(f->world, 1000);
    assert_string_equal(f->trace, "b");
}

static void note_b_and_cancel_c(void *arg)
{
    fixture *f = arg;

    note(f, "b");
    mf_deferred_cancel(f->loop, &f->second);
}

/* What a timer defers runs before the next timer, and posted calls before deferred ones. */
static void order_of_a_turn(void **state)
{
    fixture *f = *state;
    mf_timer later;
    int64_t now_us = mf_loop_now_us(f->loop);

    mf_timer_init(&f->timer, note_a, f);
    mf_timer_init(&later, stop, f);
    mf_deferred_init(&f->first, note_c, f);
    assert_int_equal(mf_timer_start(f->loop, &later, now_us + 1), MF_OK);
    assert_int_equal(mf_timer_start(f->loop, &f->timer, now_us), MF_OK);
    mf_defer(f->loop, &f->first);
    assert_int_equal(mf_loop_post(f->loop, note_a, f), MF_OK);
    mf_loop_run(f->loop);
    assert_string_equal(f->trace, "acact");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define VIRTUAL(name) cmocka_unit_test_setup_teardown(name, setup_virtual, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_chain_lets_timers_fire),    TEST(a_chain_lets_io_through),
        VIRTUAL(a_chain_lets_timers_fire), VIRTUAL(a_call_of_the_round_is_taken_back),
        VIRTUAL(order_of_a_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
