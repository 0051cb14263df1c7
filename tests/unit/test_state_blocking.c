/* Blocking stateful handlers: threads that wait for messages, on the real loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include <metafora/metafora.h>

enum { patience_ms = 20000 };

typedef struct fixture {
    mf_loop *loop;
    mf_broker *broker;
    mf_client *client;
    mf_consumer *consumer;
    bool closed, late;
    mf_timer patience;
    pthread_mutex_t lock;
    pthread_cond_t gone;
    bool go;
    unsigned runs, ended; /* of handlers */
    mf_message received;
    mf_message (*act)(struct fixture *f, mf_task *task);
} fixture;

/* Tells the loop's thread that something has happened. */
static void on_news(void *arg)
{
    mf_loop_stop(((fixture *)arg)->loop);
}

static void count(fixture *f, unsigned *counter)
{
    pthread_mutex_lock(&f->lock);
    ++*counter;
    pthread_mutex_unlock(&f->lock);
    assert_int_equal(mf_loop_post(f->loop, on_news, f), MF_OK);
}

static mf_message run(mf_task *task, void *payload)
{
    fixture *f = payload;

    count(f, &f->runs);
    mf_message message = f->act(f, task);
    count(f, &f->ended);
    return message;
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    fixture *f = payload;

    (void)consumer;
    f->closed |= event == MF_CONSUMER_CLOSED;
    mf_loop_stop(f->loop);
}

static void on_patience(void *arg)
{
    fixture *f = arg;

    f->late = true;
    mf_loop_stop(f->loop);
}

static void await(fixture *f, const unsigned *counter, unsigned least)
{
    unsigned value = 0;

    while (value < least && !f->late) {
        mf_loop_run(f->loop);
        pthread_mutex_lock(&f->lock);
        value = *counter;
        pthread_mutex_unlock(&f->lock);
    }
    assert_false(f->late);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_consumer_options consumer = MF_CONSUMER_OPTIONS_INIT;
    mf_state_options states = MF_STATE_OPTIONS_INIT;

    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->gone, NULL);
    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, NULL, NULL, MF_LOG_NONE);
    options.name_space = "t";
    assert_int_equal(mf_broker_open(&f->broker, "embedded://", &options, f->loop, NULL), MF_OK);
    assert_int_equal(mf_client_open(&f->client, f->broker, NULL), MF_OK);
    states.run = run;
    states.payload = f;
    states.retry_ms = 1;
    consumer.handler = mf_stateful_handler(&states);
    consumer.balancer = mf_balancer_dumb();
    consumer.broker_handle = f->broker;
    consumer.loop = f->loop;
    consumer.name = "a";
    consumer.on_event = on_event;
    consumer.payload = f;
    assert_int_equal(mf_consumer_open(&f->consumer, &consumer, NULL), MF_OK);
    mf_timer_init(&f->patience, on_patience, f);
    mf_timer_start(f->loop, &f->patience, mf_loop_now_us(f->loop) + patience_ms * INT64_C(1000));
    *state = f;
    return 0;
}

static void on_broker_closed(void *arg)
{
    *(bool *)arg = true;
}

static int teardown(void **state)
{
    fixture *f = *state;
    bool gone = false;

    mf_consumer_shutdown(f->consumer);
    while (!f->closed && !f->late)
        mf_loop_run(f->loop);
    mf_consumer_free(f->consumer);
    mf_client_close(f->client);
    mf_broker_close(f->broker, on_broker_closed, &gone);
    mf_timer_start(f->loop, &f->patience, mf_loop_now_us(f->loop) + 1000);
    while (!gone)
        mf_loop_run(f->loop);
    mf_timer_stop(f->loop, &f->patience);
    mf_loop_free(f->loop);
    pthread_cond_destroy(&f->gone);
    pthread_mutex_destroy(&f->lock);
    free(f);
    return 0;
}

