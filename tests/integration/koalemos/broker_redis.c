/* The private server for koalemosd's tests: Redis. */
#include "koalemos_fixture.h"
#include "redis_server.h"

koalemos_broker *broker_start(bool persistent)
{
    redis_server_options options = {.persistent = persistent};
    return (koalemos_broker *)redis_server_start(&options);
}

void broker_free(koalemos_broker *broker)
{
    redis_server_free((redis_server *)broker);
}

const char *broker_url(const koalemos_broker *broker)
{
    return ((const redis_server *)broker)->url;
}

void broker_kill(koalemos_broker *broker)
{
    redis_server_kill((redis_server *)broker);
}

void broker_restart(koalemos_broker *broker)
{
    redis_server_restart((redis_server *)broker);
}

int broker_takeover_ms(void)
{
    return 1000;
}
