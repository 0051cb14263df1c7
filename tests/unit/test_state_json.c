/* States and messages as JSON, in the Go library's writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <metafora/command.h>
#include <metafora/driver.h>
#include <metafora/state.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static void assert_state_kept(const char *json)
{
    mf_state state;
    mf_error error = {0};
    char *again;

    if (mf_state_parse(&state, json, strlen(json), &error) != MF_OK)
        fail_msg("%s: %s", json, error.text);
    assert_int_equal(mf_state_format(&again, &state, NULL), MF_OK);
    assert_string_equal(again, json);
    free(again);
    mf_state_clear(&state);
}

/* States are read and written again byte for byte. */
static void test_states(void **state)
{
    static const char *const states[] = {
        "{\"state\":\"runnable\"}",
        "{\"state\":\"paused\"}",
        "{\"state\":\"completed\"}",
        "{\"state\":\"killed\"}",
        "{\"state\":\"sleeping\",\"until\":\"2026-11-24T04:17:14.216275676Z\"}",
        "{\"state\":\"sleeping\",\"until\":\"2026-11-24T04:17:14+01:00\"}",
        "{\"state\":\"fault\",\"errors\":[{\"timestamp\":\"2026-11-24T02:17:14Z\",\"error\":\"a\"}]"
        "}",
        "{\"state\":\"failed\",\"errors\":[{\"timestamp\":\"2026-11-24T02:17:14Z\",\"error\":\"\"},"
        "{\"timestamp\":\"0001-01-01T00:00:00Z\",\"error\":\"a\\\"\\\\b\\n\\t\\r\\u0001 "
        "\\u003c\\u0026\\u003e \\u2028\\u2029 \xc3\xa9\xf0\x9f\x98\x80\"}]}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(states); i++)
        assert_state_kept(states[i]);
}

/* Members that are not known, and those that are null, are let pass. */
static void test_foreign_members(void **state)
{
    static const char json[] = " {\"x\":[{\"state\":1}],\"state\":\"sleeping\",\"errors\":null,"
                               "\"until\":\"2026-11-24T04:17:14Z\",\"until2\":5} ";
    mf_state s;
    char *again;

    (void)state;
    assert_int_equal(mf_state_parse(&s, json, strlen(json), NULL), MF_OK);
    assert_int_equal(mf_state_format(&again, &s, NULL), MF_OK);
    assert_string_equal(again, "{\"state\":\"sleeping\",\"until\":\"2026-11-24T04:17:14Z\"}");
    free(again);
}

typedef struct refusal {
    const char *json, *why; /* how the error begins */
} refusal;

static const refusal bad_states[] = {
    {"", "state: not JSON"},
    {"[]", "state: not an object"},
    {"{}", "state: missing"},
    {"{\"state\":null}", "state: missing"},
    {"{\"state\":1}", "state: not a string"},
    {"{\"state\":\"asleep\"}", "state: 'asleep' is not known"},
    {"{\"state\":\"Runnable\"}", "state: 'Runnable' is not known"},
    {"{\"state\":\"sleeping\"}", "until: missing"},
    {"{\"state\":\"sleeping\",\"until\":5}", "until: not a string"},
    {"{\"state\":\"sleeping\",\"until\":\"soon\"}", "until: time: "},
    {"{\"state\":\"fault\"}", "errors: missing"},
    {"{\"state\":\"fault\",\"errors\":[]}", "errors: missing"},
    {"{\"state\":\"failed\",\"errors\":{}}", "errors: not an array"},
    {"{\"state\":\"failed\",\"errors\":[1]}", "errors: one is not an object"},
    {"{\"state\":\"failed\",\"errors\":[{\"error\":\"a\"},{\"error\":1}]}", "errors: error: not"},
    {"{\"state\":\"failed\",\"errors\":[{\"timestamp\":\"x\"}]}", "timestamp: time: "},
    {"{\"state\":\"runnable\"", "state: not JSON"},
};

/* A state that cannot be used is refused with the member and the rule, and leaks nothing. */
static void test_bad_states(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_states); i++) {
        const refusal *c = &bad_states[i];
        mf_error error = {0};
        mf_state s;
        assert_int_equal(mf_state_parse(&s, c->json, strlen(c->json), &error), MF_EINVAL);
        if (strncmp(error.text, c->why, strlen(c->why)) != 0)
            fail_msg("%s: %s", c->json, error.text);
    }
}

/* A state that breaks a rule is not written either. */
static void test_unwritable_states(void **state)
{
    mf_state_error fault = {.timestamp = {.seconds = INT64_MAX}, .text = "a"};
    const mf_state states[] = {
        {.code = (mf_state_code)99},
        {.code = MF_STATE_SLEEPING},
        {.code = MF_STATE_FAULT},
        {.code = MF_STATE_PAUSED, .has_until = true, .until = {.seconds = INT64_MAX}},
        {.code = MF_STATE_FAILED, .errors = &fault, .error_count = 1},
    };
    char *json;

    (void)state;
    for (size_t i = 0; i < COUNT(states); i++) {
        assert_int_equal(mf_state_format(&json, &states[i], NULL), MF_EINVAL);
        assert_null(json);
    }
}

/* Text that is not UTF-8 is written in the way that Go writes it. */
static void test_bad_text(void **state)
{
    mf_state_error fault = {.text = "a\xff\xc3"};
    mf_state s = {.code = MF_STATE_FAULT, .errors = &fault, .error_count = 1};
    char *json;

    (void)state;
    assert_int_equal(mf_state_format(&json, &s, NULL), MF_OK);
    assert_non_null(strstr(json, "\"error\":\"a\\ufffd\\ufffd\""));
    free(json);
}

