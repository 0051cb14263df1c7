/* One etcd, or a cluster of three. */
#include <stdio.h>
#include <string.h>

#include "backend.h"
#include "etcd_server.h"

static void *start(int members)
{
    return etcd_server_start(&(etcd_server_options){.members = members});
}

static void *start_one(void)
{
    return start(1);
}

static void *start_three(void)
{
    return start(3);
}

static void stop(void *servers)
{
    etcd_server_free(servers);
}

static int port(void *servers, int server)
{
    return ((etcd_server *)servers)->members[server].port;
}

static void url(void *servers, const int *ports, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "etcd://");

    for (int i = 0; i < ((etcd_server *)servers)->count && used < size; i++)
        used +=
            (size_t)snprintf(out + used, size - used, "%s127.0.0.1:%d", i > 0 ? "," : "", ports[i]);
}

/* A member that is started again with this has more stored than it may: its disk is full. */
static const char *const no_space[] = {"--quota-backend-bytes=1", NULL};

static void restart(etcd_server *server, int member, const char *const *argv)
{
    server->options.argv = argv;
    etcd_server_kill(server, member);
    etcd_server_restart(server, member);
    server->options.argv = NULL;
}

static bool compact(etcd_server *server)
{
    etcd_ctl_compact(server);
    return true;
}

static bool begin(void *servers, const planned_fault *fault)
{
    etcd_server *server = servers;

    switch (fault->kind) {
    case SERVER_PAUSE:
        etcd_server_pause(server, fault->target);
        return true;
    case SERVER_KILL:
        etcd_server_kill(server, fault->target);
        return true;
    case SERVER_SPACE:
        restart(server, fault->target, no_space);
        return true;
    case SERVER_COMPACT:
        return compact(server);
    default:
        return false;
    }
}

static void end(void *servers, const planned_fault *fault)
{
    etcd_server *server = servers;

    switch (fault->kind) {
    case SERVER_PAUSE:
        etcd_server_resume(server, fault->target);
        return;
    case SERVER_KILL:
        etcd_server_restart(server, fault->target);
        return;
    case SERVER_SPACE:
        restart(server, fault->target, NULL);
        etcd_ctl_do(server, "alarm", "disarm", NULL);
        return;
    default:
        return;
    }
}

#define ETCD_FAULTS \
    (FAULT(SERVER_PAUSE) | FAULT(SERVER_KILL) | FAULT(SERVER_COMPACT) | FAULT(SERVER_SPACE))

const backend backend_etcd = {.name = "etcd",
                              .servers = 1,
                              .faults = ETCD_FAULTS,
                              .start = start_one,
                              .free = stop,
                              .port = port,
                              .url = url,
                              .begin = begin,
                              .end = end};

const backend backend_etcd3 = {.name = "etcd3",
                               .servers = 3,
                               .faults = ETCD_FAULTS,
                               .start = start_three,
                               .free = stop,
                               .port = port,
                               .url = url,
                               .begin = begin,
                               .end = end};
