/* Stateful tasks on a real etcd: a consumer, and etcdctl as the independent party that writes the
 * Go library's messages and states, and reads what the consumer makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/etcd.h>
#include <metafora/metafora.h>

#include "etcd_server.h"
#include "process.h"
#include "proxy.h"

enum { PATIENCE_MS = 20000 };

static const mf_driver *const drivers[] = {&mf_etcd_driver, NULL};

typedef struct fixture {
    etcd_server *server;
    proxy *proxy;
    mf_loop *loop;
    mf_broker *broker;
    mf_consumer *consumer;
    bool joined, closed, broker_closed;
    unsigned runs; /* started */
} fixture;

static void on_run(mf_task *task, void *payload)
{
    fixture *f = payload;

    (void)task;
    f->runs++;
    mf_loop_stop(f->loop);
}

static void on_told(mf_task *task, const mf_message *message, void *payload)
{
    (void)payload;
    mf_task_return(task, message);
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    fixture *f = payload;

    (void)consumer;
    f->joined |= event == MF_CONSUMER_JOINED;
    f->closed |= event == MF_CONSUMER_CLOSED;
    mf_loop_stop(f->loop);
}

static void on_broker_closed(void *arg)
{
    fixture *f = arg;

    f->broker_closed = true;
    mf_loop_stop(f->loop);
}

static void on_tick(void *arg)
{
    mf_loop_stop(((fixture *)arg)->loop);
}

/* Lets the loop run for so long, or until something happens. */
static void run_ms(fixture *f, int64_t ms)
{
    mf_timer tick;

    mf_timer_init(&tick, on_tick, f);
    mf_timer_start(f->loop, &tick, mf_loop_now_us(f->loop) + ms * 1000);
    mf_loop_run(f->loop);
    mf_timer_stop(f->loop, &tick);
}

static void open_consumer(fixture *f)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    mf_state_options states = MF_STATE_OPTIONS_INIT;
    mf_broker_options broker = MF_BROKER_OPTIONS_INIT;
    char url[64];
    mf_error error;

    snprintf(url, sizeof url, "etcd://127.0.0.1:%d", proxy_port(f->proxy));
    broker.name_space = "t";
    options.loop = f->loop;
    if (mf_broker_open_any(&f->broker, url, &broker, f->loop, drivers, &error) != MF_OK)
        fail_msg("%s", error.text);
    options.broker_handle = f->broker;
    states.start = on_run;
    states.on_message = on_told;
    states.payload = f;
    options.name = "a";
    options.handler = mf_stateful_handler(&states);
    options.balancer = mf_balancer_dumb();
    options.reconcile_interval_ms = 3600000; /* what is found is found by the watch */
    options.on_event = on_event;
    options.payload = f;
    if (mf_consumer_open(&f->consumer, &options, &error) != MF_OK)
        fail_msg("%s", error.text);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->server = etcd_server_start(NULL);
    f->proxy = proxy_new(f->server->members[0].port, NULL);
    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, NULL, NULL, MF_LOG_NONE);
    open_consumer(f);
    while (!f->joined)
        run_ms(f, PATIENCE_MS);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    mf_consumer_shutdown(f->consumer);
    while (!f->closed)
        run_ms(f, PATIENCE_MS);
    mf_consumer_free(f->consumer);
    mf_broker_close(f->broker, on_broker_closed, f);
    while (!f->broker_closed)
        run_ms(f, PATIENCE_MS);
    mf_loop_free(f->loop);
    proxy_free(f->proxy);
    etcd_server_free(f->server);
    free(f);
    return 0;
}

static void put(fixture *f, const char *key, const char *value)
{
    etcd_ctl_do(f->server, "put", key, value, NULL);
}

/* Waits until the key has the value; "": it does not exist. */
static void await_value(fixture *f, const char *key, const char *expected)
{
    int64_t until = clock_ms() + PATIENCE_MS;
    char *value = NULL;

    do {
        free(value);
        run_ms(f, 20);
        value = etcd_ctl(f->server, "get", "--print-value-only", key, NULL);
        value[strcspn(value, "\n")] = '\0';
    } while (strcmp(value, expected) != 0 && clock_ms() < until);
    assert_string_equal(value, expected);
    free(value);
}

static void await_runs(fixture *f, unsigned runs)
{
    int64_t until = clock_ms() + PATIENCE_MS;

    while (f->runs < runs && clock_ms() < until)
        run_ms(f, 100);
    assert_int_equal(f->runs, runs);
}

/* A message that the Go library's client puts is obeyed at once and forgotten; the state is written
 * where it has its own, byte for byte; the end takes all but the state. */
static void test_messages_by_hand(void **state)
{
    fixture *f = *state;

    put(f, "/t/tasks/x", "");
    await_runs(f, 1);
    put(f, "/t/tasks/x/commands", "{\"message\":\"pause\"}");
    await_value(f, "/t/state/x", "{\"state\":\"paused\"}");
    await_value(f, "/t/tasks/x/commands", "");
    put(f, "/t/tasks/x/commands", "{\"message\":\"sleep\",\"until\":\"2999-01-02T03:04:05.6Z\"}");
    await_value(f, "/t/tasks/x/commands", "");
    put(f, "/t/tasks/x/commands", "{\"message\":\"run\",\"error\":{}}");
    await_runs(f, 2);
    await_value(f, "/t/state/x", "{\"state\":\"runnable\"}");
    put(f, "/t/tasks/x/commands", "{\"message\":\"kill\"}");
    await_value(f, "/t/state/x", "{\"state\":\"killed\"}");
    await_value(f, "/t/tasks/x/owner", "");
    char *left = etcd_ctl(f->server, "get", "--prefix", "--keys-only", "/t/tasks/", NULL);
    assert_string_equal(left, "");
    free(left);
}

/* A task is taken over in the state that the Go library has left, with the message that waits. */
static void test_states_by_hand(void **state)
{
    fixture *f = *state;

    put(f, "/t/state/asleep", "{\"state\":\"sleeping\",\"until\":\"2999-01-02T03:04:05.6+02:00\"}");
    put(f, "/t/tasks/asleep/commands", "{\"message\":\"run\"}");
    put(f, "/t/tasks/asleep", "");
    await_runs(f, 1);
    await_value(f, "/t/state/asleep", "{\"state\":\"runnable\"}");
    put(f, "/t/state/over", "{\"state\":\"completed\"}");
    put(f, "/t/tasks/over", "");
    await_value(f, "/t/tasks/over/owner", "");
    put(f, "/t/tasks/last", "");
    await_runs(f, 2); /* "over" was not run */
}

/* A message that came while the watch was cut off, and of which the history tells no more, is found
 * when the link is back. */
static void test_message_while_cut(void **state)
{
    fixture *f = *state;

    put(f, "/t/tasks/x", "");
    await_runs(f, 1);
    proxy_refuse(f->proxy);
    proxy_cut(f->proxy);
    put(f, "/t/tasks/x/commands", "{\"message\":\"pause\"}");
    put(f, "/t/tasks/z", "");
    etcd_ctl_compact(f->server);
    proxy_resume(f->proxy);
    await_value(f, "/t/state/x", "{\"state\":\"paused\"}");
    await_value(f, "/t/tasks/x/commands", "");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages_by_hand),
        TEST(test_states_by_hand),
        TEST(test_message_while_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
