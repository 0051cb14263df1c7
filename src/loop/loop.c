/* The part of the loop that all implementations share. */
#include "loop/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "log.h"

/* splitmix64 spreads a seed over the generator's state (Steele, Lea, Flood 2014). */
static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int mf__loop_init(mf_loop *loop, const mf_loop_backend *backend, uint64_t seed)
{
    memset(loop, 0, sizeof *loop);
    loop->backend = backend;
    loop->armed_us = INT64_MAX;
    loop->deferred.next = loop->deferred.previous = &loop->deferred;
    loop->posted_tail = &loop->posted;
    loop->log = mf__log_to_stderr;
    loop->log_level = MF_LOG_INFO;
    if (seed == 0 && getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return MF_ESYSTEM;
    loop->random[0] = splitmix(&seed);
    loop->random[1] = splitmix(&seed);
    pthread_mutex_init(&loop->lock, NULL);
    return MF_OK;
}

void mf__loop_clear(mf_loop *loop)
{
    while (loop->posted != NULL) {
        mf_posted *posted = loop->posted;
        loop->posted = posted->next;
        if (!posted->embedded)
            free(posted);
    }
    free(loop->heap);
    pthread_mutex_destroy(&loop->lock);
}

bool mf__loop_is_running(const mf_loop *loop)
{
    return __atomic_load_n(&loop->running, __ATOMIC_ACQUIRE) || loop->in_turn;
}

/* Loops that this thread is in. */
static _Thread_local unsigned here;

bool mf__loop_is_here(void)
{
    return here != 0;
}

int mf__loop_run(mf_loop *loop)
{
    if (__atomic_exchange_n(&loop->running, true, __ATOMIC_ACQ_REL))
        return MF_EINVAL;
    here++;
    int code = loop->in_turn ? MF_EINVAL : loop->backend->run(loop);
    here--;
    __atomic_store_n(&loop->running, false, __ATOMIC_RELEASE);
    return code;
}

void mf_loop_run(mf_loop *loop)
{
    int code = mf__loop_run(loop);
    assert(code == MF_OK);
}

void mf_loop_stop(mf_loop *loop)
{
    loop->backend->stop(loop);
}

void mf_loop_free(mf_loop *loop)
{
    if (loop != NULL)
        loop->backend->free(loop);
}

int64_t mf_loop_now_us(mf_loop *loop)
{
    return loop->backend->now_us(loop);
}

int64_t mf_loop_wall_us(mf_loop *loop)
{
    return loop->backend->wall_us(loop);
}

int mf_loop_on_signal(mf_loop *loop, int signal_number, void (*fn)(void *arg), void *arg)
{
    return loop->backend->on_signal(loop, signal_number, fn, arg);
}

/* xoroshiro128+ (Blackman, Vigna 2018). */
uint64_t mf_loop_random(mf_loop *loop)
{
    uint64_t a = loop->random[0];
    uint64_t b = loop->random[1];
    uint64_t result = a + b;

    b ^= a;
    loop->random[0] = ((a << 24) | (a >> 40)) ^ b ^ (b << 16);
    loop->random[1] = (b << 37) | (b >> 27);
    return result;
}

static void post(mf_loop *loop, mf_posted *posted)
{
    pthread_mutex_lock(&loop->lock);
    bool first = loop->posted == NULL;
    *loop->posted_tail = posted;
    loop->posted_tail = &posted->next;
    /* Woken under the lock: once it is released the loop may run the call and be freed. */
    if (first)
        loop->backend->wake_from_afar(loop);
    pthread_mutex_unlock(&loop->lock);
}

int mf_loop_post(mf_loop *loop, void (*fn)(void *arg), void *arg)
{
    mf_posted *posted = malloc(sizeof *posted);
    if (posted == NULL)
        return MF_ENOMEM;
    *posted = (mf_posted){.fn = fn, .arg = arg};
    post(loop, posted);
    return MF_OK;
}

void mf__loop_post_embedded(mf_loop *loop, mf_posted *posted, void (*fn)(void *arg), void *arg)
{
    *posted = (mf_posted){.fn = fn, .arg = arg, .embedded = true};
    post(loop, posted);
}

/* Timers: a binary heap by due time. */

static void heap_put(mf_loop *loop, size_t slot, mf_timer *timer)
{
    loop->heap[slot] = timer;
    timer->heap_slot = slot;
}

static void heap_up(mf_loop *loop, size_t slot, mf_timer *timer)
{
    while (slot > 1 && timer->due_us < loop->heap[slot / 2]->due_us) {
        heap_put(loop, slot, loop->heap[slot / 2]);
        slot /= 2;
    }
    heap_put(loop, slot, timer);
}

static void heap_down(mf_loop *loop, size_t slot, mf_timer *timer)
{
    for (;;) {
        size_t child = slot * 2;
        if (child > loop->heap_count)
            break;
        if (child < loop->heap_count && loop->heap[child + 1]->due_us < loop->heap[child]->due_us)
            child++;
        if (timer->due_us <= loop->heap[child]->due_us)
            break;
        heap_put(loop, slot, loop->heap[child]);
        slot = child;
    }
    heap_put(loop, slot, timer);
}

static int heap_grow(mf_loop *loop)
{
    if (loop->heap_count + 1 < loop->heap_size)
        return MF_OK;
    size_t size = loop->heap_size != 0 ? loop->heap_size * 2 : 64;
    mf_timer **heap = realloc(loop->heap, size * sizeof *heap);
    if (heap == NULL)
        return MF_ENOMEM;
    loop->heap = heap;
    loop->heap_size = size;
    return MF_OK;
}

/* Within a turn, or when the backend will wake at that time or sooner, there is nothing to tell. */
static void arm(mf_loop *loop)
{
    int64_t next = mf__loop_next_us(loop);
    if (loop->in_turn || next == loop->armed_us)
        return;
    loop->armed_us = next;
    loop->backend->wake_at(loop, next);
}

int64_t mf__loop_next_us(const mf_loop *loop)
{
    return loop->heap_count != 0 ? loop->heap[1]->due_us : INT64_MAX;
}

void mf_timer_init(mf_timer *timer, void (*fn)(void *arg), void *arg)
{
    *timer = (mf_timer){.fn = fn, .arg = arg};
}

int mf_timer_start(mf_loop *loop, mf_timer *timer, int64_t due_us)
{
    /* A timer that restarts itself in the past must not keep I/O from its turn. */
    if (loop->in_turn && due_us <= loop->turn_us)
        due_us = loop->turn_us + 1;
    if (timer->heap_slot == 0) {
        if (heap_grow(loop) != MF_OK)
            return MF_ENOMEM;
        timer->due_us = due_us;
        heap_up(loop, ++loop->heap_count, timer);
    } else {
        int64_t before = timer->due_us;
        timer->due_us = due_us;
        if (due_us < before)
            heap_up(loop, timer->heap_slot, timer);
        else
            heap_down(loop, timer->heap_slot, timer);
    }
    arm(loop);
    return MF_OK;
}

static void heap_remove(mf_loop *loop, mf_timer *timer)
{
    size_t slot = timer->heap_slot;
    mf_timer *last = loop->heap[loop->heap_count--];

    timer->heap_slot = 0;
    if (last == timer)
        return;
    if (slot > 1 && last->due_us < loop->heap[slot / 2]->due_us)
        heap_up(loop, slot, last);
    else
        heap_down(loop, slot, last);
}

void mf_timer_stop(mf_loop *loop, mf_timer *timer)
{
    if (timer->heap_slot == 0)
        return;
    heap_remove(loop, timer);
    arm(loop);
}

/* Deferred calls: a list in the order of mf_defer. */

void mf_deferred_init(mf_deferred *deferred, void (*fn)(void *arg), void *arg)
{
    *deferred = (mf_deferred){.fn = fn, .arg = arg};
}

void mf_defer(mf_loop *loop, mf_deferred *deferred)
{
    if (deferred->next != NULL)
        return;
    deferred->next = &loop->deferred;
    deferred->previous = loop->deferred.previous;
    deferred->previous->next = deferred;
    loop->deferred.previous = deferred;
    if (!loop->in_turn && deferred->previous == &loop->deferred)
        loop->backend->wake(loop);
}

void mf_deferred_cancel(mf_loop *loop, mf_deferred *deferred)
{
    (void)loop;
    if (deferred->next == NULL)
        return;
    deferred->next->previous = deferred->previous;
    deferred->previous->next = deferred->next;
    deferred->next = deferred->previous = NULL;
}

bool mf__loop_has_deferred(const mf_loop *loop)
{
    return loop->deferred.next != &loop->deferred;
}

static void run_posted(mf_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    mf_posted *posted = loop->posted;
    loop->posted = NULL;
    loop->posted_tail = &loop->posted;
    pthread_mutex_unlock(&loop->lock);

    while (posted != NULL) {
        mf_posted call = *posted;
        if (!call.embedded)
            free(posted);
        call.fn(call.arg);
        posted = call.next;
    }
}

/* Moves all that is queued behind the head `to`. */
static void take_deferred(mf_loop *loop, mf_deferred *to)
{
    *to = loop->deferred;
    if (mf__loop_has_deferred(loop))
        to->next->previous = to->previous->next = to;
    else
        to->next = to->previous = to;
    loop->deferred.next = loop->deferred.previous = &loop->deferred;
}

/* One round: those that are queued now. What they queue in their turn waits for the next one, so
 * that a chain of calls without an end keeps neither timers nor I/O from theirs. */
static void run_deferred(mf_loop *loop)
{
    mf_deferred round;

    take_deferred(loop, &round);
    while (round.next != &round) {
        mf_deferred *deferred = round.next;
        mf_deferred_cancel(loop, deferred);
        deferred->fn(deferred->arg);
    }
}

void mf__loop_turn(mf_loop *loop)
{
    loop->turn_us = mf_loop_now_us(loop);
    loop->in_turn = true;
    here++;
    run_posted(loop);
    run_deferred(loop);
    while (mf__loop_next_us(loop) <= loop->turn_us) {
        mf_timer *timer = loop->heap[1];
        heap_remove(loop, timer);
        timer->fn(timer->arg);
        run_deferred(loop);
    }
    here--;
    loop->in_turn = false;
    loop->armed_us = INT64_MIN;
    arm(loop);
    if (mf__loop_has_deferred(loop))
        loop->backend->wake(loop);
}
