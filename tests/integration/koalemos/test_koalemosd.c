/* koalemosd end to end: real processes on a private broker, hurt in every way that they must bear.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "koalemos_fixture.h"

enum { A, B, C };

#define CLAIMED "\"event\":\"claimed\""
#define RUNNING "\"event\":\"process-started\""

static void assert_exit(process *node, int status)
{
    assert_true(process_await_end(node, KOALEMOS_PATIENCE_MS));
    assert_true(WIFEXITED(node->status));
    assert_int_equal(WEXITSTATUS(node->status), status);
}

static void stop_node(koalemos_fixture *f, int n)
{
    process_signal(&f->nodes[n], SIGTERM);
    assert_exit(&f->nodes[n], 0);
}

static void assert_log_has(koalemos_fixture *f, const char *name, const char *wanted)
{
    char *text = koalemos_text(f, name);
    if (strstr(text, wanted) == NULL)
        fail_msg("%s has no '%s': %s", name, wanted, text);
    free(text);
}

/* Tells the node, and waits until it has heard. */
static void command(koalemos_fixture *f, int n, const char *verb)
{
    static const char *const names[] = {"a", "b", "c"}, *const logs[] = {"a.log", "b.log", "c.log"};
    const char *const arguments[] = {"--command", names[n], verb, NULL};
    char heard[64];

    assert_int_equal(koalemos_ctl(f, arguments), 0);
    snprintf(heard, sizeof heard, "command {\"command\":\"%s\"", verb);
    KOALEMOS_AWAIT(f, koalemos_has(f, logs[n], heard));
}

/* Starts the node and gives it so many tasks, while the others take none. */
static void start_with_tasks(koalemos_fixture *f, int n, const char *prefix, int count)
{
    koalemos_start(f, n, NULL);
    koalemos_add_tasks(f, count, 500, 2500);
    koalemos_submit(f, prefix);
    KOALEMOS_AWAIT(f, koalemos_count(f, n, RUNNING) == (size_t)count);
}

/* The main job: of three nodes with 300 tasks one is killed and one is stopped beyond its lease and
 * resumed. Every task completes, no two owners' intervals and no two processes overlap, fences
 * rise, and what was lost is taken over within the lease and a moment. */
static void test_kill_and_stop(void **state)
{
    koalemos_fixture *f = *state;

    koalemos_hold(f);
    start_with_tasks(f, C, "first", KOALEMOS_TASKS_A_NODE);
    command(f, C, "freeze");
    start_with_tasks(f, B, "second", KOALEMOS_TASKS_A_NODE);
    command(f, B, "freeze");
    start_with_tasks(f, A, "third", KOALEMOS_TASKS_A_NODE);
    command(f, C, "unfreeze");

    checker_fault(f->checker, "b", koalemos_now_us());
    process_kill(&f->nodes[B]);
    checker_fault(f->checker, "c", koalemos_now_us());
    process_signal(&f->nodes[C], SIGSTOP);
    KOALEMOS_AWAIT(f, koalemos_taken(f, B, A) >= KOALEMOS_TASKS_A_NODE / 5 &&
                          koalemos_taken(f, C, A) >= KOALEMOS_TASKS_A_NODE / 5);
    process_signal(&f->nodes[C], SIGCONT);
    checker_recovered(f->checker, "c", koalemos_now_us());
    koalemos_let_go(f);
    KOALEMOS_AWAIT(f, koalemos_done(f) == KOALEMOS_NODES * KOALEMOS_TASKS_A_NODE);
    stop_node(f, A);
    stop_node(f, C);
    assert_true(koalemos_none_alive(f));
    koalemos_check(f, 2 * KOALEMOS_TASKS_A_NODE / 5);
}

/* A node that was resumed after its lease works on: it takes new tasks, and nothing done by others
 * meanwhile comes back. */
static void test_resumed_node_works(void **state)
{
    koalemos_fixture *f = *state;

    koalemos_hold(f);
    start_with_tasks(f, C, "first", 20);
    koalemos_start(f, A, NULL);
    checker_fault(f->checker, "c", koalemos_now_us());
    process_signal(&f->nodes[C], SIGSTOP);
    koalemos_let_go(f);
    KOALEMOS_AWAIT(f, koalemos_done(f) == 20);
    stop_node(f, A);
    process_signal(&f->nodes[C], SIGCONT);
    checker_recovered(f->checker, "c", koalemos_now_us());
    koalemos_add_tasks(f, 20, 10, 200);
    koalemos_submit(f, "second");
    KOALEMOS_AWAIT(f, koalemos_done(f) == 40);
    stop_node(f, C);
    koalemos_check(f, 20);
}

