/* A large cluster in virtual time that counts what balancing costs. */
#include "fleet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/internal.h"

/* A network within one place, and a broker that grants 100,000 claims a second. */
enum { DELAY_US = 500, REPLY_TIMEOUT_US = 5000000, REQUEST_US = 20, ITEM_US = 10 };

/* Handlers. */

static size_t task_index(const mf_task *task)
{
    return strtoul(mf_task_id(task) + strlen("task-"), NULL, 10);
}

static double cost_of(const fleet *f, size_t task)
{
    return f->cost != NULL ? f->cost(task) : 1;
}

static void on_start(mf_task *task, void *payload)
{
    fleet_node *node = payload;
    fleet *f = node->fleet;
    size_t index = task_index(task);

    f->counts.starts++;
    f->counts.moves += f->last_node[index] != node->index + 1 && f->last_node[index] != 0;
    f->last_node[index] = (uint32_t)node->index + 1;
    node->running++;
    node->cost += cost_of(f, index);
}

static void on_stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    fleet_node *node = payload;

    (void)reason;
    node->running--;
    node->cost -= cost_of(node->fleet, task_index(task));
    mf_task_finish(task, MF_RELEASE);
}

/* The links. */

static void on_request(void *arg, verb what, mf_request *copy)
{
    fleet *f = arg;

    f->counts.requests++;
    if (what == VERB_CLAIM)
        f->counts.attempts += link_items(what, copy);
}

static void on_decided(void *arg, verb what, const mf_request *copy)
{
    fleet *f = arg;
    const mf_claims_request *claims = (const mf_claims_request *)copy;

    for (size_t i = 0; what == VERB_CLAIM && i < claims->count; i++)
        f->counts.granted += copy->error.code == MF_OK && claims->claims[i]->result == MF_OK;
}

static mf_broker *connect_to(fleet *f, mf_loop *loop)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_broker *inner = NULL;

    options.name_space = "fleet";
    if (mf__embedded_open(&inner, f->store, &options, f->network, NULL) != MF_OK)
        abort();
    return link_new(&(link_options){
        .node_loop = loop,
        .network_loop = f->network,
        .inner = inner,
        .delay_us = DELAY_US,
        .reply_timeout_us = REPLY_TIMEOUT_US,
        .service = &f->service,
        .hooks = {.reaches_broker = on_request, .decided = on_decided, .arg = f},
    });
}

/* Nodes. */

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    fleet_node *node = payload;

    (void)consumer;
    node->joined |= event == MF_CONSUMER_JOINED;
    node->closed |= event == MF_CONSUMER_CLOSED;
    if (event == MF_CONSUMER_FAILED)
        abort();
}

fleet_node *fleet_add(fleet *f, double weight)
{
    fleet_node *node = &f->nodes[f->node_count];

    if (f->node_count == f->node_size)
        abort();
    *node = (fleet_node){.fleet = f, .index = f->node_count++, .weight = weight};
    snprintf(node->name, sizeof node->name, "node-%zu", node->index);
    return node;
}

static void free_process(fleet_node *node)
{
    if (node->consumer == NULL)
        return;
    mf_consumer_free(node->consumer);
    mf_broker_close(node->broker, NULL, NULL);
    node->consumer = NULL;
    fleet *f = node->fleet;
    f->spent = realloc(f->spent, (f->spent_count + 1) * sizeof(mf_loop *));
    f->spent[f->spent_count++] = node->loop; /* the link still needs it for a while */
}

void fleet_start(fleet_node *node)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    fleet *f = node->fleet;

    free_process(node);
    node->joined = node->closed = node->dead = false;
    node->running = 0;
    node->cost = 0;
    node->loop = virtual_loop_new(f->world, 1);
    mf_loop_set_log(node->loop, NULL, NULL, MF_LOG_ERROR);
    node->broker = connect_to(f, node->loop);
    options.broker_handle = node->broker;
    options.loop = node->loop;
    options.name = node->name;
    options.weight = node->weight;
    options.handler = mf_evented_handler(on_start, on_stop, node);
    options.on_event = on_event;
    options.payload = node;
    if (f->balancer != NULL)
        options.balancer = f->balancer(node);
    if (mf_consumer_open(&node->consumer, &options, NULL) != MF_OK)
        abort();
}

void fleet_kill(fleet_node *node)
{
    node->dead = true;
    virtual_loop_pause(node->loop, true);
    link_bury(node->broker);
}

void fleet_shutdown(fleet_node *node, bool will_be_back)
{
    if (will_be_back)
        mf_consumer_shutdown_for_restart(node->consumer);
    else
        mf_consumer_shutdown(node->consumer);
}

/* The whole. */

static int64_t broker_clock(void *arg)
{
    return virtual_world_now_us(arg);
}

fleet *fleet_new(uint64_t seed, size_t nodes, size_t tasks)
{
    fleet *f = calloc(1, sizeof *f);

    f->world = virtual_world_new(seed);
    f->network = virtual_loop_new(f->world, 1);
    f->store = mf__embedded_store_new(broker_clock, f->world);
    f->service = (link_service){.request_us = REQUEST_US, .item_us = ITEM_US};
    f->nodes = calloc(nodes, sizeof *f->nodes);
    f->node_size = nodes;
    f->last_node = calloc(tasks, sizeof *f->last_node);
    f->task_size = tasks;
    f->client_loop = virtual_loop_new(f->world, 1);
    f->client_broker = connect_to(f, f->client_loop);
    if (mf_client_open(&f->client, f->client_broker, NULL) != MF_OK)
        abort();
    return f;
}

