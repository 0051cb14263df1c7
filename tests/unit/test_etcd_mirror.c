/* The mirror of a namespace: what events and listings make of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mirror.h"

static const mf_mirror_source told = MF_MIRROR_TOLD, listed = MF_MIRROR_LISTED;

static void set_task(mf_mirror *m, mf_mirror_source source, const char *id, bool there)
{
    mf__mirror_set_task(m, source, mf__bytes_of(id), there, 1);
}

/* lease -1: there is no owner key. */
static void set_owner(mf_mirror *m, mf_mirror_source source, const char *id, int64_t lease)
{
    mf__mirror_set_owner(m, source, mf__bytes_of(id), lease >= 0, 2, lease);
}

static bool is_open(const mf_mirror *m, const char *id)
{
    for (size_t i = 0; i < m->open_count; i++)
        if (strcmp(mf__mirror_open(m, i), id) == 0)
            return true;
    return false;
}

static void set_node(mf_mirror *m, mf_mirror_source source, const char *name, bool there)
{
    mf__mirror_set_node(m, source, &(mf_node){.name = name, .weight = 1}, there);
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The changes since the last call: "name count, ", or "name gone, ", in order of their names. */
static const char *changes(mf_mirror *m)
{
    static char text[256];
    char parts[8][40];
    size_t count = 0;
    mf_arena arena;
    mf_node node;
    bool gone;

    mf__arena_init(&arena);
    while (mf__mirror_take_changed(m, &arena, &node, &gone)) {
        assert_true(count < 8);
        if (gone)
            snprintf(parts[count++], sizeof *parts, "%s gone, ", node.name);
        else
            snprintf(parts[count++], sizeof *parts, "%s %d, ", node.name, (int)node.tasks);
    }
    mf__arena_clear(&arena);
    qsort(parts, count, sizeof *parts, compare);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        strcat(text, parts[i]);
    return text;
}

/* A task can be claimed while it is there and has no owner key, in whatever order the two come and
 * go. */
static void test_open(void **state)
{
    mf_mirror m = {0};

    (void)state;
    set_task(&m, told, "a", true);
    assert_true(is_open(&m, "a"));
    set_owner(&m, told, "a", 7);
    assert_false(is_open(&m, "a"));
    set_owner(&m, told, "a", 0); /* written over, on no lease */
    assert_false(is_open(&m, "a"));
    set_task(&m, told, "a", false);
    set_task(&m, told, "a", true);
    assert_false(is_open(&m, "a"));
    set_owner(&m, told, "a", -1);
    assert_true(is_open(&m, "a"));
    set_owner(&m, told, "b", 7); /* an owner key without a task */
    assert_int_equal(m.open_count, 1);
    set_task(&m, told, "a", false);
    set_owner(&m, told, "b", -1);
    assert_int_equal(m.count, 0);
    mf__mirror_clear(&m);
}

/* What an event has told since the listing began counts, and what neither shows is gone. */
static void test_listing_meets_events(void **state)
{
    mf_mirror m = {0};

    (void)state;
    set_task(&m, told, "lost", true); /* its removal was not told of */
    set_task(&m, told, "kept", true);
    set_owner(&m, told, "kept", 7); /* nor was the end of its claim */
    mf__mirror_begin_tasks(&m);
    set_task(&m, told, "removed", true);
    set_task(&m, told, "removed", false);
    set_owner(&m, told, "claimed", 8);
    set_task(&m, told, "late", true);
    set_task(&m, listed, "removed", true);
    set_task(&m, listed, "claimed", true);
    set_owner(&m, listed, "claimed", 9);
    set_task(&m, listed, "kept", true);
    set_task(&m, listed, "found", true);
    mf__mirror_end_tasks(&m, 1);
    assert_false(is_open(&m, "lost"));
    assert_false(is_open(&m, "removed"));
    assert_false(is_open(&m, "claimed"));
    assert_true(is_open(&m, "late"));
    assert_true(is_open(&m, "kept"));
    assert_true(is_open(&m, "found"));
    assert_int_equal(m.count, 4);
    mf__mirror_clear(&m);
}

/* A listing that was given up leaves nothing behind for the next one. */
static void test_listing_begun_again(void **state)
{
    mf_mirror m = {0};

    (void)state;
    mf__mirror_begin_tasks(&m);
    set_task(&m, listed, "old", true);
    set_task(&m, told, "gone", false);
    mf__mirror_begin_tasks(&m);
    set_task(&m, listed, "gone", true); /* it is there again */
    mf__mirror_end_tasks(&m, 1);
    assert_false(is_open(&m, "old"));
    assert_true(is_open(&m, "gone"));
    assert_int_equal(m.count, 1);
    mf__mirror_clear(&m);
}

/* A walk over the open tasks from the last to the first misses none that stays. */
static void test_walk(void **state)
{
    enum { COUNT = 300 };
    mf_mirror m = {0};
    bool seen[COUNT] = {false}, stays[COUNT];
    unsigned random = 1;
    char id[16];

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof id, "%d", i);
        set_task(&m, told, id, true);
        stays[i] = true;
    }
    for (size_t at = m.open_count; at > 0;) {
        seen[atoi(mf__mirror_open(&m, --at))] = true;
        random = random * 1103515245 + 12345;
        int victim = (int)(random >> 8) % COUNT;
        snprintf(id, sizeof id, "%d", victim);
        set_owner(&m, told, id, random % 3 == 0 ? -1 : 7);
        stays[victim] = false;
        at = at < m.open_count ? at : m.open_count;
    }
    for (int i = 0; i < COUNT; i++)
        assert_true(seen[i] || !stays[i]);
    mf__mirror_clear(&m);
}

