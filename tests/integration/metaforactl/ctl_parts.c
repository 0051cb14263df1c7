/* The small parts of metaforactl: lines of JSON, URLs with passwords, what is written as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "address.h"
#include "json.h"
#include "line_task.h"

static const char *const none[] = {NULL};

/* A copy of its own size, so that a sanitizer sees every step beyond its end. */
static int read_line(line_task *out, const char *text, mf_error *error)
{
    char *line = strdup(text);
    int code = line_task_read(out, line, none, error);

    out->properties = out->properties != NULL ? strdup(out->properties) : NULL;
    free(line);
    return code;
}

static void clear(line_task *task)
{
    free((char *)task->properties);
    line_task_clear(task);
}

/* Whatever blanks are between them, members are found, and properties stay byte for byte. */
static void test_good_lines(void **state)
{
    static const char *const lines[][3] = {
        {"{\"id\":\"a\",\"properties\":{\"b\":[1,\"}\\\"\",{}]}}", "a", "{\"b\":[1,\"}\\\"\",{}]}"},
        {" {\t\"properties\" :  \"x,\\\\\" ,\r\"id\"\n: \"a\" } ", "a", "\"x,\\\\\""},
        {"{\"\\u0069d\":\"\\u00e9\",\"properties\":1e400}", "\xc3\xa9", "1e400"},
        {"{\"properties\":true}", NULL, "true"},
        {"{\"id\":\"a\",\"not_before\":null}", "a", NULL},
        {"{}", NULL, NULL},
        {" { } ", NULL, NULL},
    };
    (void)state;

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        line_task task;
        mf_error error = {.text = ""};
        if (read_line(&task, lines[i][0], &error) != MF_OK)
            fail_msg("%s: %s", lines[i][0], error.text);
        assert_int_equal(task.id != NULL, lines[i][1] != NULL);
        assert_int_equal(task.properties != NULL, lines[i][2] != NULL);
        if (task.id != NULL)
            assert_string_equal(task.id, lines[i][1]);
        if (task.properties != NULL)
            assert_string_equal(task.properties, lines[i][2]);
        clear(&task);
    }
}

/* A line that was cut off anywhere is none. */
static void test_cut_lines(void **state)
{
    static const char whole[] =
        "{\"id\" : \"a\\\"b\", \"properties\":{\"c\":[1,{}],\"d\\u00e9\":\"\\\\\"}, "
        "\"not_before\":\"2030-01-31T12:00:00Z\"}";
    (void)state;

    for (size_t length = 0; length <= strlen(whole); length++) {
        char *line = strndup(whole, length);
        line_task task;
        mf_error error = {.text = ""};
        int code = read_line(&task, line, &error);
        assert_int_equal(code, length == strlen(whole) ? MF_OK : MF_EINVAL);
        if (code == MF_OK)
            assert_int_equal(task.not_before_us, INT64_C(1896091200000000));
        clear(&task);
        free(line);
    }
}

static void assert_url(const char *url, const char *password, const char *wanted)
{
    char *out = NULL;
    mf_error error = {.text = ""};

    setenv("METAFORA_BROKER", url, 1);
    if (password != NULL)
        setenv("METAFORA_PASSWORD", password, 1);
    else
        unsetenv("METAFORA_PASSWORD");
    int code = address_make(&out, NULL, NULL, &error);
    if (wanted == NULL) {
        assert_int_equal(code, MF_EINVAL);
        return;
    }
    if (code != MF_OK)
        fail_msg("%s: %s", url, error.text);
    assert_string_equal(out, wanted);
    free(out);
}

/* The password goes behind the user's name, in such a form that the URL stays one. */
static void test_urls(void **state)
{
    (void)state;

    assert_url("redis://h:6379/1", NULL, "redis://h:6379/1");
    assert_url("redis://h:6379/1", "p/@:%", "redis://:p%2F%40%3A%25@h:6379/1");
    assert_url("etcd://root@h,i", "s e", "etcd://root:s%20e@h,i");
    assert_url("unix:///tmp/a@b", "p", "unix://:p@/tmp/a@b");
    assert_url("redis://[::1]/?tls_ca_file=/a@b:c", "p", "redis://:p@[::1]/?tls_ca_file=/a@b:c");
    assert_url("redis://u:old@h", NULL, "redis://u:old@h");
    assert_url("redis://u:old@h", "new", NULL);
    assert_url("h:6379", "p", NULL);
    unsetenv("METAFORA_BROKER");
    unsetenv("METAFORA_PASSWORD");
}

/* On the command line a password is refused, wherever it stands. */
static void test_visible_passwords(void **state)
{
    static const char *const urls[] = {"redis://u:p@h", "redis://:p@h/0", "etcd://u:@h",
                                       "redis+sentinel://h/m?sentinel_password=p"};
    (void)state;

    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        char *out;
        mf_error error;
        assert_int_equal(address_make(&out, urls[i], NULL, &error), MF_EINVAL);
        assert_null(out);
    }
}

/* Numbers of all sizes, strings with all that has to be escaped, nothing where nothing follows. */
static void test_json(void **state)
{
    char *text;
    size_t size;
    json out = {.to = open_memstream(&text, &size)};
    (void)state;

    json_open(&out, NULL, '{');
    json_count(&out, "a", UINT64_MAX);
    json_number(&out, "b", 0.5);
    json_number(&out, "c", 1.0 / 0.0);
    json_text(&out, "d\"", "\x01\n\\\"\xc3\xa9");
    json_text(&out, "e", NULL);
    json_open(&out, "f", '[');
    json_flag(&out, NULL, true);
    json_open(&out, NULL, '{');
    json_close(&out, '}');
    json_raw(&out, NULL, "[1,\r\n2]");
    json_close(&out, ']');
    json_close(&out, '}');
    json_line(&out);
    fclose(out.to);
    assert_string_equal(text, "{\"a\":18446744073709551615,\"b\":0.5,\"c\":null,\"d\\\"\":"
                              "\"\\u0001\\u000a\\\\\\\"\xc3\xa9\",\"e\":null,\"f\":[true,{},"
                              "[1,  2]]}\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_lines), cmocka_unit_test(test_cut_lines),
        cmocka_unit_test(test_urls),       cmocka_unit_test(test_visible_passwords),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
