/* Consumers on the embedded broker in virtual time. */
#include "cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/internal.h"
#include "embedded/embedded.h"
#include "embedded_link.h"

static const int64_t limit_us = 60 * 1000000;
enum { link_timeout_ms = 5000 };

static void trace(cluster *c, const char *format, ...)
{
    size_t used = strlen(c->trace);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(c->trace + used, sizeof c->trace - used, format, arguments);
    va_end(arguments);
}

static void forget_task(mf_task *task, mf_outcome outcome)
{
    node *n = mf_task_data(task);

    n->running--;
    trace(n->cluster, "%s end %s %s\n", n->name, mf_task_id(task),
          outcome == MF_DONE ? "done" : "release");
    mf_task_finish(task, outcome);
}

static void on_start(mf_task *task, void *payload)
{
    node *n = payload;

    mf_task_set_data(task, n);
    n->running++;
    trace(n->cluster, "%s start %s\n", n->name, mf_task_id(task));
    if (n->manner == ENDS_AT_ONCE)
        forget_task(task, MF_DONE);
}

static void on_stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    node *n = payload;

    trace(n->cluster, "%s stop %s %s\n", n->name, mf_task_id(task), mf_stop_reason_text(reason));
    if (n->manner == ENDS_WHEN_STOPPED)
        forget_task(task, MF_RELEASE);
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    static const char *const names[] = {"joined", "unreachable", "reachable",
                                        "failed", "closed",      "drained"};
    node *n = payload;

    (void)consumer;
    trace(n->cluster, "%s %s\n", n->name, names[event]);
    n->joined |= event == MF_CONSUMER_JOINED;
    n->failed |= event == MF_CONSUMER_FAILED;
    n->closed |= event == MF_CONSUMER_CLOSED;
}

static int64_t broker_clock(void *arg)
{
    return virtual_world_now_us(arg);
}

static mf_broker *open_handle(cluster *c, mf_loop *loop)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_broker *broker = NULL;

    options.name_space = "test";
    assert_int_equal(mf__embedded_open(&broker, c->store, &options, loop, NULL), MF_OK);
    return broker;
}

cluster *cluster_new(uint64_t seed)
{
    cluster *c = calloc(1, sizeof *c);

    c->world = virtual_world_new(seed);
    c->store = mf__embedded_store_new(broker_clock, c->world);
    c->client_loop = virtual_loop_new(c->world, 1.0);
    c->client_broker = open_handle(c, c->client_loop);
    assert_int_equal(mf_client_open(&c->client, c->client_broker, NULL), MF_OK);
    return c;
}

node *cluster_join(cluster *c, const char *name, handler_manner manner,
                   const mf_consumer_options *options)
{
    mf_consumer_options o = MF_CONSUMER_OPTIONS_INIT;
    node *n = &c->nodes[c->node_count++];

    assert_in_range(c->node_count, 1, cluster_nodes);
    if (options != NULL)
        o = *options;
    *n = (node){.cluster = c, .name = name, .manner = manner};
    n->loop = virtual_loop_new(c->world, 1.0);
    mf_loop_set_log(n->loop, NULL, NULL, MF_LOG_NONE);
    n->broker = open_handle(c, n->loop);
    if (c->has_links)
        n->broker = embedded_link_before(n->broker, link_timeout_ms);
    o.broker_handle = n->broker;
    o.loop = n->loop;
    o.name = name;
    n->own_handler = o.handler.version != 0;
    if (!n->own_handler)
        o.handler = mf_evented_handler(on_start, on_stop, n);
    o.on_event = on_event;
    o.payload = n;
    assert_int_equal(mf_consumer_open(&n->consumer, &o, NULL), MF_OK);
    return n;
}

static bool is_closed(void *arg)
{
    return ((node *)arg)->closed;
}

static void close_node(cluster *c, node *n)
{
    virtual_loop_pause(n->loop, false);
    n->manner = ENDS_WHEN_STOPPED;
    while (!n->own_handler && n->consumer->running_count > 0)
        forget_task(n->consumer->running[0], MF_RELEASE);
    mf_consumer_shutdown(n->consumer);
    virtual_world_run_until(c->world, is_closed, n, limit_us);
    mf_consumer_free(n->consumer);
    mf_broker_close(n->broker, NULL, NULL);
}

