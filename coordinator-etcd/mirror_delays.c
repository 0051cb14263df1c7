/* The delays of a mirror: a binary heap by the time when they are due. A task's place is its
 * delay's, as long as it has one. */
#include "mirror.h"

#include <stdlib.h>

static void put(mf_mirror *mirror, size_t at, mf_mirror_delay delay)
{
    mirror->delays[at] = delay;
    delay.task->place = (uint32_t)at;
}

static void rise(mf_mirror *mirror, size_t at)
{
    const mf_mirror_delay moved = mirror->delays[at];

    for (; at > 0 && moved.due_us < mirror->delays[(at - 1) / 2].due_us; at = (at - 1) / 2)
        put(mirror, at, mirror->delays[(at - 1) / 2]);
    put(mirror, at, moved);
}

static size_t first_below(const mf_mirror *mirror, size_t at)
{
    size_t left = 2 * at + 1, right = left + 1;

    return right < mirror->delay_count && mirror->delays[right].due_us < mirror->delays[left].due_us
               ? right
               : left;
}

static void sink(mf_mirror *mirror, size_t at)
{
    const mf_mirror_delay moved = mirror->delays[at];
    size_t below;

    while ((below = first_below(mirror, at)) < mirror->delay_count &&
           mirror->delays[below].due_us < moved.due_us) {
        put(mirror, at, mirror->delays[below]);
        at = below;
    }
    put(mirror, at, moved);
}

static void set_due(mf_mirror *mirror, mf_mirror_task *task, int64_t due_us)
{
    mirror->delays[task->place].due_us = due_us;
    rise(mirror, task->place);
    sink(mirror, task->place);
}

static bool add(mf_mirror *mirror, mf_mirror_task *task)
{
    if (mirror->delay_count == mirror->delay_size) {
        size_t size = mirror->delay_size + mirror->delay_size / 2 + 16;
        mf_mirror_delay *larger = realloc(mirror->delays, size * sizeof *larger);
        if (larger == NULL) {
            mirror->broken = true;
            return false;
        }
        mirror->delays = larger;
        mirror->delay_size = size;
    }
    mf__mirror_close(mirror, task);
    task->flags |= MF_MIRROR_DELAYED;
    put(mirror, mirror->delay_count++, (mf_mirror_delay){.due_us = INT64_MAX, .task = task});
    return true;
}

void mf__mirror_drop_delay(mf_mirror *mirror, mf_mirror_task *task)
{
    size_t at = task->place;

    if ((task->flags & MF_MIRROR_DELAYED) == 0)
        return;
    task->flags &= ~MF_MIRROR_DELAYED;
    task->place = UINT32_MAX;
    mf_mirror_delay last = mirror->delays[--mirror->delay_count];
    if (at == mirror->delay_count)
        return;
    put(mirror, at, last);
    set_due(mirror, last.task, last.due_us);
}

void mf__mirror_delay_follows(mf_mirror *mirror, mf_mirror_task *task, int64_t revision)
{
    if ((task->flags & MF_MIRROR_DELAYED) == 0)
        return;
    const mf_mirror_delay *delay = &mirror->delays[task->place];
    if (task->created != 0)
        set_due(mirror, task, delay->until_us);
    else if (delay->revision <= revision)
        set_due(mirror, task, 0);
}

void mf__mirror_set_delay(mf_mirror *mirror, mf_mirror_source source, mf_bytes id, bool there,
                          int64_t revision, int64_t until_us)
{
    mf_mirror_task *task = mf__mirror_judge(mirror, source, id, there, MF_MIRROR_DELAY_SEEN);

    if (task == NULL)
        return;
    if (!there) {
        mf__mirror_drop_delay(mirror, task);
    } else if ((task->flags & MF_MIRROR_DELAYED) != 0 || add(mirror, task)) {
        mirror->delays[task->place].until_us = until_us;
        mirror->delays[task->place].revision = revision;
        set_due(mirror, task, until_us);
    }
    mf__mirror_settle(mirror, task);
}

int64_t mf__mirror_next_due(const mf_mirror *mirror)
{
    return mirror->delay_count > 0 ? mirror->delays[0].due_us : INT64_MAX;
}

/* Those below one that is not due are not either. Breadth first: what was found leads on. */
size_t mf__mirror_due(const mf_mirror *mirror, int64_t now_us, const mf_mirror_delay **out,
                      size_t most)
{
    size_t count = 0;

    if (most > 0 && mf__mirror_next_due(mirror) <= now_us)
        out[count++] = &mirror->delays[0];
    for (size_t i = 0; i < count; i++) {
        size_t left = 2 * (size_t)(out[i] - mirror->delays) + 1;
        for (size_t at = left; at <= left + 1 && at < mirror->delay_count && count < most; at++)
            if (mirror->delays[at].due_us <= now_us)
                out[count++] = &mirror->delays[at];
    }
    return count;
}

void mf__mirror_end_delay(mf_mirror *mirror, mf_bytes id, int64_t revision, bool ended)
{
    mf_mirror_task *task = mf__mirror_find(mirror, id);

    if (task == NULL || (task->flags & MF_MIRROR_DELAYED) == 0 ||
        mirror->delays[task->place].revision != revision)
        return;
    if (ended)
        mf__mirror_drop_delay(mirror, task);
    else
        set_due(mirror, task, mirror->delays[task->place].until_us);
    mf__mirror_settle(mirror, task);
}
