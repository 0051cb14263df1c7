/* One Redis: whose every write is on disk when it is answered, or one that keeps snapshots only. */
#include <stdio.h>
#include <string.h>

#include "backend.h"
#include "redis_fault.h"

static void *start(void)
{
    return redis_server_start(&(redis_server_options){.persistent = true});
}

static void *start_lossy(void)
{
    return redis_server_start(NULL);
}

static void stop(void *servers)
{
    redis_server_free(servers);
}

static int port(void *servers, int server)
{
    (void)server;
    return ((redis_server *)servers)->port;
}

static void url(void *servers, const int *ports, char *out, size_t size)
{
    (void)servers;
    snprintf(out, size, "redis://127.0.0.1:%d", ports[0]);
}

static bool begin(void *servers, const planned_fault *fault)
{
    return redis_fault_begin(servers, fault);
}

/* Without a log of its writes a server that goes down keeps what its last snapshot has. */
static bool begin_lossy(void *servers, const planned_fault *fault)
{
    bool goes_down = fault->kind == SERVER_KILL || fault->kind == SERVER_LOSS;

    if (goes_down)
        redis_server_do(servers, "SAVE");
    return fault->kind == SERVER_LOSS || begin(servers, fault);
}

static void end(void *servers, const planned_fault *fault)
{
    redis_fault_end(servers, fault);
}

#define REDIS_FAULTS                                                                             \
    (FAULT(SERVER_PAUSE) | FAULT(SERVER_KILL) | FAULT(SERVER_MEMORY) | FAULT(SERVER_NO_WRITES) | \
     FAULT(SERVER_SCRIPTS) | FAULT(SERVER_CLIENTS) | FAULT(SERVER_SUBSCRIBERS))

const backend backend_redis = {.name = "redis",
                               .servers = 1,
                               .faults = REDIS_FAULTS | FAULT(SERVER_STOP),
                               .start = start,
                               .free = stop,
                               .port = port,
                               .url = url,
                               .begin = begin,
                               .end = end};

const backend backend_redis_lossy = {.name = "redis-lossy",
                                     .servers = 1,
                                     .faults = REDIS_FAULTS | FAULT(SERVER_LOSS),
                                     .losses = FAULT(SERVER_LOSS),
                                     .start = start_lossy,
                                     .free = stop,
                                     .port = port,
                                     .url = url,
                                     .begin = begin_lossy,
                                     .end = end};
