/* The example `workers`, a program of a few lines on the process handler, as a user would run it.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "redis_server.h"

enum { PATIENCE_MS = 10000 };

typedef struct bench {
    redis_server *server;
    char worker[256], output[256];
    process workers;
} bench;

/* Says what it does; gives back at first, fails then, and is stopped or done in its third run. */
static const char script[] = "#!/bin/sh\n"
                             "cd \"$(dirname \"$0\")\"\n"
                             "echo \"run $1 $METAFORA_TASK pid $$.\"\n"
                             "echo x >>\"$1\"\n"
                             "case $(wc -l <\"$1\") in\n"
                             "1) exit 75 ;;\n"
                             "2) kill -KILL $$ ;;\n"
                             "esac\n"
                             "trap 'echo told; exit 0' TERM\n"
                             "echo works\n"
                             "while [ ! -e finish ]; do sleep 0.05; done\n";

static int setup(void **state)
{
    static bench b;

    b = (bench){.server = redis_server_start(NULL)};
    snprintf(b.worker, sizeof b.worker, "%s/worker", b.server->directory);
    snprintf(b.output, sizeof b.output, "%s/workers.log", b.server->directory);
    FILE *file = fopen(b.worker, "we");
    if (file == NULL || fputs(script, file) < 0 || fclose(file) != 0)
        return -1;
    *state = &b;
    return chmod(b.worker, 0700);
}

static int teardown(void **state)
{
    bench *b = *state;

    process_kill(&b->workers);
    redis_server_free(b->server);
    return 0;
}

static void start(bench *b)
{
    const char *const arguments[] = {WORKERS, b->server->url, b->worker, NULL};
    process_start(&b->workers, arguments, b->output);
}

static void submit(bench *b, const char *id)
{
    char output[256];
    const char *const arguments[] = {
        KOALEMOSCTL, "--broker", b->server->url, "--namespace", "workers",
        "--id",      id,         "unused",       NULL};
    process ctl;

    snprintf(output, sizeof output, "%s/ctl.log", b->server->directory);
    process_start(&ctl, arguments, output);
    assert_true(process_await_end(&ctl, PATIENCE_MS));
    assert_int_equal(ctl.status, 0);
}

/* The program gives its task back when it is told to end, and does so with status 0; started again
 * it goes on with it. A task that gives back runs again at once, one that fails later. */
static void test_life(void **state)
{
    bench *b = *state;
    char finish[256];

    submit(b, "t");
    start(b);
    assert_true(process_await_output(&b->workers, "run t t pid", 0, PATIENCE_MS));
    assert_true(process_await_output(&b->workers, "task t: signal 9 (Killed)", 0, PATIENCE_MS));
    assert_true(process_await_output(&b->workers, "works\n", 0, 2 * PATIENCE_MS));
    process_signal(&b->workers, SIGTERM);
    assert_true(process_await_end(&b->workers, PATIENCE_MS));
    assert_int_equal(b->workers.status, 0);
    long first = process_output_size(&b->workers);
    snprintf(finish, sizeof finish, "%s/finish", b->server->directory);
    close(creat(finish, 0600));
    start(b);
    assert_true(process_await_output(&b->workers, "works\n", first, PATIENCE_MS));
    assert_true(process_await_output(&b->workers, "task t: exit status 0", first, PATIENCE_MS));
    process_terminate(&b->workers);
    assert_int_equal(redis_server_integer(b->server, "HLEN {workers}:tasks"), 0);
}

/* When its guard is killed the program ends with an error, for its supervisor to start it anew. */
static void test_guard_killed(void **state)
{
    bench *b = *state;
    char path[64];
    int guard = 0;

    submit(b, "t");
    start(b);
    assert_true(process_await_output(&b->workers, "run t t pid", 0, PATIENCE_MS));
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)b->workers.pid,
             (int)b->workers.pid);
    FILE *children = fopen(path, "re");
    assert_non_null(children);
    assert_int_equal(fscanf(children, "%d", &guard), 1);
    fclose(children);
    kill(guard, SIGKILL);
    assert_true(process_await_end(&b->workers, PATIENCE_MS));
    assert_true(WIFEXITED(b->workers.status));
    assert_int_equal(WEXITSTATUS(b->workers.status), 1);
    assert_int_equal(redis_server_integer(b->server, "HLEN {workers}:tasks"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guard_killed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
