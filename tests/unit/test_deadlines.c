/* The end of a lease that cannot be renewed: when handlers are stopped, and what becomes of those
 * that do not heed it. On the embedded broker in virtual time. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <metafora/driver.h>

#include "cluster.h"

enum { LEASE_MS = 15000 };

static cluster *c;

/* What a node that cannot renew sees. */
static struct {
    mf_broker_operations operations;
    int64_t left_ms; /* of the lease, when its handler was stopped */
    mf_stop_reason reason;
    int stops;
} seen;

static void answer(void *arg)
{
    mf_request *request = arg;
    request->done(request);
}

static void refuse_renewal(mf_broker *broker, mf_renew_request *request)
{
    mf_error_set(&request->request.error, MF_EUNREACHABLE, "refused");
    mf_loop_post(broker->loop, answer, &request->request);
}

static void on_start(mf_task *task, void *payload)
{
    (void)task;
    (void)payload;
}

/* Heeds no stop that comes before the lease has ended. */
static void on_stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    (void)payload;
    if (seen.stops++ == 0) {
        seen.left_ms = mf_task_lease_remaining(task);
        seen.reason = reason;
    }
    if (reason == MF_STOP_SHUTDOWN || mf_task_lease_remaining(task) == 0)
        mf_task_finish(task, MF_RELEASE);
}

/* A node that runs a task, and from here on renews no lease. */
static node *join(const mf_consumer_options *changes)
{
    mf_consumer_options options = *changes;

    options.version = MF_CONSUMER_OPTIONS_VERSION;
    options.handler = mf_evented_handler(on_start, on_stop, NULL);
    node *a = cluster_join(c, "a", ENDS_WHEN_STOPPED, &options);
    cluster_submit_one(c, "1", NULL);
    cluster_run_ms(c, 1000);
    assert_non_null(cluster_task(a, "1"));
    seen.operations = *a->broker->operations;
    seen.operations.renew = refuse_renewal;
    a->broker->operations = &seen.operations;
    return a;
}

static void end(node *a)
{
    mf_task *task = cluster_task(a, "1");
    if (task != NULL)
        mf_task_finish(task, MF_RELEASE);
}

static int setup(void **state)
{
    (void)state;
    c = cluster_new(17);
    seen.stops = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cluster_free(c);
    return 0;
}

/* Handlers are stopped stop_grace before the end of the lease; by default a quarter of it. */
static void test_stop_grace(void **state)
{
    static const int graces_ms[] = {0, 1, 1000, 7500};

    for (size_t i = 0; i < sizeof graces_ms / sizeof *graces_ms; i++) {
        int64_t grace = graces_ms[i] != 0 ? graces_ms[i] : LEASE_MS / 4;
        if (i > 0) {
            teardown(state);
            setup(state);
        }
        node *a = join(&(mf_consumer_options){.stop_grace_ms = graces_ms[i]});
        cluster_run_ms(c, 2 * LEASE_MS);
        assert_int_equal(seen.reason, MF_STOP_EXPIRING);
        assert_in_range(seen.left_ms, grace - 1, grace);
        assert_int_equal(cluster_statistics(a).lost, 1);
        end(a);
    }
}

/* A handler that runs on after its lease is let run, and counted. */
static void test_overrun_is_logged(void **state)
{
    (void)state;
    node *a = join(&(mf_consumer_options){.on_overrun = MF_OVERRUN_LOG});
    cluster_run_ms(c, 3 * LEASE_MS);
    assert_non_null(cluster_task(a, "1"));
    assert_true(cluster_statistics(a).overrun_seconds > LEASE_MS / 1000.0);
    end(a);
}

/* Or the process is ended: better none than two. */
static void test_overrun_aborts(void **state)
{
    int status;

    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGABRT, SIG_DFL);
        join(&(mf_consumer_options){.on_overrun = MF_OVERRUN_ABORT});
        cluster_run_ms(c, LEASE_MS / 2); /* while the lease holds nothing happens */
        if (seen.stops == 0)
            cluster_run_ms(c, 3 * LEASE_MS);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* A handler that ends in time is none of that. */
static void test_no_overrun(void **state)
{
    (void)state;
    node *a = join(&(mf_consumer_options){.on_overrun = MF_OVERRUN_ABORT});
    cluster_run_ms(c, LEASE_MS / 2);
    mf_task_finish(cluster_task(a, "1"), MF_DONE);
    cluster_run_ms(c, 3 * LEASE_MS);
    assert_true(cluster_statistics(a).overrun_seconds == 0);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_stop_grace),
        STORY(test_overrun_is_logged),
        STORY(test_overrun_aborts),
        STORY(test_no_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
