/* The tasks of a mirror: one block each, found by a table that is as full as it may be, since a
 * node has one of each task in the namespace. */
#include "mirror.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"

enum { DELAYED = MF_MIRROR_DELAYED };
enum { SEEN = MF_MIRROR_TASK_SEEN | MF_MIRROR_OWNER_SEEN | MF_MIRROR_DELAY_SEEN };
enum { SMALLEST = 64 };
static const uint32_t nowhere = UINT32_MAX;

/* The table. */

static size_t home(const mf_mirror *mirror, const char *id, size_t length)
{
    return mf__hash(id, length) & (mirror->size - 1);
}

/* The place of the task, or the free one where it belongs. */
static size_t place_of(const mf_mirror *mirror, mf_bytes id)
{
    size_t at = home(mirror, (const char *)id.data, id.len);

    while (mirror->tasks[at] != NULL && (strncmp(mirror->tasks[at]->id, (char *)id.data, id.len) ||
                                         mirror->tasks[at]->id[id.len] != '\0'))
        at = (at + 1) & (mirror->size - 1);
    return at;
}

static bool resize(mf_mirror *mirror, size_t size)
{
    mf_mirror_task **old = mirror->tasks;
    size_t old_size = mirror->size;
    mf_mirror_task **tasks = calloc(size, sizeof *tasks);

    if (tasks == NULL)
        return false;
    mirror->tasks = tasks;
    mirror->size = size;
    for (size_t i = 0; i < old_size; i++)
        if (old[i] != NULL)
            tasks[place_of(mirror, mf__bytes_of(old[i]->id))] = old[i];
    free(old);
    return true;
}

mf_mirror_task *mf__mirror_find(const mf_mirror *mirror, mf_bytes id)
{
    return mirror->size != 0 ? mirror->tasks[place_of(mirror, id)] : NULL;
}

static mf_mirror_task *add(mf_mirror *mirror, mf_bytes id)
{
    bool full = mirror->count * 4 >= mirror->size * 3;
    mf_mirror_task *task = malloc(sizeof *task + id.len + 1);

    if (task == NULL || (full && !resize(mirror, mirror->size ? mirror->size * 2 : SMALLEST))) {
        free(task);
        mirror->broken = true;
        return NULL;
    }
    *task = (mf_mirror_task){.place = nowhere};
    memcpy(task->id, id.data, id.len);
    task->id[id.len] = '\0';
    mirror->tasks[place_of(mirror, id)] = task;
    mirror->count++;
    return task;
}

/* Frees the one at this place; those behind it that belong before it move up. */
static void remove_at(mf_mirror *mirror, size_t gap)
{
    size_t mask = mirror->size - 1;

    free(mirror->tasks[gap]);
    for (size_t at = (gap + 1) & mask; mirror->tasks[at] != NULL; at = (at + 1) & mask) {
        size_t wanted = home(mirror, mirror->tasks[at]->id, strlen(mirror->tasks[at]->id));
        if (((at - wanted) & mask) < ((at - gap) & mask))
            continue;
        mirror->tasks[gap] = mirror->tasks[at];
        gap = at;
    }
    mirror->tasks[gap] = NULL;
    mirror->count--;
}

static void shrink(mf_mirror *mirror)
{
    size_t size = mirror->size;

    while (size > SMALLEST && mirror->count * 8 < size)
        size /= 2;
    if (size != mirror->size)
        resize(mirror, size);
}

/* Those that can be claimed. */

static void open_up(mf_mirror *mirror, mf_mirror_task *task)
{
    if (mirror->open_count == mirror->open_size) {
        size_t size = mirror->open_size + mirror->open_size / 2 + SMALLEST;
        mf_mirror_task **open = realloc(mirror->open, size * sizeof(mf_mirror_task *));
        if (open == NULL) {
            mirror->broken = true;
            return;
        }
        mirror->open = open;
        mirror->open_size = size;
    }
    task->place = (uint32_t)mirror->open_count;
    mirror->open[mirror->open_count++] = task;
}

void mf__mirror_close(mf_mirror *mirror, mf_mirror_task *task)
{
    if ((task->flags & DELAYED) != 0 || task->place == nowhere)
        return;
    mf_mirror_task *last = mirror->open[--mirror->open_count];
    mirror->open[task->place] = last;
    last->place = task->place;
    task->place = nowhere;
}

static bool is_nothing(const mf_mirror_task *task)
{
    return task->flags == 0 && task->owner == NULL && task->created == 0;
}

/* Whatever is left of it: in the midst of a walk over all, nothing is removed. */
static void settle(mf_mirror *mirror, mf_mirror_task *task)
{
    bool open = task->created != 0 && task->owner == NULL;

    if ((task->flags & DELAYED) != 0)
        return;
    if (open && task->place == nowhere)
        open_up(mirror, task);
    else if (!open)
        mf__mirror_close(mirror, task);
}

