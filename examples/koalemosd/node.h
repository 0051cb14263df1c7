/* A node: a loop, and a consumer on it that runs tasks as processes. */
#ifndef KOALEMOSD_NODE_H
#define KOALEMOSD_NODE_H

#include <metafora/metafora.h>

typedef struct koa_node koa_node;

/* Strings are borrowed for the node's life. 0 and NULL: the default, where there is one. */
typedef struct koa_node_options {
    const char *broker, *name_space;
    const char *name;          /* required */
    const char *log_directory; /* required */
    const char *events;        /* file; NULL: no event log */
    int lease_ms, stop_grace_ms, kill_grace_ms;
    bool stateful; /* tasks have states, and failures are tried again */
    int max_errors, retry_s;
    bool takeover, wait_for_broker;
    mf_log_fn log; /* called with the name */
    mf_log_level log_level;
} koa_node_options;

/* Makes a node and its handler, which forks, so before the process has threads. MF_ESYSTEM,
 * MF_ENOMEM. */
int node_new(koa_node **out, const koa_node_options *options, mf_error *error);

/* Makes the loop and opens the consumer. What mf_consumer_open returns, MF_ESYSTEM, MF_ENOMEM. */
int node_open(koa_node *node, mf_error *error);

/* Runs an open node until it is closed; returns 0, or 1 when it failed. */
int node_run(koa_node *node);

/* Gives the tasks back and ends node_run. While node_run runs, from any thread. */
void node_shutdown(koa_node *node);

mf_loop *node_loop(koa_node *node);

/* Ends the guard and frees everything; node_run must have returned by itself. */
void node_free(koa_node *node);

#endif
