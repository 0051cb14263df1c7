/* Names and documents that come from outside: each rule with the texts it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/driver.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

typedef struct name_case {
    const char *name;
    const char *fault; /* NULL: accepted */
} name_case;

static const name_case name_cases[] = {
    {"a", NULL},
    {"task-1", NULL},
    {"with space", NULL},
    {"{braces}", NULL},
    {".", NULL},
    {"_metafora1", NULL},
    {"_metafor", NULL},
    {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", NULL},
    {"\xed\x9f\xbf", NULL},
    {"\xf4\x8f\xbf\xbf", NULL},
    {NULL, "missing"},
    {"", "empty"},
    {"_metafora", "'_metafora' is reserved"},
    {"/", "contains '/'"},
    {"a/b", "contains '/'"},
    {"a\nb", "contains a control byte"},
    {"\x01", "contains a control byte"},
    {"a\x7f", "contains a control byte"},
    {"\x80", "not valid UTF-8"},
    {"\xff", "not valid UTF-8"},
    {"\xc0\xaf", "not valid UTF-8"},         /* overlong '/' */
    {"\xc1\xbf", "not valid UTF-8"},         /* overlong DEL */
    {"\xe0\x80\xaf", "not valid UTF-8"},     /* overlong '/' */
    {"\xf0\x80\x80\xaf", "not valid UTF-8"}, /* overlong '/' */
    {"\xed\xa0\x80", "not valid UTF-8"},     /* a surrogate */
    {"\xf4\x90\x80\x80", "not valid UTF-8"}, /* above U+10FFFF */
    {"\xf5\x80\x80\x80", "not valid UTF-8"},
    {"a\xe2\x82", "not valid UTF-8"}, /* cut short */
    {"\xc3(", "not valid UTF-8"},
    {"\xe2\x28\xa1", "not valid UTF-8"},
};

static void check_text(const char *field, const char *fault, int code, const mf_error *error)
{
    char expected[300];

    if (fault == NULL) {
        assert_int_equal(code, MF_OK);
        return;
    }
    snprintf(expected, sizeof expected, "%s: %s", field, fault);
    assert_int_equal(code, MF_EINVAL);
    assert_int_equal(error->code, MF_EINVAL);
    assert_string_equal(error->text, expected);
}

/* Each name is accepted, or refused with a text of the field and the rule. */
static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(name_cases); i++) {
        mf_error error = {0};
        int code = mf_check_task_id("task id", name_cases[i].name, &error);
        check_text("task id", name_cases[i].fault, code, &error);
        code = mf_check_name("name", name_cases[i].name, &error);
        check_text("name", name_cases[i].fault, code, &error);
    }
}

/* 255 bytes are accepted and 256 are not, counted in bytes and not in characters. */
static void test_name_length(void **state)
{
    char name[258];
    mf_error error;

    (void)state;
    memset(name, 'x', sizeof name);
    name[255] = '\0';
    assert_int_equal(mf_check_task_id("task id", name, &error), MF_OK);
    name[255] = 'x';
    name[256] = '\0';
    check_text("task id", "longer than 255 bytes", mf_check_task_id("task id", name, &error),
               &error);
    for (size_t i = 0; i < 256; i += 2)
        memcpy(name + i, "\xc3\xa9", 2);
    check_text("task id", "longer than 255 bytes", mf_check_task_id("task id", name, &error),
               &error);
    name[254] = '\0';
    assert_int_equal(mf_check_task_id("task id", name, &error), MF_OK);
}

static const char *const good_json[] = {
    "null",
    "true",
    " false ",
    "0",
    "-0",
    "10",
    "-1.5e+10",
    "0.1E-2",
    "\"\"",
    "\"\\u0000\\ud800\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\x7f\xc3\xa9\"",
    "[]",
    "{}",
    " [ ] ",
    "[[],{},[1,2,{\"a\":[]}]]",
    "\t{ \"a\" : 1 , \"b\" : [ null ] }\r\n",
    "{\"\":\"\"}",
};

/* Every form that RFC 8259 allows is accepted, and so is having no properties. */
static void test_good_properties(void **state)
{
    mf_error error;

    (void)state;
    assert_int_equal(mf_check_properties("properties", NULL, &error), MF_OK);
    for (size_t i = 0; i < COUNT(good_json); i++)
        if (mf_check_properties("properties", good_json[i], &error) != MF_OK)
            fail_msg("%s: %s", good_json[i], error.text);
}

