/* A Redis Cluster of private servers, with a short node timeout. */
#include "redis_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SLOTS = 16384, MIGRATE_KEYS = 100 };

/* Starting. */

static void start_nodes(redis_cluster *cluster, const redis_cluster_options *options)
{
    char config[2048];

    snprintf(config, sizeof config,
             "cluster-enabled yes\ncluster-node-timeout %d\ncluster-allow-replica-migration no\n"
             "repl-diskless-sync-delay 0\nrepl-ping-replica-period 1\n%s\n",
             options->node_timeout_ms != 0 ? options->node_timeout_ms : 1000,
             options->config != NULL ? options->config : "");
    for (int i = 0; i < cluster->count; i++)
        cluster->nodes[i] = redis_server_start(
            &(redis_server_options){.config = config, .persistent = options->persistent});
}

static void meet(redis_cluster *cluster, int masters)
{
    for (int i = 0; i < cluster->count; i++)
        redis_server_do(cluster->nodes[i], "CLUSTER SET-CONFIG-EPOCH %d", i + 1);
    for (int i = 0; i < masters; i++)
        redis_server_do(cluster->nodes[i], "CLUSTER ADDSLOTSRANGE %d %d", SLOTS * i / masters,
                        SLOTS * (i + 1) / masters - 1);
    for (int i = 1; i < cluster->count; i++)
        redis_server_do(cluster->nodes[0], "CLUSTER MEET 127.0.0.1 %d %d", cluster->nodes[i]->port,
                        cluster->nodes[i]->bus_port);
}

static bool cluster_info_is(redis_server *node, const char *field, const char *value)
{
    char wanted[64];
    redisReply *reply = redis_server_command(node, "CLUSTER INFO");

    snprintf(wanted, sizeof wanted, "%s:%s\r", field, value);
    bool is = strstr(reply->str, wanted) != NULL;
    freeReplyObject(reply);
    return is;
}

static void id_of(redis_server *node, char *out, size_t size)
{
    redisReply *reply = redis_server_command(node, "CLUSTER MYID");

    snprintf(out, size, "%s", reply->str);
    freeReplyObject(reply);
}

/* A node that has not heard of another yet answers "Unknown node". */
static bool knows(redis_server *node, redis_server *other)
{
    char id[64];
    redisReply *reply = redis_server_command(node, "CLUSTER NODES");

    id_of(other, id, sizeof id);
    bool known = strstr(reply->str, id) != NULL;
    freeReplyObject(reply);
    return known;
}

static void attach_replicas(redis_cluster *cluster, int masters)
{
    int64_t start_ms = clock_ms();
    char id[64];

    for (int i = masters; i < cluster->count; i++) {
        redis_server *master = cluster->nodes[(i - masters) % masters];
        while (!knows(cluster->nodes[i], master))
            poll_again(start_ms, "a node that is known");
        id_of(master, id, sizeof id);
        redis_server_do(cluster->nodes[i], "CLUSTER REPLICATE %s", id);
    }
}

/* How many nodes the answer to CLUSTER SLOTS names for the slots of the key; 0: none. */
static size_t nodes_of(redis_server *node, long long slot)
{
    redisReply *reply = redis_server_command(node, "CLUSTER SLOTS");
    size_t count = 0;

    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *range = reply->element[i];
        if (range->element[0]->integer <= slot && slot <= range->element[1]->integer)
            count = range->elements - 2;
    }
    freeReplyObject(reply);
    return count;
}

static void await_agreement(redis_cluster *cluster, int masters)
{
    int64_t start_ms = clock_ms();
    char known[16];
    size_t each = (size_t)(cluster->count / masters);

    snprintf(known, sizeof known, "%d", cluster->count);
    for (int i = 0; i < cluster->count; i++) {
        redis_server *node = cluster->nodes[i];
        while (!cluster_info_is(node, "cluster_known_nodes", known) ||
               !cluster_info_is(node, "cluster_state", "ok") || nodes_of(node, 0) != each ||
               nodes_of(node, SLOTS / 2) != each || nodes_of(node, SLOTS - 1) != each)
            poll_again(start_ms, "a node that knows the cluster");
        while (i >= masters && !redis_server_says(node, "master_link_status", "up"))
            poll_again(start_ms, "a replica in step");
    }
}

