/* metaforactl's commands on tasks with states and on nodes. */
#include <setjmp.h>
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

static void start_with_task(ctl_fixture *f, const char *id)
{
    ctl_start_node(f, A);
    assert_int_equal(ctl_do(f, "submit", "--id", id, SLEEP, NULL), 0);
    ctl_await(f, "running", "task", id, NULL);
}

/* A message makes the state that it names; states are listed by it. */
static void test_tell(void **state)
{
    ctl_fixture *f = *state;

    start_with_task(f, "t");
    assert_int_equal(ctl_do(f, "tell", "t", "pause", NULL), 0);
    assert_string_equal(f->out, "t told\n");
    ctl_await(f, "t   paused  -           0  -\n", "states", "paused", NULL);
    assert_int_equal(ctl_do(f, "tell", "t", "sleep", "2099-01-01T00:00:00Z", "--json", NULL), 0);
    assert_string_equal(f->out, "{\"id\":\"t\",\"result\":\"told\"}\n");
    ctl_await(f, "sleeping  2099-01-01T00:00:00Z", "states", "sleeping", NULL);
    assert_int_equal(ctl_do(f, "states", "--json", "--match", "t*", NULL), 0);
    assert_out(f, "{\"id\":\"t\",\"state\":{\"state\":\"sleeping\",");
    assert_int_equal(ctl_do(f, "states", "--match", "u*", "--json", NULL), 0);
    assert_string_equal(f->out, "");
    assert_int_equal(ctl_do(f, "task", "t", "--json", NULL), 0);
    assert_out(f, "\"state\":{\"state\":\"sleeping\",");
    assert_int_equal(ctl_do_with(f, "t\nnone\n", "tell", "--file", "-", "run", NULL), 1);
    assert_string_equal(f->out, "1 told, 1 not\n");
    assert_string_equal(f->err, "metaforactl: none: no such task\n");
}

/* A task that was killed is gone but known; it is revived with properties that are said, and erased
 * with all that is known of it. */
static void test_revive_and_erase(void **state)
{
    ctl_fixture *f = *state;

    start_with_task(f, "t");
    ctl_do(f, "tell", "t", "kill", NULL);
    ctl_await(f, "killed", "states", "killed", NULL);
    ctl_await(f, "0", "tasks", "--count", NULL);
    assert_int_equal(ctl_do(f, "task", "t", NULL), 0);
    assert_out(f, "state       {\"state\":\"killed\"");
    assert_int_equal(ctl_do(f, "revive", "t", NULL), 1);
    assert_string_equal(f->err, "metaforactl: t: no such task\n");
    assert_int_equal(ctl_do(f, "revive", "t", "--properties", SLEEP, NULL), 0);
    assert_string_equal(f->out, "t revived\n");
    ctl_await(f, "running", "task", "t", NULL);
    assert_int_equal(ctl_do(f, "revive", "t", "--json", NULL), 1);
    assert_string_equal(f->out,
                        "{\"id\":\"t\",\"error\":\"MF_ETAKEN\",\"text\":\"task has an owner\"}\n");

    ctl_do(f, "tell", "t", "kill", NULL);
    ctl_await(f, "killed", "states", "killed", NULL);
    assert_int_equal(ctl_do(f, "erase", "t", NULL), 0);
    assert_string_equal(f->out, "t erased\n");
    assert_int_equal(ctl_do(f, "task", "t", NULL), 1);
    assert_int_equal(ctl_do(f, "erase", "t", "--json", NULL), 1);
    assert_out(f, "\"error\":\"MF_EGONE\"");
    assert_int_equal(ctl_do(f, "erase", "t", "--ignore-missing", NULL), 0);
}

/* Why a task is where it is. */
static void test_explain(void **state)
{
    ctl_fixture *f = *state;

    start_with_task(f, "t");
    assert_int_equal(ctl_do(f, "explain", "t", NULL), 0);
    assert_true(strncmp(f->out, "t: ", 3) == 0);
    assert_int_equal(ctl_do(f, "explain", "t", "--json", NULL), 0);
    assert_out(f, "{\"id\":\"t\",\"node\":\"a\",\"fence\":");
    assert_out(f, "\"home\":\"a\",\"held\":1,\"share\":1,");
    assert_int_equal(ctl_do(f, "explain", "none", NULL), 1);
    assert_string_equal(f->err, "metaforactl: none: no such task\n");
}

/* A node does what it is told; one that is not there is told nothing. */
static void test_command(void **state)
{
    ctl_fixture *f = *state;

    start_with_task(f, "t");
    ctl_start_node(f, B);
    assert_int_equal(ctl_do(f, "command", "a", "drain", NULL), 0);
    assert_string_equal(f->out, "a: drain sent\n");
    ctl_await(f, "\"node\":\"b\"", "task", "t", "--json", NULL);
    ctl_await(f, "drained", "nodes", NULL);
    assert_int_equal(ctl_do(f, "command", "b", "stop_task", "t", "--json", NULL), 0);
    assert_string_equal(f->out, "{\"node\":\"b\",\"result\":\"sent\",\"command\":\"stop_task\"}\n");
    assert_int_equal(ctl_do(f, "command", "z", "freeze", NULL), 1);
    assert_string_equal(f->err, "metaforactl: z: no such node\n");
}