void cluster_free(cluster *c)
{
    for (size_t i = 0; i < c->node_count; i++)
        close_node(c, &c->nodes[i]);
    mf_client_close(c->client);
    mf_broker_close(c->client_broker, NULL, NULL);
    virtual_world_run_for(c->world, 1000000);
    for (size_t i = 0; i < c->node_count; i++)
        mf_loop_free(c->nodes[i].loop);
    mf_loop_free(c->client_loop);
    mf__embedded_store_release(c->store);
    virtual_world_free(c->world);
    free(c);
}

/* The client's calls: each waits for its answer. */

static void on_items(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    (void)arg;
    assert_null(error);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(items[i].code, MF_OK);
}

void cluster_submit(cluster *c, const char *const *ids, size_t count)
{
    mf_task_spec *tasks = calloc(count, sizeof *tasks);

    for (size_t i = 0; i < count; i++)
        tasks[i].id = ids[i];
    assert_int_equal(mf_client_submit(c->client, tasks, count, on_items, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_wait(c->client, NULL), MF_OK);
    free(tasks);
}

void cluster_submit_one(cluster *c, const char *id, const char *properties)
{
    mf_task_spec task = {.id = id, .properties = properties};

    assert_int_equal(mf_client_submit(c->client, &task, 1, on_items, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_wait(c->client, NULL), MF_OK);
}

void cluster_remove(cluster *c, const char *id)
{
    assert_int_equal(mf_client_remove(c->client, &id, 1, on_items, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_wait(c->client, NULL), MF_OK);
}

void cluster_command(cluster *c, const char *name, mf_command_verb verb, const char *task)
{
    mf_command command = {.verb = verb, .task = task};

    assert_int_equal(mf_client_command(c->client, name, &command, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_wait(c->client, NULL), MF_OK);
}

static void on_tasks(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    (void)tasks;
    (void)last;
    assert_null(error);
    *(size_t *)arg += count;
}

size_t cluster_task_count(cluster *c)
{
    size_t count = 0;

    assert_int_equal(mf_client_tasks(c->client, on_tasks, &count, NULL), MF_OK);
    assert_int_equal(mf_client_wait(c->client, NULL), MF_OK);
    return count;
}

/* Waiting. */

void cluster_run_ms(cluster *c, int64_t ms)
{
    virtual_world_run_for(c->world, ms * 1000);
}

typedef struct wish {
    node *node;
    size_t running;
    const char *line;
} wish;

static bool has_running(void *arg)
{
    const wish *w = arg;
    return w->node->running == w->running;
}

void cluster_await_running(cluster *c, node *n, size_t count)
{
    wish w = {.node = n, .running = count};
    if (!virtual_world_run_until(c->world, has_running, &w, limit_us))
        fail_msg("%s runs %zu tasks, not %zu\n%s", n->name, n->running, count, c->trace);
}

void cluster_await_closed(cluster *c, node *n)
{
    if (!virtual_world_run_until(c->world, is_closed, n, limit_us))
        fail_msg("%s has not closed\n%s", n->name, c->trace);
}

typedef struct trace_wish {
    const cluster *cluster;
    const char *line;
} trace_wish;

static bool has_traced(void *arg)
{
    const trace_wish *w = arg;
    return cluster_traced(w->cluster, w->line);
}

void cluster_await_trace(cluster *c, const char *line)
{
    trace_wish w = {.cluster = c, .line = line};
    if (!virtual_world_run_until(c->world, has_traced, &w, limit_us))
        fail_msg("no \"%s\" in\n%s", line, c->trace);
}

/* Looking. */

mf_task *cluster_task(node *n, const char *id)
{
    mf_task *task = mf__task_find(n->consumer, id);
    return task != NULL && task->state == TASK_RUNNING ? task : NULL;
}

void cluster_finish(node *n, const char *id, mf_outcome outcome)
{
    mf_task *task = cluster_task(n, id);

    if (task == NULL)
        fail_msg("%s does not run %s\n%s", n->name, id, n->cluster->trace);
    forget_task(task, outcome);
}

size_t cluster_trace_count(const cluster *c, const char *line)
{
    size_t length = strlen(line);
    size_t count = 0;

    for (const char *at = c->trace; (at = strstr(at, line)) != NULL; at += length)
        count += (at == c->trace || at[-1] == '\n') && at[length] == '\n';
    return count;
}

bool cluster_traced(const cluster *c, const char *line)
{
    return cluster_trace_count(c, line) > 0;
}

mf_consumer_statistics cluster_statistics(const node *n)
{
    mf_consumer_statistics statistics = MF_CONSUMER_STATISTICS_INIT;
    mf_consumer_get_statistics(n->consumer, &statistics);
    return statistics;
}