/* Messages are read and written again byte for byte, Go's errors without a text included. */
static void test_messages(void **state)
{
    static const char *const messages[] = {
        "{\"message\":\"run\"}",
        "{\"message\":\"pause\"}",
        "{\"message\":\"pause\",\"until\":\"2026-11-24T04:17:14.2Z\"}",
        "{\"message\":\"kill\"}",
        "{\"message\":\"complete\"}",
        "{\"message\":\"checkpoint\"}",
        "{\"message\":\"release\"}",
        "{\"message\":\"sleep\",\"until\":\"2026-11-24T04:17:14.216275676Z\"}",
        "{\"message\":\"error\",\"error\":{}}",
        "{\"message\":\"error\",\"error\":{\"text\":\"disk \\\"full\\\"\"}}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(messages); i++) {
        mf_message message;
        char *again;
        assert_int_equal(mf_message_parse(&message, messages[i], strlen(messages[i]), NULL), MF_OK);
        assert_int_equal(mf_message_format(&again, &message, NULL), MF_OK);
        assert_string_equal(again, messages[i]);
        free(again);
    }
}

static const refusal bad_messages[] = {
    {"{", "message: not JSON"},
    {"3", "message: not an object"},
    {"{}", "message: missing"},
    {"{\"message\":[]}", "message: not a string"},
    {"{\"message\":\"stop\"}", "message: 'stop' is not known"},
    {"{\"message\":\"sleep\"}", "until: missing"},
    {"{\"message\":\"sleep\",\"until\":\"2026\"}", "until: time: "},
    {"{\"message\":\"error\"}", "error: missing"},
    {"{\"message\":\"error\",\"error\":5}", "error: neither"},
    {"{\"message\":\"error\",\"error\":{\"text\":5}}", "error.text: not a string"},
};

/* A message that cannot be used is refused with the member and the rule. */
static void test_bad_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_messages); i++) {
        const refusal *c = &bad_messages[i];
        mf_error error = {0};
        mf_message message;
        assert_int_equal(mf_message_parse(&message, c->json, strlen(c->json), &error), MF_EINVAL);
        if (strncmp(error.text, c->why, strlen(c->why)) != 0)
            fail_msg("%s: %s", c->json, error.text);
    }
}

/* An error's text that does not fit is cut between characters. */
static void test_long_errors(void **state)
{
    char text[600] = "a";

    (void)state;
    for (size_t i = 0; i < 200; i++)
        strcat(text, "\xc3\xa9");
    mf_message message = mf_message_error("%s", text);
    assert_int_equal(strlen(message.error), 231);
    message = mf_message_error("%s", text + 1);
    assert_int_equal(strlen(message.error), 230);
}

/* The documents of a namespace that the Go library wrote (tests/fixtures/go, by etcdctl). */

static char *decoded(const cJSON *base64)
{
    const char *text = base64 != NULL ? base64->valuestring : "";
    char *out = calloc(1, strlen(text) + 4), *to = out;
    unsigned bits = 0, count = 0;

    for (; *text != '\0' && *text != '='; text++) {
        static const char digits[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        bits = bits << 6 | (unsigned)(strchr(digits, *text) - digits);
        count += 6;
        if (count >= 8) {
            count -= 8;
            *to++ = (char)(bits >> count & 0xff);
        }
    }
    return out;
}

static cJSON *read_dump(const char *name)
{
    char path[512];
    static char text[1 << 20];

    snprintf(path, sizeof path, "%s/%s", MF_FIXTURES, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    return cJSON_Parse(text);
}

static void assert_command_kept(const char *json)
{
    mf_command command;
    char *again;

    assert_int_equal(mf_command_parse(&command, json, strlen(json), NULL), MF_OK);
    assert_int_equal(mf_command_format(&again, &command, NULL), MF_OK);
    assert_string_equal(again, json);
    free(again);
    mf_command_clear(&command);
}

/* Returns 1 when the key's document is one that we read and write. */
static size_t check_document(const char *key, const char *value)
{
    if (strstr(key, "_metafora") != NULL)
        return 0;
    if (strstr(key, "/state/") != NULL)
        assert_state_kept(value);
    else if (strstr(key, "/commands/") != NULL)
        assert_command_kept(value);
    else if (strstr(key, "/props") != NULL)
        assert_int_equal(mf_check_properties("properties", value, NULL), MF_OK);
    else
        return 0;
    return 1;
}

static size_t check_dump(const char *name)
{
    cJSON *dump = read_dump(name), *entry;
    size_t count = 0;

    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(dump, "kvs"))
    {
        char *key = decoded(cJSON_GetObjectItem(entry, "key"));
        char *value = decoded(cJSON_GetObjectItem(entry, "value"));
        count += check_document(key, value);
        free(key);
        free(value);
    }
    cJSON_Delete(dump);
    return count;
}

/* States and commands of the Go library are written again byte for byte; its properties pass. */
static void test_go_documents(void **state)
{
    (void)state;
    assert_int_equal(check_dump("go-namespace-running.json"), 18);
    assert_int_equal(check_dump("go-namespace-stopped.json"), 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),       cmocka_unit_test(test_foreign_members),
        cmocka_unit_test(test_bad_states),   cmocka_unit_test(test_unwritable_states),
        cmocka_unit_test(test_bad_text),     cmocka_unit_test(test_messages),
        cmocka_unit_test(test_bad_messages), cmocka_unit_test(test_long_errors),
        cmocka_unit_test(test_go_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
