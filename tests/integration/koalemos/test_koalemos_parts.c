/* The small parts of koalemosd and koalemosctl: words, commands, file names, options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/process.h>

#include "../../../examples/common/properties.h"
#include "common/options.h"
#include "common/show.h"
#include "process/arguments.h"
#include "words.h"

static char *joined(char **words)
{
    static char text[256];
    text[0] = '\0';
    for (; words != NULL && *words != NULL; words++) {
        strcat(text, "<");
        strcat(text, *words);
        strcat(text, ">");
    }
    return text;
}

/* What is shown keeps its place in a line, however long it is; NULL is a dash. */
static void test_show(void **state)
{
    char *text;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    (void)state;
    show(to, "a\tb\nc");
    show(to, NULL);
    for (int i = 0; i < 1000; i++)
        show(to, "\xc3\xa9\x1b");
    fclose(to);
    assert_int_equal(size, 12 + 1000 * 6);
    assert_memory_equal(text, "a\\x09b\\x0ac-\xc3\xa9\\x1b", 18);
    free(text);
}

/* Lines are split as a shell would, without its other magic; "!": an error. */
static void test_words(void **state)
{
    static const char *const lines[][2] = {
        {"sleep 3", "<sleep><3>"},
        {"  a\t b \r\n", "<a><b>"},
        {"", ""},
        {"   ", ""},
        {"# a comment", ""},
        {"a #b", "<a><#b>"},
        {"'a b' \"c d\"", "<a b><c d>"},
        {"a'b c'd", "<ab cd>"},
        {"'' \"\"", "<><>"},
        {"a\\ b \\' \\\\", "<a b><'><\\>"},
        {"'a\\b' \"a\\b\" \"a\\\"b\" \"\\\\\"", "<a\\b><a\\b><a\"b><\\>"},
        {"$HOME *", "<$HOME><*>"},
        {"a\\", "<a\\>"},
        {"[\"a b\", \"\", \"c\"]", "<a b><><c>"},
        {"[]", ""},
        {"'a", "!"},
        {"\"a\\\"", "!"},
        {"[\"a\"", "!"},
        {"[\"a\", 1]", "!"},
        {"[\"a\\u0000b\"]", "!"},
        {"[\"a\\\\u0000b\"]", "<a\\u0000b>"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char **words = NULL;
        char why[64];
        int count = words_split(&words, lines[i][0], why, sizeof why);
        assert_string_equal(count < 0 ? "!" : joined(words), lines[i][1]);
        if (count >= 0)
            words_free(words);
    }
}

/* Properties that name a command are read, others refused with the field and the rule. */
static void test_commands(void **state)
{
    static const char *const cases[][2] = {
        {"{\"args\":[\"a\",\"b c\",\"\"]}", "<a><b c><>"},
        {"{\"args\":[\"a\"],\"other\":1}", "<a>"},
        {NULL, "properties: missing, must be {\"args\":[...]}"},
        {"[]", "properties: must be a JSON object"},
        {"{", "properties: not JSON: a member's name is expected at byte 1"},
        {"{}", "properties.args: must be an array of at least one string"},
        {"{\"args\":\"a\"}", "properties.args: must be an array of at least one string"},
        {"{\"args\":[]}", "properties.args: must be an array of at least one string"},
        {"{\"args\":[\"a\",1]}", "properties.args[1]: must be a string"},
        {"{\"args\":[\"\"]}", "properties.args[0]: must not be empty"},
        {"{\"Args\":[\"a\"]}", "properties.args: must be an array of at least one string"},
        /* What C strings cannot hold would be cut: "rm -rf /data". */
        {"{\"args\":[\"rm\",\"-rf\",\"/data\\u0000/old\"]}",
         "properties: not JSON: \\u0000 in a string at byte 32"},
        {"{\"args\\u0000\":[\"a\"]}", "properties: not JSON: \\u0000 in a string at byte 12"},
        {"{\"args\":[\"a\\ud800\"]}",
         "properties: not JSON: half of a surrogate pair in a string at byte 17"},
        {"{\"args\":[\"a\\\\u0000b\"]}", "<a\\u0000b>"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char **arguments = NULL;
        mf_error error;
        int code = mf__arguments_parse(&arguments, cases[i][0], &error);
        assert_string_equal(code == MF_OK ? joined(arguments) : error.text, cases[i][1]);
        if (code == MF_OK)
            mf__arguments_free(arguments);
    }
}

/* What is formatted is read back as it was. */
static void test_command_round_trip(void **state)
{
    char *const arguments[] = {"echo", "\"quoted\\\"", "tab\t", "\xc3\xa4", NULL};
    char **back = NULL;
    (void)state;

    char *properties = properties_format(arguments);
    assert_int_equal(mf__arguments_parse(&back, properties, NULL), MF_OK);
    for (size_t i = 0; i < 5; i++) {
        if (arguments[i] == NULL)
            assert_null(back[i]);
        else
            assert_string_equal(back[i], arguments[i]);
    }
    mf__arguments_free(back);
    free(properties);
}

/* An id cannot name a file outside the directory, hide it, or clash with another id's. */
static void test_log_paths(void **state)
{
    static const char *const cases[][2] = {
        {"a-b_c.9", "d/a-b_c.9.log"}, {"..", "d/%2E..log"},    {".hidden", "d/%2Ehidden.log"},
        {"a b%", "d/a%20b%25.log"},   {"a\\b", "d/a%5Cb.log"}, {"\xc3\xa4", "d/%C3%A4.log"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = mf_process_output_path("d", cases[i][0]);
        assert_string_equal(path, cases[i][1]);
        free(path);
    }
}

/* The longest ids have names that a file system takes, different for different ids. */
static void test_long_log_paths(void **state)
{
    char one[256], other[256];
    (void)state;

    memset(one, '%', 255);
    one[255] = '\0';
    memcpy(other, one, 256);
    other[254] = '&';
    char *first = mf_process_output_path("d", one), *second = mf_process_output_path("d", other);
    assert_string_not_equal(first, second);
    assert_in_range(strlen(first), 200, 2 + 255);
    free(first);
    free(second);
}

typedef struct parsed {
    broker_flags broker;
    int number;
    bool flag;
} parsed;

static int parse(parsed *out, int *status, char *first, char *second)
{
    const option_entry entries[] = {
        BROKER_OPTIONS(&out->broker),
        {"number", OPTION_NUMBER, "N", &out->number, 2, 10, ""},
        {"flag", OPTION_FLAG, NULL, &out->flag, 0, 0, ""},
    };
    const option_table table = {.program = "test",
                                .usage = "",
                                .summary = "",
                                .entries = entries,
                                .count = sizeof entries / sizeof *entries};
    char *argv[] = {"test", first, second, NULL};

    *status = 0;
    return options_parse(&table, second != NULL ? 3 : 2, argv, status);
}

/* Options are read by their kind; wrong ones end the program with status 2; operands end them. */
static void test_options(void **state)
{
    parsed out = {.broker = BROKER_FLAGS_INIT};
    int status;
    (void)state;

    assert_int_equal(parse(&out, &status, "--number", "10"), 3);
    assert_int_equal(out.number, 10);
    assert_int_equal(parse(&out, &status, "--flag", "sleep"), 2);
    assert_true(out.flag);
    assert_int_equal(parse(&out, &status, "--log=debug", "x"), 2);
    assert_int_equal(out.broker.log, MF_LOG_DEBUG);
    assert_int_equal(parse(&out, &status, "sleep", "--number"), 1);

    static char *const wrong[][2] = {{"--number", "1"},   {"--number", "11"}, {"--number", "x"},
                                     {"--number", "3x"},  {"--number", ""},   {"--log", "loud"},
                                     {"--unknown", NULL}, {"--number", NULL}, {"-x", NULL},
                                     {"--flag=yes", NULL}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(parse(&out, &status, wrong[i][0], wrong[i][1]), -1);
        assert_int_equal(status, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_show),      cmocka_unit_test(test_words),
        cmocka_unit_test(test_commands),  cmocka_unit_test(test_command_round_trip),
        cmocka_unit_test(test_log_paths), cmocka_unit_test(test_long_log_paths),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
