/* metaforactl, each command as its users run it, for people and for programs. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl_fixture.h"

enum { A, B, C };

#define SLEEP "{\"args\":[\"sleep\",\"1000\"]}"

/* Looking. */

/* An empty namespace is an empty table, and no line of JSON. */
static void test_nothing_there(void **state)
{
    ctl_fixture *f = *state;

    assert_int_equal(ctl_do(f, "tasks", NULL), 0);
    assert_string_equal(f->out, "ID  STATUS  NODE  FENCE  CRASHES  PROPERTIES\n");
    assert_int_equal(ctl_do(f, "tasks", "--json", NULL), 0);
    assert_string_equal(f->out, "");
    assert_int_equal(ctl_do(f, "nodes", NULL), 0);
    assert_string_equal(f->out, "NODE  TASKS  WEIGHT  SHARE  STATUS\n");
}

/* Columns are as wide as what is in them, numbers to the right, all on lines of their own. */
static void test_tasks_as_a_table(void **state)
{
    ctl_fixture *f = *state;

    ctl_do(f, "submit", "--id", "a-rather-long-id", "{\"n\":1}", NULL);
    ctl_do(f, "submit", "--id", "b", NULL);
    assert_int_equal(ctl_do(f, "tasks", NULL), 0);
    assert_out(f, "ID                STATUS   NODE  FENCE  CRASHES  PROPERTIES\n");
    assert_out(f, "a-rather-long-id  waiting  -         0        0  {\"n\":1}\n");
    assert_out(f, "b                 waiting  -         0        0  -\n");
}

/* JSON has the properties as they were submitted, numbers beyond doubles too, in one line. */
static void test_tasks_as_json(void **state)
{
    ctl_fixture *f = *state;

    ctl_do(f, "submit", "--id", "a\"b", "{\"n\": 12345678901234567890,\n \"s\": \"\\u00e9\\n\"}",
           NULL);
    assert_int_equal(ctl_do(f, "tasks", "--json", NULL), 0);
    assert_string_equal(f->out,
                        "{\"id\":\"a\\\"b\",\"status\":\"waiting\",\"node\":null,\"fence\":0,"
                        "\"crashes\":0,\"properties\":{\"n\": 12345678901234567890,  \"s\": "
                        "\"\\u00e9\\n\"}}\n");
}

/* Filters: by node, status and pattern; --count only counts. */
static void test_tasks_filtered(void **state)
{
    ctl_fixture *f = *state;

    ctl_start_node(f, A);
    ctl_do(f, "submit", "--id", "runs", SLEEP, NULL);
    ctl_await(f, "runs", "tasks", "--status", "running", NULL);
    ctl_do(f, "submit", "--id", "later-1", "--at", "+1d", NULL);
    ctl_do(f, "submit", "--id", "later-2", "--at", "+1d", NULL);

    assert_int_equal(ctl_do(f, "tasks", "--count", NULL), 0);
    assert_string_equal(f->out, "3\n");
    ctl_do(f, "tasks", "--count", "--match", "later-*", "--json", NULL);
    assert_string_equal(f->out, "{\"tasks\":2}\n");
    ctl_do(f, "tasks", "--count", "--node", "a", NULL);
    assert_string_equal(f->out, "1\n");
    ctl_do(f, "tasks", "--count", "--status", "waiting", NULL);
    assert_string_equal(f->out, "2\n");
}

/* What breaks the rules is shown as damaged and does not hide the others. */
static void test_damaged_task(void **state)
{
    ctl_fixture *f = *state;

    ctl_do(f, "submit", "--id", "good", "1", NULL);
    ctl_do(f, "submit", "--id", "bad", "1", NULL);
    ctl_server_damage(f->server, "bad");
    assert_int_equal(ctl_do(f, "tasks", NULL), 0);
    assert_out(f, "good  waiting");
    assert_out(f, "bad   damaged");
    assert_int_equal(ctl_do(f, "tasks", "--status", "damaged", "--json", NULL), 0);
    assert_out(f, "{\"id\":\"bad\",\"status\":\"damaged\",\"node\":null,\"fence\":0,\"crashes\":0,"
                  "\"properties\":null}\n");
}

