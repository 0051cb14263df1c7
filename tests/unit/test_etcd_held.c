/* The table of claims that a session of the etcd driver holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "held.h"

enum { MOST = 2000 };

/* After any row of puts and removals the table has what a plain array has. */
static void test_like_an_array(void **state)
{
    static int64_t expected[MOST + 1];
    mf_held held = {0};
    size_t count = 0;
    unsigned random = 1;

    (void)state;
    for (int step = 0; step < 200000; step++) {
        random = random * 1103515245 + 12345;
        uint64_t hash = (random >> 8) % (step < 100000 ? MOST : 40) + 1;
        bool put = (random >> 4) % 2 == 0;
        count += put ? expected[hash] == 0 : 0;
        count -= put ? 0 : expected[hash] != 0;
        expected[hash] = put ? step + 1 : 0;
        if (put)
            mf__held_put(&held, (mf_held_claim){.hash = hash, .revision = step + 1});
        else
            mf__held_remove(&held, hash);
        assert_int_equal(held.count, count);
    }
    for (uint64_t hash = 1; hash <= MOST; hash++) {
        const mf_held_claim *found = mf__held_find(&held, hash);
        assert_int_equal(found != NULL ? found->revision : 0, expected[hash]);
    }
    mf__held_clear(&held);
}

/* The room is given back when the claims go. */
static void test_shrinks(void **state)
{
    mf_held held = {0};

    (void)state;
    for (uint64_t hash = 1; hash <= 100000; hash++)
        mf__held_put(&held, (mf_held_claim){.hash = hash});
    for (uint64_t hash = 1; hash <= 100000; hash++)
        mf__held_remove(&held, hash);
    assert_int_equal(held.count, 0);
    assert_true(held.size <= 64);
    mf__held_clear(&held);
}

/* Hashes are never zero, and differ for ids that differ. */
static void test_hashes(void **state)
{
    (void)state;
    assert_int_not_equal(mf__held_hash("", 0), 0);
    assert_int_not_equal(mf__held_hash("1", 1), mf__held_hash("10", 2));
    assert_int_equal(mf__held_hash("task", 4), mf__held_hash("task", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_like_an_array),
        cmocka_unit_test(test_shrinks),
        cmocka_unit_test(test_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
