/* The private server for metaforactl's tests: Redis. */
#include "ctl_fixture.h"
#include "redis_server.h"

ctl_server *ctl_server_start(const char *password)
{
    redis_server_options options = {.password = password};
    return (ctl_server *)redis_server_start(&options);
}

void ctl_server_free(ctl_server *server)
{
    redis_server_free((redis_server *)server);
}

void ctl_server_kill(ctl_server *server)
{
    redis_server_kill((redis_server *)server);
}

const char *ctl_server_url(const ctl_server *server)
{
    return ((const redis_server *)server)->url;
}

const char *ctl_server_user(void)
{
    return "";
}

void ctl_server_damage(ctl_server *server, const char *id)
{
    redis_server_do((redis_server *)server, "HSET {ns}:tasks %s {broken", id);
}

bool ctl_server_spoil(ctl_server *server)
{
    redis_server_do((redis_server *)server, "SET {ns}:tasks x");
    return true;
}