/* One task: all that is known of it, with where it is and why. */
static void test_task(void **state)
{
    ctl_fixture *f = *state;

    ctl_start_node(f, A);
    ctl_do(f, "submit", "--id", "t", SLEEP, NULL);
    ctl_await(f, "running", "task", "t", NULL);
    assert_out(f, "id          t\n");
    assert_out(f, "node        a\n");
    assert_out(f, "properties  " SLEEP "\n");
    assert_out(f, "explanation ");
    assert_int_equal(ctl_do(f, "task", "--json", "t", NULL), 0);
    assert_out(f, "{\"id\":\"t\",\"status\":\"running\",\"node\":\"a\"");
    assert_out(f, "\"home\":\"a\",\"explanation\":\"");
    assert_int_equal(ctl_do(f, "task", "none", NULL), 1);
    assert_string_equal(f->out, "");
    assert_string_equal(f->err, "metaforactl: none: no such task\n");
}

/* Nodes with their shares; one with its tasks. */
static void test_nodes(void **state)
{
    ctl_fixture *f = *state;

    ctl_start_node(f, A);
    ctl_do(f, "submit", "--id", "t", SLEEP, NULL);
    ctl_await(f, "a         1       1      1  ready\n", "nodes", NULL);
    assert_int_equal(ctl_do(f, "nodes", "--json", NULL), 0);
    assert_string_equal(
        f->out, "{\"node\":\"a\",\"tasks\":1,\"weight\":1,\"share\":1,\"status\":\"ready\"}\n");
    assert_int_equal(ctl_do(f, "node", "a", NULL), 0);
    assert_out(f, "ready\n\nID");
    assert_out(f, SLEEP "\n");
    assert_int_equal(ctl_do(f, "node", "a", "--json", NULL), 0);
    assert_out(f, "\"status\":\"ready\",\"held\":[{\"id\":\"t\"");
    assert_int_equal(ctl_do(f, "node", "z", NULL), 1);
    assert_string_equal(f->err, "metaforactl: z: no such node\n");
}

/* Submitting and removing. */

/* Properties from the command line, from a file, from stdin; an id is made where none is given. */
static void test_submit_one(void **state)
{
    ctl_fixture *f = *state;
    char at_file[300];

    assert_int_equal(ctl_do(f, "submit", "{\"a\":1}", NULL), 0);
    assert_int_equal(strspn(f->out, "0123456789abcdef"), 16);
    assert_out(f, " submitted\n");
    snprintf(at_file, sizeof at_file, "@%s", ctl_file(f, "properties", "{\"from\":\"file\"}\n"));
    assert_int_equal(ctl_do(f, "submit", "--id", "file", at_file, NULL), 0);
    assert_int_equal(ctl_do_with(f, "[1,\n2]", "submit", "--id", "stdin", "-", "--json", NULL), 0);
    assert_string_equal(f->out, "{\"id\":\"stdin\",\"result\":\"submitted\"}\n");
    ctl_do(f, "tasks", "--json", NULL);
    assert_out(f, "\"properties\":{\"from\":\"file\"}");
    assert_out(f, "\"properties\":[1, 2]");
}

/* A task that is there already is status 1, and none with --ignore-existing. */
static void test_submit_twice(void **state)
{
    ctl_fixture *f = *state;

    assert_int_equal(ctl_do(f, "submit", "--id", "t", NULL), 0);
    assert_int_equal(ctl_do(f, "submit", "--id", "t", NULL), 1);
    assert_string_equal(f->err, "metaforactl: t: task exists already\n");
    assert_int_equal(ctl_do(f, "submit", "--id", "t", "--ignore-existing", NULL), 0);
    assert_string_equal(f->err, "");
    assert_int_equal(ctl_do(f, "submit", "--id", "t", "--json", NULL), 1);
    assert_string_equal(
        f->out, "{\"id\":\"t\",\"error\":\"MF_EEXISTS\",\"text\":\"task exists already\"}\n");
}