/* After any row of events the mirror has what plain arrays have, and its memory shrinks. */
static void test_like_arrays(void **state)
{
    enum { IDS = 2000 };
    static bool there[IDS], owned[IDS];
    mf_mirror m = {0};
    unsigned random = 1;
    char id[16];

    (void)state;
    for (int step = 0; step < 200000; step++) {
        random = random * 1103515245 + 12345;
        unsigned n = (random >> 8) % IDS, what = (random >> 4) % 4;
        snprintf(id, sizeof id, "%u", n);
        if (what < 2)
            set_task(&m, told, id, there[n] = what);
        else
            set_owner(&m, told, id, (owned[n] = what == 2) ? (int64_t)n % 50 + 1 : -1);
        if (step % 50000 == 0)
            mf__mirror_begin_tasks(&m);
        for (unsigned i = 0; step % 50000 == 999 && i < IDS; i++) {
            snprintf(id, sizeof id, "%u", i);
            if (there[i])
                set_task(&m, listed, id, true);
            if (owned[i])
                set_owner(&m, listed, id, (int64_t)i % 50 + 1);
        }
        if (step % 50000 == 999)
            mf__mirror_end_tasks(&m, 1);
    }
    size_t count = 0, open = 0;
    for (unsigned i = 0; i < IDS; i++) {
        count += there[i] || owned[i];
        open += there[i] && !owned[i];
        snprintf(id, sizeof id, "%u", i);
        assert_int_equal(is_open(&m, id), there[i] && !owned[i]);
    }
    assert_int_equal(m.count, count);
    assert_int_equal(m.open_count, open);
    for (unsigned i = 0; i < IDS; i++) {
        snprintf(id, sizeof id, "%u", i);
        set_task(&m, told, id, false);
        set_owner(&m, told, id, -1);
    }
    assert_int_equal(m.count, 0);
    assert_true(m.size <= 64);
    assert_null(m.leases);
    mf__mirror_clear(&m);
}

/* A claim is held while its owner key is as a revision put it, on its lease, and its task is there
 * in the life in which it was claimed. */
