/* A master with its replicas, watched by Sentinels that fail over within about two seconds. */
#include "redis_sentinels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void start_servers(redis_sentinels *set, const redis_sentinels_options *options)
{
    char config[2048];
    int length =
        snprintf(config, sizeof config, "repl-diskless-sync-delay 0\nrepl-ping-replica-period 1\n");

    if (options->password != NULL)
        length += snprintf(config + length, sizeof config - (size_t)length, "masterauth %s\n",
                           options->password);
    length += snprintf(config + length, sizeof config - (size_t)length, "%s\n",
                       options->config != NULL ? options->config : "");
    for (int i = 0; i < set->server_count; i++) {
        if (i == 1)
            snprintf(config + length, sizeof config - (size_t)length, "replicaof 127.0.0.1 %d\n",
                     set->servers[0]->port);
        set->servers[i] = redis_server_start(&(redis_server_options){
            .config = config, .password = options->password, .persistent = options->persistent});
    }
}

static void start_sentinels(redis_sentinels *set, const redis_sentinels_options *options)
{
    char config[2048];
    int down_after = options->down_after_ms != 0 ? options->down_after_ms : 500;
    int length = snprintf(config, sizeof config,
                          "sentinel monitor " SENTINEL_MASTER " 127.0.0.1 %d %d\n"
                          "sentinel down-after-milliseconds " SENTINEL_MASTER " %d\n"
                          "sentinel failover-timeout " SENTINEL_MASTER " 3000\n%s\n",
                          set->servers[0]->port, set->sentinel_count / 2 + 1, down_after,
                          options->sentinel_config != NULL ? options->sentinel_config : "");

    if (options->password != NULL)
        length += snprintf(config + length, sizeof config - (size_t)length,
                           "sentinel auth-pass " SENTINEL_MASTER " %s\n", options->password);
    if (options->sentinel_password != NULL)
        snprintf(config + length, sizeof config - (size_t)length, "requirepass %s\n",
                 options->sentinel_password);
    for (int i = 0; i < set->sentinel_count; i++)
        set->sentinels[i] = redis_server_start(&(redis_server_options){
            .config = config, .password = options->sentinel_password, .sentinel = true});
}

/* The value of a field in an answer of names and values. */
static const char *field(const redisReply *reply, const char *name)
{
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (strcmp(reply->element[i]->str, name) == 0)
            return reply->element[i + 1]->str;
    return "";
}

static bool knows_all(redis_sentinels *set, redis_server *sentinel)
{
    redisReply *reply = redis_server_command(sentinel, "SENTINEL MASTER " SENTINEL_MASTER);
    bool all = atoi(field(reply, "num-slaves")) == set->server_count - 1 &&
               atoi(field(reply, "num-other-sentinels")) == set->sentinel_count - 1 &&
               strcmp(field(reply, "flags"), "master") == 0;

    freeReplyObject(reply);
    return all;
}

static void await_knowledge(redis_sentinels *set)
{
    int64_t start_ms = clock_ms();

    for (int i = 1; i < set->server_count; i++)
        while (!redis_server_says(set->servers[i], "master_link_status", "up"))
            poll_again(start_ms, "a replica in step");
    for (int i = 0; i < set->sentinel_count; i++)
        while (!knows_all(set, set->sentinels[i]))
            poll_again(start_ms, "a Sentinel that knows all");
}

redis_sentinels *redis_sentinels_start(const redis_sentinels_options *options)
{
    static const redis_sentinels_options defaults = {0};
    redis_sentinels *set = calloc(1, sizeof *set);

    assert_non_null(set);
    options = options != NULL ? options : &defaults;
    set->server_count = options->servers != 0 ? options->servers : 3;
    set->sentinel_count = options->sentinels != 0 ? options->sentinels : 3;
    start_servers(set, options);
    start_sentinels(set, options);
    await_knowledge(set);
    int length = snprintf(set->url, sizeof set->url, "redis+sentinel://");
    for (int i = 0; i < set->sentinel_count; i++)
        length += snprintf(set->url + length, sizeof set->url - (size_t)length, "%s127.0.0.1:%d",
                           i > 0 ? "," : "", set->sentinels[i]->port);
    snprintf(set->url + length, sizeof set->url - (size_t)length, "/" SENTINEL_MASTER);
    return set;
}

void redis_sentinels_free(redis_sentinels *set)
{
    if (set == NULL)
        return;
    for (int i = 0; i < set->sentinel_count; i++)
        redis_server_free(set->sentinels[i]);
    for (int i = 0; i < set->server_count; i++)
        redis_server_free(set->servers[i]);
    free(set);
}

static redis_server *named_by(redis_sentinels *set, redis_server *sentinel)
{
    redisReply *reply =
        redis_server_command(sentinel, "SENTINEL GET-MASTER-ADDR-BY-NAME " SENTINEL_MASTER);
    int port = atoi(reply->element[1]->str);

    freeReplyObject(reply);
    for (int i = 0; i < set->server_count; i++)
        if (set->servers[i]->port == port)
            return set->servers[i];
    fail_msg("port %d is no server's", port);
    return NULL;
}

redis_server *redis_sentinels_master(redis_sentinels *set)
{
    for (int i = 0; i < set->sentinel_count; i++)
        if (redis_server_is_running(set->sentinels[i]))
            return named_by(set, set->sentinels[i]);
    fail_msg("no Sentinel is running");
    return NULL;
}

/* The master that a majority names, or NULL. */
static redis_server *elected(redis_sentinels *set)
{
    for (int i = 0; i < set->server_count; i++) {
        int votes = 0;
        for (int j = 0; j < set->sentinel_count; j++)
            votes += redis_server_is_running(set->sentinels[j]) &&
                     named_by(set, set->sentinels[j]) == set->servers[i];
        if (votes > set->sentinel_count / 2)
            return set->servers[i];
    }
    return NULL;
}

redis_server *redis_sentinels_await_failover(redis_sentinels *set, const redis_server *old)
{
    int64_t start_ms = clock_ms();
    redis_server *master;

    while ((master = elected(set)) == NULL || master == old ||
           !redis_server_says(master, "role", "master"))
        poll_again(start_ms, "a failover");
    return master;
}

/* False: one is not over yet, or no replica is known to be fit. */
static bool begin_failover(redis_server *sentinel)
{
    freeReplyObject(redis_server_command(sentinel, "PING"));
    redisReply *reply = redisCommand(sentinel->context, "SENTINEL FAILOVER " SENTINEL_MASTER);

    if (reply == NULL)
        fail_msg("SENTINEL FAILOVER: %s", sentinel->context->errstr);
    bool begun = reply->type != REDIS_REPLY_ERROR;
    freeReplyObject(reply);
    return begun;
}

redis_server *redis_sentinels_failover(redis_sentinels *set)
{
    int64_t start_ms = clock_ms();
    redis_server *old;

    /* The one that is asked may not have heard yet of a failover that has just been. */
    while ((old = elected(set)) == NULL || named_by(set, set->sentinels[0]) != old ||
           !begin_failover(set->sentinels[0]))
        poll_again(start_ms, "a failover that may begin");
    return redis_sentinels_await_failover(set, old);
}
