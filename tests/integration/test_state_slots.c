/* States, messages, crash counts and delays on the embedded broker and on a real Redis. */
#include <metafora/redis.h>

#include "redis_server.h"
#include "state_slots.h"

static redis_server *server;

static const char *start_redis(void)
{
    server = redis_server_start(NULL);
    return server->url;
}

static void stop_redis(void)
{
    redis_server_free(server);
}

static const char *start_embedded(void)
{
    return "embedded://slots";
}

static void stop_embedded(void)
{
}

int main(void)
{
    static const slots_broker embedded = {
        .name = "embedded",
        .driver = &mf_embedded_driver,
        .start = start_embedded,
        .stop = stop_embedded,
    };
    static const slots_broker redis = {
        .name = "redis",
        .driver = &mf_redis_driver,
        .start = start_redis,
        .stop = stop_redis,
    };
    return state_slots_run(&embedded) + state_slots_run(&redis);
}
