/* Tasks in the order in which they came: a sorted array with holes, closed up
 * now and then. */
#include "embedded/roster.h"

#include <assert.h>
#include <stdlib.h>

#include <metafora/error.h>

#include "embedded/space.h"

/* Listings step over holes; beyond this many more than tasks they are closed
 * up. */
static const size_t spare_holes = 1024;

void mf__roster_init(mf_roster *roster, int kind)
{
    *roster = (mf_roster){.kind = kind};
}

void mf__roster_clear(mf_roster *roster)
{
    free(roster->entries);
    *roster = (mf_roster){.kind = roster->kind};
}

static int grow(mf_roster *roster, size_t size)
{
    if (size < roster->size + roster->size / 2)
        size = roster->size + roster->size / 2;
    mf_roster_entry *entries = realloc(roster->entries, size * sizeof *entries);
    if (entries == NULL)
        return MF_ENOMEM;
    roster->entries = entries;
    roster->size = size;
    return MF_OK;
}

static void close_up(mf_roster *roster)
{
    size_t kept = 0;
    for (size_t i = 0; i < roster->count; i++) {
        if (roster->entries[i].task == NULL)
            continue;
        roster->entries[kept] = roster->entries[i];
        roster->entries[kept].task->place[roster->kind] = (uint32_t)kept;
        kept++;
    }
    roster->count = kept;
    roster->holes = 0;
}

int mf__roster_reserve(mf_roster *roster, size_t tasks)
{
    if (tasks >= MF_ROSTER_ABSENT / 2)
        return MF_ENOMEM;
    return tasks <= roster->size ? MF_OK : grow(roster, tasks + 64);
}

void mf__roster_add(mf_roster *roster, struct mf_stored_task *task)
{
    if (roster->count == roster->size) {
        /* Closing up for the sake of a few holes would soon be needed again. */
        bool worth = roster->holes > roster->size / 8;
        if (worth || grow(roster, roster->size + 64) != MF_OK)
            close_up(roster);
    }
    assert(roster->count < roster->size);
    roster->entries[roster->count] = (mf_roster_entry){++roster->last_order, task};
    task->place[roster->kind] = (uint32_t)roster->count++;
}

void mf__roster_remove(mf_roster *roster, struct mf_stored_task *task)
{
    uint32_t place = task->place[roster->kind];
    if (place == MF_ROSTER_ABSENT)
        return;
    assert(roster->entries[place].task == task);
    roster->entries[place].task = NULL;
    task->place[roster->kind] = MF_ROSTER_ABSENT;
    roster->holes++;
    if (roster->holes > roster->count - roster->holes + spare_holes)
        close_up(roster);
}

size_t mf__roster_after(const mf_roster *roster, uint64_t order)
{
    size_t low = 0, high = roster->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (roster->entries[middle].order <= order)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
