/* Hashes that nodes of different builds must agree on, since by them they agree who claims what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hash.h"

/* The first numbers of splitmix64 from the state 1234567, as its authors' generator gives them: its
 * state grows by the golden ratio, and this is what it makes of a state. */
static void test_mix_is_splitmix64(void **state)
{
    const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
    const uint64_t start = 1234567;

    (void)state;
    assert_int_equal(mf__hash_mix(start + step), UINT64_C(6457827717110365317));
    assert_int_equal(mf__hash_mix(start + 2 * step), UINT64_C(3203168211198807973));
    assert_int_equal(mf__hash_mix(start + 3 * step), UINT64_C(9817491932198370423));
}

/* FNV-1a of published test vectors, mixed. */
static void test_text_is_fnv(void **state)
{
    (void)state;
    assert_int_equal(mf__hash_text(""), mf__hash_mix(UINT64_C(0xcbf29ce484222325)));
    assert_int_equal(mf__hash_text("a"), mf__hash_mix(UINT64_C(0xaf63dc4c8601ec8c)));
    assert_int_equal(mf__hash_text("foobar"), mf__hash_mix(UINT64_C(0x85944171f73967e8)));
}

/* Bytes over 127 count as such, whatever the sign of char. */
static void test_text_of_high_bytes(void **state)
{
    const uint64_t fnv = (UINT64_C(0xcbf29ce484222325) ^ 0xff) * UINT64_C(0x100000001b3);

    (void)state;
    assert_int_equal(mf__hash_text("\xff"), mf__hash_mix(fnv));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mix_is_splitmix64),
        cmocka_unit_test(test_text_is_fnv),
        cmocka_unit_test(test_text_of_high_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