static void test_held(void **state)
{
    mf_bytes id = mf__bytes_of("a");
    mf_mirror m = {0};

    (void)state;
    mf__mirror_set_task(&m, told, id, true, 5);
    mf__mirror_set_owner(&m, told, id, true, 6, 70);
    assert_true(mf__mirror_is_held(&m, id, 6, 70));
    assert_false(mf__mirror_is_held(&m, id, 5, 70));
    assert_false(mf__mirror_is_held(&m, id, 6, 71));
    assert_int_equal(mf__mirror_owner(&m, id), 70);
    mf__mirror_set_owner(&m, told, id, true, 7, 70); /* written over */
    assert_false(mf__mirror_is_held(&m, id, 6, 70));
    mf__mirror_set_task(&m, told, id, false, 8);
    assert_false(mf__mirror_is_held(&m, id, 7, 70));
    mf__mirror_set_task(&m, told, id, true, 9); /* another life */
    assert_false(mf__mirror_is_held(&m, id, 7, 70));
    mf__mirror_set_owner(&m, told, id, false, 10, 0);
    assert_int_equal(mf__mirror_owner(&m, id), 0);
    mf__mirror_set_owner(&m, told, id, true, 11, 70);
    assert_true(mf__mirror_is_held(&m, id, 11, 70));
    mf__mirror_clear(&m);
}

/* A delayed task is not open. The first one that is due is ended first; one that somebody else has
 * ended or put anew is not taken for the old one. */
static void test_delays(void **state)
{
    const mf_mirror_delay *due[2];
    mf_mirror m = {0};
    char id[8];

    (void)state;
    for (int i = 9; i >= 0; i--) {
        snprintf(id, sizeof id, "%d", i);
        set_task(&m, told, id, true);
        mf__mirror_set_delay(&m, told, mf__bytes_of(id), true, 10 + i, 100 + i);
    }
    assert_int_equal(m.open_count, 0);
    assert_int_equal(mf__mirror_next_due(&m), 100);
    assert_int_equal(mf__mirror_due(&m, 99, due, 2), 0);
    assert_int_equal(mf__mirror_due(&m, 100, due, 2), 1);
    assert_string_equal(mf__mirror_id(due[0]->task), "0");
    assert_int_equal(mf__mirror_due(&m, 200, due, 2), 2);
    mf__mirror_end_delay(&m, mf__bytes_of("0"), 10, true);
    assert_true(is_open(&m, "0"));
    assert_int_equal(mf__mirror_next_due(&m), 101);
    mf__mirror_set_delay(&m, told, mf__bytes_of("1"), true, 50, 300);
    mf__mirror_end_delay(&m, mf__bytes_of("1"), 11, true);
    assert_false(is_open(&m, "1"));
    assert_int_equal(mf__mirror_next_due(&m), 102);
    mf__mirror_set_delay(&m, told, mf__bytes_of("1"), false, 60, 0);
    assert_true(is_open(&m, "1"));
    mf__mirror_clear(&m);
}

/* The delay of a task that is gone is due at once, unless it is of a later life, of which the other
 * watch has yet to tell; it stays when the task is there again. */
static void test_delay_without_a_task(void **state)
{
    mf_bytes id = mf__bytes_of("a");
    mf_mirror m = {0};

    (void)state;
    mf__mirror_set_delay(&m, told, id, true, 5, 100); /* told of before its task */
    assert_int_equal(mf__mirror_next_due(&m), 100);
    mf__mirror_set_task(&m, told, id, true, 5);
    mf__mirror_set_task(&m, told, id, false, 6);
    assert_int_equal(mf__mirror_next_due(&m), 0);
    mf__mirror_end_delay(&m, id, 5, false);
    assert_int_equal(mf__mirror_next_due(&m), 100);
    mf__mirror_set_delay(&m, told, id, true, 8, 200);
    mf__mirror_set_task(&m, told, id, false, 7);
    assert_int_equal(mf__mirror_next_due(&m), 200);
    mf__mirror_begin_tasks(&m);
    mf__mirror_set_delay(&m, listed, id, true, 8, 200);
    mf__mirror_end_tasks(&m, 9);
    assert_int_equal(mf__mirror_next_due(&m), 0);
    mf__mirror_set_task(&m, told, id, true, 10);
    assert_int_equal(mf__mirror_next_due(&m), 200);
    mf__mirror_set_delay(&m, told, id, false, 11, 0);
    set_task(&m, told, "a", false);
    assert_int_equal(m.count, 0);
    mf__mirror_clear(&m);
}

