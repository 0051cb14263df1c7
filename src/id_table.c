#include "id_table.h"

#include <stdlib.h>
#include <string.h>

#include <metafora/error.h>

#include "hash.h"

enum { FIRST_SIZE = 64, LARGEST_LOAD = 2 };

void mf__id_table_init(mf__id_table *table, const char *(*id_of)(const mf__id_link *link))
{
    *table = (mf__id_table){.id_of = id_of};
}

void mf__id_table_clear(mf__id_table *table)
{
    free(table->buckets);
    mf__id_table_init(table, table->id_of);
}

static mf__id_link **bucket_of(const mf__id_table *table, const char *id)
{
    return &table->buckets[mf__hash_text(id) & (table->size - 1)];
}

mf__id_link *mf__id_table_find(const mf__id_table *table, const char *id)
{
    if (table->count == 0)
        return NULL;
    mf__id_link *link = *bucket_of(table, id);
    while (link != NULL && strcmp(table->id_of(link), id) != 0)
        link = link->next;
    return link;
}

static void push(mf__id_table *table, mf__id_link *link)
{
    mf__id_link **bucket = bucket_of(table, table->id_of(link));

    link->next = *bucket;
    *bucket = link;
}

static int resize(mf__id_table *table, size_t size)
{
    mf__id_table before = *table;
    mf__id_link **buckets = calloc(size, sizeof(mf__id_link *));

    if (buckets == NULL)
        return MF_ENOMEM;
    table->buckets = buckets;
    table->size = size;
    for (size_t i = 0; i < before.size; i++) {
        for (mf__id_link *link = before.buckets[i], *next; link != NULL; link = next) {
            next = link->next;
            push(table, link);
        }
    }
    free(before.buckets);
    return MF_OK;
}

int mf__id_table_add(mf__id_table *table, mf__id_link *link)
{
    if (table->size == 0 && resize(table, FIRST_SIZE) != MF_OK)
        return MF_ENOMEM;
    if (table->count >= LARGEST_LOAD * table->size)
        (void)resize(table, 2 * table->size); /* without memory it goes on with longer buckets */
    push(table, link);
    table->count++;
    return MF_OK;
}

void mf__id_table_remove(mf__id_table *table, mf__id_link *link)
{
    mf__id_link **at = bucket_of(table, table->id_of(link));

    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    table->count--;
}

mf__id_link *mf__id_table_next(const mf__id_table *table, const mf__id_link *link)
{
    size_t i = 0;

    if (link != NULL && link->next != NULL)
        return link->next;
    if (link != NULL)
        i = (size_t)(bucket_of(table, table->id_of(link)) - table->buckets) + 1;
    while (i < table->size && table->buckets[i] == NULL)
        i++;
    return i < table->size ? table->buckets[i] : NULL;
}
