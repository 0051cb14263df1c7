/* A thread beside the loop's: it starts with all signals blocked, which are for the program's own
 * threads; it may wait until it is woken; when its function has returned, the loop's thread joins
 * it. */
#ifndef MF_LOOP_THREAD_H
#define MF_LOOP_THREAD_H

#include <pthread.h>

#include "loop/loop.h"

/* Part of an object of the caller's. */
typedef struct mf__thread {
    mf_loop *loop;
    pthread_t id;
    pthread_mutex_t lock; /* for what both threads use */
    pthread_cond_t woken;
    void (*run)(void *arg);   /* on the new thread */
    void (*ended)(void *arg); /* on the loop's, when there is no thread any more; may free it all */
    void *arg;
    mf_posted end;
} mf__thread;

/* A condition for waits that are bounded in time. */
void mf__condition_init(pthread_cond_t *condition);
/* With the lock: until it is signalled or for `us` microseconds, or less; the caller looks at the
 * clock again. */
void mf__condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t us);

#define MF_STACK_SIZE_RULE "stack_size: neither 0 nor between 16384 and 1073741824"
/* For options that have one, to be refused by the rule. */
static inline bool mf__thread_stack_size_is_valid(size_t size)
{
    return size == 0 || (size >= 16384 && size <= 1073741824);
}

/* `stack_size` in bytes; 0: 256 KiB. MF_ESYSTEM: nothing was started. */
int mf__thread_spawn(pthread_t *out, size_t stack_size, void *(*run)(void *arg), void *arg);
int mf__thread_start(mf__thread *me, mf_loop *loop, size_t stack_size, void (*run)(void *arg),
                     void (*ended)(void *arg), void *arg);

/* Wakes it, and all who wait on it; without the lock. */
void mf__thread_wake(mf__thread *me);

/* Waits, on the thread itself and with the lock, which is free meanwhile, until it is woken or for
 * `us` microseconds; may end for no reason. */
void mf__thread_wait(mf__thread *me, int64_t us);

#endif
