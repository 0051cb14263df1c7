/* What loop implementations share: timers in a heap, deferred calls, posted calls.
 *
 * An implementation (libevent; virtual time in the tests) supplies clocks and a way to be woken,
 * and calls mf__loop_turn when something is due. Everything else is in loop.c, so that all of them
 * order calls in the same way: posted, then deferred, then timers by due time. */
#ifndef MF_LOOP_LOOP_H
#define MF_LOOP_LOOP_H

#include <pthread.h>
#include <stdbool.h>

#include <metafora/loop.h>

typedef struct mf_loop_backend {
    int64_t (*now_us)(mf_loop *loop);
    int64_t (*wall_us)(mf_loop *loop);
    /* Be sure to call mf__loop_turn at `due_us` at the latest (INT64_MAX: no timer is running). */
    void (*wake_at)(mf_loop *loop, int64_t due_us);
    /* Be sure to call mf__loop_turn soon. */
    void (*wake)(mf_loop *loop);
    /* The same from any thread. */
    void (*wake_from_afar)(mf_loop *loop);
    /* Until stop: MF_OK; MF_EINVAL at once, when it runs already or cannot. */
    int (*run)(mf_loop *loop);
    void (*stop)(mf_loop *loop);
    int (*on_signal)(mf_loop *loop, int signal_number, void (*fn)(void *arg), void *arg);
    /* Frees the implementation's struct, which begins with mf_loop. */
    void (*free)(mf_loop *loop);
} mf_loop_backend;

/* A posted call. One that is embedded in another object costs no memory, so it cannot fail. */
typedef struct mf_posted {
    void (*fn)(void *arg);
    void *arg;
    struct mf_posted *next;
    bool embedded;
} mf_posted;

struct mf_loop {
    const mf_loop_backend *backend;
    mf_timer **heap; /* heap[1] is the next to fire; heap[0] is not used */
    size_t heap_count, heap_size;
    int64_t armed_us;     /* what wake_at was last told */
    mf_deferred deferred; /* list head */
    pthread_mutex_t lock; /* guards posted and the log hook */
    mf_posted *posted, **posted_tail;
    uint64_t random[2];
    mf_log_fn log;
    void *log_arg;
    mf_log_level log_level;
    bool running; /* atomic: in mf_loop_run, on whichever thread */
    bool in_turn;
    int64_t turn_us; /* when the present turn began */
};

/* `seed` 0 takes one from the system. */
int mf__loop_init(mf_loop *loop, const mf_loop_backend *backend, uint64_t seed);
void mf__loop_clear(mf_loop *loop);

/* Runs all posted and deferred calls and the timers that are due; tells wake_at of the next one. */
void mf__loop_turn(mf_loop *loop);

/* mf_loop_post with memory of the caller's, which is free again when fn is called. Any thread. */
void mf__loop_post_embedded(mf_loop *loop, mf_posted *posted, void (*fn)(void *arg), void *arg);

/* The due time of the next timer; INT64_MAX: none. */
int64_t mf__loop_next_us(const mf_loop *loop);
bool mf__loop_has_deferred(const mf_loop *loop);

/* mf_loop_run, which tells: MF_EINVAL when the loop runs already. */
int mf__loop_run(mf_loop *loop);
/* It does so already; not known of a base that the program runs, outside of mf__loop_turn. */
bool mf__loop_is_running(const mf_loop *loop);

/* Whether this thread runs a loop just now, as far as is known: of one on a base that the program
 * runs itself, only its turns are. */
bool mf__loop_is_here(void);

#endif