void mf__mirror_settle(mf_mirror *mirror, mf_mirror_task *task)
{
    settle(mirror, task);
    if (is_nothing(task)) {
        remove_at(mirror, place_of(mirror, mf__bytes_of(task->id)));
        shrink(mirror);
    }
}

const char *mf__mirror_open(const mf_mirror *mirror, size_t index)
{
    return mirror->open[index]->id;
}

const char *mf__mirror_id(const mf_mirror_task *task)
{
    return task->id;
}

int64_t mf__mirror_owner(const mf_mirror *mirror, mf_bytes id)
{
    const mf_mirror_task *task = mf__mirror_find(mirror, id);

    return task != NULL && task->owner != NULL ? mf__mirror_lease_id(task->owner) : 0;
}

bool mf__mirror_is_held(const mf_mirror *mirror, mf_bytes id, int64_t revision, int64_t lease)
{
    const mf_mirror_task *task = mf__mirror_find(mirror, id);

    return task != NULL && task->owner != NULL && task->owned == revision && task->created != 0 &&
           task->created < revision && mf__mirror_lease_id(task->owner) == lease;
}

/* What is told and listed. */

mf_mirror_task *mf__mirror_judge(mf_mirror *mirror, mf_mirror_source source, mf_bytes id,
                                 bool there, uint8_t seen)
{
    bool is_text = id.len > 0 && memchr(id.data, '\0', id.len) == NULL;
    mf_mirror_task *task = is_text ? mf__mirror_find(mirror, id) : NULL;

    if (task == NULL && is_text && (there || mirror->listing_tasks))
        task = add(mirror, id);
    if (task == NULL || (source == MF_MIRROR_LISTED && (task->flags & seen) != 0))
        return NULL;
    if (mirror->listing_tasks)
        task->flags |= seen;
    return task;
}

void mf__mirror_set_task(mf_mirror *mirror, mf_mirror_source source, mf_bytes id, bool there,
                         int64_t revision)
{
    mf_mirror_task *task = mf__mirror_judge(mirror, source, id, there, MF_MIRROR_TASK_SEEN);

    if (task == NULL)
        return;
    task->created = there ? revision : 0;
    mf__mirror_delay_follows(mirror, task, revision);
    mf__mirror_settle(mirror, task);
}

static void disown(mf_mirror *mirror, mf_mirror_task *task)
{
    if (task->owner != NULL)
        mf__mirror_lease_drop(mirror, task->owner);
    task->owner = NULL;
}

void mf__mirror_set_owner(mf_mirror *mirror, mf_mirror_source source, mf_bytes id, bool there,
                          int64_t revision, int64_t lease)
{
    mf_mirror_task *task = mf__mirror_judge(mirror, source, id, there, MF_MIRROR_OWNER_SEEN);

    if (task == NULL)
        return;
    disown(mirror, task);
    if (there)
        task->owner = mf__mirror_lease_add(mirror, lease);
    task->owned = revision;
    mf__mirror_settle(mirror, task);
}

/* Listings. */

void mf__mirror_begin_tasks(mf_mirror *mirror)
{
    for (size_t i = 0; mirror->listing_tasks && i < mirror->size; i++)
        if (mirror->tasks[i] != NULL)
            mirror->tasks[i]->flags &= ~SEEN;
    mirror->listing_tasks = true;
}

static void end_one(mf_mirror *mirror, mf_mirror_task *task, int64_t revision)
{
    if ((task->flags & MF_MIRROR_TASK_SEEN) == 0)
        task->created = 0;
    if ((task->flags & MF_MIRROR_OWNER_SEEN) == 0)
        disown(mirror, task);
    if ((task->flags & MF_MIRROR_DELAY_SEEN) == 0)
        mf__mirror_drop_delay(mirror, task);
    if (task->created == 0)
        mf__mirror_delay_follows(mirror, task, revision);
    task->flags &= DELAYED;
    settle(mirror, task);
}

/* In two walks: what removing one moves comes by again. */
void mf__mirror_end_tasks(mf_mirror *mirror, int64_t revision)
{
    size_t at = 0;

    mirror->listing_tasks = false;
    for (size_t i = 0; i < mirror->size; i++)
        if (mirror->tasks[i] != NULL)
            end_one(mirror, mirror->tasks[i], revision);
    while (at < mirror->size) {
        if (mirror->tasks[at] != NULL && is_nothing(mirror->tasks[at]))
            remove_at(mirror, at);
        else
            at++;
    }
    shrink(mirror);
}

void mf__mirror_clear(mf_mirror *mirror)
{
    for (size_t i = 0; i < mirror->size; i++)
        free(mirror->tasks[i]);
    free(mirror->tasks);
    free(mirror->open);
    free(mirror->delays);
    mf__mirror_clear_nodes(mirror);
    *mirror = (mf_mirror){0};
}