static bool all_closed(void *arg)
{
    fleet *f = arg;

    for (size_t i = 0; i < f->node_count; i++)
        if (f->nodes[i].consumer != NULL && !f->nodes[i].closed)
            return false;
    return true;
}

void fleet_free(fleet *f)
{
    for (size_t i = 0; i < f->node_count; i++) {
        if (f->nodes[i].consumer == NULL)
            continue;
        virtual_loop_pause(f->nodes[i].loop, false);
        mf_consumer_shutdown(f->nodes[i].consumer);
    }
    if (!virtual_world_run_until(f->world, all_closed, f, INT64_C(120) * 1000000))
        abort();
    for (size_t i = 0; i < f->node_count; i++)
        free_process(&f->nodes[i]);
    mf_client_close(f->client);
    mf_broker_close(f->client_broker, NULL, NULL);
    fleet_run_ms(f, 20000);
    for (size_t i = 0; i < f->spent_count; i++)
        mf_loop_free(f->spent[i]);
    free(f->spent);
    mf_loop_free(f->client_loop);
    mf_loop_free(f->network);
    mf__embedded_store_release(f->store);
    virtual_world_free(f->world);
    free(f->nodes);
    free(f->last_node);
    free(f);
}

static void on_submitted(const mf_error *error, const mf_item_result *items, size_t count,
                         void *arg)
{
    (void)error;
    (void)items;
    (void)count;
    *(bool *)arg = true;
}

static bool is_true(void *arg)
{
    return *(bool *)arg;
}

void fleet_submit(fleet *f, size_t count)
{
    mf_task_spec *specs = calloc(count, sizeof *specs);
    char(*ids)[24] = calloc(count, sizeof *ids);
    bool stored = false;

    if (f->task_count + count > f->task_size)
        abort();
    for (size_t i = 0; i < count; i++) {
        snprintf(ids[i], sizeof ids[i], "task-%zu", f->task_count + i);
        specs[i].id = ids[i];
    }
    f->task_count += count;
    mf_client_submit(f->client, specs, count, on_submitted, &stored, NULL);
    if (!virtual_world_run_until(f->world, is_true, &stored, INT64_C(600) * 1000000))
        abort();
    free(specs);
    free(ids);
}

void fleet_run_ms(fleet *f, int64_t ms)
{
    virtual_world_run_for(f->world, ms * 1000);
}

int64_t fleet_now_us(const fleet *f)
{
    return virtual_world_now_us(f->world);
}

void fleet_count_anew(fleet *f)
{
    f->counts = (fleet_counts){.since_us = fleet_now_us(f)};
}

/* The state of things. */

static bool is_up(const fleet_node *node)
{
    return node->consumer != NULL && !node->dead && !node->closed;
}

size_t fleet_known(const fleet *f)
{
    for (size_t i = 0; i < f->node_count; i++)
        if (is_up(&f->nodes[i]))
            return f->nodes[i].consumer->view.count;
    return 0;
}

size_t fleet_running(const fleet *f)
{
    size_t running = 0;

    for (size_t i = 0; i < f->node_count; i++)
        running += is_up(&f->nodes[i]) ? f->nodes[i].running : 0;
    return running;
}

double fleet_weight(const fleet *f)
{
    double weight = 0;

    for (size_t i = 0; i < f->node_count; i++)
        weight += is_up(&f->nodes[i]) ? f->nodes[i].weight : 0;
    return weight;
}

static double ratio(double tasks, double share)
{
    if (tasks >= floor(share) && tasks <= ceil(share))
        return 1;
    return share > 0 ? tasks / share : 1;
}

double fleet_ratio(const fleet *f, const fleet_node *node)
{
    return ratio((double)node->running, (double)f->task_count * node->weight / fleet_weight(f));
}

double fleet_largest_ratio(const fleet *f)
{
    double weight = fleet_weight(f), largest = 0;

    for (size_t i = 0; i < f->node_count; i++) {
        const fleet_node *node = &f->nodes[i];
        if (is_up(node))
            largest = fmax(largest, ratio((double)node->running,
                                          (double)f->task_count * node->weight / weight));
    }
    return largest;
}

double fleet_largest_cost_ratio(const fleet *f)
{
    double weight = fleet_weight(f), largest = 0, all = 0;

    for (size_t i = 0; i < f->node_count; i++)
        all += is_up(&f->nodes[i]) ? f->nodes[i].cost : 0;
    for (size_t i = 0; i < f->node_count; i++)
        if (is_up(&f->nodes[i]))
            largest = fmax(largest, f->nodes[i].cost / (all * f->nodes[i].weight / weight));
    return largest;
}

bool fleet_balanced(const fleet *f)
{
    double weight = fleet_weight(f);

    if (fleet_running(f) != f->task_count)
        return false;
    for (size_t i = 0; i < f->node_count; i++) {
        const fleet_node *node = &f->nodes[i];
        double share = (double)f->task_count * node->weight / weight;
        double r = ratio((double)node->running, share);
        if (is_up(node) && (r > 1.2 + 1e-9 || r < 0.8 - 1e-9))
            return false;
    }
    return true;
}
