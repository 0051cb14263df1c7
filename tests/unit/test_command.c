/* Commands and their JSON, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/command.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

typedef struct command_case {
    const char *json;
    mf_command_verb verb;
    const char *task;
} command_case;

static const command_case formats[] = {
    {"{\"command\":\"freeze\"}", MF_COMMAND_FREEZE, NULL},
    {"{\"command\":\"unfreeze\"}", MF_COMMAND_UNFREEZE, NULL},
    {"{\"command\":\"balance\"}", MF_COMMAND_BALANCE, NULL},
    {"{\"command\":\"drain\"}", MF_COMMAND_DRAIN, NULL},
    {"{\"command\":\"undrain\"}", MF_COMMAND_UNDRAIN, NULL},
    {"{\"command\":\"stop_task\",\"parameters\":{\"task\":\"t\"}}", MF_COMMAND_STOP_TASK, "t"},
    {"{\"command\":\"stop_task\",\"parameters\":{\"task\":\"a\\\"\\\\\xc3\xa9\"}}",
     MF_COMMAND_STOP_TASK, "a\"\\\xc3\xa9"},
};

static void assert_parsed(const command_case *c)
{
    mf_command command;
    mf_error error = {0};

    if (mf_command_parse(&command, c->json, strlen(c->json), &error) != MF_OK)
        fail_msg("%s: %s", c->json, error.text);
    assert_int_equal(command.verb, c->verb);
    if (c->task == NULL)
        assert_null(command.task);
    else
        assert_string_equal(command.task, c->task);
    mf_command_clear(&command);
    assert_null(command.task);
}

/* Each command becomes the JSON that the Go library writes, and is read back as it was. */
static void test_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(formats); i++) {
        mf_command command = {formats[i].verb, formats[i].task};
        char *json;
        assert_int_equal(mf_command_format(&json, &command, NULL), MF_OK);
        assert_string_equal(json, formats[i].json);
        free(json);
        assert_parsed(&formats[i]);
    }
}

/* The longest task id of nothing but quotes fits. */
static void test_longest_task(void **state)
{
    char id[256];
    char *json;
    mf_command command = {MF_COMMAND_STOP_TASK, id};
    mf_command back;

    (void)state;
    memset(id, '"', 255);
    id[255] = '\0';
    assert_int_equal(mf_command_format(&json, &command, NULL), MF_OK);
    assert_int_equal(mf_command_parse(&back, json, strlen(json), NULL), MF_OK);
    assert_string_equal(back.task, id);
    mf_command_clear(&back);
    free(json);
}

static const command_case accepted[] = {
    {" { \"command\" : \"freeze\" } \n", MF_COMMAND_FREEZE, NULL},
    {"{\"command\":\"freeze\",\"parameters\":null}", MF_COMMAND_FREEZE, NULL},
    {"{\"command\":\"freeze\",\"parameters\":{}}", MF_COMMAND_FREEZE, NULL},
    {"{\"parameters\":{\"task\":\"x\"},\"command\":\"balance\"}", MF_COMMAND_BALANCE, NULL},
    {"{\"command\":\"freeze\",\"other\":[1,{\"a\":2}]}", MF_COMMAND_FREEZE, NULL},
    {"{\"command\":\"\\u0066reeze\"}", MF_COMMAND_FREEZE, NULL},
    {"{\"command\":\"stop_task\",\"parameters\":{\"task\":\"\\ud83d\\ude00\",\"x\":1}}",
     MF_COMMAND_STOP_TASK, "\xf0\x9f\x98\x80"},
};

/* Members in any order, unknown ones, and parameters that are absent, null or empty are read. */
static void test_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(accepted); i++)
        assert_parsed(&accepted[i]);
}

typedef struct bad_case {
    const char *json, *error;
} bad_case;

