/* A large cluster in virtual time that counts what balancing costs.
 *
 * Real consumers with their default settings, each with a loop of its own, on one embedded broker
 * behind links that need time, as does the broker for each request. Handlers end when they are
 * told to. */
#ifndef MF_SIM_FLEET_H
#define MF_SIM_FLEET_H

#include <stddef.h>
#include <stdint.h>

#include <metafora/metafora.h>

#include "embedded/embedded.h"
#include "link.h"
#include "virtual_loop.h"

typedef struct fleet fleet;

typedef struct fleet_node {
    fleet *fleet;
    size_t index;
    char name[16];
    double weight;
    mf_loop *loop;
    mf_broker *broker;
    mf_consumer *consumer; /* NULL: not started, or ended */
    bool joined, closed, dead;
    size_t running;
    double cost; /* of the tasks that run here */
} fleet_node;

/* Since the last fleet_count_anew. */
typedef struct fleet_counts {
    uint64_t starts;
    uint64_t moves; /* starts on another node than the last one */
    uint64_t attempts, granted;
    uint64_t requests; /* that reached the broker; a batch is one */
    int64_t since_us;
} fleet_counts;

struct fleet {
    virtual_world *world;
    mf_loop *network;
    mf__embedded_store *store;
    link_service service;
    fleet_node *nodes;
    size_t node_count, node_size;
    uint32_t *last_node; /* by task, 1 for the first node; 0: it never ran */
    size_t task_count, task_size;
    /* What a task costs to run; NULL: 1. */
    double (*cost)(size_t task);
    /* For the nodes that start from now on; NULL: the default. */
    mf_balancer (*balancer)(fleet_node *node);
    fleet_counts counts;
    mf_loop **spent; /* loops of processes that have ended */
    size_t spent_count;
    mf_loop *client_loop;
    mf_broker *client_broker;
    mf_client *client;
};

/* Room for so many nodes and tasks, of which there are none yet. */
fleet *fleet_new(uint64_t seed, size_t nodes, size_t tasks);
void fleet_free(fleet *f);

fleet_node *fleet_add(fleet *f, double weight);
void fleet_start(fleet_node *node);
void fleet_kill(fleet_node *node);
void fleet_shutdown(fleet_node *node, bool will_be_back);
/* Submits so many more tasks, and waits until they are stored. */
void fleet_submit(fleet *f, size_t count);

void fleet_run_ms(fleet *f, int64_t ms);
int64_t fleet_now_us(const fleet *f);
void fleet_count_anew(fleet *f);

/* The state of things. */

/* How many nodes a living one knows. */
size_t fleet_known(const fleet *f);
size_t fleet_running(const fleet *f);
double fleet_weight(const fleet *f); /* of the nodes that run */
/* Tasks of the node over its share by weight, 1 if it has just that. A part of a task does not
 * count: with a share of 1.5, two are 1. */
double fleet_ratio(const fleet *f, const fleet_node *node);
double fleet_largest_ratio(const fleet *f);
/* By cost instead of number. */
double fleet_largest_cost_ratio(const fleet *f);
/* Every task runs, and each node has between 0.8 and 1.2 times its share. */
bool fleet_balanced(const fleet *f);

#endif
