/* The tasks of a mirror: one block each, found by a table that is as full as it may be, since a
 * node has one of each task in the namespace. */
#include "mirror.h"

#include <stdlib.h>
#include <string.h>

#include "held.h"

enum { THERE = 1, TASK_SEEN = 2, OWNER_SEEN = 4, SEEN = TASK_SEEN | OWNER_SEEN };
enum { SMALLEST = 64 };
static const uint32_t nowhere = UINT32_MAX;

struct mf_mirror_task {
    mf_mirror_lease *owner; /* that its owner key is on; NULL: there is none */
    uint32_t place;         /* among the open ones */
    uint8_t flags;          /* seen: since the listing under way began */
    char id[];
};

/* The table. */

static size_t home(const mf_mirror *mirror, const char *id, size_t length)
{
    return mf__held_hash(id, length) & (mirror->size - 1);
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

static mf_mirror_task *find(const mf_mirror *mirror, mf_bytes id)
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

static void close_up(mf_mirror *mirror, mf_mirror_task *task)
{
    mf_mirror_task *last = mirror->open[--mirror->open_count];

    mirror->open[task->place] = last;
    last->place = task->place;
    task->place = nowhere;
}

static void settle(mf_mirror *mirror, mf_mirror_task *task)
{
    bool open = (task->flags & THERE) != 0 && task->owner == NULL;

    if (open && task->place == nowhere)
        open_up(mirror, task);
    else if (!open && task->place != nowhere)
        close_up(mirror, task);
}

const char *mf__mirror_open(const mf_mirror *mirror, size_t index)
{
    return mirror->open[index]->id;
}

/* What is told and listed. */

static bool is_nothing(const mf_mirror_task *task)
{
    return task->flags == 0 && task->owner == NULL;
}

/* The task, if what the source says of it counts. */
static mf_mirror_task *judge(mf_mirror *mirror, mf_mirror_source source, mf_bytes id, bool there,
                             uint8_t seen)
{
    bool is_text = id.len > 0 && memchr(id.data, '\0', id.len) == NULL;
    mf_mirror_task *task = is_text ? find(mirror, id) : NULL;

    if (task == NULL && is_text && (there || mirror->listing_tasks))
        task = add(mirror, id);
    if (task == NULL || (source == MF_MIRROR_LISTED && (task->flags & seen) != 0))
        return NULL;
    if (mirror->listing_tasks)
        task->flags |= seen;
    return task;
}

static void finish(mf_mirror *mirror, mf_mirror_task *task)
{
    settle(mirror, task);
    if (is_nothing(task)) {
        remove_at(mirror, place_of(mirror, mf__bytes_of(task->id)));
        shrink(mirror);
    }
}

void mf__mirror_set_task(mf_mirror *mirror, mf_mirror_source source, mf_bytes id, bool there)
{
    mf_mirror_task *task = judge(mirror, source, id, there, TASK_SEEN);

    if (task == NULL)
        return;
    task->flags = there ? task->flags | THERE : task->flags & ~THERE;
    finish(mirror, task);
}

static void disown(mf_mirror *mirror, mf_mirror_task *task)
{
    if (task->owner != NULL)
        mf__mirror_lease_drop(mirror, task->owner);
    task->owner = NULL;
}

void mf__mirror_set_owner(mf_mirror *mirror, mf_mirror_source source, mf_bytes id, bool there,
                          int64_t lease)
{
    mf_mirror_task *task = judge(mirror, source, id, there, OWNER_SEEN);

    if (task == NULL)
        return;
    disown(mirror, task);
    if (there)
        task->owner = mf__mirror_lease_add(mirror, lease);
    finish(mirror, task);
}

/* Listings. */

void mf__mirror_begin_tasks(mf_mirror *mirror)
{
    for (size_t i = 0; mirror->listing_tasks && i < mirror->size; i++)
        if (mirror->tasks[i] != NULL)
            mirror->tasks[i]->flags &= ~SEEN;
    mirror->listing_tasks = true;
}

static void end_one(mf_mirror *mirror, mf_mirror_task *task)
{
    if ((task->flags & TASK_SEEN) == 0)
        task->flags &= ~THERE;
    if ((task->flags & OWNER_SEEN) == 0)
        disown(mirror, task);
    task->flags &= ~SEEN;
    settle(mirror, task);
}

/* In two walks: what removing one moves comes by again. */
void mf__mirror_end_tasks(mf_mirror *mirror)
{
    size_t at = 0;

    mirror->listing_tasks = false;
    for (size_t i = 0; i < mirror->size; i++)
        if (mirror->tasks[i] != NULL)
            end_one(mirror, mirror->tasks[i]);
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
    mf__mirror_clear_nodes(mirror);
    *mirror = (mf_mirror){0};
}