static const bad_case refused[] = {
    {"", "command: not JSON: a value is expected at byte 0"},
    {"freeze", "command: not JSON: a value is expected at byte 0"},
    {"{\"command\":\"freeze\"", "command: not JSON: an object does not end at byte 19"},
    {"{\"command\":\"freeze\"}x", "command: not JSON: text after the value at byte 20"},
    {"{\"command\":\"freeze\\u0000\"}", "command: not JSON: \\u0000 in a string at byte 24"},
    {"{\"command\":\"\\ud800\"}",
     "command: not JSON: half of a surrogate pair in a string at byte 18"},
    {"{\"command\":\"\\udc00\\ud800\"}",
     "command: not JSON: half of a surrogate pair in a string at byte 18"},
    {"{\"command\":\"\\ud800\\u0041\"}",
     "command: not JSON: half of a surrogate pair in a string at byte 24"},
    {"null", "command: not an object"},
    {"[]", "command: not an object"},
    {"\"freeze\"", "command: not an object"},
    {"{}", "command: missing"},
    {"{\"Command\":\"freeze\"}", "command: missing"},
    {"{\"command\":null}", "command: not a string"},
    {"{\"command\":1}", "command: not a string"},
    {"{\"command\":\"\"}", "command: '' is not known"},
    {"{\"command\":\"melt\"}", "command: 'melt' is not known"},
    {"{\"command\":\"freeze\",\"parameters\":[]}", "parameters: not an object"},
    {"{\"command\":\"freeze\",\"parameters\":\"x\"}", "parameters: not an object"},
    {"{\"command\":\"stop_task\"}", "parameters.task: missing"},
    {"{\"command\":\"stop_task\",\"parameters\":null}", "parameters.task: missing"},
    {"{\"command\":\"stop_task\",\"parameters\":{}}", "parameters.task: missing"},
    {"{\"command\":\"stop_task\",\"parameters\":{\"task\":1}}", "parameters.task: not a string"},
    {"{\"command\":\"stop_task\",\"parameters\":{\"task\":\"\"}}", "parameters.task: empty"},
    {"{\"command\":\"stop_task\",\"parameters\":{\"task\":\"a/b\"}}",
     "parameters.task: contains '/'"},
    {"{\"command\":\"stop_task\",\"parameters\":{\"task\":\"a\\u0007\"}}",
     "parameters.task: contains a control byte"},
};

/* Each malformed command is refused by the member and the rule, and leaves nothing to free. */
static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        mf_command command;
        mf_error error = {0};
        if (mf_command_parse(&command, refused[i].json, strlen(refused[i].json), &error) !=
            MF_EINVAL)
            fail_msg("accepted: %s", refused[i].json);
        assert_string_equal(error.text, refused[i].error);
        assert_null(command.task);
    }
}

/* The length given counts, not a NUL: one inside is refused, text behind the length not looked at.
 */
static void test_length(void **state)
{
    static const char json[] = "{\"command\":\"balance\"}\0";
    mf_command command;
    mf_error error;

    (void)state;
    assert_int_equal(mf_command_parse(&command, json, sizeof json - 1, &error), MF_EINVAL);
    assert_string_equal(error.text, "command: not JSON: text after the value at byte 21");
    assert_int_equal(mf_command_parse(&command, "{\"command\":\"balance\"}}}", 21, &error), MF_OK);
    char *long_json = malloc(65537);
    assert_non_null(long_json);
    memset(long_json, ' ', 65537);
    assert_int_equal(mf_command_parse(&command, long_json, 65537, &error), MF_EINVAL);
    assert_string_equal(error.text, "command: longer than 65536 bytes");
    free(long_json);
}

typedef struct bad_command {
    mf_command command;
    const char *error;
} bad_command;

static const bad_command bad_commands[] = {
    {{(mf_command_verb)77, NULL}, "command: verb: 77 is not known"},
    {{MF_COMMAND_FREEZE, "t"}, "parameters.task: only for stop_task"},
    {{MF_COMMAND_STOP_TASK, NULL}, "parameters.task: missing"},
    {{MF_COMMAND_STOP_TASK, "a/b"}, "parameters.task: contains '/'"},
};

/* A command that could not be read back is not written. */
static void test_bad_commands(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_commands); i++) {
        mf_error error = {0};
        char *json;
        assert_int_equal(mf_command_format(&json, &bad_commands[i].command, &error), MF_EINVAL);
        assert_string_equal(error.text, bad_commands[i].error);
        assert_null(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways), cmocka_unit_test(test_longest_task),
        cmocka_unit_test(test_accepted),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_length),    cmocka_unit_test(test_bad_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
