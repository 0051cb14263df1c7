/* The loop on libevent when clocks do what they do: the machine is suspended, dates step,
 * descriptors run out. This program's own clock_gettime, timerfd and eventfd stand in for the
 * system's. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "loop/thread.h"

enum { BOUND_S = 20 /* of a test that hangs */ };

/* The machine. */
static struct {
    int64_t boot_us, steady_us, wall_us;
    int descriptor; /* of the one timerfd */
    clockid_t clock;
    int64_t due_us; /* INT64_MAX: it is not set */
    int settings;
    int boottime_error; /* what timerfd_create gives for that clock, */
    int any_error;      /* for any, */
    int eventfd_error;  /* and eventfd */
} machine;

static int64_t machine_now(clockid_t clock)
{
    return clock == CLOCK_BOOTTIME   ? machine.boot_us
           : clock == CLOCK_REALTIME ? machine.wall_us
                                     : machine.steady_us;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int64_t us = machine_now(clock);

    *now = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    return 0;
}

static int fail_with(int error)
{
    errno = error;
    return -1;
}

static int real_eventfd(unsigned count, int flags)
{
    return (int)syscall(SYS_eventfd2, count, flags);
}

int eventfd(unsigned count, int flags)
{
    return machine.eventfd_error != 0 ? fail_with(machine.eventfd_error)
                                      : real_eventfd(count, flags);
}

int timerfd_create(clockid_t clock, int flags)
{
    if (machine.any_error != 0)
        return fail_with(machine.any_error);
    if (clock == CLOCK_BOOTTIME && machine.boottime_error != 0)
        return fail_with(machine.boottime_error);
    assert_int_equal(flags, TFD_NONBLOCK | TFD_CLOEXEC);
    machine.clock = clock;
    machine.descriptor = real_eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return machine.descriptor;
}

static void ring_if_due(void)
{
    uint64_t one = 1;

    if (machine.due_us > machine_now(machine.clock))
        return;
    machine.due_us = INT64_MAX;
    assert_int_equal(write(machine.descriptor, &one, sizeof one), sizeof one);
}

int timerfd_settime(int descriptor, int flags, const struct itimerspec *value,
                    struct itimerspec *old)
{
    uint64_t count;
    int64_t ns = (int64_t)value->it_value.tv_sec * 1000000000 + value->it_value.tv_nsec;

    assert_int_equal(flags, 0);
    assert_null(old);
    assert_in_range(value->it_value.tv_nsec, 0, 999999999);
    if (read(descriptor, &count, sizeof count) < 0)
        assert_int_equal(errno, EAGAIN);
    machine.settings++;
    machine.due_us = ns == 0 ? INT64_MAX : machine_now(machine.clock) + ns / 1000;
    ring_if_due();
    return 0;
}

static void pass(int64_t us)
{
    machine.boot_us += us;
    machine.steady_us += us;
    machine.wall_us += us;
    ring_if_due();
}

static void suspend(int64_t us)
{
    machine.boot_us += us;
    machine.wall_us += us;
    ring_if_due();
}

typedef struct fixture {
    struct event_base *base;
    mf_loop *loop;
    mf_timer timer, other;
    mf_deferred act;
    int64_t us;
    int fired;
} fixture;

static void open_loop(fixture *f)
{
    assert_int_equal(mf_loop_from_event_base(&f->loop, f->base, NULL), MF_OK);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    memset(&machine, 0, sizeof machine);
    machine.boot_us = machine.steady_us = 1000000000;
    machine.wall_us = INT64_C(1767225600000000);
    machine.due_us = INT64_MAX;
    alarm(BOUND_S);
    f->base = event_base_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    mf_loop_free(f->loop);
    event_base_free(f->base);
    free(f);
    alarm(0);
    return 0;
}

static void on_timer(void *arg)
{
    fixture *f = arg;

    f->fired++;
    mf_loop_stop(f->loop);
}

static void do_suspend(void *arg)
{
    suspend(((fixture *)arg)->us);
}

static void do_pass(void *arg)
{
    pass(((fixture *)arg)->us);
}

static void do_stop(void *arg)
{
    mf_loop_stop(((fixture *)arg)->loop);
}

static void start(fixture *f, mf_timer *timer, int64_t after_us)
{
    mf_timer_init(timer, on_timer, f);
    assert_int_equal(mf_timer_start(f->loop, timer, mf_loop_now_us(f->loop) + after_us), MF_OK);
}

/* Runs while `what`, of `us`, happens. */
static void run_through(fixture *f, void (*what)(void *arg), int64_t us)
{
    f->us = us;
    mf_deferred_init(&f->act, what, f);
    mf_defer(f->loop, &f->act);
    mf_loop_run(f->loop);
}

