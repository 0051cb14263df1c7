/* The loop on libevent: one timer event for the heap's head, one event to be woken by. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/thread.h>

#include <metafora/driver.h>

#include "loop/loop.h"

typedef struct signal_watch {
    struct event *event;
    void (*fn)(void *arg);
    void *arg;
} signal_watch;

typedef struct libevent_loop {
    mf_loop loop;
    struct event_base *base;
    bool owns_base;
    struct event *timer;
    struct event *wake;
    int knocks; /* an eventfd: what other threads write to */
    struct event *knock;
    signal_watch signals[NSIG];
} libevent_loop;

static libevent_loop *self(mf_loop *loop)
{
    return (libevent_loop *)loop;
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Counts while the system is suspended: a lease does end meanwhile. */
static int64_t now_us(mf_loop *loop)
{
    (void)loop;
    return read_clock(CLOCK_BOOTTIME);
}

static int64_t wall_us(mf_loop *loop)
{
    (void)loop;
    return read_clock(CLOCK_REALTIME);
}

static void wake_at(mf_loop *loop, int64_t due_us)
{
    if (due_us == INT64_MAX) {
        event_del(self(loop)->timer);
        return;
    }
    int64_t left = due_us - now_us(loop);
    if (left < 0)
        left = 0;
    struct timeval delay = {.tv_sec = left / 1000000, .tv_usec = left % 1000000};
    event_add(self(loop)->timer, &delay);
}

static void wake(mf_loop *loop)
{
    event_active(self(loop)->wake, EV_READ, 0);
}

/* Without libevent's locks, which the program's base may not have. */
static void wake_from_afar(mf_loop *loop)
{
    uint64_t one = 1;

    /* It can only fail when it is full, and then the loop is woken already. */
    if (write(self(loop)->knocks, &one, sizeof one) < 0)
        return;
}

static void on_turn(evutil_socket_t descriptor, short what, void *arg)
{
    (void)descriptor;
    (void)what;
    mf__loop_turn(arg);
}

static void on_knock(evutil_socket_t descriptor, short what, void *arg)
{
    uint64_t count;

    (void)what;
    if (read(descriptor, &count, sizeof count) == sizeof count)
        mf__loop_turn(arg);
}

static void run(mf_loop *loop)
{
    event_base_loop(self(loop)->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

static void stop(mf_loop *loop)
{
    event_base_loopbreak(self(loop)->base);
}

static void on_signal_event(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    signal_watch *watch = arg;
    watch->fn(watch->arg);
}

static int on_signal(mf_loop *loop, int number, void (*fn)(void *arg), void *arg)
{
    if (number <= 0 || number >= NSIG)
        return MF_EINVAL;
    signal_watch *watch = &self(loop)->signals[number];
    if (watch->event != NULL) {
        event_free(watch->event);
        watch->event = NULL;
    }
    watch->fn = fn;
    watch->arg = arg;
    if (fn == NULL)
        return MF_OK;
    watch->event = evsignal_new(self(loop)->base, number, on_signal_event, watch);
    if (watch->event == NULL || event_add(watch->event, NULL) != 0)
        return MF_ESYSTEM;
    return MF_OK;
}

static void free_loop(mf_loop *loop)
{
    libevent_loop *me = self(loop);
    for (int i = 0; i < NSIG; i++)
        if (me->signals[i].event != NULL)
            event_free(me->signals[i].event);
    if (me->timer != NULL)
        event_free(me->timer);
    if (me->wake != NULL)
        event_free(me->wake);
    if (me->knock != NULL)
        event_free(me->knock);
    if (me->knocks >= 0)
        close(me->knocks);
    if (me->owns_base && me->base != NULL)
        event_base_free(me->base);
    mf__loop_clear(loop);
    free(me);
}

static const mf_loop_backend backend = {
    .now_us = now_us,
    .wall_us = wall_us,
    .wake_at = wake_at,
    .wake = wake,
    .wake_from_afar = wake_from_afar,
    .run = run,
    .stop = stop,
    .on_signal = on_signal,
    .free = free_loop,
};

static int make(mf_loop **out, struct event_base *base, bool owns_base, mf_error *error)
{
    libevent_loop *me = calloc(1, sizeof *me);
    if (me == NULL)
        return mf_error_set(error, MF_ENOMEM, "loop: out of memory");
    if (mf__loop_init(&me->loop, &backend, 0) != MF_OK) {
        free(me);
        return mf_error_set(error, MF_ESYSTEM, "loop: no random bytes: %s", strerror(errno));
    }
    me->base = base;
    me->timer = event_new(base, -1, 0, on_turn, me);
    me->wake = event_new(base, -1, 0, on_turn, me);
    me->knocks = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (me->knocks >= 0)
        me->knock = event_new(base, me->knocks, EV_READ | EV_PERSIST, on_knock, me);
    if (me->timer == NULL || me->wake == NULL || me->knock == NULL ||
        event_add(me->knock, NULL) != 0) {
        free_loop(&me->loop);
        return mf_error_set(error, MF_ENOMEM, "loop: out of memory");
    }
    me->owns_base = owns_base;
    *out = &me->loop;
    return MF_OK;
}

static pthread_once_t threads_once = PTHREAD_ONCE_INIT;

static void use_threads(void)
{
    evthread_use_pthreads();
}

int mf_loop_new(mf_loop **out, mf_error *error)
{
    pthread_once(&threads_once, use_threads);

    struct event_base *base = NULL;
    struct event_config *config = event_config_new();
    if (config != NULL) {
        event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
        base = event_base_new_with_config(config);
        event_config_free(config);
    }
    if (base == NULL)
        return mf_error_set(error, MF_ESYSTEM, "loop: libevent has no event base to give");

    int code = make(out, base, true, error);
    if (code != MF_OK)
        event_base_free(base);
    return code;
}

int mf_loop_from_event_base(mf_loop **out, struct event_base *base, mf_error *error)
{
    return make(out, base, false, error);
}

struct event_base *mf__loop_event_base(mf_loop *loop)
{
    return loop->backend == &backend ? self(loop)->base : NULL;
}
