/* The private server for koalemosd's tests: etcd. */
#include "etcd_server.h"
#include "koalemos_fixture.h"

koalemos_broker *broker_start(bool persistent)
{
    (void)persistent; /* it always is */
    return (koalemos_broker *)etcd_server_start(NULL);
}

void broker_free(koalemos_broker *broker)
{
    etcd_server_free((etcd_server *)broker);
}

const char *broker_url(const koalemos_broker *broker)
{
    return ((const etcd_server *)broker)->url;
}

void broker_kill(koalemos_broker *broker)
{
    etcd_server_kill((etcd_server *)broker, 0);
}

void broker_restart(koalemos_broker *broker)
{
    etcd_server_restart((etcd_server *)broker, 0);
}

/* Its leases end up to half a second after their time, and a claim is an fsync. */
int broker_takeover_ms(void)
{
    return 2000;
}
