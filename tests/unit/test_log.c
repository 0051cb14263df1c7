/* Log lines: text from elsewhere stays on its line and in its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/driver.h>

#include "virtual_loop.h"

static void assert_escaped(const char *text, const char *expected)
{
    char out[256];

    assert_int_equal(mf_escape(out, sizeof out, text), strlen(expected));
    assert_string_equal(out, expected);
}

/* Controls, line separators and bytes that are no UTF-8 are written out; all else stays. */
static void escaped(void **state)
{
    (void)state;
    assert_escaped("", "");
    assert_escaped("plain ~ 100% \"x\" \\n", "plain ~ 100% \"x\" \\n");
    assert_escaped("a\nb\rc\td\x01\x1f\x7f", "a\\x0ab\\x0dc\\x09d\\x01\\x1f\\x7f");
    assert_escaped("\x1b[31mred", "\\x1b[31mred");
    assert_escaped("\xc2\x80\xc2\x85\xc2\x9f\xc2\xa0", "\\u0080\\u0085\\u009f\xc2\xa0");
    assert_escaped("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa",
                   "\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa");
    assert_escaped("\xe2\x81\xa8\xe3\x80\xa8", "\xe2\x81\xa8\xe3\x80\xa8");
    assert_escaped("gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x98\x80",
                   "gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x98\x80");
    assert_escaped("\x80\xff\xc3(\xed\xa0\x80", "\\x80\\xff\\xc3(\\xed\\xa0\\x80");
    assert_escaped("\xe6\x97", "\\xe6\\x97");
}

/* It is cut between characters, with the zero byte inside; the length is that of the whole. */
static void cut_to_fit(void **state)
{
    static const char *const cuts[] = {
        "", "", "a", "a", "a", "a", "a\\x0a", "a\\x0a", "a\\x0a\xc3\xbc"};
    char out[16];

    (void)state;
    for (size_t size = 1; size <= 8; size++) {
        memset(out, '#', sizeof out);
        assert_int_equal(mf_escape(out, size, "a\n\xc3\xbc"), 7);
        assert_string_equal(out, cuts[size]);
        assert_int_equal(out[size], '#');
    }
    assert_int_equal(mf_escape(NULL, 0, "a\n"), 5);
    /* What is small enough does not come after what was not. */
    assert_int_equal(mf_escape(out, 4, "a\nb"), 6);
    assert_string_equal(out, "a");
}

typedef struct lines {
    int count;
    char last[4096];
} lines;

static void keep(mf_log_level level, const char *subsystem, const char *text, void *arg)
{
    lines *kept = arg;

    (void)level;
    (void)subsystem;
    kept->count++;
    snprintf(kept->last, sizeof kept->last, "%s", text);
}

static mf_loop *logging_loop(virtual_world *world, lines *kept)
{
    mf_loop *loop = virtual_loop_new(world, 1.0);

    mf_loop_set_log(loop, keep, kept, MF_LOG_WARN);
    return loop;
}

/* Nobody who names a task can forge a line. */
static void a_line_stays_one(void **state)
{
    lines kept = {0};
    virtual_world *world = virtual_world_new(1);
    mf_loop *loop = logging_loop(world, &kept);

    (void)state;
    mf_log(loop, MF_LOG_WARN, "consumer", "task %s: %s", "a\n2026-01-01T00:00:00Z error x: y",
           "\xe2\x80\xa8");
    assert_int_equal(kept.count, 1);
    assert_string_equal(kept.last, "task a\\x0a2026-01-01T00:00:00Z error x: y: \\u2028");
    mf_log(loop, MF_LOG_INFO, "consumer", "not wanted");
    assert_int_equal(kept.count, 1);
    mf_loop_free(loop);
    virtual_world_free(world);
}

/* A long line is cut at a whole character: no byte of half a one is shown. */
static void a_long_line_is_cut(void **state)
{
    static const char *const wide[] = {"\xc3\xbc", "\xe6\x97\xa5", "\xf0\x9f\x98\x80"};
    lines kept = {0};
    virtual_world *world = virtual_world_new(1);
    mf_loop *loop = logging_loop(world, &kept);
    char text[3000];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t shift = 0; shift < 4; shift++) {
            size_t length = shift;
            memset(text, '-', shift);
            while (length < 2000)
                length = (size_t)(stpcpy(text + length, wide[i]) - text);
            mf_log(loop, MF_LOG_ERROR, "x", "%s", text);
            assert_null(strchr(kept.last, '\\'));
            assert_in_range(strlen(kept.last), 1020, 1023);
        }
    }
    memset(text, 1, sizeof text);
    text[sizeof text - 1] = '\0';
    mf_log(loop, MF_LOG_ERROR, "x", "%s", text);
    assert_int_equal(strlen(kept.last), 2044);
    mf_loop_free(loop);
    virtual_world_free(world);
}

/* Levels are known by their names, and no others. */
static void levels(void **state)
{
    mf_log_level level;

    (void)state;
    assert_int_equal(mf_log_level_parse(&level, "debug"), MF_OK);
    assert_int_equal(level, MF_LOG_DEBUG);
    assert_int_equal(mf_log_level_parse(&level, "none"), MF_OK);
    assert_int_equal(level, MF_LOG_NONE);
    assert_int_equal(mf_log_level_parse(&level, "Info"), MF_EINVAL);
    assert_int_equal(mf_log_level_parse(&level, ""), MF_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escaped),          cmocka_unit_test(cut_to_fit),
        cmocka_unit_test(a_line_stays_one), cmocka_unit_test(a_long_line_is_cut),
        cmocka_unit_test(levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
