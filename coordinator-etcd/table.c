/* A table of pieces of bytes, each with a number: open addressing in an arena. */
#include "table.h"

#include "hash.h"

typedef struct mf_table_entry {
    mf_bytes key; /* data NULL: free */
    size_t number;
} mf_table_entry;

void mf__table_init(mf_table *table, mf_arena *arena, size_t most)
{
    table->size = 16;
    while (table->size < most * 2)
        table->size *= 2;
    table->entries = MF_ARENA_NEW(arena, mf_table_entry, table->size);
}

/* The entry with the key, or the free one where it belongs. */
static mf_table_entry *find(const mf_table *table, mf_bytes key)
{
    size_t at = mf__hash(key.data, key.len) & (table->size - 1);

    while (table->entries[at].key.data != NULL && !mf__bytes_equal(table->entries[at].key, key))
        at = (at + 1) & (table->size - 1);
    return &table->entries[at];
}

size_t mf__table_add(mf_table *table, mf_bytes key, size_t number)
{
    static uint8_t nothing[1];
    mf_table_entry *entry = find(table, key);

    if (entry->key.data != NULL)
        return entry->number;
    *entry = (mf_table_entry){key, number};
    if (key.data == NULL)
        entry->key.data = nothing;
    return number;
}

bool mf__table_has(const mf_table *table, mf_bytes key)
{
    return find(table, key)->key.data != NULL;
}

size_t mf__table_find(const mf_table *table, mf_bytes key)
{
    const mf_table_entry *entry = find(table, key);

    return entry->key.data != NULL ? entry->number : MF_TABLE_NONE;
}
