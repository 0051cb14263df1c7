/* The guard: no command, and nothing that it started, outlives its deadline or
 * its daemon. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guard_fixture.h"

/* How much later than promised a death may be seen on a busy machine. */
#define SLACK_US 500000

/* A family: the leader, a child in its group, and a grandchild that leaves
 * group and session and loses its parent. All ignore SIGINT. */
#define FAMILY                                                               \
    "trap '' INT; sleep 100 & (setsid sh -c 'echo up >&9; sleep 100' & ) ; " \
    "echo up >&9; wait"

/* A command runs to its end: its status, its output and its environment are
 * right. */
static void test_runs(void **state)
{
    guard_fixture *fixture = *state;
    int number = guard_fixture_start(fixture,
                                     "echo $METAFORA_TASK $METAFORA_FENCE "
                                     "$METAFORA_NODE; echo err >&2; exit 3",
                                     5000);

    assert_true(guard_fixture_wait(fixture, &fixture->ended, 1));
    assert_int_equal(fixture->started, 1);
    assert_int_equal(fixture->ends[number].cause, END_OWN);
    assert_int_equal(fixture->ends[number].code, CLD_EXITED);
    assert_int_equal(fixture->ends[number].status, 3);
    assert_string_equal(guard_fixture_output(fixture), "a task 77 test-node\nerr\n");
}

/* A command that cannot be run says so in its output and has the shell's status
 * for it. */
static void test_no_such_command(void **state)
{
    guard_fixture *fixture = *state;
    char output[128];
    snprintf(output, sizeof output, "%s/output", fixture->directory);
    char *arguments[] = {"/no/such/program", NULL};
    mf__guard_command command = {.task = "t",
                                 .node = "n",
                                 .deadline_us = mf__steady_us() + 5000000,
                                 .output = output,
                                 .arguments = arguments};

    assert_int_equal(
        mf__guard_start(fixture->guard, &command, &fixture->ends[0], &fixture->slots[0]), 0);
    assert_true(guard_fixture_wait(fixture, &fixture->ended, 1));
    assert_int_equal(fixture->ends[0].status, 127);
    assert_non_null(strstr(guard_fixture_output(fixture), "cannot run /no/such/program: No such"));
}

/* A command finds no signal ignored or blocked, no open descriptor but 0 to 2,
 * and no input. */
static void test_clean_child(void **state)
{
    guard_fixture *fixture = *state;

    guard_fixture_start(fixture,
                        "exec 9>&-; grep -h -E 'Sig(Ign|Blk)' /proc/self/status | cut -f2; "
                        "ls -1 /proc/$$/fd; cat",
                        5000);
    assert_true(guard_fixture_wait(fixture, &fixture->ended, 1));
    assert_string_equal(guard_fixture_output(fixture),
                        "0000000000000000\n0000000000000000\n0\n1\n2\n");
}

/* When the deadline comes the whole family is dead, before it, and the report
 * says why. */
static void test_deadline(void **state)
{
    guard_fixture *fixture = *state;
    int64_t deadline = mf__steady_us() + 700000;
    int number = guard_fixture_start(fixture, FAMILY, 700);

    assert_true(guard_fixture_wait_line(fixture) && guard_fixture_wait_line(fixture));
    assert_true(guard_fixture_wait_all_dead(fixture));
    assert_in_range(mf__steady_us(), deadline - 20000, deadline + SLACK_US);
    assert_true(guard_fixture_wait(fixture, &fixture->ended, 1));
    assert_int_equal(fixture->ends[number].cause, END_DEADLINE);
    assert_int_equal(fixture->ends[number].status, SIGKILL);
}

