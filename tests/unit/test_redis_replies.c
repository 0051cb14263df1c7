/* Redis replies as values, of every kind that RESP2 and RESP3 have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "../../coordinator-redis/protocol.h"

/* Feeds the bytes, each alone; MF_EPROTO, or what mf__reader_next returned last with its value. */
static int read_bytes(mf_reader *reader, const char *bytes, mf_value **out)
{
    struct evbuffer *input = evbuffer_new();
    int got = 0;

    for (const char *at = bytes; *at != '\0' && got == 0; at++) {
        evbuffer_add(input, at, 1);
        got = mf__reader_next(reader, input, out);
    }
    evbuffer_free(input);
    return got;
}

/* What RESP2 has is read as it is. */
static void test_resp2(void **state)
{
    mf_reader *reader = mf__reader_new();
    mf_value *value;

    (void)state;
    assert_int_equal(
        read_bytes(reader, "*6\r\n+OK\r\n-ERR no\r\n:-7\r\n$2\r\nab\r\n$-1\r\n*0\r\n", &value), 1);
    assert_true(mf__value_is_array(value, 6));
    assert_int_equal(value->items[0].type, MF_VALUE_STATUS);
    assert_int_equal(value->items[1].type, MF_VALUE_ERROR);
    assert_int_equal(value->items[2].integer, -7);
    assert_true(mf__value_equals(&value->items[3], "ab"));
    assert_int_equal(value->items[4].type, MF_VALUE_NIL);
    assert_int_equal(value->items[5].type, MF_VALUE_ARRAY);
    mf__reader_free(reader);
}

/* What only RESP3 has is not asked for; where hiredis reads it, it is a value like those of RESP2,
 * and elsewhere it is refused. Nothing else happens. */
static void test_resp3(void **state)
{
    static const struct {
        const char *bytes;
        mf_value_type type;
    } cases[] = {
        {",3.25\r\n", MF_VALUE_STRING},
        {",inf\r\n", MF_VALUE_STRING},
        {"#t\r\n", MF_VALUE_INTEGER},
        {"#f\r\n", MF_VALUE_INTEGER},
        {"_\r\n", MF_VALUE_NIL},
        {"(123456789012345678901234567890\r\n", MF_VALUE_STRING},
        {"=7\r\ntxt:abc\r\n", MF_VALUE_STRING},
        {"%1\r\n+a\r\n,1.5\r\n", MF_VALUE_ARRAY},
        {"~2\r\n#t\r\n_\r\n", MF_VALUE_ARRAY},
        {">2\r\n+message\r\n,0\r\n", MF_VALUE_ARRAY},
        {"*2\r\n#f\r\n*1\r\n,2\r\n", MF_VALUE_ARRAY},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mf_reader *reader = mf__reader_new();
        mf_value *value;
        int got = read_bytes(reader, cases[i].bytes, &value);
        assert_true(got == 1 || (got == MF_EPROTO && (HIREDIS_MAJOR < 1 || i == 5)));
        if (got == 1)
            assert_int_equal(value->type, cases[i].type);
        mf__reader_free(reader);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resp2),
        cmocka_unit_test(test_resp3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
