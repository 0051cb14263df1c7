/* A Redis Cluster of three masters with a replica each. */
#include <stdio.h>
#include <stdlib.h>

#include "backend.h"
#include "redis_cluster.h"
#include "redis_fault.h"

#define KEY "{koalemos}" /* has the namespace's slot */

enum { CLUSTER_SERVERS = 6, SETTLE_MS = 4000 };

typedef struct cluster {
    redis_cluster *servers;
    int faulty;                    /* servers that have a fault that lasts */
    int64_t sound_ms;              /* since when none had */
    int befallen[CLUSTER_SERVERS]; /* the server that has the fault planned for this one; -1 */
    bool busy[CLUSTER_SERVERS];    /* it has a fault */
} cluster;

static void *start(void)
{
    cluster *c = calloc(1, sizeof *c);

    c->servers = redis_cluster_start(&(redis_cluster_options){.persistent = true});
    return c;
}

static void stop(void *servers)
{
    cluster *c = servers;

    redis_cluster_free(c->servers);
    free(c);
}

static int port(void *servers, int server)
{
    return ((cluster *)servers)->servers->nodes[server]->port;
}

static void url(void *servers, const int *ports, char *out, size_t size)
{
    (void)ports;
    snprintf(out, size, "%s", ((cluster *)servers)->servers->url);
}

static bool is_sound(const cluster *c)
{
    return c->faulty == 0 && clock_ms() - c->sound_ms >= SETTLE_MS;
}

static int number_of(const cluster *c, const redis_server *server)
{
    for (int i = 0; i < c->servers->count; i++)
        if (c->servers->nodes[i] == server)
            return i;
    return -1;
}

/* Of what befalls one server in a sound cluster, half goes to the one that has the namespace. */
static int choose(cluster *c, const planned_fault *fault)
{
    int master = -1;

    if (is_sound(c) && fault->choice % 2 == 0)
        master = number_of(c, redis_cluster_master(c->servers, KEY));
    return master >= 0 ? master : fault->target;
}

static bool move_slot(cluster *c)
{
    redis_server *from = redis_cluster_master(c->servers, KEY);
    redis_server *to = redis_cluster_other(c->servers, KEY);

    if (from == NULL || to == NULL)
        return false;
    redis_cluster_move_slot(c->servers, KEY, from, to);
    return true;
}

static bool fail_over(cluster *c)
{
    redis_server *replica = redis_cluster_replica(c->servers, KEY);
    return replica != NULL && redis_fault_ask(replica, "CLUSTER FAILOVER");
}

/* What happens to the cluster as a whole needs one that is sound. */
static bool begin_moment(cluster *c, const planned_fault *fault)
{
    if (!is_sound(c))
        return false;
    if (fault->kind == SERVER_FAILOVER || fault->kind == SERVER_RESHARD)
        c->sound_ms = clock_ms();
    if (fault->kind == SERVER_FAILOVER)
        return fail_over(c);
    if (fault->kind == SERVER_RESHARD)
        return move_slot(c);
    return redis_fault_begin(c->servers->nodes[choose(c, fault)], fault);
}

static bool begin(void *servers, const planned_fault *fault)
{
    cluster *c = servers;

    if (fault_describe(fault->kind)->most_percent == 0)
        return begin_moment(c, fault);
    int server = choose(c, fault);
    c->befallen[fault->target] = c->busy[server] ? -1 : server;
    if (c->busy[server])
        return false;
    c->busy[server] = true;
    c->faulty++;
    return redis_fault_begin(c->servers->nodes[server], fault);
}

static void end(void *servers, const planned_fault *fault)
{
    cluster *c = servers;

    if (fault_describe(fault->kind)->most_percent == 0 || c->befallen[fault->target] < 0)
        return;
    int server = c->befallen[fault->target];
    redis_fault_end(c->servers->nodes[server], fault);
    c->busy[server] = false;
    c->faulty--;
    c->sound_ms = clock_ms();
}

const backend backend_cluster = {
    .name = "cluster",
    .servers = CLUSTER_SERVERS,
    .faults = FAULT(SERVER_PAUSE) | FAULT(SERVER_KILL) | FAULT(SERVER_SCRIPTS) |
              FAULT(SERVER_CLIENTS) | FAULT(SERVER_SUBSCRIBERS) | FAULT(SERVER_FAILOVER) |
              FAULT(SERVER_RESHARD),
    .losses = FAULT(SERVER_PAUSE) | FAULT(SERVER_KILL),
    .loss_margin_ms = 2000,
    .reroute = true,
    .start = start,
    .free = stop,
    .port = port,
    .url = url,
    .begin = begin,
    .end = end,
};
