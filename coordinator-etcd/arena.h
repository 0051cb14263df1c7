/* Memory that is freed all at once: what a request is made of, and what its answer holds. */
#ifndef MF_ETCD_ARENA_H
#define MF_ETCD_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

typedef struct mf_arena {
    struct mf_arena_block *blocks;
    ProtobufCAllocator allocator; /* for unpacking into the arena; it fails by NULL */
} mf_arena;

/* The arena must not move afterwards. */
void mf__arena_init(mf_arena *arena);
void mf__arena_clear(mf_arena *arena);

/* Makes sure that `size` bytes can be taken in pieces. MF_ENOMEM. */
int mf__arena_reserve(mf_arena *arena, size_t size);

/* Zeroed, aligned for anything. A process that has no memory for a few bytes more than were
 * reserved ends. */
void *mf__arena_take(mf_arena *arena, size_t size);

#define MF_ARENA_NEW(arena, type, count) ((type *)mf__arena_take(arena, (count) * sizeof(type)))

#endif