/* SIGTERM: the tasks are stopped and given back at once, not left to their leases, also one that
 * ignores SIGINT, which is killed after the grace. */
static void test_clean_shutdown(void **state)
{
    koalemos_fixture *f = *state;
    static const char *const grace[] = {"--kill-grace-ms", "1500", "--lease-ms", "60000", NULL};

    koalemos_start(f, A, grace);
    koalemos_add(f, "sh -c 'trap \"\" INT; echo up; sleep 100; sleep 100'");
    koalemos_add(f, "sleep 100");
    koalemos_submit(f, "long");
    KOALEMOS_AWAIT(f, koalemos_count(f, A, RUNNING) == 2 && koalemos_has(f, "long-1.log", "up\n"));
    stop_node(f, A);
    assert_int_equal(koalemos_count(f, A, "\"event\":\"released\""), 2);
    assert_int_equal(koalemos_count(f, A, "signal 2 (Interrupt)"), 1);
    assert_int_equal(koalemos_count(f, A, "signal 9 (Killed)"), 1);
    koalemos_start(f, B, NULL);
    KOALEMOS_AWAIT(f, koalemos_count(f, B, RUNNING) == 2);
    stop_node(f, B);
}

/* When the guard is killed its commands are, the node gives their tasks back and ends with an
 * error, and another runs them. */
static void test_guard_killed(void **state)
{
    koalemos_fixture *f = *state;

    koalemos_start(f, A, NULL);
    koalemos_add_tasks(f, 10, 1000, 2000);
    koalemos_submit(f, "task");
    KOALEMOS_AWAIT(f, koalemos_count(f, A, RUNNING) == 10);
    char *log = koalemos_text(f, "a.log");
    char *guard = strstr(log, "guard: process ");
    assert_non_null(guard);
    assert_int_equal(kill((pid_t)atoi(guard + strlen("guard: process ")), SIGKILL), 0);
    free(log);
    assert_exit(&f->nodes[A], 1);
    assert_true(koalemos_none_alive(f));
    assert_log_has(f, "a.log", "the guard process is gone");
    koalemos_start(f, B, NULL);
    KOALEMOS_AWAIT(f, koalemos_done(f) == 10);
    stop_node(f, B);
    koalemos_check(f, 0);
}

/* While the broker is away no command outlives its lease; when it is back they run again. */
static void test_broker_away(void **state)
{
    koalemos_fixture *f = *state;

    koalemos_start(f, A, NULL);
    koalemos_add_tasks(f, 5, 6000, 6000);
    koalemos_submit(f, "task");
    KOALEMOS_AWAIT(f, koalemos_count(f, A, RUNNING) == 5);
    checker_fault(f->checker, "a", koalemos_now_us());
    broker_kill(f->broker);
    KOALEMOS_AWAIT(f, koalemos_count(f, A, "\"event\":\"process-ended\"") == 5);
    assert_int_equal(koalemos_count(f, A, "\"detail\":\"expiring\""), 5);
    assert_true(koalemos_none_alive(f));
    broker_restart(f->broker);
    KOALEMOS_AWAIT(f, koalemos_done(f) == 5);
    stop_node(f, A);
}

/* A task without a command, or with one that cannot be run, is done, with the reason in its log; a
 * command that fails too. None of them stops the others. */
static void test_bad_tasks(void **state)
{
    koalemos_fixture *f = *state;

    koalemos_start(f, A, NULL);
    koalemos_add(f, "/no/such/program");
    koalemos_add(f, "sh -c 'echo wrong >&2; exit 7'");
    koalemos_add(f, "[\"\"]");
    koalemos_add(f, "echo \"fine thing\"");
    koalemos_submit(f, "t");
    KOALEMOS_AWAIT(f, koalemos_done(f) == 4);
    assert_log_has(f, "t-1.log", "cannot run /no/such/program: No such file or directory");
    assert_log_has(f, "t-1.log", "exit status 127");
    assert_log_has(f, "t-2.log", "wrong\n");
    assert_log_has(f, "t-2.log", "exit status 7");
    assert_log_has(f, "t-3.log", "not run: properties.args[0]: must not be empty");
    assert_log_has(f, "a.log", "task t-3: properties.args[0]: must not be empty");
    assert_log_has(f, "t-4.log", "fine thing\n");
    stop_node(f, A);
}