/* A renewed command runs on past its first deadline. */
static void test_renewal(void **state)
{
    guard_fixture *fixture = *state;
    int number = guard_fixture_start(fixture, "sleep 1; exit 5", 600);

    mf__guard_renew(fixture->guard, fixture->slots[number], mf__steady_us() + 5000000);
    assert_true(guard_fixture_wait(fixture, &fixture->ended, 1));
    assert_int_equal(fixture->ends[number].cause, END_OWN);
    assert_int_equal(fixture->ends[number].status, 5);
}

/* A command whose deadline has passed before the guard hears of it is not
 * started. */
static void test_too_late_to_start(void **state)
{
    guard_fixture *fixture = *state;
    int number = guard_fixture_start(fixture, "echo ran", -1);

    assert_true(guard_fixture_wait(fixture, &fixture->ended, 1));
    assert_int_equal(fixture->started, 0);
    assert_int_equal(fixture->ends[number].cause, END_DEADLINE);
    assert_string_equal(guard_fixture_output(fixture), "");
}

/* Signals go to the group: SIGINT is for the command to take, SIGKILL ends it
 * and its family. */
static void test_signals(void **state)
{
    guard_fixture *fixture = *state;
    int polite = guard_fixture_start(fixture, "echo up >&9; exec sleep 100", 60000);
    int rude = guard_fixture_start(fixture, FAMILY, 60000);

    for (int i = 0; i < 3; i++)
        assert_true(guard_fixture_wait_line(fixture));
    mf__guard_signal(fixture->guard, fixture->slots[polite], SIGINT);
    mf__guard_signal(fixture->guard, fixture->slots[rude], SIGINT);
    assert_true(guard_fixture_wait(fixture, &fixture->ended, 1));
    assert_int_equal(fixture->ends[polite].status, SIGINT);
    assert_int_equal(fixture->ends[rude].code, 0);
    mf__guard_signal(fixture->guard, fixture->slots[rude], SIGKILL);
    assert_true(guard_fixture_wait(fixture, &fixture->ended, 2));
    assert_true(guard_fixture_wait_all_dead(fixture));
}

/* A signal right behind the start is not lost, however far the command has come. */
static void test_signal_at_once(void **state)
{
    guard_fixture *fixture = *state;

    for (int i = 0; i < 50; i++) {
        int number = guard_fixture_start(fixture, "exec sleep 100", 60000);
        assert_true(guard_fixture_wait(fixture, &fixture->started, i + 1));
        mf__guard_signal(fixture->guard, fixture->slots[number], SIGINT);
    }
    assert_true(guard_fixture_wait(fixture, &fixture->ended, 50));
    for (int i = 0; i < 50; i++)
        assert_int_equal(fixture->ends[i].status, SIGINT);
}

/* What a command leaves behind when it ends by itself dies before its end is
 * reported. */
static void test_leftovers(void **state)
{
    guard_fixture *fixture = *state;
    int number = guard_fixture_start(
        fixture, "sleep 100 & (setsid sleep 100 &); echo up >&9; exit 0", 60000);

    assert_true(guard_fixture_wait(fixture, &fixture->ended, 1));
    assert_true(guard_fixture_wait_all_dead(fixture));
    assert_int_equal(fixture->ends[number].cause, END_OWN);
    assert_int_equal(fixture->ends[number].status, 0);
}

/* Hundreds of commands at once all run, and all ends are told. */
static void test_many(void **state)
{
    guard_fixture *fixture = *state;

    for (int i = 0; i < 300; i++)
        assert_int_equal(guard_fixture_start(fixture, "exit 0", 60000), i);
    while (fixture->ended < 300)
        assert_true(guard_fixture_wait(fixture, &fixture->ended, fixture->ended + 1));
    assert_int_equal(fixture->started, 300);
    for (int i = 0; i < 300; i++)
        assert_int_equal(fixture->ends[i].cause, END_OWN);
}

/* When the guard is killed the family dies, the end is told, and nothing can be
 * started. */
