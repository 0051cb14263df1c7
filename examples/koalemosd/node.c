/* A node: putting its parts together and taking them apart. */
#include "node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/thread.h>

#include <metafora/driver.h>

#include "guard.h"
#include "handler.h"

struct koa_node {
    koa_node_options options;
    koa_guard *guard;
    struct event_base *base;
    mf_loop *loop;
    mf_consumer *consumer;
    int status;
};

int node_new(koa_node **out, const koa_node_options *options, mf_error *error)
{
    koa_node *node = calloc(1, sizeof *node);

    if (node == NULL)
        return mf_error_set(error, MF_ENOMEM, "out of memory");
    node->options = *options;
    if (guard_spawn(&node->guard, options->name, options->events) != 0) {
        mf_error_set(error, MF_ESYSTEM, "guard: %s", strerror(errno));
        free(node);
        return MF_ESYSTEM;
    }
    *out = node;
    return MF_OK;
}

static void on_guard_lost(void *arg)
{
    koa_node *node = arg;
    node->status = 1;
    mf_consumer_shutdown(node->consumer);
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

static int open_loop(koa_node *node, mf_error *error)
{
    evthread_use_pthreads();
    node->base = event_base_new();
    if (node->base == NULL)
        return mf_error_set(error, MF_ESYSTEM, "libevent has no event base to give");
    int code = mf_loop_from_event_base(&node->loop, node->base, error);
    if (code == MF_OK)
        mf_loop_set_log(node->loop, node->options.log, (void *)node->options.name,
                        node->options.log_level);
    return code;
}

static int open_consumer(koa_node *node, process_handler *handler, mf_error *error)
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
    options.handler = process_handler_get(handler);
    options.balancer = mf_balancer_fair(1.2);
    options.on_event = on_event;
    options.payload = node;
    return mf_consumer_open(&node->consumer, &options, error);
}

int node_open(koa_node *node, mf_error *error)
{
    process_handler_options processes = {.node = node->options.name,
                                         .log_directory = node->options.log_directory,
                                         .events_path = node->options.events,
                                         .lease_ms = node->options.lease_ms,
                                         .kill_grace_ms = node->options.kill_grace_ms,
                                         .on_guard_lost = on_guard_lost,
                                         .arg = node};
    process_handler *handler;

    int code = open_loop(node, error);
    if (code != MF_OK)
        return code;
    mf_log(node->loop, MF_LOG_DEBUG, "koalemosd", "guard: process %d", (int)guard_pid(node->guard));
    code = process_handler_new(&handler, &processes, node->guard, node->base, node->loop, error);
    if (code == MF_OK)
        code = open_consumer(node, handler, error);
    return code;
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
    guard_close(node->guard);
    if (node->loop != NULL)
        mf_loop_free(node->loop);
    if (node->base != NULL)
        event_base_free(node->base);
    free(node);
}
