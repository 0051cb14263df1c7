/* Memory that is out, in the coordinator, the consumer and the state machine: each of their
 * allocations in a story fails in turn, alone or together with all that follow for a while. What
 * fails is told, or is made good later; the task ends all the same. On the embedded broker in
 * virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster.h"
#include "consumer/internal.h"
#include "faults.h"

static int freed;

static void count_free(void *payload)
{
    (void)payload;
    freed++;
}

static void on_start(mf_task *task, void *payload)
{
    (void)payload;
    mf_task_finish(task, MF_DONE);
}

static void on_stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    (void)task;
    (void)reason;
    (void)payload;
}

static int open_once(cluster *c, const char *name, mf_consumer **consumer)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    options.broker_handle = c->client_broker;
    options.loop = c->client_loop;
    options.name = name;
    options.handler = mf_evented_handler(on_start, on_stop, NULL);
    options.handler.free = count_free;
    return mf_consumer_open(consumer, &options, NULL);
}

static void close_consumer(cluster *c, mf_consumer *consumer)
{
    mf_consumer_shutdown(consumer);
    for (int i = 0; i < 100; i++)
        cluster_run_ms(c, 100);
    mf_consumer_free(consumer);
}

/* An opening that fails says so, and frees the handler once; one that does not goes on. */
static void test_opening(void **state)
{
    static const char *const names[] = {"a", NULL};
    size_t failed = 0;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        bool reached = true;
        for (size_t n = 1; reached; n++) {
            cluster *c = cluster_new(n);
            mf_consumer *consumer = NULL;
            freed = 0;
            faults_arm(n, 1);
            int code = open_once(c, names[i], &consumer);
            reached = faults_disarm();
            if (code == MF_OK) {
                close_consumer(c, consumer);
            } else {
                assert_int_equal(code, MF_ENOMEM);
                failed++;
            }
            assert_int_equal(freed, 1);
            cluster_free(c);
        }
    }
    assert_true(failed >= 8);
}

/* A story of plain tasks: started, given back, a balance, a drain; and all are done in the end. */
static void plain_story(cluster *c, size_t first, size_t count, bool *reached)
{
    const char *ids[] = {"1", "2", "3"};
    node *a = cluster_join(c, "a", ENDS_WHEN_STOPPED, NULL);
    node *b = cluster_join(c, "b", ENDS_WHEN_STOPPED, NULL);

    faults_arm(first, count);
    cluster_submit(c, ids, 3);
    cluster_run_ms(c, 20000);
    mf_consumer_balance(a->consumer);
    if (a->running > 0)
        mf_consumer_stop_task(a->consumer, a->consumer->running[0]->claim.id);
    cluster_run_ms(c, 5000);
    cluster_command(c, "a", MF_COMMAND_DRAIN, NULL);
    cluster_run_ms(c, 60000);
    *reached = faults_disarm();
    mf_consumer_undrain(a->consumer);
    cluster_run_ms(c, 60000);
    assert_int_equal(a->running + b->running, 3);
}

/* Tasks with states: one that pauses and is told to run, one that fails and is tried again. */
static size_t completed;

static void on_run(mf_task *task, void *payload)
{
    const mf_state *state = mf_task_state(task);
    mf_message pause = mf_message_of(MF_MESSAGE_PAUSE);
    mf_message error = mf_message_error("not yet");

    (void)payload;
    if (strcmp(mf_task_id(task), "fails") == 0 && state->error_count < 2)
        mf_task_return(task, &error);
    else if (strcmp(mf_task_id(task), "pauses") == 0)
        mf_task_return(task, &pause);
}

static void on_told(mf_task *task, const mf_message *message, void *payload)
{
    (void)payload;
    completed += message->code == MF_MESSAGE_COMPLETE;
    mf_task_return(task, message);
}

/* The task may be gone, and the message not be told for want of memory. */
static void tell(cluster *c, const char *id, mf_message_code code)
{
    mf_message message = mf_message_of(code);

    if (mf_client_tell(c->client, &id, 1, &message, NULL, NULL, NULL) == MF_OK)
        mf_client_wait(c->client, NULL);
}

static void stateful_story(cluster *c, size_t first, size_t count, bool *reached)
{
    mf_state_options states = MF_STATE_OPTIONS_INIT;
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    const char *ids[] = {"fails", "pauses"};

    states.start = on_run;
    states.on_message = on_told;
    states.retry_ms = 1000;
    states.release_pause_ms = 1000;
    options.handler = mf_stateful_handler(&states);
    options.balancer = mf_balancer_dumb();
    cluster_join(c, "a", ENDS_WHEN_STOPPED, &options);
    cluster_run_ms(c, 1000);
    faults_arm(first, count);
    cluster_submit(c, ids, 2);
    cluster_run_ms(c, 2000);
    tell(c, "fails", MF_MESSAGE_COMPLETE); /* running, loading, or asleep after an error */
    cluster_run_ms(c, 10000);
    *reached = faults_disarm();
    cluster_run_ms(c, 60000);
    tell(c, "fails", MF_MESSAGE_KILL); /* where completing was an error: that is in its state */
    tell(c, "pauses", MF_MESSAGE_KILL);
    cluster_run_ms(c, 60000);
    assert_int_equal(cluster_task_count(c), 0);
}

typedef void (*story)(cluster *c, size_t first, size_t count, bool *reached);

static size_t tell_with_faults(story tell_story, size_t count)
{
    bool reached = true;
    size_t n = 0;

    while (reached) {
        cluster *c = cluster_new(3);
        tell_story(c, ++n, count, &reached);
        cluster_free(c);
    }
    return n;
}

static void test_plain(void **state)
{
    (void)state;
    assert_true(tell_with_faults(plain_story, 1) > 10);
    assert_true(tell_with_faults(plain_story, 5) > 10);
}

static void test_stateful(void **state)
{
    (void)state;
    assert_true(tell_with_faults(stateful_story, 1) > 10);
    assert_true(tell_with_faults(stateful_story, 5) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opening),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_stateful),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
