/* Loops on virtual time. */
#include "virtual_loop.h"

#include <stdlib.h>

#include "loop/loop.h"

typedef struct virtual_loop virtual_loop;

struct virtual_world {
    int64_t now_us;
    uint64_t seed;
    mf_loop agenda; /* never runs: its timers are the loops' next turns */
};

struct virtual_loop {
    mf_loop loop;
    virtual_world *world;
    mf_timer turn; /* in the world's agenda */
    double rate;
    bool woken, paused, stopped;
};

/* 2026-01-01T00:00:00Z */
static const int64_t wall_start_us = INT64_C(1767225600) * 1000000;

static virtual_loop *self(mf_loop *loop)
{
    return (virtual_loop *)loop;
}

static int64_t now_us(mf_loop *loop)
{
    return (int64_t)((double)self(loop)->world->now_us * self(loop)->rate);
}

static int64_t wall_us(mf_loop *loop)
{
    return wall_start_us + self(loop)->world->now_us;
}

/* World time at which the loop's clock reads `due_us`, rounded so that the timer is due by then. */
static int64_t due_in_world(const virtual_loop *me)
{
    if (me->woken)
        return me->world->now_us;
    int64_t due = mf__loop_next_us(&me->loop);
    if (due == INT64_MAX)
        return INT64_MAX;
    int64_t at = (int64_t)((double)due / me->rate);
    while ((int64_t)((double)at * me->rate) < due)
        at++;
    return at > me->world->now_us ? at : me->world->now_us;
}

static void plan_turn(virtual_loop *me)
{
    int64_t at = me->paused ? INT64_MAX : due_in_world(me);

    if (at == INT64_MAX)
        mf_timer_stop(&me->world->agenda, &me->turn);
    else if (mf_timer_start(&me->world->agenda, &me->turn, at) != MF_OK)
        abort();
}

static void wake_at(mf_loop *loop, int64_t due_us)
{
    (void)due_us;
    plan_turn(self(loop));
}

static void wake(mf_loop *loop)
{
    self(loop)->woken = true;
    plan_turn(self(loop));
}

static int run(mf_loop *loop)
{
    self(loop)->stopped = false;
    while (!self(loop)->stopped && virtual_world_step(self(loop)->world, INT64_MAX))
        ;
    return MF_OK;
}

static void stop(mf_loop *loop)
{
    self(loop)->stopped = true;
}

static int on_signal(mf_loop *loop, int number, void (*fn)(void *arg), void *arg)
{
    (void)loop;
    (void)number;
    (void)fn;
    (void)arg;
    return MF_ENOTSUP;
}

static void free_loop(mf_loop *loop)
{
    mf_timer_stop(&self(loop)->world->agenda, &self(loop)->turn);
    mf__loop_clear(loop);
    free(loop);
}

static const mf_loop_backend backend = {
    .now_us = now_us,
    .wall_us = wall_us,
    .wake_at = wake_at,
    .wake = wake,
    .wake_from_afar = wake,
    .run = run,
    .stop = stop,
    .on_signal = on_signal,
    .free = free_loop,
};

static void ignore_wake_at(mf_loop *loop, int64_t due_us)
{
    (void)loop;
    (void)due_us;
}

virtual_world *virtual_world_new(uint64_t seed)
{
    static const mf_loop_backend agenda = {.wake_at = ignore_wake_at};
    virtual_world *world = calloc(1, sizeof *world);

    mf__loop_init(&world->agenda, &agenda, 1);
    world->now_us = 1000000;
    world->seed = seed;
    return world;
}

void virtual_world_free(virtual_world *world)
{
    mf__loop_clear(&world->agenda);
    free(world);
}

mf_loop *virtual_loop_new(virtual_world *world, double rate)
{
    virtual_loop *me = calloc(1, sizeof *me);
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    mf__loop_init(&me->loop, &backend, world->seed | 1);
    me->world = world;
    me->rate = rate;
    mf_timer_init(&me->turn, NULL, me);
    return &me->loop;
}

void virtual_loop_pause(mf_loop *loop, bool paused)
{
    self(loop)->paused = paused;
    plan_turn(self(loop));
}

int64_t virtual_world_now_us(const virtual_world *world)
{
    return world->now_us;
}

bool virtual_world_step(virtual_world *world, int64_t until_us)
{
    if (mf__loop_next_us(&world->agenda) > until_us || world->agenda.heap_count == 0) {
        if (until_us != INT64_MAX)
            world->now_us = until_us;
        return false;
    }
    virtual_loop *first = world->agenda.heap[1]->arg;
    world->now_us = first->turn.due_us;
    mf_timer_stop(&world->agenda, &first->turn);
    first->woken = false;
    mf__loop_turn(&first->loop);
    plan_turn(first);
    return true;
}

bool virtual_world_run_until(virtual_world *world, bool (*condition)(void *arg), void *arg,
                             int64_t limit_us)
{
    int64_t until = world->now_us + limit_us;
    while (!condition(arg))
        if (!virtual_world_step(world, until))
            return condition(arg);
    return true;
}

void virtual_world_run_for(virtual_world *world, int64_t duration_us)
{
    int64_t until = world->now_us + duration_us;
    while (virtual_world_step(world, until))
        ;
}