/* What may be there of a task, as a broker has it. */
typedef struct truth {
    int64_t task, owner, lease, delay; /* revisions, 0: not there; the lease is the owner key's */
} truth;

static unsigned next_random(unsigned *random)
{
    *random = *random * 1103515245 + 12345;
    return *random >> 8;
}

/* One change by a revision, of one key or of several. */
static void change_one(truth *t, int64_t revision, unsigned what)
{
    switch (what % 6) {
    case 0:
        *t = (truth){.task = t->task != 0 ? t->task : revision, t->owner, t->lease, t->delay};
        break;
    case 1: /* removed, but for the owner key */
        t->task = t->delay = 0;
        break;
    case 2:
        if (t->task != 0 && t->owner == 0 && t->delay == 0)
            *t = (truth){t->task, revision, 1 + what % 7, 0};
        break;
    case 3:
        t->owner = 0;
        break;
    case 4:
        if (t->task != 0)
            t->delay = revision;
        break;
    case 5:
        t->delay = 0;
        break;
    }
}

/* The events of the change from `was`, which revision made. */
static void tell_change(mf_mirror *m, mf_bytes id, const truth *was, const truth *is,
                        int64_t revision)
{
    if (was->task != is->task)
        mf__mirror_set_task(m, told, id, is->task != 0, revision);
    if (was->owner != is->owner)
        mf__mirror_set_owner(m, told, id, is->owner != 0, revision, is->lease);
    if (was->delay != is->delay)
        mf__mirror_set_delay(m, told, id, is->delay != 0, revision, is->delay + 1000);
}

static void list_one(mf_mirror *m, mf_bytes id, const truth *t)
{
    if (t->task != 0)
        mf__mirror_set_task(m, listed, id, true, t->task);
    if (t->owner != 0)
        mf__mirror_set_owner(m, listed, id, true, t->owner, t->lease);
    if (t->delay != 0)
        mf__mirror_set_delay(m, listed, id, true, t->delay, t->delay + 1000);
}

static void assert_mirrors(mf_mirror *m, const truth *all, size_t count)
{
    size_t delays = 0;
    char id[16];

    for (size_t i = 0; i < count; i++) {
        const truth *t = &all[i];
        snprintf(id, sizeof id, "%zu", i);
        bool open = t->task != 0 && t->owner == 0 && t->delay == 0;
        bool held = t->task != 0 && t->owner > t->task;
        assert_int_equal(is_open(m, id), open);
        assert_int_equal(mf__mirror_is_held(m, mf__bytes_of(id), t->owner, t->lease), held);
        assert_int_equal(mf__mirror_owner(m, mf__bytes_of(id)), t->owner != 0 ? t->lease : 0);
        delays += t->delay != 0;
    }
    assert_int_equal(m->delay_count, delays);
}

/* Whatever happens while a moment is listed piece by piece, and whichever of it is told early or
 * late: when all is told the mirror has what there is. */
static void test_listing_crosses_events(void **state)
{
    enum { IDS = 12, CHANGES = 60, ROUNDS = 400 };
    unsigned random = 1;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        truth now[IDS] = {0}, moment[IDS];
        int64_t revision = 1, listing_revision = 0;
        size_t listed_ids = 0, begin = next_random(&random) % CHANGES;
        mf_mirror m = {0};

        for (size_t step = 0; step < CHANGES || listed_ids < IDS; step++) {
            char id[16];
            size_t n = next_random(&random) % IDS;
            truth was = now[n];
            snprintf(id, sizeof id, "%zu", n);
            if (step == begin) {
                mf__mirror_begin_tasks(&m);
                memcpy(moment, now, sizeof moment);
                listing_revision = revision;
            }
            change_one(&now[n], ++revision, next_random(&random));
            if (step >= begin / 2) /* what was before, nobody has told */
                tell_change(&m, mf__bytes_of(id), &was, &now[n], revision);
            if (step < begin || listed_ids == IDS || next_random(&random) % 3 != 0)
                continue;
            snprintf(id, sizeof id, "%zu", listed_ids);
            list_one(&m, mf__bytes_of(id), &moment[listed_ids]);
            if (++listed_ids == IDS)
                mf__mirror_end_tasks(&m, listing_revision);
        }
        assert_mirrors(&m, now, IDS);
        mf__mirror_clear(&m);
    }
}

