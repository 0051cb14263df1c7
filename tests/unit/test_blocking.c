/* Blocking handlers: their threads see a stop and the end of the lease, also while the loop's
 * thread is held up, and on a base of libevent that knows nothing of threads. On the real loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>

#include <event2/event.h>

#include <metafora/metafora.h>

enum { patience_ms = 20000, lease_ms = 2000, stop_grace_ms = 1000 };

typedef struct fixture {
    struct event_base *base;
    mf_loop *loop;
    mf_broker *broker;
    mf_client *client;
    mf_consumer *consumer;
    bool closed, late;
    mf_timer patience;
    sem_t started, go, seen; /* posted by the handler, by the test, by the handler */
    mf_task *task;
    mf_stop_reason reason;
    int64_t left_ms; /* of the lease, when the handler saw that it is to stop */
    bool stopping, received;
    mf_outcome (*act)(struct fixture *f, mf_task *task);
} fixture;

static mf_outcome run(mf_task *task, void *payload)
{
    fixture *f = payload;

    f->task = task;
    sem_post(&f->started);
    mf_outcome outcome = f->act(f, task);
    f->left_ms = mf_task_lease_remaining(task);
    f->reason = mf_task_stop_reason(task);
    sem_post(&f->seen);
    return outcome;
}

static mf_message run_stateful(mf_task *task, void *payload)
{
    run(task, payload);
    return mf_message_of(MF_MESSAGE_RELEASE);
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    fixture *f = payload;

    (void)consumer;
    f->closed |= event == MF_CONSUMER_CLOSED;
}

static void on_patience(void *arg)
{
    ((fixture *)arg)->late = true;
}