/* A file of tasks: what each line says, ids made of a prefix, blank lines left out. */
static void test_submit_file(void **state)
{
    ctl_fixture *f = *state;

    assert_int_equal(ctl_do_with(f,
                                 "{\"id\":\"one\",\"properties\":{\"n\":1}}\n\n"
                                 " { \"properties\" : [ \"}\" , \"\\\"\" ] , "
                                 "\"not_before\":\"2099-01-01T00:00:00Z\" } \r\n"
                                 "{\"id\":\"thr\\u0065e\",\"not_before\":null}\n"
                                 "{}",
                                 "submit", "--file", "-", "--id", "made", NULL),
                     0);
    assert_string_equal(f->out, "4 submitted\n");
    ctl_do(f, "tasks", "--json", NULL);
    assert_out(f, "{\"id\":\"one\",\"status\":\"waiting\",\"node\":null,\"fence\":0,\"crashes\":0,"
                  "\"properties\":{\"n\":1}}");
    assert_out(f, "\"id\":\"made-3\"");
    assert_out(f, "\"properties\":[ \"}\" , \"\\\"\" ]}");
    assert_out(f, "\"id\":\"three\"");
    assert_out(f, "\"id\":\"made-5\"");
}

/* Many go in chunks, and are all there. */
static void test_submit_many(void **state)
{
    ctl_fixture *f = *state;
    char *text;
    size_t size;
    FILE *lines = open_memstream(&text, &size);

    for (int i = 0; i < 12000; i++)
        fprintf(lines, "{\"id\":\"t-%d\"}\n", i);
    fclose(lines);
    assert_int_equal(ctl_do_with(f, text, "submit", "--file", "-", NULL), 0);
    assert_string_equal(f->out, "12000 submitted\n");
    ctl_do(f, "tasks", "--count", NULL);
    assert_string_equal(f->out, "12000\n");
    assert_int_equal(ctl_do_with(f, text, "submit", "--file", "-", "--ignore-existing", NULL), 0);
    assert_string_equal(f->out, "0 submitted, 12000 there already\n");
    assert_int_equal(
        ctl_do_with(f, text, "submit", "--file", "-", "--json", "--skip", "11999", NULL), 1);
    assert_string_equal(
        f->out, "{\"id\":\"t-11999\",\"error\":\"MF_EEXISTS\",\"text\":\"task exists already\"}\n");
    free(text);
}

/* A line that breaks a rule ends the work before it, and is named with its field; what came before
 * is done, and the line to go on with says so. */
static void test_submit_bad_lines(void **state)
{
    static const char *const lines[][2] = {
        {"{\"id\":\"a/b\"}", "id: "},
        {"{\"id\":1}", "id: must be a string"},
        {"{\"id\":\"a\",\"id\":\"b\"}",
         "'id': is none of id, properties, not_before, or is there twice"},
        {"{\"properties\":1}", "id: missing; with --id PREFIX"},
        {"{\"id\":\"a\",\"properties\":{1}}", "properties: "},
        {"{\"id\":\"a\",\"not_before\":\"soon\"}", "not_before: 'soon': "},
        {"{\"id\":\"a\",\"x\":1}", "'x': is none of id, properties, not_before"},
        {"{\"id\":\"a\"", "is not a JSON object"},
        {"{\"id\":\"a\"} x", "is not a JSON object"},
        {"{\"id\":\"a\",}", "is not a JSON object"},
        {"[\"a\"]", "is not a JSON object"},
        {"a", "is not a JSON object"},
        {"{\"id\"}", "is not a JSON object"},
        {"{\"id\":}", "is not a JSON object"},
    };
    ctl_fixture *f = *state;

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char text[256], wanted[256];
        snprintf(text, sizeof text, "{\"id\":\"good-%zu\"}\n%s\n", i, lines[i][0]);
        snprintf(wanted, sizeof wanted, "metaforactl: -: line 2: %s", lines[i][1]);
        assert_int_equal(ctl_do_with(f, text, "submit", "--file", "-", NULL), 2);
        assert_err(f, wanted);
        assert_err(f, "metaforactl: 1 lines are done; to go on: ");
        assert_err(f, " submit --broker ");
        assert_err(f, " --file - --skip 1\n");
        assert_string_equal(f->out, "1 submitted\n");
    }
}

