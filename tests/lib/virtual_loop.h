/* Loops on virtual time: time stands still while calls run and jumps to the next timer when none
 * is left, so that a test of hours takes milliseconds and runs the same way each time. */
#ifndef MF_TESTS_VIRTUAL_LOOP_H
#define MF_TESTS_VIRTUAL_LOOP_H

#include <metafora/loop.h>

/* The world that loops live in; one seed, one run. Wall time begins at 2026-01-01T00:00:00Z. */
typedef struct virtual_world virtual_world;
virtual_world *virtual_world_new(uint64_t seed);
void virtual_world_free(virtual_world *world);

/* A loop in the world (mf_loop_free as usual). `rate` is the speed of its steady clock: 1.0, or
 * 1.01 for a clock that runs 1 % fast. */
mf_loop *virtual_loop_new(virtual_world *world, double rate);

/* Stops a loop as SIGSTOP would: nothing of it runs until it is resumed, while time goes on. */
void virtual_loop_pause(mf_loop *loop, bool paused);

int64_t virtual_world_now_us(const virtual_world *world);

/* Runs the next due call of any loop, moving time forward if need be. False: nothing is left that
 * is due at or before `until_us`; time is then `until_us`. */
bool virtual_world_step(virtual_world *world, int64_t until_us);

/* Steps until `condition(arg)` holds, at most `limit_us` of virtual time; returns whether it does.
 */
bool virtual_world_run_until(virtual_world *world, bool (*condition)(void *arg), void *arg,
                             int64_t limit_us);
void virtual_world_run_for(virtual_world *world, int64_t duration_us);

#endif
