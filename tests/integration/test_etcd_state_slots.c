/* States, messages, crash counts and delays on a real etcd. */
#include <metafora/etcd.h>

#include "etcd_server.h"
#include "state_slots.h"

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
    return state_slots_run(&etcd);
}
