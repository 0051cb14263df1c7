/* The nodes: processes of koalemosd, which are started again when they end, and their faults. */
#include "nodes.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.h"
#include "process.h"

enum { NODES_MOST = 8, RESTART_AFTER_MS = 1000 };

typedef struct node {
    process process;
    bool wanted; /* it ought to run */
    int64_t restart_ms;
    char url[256];
} node;

struct nodes {
    nodes_options options;
    node nodes[NODES_MOST];
};

static void launch(nodes *all, int number, bool takeover)
{
    node *n = &all->nodes[number];
    const char *name = history_node_name(number), *directory = all->options.directory;
    char events[256], log[256], lease[16], routes[256] = "CHAOS_ROUTES=";
    /* `env` becomes koalemosd. */
    const char *arguments[] = {"env",        "LD_PRELOAD=" CHAOS_REROUTE,
                               routes,       KOALEMOSD,
                               "--broker",   n->url,
                               "--name",     name,
                               "--log-dir",  directory,
                               "--events",   events,
                               "--log",      "debug",
                               "--lease-ms", lease,
                               "--wait",     takeover ? "--takeover" : NULL,
                               NULL};
    const char *const *from = all->options.backend->reroute ? arguments : arguments + 3;

    links_routes(all->options.links, number, routes + strlen(routes),
                 sizeof routes - strlen(routes));
    snprintf(events, sizeof events, "%s/events-%s", directory, name);
    snprintf(log, sizeof log, "%s/%s.log", directory, name);
    snprintf(lease, sizeof lease, "%d", all->options.lease_ms);
    process_start(&n->process, from, log);
    n->wanted = true;
}

nodes *nodes_start(const nodes_options *options)
{
    nodes *all = calloc(1, sizeof *all);

    all->options = *options;
    for (int i = 0; i < options->count; i++) {
        options->backend->url(options->servers, links_ports(options->links, i), all->nodes[i].url,
                              sizeof all->nodes[i].url);
        launch(all, i, false);
    }
    return all;
}

void nodes_free(nodes *all)
{
    for (int i = 0; all != NULL && i < all->options.count; i++)
        process_kill(&all->nodes[i].process);
    free(all);
}

bool nodes_begin(nodes *all, const planned_fault *fault)
{
    node *n = &all->nodes[fault->target];
    bool running = !process_has_ended(&n->process);

    if (fault->kind == NODE_FREEZE && running)
        process_signal(&n->process, SIGSTOP);
    if (fault->kind == NODE_KILL)
        process_kill(&n->process);
    if (fault->kind == NODE_TERMINATE && running)
        process_signal(&n->process, SIGTERM);
    if (fault->kind != NODE_FREEZE)
        n->wanted = false;
    return running;
}

/* One that has not ended in the time it was given is killed, as a supervisor does. */
void nodes_end(nodes *all, const planned_fault *fault)
{
    node *n = &all->nodes[fault->target];

    if (fault->kind == NODE_FREEZE) {
        if (n->process.pid != 0)
            process_signal(&n->process, SIGCONT);
        return;
    }
    process_kill(&n->process);
    launch(all, fault->target, fault->kind == NODE_KILL && fault->choice % 2 == 0);
}

static void note_end(history *h, int number, int status)
{
    h->ends = realloc(h->ends, (h->end_count + 1) * sizeof *h->ends);
    assert(h->ends != NULL);
    h->ends[h->end_count++] = (history_end){number, ledger_now_us(), status};
}

void nodes_tick(nodes *all, history *h)
{
    for (int i = 0; i < all->options.count; i++) {
        node *n = &all->nodes[i];
        bool was_there = n->process.pid != 0;
        if (!process_has_ended(&n->process) || !n->wanted)
            continue;
        if (was_there) {
            note_end(h, i, n->process.status);
            n->restart_ms = clock_ms() + RESTART_AFTER_MS;
        } else if (clock_ms() >= n->restart_ms) {
            launch(all, i, false);
        }
    }
}