/* A second node of a live name is refused with an error that names it, and the first is not hurt.
 */
static void test_name_in_use(void **state)
{
    koalemos_fixture *f = *state;
    static const char *const same[] = {"--name", "a", NULL};

    koalemos_start(f, A, NULL);
    koalemos_launch(f, B, same);
    assert_exit(&f->nodes[B], 1);
    assert_log_has(f, "b.log", "in use");
    stop_node(f, A);
}

/* A broker that cannot be reached ends the program with an error, unless it is asked to wait. */
static void test_unreachable(void **state)
{
    koalemos_fixture *f = *state;
    static const char *const waiting[] = {"--wait", NULL};

    broker_kill(f->broker);
    koalemos_launch(f, A, NULL);
    assert_exit(&f->nodes[A], 1);
    koalemos_launch(f, B, waiting);
    assert_true(process_await_output(&f->nodes[B], "refused", 0, KOALEMOS_PATIENCE_MS));
    broker_restart(f->broker);
    assert_true(process_await_output(&f->nodes[B], "joined as", 0, KOALEMOS_PATIENCE_MS));
    stop_node(f, B);
}

/* koalemosctl shows tasks and nodes, explains, commands a node, and removes a running task. */
static void test_ctl(void **state)
{
    koalemos_fixture *f = *state;
    static const char *const list[] = {"--list", NULL}, *const nodes[] = {"--nodes", NULL};
    static const char *const freeze[] = {"--command", "a", "freeze", NULL};
    static const char *const give[] = {"--command", "a", "stop_task", "long", NULL};
    static const char *const explain[] = {"--explain", "long", NULL};
    static const char *const revive[] = {"--revive", "long", NULL};
    static const char *const revive_none[] = {"--revive", "none", NULL};
    static const char *const take_off[] = {"--remove", "long", NULL};
    static const char *const submit[] = {"--id", "long", "sleep", "100", NULL};

    koalemos_start(f, A, NULL);
    assert_int_equal(koalemos_ctl(f, submit), 0);
    assert_log_has(f, "ctl", "long\n");
    assert_int_equal(koalemos_ctl(f, submit), 1);
    KOALEMOS_AWAIT(f, koalemos_count(f, A, RUNNING) == 1);
    assert_int_equal(koalemos_ctl(f, list), 0);
    assert_log_has(f, "ctl", "long\ta\t");
    assert_log_has(f, "ctl", "{\"args\":[\"sleep\",\"100\"]}\n");
    assert_int_equal(koalemos_ctl(f, nodes), 0);
    assert_log_has(f, "ctl", "a\t1\n");
    assert_int_equal(koalemos_ctl(f, explain), 0);
    assert_log_has(f, "ctl", "long: node a has it and 1 in all");
    assert_int_equal(koalemos_ctl(f, revive), 1);
    assert_log_has(f, "ctl", "task has an owner");
    assert_int_equal(koalemos_ctl(f, revive_none), 1);
    assert_log_has(f, "ctl", "none: no such task");
    assert_int_equal(koalemos_ctl(f, freeze), 0);
    assert_int_equal(koalemos_ctl(f, give), 0);
    KOALEMOS_AWAIT(f, koalemos_count(f, A, "\"event\":\"released\"") == 1);
    koalemos_start(f, B, NULL);
    KOALEMOS_AWAIT(f, koalemos_count(f, B, RUNNING) == 1);
    assert_int_equal(koalemos_ctl(f, take_off), 0);
    KOALEMOS_AWAIT(f, koalemos_count(f, B, "\"detail\":\"deleted\"") == 1);
    KOALEMOS_AWAIT(f, koalemos_count(f, B, "\"event\":\"process-ended\"") == 1);
    assert_int_equal(koalemos_ctl(f, take_off), 1);
    stop_node(f, A);
    stop_node(f, B);
}

/* Runs koalemosctl until it says so. */
static bool ctl_says(koalemos_fixture *f, const char *const *arguments, const char *wanted)
{
    return koalemos_ctl(f, arguments) == 0 && koalemos_has(f, "ctl", wanted);
}

static void assert_ctl(koalemos_fixture *f, int status, const char *option, const char *subject,
                       const char *first, const char *second)
{
    const char *const arguments[] = {option, subject, first, second, NULL};
    assert_int_equal(koalemos_ctl(f, arguments), status);
}

/* With states a task is paused, put to sleep, killed, revived and erased by koalemosctl, as its
 * process comes and goes. */
