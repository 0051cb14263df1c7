/* What a session holds, as far as this handle knows: so that renewing a claim needs no look at its
 * keys while the watch tells of no change. */
#ifndef MF_ETCD_HELD_H
#define MF_ETCD_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mf_held_claim {
    uint64_t hash;    /* of the task's id; 0: free */
    int64_t revision; /* that created the owner key */
    uint32_t watch;   /* the watch that saw all since; 0: none did */
} mf_held_claim;

/* All zero at first. */
typedef struct mf_held {
    mf_held_claim *entries;
    size_t count, size; /* size: 0, or a power of two */
} mf_held;

uint64_t mf__held_hash(const void *id, size_t length);

/* Two ids with one hash displace each other, and what is not found is looked up: no harm. Without
 * memory nothing is noted. */
void mf__held_put(mf_held *held, mf_held_claim claim);
const mf_held_claim *mf__held_find(const mf_held *held, uint64_t hash);
void mf__held_remove(mf_held *held, uint64_t hash);
void mf__held_clear(mf_held *held);

#endif
