/* Times as RFC 3339 has them, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/state.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

typedef struct time_case {
    const char *text;
    mf_time time;
} time_case;

static const time_case both_ways[] = {
    {"1970-01-01T00:00:00Z", {0, 0, 0}},
    {"1969-12-31T23:59:59.999999999Z", {-1, 999999999, 0}},
    {"2026-11-24T02:27:14.24997914Z", {1795487234, 249979140, 0}},
    {"2026-11-24T04:27:14.24997914+02:00", {1795487234, 249979140, 120}},
    {"2026-11-23T20:57:14-05:30", {1795487234, 0, -330}},
    {"2000-02-29T12:00:00.1Z", {951825600, 100000000, 0}},
    {"2024-02-29T00:00:00Z", {1709164800, 0, 0}},
    {"0001-01-01T00:00:00Z", {-62135596800, 0, 0}},
    {"0000-01-01T00:00:00Z", {-62167219200, 0, 0}},
    {"0000-02-29T00:00:00Z", {-62162121600, 0, 0}},
    {"9999-12-31T23:59:59.999999999Z", {253402300799, 999999999, 0}},
    {"9999-12-31T23:59:59+23:59", {253402214459, 0, 1439}},
    {"2100-03-01T00:00:00Z", {4107542400, 0, 0}},
};

static void assert_same(const char *text, const mf_time *is, const mf_time *expected)
{
    if (is->seconds != expected->seconds || is->nanoseconds != expected->nanoseconds ||
        is->offset_minutes != expected->offset_minutes)
        fail_msg("%s: %lld.%09d %+d", text, (long long)is->seconds, (int)is->nanoseconds,
                 is->offset_minutes);
}

/* Each time is read as it is written and written as it was read. */
static void test_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(both_ways); i++) {
        const time_case *c = &both_ways[i];
        char text[MF_TIME_SIZE];
        mf_time time;
        assert_int_equal(mf_time_parse(&time, c->text, strlen(c->text), NULL), MF_OK);
        assert_same(c->text, &time, &c->time);
        assert_int_equal(mf_time_format(text, &c->time, NULL), MF_OK);
        assert_string_equal(text, c->text);
    }
}

static const time_case one_way[] = {
    {"1970-01-01T00:00:00+00:00", {0, 0, 0}},
    {"1970-01-01T00:00:00-00:00", {0, 0, 0}},
    {"1970-01-01T00:00:00.000Z", {0, 0, 0}},
    {"1970-01-01T00:00:00.1234567899Z", {0, 123456789, 0}},
};

/* What can be written in several ways is read in all of them. */
static void test_other_writings(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(one_way); i++) {
        mf_time time;
        assert_int_equal(mf_time_parse(&time, one_way[i].text, strlen(one_way[i].text), NULL),
                         MF_OK);
        assert_same(one_way[i].text, &time, &one_way[i].time);
    }
}

static const char *const refused[] = {
    "",
    "2026-11-24",
    "2026-11-24T02:27:14",
    "2026-11-24 02:27:14Z",
    "2026-11-24t02:27:14Z",
    "2026-11-24T02:27:14z",
    "2026-11-24T2:27:14Z",
    "2026-11-24T24:00:00Z",
    "2026-11-24T02:60:00Z",
    "2026-11-24T02:27:60Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-04-00T00:00:00Z",
    "2026-11-24T02:27:14.Z",
    "2026-11-24T02:27:14,5Z",
    "2026-11-24T02:27:14.5",
    "2026-11-24T02:27:14+24:00",
    "2026-11-24T02:27:14+02:60",
    "2026-11-24T02:27:14+0200",
    "2026-11-24T02:27:14+02",
    "2026-11-24T02:27:14Z ",
    " 2026-11-24T02:27:14Z",
    "-026-11-24T02:27:14Z",
    "12026-11-24T02:27:14Z",
};

/* Everything else is refused, with a reason. */
static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        mf_error error = {0};
        mf_time time;
        if (mf_time_parse(&time, refused[i], strlen(refused[i]), &error) != MF_EINVAL)
            fail_msg("\"%s\" was accepted", refused[i]);
        assert_memory_equal(error.text, "time: ", 6);
    }
}

/* No time past the year 9999, or before the year 0, is written. */
static void test_years(void **state)
{
    static const mf_time times[] = {{253402300800, 0, 0}, {-62167219201, 0, 0}, {INT64_MAX, 0, 0},
                                    {INT64_MIN, 0, 0},    {253402300799, 0, 1}, {0, 1000000000, 0},
                                    {0, -1, 0},           {0, 0, 1440}};
    char text[MF_TIME_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(times); i++)
        assert_int_equal(mf_time_format(text, &times[i], NULL), MF_EINVAL);
}

/* The loop's microseconds are kept, before 1970 too; times out of their range end at its ends. */
static void test_wall(void **state)
{
    static const int64_t walls[] = {0, -1, 1, 1795487234249979, -1000000, -1000001};
    mf_time time;

    (void)state;
    for (size_t i = 0; i < COUNT(walls); i++) {
        time = mf_time_from_wall_us(walls[i]);
        assert_in_range(time.nanoseconds, 0, 999999999);
        assert_int_equal(mf_time_to_wall_us(&time), walls[i]);
    }
    time = (mf_time){.seconds = INT64_MAX};
    assert_int_equal(mf_time_to_wall_us(&time), INT64_MAX);
    time = (mf_time){.seconds = INT64_MIN};
    assert_int_equal(mf_time_to_wall_us(&time), INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways), cmocka_unit_test(test_other_writings),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_years),
        cmocka_unit_test(test_wall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
