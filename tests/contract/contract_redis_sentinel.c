/* The contract suite on a Redis that Sentinels name. There is no replica, so that a server which is
 * killed comes back; failovers have tests of their own (test_redis_sentinels.c). */
#include <stdio.h>
#include <string.h>

#include "redis_fixture.h"
#include "redis_sentinels.h"

typedef struct sentinel_fixture {
    redis_fixture redis; /* first */
    redis_sentinels *set;
} sentinel_fixture;

static bool start(fixture *me)
{
    const redis_sentinels_options options = {
        .servers = 1, .persistent = true, .config = REDIS_FIXTURE_CONFIG};
    sentinel_fixture *f = (sentinel_fixture *)me;

    f->set = redis_sentinels_start(&options);
    f->redis.servers[f->redis.count++] = f->set->servers[0];
    snprintf(f->redis.url, sizeof f->redis.url, "redis+sentinel://worker:secret@%s",
             f->set->url + strlen("redis+sentinel://"));
    snprintf(f->redis.unreachable_url, sizeof f->redis.unreachable_url,
             "redis+sentinel://127.0.0.1:%d/" SENTINEL_MASTER, free_port());
    me->unreachable_url = f->redis.unreachable_url;
    return true;
}

static void stop(fixture *me)
{
    redis_sentinels_free(((sentinel_fixture *)me)->set);
}

int main(int argc, char **argv)
{
    static const char why[] = "Sentinels name the server itself, not a proxy before it";
    sentinel_fixture f = {.redis.fixture = {
                              .name = "redis+sentinel",
                              .lacks = {{NEEDS_LINK, why}},
                              .start = start,
                              .stop = stop,
                          }};

    process_outrank_others();
    redis_fixture_init(&f.redis);
    return contract_run(&f.redis.fixture, argc > 1 ? argv[1] : NULL);
}
