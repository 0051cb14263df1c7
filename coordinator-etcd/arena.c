/* Memory that is freed all at once. */
#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/error.h>

enum { FIRST_BLOCK = 4096, BLOCK_MOST = 1 << 18, ALIGNMENT = alignof(max_align_t) };

typedef struct mf_arena_block {
    struct mf_arena_block *next;
    size_t size, used;
    alignas(max_align_t) uint8_t bytes[];
} mf_arena_block;

static size_t rounded(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

int mf__arena_reserve(mf_arena *arena, size_t size)
{
    mf_arena_block *block = arena->blocks;
    size_t least = FIRST_BLOCK;

    if (block != NULL && block->size - block->used >= size)
        return MF_OK;
    if (block != NULL)
        least = block->size < BLOCK_MOST / 2 ? block->size * 2 : BLOCK_MOST;
    size = size < least ? least : size;
    block = malloc(sizeof *block + size);
    if (block == NULL)
        return MF_ENOMEM;
    *block = (mf_arena_block){.next = arena->blocks, .size = size};
    arena->blocks = block;
    return MF_OK;
}

/* Not zeroed; NULL: no memory. */
static void *get(mf_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2 || mf__arena_reserve(arena, rounded(size)) != MF_OK)
        return NULL;
    void *out = arena->blocks->bytes + arena->blocks->used;
    arena->blocks->used += rounded(size);
    return out;
}

void *mf__arena_take(mf_arena *arena, size_t size)
{
    void *out = get(arena, size);

    if (out == NULL)
        abort();
    return memset(out, 0, size);
}

static void *allocate(void *arg, size_t size)
{
    return get(arg, size);
}

static void release(void *arg, void *pointer)
{
    (void)arg;
    (void)pointer;
}

void mf__arena_init(mf_arena *arena)
{
    arena->blocks = NULL;
    arena->allocator = (ProtobufCAllocator){allocate, release, arena};
}

void mf__arena_clear(mf_arena *arena)
{
    while (arena->blocks != NULL) {
        mf_arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
}
