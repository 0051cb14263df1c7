/* Tasks of the embedded broker that become claimable later: a heap by time. */
#include <stdlib.h>

#include "embedded/space.h"

static uint32_t *place_of(mf_stored_task *task)
{
    return &task->place[MF_ROSTER_CLAIMABLE];
}

static void put(mf_space *space, size_t place, mf_stored_task *task)
{
    space->delays[place] = task;
    *place_of(task) = (uint32_t)place;
}

static void move_up(mf_space *space, size_t place, mf_stored_task *task)
{
    for (; place > 1 && space->delays[place / 2]->expires_us > task->expires_us; place /= 2)
        put(space, place, space->delays[place / 2]);
    put(space, place, task);
}

static void move_down(mf_space *space, size_t place, mf_stored_task *task)
{
    for (size_t child; (child = 2 * place) <= space->delay_count; place = child) {
        if (child < space->delay_count &&
            space->delays[child + 1]->expires_us < space->delays[child]->expires_us)
            child++;
        if (space->delays[child]->expires_us >= task->expires_us)
            break;
        put(space, place, space->delays[child]);
    }
    put(space, place, task);
}

int mf__delays_add(mf_space *space, mf_stored_task *task, int64_t until_us)
{
    if (space->delay_count + 1 >= space->delay_size) {
        size_t size = 2 * space->delay_size + 64;
        mf_stored_task **delays = realloc(space->delays, size * sizeof(mf_stored_task *));
        if (delays == NULL)
            return MF_ENOMEM;
        space->delays = delays;
        space->delay_size = size;
    }
    task->delayed = true;
    task->expires_us = until_us;
    move_up(space, ++space->delay_count, task);
    if (until_us < space->due_us)
        space->due_us = until_us;
    return MF_OK;
}

void mf__delays_remove(mf_space *space, mf_stored_task *task)
{
    if (!task->delayed)
        return;
    size_t place = *place_of(task);
    mf_stored_task *last = space->delays[space->delay_count--];
    task->delayed = false;
    *place_of(task) = MF_ROSTER_ABSENT;
    if (last == task)
        return;
    move_down(space, place, last);
    move_up(space, *place_of(last), last);
}

int64_t mf__delays_end(mf_space *space, int64_t now_us)
{
    while (space->delay_count > 0 && space->delays[1]->expires_us <= now_us) {
        mf_stored_task *task = space->delays[1];
        mf__delays_remove(space, task);
        mf__space_offer(space, task);
    }
    return space->delay_count > 0 ? space->delays[1]->expires_us : INT64_MAX;
}
