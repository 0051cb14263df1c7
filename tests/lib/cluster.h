/* Consumers on the embedded broker in virtual time, and what happened to them as a trace. */
#ifndef MF_TESTS_CLUSTER_H
#define MF_TESTS_CLUSTER_H

#include <metafora/metafora.h>

#include "virtual_loop.h"

/* How a node's handlers end. */
typedef enum handler_manner {
    ENDS_WHEN_STOPPED, /* at once, with a release */
    ENDS_AT_ONCE,      /* in start, as done */
    ENDS_WHEN_TOLD     /* by cluster_finish only */
} handler_manner;

typedef struct cluster cluster;

typedef struct node {
    cluster *cluster;
    const char *name;
    handler_manner manner;
    mf_loop *loop;
    mf_broker *broker;
    mf_consumer *consumer;
    bool joined, failed, closed;
    bool own_handler; /* of the options */
    size_t running;
} node;

enum { cluster_nodes = 8 };

struct cluster {
    virtual_world *world;
    void *store;
    bool has_links; /* nodes that join reach it by the link of embedded_link.h */
    node nodes[cluster_nodes];
    size_t node_count;
    mf_loop *client_loop;
    mf_broker *client_broker;
    mf_client *client;
    char trace[65536]; /* "a start 1\n", "a stop 1 balance\n", "a joined\n", ... */
};

cluster *cluster_new(uint64_t seed);
void cluster_free(cluster *c);

/* `options` may be NULL; handler, broker, loop and name are filled in. */
node *cluster_join(cluster *c, const char *name, handler_manner manner,
                   const mf_consumer_options *options);

void cluster_submit(cluster *c, const char *const *ids, size_t count);
void cluster_submit_one(cluster *c, const char *id, const char *properties);
void cluster_remove(cluster *c, const char *id);
void cluster_command(cluster *c, const char *node, mf_command_verb verb, const char *task);
/* How many tasks the broker has. */
size_t cluster_task_count(cluster *c);

void cluster_run_ms(cluster *c, int64_t ms);
/* Runs until the node has so many handlers running; fails the test after a minute. */
void cluster_await_running(cluster *c, node *n, size_t count);
void cluster_await_closed(cluster *c, node *n);
void cluster_await_trace(cluster *c, const char *line);

/* The running task of a node; NULL: it does not run there. */
mf_task *cluster_task(node *n, const char *id);
void cluster_finish(node *n, const char *id, mf_outcome outcome);

bool cluster_traced(const cluster *c, const char *line);
size_t cluster_trace_count(const cluster *c, const char *line);
mf_consumer_statistics cluster_statistics(const node *n);

#endif