/* Removing by ids and by a file of them; what is not there is status 1, unless that is as well. */
static void test_remove(void **state)
{
    ctl_fixture *f = *state;

    ctl_do_with(f, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n", "submit", "--file", "-",
                NULL);
    assert_int_equal(ctl_do(f, "remove", "a", NULL), 0);
    assert_string_equal(f->out, "a removed\n");
    assert_int_equal(ctl_do(f, "remove", "a", "b", "--json", NULL), 1);
    assert_string_equal(f->out, "{\"id\":\"a\",\"error\":\"MF_EGONE\",\"text\":\"no such task\"}\n"
                                "{\"id\":\"b\",\"result\":\"removed\"}\n");
    assert_string_equal(f->err, "metaforactl: a: no such task\n");
    assert_int_equal(ctl_do_with(f, "a\nb\nc\n", "remove", "--file", "-", "--ignore-missing", NULL),
                     0);
    assert_string_equal(f->out, "1 removed, 2 not there\n");
    ctl_do(f, "tasks", "--count", NULL);
    assert_string_equal(f->out, "0\n");
}

/* An id that begins with a dash goes behind "--". */
static void test_dashes(void **state)
{
    ctl_fixture *f = *state;

    assert_int_equal(ctl_do(f, "submit", "--id", "-x", NULL), 0);
    assert_int_equal(ctl_do(f, "remove", "--", "-x", NULL), 0);
    assert_string_equal(f->out, "-x removed\n");
}

/* How it is called. */

/* Wrong usage is status 2, and names the option and the rule. */
static void test_wrong_usage(void **state)
{
    static const struct {
        const char *arguments[6];
        const char *text;
    } wrong[] = {
        {{NULL}, "metaforactl: a command is missing; see metaforactl --help\n"},
        {{"fly"}, "metaforactl: 'fly' is not a command; see metaforactl --help\n"},
        {{"tasks"}, "metaforactl tasks: --namespace: missing, and so is $METAFORA_NAMESPACE"},
        {{"tasks", "--namespace"}, "metaforactl tasks: --namespace: needs an argument"},
        {{"tasks", "--loud"}, "metaforactl tasks: --loud: not an option"},
        {{"tasks", "x", "--namespace", "n"}, "metaforactl tasks: 'x' is too much"},
        {{"task", "--namespace", "n"}, "metaforactl task: an operand is missing"},
        {{"tasks", "--status", "well", "--namespace", "n"},
         "--status: 'well' is not running, waiting, set-aside or damaged"},
        {{"remove", "--namespace", "n"}, "metaforactl remove: either ids or --file are wanted"},
        {{"remove", "--namespace", "n", "--file", "/none"}, "--file: /none: No such file"},
        {{"submit", "--namespace", "n", "--at", "soon"}, "--at: 'soon': "},
        {{"submit", "--namespace", "n", "--id", "a/b"}, "--id: "},
        {{"submit", "--namespace", "n", "{1}"}, "properties: "},
        {{"submit", "--namespace", "n", "@/none"}, "/none: No such file"},
        {{"submit", "--namespace", "n", "--skip", "-1"}, "--skip: '-1' is not a number from 0"},
        {{"remove", "--namespace", "n", ""}, "id: "},
        {{"tasks", "--namespace", "a/b"}, "'/'"},
        {{"tasks", "--namespace", "n", "--broker", "localhost"}, "--broker: must be a URL"},
        {{"tasks", "--namespace", "n", "--broker", "gopher://x"}, "gopher"},
        {{"tasks", "--namespace", "n", "--broker", "redis://u:secret@x"},
         "--broker: a password in it can be seen"},
        {{"tasks", "--namespace", "n", "--broker", "redis+sentinel://x/m?sentinel_password=secret"},
         "METAFORA_SENTINEL_PASSWORD"},
        {{"tasks", "--namespace", "n", "--password-file", "/none"},
         "--password-file: /none: No such file"},
        {{"tasks", "--namespace", "n", "--password-file", "/dev/null"},
         "--password-file: /dev/null: its first line is empty"},
    };
    ctl_fixture *f = *state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int status = ctl_do_bare(f, wrong[i].arguments, "");
        assert_err(f, wrong[i].text);
        assert_int_equal(status, strstr(wrong[i].text, "No such file") != NULL ? 5 : 2);
        assert_string_equal(f->out, "");
        assert_null(strstr(f->err, "secret"));
    }
}