static void test_guard_killed(void **state)
{
    guard_fixture *fixture = *state;
    int number = guard_fixture_start(fixture, FAMILY, 60000);

    assert_true(guard_fixture_wait_line(fixture) && guard_fixture_wait_line(fixture));
    kill(mf__guard_pid(fixture->guard), SIGKILL);
    assert_true(guard_fixture_wait(fixture, &fixture->lost, 1));
    assert_int_equal(fixture->ended, 1);
    assert_int_equal(fixture->ends[number].cause, END_GUARD);
    assert_true(guard_fixture_wait_all_dead(fixture));
    assert_int_equal(guard_fixture_start(fixture, "exit 0", 1000), -1);
}

/* Copies the helper, which becomes root and sleeps, to where nobody can run it as root. False: not
 * on this system, or not by this user. */
static bool make_helper(const guard_fixture *fixture, char *path, size_t size)
{
    char command[512];

    snprintf(path, size, "%s/become-root", fixture->directory);
    snprintf(command, sizeof command, "cp %s %s && chown 0:0 %s && chmod 4755 %s", BECOME_ROOT,
             path, path, path);
    return geteuid() == 0 && system(command) == 0;
}

/* A guard that is not root's cannot kill what has become root, be it the command or a child of it.
 * It says so, and that the command has ended only when nothing of it is left. */
static void test_other_user(void **state)
{
    static const char *const scripts[] = {"exec %s", "%s; true",
                                          "trap 'exit 0' USR1; %s tell & wait"};
    guard_fixture *fixture = *state;
    char helper[256], script[512];

    if (!make_helper(fixture, helper, sizeof helper))
        skip();
    for (int i = 0; i < 3; i++) {
        snprintf(script, sizeof script, scripts[i], helper);
        int number = guard_fixture_start(fixture, script, 3000);
        assert_true(guard_fixture_wait_line(fixture));
        assert_true(guard_fixture_wait(fixture, &fixture->denied, i + 1));
        assert_int_equal(fixture->ended, i);
        assert_int_equal(kill(fixture->denied_pid, SIGKILL), 0); /* it is alive, and root may */
        assert_true(guard_fixture_wait(fixture, &fixture->ended, i + 1));
        assert_true(guard_fixture_wait_all_dead(fixture));
        assert_int_equal(fixture->denied, i + 1);
        assert_int_equal(fixture->ends[number].cause, i < 2 ? END_DEADLINE : END_OWN);
    }
    unlink(helper);
}

static void become_nobody(bool really)
{
    uid_t user = really ? 65534 : 0;
    assert_int_equal(setresuid(user, user, 0), 0);
}

/* When such a guard is killed, its loss is told at once, and the command's end when it has ended.
 */
static void test_other_user_outlives_guard(void **state)
{
    guard_fixture *fixture = *state;
    char helper[256], script[512];

    if (!make_helper(fixture, helper, sizeof helper))
        skip();
    snprintf(script, sizeof script, "%s; true", helper);
    guard_fixture_start(fixture, script, 60000);
    assert_true(guard_fixture_wait_line(fixture));
    become_nobody(true);
    kill(mf__guard_pid(fixture->guard), SIGKILL);
    bool told = guard_fixture_wait(fixture, &fixture->lost, 1);
    become_nobody(false);
    assert_true(told);
    assert_int_equal(fixture->denied, 1);
    assert_int_equal(fixture->ended, 0);
    kill(fixture->denied_pid, SIGKILL);
    assert_true(guard_fixture_wait(fixture, &fixture->ended, 1));
    assert_int_equal(fixture->lost, 1);
    unlink(helper);
}

static void tick(evutil_socket_t descriptor, short what, void *arg)
{
    (void)descriptor;
    (void)what;
    mf__guard_tick(arg, 50);
}

/* A guard that is stopped does not answer and is taken for lost; one that
 * answers is not. */
