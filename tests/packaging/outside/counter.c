/* An application that knows no broker: submits ten tasks, runs them, and ends when all are done.
 * usage: counter URL */
#include <metafora/metafora.h>

#include <stdio.h>
#include <string.h>

enum { TASKS = 10, PATIENCE_S = 30 };

typedef struct counter {
    mf_loop *loop;
    mf_consumer *consumer;
    int done, status;
} counter;

static void on_start(mf_task *task, void *payload)
{
    counter *me = (counter *)payload;

    mf_task_finish(task, MF_DONE);
    if (++me->done == TASKS)
        mf_consumer_shutdown(me->consumer);
}

static void on_stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    (void)reason;
    (void)payload;
    mf_task_finish(task, MF_RELEASE);
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    counter *me = (counter *)payload;

    if (event == MF_CONSUMER_FAILED)
        fprintf(stderr, "%s\n", mf_consumer_error(consumer)->text);
    if (event == MF_CONSUMER_CLOSED)
        mf_loop_stop(me->loop);
}

static void out_of_patience(void *arg)
{
    fprintf(stderr, "not done in time\n");
    mf_loop_stop((mf_loop *)arg);
}

static void closed(void *arg)
{
    mf_loop_stop((mf_loop *)arg);
}

static int submit(mf_broker *broker, mf_error *error)
{
    mf_task_spec tasks[TASKS];
    char ids[TASKS][8];
    mf_client *client = NULL;
    const mf_error *why = NULL;

    memset(tasks, 0, sizeof(tasks));
    for (int i = 0; i < TASKS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "t%d", i);
        tasks[i].id = ids[i];
        tasks[i].properties = "{\"count\":1}";
    }
    if (mf_client_open(&client, broker, error) != 0)
        return -1;
    int code = mf_client_submit(client, tasks, TASKS, NULL, NULL, error);
    if (code == 0 && (code = mf_client_wait(client, &why)) != 0)
        *error = *why;
    mf_client_close(client);
    return code;
}

static int run(counter *me, const char *url, mf_broker *broker, mf_error *error)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    mf_timer patience;

    options.broker_handle = broker;
    options.loop = me->loop;
    options.handler = mf_evented_handler(on_start, on_stop, me);
    options.balancer = mf_balancer_dumb();
    options.on_event = on_event;
    options.payload = me;
    if (submit(broker, error) != 0 || mf_consumer_open(&me->consumer, &options, error) != 0)
        return -1;
    mf_timer_init(&patience, out_of_patience, me->loop);
    mf_timer_start(me->loop, &patience, mf_loop_now_us(me->loop) + PATIENCE_S * 1000000);
    mf_loop_run(me->loop);
    mf_timer_stop(me->loop, &patience);
    mf_consumer_free(me->consumer);
    printf("%s: %d tasks done\n", url, me->done);
    return 0;
}

int main(int argc, char **argv)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    counter me = {NULL, NULL, 0, 0};
    mf_broker *broker = NULL;
    mf_error error;

    if (argc != 2)
        return 2;
    options.name_space = "counter";
    if (mf_loop_new(&me.loop, &error) != 0 ||
        mf_broker_open(&broker, argv[1], &options, me.loop, &error) != 0 ||
        run(&me, argv[1], broker, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    mf_broker_close(broker, closed, me.loop);
    mf_loop_run(me.loop);
    mf_loop_free(me.loop);
    return me.done == TASKS ? 0 : 1;
}