static void test_states(void **state)
{
    koalemos_fixture *f = *state;
    static const char *const stateful[] = {"--stateful", NULL};
    static const char *const submit[] = {"--id", "t", "sleep", "100", NULL};
    static const char *const look[] = {"--state", "t", NULL};
    static const char *const paused[] = {"--states", "paused", NULL};

    koalemos_start(f, A, stateful);
    assert_int_equal(koalemos_ctl(f, submit), 0);
    KOALEMOS_AWAIT(f, koalemos_count(f, A, RUNNING) == 1);
    assert_ctl(f, 0, "--tell", "t", "pause", NULL);
    KOALEMOS_AWAIT(f, ctl_says(f, paused, "t\t{\"state\":\"paused\"}\n"));
    assert_int_equal(koalemos_count(f, A, "signal 2 (Interrupt)"), 1);
    assert_ctl(f, 0, "--tell", "t", "sleep", "+1");
    KOALEMOS_AWAIT(f, koalemos_count(f, A, RUNNING) == 2);
    assert_ctl(f, 0, "--tell", "t", "kill", NULL);
    KOALEMOS_AWAIT(f, ctl_says(f, look, "killed"));
    KOALEMOS_AWAIT(f, koalemos_ctl(f, (const char *[]){"--revive", "t", NULL}) == 1);
    assert_log_has(f, "ctl", "t: no such task; say its command");
    assert_ctl(f, 0, "--revive", "t", "sleep", "100");
    KOALEMOS_AWAIT(f, koalemos_count(f, A, RUNNING) == 3);
    assert_ctl(f, 0, "--erase", "t", NULL, NULL);
    KOALEMOS_AWAIT(f, koalemos_count(f, A, "\"event\":\"process-ended\"") == 3);
    assert_ctl(f, 1, "--state", "t", NULL, NULL);
    assert_ctl(f, 2, "--tell", "t", "sleep", NULL);
    assert_ctl(f, 2, "--tell", "t", "sleep", "soon");
    assert_ctl(f, 2, "--states", "asleep", NULL, NULL);
    stop_node(f, A);
}

/* With states a command that fails is run again, until it has failed too often; its errors are
 * kept. */
static void test_failures(void **state)
{
    koalemos_fixture *f = *state;
    static const char *const stateful[] = {"--stateful",   "--retry-s", "1",
                                           "--max-errors", "2",         NULL};
    static const char *const failed[] = {"--states", "failed", NULL};

    koalemos_start(f, A, stateful);
    koalemos_add(f, "sh -c 'exit 3'");
    koalemos_submit(f, "f");
    KOALEMOS_AWAIT(f, ctl_says(f, failed, "f-1\t{\"state\":\"failed\""));
    assert_int_equal(koalemos_count(f, A, RUNNING), 2);
    assert_log_has(f, "ctl", "\"error\":\"exit status 3\"}");
    stop_node(f, A);
}

/* A task submitted for later does not run before its time. */
static void test_later(void **state)
{
    koalemos_fixture *f = *state;
    static const char *const later[] = {"--id", "later", "--at", "+1", "echo", "x", NULL};
    static const char *const never[] = {"--at", "tomorrow", "echo", "x", NULL};

    koalemos_start(f, A, NULL);
    int64_t before = koalemos_now_us();
    assert_int_equal(koalemos_ctl(f, later), 0);
    KOALEMOS_AWAIT(f, koalemos_done(f) == 1);
    assert_true(koalemos_now_us() - before >= 1000000);
    assert_int_equal(koalemos_ctl(f, never), 2);
    stop_node(f, A);
}

#define KOALEMOS_TEST(name) cmocka_unit_test_setup_teardown(name, koalemos_setup, koalemos_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KOALEMOS_TEST(test_kill_and_stop),
        KOALEMOS_TEST(test_resumed_node_works),
        KOALEMOS_TEST(test_clean_shutdown),
        KOALEMOS_TEST(test_guard_killed),
        cmocka_unit_test_setup_teardown(test_broker_away, koalemos_setup_persistent,
                                        koalemos_teardown),
        KOALEMOS_TEST(test_bad_tasks),
        KOALEMOS_TEST(test_name_in_use),
        KOALEMOS_TEST(test_unreachable),
        KOALEMOS_TEST(test_ctl),
        KOALEMOS_TEST(test_states),
        KOALEMOS_TEST(test_failures),
        KOALEMOS_TEST(test_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
