/* The loop on libevent: one timer for the heap's head, one event to be woken by.
 *
 * The timer is a descriptor of the kernel's on the clock that deadlines are counted by. libevent's
 * own timeouts stand still while the machine is suspended: handlers would hear of a lease that
 * ended meanwhile only when what was left of the timeout had passed, too. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
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
    int alarm; /* a timerfd */
    struct event *rings;
    int64_t alarm_us; /* what it is set to; INT64_MAX: it is not */
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
    libevent_loop *me = self(loop);
    struct itimerspec at = {0};

    if (due_us == me->alarm_us)
        return;
    me->alarm_us = due_us;
    if (due_us != INT64_MAX) {
        int64_t left_us = due_us - now_us(loop);
        at.it_value.tv_sec = left_us > 0 ? left_us / 1000000 : 0;
        /* Never nothing, which would be no alarm. */
        at.it_value.tv_nsec = left_us > 0 ? left_us % 1000000 * 1000 + 1 : 1;
    }
    timerfd_settime(me->alarm, 0, &at, NULL);
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

static void on_ring(evutil_socket_t descriptor, short what, void *arg)
{
    uint64_t count;
    libevent_loop *me = arg;

    (void)what;
    if (read(descriptor, &count, sizeof count) != sizeof count)
        return;
    me->alarm_us = INT64_MAX;
    mf__loop_turn(&me->loop);
}

static void on_knock(evutil_socket_t descriptor, short what, void *arg)
{
    uint64_t count;

    (void)what;
    if (read(descriptor, &count, sizeof count) == sizeof count)
        mf__loop_turn(arg);
}

static int run(mf_loop *loop)
{
    return event_base_loop(self(loop)->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0 ? MF_EINVAL : MF_OK;
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
    if (me->rings != NULL)
        event_free(me->rings);
    if (me->alarm >= 0)
        close(me->alarm);
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

/* By a clock that stands still in a suspension where there is no other, as in some sandboxes. */
static int open_alarm(void)
{
    int flags = TFD_NONBLOCK | TFD_CLOEXEC;
    int descriptor = timerfd_create(CLOCK_BOOTTIME, flags);

    return descriptor < 0 && errno == EINVAL ? timerfd_create(CLOCK_MONOTONIC, flags) : descriptor;
}

static int listen_to(struct event **out, libevent_loop *me, int descriptor, event_callback_fn fn)
{
    *out = event_new(me->base, descriptor, EV_READ | EV_PERSIST, fn, me);
    return *out != NULL && event_add(*out, NULL) == 0 ? MF_OK : MF_ENOMEM;
}

static int open_events(libevent_loop *me, mf_error *error)
{
    me->alarm = open_alarm();
    me->knocks = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (me->alarm < 0 || me->knocks < 0)
        return mf_error_set(error, MF_ESYSTEM, "loop: no descriptor: %s", strerror(errno));
    me->wake = event_new(me->base, -1, 0, on_turn, me);
    if (me->wake == NULL || listen_to(&me->rings, me, me->alarm, on_ring) != MF_OK ||
        listen_to(&me->knock, me, me->knocks, on_knock) != MF_OK)
        return mf_error_set(error, MF_ENOMEM, "loop: out of memory");
    return MF_OK;
}

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
    me->alarm_us = INT64_MAX;
    int code = open_events(me, error);
    if (code != MF_OK) {
        free_loop(&me->loop);
        return code;
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

struct event_base *mf_loop_event_base(mf_loop *loop)
{
    return loop->backend == &backend ? self(loop)->base : NULL;
}
