/* A node: putting its parts together and taking them apart. */
#include "node.h"

#include <signal.h>
#include <stdlib.h>

#include <metafora/driver.h>
#include <metafora/process.h>

struct koa_node {
    koa_node_options options;
    mf_handler handler; /* until the consumer takes it */
    mf_loop *loop;
    mf_consumer *consumer;
    int status;
};

static mf_handler make_handler(koa_node *node, mf_error *error)
{
    const koa_node_options *from = &node->options;
    mf_process_options processes = MF_PROCESS_OPTIONS_INIT;
    mf_state_options states = MF_STATE_OPTIONS_INIT;

    processes.output_directory = from->log_directory;
    processes.event_log = from->events;
    processes.stop_signal = SIGINT;
    processes.stop_grace_ms = from->kill_grace_ms;
    if (!from->stateful)
        return mf_process_handler(&processes, error);
    states.max_errors = from->max_errors;
    states.retry_ms = (int64_t)from->retry_s * 1000;
    return mf_process_stateful_handler(&processes, &states, error);
}

int node_new(koa_node **out, const koa_node_options *options, mf_error *error)
{
    koa_node *node = calloc(1, sizeof *node);

    if (node == NULL)
        return mf_error_set(error, MF_ENOMEM, "out of memory");
    node->options = *options;
    node->handler = make_handler(node, error);
    if (node->handler.version < 0) {
        int code = node->handler.version;
        node_free(node);
        return code;
    }
    *out = node;
    return MF_OK;
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    koa_node *node = payload;

    if (event == MF_CONSUMER_JOINED)
        mf_log(node->loop, MF_LOG_INFO, "koalemosd", "joined as %s", node->options.name);
    if (event == MF_CONSUMER_FAILED) {
        mf_log(node->loop, MF_LOG_ERROR, "koalemosd", "%s", mf_consumer_error(consumer)->text);
        node->status = 1;
    }
    if (event == MF_CONSUMER_CLOSED)
        mf_loop_stop(node->loop);
}

static int open_consumer(koa_node *node, mf_error *error)
{
    const koa_node_options *from = &node->options;
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    options.broker = from->broker;
    options.broker_options.version = MF_BROKER_OPTIONS_VERSION;
    options.broker_options.wait_for_broker = from->wait_for_broker;
    options.name_space = from->name_space;
    options.loop = node->loop;
    options.name = from->name;
    options.takeover = from->takeover;
    options.lease_ms = from->lease_ms;
    options.stop_grace_ms = from->stop_grace_ms;
    options.handler = node->handler;
    options.balancer = mf_balancer_fair(1.2);
    options.on_event = on_event;
    options.payload = node;
    node->handler = (mf_handler){0};
    return mf_consumer_open(&node->consumer, &options, error);
}

int node_open(koa_node *node, mf_error *error)
{
    int code = mf_loop_new(&node->loop, error);

    if (code != MF_OK)
        return code;
    mf_loop_set_log(node->loop, node->options.log, (void *)node->options.name,
                    node->options.log_level);
    return open_consumer(node, error);
}

int node_run(koa_node *node)
{
    mf_loop_run(node->loop);
    return node->status;
}

void node_shutdown(koa_node *node)
{
    mf_consumer_shutdown(node->consumer);
}

mf_loop *node_loop(koa_node *node)
{
    return node->loop;
}

void node_free(koa_node *node)
{
    if (node->consumer != NULL)
        mf_consumer_free(node->consumer);
    if (node->handler.free != NULL)
        node->handler.free(node->handler.payload);
    if (node->loop != NULL)
        mf_loop_free(node->loop);
    free(node);
}
