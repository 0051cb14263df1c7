/* The contract suite on Redis: a private server that writes every change to disk, and a proxy
 * before it. */
#include <stdio.h>

#include "proxy.h"
#include "redis_fixture.h"

typedef struct single_fixture {
    redis_fixture redis; /* first */
    proxy *proxy;
    char link_url[64];
} single_fixture;

static single_fixture *self(fixture *me)
{
    return (single_fixture *)me;
}

static bool start(fixture *me)
{
    const redis_server_options options = {.persistent = true, .config = REDIS_FIXTURE_CONFIG};
    redis_fixture *redis = &self(me)->redis;

    redis->servers[redis->count++] = redis_server_start(&options);
    self(me)->proxy = proxy_new(redis->servers[0]->port, NULL);
    snprintf(redis->url, sizeof redis->url, "redis://worker:secret@127.0.0.1:%d",
             redis->servers[0]->port);
    snprintf(self(me)->link_url, sizeof self(me)->link_url, "redis://worker:secret@127.0.0.1:%d",
             proxy_port(self(me)->proxy));
    snprintf(redis->unreachable_url, sizeof redis->unreachable_url, "redis://127.0.0.1:%d",
             free_port());
    me->unreachable_url = redis->unreachable_url;
    return true;
}

static void stop(fixture *me)
{
    proxy_free(self(me)->proxy);
    redis_server_free(self(me)->redis.servers[0]);
}

static const char *link_url(fixture *me)
{
    return self(me)->link_url;
}

static void set_link(fixture *me, link_state state)
{
    proxy *p = self(me)->proxy;
    switch (state) {
    case LINK_PASS:
        proxy_resume(p);
        break;
    case LINK_CUT:
        proxy_refuse(p);
        proxy_cut(p);
        break;
    case LINK_SILENT:
        proxy_blackhole(p, PROXY_BOTH);
        break;
    case LINK_LOSE_REPLIES:
        proxy_blackhole(p, PROXY_REPLIES);
        break;
    }
}

static void slow_link(fixture *me, int round_trip_ms)
{
    proxy_delay(self(me)->proxy, PROXY_BOTH, round_trip_ms / 2);
}

static void heal(fixture *me)
{
    proxy_resume(self(me)->proxy);
    slow_link(me, 0);
    redis_fixture_heal(me);
}

int main(int argc, char **argv)
{
    single_fixture single = {.redis.fixture = {
                                 .name = "redis",
                                 .abilities = NEEDS_LINK,
                                 .start = start,
                                 .stop = stop,
                                 .link_url = link_url,
                                 .set_link = set_link,
                                 .slow_link = slow_link,
                                 .heal = heal,
                             }};

    process_outrank_others();
    redis_fixture_init(&single.redis);
    return contract_run(&single.redis.fixture, argc > 1 ? argv[1] : NULL);
}
