/* The table of things by id, against a plain array that says which are in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "id_table.h"

enum { THINGS = 5000, STEPS = 200000 };

typedef struct thing {
    char id[16];
    mf__id_link link;
    int in, seen;
} thing;

static thing *thing_of(const mf__id_link *link)
{
    return (thing *)((char *)link - offsetof(thing, link));
}

static const char *id_of(const mf__id_link *link)
{
    return thing_of(link)->id;
}

static thing *new_things(void)
{
    thing *things = calloc(THINGS, sizeof *things);

    for (int i = 0; i < THINGS; i++)
        snprintf(things[i].id, sizeof things[i].id, "task-%d", i);
    return things;
}

static void assert_same(const mf__id_table *table, thing *things, size_t count)
{
    size_t seen = 0;

    assert_int_equal(table->count, count);
    for (mf__id_link *link = NULL; (link = mf__id_table_next(table, link)) != NULL; seen++)
        thing_of(link)->seen++;
    assert_int_equal(seen, count);
    for (int i = 0; i < THINGS; i++) {
        assert_int_equal(things[i].seen, things[i].in);
        assert_ptr_equal(mf__id_table_find(table, things[i].id),
                         things[i].in ? &things[i].link : NULL);
        things[i].seen = 0;
    }
}

/* Things come and go at random, more of them than buckets at the start. */
static void test_comes_and_goes(void **state)
{
    mf__id_table table;
    thing *things = new_things();
    size_t count = 0;
    uint32_t random = 1;

    (void)state;
    mf__id_table_init(&table, id_of);
    assert_same(&table, things, 0);
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525 + 1013904223;
        thing *t = &things[(random >> 8) % THINGS];
        if (t->in)
            mf__id_table_remove(&table, &t->link);
        else
            assert_int_equal(mf__id_table_add(&table, &t->link), 0);
        t->in = !t->in;
        count += t->in ? 1 : (size_t)-1;
        if (step % 20000 == 0)
            assert_same(&table, things, count);
    }
    assert_same(&table, things, count);
    mf__id_table_clear(&table);
    assert_int_equal(table.count, 0);
    assert_null(mf__id_table_find(&table, things[0].id));
    assert_null(mf__id_table_next(&table, NULL));
    free(things);
}

/* What is removed, and freed, on the way through hides none of the others. */
static void test_removed_on_the_way(void **state)
{
    mf__id_table table;
    thing *things = new_things();
    mf__id_link *link, *next;
    int seen = 0;

    (void)state;
    mf__id_table_init(&table, id_of);
    for (int i = 0; i < THINGS; i++)
        assert_int_equal(mf__id_table_add(&table, &things[i].link), 0);
    for (link = mf__id_table_next(&table, NULL); link != NULL; link = next, seen++) {
        next = mf__id_table_next(&table, link);
        if (seen % 3 != 0)
            continue;
        mf__id_table_remove(&table, link);
        memset(thing_of(link), 0xa5, sizeof(thing));
    }
    assert_int_equal(seen, THINGS);
    assert_int_equal(table.count, THINGS - (THINGS + 2) / 3);
    mf__id_table_clear(&table);
    free(things);
}

/* Ids that differ in the last character only are spread: no bucket is long. */
static void test_spread(void **state)
{
    mf__id_table table;
    thing *things = new_things();
    int longest = 0;

    (void)state;
    mf__id_table_init(&table, id_of);
    for (int i = 0; i < THINGS; i++)
        assert_int_equal(mf__id_table_add(&table, &things[i].link), 0);
    for (size_t i = 0; i < table.size; i++) {
        int length = 0;
        for (mf__id_link *link = table.buckets[i]; link != NULL; link = link->next)
            length++;
        longest = length > longest ? length : longest;
    }
    assert_in_range(longest, 2, 12);
    mf__id_table_clear(&table);
    free(things);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_and_goes),
        cmocka_unit_test(test_removed_on_the_way),
        cmocka_unit_test(test_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