/* Help says all commands, and each command its options. */
static void test_help(void **state)
{
    ctl_fixture *f = *state;

    assert_int_equal(ctl_do_bare(f, (const char *const[]){"--help", NULL}, ""), 0);
    assert_out(f, "usage: metaforactl [options] COMMAND");
    assert_out(f, "\n  remove  ");
    assert_int_equal(ctl_do_bare(f, (const char *const[]){"submit", "--help", NULL}, ""), 0);
    assert_out(f, "usage: metaforactl submit [options]");
    assert_out(f, "--ignore-existing");
    assert_int_equal(ctl_do_bare(f, (const char *const[]){"--version", NULL}, ""), 0);
    assert_string_equal(f->out, "metaforactl 0.1.0\n");
}

/* A broker that is not there is status 3. */
static void test_broker_down(void **state)
{
    ctl_fixture *f = *state;

    ctl_server_kill(f->server);
    assert_int_equal(ctl_do(f, "tasks", "--log", "none", NULL), 3);
    assert_string_equal(f->out, "");
    assert_true(strncmp(f->err, "metaforactl: ", 13) == 0);
    assert_int_equal(ctl_do(f, "task", "x", NULL), 3);
    assert_int_equal(ctl_do(f, "nodes", NULL), 3);
    assert_int_equal(ctl_do(f, "submit", "1", NULL), 3);
    assert_int_equal(ctl_do(f, "remove", "x", NULL), 3);
    assert_int_equal(ctl_do_with(f, "a\nb\n", "remove", "--file", "-", NULL), 3);
    assert_err(f, "0 lines are done");
}

/* The environment says broker, namespace and password; the password may be in a file. A wrong one
 * is status 4, and is not shown. */
static void test_password(void **state)
{
    ctl_fixture *f = *state;
    char url[256];
    ctl_server *open = f->server;

    f->server = ctl_server_start("open:se/same");
    ctl_server_free(open);
    const char *bare = ctl_server_url(f->server);
    const char *user = ctl_server_user();
    snprintf(url, sizeof url, "%.*s%s%s%s", (int)(strstr(bare, "://") + 3 - bare), bare, user,
             *user != '\0' ? "@" : "", strstr(bare, "://") + 3);
    const char *file = ctl_file(f, "password", "open:se/same\nnot this\n");
    const char *const by_file[] = {"--broker",        url,  "tasks", "--namespace", "ns",
                                   "--password-file", file, NULL};
    assert_int_equal(ctl_do_bare(f, by_file, ""), 0);

    const char *const plain[] = {"tasks", NULL};
    setenv("METAFORA_BROKER", url, 1);
    setenv("METAFORA_NAMESPACE", "ns", 1);
    setenv("METAFORA_PASSWORD", "open:se/same", 1);
    assert_int_equal(ctl_do_bare(f, plain, ""), 0);
    setenv("METAFORA_PASSWORD", "wrong", 1);
    assert_int_equal(ctl_do_bare(f, plain, ""), 4);
    assert_null(strstr(f->err, "wrong\""));
    unsetenv("METAFORA_PASSWORD");
    assert_int_equal(ctl_do_bare(f, plain, ""), 4);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, ctl_setup, ctl_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_nothing_there),  CASE(test_tasks_as_a_table), CASE(test_tasks_as_json),
        CASE(test_tasks_filtered), CASE(test_damaged_task),     CASE(test_task),
        CASE(test_nodes),          CASE(test_submit_one),       CASE(test_submit_twice),
        CASE(test_submit_file),    CASE(test_submit_many),      CASE(test_submit_bad_lines),
        CASE(test_remove),         CASE(test_dashes),           CASE(test_wrong_usage),
        CASE(test_help),           CASE(test_broker_down),      CASE(test_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
