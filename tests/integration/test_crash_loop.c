/* A task that takes its whole process down, on a real Redis. */
#include <metafora/redis.h>

#include "crash_loop.h"
#include "redis_server.h"

static redis_server *server;

static const char *start(void)
{
    server = redis_server_start(NULL);
    return server->url;
}

static void stop(void)
{
    redis_server_free(server);
}

int main(void)
{
    static const slots_broker redis = {
        .name = "redis",
        .driver = &mf_redis_driver,
        .start = start,
        .stop = stop,
    };
    return crash_loop_run(&redis);
}