static void submit(fixture *f)
{
    mf_task_spec task = {.id = "1"};

    assert_int_equal(mf_client_submit(f->client, &task, 1, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
}

static void tell(fixture *f, mf_message_code code)
{
    mf_message message = mf_message_of(code);
    const char *id = "1";

    assert_int_equal(mf_client_tell(f->client, &id, 1, &message, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
}

typedef struct wanted {
    fixture *fixture;
    mf_state_code code;
    bool is_so;
} wanted;

static void on_state(const mf_error *error, const mf_state_record *states, size_t n, bool last,
                     void *arg)
{
    wanted *w = arg;

    (void)last;
    assert_null(error);
    w->is_so = n == 1 && states->state != NULL && states->state->code == w->code;
}

/* Asks until the task is in the state; each answer takes a turn of the loop. */
static void await_state(fixture *f, mf_state_code code)
{
    wanted w = {.fixture = f, .code = code};
    const char *id = "1";

    while (!w.is_so && !f->late) {
        assert_int_equal(mf_client_lookup_states(f->client, &id, 1, on_state, &w, NULL), MF_OK);
        assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
    }
    assert_true(w.is_so);
}

/* On the embedded broker a hint takes a few turns of the loop: a lookup takes as many. */
static void run_a_moment(fixture *f)
{
    wanted w = {.fixture = f, .code = MF_STATE_RUNNABLE};
    const char *id = "1";

    for (int i = 0; i < 20; i++) {
        assert_int_equal(mf_client_lookup_states(f->client, &id, 1, on_state, &w, NULL), MF_OK);
        assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
    }
}

static mf_message wait_and_return(fixture *f, mf_task *task)
{
    mf_message message;

    assert_true(mf_task_receive(task, -1, &message));
    f->received = message;
    return message;
}

/* A thread that waits gets the message, and what it returns is the task's next state. */
static void test_message(void **state)
{
    fixture *f = *state;

    f->act = wait_and_return;
    submit(f);
    await(f, &f->runs, 1);
    tell(f, MF_MESSAGE_PAUSE);
    await_state(f, MF_STATE_PAUSED);
    assert_int_equal(f->received.code, MF_MESSAGE_PAUSE);
    tell(f, MF_MESSAGE_RUN);
    await(f, &f->runs, 2);
    tell(f, MF_MESSAGE_KILL);
    await_state(f, MF_STATE_KILLED);
    assert_int_equal(f->ended, 2);
}

/* A shutdown is a release message, as often as it is asked for. */
static mf_message wait_twice(fixture *f, mf_task *task)
{
    mf_message message = wait_and_return(f, task);

    assert_true(mf_task_receive(task, 0, &message));
    return message;
}

static void test_shutdown(void **state)
{
    fixture *f = *state;

    f->act = wait_twice;
    submit(f);
    await(f, &f->runs, 1);
    mf_consumer_shutdown(f->consumer);
    while (!f->closed && !f->late)
        mf_loop_run(f->loop);
    assert_true(f->closed);
    assert_int_equal(f->received.code, MF_MESSAGE_RELEASE);
}

static mf_message time_out(fixture *f, mf_task *task)
{
    mf_message message;

    assert_false(mf_task_receive(task, 10, &message));
    assert_false(mf_task_receive(task, 0, &message));
    assert_int_equal(mf_task_state(task)->code, MF_STATE_RUNNABLE);
    (void)f;
    return mf_message_of(MF_MESSAGE_COMPLETE);
}

/* Without a message the wait ends at its time. */
static void test_timeout(void **state)
{
    fixture *f = *state;

    f->act = time_out;
    submit(f);
    await_state(f, MF_STATE_COMPLETED);
}

static mf_message fail_or_complete(fixture *f, mf_task *task)
{
    (void)f;
    return mf_task_state(task)->error_count < 3 ? mf_message_error("not yet")
                                                : mf_message_of(MF_MESSAGE_COMPLETE);
}

/* Each try is a new thread, which knows the errors before it. */
static void test_retries(void **state)
{
    fixture *f = *state;

    f->act = fail_or_complete;
    submit(f);
    await_state(f, MF_STATE_COMPLETED);
    assert_int_equal(f->runs, 4);
}

/* Waits without receiving until the test says that the message has come. */
static mf_message ignore_once(fixture *f, mf_task *task)
{
    if (mf_task_state(task)->error_count > 0)
        return wait_and_return(f, task);
    pthread_mutex_lock(&f->lock);
    while (!f->go)
        pthread_cond_wait(&f->gone, &f->lock);
    pthread_mutex_unlock(&f->lock);
    return mf_message_error("looked away");
}

/* A message that the handler did not receive before it returned is dealt with afterwards. */
static void test_not_received(void **state)
{
    fixture *f = *state;

    f->act = ignore_once;
    submit(f);
    await(f, &f->runs, 1);
    tell(f, MF_MESSAGE_KILL);
    run_a_moment(f);
    pthread_mutex_lock(&f->lock);
    f->go = true;
    pthread_cond_broadcast(&f->gone);
    pthread_mutex_unlock(&f->lock);
    await_state(f, MF_STATE_KILLED);
    assert_int_equal(f->runs, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_message), TEST(test_shutdown),     TEST(test_timeout),
        TEST(test_retries), TEST(test_not_received),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