redis_cluster *redis_cluster_start(const redis_cluster_options *options)
{
    static const redis_cluster_options defaults = {0};
    redis_cluster *cluster = calloc(1, sizeof *cluster);

    assert_non_null(cluster);
    options = options != NULL ? options : &defaults;
    int masters = options->masters != 0 ? options->masters : 3;
    int replicas = options->replicas == 0 ? 1 : options->replicas > 0 ? options->replicas : 0;
    cluster->count = masters * (1 + replicas);
    assert_true(cluster->count <= CLUSTER_NODES_MOST);
    start_nodes(cluster, options);
    meet(cluster, masters);
    attach_replicas(cluster, masters);
    await_agreement(cluster, masters);
    int length = snprintf(cluster->url, sizeof cluster->url, "redis+cluster://");
    for (int i = 0; i < cluster->count; i++)
        length += snprintf(cluster->url + length, sizeof cluster->url - (size_t)length,
                           "%s127.0.0.1:%d", i > 0 ? "," : "", cluster->nodes[i]->port);
    return cluster;
}

void redis_cluster_free(redis_cluster *cluster)
{
    if (cluster == NULL)
        return;
    for (int i = 0; i < cluster->count; i++)
        redis_server_free(cluster->nodes[i]);
    free(cluster);
}

/* Who serves what. */

static redis_server *running(redis_cluster *cluster)
{
    for (int i = 0; i < cluster->count; i++)
        if (redis_server_is_running(cluster->nodes[i]))
            return cluster->nodes[i];
    fail_msg("no node is running");
    return NULL;
}

int redis_cluster_slot(redis_cluster *cluster, const char *key)
{
    return (int)redis_server_integer(running(cluster), "CLUSTER KEYSLOT %s", key);
}

static redis_server *by_port(redis_cluster *cluster, long long port)
{
    for (int i = 0; i < cluster->count; i++)
        if (cluster->nodes[i]->port == port)
            return cluster->nodes[i];
    return NULL;
}

/* The node at `place` (0: the master) of those that `from` names for the slot, or NULL. */
static redis_server *named_by(redis_cluster *cluster, redis_server *from, long long slot,
                              size_t place)
{
    redisReply *reply = redis_server_command(from, "CLUSTER SLOTS");
    redis_server *node = NULL;

    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *range = reply->element[i];
        if (range->element[0]->integer <= slot && slot <= range->element[1]->integer &&
            place + 2 < range->elements)
            node = by_port(cluster, range->element[place + 2]->element[1]->integer);
    }
    freeReplyObject(reply);
    return node;
}

redis_server *redis_cluster_master(redis_cluster *cluster, const char *key)
{
    return named_by(cluster, running(cluster), redis_cluster_slot(cluster, key), 0);
}

redis_server *redis_cluster_replica(redis_cluster *cluster, const char *key)
{
    int slot = redis_cluster_slot(cluster, key);

    for (size_t place = 1; place < CLUSTER_NODES_MOST; place++) {
        redis_server *node = named_by(cluster, running(cluster), slot, place);
        if (node != NULL && redis_server_is_running(node))
            return node;
    }
    return NULL;
}

redis_server *redis_cluster_other(redis_cluster *cluster, const char *key)
{
    redis_server *mine = redis_cluster_master(cluster, key);

    for (int i = 0; i < SLOTS; i += SLOTS / 16) {
        redis_server *node = named_by(cluster, running(cluster), i, 0);
        if (node != NULL && node != mine && redis_server_is_running(node))
            return node;
    }
    fail_msg("there is no other master");
    return NULL;
}

redis_server *redis_cluster_await_failover(redis_cluster *cluster, const char *key,
                                           const redis_server *old)
{
    int64_t start_ms = clock_ms();
    int slot = redis_cluster_slot(cluster, key);
    redis_server *master;
    bool agreed;

    do {
        poll_again(start_ms, "a failover");
        master = redis_cluster_master(cluster, key);
        agreed = master != NULL && master != old && redis_server_is_running(master);
        for (int i = 0; i < cluster->count && agreed; i++)
            if (redis_server_is_running(cluster->nodes[i]))
                agreed = named_by(cluster, cluster->nodes[i], slot, 0) == master &&
                         cluster_info_is(cluster->nodes[i], "cluster_state", "ok");
    } while (!agreed);
    return master;
}

