/* A task that takes its whole process down, on a real etcd. */
#include <metafora/etcd.h>

#include "crash_loop.h"
#include "etcd_server.h"

static etcd_server *server;

static const char *start(void)
{
    server = etcd_server_start(NULL);
    return server->url;
}

static void stop(void)
{
    etcd_server_free(server);
}

int main(void)
{
    static const slots_broker etcd = {
        .name = "etcd",
        .driver = &mf_etcd_driver,
        .start = start,
        .stop = stop,
    };
    return crash_loop_run(&etcd);
}
