/* A Redis master with two replicas, and three Sentinels. */
#include <stdio.h>
#include <stdlib.h>

#include "backend.h"
#include "redis_fault.h"
#include "redis_sentinels.h"

enum { DATA_SERVERS = 3, SENTINELS = 3, SETTLE_MS = 4000 };

typedef struct sentinel_set {
    redis_sentinels *set;
    int faulty;       /* servers that have a fault that lasts */
    int64_t sound_ms; /* since when none had */
} sentinel_set;

static void *start(void)
{
    sentinel_set *s = calloc(1, sizeof *s);

    s->set = redis_sentinels_start(&(redis_sentinels_options){.persistent = true});
    return s;
}

static void stop(void *servers)
{
    sentinel_set *s = servers;

    redis_sentinels_free(s->set);
    free(s);
}

static redis_server *server_of(const sentinel_set *s, int number)
{
    return number < DATA_SERVERS ? s->set->servers[number]
                                 : s->set->sentinels[number - DATA_SERVERS];
}

static int port(void *servers, int server)
{
    return server_of(servers, server)->port;
}

static void url(void *servers, const int *ports, char *out, size_t size)
{
    (void)ports;
    snprintf(out, size, "%s", ((sentinel_set *)servers)->set->url);
}

/* A moment's fault needs servers that all answer; one of the data a server that has some. */
static bool begin_moment(sentinel_set *s, const planned_fault *fault)
{
    if (s->faulty > 0 || clock_ms() - s->sound_ms < SETTLE_MS)
        return false;
    if (fault->kind != SERVER_FAILOVER)
        return redis_fault_begin(s->set->servers[fault->target % DATA_SERVERS], fault);
    s->sound_ms = clock_ms();
    return redis_fault_ask(s->set->sentinels[fault->target % SENTINELS],
                           "SENTINEL FAILOVER " SENTINEL_MASTER);
}

static bool begin(void *servers, const planned_fault *fault)
{
    sentinel_set *s = servers;

    if (fault_describe(fault->kind)->most_percent == 0)
        return begin_moment(s, fault);
    s->faulty++;
    return redis_fault_begin(server_of(s, fault->target), fault);
}

static void end(void *servers, const planned_fault *fault)
{
    sentinel_set *s = servers;

    if (fault_describe(fault->kind)->most_percent == 0)
        return;
    redis_fault_end(server_of(s, fault->target), fault);
    s->faulty--;
    s->sound_ms = clock_ms();
}

const backend backend_sentinel = {
    .name = "sentinel",
    .servers = DATA_SERVERS + SENTINELS,
    .faults = FAULT(SERVER_PAUSE) | FAULT(SERVER_KILL) | FAULT(SERVER_SCRIPTS) |
              FAULT(SERVER_CLIENTS) | FAULT(SERVER_SUBSCRIBERS) | FAULT(SERVER_FAILOVER),
    .losses = FAULT(SERVER_PAUSE) | FAULT(SERVER_KILL) | FAULT(SERVER_FAILOVER),
    .loss_margin_ms = 5000,
    .reroute = true,
    .start = start,
    .free = stop,
    .port = port,
    .url = url,
    .begin = begin,
    .end = end,
};
