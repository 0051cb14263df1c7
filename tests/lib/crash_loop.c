/* A task that takes its whole process down, by real processes on a real broker. */
#include "crash_loop.h"

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

#include "driver_calls.h"
#include "process.h"

enum { GOOD = 99, MAX_CRASHES = 3, LEASE_MS = 2000, LIMIT_S = 90 };

static const slots_broker *under_test;
static const char *url;

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

static _Noreturn void run_host(void)
{
    const mf_driver *const drivers[] = {under_test->driver, NULL};
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

static pid_t start_host(void)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        run_host();
    return pid;
}

/* The test, which looks into the broker before and after the hosts. */

typedef struct fixture {
    mf_loop *loop;
    driver_handle broker;
} fixture;

static void open_broker(fixture *f)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;

    options.name_space = "t";
    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, NULL, NULL, MF_LOG_NONE);
    assert_int_equal(driver_open(&f->broker, under_test->driver, f->loop, url, &options), MF_OK);
}

static void close_broker(fixture *f)
{
    driver_close(&f->broker);
    mf_loop_free(f->loop);
    *f = (fixture){0};
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    url = under_test->start();
    *state = f;
    open_broker(f);
    assert_int_equal(driver_submit(&f->broker, "0123456789abcdef0123456789abcdef", "bad", NULL),
                     MF_OK);
    driver_submit_many(&f->broker, "good", GOOD);
    close_broker(f);
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    if (f->loop != NULL)
        close_broker(f);
    free(f);
    under_test->stop();
    return 0;
}

typedef struct states_call {
    mf_states_request request;
    fixture *f;
    unsigned answered;
    size_t count;
} states_call;

static void on_states(mf_request *request)
{
    states_call *call = (states_call *)request;

    assert_int_equal(request->error.code, MF_OK);
    call->count += call->request.count;
    call->answered++;
    mf_loop_stop(call->f->loop);
}

static size_t count_states(fixture *f)
{
    states_call call = {.f = f};

    call.request.request.done = on_states;
    call.request.limit = 1000;
    do {
        call.answered = 0;
        f->broker.broker->operations->states(f->broker.broker, &call.request);
        driver_await(&f->broker, &call.answered, 1);
    } while (call.request.cursor[0] != '\0');
    return call.count;
}

typedef struct lookup_call {
    mf_lookup_request request;
    fixture *f;
    unsigned answered;
    bool set_aside;
} lookup_call;

static void on_lookup(mf_request *request)
{
    lookup_call *call = (lookup_call *)request;

    assert_int_equal(request->error.code, MF_OK);
    assert_int_equal(call->request.records[0].code, MF_OK);
    call->set_aside = call->request.records[0].set_aside;
    call->answered++;
    mf_loop_stop(call->f->loop);
}

static bool is_set_aside(fixture *f, const char *id)
{
    lookup_call call = {.f = f};

    call.request.request.done = on_lookup;
    call.request.ids = &id;
    call.request.id_count = 1;
    f->broker.broker->operations->lookup(f->broker.broker, &call.request);
    driver_await(&f->broker, &call.answered, 1);
    return call.set_aside;
}

/* Each host dies of the task, three of them; the next one runs on, and all other tasks are done,
 * though the dying hosts had them too. */
static void test_crash_loop(void **state)
{
    fixture *f = *state;
    int status;

    for (int i = 0; i < MAX_CRASHES; i++) {
        pid_t pid = start_host();
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSEGV);
    }
    pid_t last = start_host();
    open_broker(f);
    for (int64_t end = clock_ms() + LIMIT_S * 1000LL; clock_ms() < end;) {
        if (driver_count_tasks(&f->broker, NULL) == 1 && is_set_aside(f, "bad"))
            break;
        assert_int_equal(waitpid(last, &status, WNOHANG), 0);
        driver_run_ms(&f->broker, 20);
    }
    assert_int_equal(driver_count_tasks(&f->broker, NULL), 1);
    assert_true(is_set_aside(f, "bad"));
    assert_int_equal(count_states(f), GOOD);
    assert_int_equal(waitpid(last, &status, WNOHANG), 0);
    kill(last, SIGKILL);
    assert_int_equal(waitpid(last, &status, 0), last);
}

int crash_loop_run(const slots_broker *broker)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_crash_loop, setup, teardown),
    };

    under_test = broker;
    return cmocka_run_group_tests_name(broker->name, tests, NULL, NULL);
}