/* Wrong words are status 2, with those that are possible. */
static void test_wrong_words(void **state)
{
    static const struct {
        const char *arguments[6];
        const char *text;
    } wrong[] = {
        {{"tell", "--namespace", "n"}, "the id: must be followed by run, pause"},
        {{"tell", "t", "--namespace", "n"}, "the id: must be followed by run, pause"},
        {{"tell", "t", "fly", "--namespace", "n"}, "the id: must be followed by run, pause"},
        {{"tell", "t", "sleep", "--namespace", "n"}, "the id: must be followed by run, pause"},
        {{"tell", "t", "sleep", "soon", "--namespace", "n"}, "the id: sleep: 'soon': "},
        {{"command", "a", "--namespace", "n"}, "must be followed by freeze, unfreeze"},
        {{"command", "a", "stop_task", "--namespace", "n"}, "must be followed by freeze"},
        {{"command", "a", "freeze", "x", "--namespace", "n"}, "must be followed by freeze"},
        {{"states", "lost", "--namespace", "n"}, "states are runnable, sleeping, paused"},
        {{"revive", "t", "--properties={", "--namespace", "n"}, "--properties: "},
        {{"revive", "--namespace", "n"}, "either ids or --file are wanted"},
        {{"erase", "a/b", "--namespace", "n"}, "id: "},
        {{"completion", "csh"}, "'csh' is not bash, zsh or fish"},
    };
    ctl_fixture *f = *state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(ctl_do_bare(f, wrong[i].arguments, ""), 2);
        assert_err(f, wrong[i].text);
        assert_string_equal(f->out, "");
    }
}

static const char *const commands[][4] = {
    {"tasks"},       {"task", "t"},
    {"states"},      {"explain", "t"},
    {"nodes"},       {"node", "a"},
    {"submit", "1"}, {"remove", "t"},
    {"erase", "t"},  {"revive", "t"},
    {"watch"},       {"tell", "t", "run"},
    {"export"},      {"command", "a", "freeze"},
    {"doctor"},
};

/* Every command ends with this status, and says why in one line. */
static void assert_all_end(ctl_fixture *f, int status)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const char *const *words = commands[i];
        int got = ctl_do(f, words[0], "--log", "none", words[1], words[1] != NULL ? words[2] : NULL,
                         NULL);
        if (got != status)
            fail_msg("%s: %d: %s", words[0], got, f->err);
        assert_string_equal(f->out, "");
        assert_true(strncmp(f->err, "metaforactl: ", 13) == 0);
        assert_ptr_equal(strchr(f->err, '\n'), f->err + strlen(f->err) - 1);
    }
}

/* A broker that is not there. */
static void test_all_broker_down(void **state)
{
    ctl_fixture *f = *state;

    ctl_server_kill(f->server);
    assert_all_end(f, 3);
}

/* Something else has the namespace's name. */
static void test_all_wrong_type(void **state)
{
    ctl_fixture *f = *state;

    if (ctl_server_spoil(f->server))
        assert_all_end(f, 4);
}

/* What bash completes: commands, and the options of each. */
static void test_completion(void **state)
{
    ctl_fixture *f = *state;
    char command[1024];

    assert_int_equal(ctl_do_bare(f, (const char *const[]){"completion", "bash", NULL}, ""), 0);
    const char *script = ctl_file(f, "completion", f->out);
    snprintf(command, sizeof command,
             "bash -c '. %s; COMP_WORDS=(metaforactl re); COMP_CWORD=1; _metaforactl; "
             "echo ${COMPREPLY[@]}; COMP_WORDS=(metaforactl --json submit --i); COMP_CWORD=3; "
             "_metaforactl; echo ${COMPREPLY[@]}'",
             script);
    FILE *bash = popen(command, "re");
    char words[2][128] = {"", ""};
    assert_non_null(fgets(words[0], sizeof *words, bash));
    assert_non_null(fgets(words[1], sizeof *words, bash));
    assert_int_equal(pclose(bash), 0);
    assert_string_equal(words[0], "remove revive\n");
    assert_string_equal(words[1], "--id --ignore-existing\n");
    assert_int_equal(ctl_do_bare(f, (const char *const[]){"completion", "fish", NULL}, ""), 0);
    assert_out(f, "complete -c metaforactl -n __fish_use_subcommand -a tasks -d ");
    assert_int_equal(ctl_do_bare(f, (const char *const[]){"completion", "zsh", NULL}, ""), 0);
    assert_out(f, "bashcompinit");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, ctl_setup, ctl_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_tell),           CASE(test_revive_and_erase), CASE(test_explain),
        CASE(test_command),        CASE(test_wrong_words),      CASE(test_all_broker_down),
        CASE(test_all_wrong_type), CASE(test_completion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
