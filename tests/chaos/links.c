/* The network of each node: a proxy before each server, and its faults. */
#include "links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy.h"

enum { NODES_MOST = 8, LEAST_DELAY_MS = 20, MOST_DELAY_MS = 800 };

typedef struct link {
    int servers[SERVERS_MOST]; /* their ports */
    proxy *proxies[SERVERS_MOST];
    int ports[SERVERS_MOST];
    uint64_t open, swallowed, passed; /* when its fault began */
} link;

struct links {
    int nodes, servers;
    link links[NODES_MOST];
};

links *links_new(int nodes, int servers, const int *ports)
{
    links *l = calloc(1, sizeof *l);

    l->nodes = nodes;
    l->servers = servers;
    for (int n = 0; n < nodes; n++)
        for (int s = 0; s < servers; s++) {
            l->links[n].proxies[s] = proxy_new(ports[s], NULL);
            l->links[n].servers[s] = ports[s];
            l->links[n].ports[s] = proxy_port(l->links[n].proxies[s]);
        }
    return l;
}

void links_free(links *l)
{
    for (int n = 0; l != NULL && n < l->nodes; n++)
        for (int s = 0; s < l->servers; s++)
            proxy_free(l->links[n].proxies[s]);
    free(l);
}

void links_routes(const links *l, int node, char *out, size_t size)
{
    const link *at = &l->links[node];
    size_t used = 0;

    out[0] = '\0';
    for (int s = 0; s < l->servers && used < size; s++)
        used += (size_t)snprintf(out + used, size - used, "%s%d:%d", s > 0 ? "," : "",
                                 at->servers[s], at->ports[s]);
}

const int *links_ports(const links *l, int node)
{
    return l->links[node].ports;
}

static void spoil(proxy *p, const planned_fault *fault)
{
    switch (fault->kind) {
    case LINK_CUT:
        proxy_cut(p);
        return;
    case LINK_REFUSE:
        proxy_refuse(p);
        proxy_cut(p);
        return;
    case LINK_SILENT:
        proxy_blackhole(p, PROXY_BOTH);
        return;
    case LINK_DEAF:
        proxy_blackhole(p, PROXY_REPLIES);
        return;
    case LINK_MUTE:
        proxy_blackhole(p, PROXY_REQUESTS);
        return;
    case LINK_SLOW:
        proxy_delay(p, PROXY_BOTH,
                    LEAST_DELAY_MS + (int)(fault->choice % (MOST_DELAY_MS - LEAST_DELAY_MS)));
        return;
    default:
        proxy_hold(p, fault->choice % 3 == 0   ? PROXY_REQUESTS
                      : fault->choice % 3 == 1 ? PROXY_REPLIES
                                               : PROXY_BOTH);
        return;
    }
}

static proxy_counters count(const links *l, const link *at)
{
    proxy_counters sum = {0};

    for (int s = 0; s < l->servers; s++) {
        proxy_counters one = proxy_count(at->proxies[s]);
        sum.open += one.open;
        sum.swallowed += one.swallowed;
        sum.requests += one.requests;
    }
    return sum;
}

void links_begin(links *l, const planned_fault *fault)
{
    link *at = &l->links[fault->target];
    proxy_counters now = count(l, at);

    at->open = now.open;
    at->swallowed = now.swallowed;
    at->passed = now.requests;
    for (int s = 0; s < l->servers; s++)
        spoil(at->proxies[s], fault);
}

static bool took_effect(const links *l, const link *at, fault_kind kind)
{
    proxy_counters now = count(l, at);

    if (kind == LINK_SILENT || kind == LINK_DEAF || kind == LINK_MUTE)
        return now.swallowed > at->swallowed;
    if (kind == LINK_SLOW)
        return now.requests > at->passed;
    return at->open > 0;
}

/* A stream that has lost bytes is of no use: its end is told. */
bool links_end(links *l, const planned_fault *fault)
{
    link *at = &l->links[fault->target];
    bool took = took_effect(l, at, fault->kind);
    bool lost = fault->kind == LINK_SILENT || fault->kind == LINK_DEAF || fault->kind == LINK_MUTE;

    for (int s = 0; s < l->servers; s++) {
        proxy_resume(at->proxies[s]);
        if (lost)
            proxy_cut(at->proxies[s]);
    }
    return took;
}