static const name_case bad_json[] = {
    {"", "a value is expected at byte 0"},
    {"  ", "a value is expected at byte 2"},
    {"nul", "a value is expected at byte 0"},
    {"NULL", "a value is expected at byte 0"},
    {"tru", "a value is expected at byte 0"},
    {"nullx", "text after the value at byte 4"},
    {"{} x", "text after the value at byte 3"},
    {"1 2", "text after the value at byte 2"},
    {"[]]", "text after the value at byte 2"},
    {"01", "a number begins with 0 at byte 1"},
    {"-01", "a number begins with 0 at byte 2"},
    {"1.", "a digit is missing in a number at byte 2"},
    {"[1.]", "a digit is missing in a number at byte 3"},
    {".5", "a value is expected at byte 0"},
    {"+1", "a value is expected at byte 0"},
    {"-", "a digit is missing in a number at byte 1"},
    {"1e", "a digit is missing in a number at byte 2"},
    {"1e+", "a digit is missing in a number at byte 3"},
    {"0x10", "text after the value at byte 1"},
    {"NaN", "a value is expected at byte 0"},
    {"Infinity", "a value is expected at byte 0"},
    {"'a'", "a value is expected at byte 0"},
    {"\"", "a string does not end at byte 1"},
    {"\"a", "a string does not end at byte 2"},
    {"\"\\\"", "a string does not end at byte 3"},
    {"\"\\", "an unknown escape in a string at byte 2"},
    {"\"\\x\"", "an unknown escape in a string at byte 2"},
    {"\"\\u12\"", "\\u without four hexadecimal digits at byte 3"},
    {"\"\\u12g4\"", "\\u without four hexadecimal digits at byte 3"},
    {"\"a\nb\"", "a control byte in a string at byte 2"},
    {"\"\x1f\"", "a control byte in a string at byte 1"},
    {"\"\xff\"", "a string is not valid UTF-8 at byte 1"},
    {"\"\xed\xa0\x80\"", "a string is not valid UTF-8 at byte 1"},
    {"\"\xc3", "a string is not valid UTF-8 at byte 1"},
    {"\xef\xbb\xbf{}", "a value is expected at byte 0"}, /* byte order mark */
    {"[", "a value is expected at byte 1"},
    {"[1", "an array does not end at byte 2"},
    {"[1,", "a value is expected at byte 3"},
    {"[1,]", "a value is expected at byte 3"},
    {"[,1]", "a value is expected at byte 1"},
    {"[1 2]", "',' or ']' is expected at byte 3"},
    {"[1}", "',' or ']' is expected at byte 2"},
    {"{", "a member's name is expected at byte 1"},
    {"{\"a\"", "a colon is expected at byte 4"},
    {"{\"a\"}", "a colon is expected at byte 4"},
    {"{\"a\":", "a value is expected at byte 5"},
    {"{\"a\":}", "a value is expected at byte 5"},
    {"{\"a\":1", "an object does not end at byte 6"},
    {"{\"a\":1,}", "a member's name is expected at byte 7"},
    {"{\"a\":1]", "',' or '}' is expected at byte 6"},
    {"{a:1}", "a member's name is expected at byte 1"},
    {"{1:1}", "a member's name is expected at byte 1"},
    {"{\"a\":1 \"b\":2}", "',' or '}' is expected at byte 7"},
    {"[\"a\",\v1]", "a value is expected at byte 5"},
    {"// comment\n1", "a value is expected at byte 0"},
};

/* What is not JSON by RFC 8259 is refused with the rule and the place. */
static void test_bad_properties(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_json); i++) {
        mf_error error = {0};
        int code = mf_check_properties("properties", bad_json[i].name, &error);
        char expected[200];
        snprintf(expected, sizeof expected, "not JSON: %s", bad_json[i].fault);
        check_text("properties", expected, code, &error);
    }
}

/* A document whose strings become C strings is there, and has nothing that they cannot hold: not in
 * the names of members either. */
static void test_documents(void **state)
{
    static const name_case cases[] = {
        {NULL, "missing"},
        {"{", "not JSON: a member's name is expected at byte 1"},
        {"[\"a\\u0000b\"]", "not JSON: \\u0000 in a string at byte 9"},
        {"{\"a\\u0000\":1}", "not JSON: \\u0000 in a string at byte 9"},
        {"[\"\\ud800\"]", "not JSON: half of a surrogate pair in a string at byte 8"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        mf_error error = {0};
        int code = mf_check_document("document", cases[i].name, &error);
        check_text("document", cases[i].fault, code, &error);
    }
    assert_int_equal(mf_check_document("document", "[\"\\\\u0000\\ud83d\\ude00\"]", NULL), MF_OK);
}

static char *nested(size_t depth)
{
    char *text = malloc(2 * depth + 1);
    assert_non_null(text);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = '\0';
    return text;
}

/* Nesting is limited, so that no parser behind us runs out of stack. */
static void test_depth(void **state)
{
    mf_error error;
    char *text = nested(512);

    (void)state;
    assert_int_equal(mf_check_properties("properties", text, &error), MF_OK);
    free(text);
    text = nested(513);
    assert_int_equal(mf_check_properties("properties", text, &error), MF_EINVAL);
    assert_string_equal(error.text, "properties: not JSON: nested more than 512 deep at byte 512");
    free(text);
}

/* 1 MiB is accepted and one byte more is not. */
static void test_properties_length(void **state)
{
    const size_t limit = 1 << 20;
    char *text = malloc(limit + 2);
    mf_error error;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', limit + 1);
    text[0] = text[limit - 1] = '"';
    text[limit] = '\0';
    assert_int_equal(mf_check_properties("properties", text, &error), MF_OK);
    text[limit - 1] = 'x';
    text[limit] = '"';
    text[limit + 1] = '\0';
    check_text("properties", "longer than 1 MiB", mf_check_properties("properties", text, &error),
               &error);
    free(text);
}

/* Callers that want the code only may pass no error object. */
static void test_without_error_object(void **state)
{
    (void)state;
    assert_int_equal(mf_check_task_id("task id", "", NULL), MF_EINVAL);
    assert_int_equal(mf_check_properties("properties", "", NULL), MF_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_name_length),
        cmocka_unit_test(test_good_properties),
        cmocka_unit_test(test_bad_properties),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_properties_length),
        cmocka_unit_test(test_without_error_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
