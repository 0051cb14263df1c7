/* What a session holds: open addressing, with the gaps closed when something goes. */
#include "held.h"

#include <stdlib.h>

uint64_t mf__held_hash(const void *id, size_t length)
{
    const unsigned char *bytes = id;
    uint64_t value = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < length; i++)
        value = (value ^ bytes[i]) * UINT64_C(1099511628211);
    value ^= value >> 29;
    value *= UINT64_C(0xbf58476d1ce4e5b9);
    value ^= value >> 32;
    return value != 0 ? value : 1;
}

static size_t place(const mf_held *held, uint64_t hash)
{
    size_t at = hash & (held->size - 1);

    while (held->entries[at].hash != 0 && held->entries[at].hash != hash)
        at = (at + 1) & (held->size - 1);
    return at;
}

static bool resize(mf_held *held, size_t size)
{
    mf_held old = *held;

    held->entries = calloc(size, sizeof *held->entries);
    if (held->entries == NULL) {
        *held = old;
        return false;
    }
    held->size = size;
    for (size_t i = 0; i < old.size; i++)
        if (old.entries[i].hash != 0)
            held->entries[place(held, old.entries[i].hash)] = old.entries[i];
    free(old.entries);
    return true;
}

void mf__held_put(mf_held *held, mf_held_claim claim)
{
    if (held->count * 4 >= held->size * 3 && !resize(held, held->size ? held->size * 2 : 64))
        return;
    mf_held_claim *entry = &held->entries[place(held, claim.hash)];
    held->count += entry->hash == 0;
    *entry = claim;
}

const mf_held_claim *mf__held_find(const mf_held *held, uint64_t hash)
{
    if (held->size == 0)
        return NULL;
    const mf_held_claim *entry = &held->entries[place(held, hash)];
    return entry->hash != 0 ? entry : NULL;
}

/* Entries behind the gap that belong before it move into it. */
static void close_gap(mf_held *held, size_t gap)
{
    size_t mask = held->size - 1;

    for (size_t at = (gap + 1) & mask; held->entries[at].hash != 0; at = (at + 1) & mask) {
        size_t home = held->entries[at].hash & mask;
        if (((at - home) & mask) < ((at - gap) & mask))
            continue;
        held->entries[gap] = held->entries[at];
        gap = at;
    }
    held->entries[gap] = (mf_held_claim){0};
}

void mf__held_remove(mf_held *held, uint64_t hash)
{
    if (mf__held_find(held, hash) == NULL)
        return;
    close_gap(held, place(held, hash));
    held->count--;
    if (held->size > 64 && held->count * 8 < held->size)
        resize(held, held->size / 2);
}

void mf__held_clear(mf_held *held)
{
    free(held->entries);
    *held = (mf_held){0};
}