/* Runs the loop until the semaphore was posted; its thread is free in between. */
static void await(fixture *f, sem_t *semaphore)
{
    while (sem_trywait(semaphore) != 0 && !f->late)
        event_base_loop(f->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_false(f->late);
}

static void make_loop(fixture *f)
{
    struct event_config *config = event_config_new();

    /* As a base is where the program has not enabled libevent's threads. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    f->base = event_base_new_with_config(config);
    event_config_free(config);
    assert_int_equal(mf_loop_from_event_base(&f->loop, f->base, NULL), MF_OK);
    mf_loop_set_log(f->loop, NULL, NULL, MF_LOG_NONE);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;

    sem_init(&f->started, 0, 0);
    sem_init(&f->go, 0, 0);
    sem_init(&f->seen, 0, 0);
    make_loop(f);
    options.name_space = "t";
    assert_int_equal(mf_broker_open(&f->broker, "embedded://", &options, f->loop, NULL), MF_OK);
    assert_int_equal(mf_client_open(&f->client, f->broker, NULL), MF_OK);
    mf_timer_init(&f->patience, on_patience, f);
    mf_timer_start(f->loop, &f->patience, mf_loop_now_us(f->loop) + patience_ms * INT64_C(1000));
    *state = f;
    return 0;
}

static void open_consumer(fixture *f, mf_handler handler)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    mf_task_spec task = {.id = "1"};

    options.handler = handler;
    options.balancer = mf_balancer_dumb();
    options.broker_handle = f->broker;
    options.loop = f->loop;
    options.name = "a";
    options.lease_ms = lease_ms;
    options.stop_grace_ms = stop_grace_ms;
    options.on_event = on_event;
    options.payload = f;
    assert_int_equal(mf_consumer_open(&f->consumer, &options, NULL), MF_OK);
    assert_int_equal(mf_client_submit(f->client, &task, 1, NULL, NULL, NULL), MF_OK);
    await(f, &f->started);
}

static void turn_until_closed(fixture *f)
{
    while (!f->closed && !f->late)
        event_base_loop(f->base, EVLOOP_ONCE);
    assert_true(f->closed);
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
    turn_until_closed(f);
    mf_consumer_free(f->consumer);
    mf_client_close(f->client);
    mf_broker_close(f->broker, on_broker_closed, &gone);
    while (!gone)
        event_base_loop(f->base, EVLOOP_ONCE);
    mf_timer_stop(f->loop, &f->patience);
    mf_loop_free(f->loop);
    event_base_free(f->base);
    sem_destroy(&f->started);
    sem_destroy(&f->go);
    sem_destroy(&f->seen);
    free(f);
    return 0;
}

static mf_outcome wait_long(fixture *f, mf_task *task)
{
    f->stopping = mf_task_wait_stop(task, -1);
    return MF_RELEASE;
}

/* A handler that waits for a stop is woken by it, and its end reaches the loop by itself. */
static void test_stop(void **state)
{
    fixture *f = *state;

    f->act = wait_long;
    open_consumer(f, mf_blocking_handler(run, f));
    assert_int_equal(mf_consumer_stop_task(f->consumer, "1"), MF_OK);
    await(f, &f->seen);
    assert_true(f->stopping);
    assert_int_equal(f->reason, MF_STOP_COMMAND);
    mf_consumer_shutdown(f->consumer);
    turn_until_closed(f);
}

static mf_outcome wait_short(fixture *f, mf_task *task)
{
    f->stopping = mf_task_wait_stop(task, 10) || mf_task_wait_stop(task, 0);
    return MF_DONE;
}

/* Without a stop the wait ends at its time, and says so. */
static void test_timeout(void **state)
{
    fixture *f = *state;

    f->act = wait_short;
    open_consumer(f, mf_blocking_handler(run, f));
    await(f, &f->seen);
    assert_false(f->stopping);
    assert_int_equal(f->reason, MF_STOP_NONE);
}

/* The loop's thread does not turn from here on; how long the handler still had is within the grace,
 * and not past the lease. */
static void assert_deadline_is_seen(fixture *f)
{
    assert_int_equal(sem_wait(&f->seen), 0);
    assert_int_equal(f->reason, MF_STOP_EXPIRING);
    assert_in_range(f->left_ms, 1, stop_grace_ms);
}

/* While the loop's thread is held up a handler that waits sees the end of its lease come near. */
static void test_deadline_ends_the_wait(void **state)
{
    fixture *f = *state;

    f->act = wait_long;
    open_consumer(f, mf_blocking_handler(run, f));
    assert_deadline_is_seen(f);
    assert_true(f->stopping);
}

static mf_outcome ask_again_and_again(fixture *f, mf_task *task)
{
    while (!mf_task_stopping(task))
        usleep(1000);
    f->stopping = true;
    return MF_RELEASE;
}

/* So does one that asks from time to time. */
static void test_deadline_is_asked_for(void **state)
{
    fixture *f = *state;

    f->act = ask_again_and_again;
    open_consumer(f, mf_blocking_handler(run, f));
    assert_deadline_is_seen(f);
}

static mf_outcome receive(fixture *f, mf_task *task)
{
    mf_message message;

    f->received = mf_task_receive(task, -1, &message) && message.code == MF_MESSAGE_RELEASE;
    return MF_RELEASE;
}

/* And one that waits for messages: to it, it is a release. */
static void test_deadline_is_received(void **state)
{
    fixture *f = *state;
    mf_state_options states = MF_STATE_OPTIONS_INIT;

    f->act = receive;
    states.run = run_stateful;
    states.payload = f;
    open_consumer(f, mf_stateful_handler(&states));
    assert_deadline_is_seen(f);
    assert_true(f->received);
}

static mf_outcome wait_to_go(fixture *f, mf_task *task)
{
    (void)task;
    sem_wait(&f->go);
    return MF_RELEASE;
}

static void *wait_elsewhere(void *arg)
{
    fixture *f = arg;
    mf_message message;

    f->stopping = mf_task_wait_stop(f->task, -1);
    f->received = mf_task_receive(f->task, -1, &message);
    return NULL;
}

/* On the loop's thread, and on any that does not run the task, nothing waits. */
static void test_elsewhere(void **state)
{
    fixture *f = *state;
    pthread_t thread;
    mf_message message;
    mf_state_options states = MF_STATE_OPTIONS_INIT;

    f->act = wait_to_go;
    states.run = run_stateful;
    states.payload = f;
    open_consumer(f, mf_stateful_handler(&states));
    assert_false(mf_task_wait_stop(f->task, -1));
    assert_false(mf_task_receive(f->task, -1, &message));
    f->stopping = f->received = true;
    assert_int_equal(pthread_create(&thread, NULL, wait_elsewhere, f), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(f->stopping);
    assert_false(f->received);
    sem_post(&f->go);
}

/* The same for a plain handler, which has no messages. */
static void test_wait_elsewhere(void **state)
{
    fixture *f = *state;

    f->act = wait_to_go;
    open_consumer(f, mf_blocking_handler(run, f));
    assert_false(mf_task_wait_stop(f->task, -1));
    mf_consumer_stop_task(f->consumer, "1");
    assert_true(mf_task_wait_stop(f->task, -1));
    sem_post(&f->go);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stop),
        TEST(test_timeout),
        TEST(test_deadline_ends_the_wait),
        TEST(test_deadline_is_asked_for),
        TEST(test_deadline_is_received),
        TEST(test_elsewhere),
        TEST(test_wait_elsewhere),
    };
    alarm(50); /* a wait without end fails the test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
