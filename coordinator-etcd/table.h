/* A table of pieces of bytes, each with a number, in an arena. */
#ifndef MF_ETCD_TABLE_H
#define MF_ETCD_TABLE_H

#include "message.h"

typedef struct mf_table {
    struct mf_table_entry *entries;
    size_t size; /* a power of two */
} mf_table;

/* For at most `most` pieces, which are borrowed. */
void mf__table_init(mf_table *table, mf_arena *arena, size_t most);

/* Adds a piece and returns its number; when there is an equal one, the number of that. */
size_t mf__table_add(mf_table *table, mf_bytes key, size_t number);

bool mf__table_has(const mf_table *table, mf_bytes key);

#define MF_TABLE_NONE SIZE_MAX
/* The number of a piece, or MF_TABLE_NONE. */
size_t mf__table_find(const mf_table *table, mf_bytes key);

#endif