/* Lets the loop do what it has to, and no time passes. */
static void run_once(fixture *f)
{
    assert_int_equal(mf_loop_post(f->loop, do_stop, f), MF_OK);
    mf_loop_run(f->loop);
}

/* A timer that became due while the machine was suspended fires when it is awake again, not when
 * the rest of its time has passed once more. */
static void a_suspension_makes_timers_due(void **state)
{
    fixture *f = *state;

    open_loop(f);
    start(f, &f->timer, 60000000);
    run_through(f, do_suspend, 60000001);
    assert_int_equal(f->fired, 1);
    assert_int_equal(machine.steady_us, 1000000000);
}

/* One that is not due yet waits for what is left, by the same clock; to the microsecond. */
static void a_short_suspension_counts(void **state)
{
    fixture *f = *state;

    open_loop(f);
    start(f, &f->timer, 60000000);
    suspend(40000000);
    pass(19999999);
    run_once(f);
    assert_int_equal(f->fired, 0);
    pass(1);
    run_once(f);
    assert_int_equal(f->fired, 1);
}

/* Where the system has no such timer, one that stands still meanwhile has to do. */
static void without_boottime_timers(void **state)
{
    fixture *f = *state;

    machine.boottime_error = EINVAL;
    open_loop(f);
    assert_int_equal(machine.clock, CLOCK_MONOTONIC);
    start(f, &f->timer, 60000000);
    run_through(f, do_pass, 60000001);
    assert_int_equal(f->fired, 1);
}

/* Dates that step, beyond 2038 and back, move no timer; the wall clock is told as it is. */
static void steps_of_the_date(void **state)
{
    fixture *f = *state;

    open_loop(f);
    start(f, &f->timer, 60000000);
    machine.wall_us = INT64_C(2240524800000000);
    run_once(f);
    assert_int_equal(f->fired, 0);
    assert_true(mf_loop_wall_us(f->loop) == INT64_C(2240524800000000));
    machine.wall_us = -1000000;
    run_through(f, do_pass, 60000000);
    assert_int_equal(f->fired, 1);
    assert_true(mf_loop_wall_us(f->loop) < INT64_C(60000000));
}

/* The alarm follows the earliest timer, and is told only of changes. */
static void the_alarm_is_set_when_it_changes(void **state)
{
    fixture *f = *state;

    open_loop(f);
    start(f, &f->timer, 60000000);
    start(f, &f->other, 90000000);
    run_once(f);
    assert_int_equal(machine.settings, 1);
    assert_int_equal(machine.due_us, machine.boot_us + 60000000);
    mf_timer_stop(f->loop, &f->timer);
    assert_int_equal(machine.due_us, machine.boot_us + 90000000);
    mf_timer_stop(f->loop, &f->other);
    assert_int_equal(machine.due_us, INT64_MAX);
    run_once(f);
    assert_int_equal(machine.settings, 3);
    start(f, &f->timer, -5);
    run_once(f);
    assert_int_equal(f->fired, 1);
}

static int open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void assert_refused(fixture *f, const char *text)
{
    mf_error error;
    int before = open_descriptors();

    assert_int_equal(mf_loop_from_event_base(&f->loop, f->base, &error), MF_ESYSTEM);
    assert_string_equal(error.text, text);
    assert_int_equal(open_descriptors(), before);
    f->loop = NULL;
}

/* A loop that gets no descriptor is refused with the system's reason, and leaves none behind. */
static void descriptors_run_out(void **state)
{
    fixture *f = *state;

    machine.any_error = EMFILE;
    assert_refused(f, "loop: no descriptor: Too many open files");
    machine.any_error = 0;
    machine.eventfd_error = ENFILE;
    assert_refused(f, "loop: no descriptor: Too many open files in system");
}

typedef struct waiter {
    mf__thread thread;
    fixture *f;
} waiter;

static void wait_long(void *arg)
{
    waiter *me = arg;

    pthread_mutex_lock(&me->thread.lock);
    mf__thread_wait(&me->thread, INT64_MAX);
    pthread_mutex_unlock(&me->thread.lock);
}

static void on_waited(void *arg)
{
    mf_loop_stop(((waiter *)arg)->f->loop);
}

/* A thread that waits for very long looks up soon: its clock may have gone on without it. */
static void threads_look_up(void **state)
{
    waiter me = {.f = *state};
    struct timespec now;

    open_loop(me.f);
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    machine.steady_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    assert_int_equal(mf__thread_start(&me.thread, me.f->loop, 0, wait_long, on_waited, &me), MF_OK);
    mf_loop_run(me.f->loop);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_suspension_makes_timers_due),
        TEST(a_short_suspension_counts),
        TEST(without_boottime_timers),
        TEST(steps_of_the_date),
        TEST(the_alarm_is_set_when_it_changes),
        TEST(descriptors_run_out),
        TEST(threads_look_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
