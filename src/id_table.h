/* Things by id, for those of which there may be a million in one process.
 *
 * The link in each of them is one pointer, where that of uthash has 56 bytes, which would be a
 * tenth of what a sleeping task may take. Not for more than one thread. */
#ifndef MF_ID_TABLE_H
#define MF_ID_TABLE_H

#include <stddef.h>

typedef struct mf__id_link {
    struct mf__id_link *next; /* in the same bucket */
} mf__id_link;

typedef struct mf__id_table {
    const char *(*id_of)(
        const mf__id_link *link); /* the same as long as the link is in the table */
    mf__id_link **buckets;
    size_t size, count; /* size: of buckets, a power of two */
} mf__id_table;

void mf__id_table_init(mf__id_table *table, const char *(*id_of)(const mf__id_link *link));
/* Forgets all links, and frees what is the table's own. */
void mf__id_table_clear(mf__id_table *table);

/* NULL: there is none of that id. */
mf__id_link *mf__id_table_find(const mf__id_table *table, const char *id);
/* The id must not be in the table. MF_ENOMEM: only the first one can fail. */
int mf__id_table_add(mf__id_table *table, mf__id_link *link);
/* The link must be in the table. */
void mf__id_table_remove(mf__id_table *table, mf__id_link *link);

/* The link after `link`, in no order of use; after NULL the first, after the last NULL. Adding
 * changes the order; to remove while going through, ask for the next one before. */
mf__id_link *mf__id_table_next(const mf__id_table *table, const mf__id_link *link);

#endif
