/* The contract suite on a Redis Cluster of three masters, of which each case has one, whichever its
 * namespace belongs to. There are no replicas, so that servers which are killed come back;
 * failovers have tests of their own (test_redis_cluster.c). */
#include <stdio.h>

#include "redis_cluster.h"
#include "redis_fixture.h"

typedef struct cluster_fixture {
    redis_fixture redis; /* first */
    redis_cluster *cluster;
} cluster_fixture;

static bool start(fixture *me)
{
    const redis_cluster_options options = {
        .replicas = -1, .persistent = true, .config = REDIS_FIXTURE_CONFIG};
    cluster_fixture *f = (cluster_fixture *)me;
    redis_fixture *redis = &f->redis;

    f->cluster = redis_cluster_start(&options);
    for (int i = 0; i < f->cluster->count; i++)
        redis->servers[redis->count++] = f->cluster->nodes[i];
    snprintf(redis->url, sizeof redis->url,
             "redis+cluster://worker:secret@127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d",
             redis->servers[0]->port, redis->servers[1]->port, redis->servers[2]->port);
    snprintf(redis->unreachable_url, sizeof redis->unreachable_url, "redis+cluster://127.0.0.1:%d",
             free_port());
    me->unreachable_url = redis->unreachable_url;
    return true;
}

static void stop(fixture *me)
{
    redis_cluster_free(((cluster_fixture *)me)->cluster);
}

static redis_server *serving(redis_fixture *me, const char *name_space)
{
    char key[128];

    snprintf(key, sizeof key, "{%s}", name_space);
    return redis_cluster_master(((cluster_fixture *)me)->cluster, key);
}

int main(int argc, char **argv)
{
    static const char why[] = "the cluster's nodes name themselves, not a proxy before them";
    cluster_fixture f = {.redis = {.fixture = {.name = "redis+cluster",
                                               .lacks = {{NEEDS_LINK, why}},
                                               .start = start,
                                               .stop = stop},
                                   .serving = serving}};

    process_outrank_others();
    redis_fixture_init(&f.redis);
    return contract_run(&f.redis.fixture, argc > 1 ? argv[1] : NULL);
}