/* False: not within two seconds. A master may pass over what a replica asks, and the replica then
 * forgets that it was told to. */
static bool try_failover(redis_cluster *cluster, const char *key, const redis_server *old)
{
    redis_server *replica = redis_cluster_replica(cluster, key);
    int64_t start_ms = clock_ms();

    if (replica == NULL || !redis_server_says(replica, "master_link_status", "up"))
        return false;
    redis_server_do(replica, "CLUSTER FAILOVER");
    while (redis_cluster_master(cluster, key) == old && clock_ms() - start_ms < 2000)
        poll_again(start_ms, "a failover in good order");
    return redis_cluster_master(cluster, key) != old;
}

redis_server *redis_cluster_failover(redis_cluster *cluster, const char *key)
{
    redis_server *old = redis_cluster_master(cluster, key);
    int64_t start_ms = clock_ms();

    while (!try_failover(cluster, key, old))
        poll_again(start_ms, "a failover in good order");
    return redis_cluster_await_failover(cluster, key, old);
}

/* Moving a slot. */

void redis_cluster_begin_move(redis_cluster *cluster, const char *key, redis_server *from,
                              redis_server *to)
{
    int slot = redis_cluster_slot(cluster, key);
    char id[64];

    id_of(from, id, sizeof id);
    redis_server_do(to, "CLUSTER SETSLOT %d IMPORTING %s", slot, id);
    id_of(to, id, sizeof id);
    redis_server_do(from, "CLUSTER SETSLOT %d MIGRATING %s", slot, id);
}

/* Returns how many there were to move. */
static size_t move_some(redis_server *from, redis_server *to, int slot, int count)
{
    redisReply *keys = redis_server_command(from, "CLUSTER GETKEYSINSLOT %d %d", slot, count);
    const char *argv[7 + MIGRATE_KEYS];
    size_t lengths[7 + MIGRATE_KEYS];
    char port[16];
    size_t moved = keys->elements;

    snprintf(port, sizeof port, "%d", to->port);
    const char *const head[] = {"MIGRATE", "127.0.0.1", port, "", "0", "5000", "KEYS"};
    for (size_t i = 0; i < 7; i++) {
        argv[i] = head[i];
        lengths[i] = strlen(head[i]);
    }
    for (size_t i = 0; i < moved; i++) {
        argv[7 + i] = keys->element[i]->str;
        lengths[7 + i] = keys->element[i]->len;
    }
    if (moved > 0) {
        redisReply *reply = redisCommandArgv(from->context, (int)(7 + moved), argv, lengths);
        if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
            fail_msg("MIGRATE: %s", reply != NULL ? reply->str : from->context->errstr);
        freeReplyObject(reply);
    }
    freeReplyObject(keys);
    return moved;
}

void redis_cluster_move_keys(redis_cluster *cluster, const char *key, redis_server *from,
                             redis_server *to, int count)
{
    int slot = redis_cluster_slot(cluster, key);
    size_t moved = 1;

    for (int left = count; moved > 0 && left != 0; left = left > 0 ? left - (int)moved : left)
        moved = move_some(from, to, slot, left > 0 && left < MIGRATE_KEYS ? left : MIGRATE_KEYS);
}

void redis_cluster_end_move(redis_cluster *cluster, const char *key, redis_server *from,
                            redis_server *to)
{
    int slot = redis_cluster_slot(cluster, key);
    char id[64];

    id_of(to, id, sizeof id);
    redis_server_do(to, "CLUSTER SETSLOT %d NODE %s", slot, id);
    redis_server_do(from, "CLUSTER SETSLOT %d NODE %s", slot, id);
    redis_cluster_await_failover(cluster, key, from);
}

void redis_cluster_move_slot(redis_cluster *cluster, const char *key, redis_server *from,
                             redis_server *to)
{
    redis_cluster_begin_move(cluster, key, from, to);
    redis_cluster_move_keys(cluster, key, from, to, -1);
    redis_cluster_end_move(cluster, key, from, to);
}
