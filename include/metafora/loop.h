/* The event loop: clock, timers, deferred calls, and the door in from other threads.
 *
 * All of the library's callbacks run on the thread that runs the loop. Every other function of an
 * object must be called on that thread too, unless its comment says otherwise.
 * Time is in microseconds on a clock that never steps and also counts while the system is
 * suspended (CLOCK_BOOTTIME on Linux); wall time is used only for dates that people or other
 * programs see. */
#ifndef METAFORA_LOOP_H
#define METAFORA_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include <metafora/error.h>
#include <metafora/export.h>
#include <metafora/log.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mf_loop mf_loop;
struct event_base;

/* A loop of its own. The caller frees it with mf_loop_free after everything on it has closed.
 * MF_ENOMEM, or MF_ESYSTEM when the system's event mechanism cannot be opened. */
MF_EXPORT int mf_loop_new(mf_loop **out, mf_error *error);

/* A loop on a libevent base that the program runs itself. `base` is borrowed and must outlive the
 * loop. It need not have been made for use with threads. */
MF_EXPORT int mf_loop_from_event_base(mf_loop **out, struct event_base *base, mf_error *error);

/* The libevent base that the loop runs on, for events of the program's or a driver's own: borrowed,
 * valid as long as the loop. NULL: it runs on something else. Any thread. */
MF_EXPORT struct event_base *mf_loop_event_base(mf_loop *loop);

/* Runs until mf_loop_stop. May be called again afterwards; not while it runs, from inside a
 * callback or on another thread. */
MF_EXPORT void mf_loop_run(mf_loop *loop);

/* Makes mf_loop_run return after the current callback. Loop thread only; other threads post it. */
MF_EXPORT void mf_loop_stop(mf_loop *loop);

/* Frees the loop. Timers must have been stopped. Posted calls that have not run are dropped. */
MF_EXPORT void mf_loop_free(mf_loop *loop);

/* Microseconds on the loop's steady clock. Any thread. */
MF_EXPORT int64_t mf_loop_now_us(mf_loop *loop);

/* Microseconds since 1970-01-01 UTC. Any thread. */
MF_EXPORT int64_t mf_loop_wall_us(mf_loop *loop);

/* 64 random bits, good for jitter and tokens. Repeatable on a virtual loop. Loop thread only. */
MF_EXPORT uint64_t mf_loop_random(mf_loop *loop);

/* Calls fn(arg) on the loop thread, soon. The one function safe from any thread while the loop
 * lives. Calls run in the order in which they were posted. MF_ENOMEM. */
MF_EXPORT int mf_loop_post(mf_loop *loop, void (*fn)(void *arg), void *arg);

/* Calls fn(arg) on the loop thread for each `signal_number` that arrives; at most once for several
 * that arrive together. One function a signal; NULL stops it. MF_EINVAL, MF_ESYSTEM. */
MF_EXPORT int mf_loop_on_signal(mf_loop *loop, int signal_number, void (*fn)(void *arg), void *arg);

/* Where this loop's objects log, and from which level on. The default writes lines of MF_LOG_INFO
 * and above to stderr. `fn` may be called from handler threads as well. */
MF_EXPORT void mf_loop_set_log(mf_loop *loop, mf_log_fn fn, void *arg, mf_log_level level);

/* A one-shot timer, embedded in the object it belongs to; costs no allocation. */
typedef struct mf_timer {
    void (*fn)(void *arg);
    void *arg;
    int64_t due_us;
    size_t heap_slot; /* the loop's; 0 when not running */
} mf_timer;

/* Sets the callback. The timer must not be running. */
MF_EXPORT void mf_timer_init(mf_timer *timer, void (*fn)(void *arg), void *arg);

/* Starts, or moves, the timer to the steady time `due_us`; one in the past fires on the next turn
 * of the loop, never inside this call. MF_ENOMEM: the timer is as it was before. */
MF_EXPORT int mf_timer_start(mf_loop *loop, mf_timer *timer, int64_t due_us);

/* Stops the timer; its callback will not run. Harmless when it is not running. */
MF_EXPORT void mf_timer_stop(mf_loop *loop, mf_timer *timer);

/* A call to make when the current callback has returned; embedded like a timer. */
typedef struct mf_deferred {
    void (*fn)(void *arg);
    void *arg;
    struct mf_deferred *next, *previous; /* the loop's */
} mf_deferred;

MF_EXPORT void mf_deferred_init(mf_deferred *deferred, void (*fn)(void *arg), void *arg);

/* Queues the call once; calling again before it ran changes nothing. Runs soon, before timers and
 * I/O that are due later; one that is queued by a deferred call runs after those that are due now.
 */
MF_EXPORT void mf_defer(mf_loop *loop, mf_deferred *deferred);

/* Takes the call back. Harmless when it is not queued. */
MF_EXPORT void mf_deferred_cancel(mf_loop *loop, mf_deferred *deferred);

#ifdef __cplusplus
}
#endif
#endif