/* Bytes that are no text are no id. */
static void test_no_text(void **state)
{
    mf_mirror m = {0};
    mf_bytes zero = {.len = 3, .data = (uint8_t *)"a\0b"};

    (void)state;
    set_task(&m, told, "a", true);
    mf__mirror_set_task(&m, told, zero, true, 1);
    mf__mirror_set_owner(&m, told, (mf_bytes){0}, true, 2, 7);
    assert_int_equal(m.count, 1);
    mf__mirror_clear(&m);
}

/* Nodes are told of when they come, go, or hold another number of tasks; the leases may be known
 * before the node, and the tasks before the leases. */
static void test_nodes(void **state)
{
    mf_mirror m = {0};

    (void)state;
    set_owner(&m, told, "1", 10);
    set_owner(&m, told, "2", 10);
    assert_string_equal(changes(&m), "");
    mf__mirror_name_lease(&m, 10, "x");
    assert_string_equal(changes(&m), "");
    set_node(&m, told, "x", true);
    assert_string_equal(changes(&m), "x 2, ");
    set_node(&m, told, "y", true);
    mf__mirror_name_lease(&m, 20, "y");
    set_owner(&m, told, "3", 20);
    set_owner(&m, told, "2", 20);
    assert_string_equal(changes(&m), "x 1, y 2, ");
    set_node(&m, told, "y", true);
    assert_string_equal(changes(&m), "");
    mf__mirror_set_node(&m, told, &(mf_node){.name = "y", .weight = -2}, true);
    assert_string_equal(changes(&m), "y 2, ");
    set_node(&m, told, "x", false);
    assert_string_equal(changes(&m), "x gone, ");
    set_owner(&m, told, "1", -1); /* nobody asks about it now */
    assert_string_equal(changes(&m), "");
    assert_int_equal(mf__mirror_count(&m, "y"), 2);
    assert_int_equal(mf__mirror_live_nodes(&m), 1);
    mf__mirror_clear(&m);
}

/* A listing of nodes, too, yields to events, and ends what it does not show. */
static void test_nodes_listed(void **state)
{
    mf_mirror m = {0};

    (void)state;
    set_node(&m, told, "lost", true);
    mf__mirror_name_lease(&m, 1, "lost");
    set_node(&m, told, "kept", true);
    mf__mirror_name_lease(&m, 2, "kept");
    set_owner(&m, told, "t", 2);
    changes(&m);
    mf__mirror_begin_nodes(&m);
    set_node(&m, told, "gone", true);
    set_node(&m, told, "gone", false);
    set_node(&m, told, "new", true);
    set_node(&m, listed, "gone", true);
    set_node(&m, listed, "kept", true);
    mf__mirror_name_lease(&m, 3, "kept");
    mf__mirror_end_nodes(&m);
    assert_string_equal(changes(&m), "gone gone, lost gone, new 0, ");
    assert_false(mf__mirror_has_name(&m, 1));
    assert_true(mf__mirror_has_name(&m, 2));
    assert_true(mf__mirror_has_name(&m, 3));
    mf__mirror_change_all(&m);
    assert_string_equal(changes(&m), "kept 1, new 0, ");
    mf__mirror_clear(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_listing_meets_events),
        cmocka_unit_test(test_listing_begun_again),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_like_arrays),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_delays),
        cmocka_unit_test(test_delay_without_a_task),
        cmocka_unit_test(test_listing_crosses_events),
        cmocka_unit_test(test_no_text),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_nodes_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