static void test_guard_stopped(void **state)
{
    guard_fixture *fixture = *state;
    struct event *ticking = event_new(fixture->base, -1, EV_PERSIST, tick, fixture->guard);
    struct timeval interval = {.tv_usec = 20000};

    event_add(ticking, &interval);
    guard_fixture_start(fixture, "sleep 1", 60000);
    assert_true(guard_fixture_wait(fixture, &fixture->ended, 1));
    assert_int_equal(fixture->lost, 0);
    guard_fixture_start(fixture, FAMILY, 60000);
    assert_true(guard_fixture_wait_line(fixture) && guard_fixture_wait_line(fixture));
    kill(mf__guard_pid(fixture->guard), SIGSTOP);
    assert_true(guard_fixture_wait(fixture, &fixture->lost, 1));
    assert_true(guard_fixture_wait_all_dead(fixture));
    event_free(ticking);
}

/* A process that does what koalemosd does with its guard, to be stopped and
 * killed. It tells the deadline that it gave by the pipe. */
static pid_t start_daemon(guard_fixture *fixture, int lease_ms, int64_t *deadline_us)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        void *inner = NULL;
        char directory[64];
        strcpy(directory, fixture->directory);
        if (guard_fixture_setup(&inner) != 0)
            _exit(1);
        guard_fixture *mine = inner;
        guard_fixture_remove_directory(mine);
        strcpy(mine->directory, directory);
        int64_t deadline = mf__steady_us() + (int64_t)lease_ms * 1000;
        guard_fixture_start(mine, FAMILY, lease_ms);
        if (write(ends[1], &deadline, sizeof deadline) != sizeof deadline)
            _exit(1);
        event_base_loop(mine->base, EVLOOP_NO_EXIT_ON_EMPTY);
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], deadline_us, sizeof *deadline_us), sizeof *deadline_us);
    close(ends[0]);
    assert_true(guard_fixture_wait_line(fixture) && guard_fixture_wait_line(fixture));
    return pid;
}

static void end_daemon(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* A daemon that is stopped cannot renew: its commands are dead by the deadline
 * all the same. */
static void test_daemon_stopped(void **state)
{
    guard_fixture *fixture = *state;
    int64_t deadline;
    pid_t pid = start_daemon(fixture, 1000, &deadline);

    kill(pid, SIGSTOP);
    bool dead = guard_fixture_wait_all_dead(fixture);
    int64_t now = mf__steady_us();
    end_daemon(pid);
    assert_true(dead);
    assert_in_range(now, deadline - 20000, deadline + SLACK_US);
}

/* The commands of a daemon that is killed die with it, long before their
 * deadline. */
static void test_daemon_killed(void **state)
{
    guard_fixture *fixture = *state;
    int64_t deadline;
    pid_t pid = start_daemon(fixture, 60000, &deadline);
    int64_t before = mf__steady_us();

    end_daemon(pid);
    assert_true(guard_fixture_wait_all_dead(fixture));
    assert_in_range(mf__steady_us(), before, before + 2 * SLACK_US);
}

#define GUARD_TEST(name) \
    cmocka_unit_test_setup_teardown(name, guard_fixture_setup, guard_fixture_teardown)

#define NOBODYS_TEST(name) \
    cmocka_unit_test_setup_teardown(name, guard_fixture_setup_as_nobody, guard_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GUARD_TEST(test_runs),           GUARD_TEST(test_no_such_command),
        GUARD_TEST(test_clean_child),    GUARD_TEST(test_deadline),
        GUARD_TEST(test_renewal),        GUARD_TEST(test_too_late_to_start),
        GUARD_TEST(test_signals),        GUARD_TEST(test_signal_at_once),
        GUARD_TEST(test_leftovers),      GUARD_TEST(test_many),
        GUARD_TEST(test_guard_killed),   GUARD_TEST(test_guard_stopped),
        GUARD_TEST(test_daemon_stopped), GUARD_TEST(test_daemon_killed),
        NOBODYS_TEST(test_other_user),   NOBODYS_TEST(test_other_user_outlives_guard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
