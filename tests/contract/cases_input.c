/* Bad input (G7): an error that names the field and the rule, and nothing else is touched. */
#include "contract.h"

#include <metafora/metafora.h>

static char long_id[300], large_properties[(1 << 20) + 16];

static void fill_large_inputs(void)
{
    memset(long_id, 'x', 256);
    memset(large_properties, ' ', (1 << 20) + 1);
    large_properties[0] = '1';
}

/* Ids and properties that the client must refuse, and what the error says of each. */
static const struct {
    const char *id, *properties, *field, *rule;
} bad_specs[] = {
    {NULL, NULL, "id", "missing"},
    {"", NULL, "id", "empty"},
    {long_id, NULL, "id", "255"},
    {"a/b", NULL, "id", "'/'"},
    {"/", NULL, "id", "'/'"},
    {"a\nb", NULL, "id", "control"},
    {"\x7f", NULL, "id", "control"},
    {"\x1b[31m", NULL, "id", "control"},
    {"\xff", NULL, "id", "UTF-8"},
    {"\xc3", NULL, "id", "UTF-8"},
    {"\xed\xa0\x80", NULL, "id", "UTF-8"},
    {"\xc0\xaf", NULL, "id", "UTF-8"},
    {"_metafora", NULL, "id", "reserved"},
    {"ok", "", "properties", "JSON"},
    {"ok", "{", "properties", "JSON"},
    {"ok", "{} x", "properties", "JSON"},
    {"ok", "{'a':1}", "properties", "JSON"},
    {"ok", "nul", "properties", "JSON"},
    {"ok", "\"\xff\"", "properties", "JSON"},
    {"ok", large_properties, "properties", "1 MiB"},
};

static void close_client(void *arg)
{
    mf_client_close(arg);
}

static mf_client *new_client(peer *p)
{
    mf_client *client;
    assert_int_equal(mf_client_open(&client, p->broker, NULL), MF_OK);
    at_end(p->c, close_client, client);
    return client;
}

static void expect_text(const mf_error *error, const char *field, const char *rule)
{
    if (strstr(error->text, field) == NULL || strstr(error->text, rule) == NULL)
        fail_msg("\"%s\" does not name \"%s\" and \"%s\"", error->text, field, rule);
}

/* The client refuses each bad task with the whole call, and the good one beside it is not
 * submitted. */
static void bad_tasks_are_refused(contract *c)
{
    peer *p = peer_new(c, "a");
    mf_client *client = new_client(p);

    fill_large_inputs();
    for (size_t i = 0; i < sizeof bad_specs / sizeof bad_specs[0]; i++) {
        mf_task_spec specs[] = {{.id = "good"},
                                {.id = bad_specs[i].id, .properties = bad_specs[i].properties}};
        mf_error error = {0};
        assert_int_equal(mf_client_submit(client, specs, 2, NULL, NULL, &error), MF_EINVAL);
        expect_text(&error, bad_specs[i].field, bad_specs[i].rule);
        /* The second item is at fault, and the text says so. */
        expect_text(&error, "1", "");
    }
    assert_int_equal(mf_client_wait(client, NULL), MF_OK);
    assert_int_equal(count_tasks(p), 0);
}

/* Bad ids are refused where tasks are removed and looked up as well. */
static void bad_ids_are_refused(contract *c)
{
    mf_client *client = new_client(peer_new(c, "a"));

    fill_large_inputs();
    for (size_t i = 0; i < sizeof bad_specs / sizeof bad_specs[0]; i++) {
        mf_error error = {0};
        if (bad_specs[i].properties != NULL)
            continue;
        assert_int_equal(mf_client_remove(client, &bad_specs[i].id, 1, NULL, NULL, &error),
                         MF_EINVAL);
        expect_text(&error, bad_specs[i].field, bad_specs[i].rule);
        assert_int_equal(mf_client_lookup(client, &bad_specs[i].id, 1, NULL, NULL, &error),
                         MF_EINVAL);
        expect_text(&error, bad_specs[i].field, bad_specs[i].rule);
    }
}

/* Commands with bad nodes or without the task they need are refused. */
static void bad_commands_are_refused(contract *c)
{
    mf_client *client = new_client(peer_new(c, "a"));
    const mf_command freeze = {.verb = MF_COMMAND_FREEZE};
    const mf_command no_task = {.verb = MF_COMMAND_STOP_TASK};
    const mf_command bad_task = {.verb = MF_COMMAND_STOP_TASK, .task = "a/b"};
    mf_error error;

    assert_int_equal(mf_client_command(client, "", &freeze, NULL, NULL, &error), MF_EINVAL);
    expect_text(&error, "node", "empty");
    assert_int_equal(mf_client_command(client, "a/b", &freeze, NULL, NULL, &error), MF_EINVAL);
    expect_text(&error, "node", "'/'");
    assert_int_equal(mf_client_command(client, "a", &no_task, NULL, NULL, &error), MF_EINVAL);
    expect_text(&error, "task", "missing");
    assert_int_equal(mf_client_command(client, "a", &bad_task, NULL, NULL, &error), MF_EINVAL);
    expect_text(&error, "task", "'/'");
}

/* A driver refuses namespaces that would not be safe in its keys. */
static void bad_namespaces_are_refused(contract *c)
{
    const char *const bad[] = {NULL, "", "a/b", "a{b", "a}b", "a\nb", "\xff", long_id};
    const mf_driver *const drivers[] = {c->fixture->driver, NULL};
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;

    fill_large_inputs();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mf_broker *broker;
        mf_error error = {0};
        options.name_space = bad[i];
        assert_int_equal(mf_broker_open_any(&broker, c->fixture->url(c->fixture), &options, c->loop,
                                            drivers, &error),
                         MF_EINVAL);
        assert_null(broker);
        expect_text(&error, "name_space", "");
    }
}

/* A driver refuses URLs with parts that it does not know, and does not repeat a password. */
static void bad_urls_are_refused(contract *c)
{
    const char *const tails[] = {"?nonsense=1",
                                 "?connect_timeout_ms=soon",
                                 "?reply_timeout_ms=-1",
                                 "?connect_timeout_ms=",
                                 "#part",
                                 "%zz",
                                 "/a/b/c/d"};
    const mf_driver *const drivers[] = {c->fixture->driver, NULL};
    mf_broker_options options = contract_options(c);
    mf_broker *broker;
    mf_error error;

    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        const char *url = keep_text(c, "%s%s", c->fixture->url(c->fixture), tails[i]);
        error.text[0] = 0;
        int code = mf_broker_open_any(&broker, url, &options, c->loop, drivers, &error);
        if (code != MF_EINVAL)
            fail_msg("%s: %d", url, code);
        assert_true(strlen(error.text) > 0);
    }
    assert_int_equal(
        mf_broker_open_any(&broker, "nonsense://x", &options, c->loop, drivers, &error), MF_EINVAL);
    expect_text(&error, "scheme", "");
}

const contract_case input_cases[] = {
    CASE(bad_tasks_are_refused),      CASE(bad_ids_are_refused),  CASE(bad_commands_are_refused),
    CASE(bad_namespaces_are_refused), CASE(bad_urls_are_refused), {0},
};
