/* A task that takes its whole process down, by real processes on a real Redis: it is set aside
 * after some of them, and all other tasks complete. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <metafora/metafora.h>
#include <metafora/redis.h>

#include "redis_server.h"

enum { GOOD = 99, MAX_CRASHES = 3, LEASE_MS = 2000, LIMIT_S = 60 };

static const mf_driver *const drivers[] = {&mf_redis_driver, NULL};

/* The host: a consumer whose handler crashes on the task "bad". */

static void on_start(mf_task *task, void *payload)
{
    mf_message complete = mf_message_of(MF_MESSAGE_COMPLETE);

    (void)payload;
    if (strcmp(mf_task_id(task), "bad") == 0) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    mf_task_return(task, &complete);
}

static void on_message(mf_task *task, const mf_message *message, void *payload)
{
    (void)payload;
    mf_task_return(task, message);
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    (void)consumer;
    (void)payload;
    if (event == MF_CONSUMER_FAILED)
        _exit(2);
    if (event == MF_CONSUMER_CLOSED)
        _exit(0);
}

static _Noreturn void run_host(const char *url)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    mf_state_options states = MF_STATE_OPTIONS_INIT;
    mf_broker_options broker = MF_BROKER_OPTIONS_INIT;
    struct rlimit no_core = {0, 0};
    mf_consumer *consumer;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &no_core);
    alarm(LIMIT_S);
    broker.name_space = "t";
    broker.max_crashes = MAX_CRASHES;
    if (mf_loop_new(&options.loop, NULL) != MF_OK ||
        mf_broker_open_any(&options.broker_handle, url, &broker, options.loop, drivers, NULL) !=
            MF_OK)
        _exit(3);
    mf_loop_set_log(options.loop, NULL, NULL, MF_LOG_NONE);
    states.start = on_start;
    states.on_message = on_message;
    options.name = "host";
    options.takeover = true;
    options.lease_ms = LEASE_MS;
    options.reconcile_interval_ms = 200;
    options.handler = mf_stateful_handler(&states);
    options.balancer = mf_balancer_dumb();
    options.on_event = on_event;
    if (mf_consumer_open(&consumer, &options, NULL) != MF_OK)
        _exit(4);
    mf_loop_run(options.loop);
    _exit(5);
}

static pid_t start_host(const char *url)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        run_host(url);
    return pid;
}

/* The test. */

static int setup(void **state)
{
    redis_server *server = redis_server_start(NULL);

    redis_server_do(server, "ZADD {t}:ready 1 bad");
    redis_server_do(server, "HSET {t}:tasks bad %s", "");
    for (int i = 0; i < GOOD; i++) {
        redis_server_do(server, "HSET {t}:tasks good%d %s", i, "");
        redis_server_do(server, "ZADD {t}:ready 2 good%d", i);
    }
    *state = server;
    return 0;
}

static int teardown(void **state)
{
    redis_server_free(*state);
    return 0;
}

/* Each host dies of the task, three of them; the next one runs on, and all other tasks are done,
 * though the dying hosts had them too. */
static void test_crash_loop(void **state)
{
    redis_server *server = *state;
    int status;

    for (int i = 0; i < MAX_CRASHES; i++) {
        pid_t pid = start_host(server->url);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSEGV);
    }
    pid_t last = start_host(server->url);
    for (int64_t end = clock_ms() + LIMIT_S * 1000LL; clock_ms() < end;) {
        if (redis_server_integer(server, "HLEN {t}:tasks") == 1 &&
            redis_server_integer(server, "SCARD {t}:aside") == 1)
            break;
        assert_int_equal(waitpid(last, &status, WNOHANG), 0);
        usleep(20000);
    }
    assert_int_equal(redis_server_integer(server, "HLEN {t}:tasks"), 1);
    assert_int_equal(redis_server_integer(server, "SISMEMBER {t}:aside bad"), 1);
    assert_int_equal(redis_server_integer(server, "HLEN {t}:state"), GOOD);
    assert_int_equal(waitpid(last, &status, WNOHANG), 0);
    kill(last, SIGKILL);
    assert_int_equal(waitpid(last, &status, 0), last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_crash_loop, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
