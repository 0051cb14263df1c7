/* The contract suite on Redis: a private server that writes every change to disk, and a proxy
 * before it. The driver's user may do no more than docs/operations.md says that it must. */
#include <stdio.h>
#include <stdlib.h>

#include <metafora/redis.h>

#include "fixture.h"
#include "proxy.h"
#include "redis_server.h"

typedef struct redis_fixture {
    fixture fixture; /* first */
    redis_server *server;
    proxy *proxy;
    bool killed, paused;
    char url[64], link_url[64], unreachable_url[64];
} redis_fixture;

static redis_fixture *self(fixture *me)
{
    return (redis_fixture *)me;
}

static bool start(fixture *me)
{
    /* Written when it is answered, and left to the system to bring to disk: that outlives the kill
     * of the server, and does not make the tests wait for this machine's disk. */
    static const char config[] = "appendfsync no\n"
                                 "user worker on >secret ~{*}:* &{*}:* +@read +@write +@scripting "
                                 "+@pubsub +@connection -@dangerous +info +role +time +wait\n";
    const redis_server_options options = {.persistent = true, .config = config};
    redis_fixture *redis = self(me);

    redis->server = redis_server_start(&options);
    redis->proxy = proxy_new(redis->server->port, NULL);
    snprintf(redis->url, sizeof redis->url, "redis://worker:secret@127.0.0.1:%d",
             redis->server->port);
    snprintf(redis->link_url, sizeof redis->link_url, "redis://worker:secret@127.0.0.1:%d",
             proxy_port(redis->proxy));
    snprintf(redis->unreachable_url, sizeof redis->unreachable_url, "redis://127.0.0.1:%d",
             free_port());
    me->unreachable_url = redis->unreachable_url;
    return true;
}

static void stop(fixture *me)
{
    proxy_free(self(me)->proxy);
    redis_server_free(self(me)->server);
}

static const char *url(fixture *me)
{
    return self(me)->url;
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

static void kill_server(fixture *me)
{
    redis_server_kill(self(me)->server);
    self(me)->killed = true;
}

static void start_server(fixture *me)
{
    redis_server_restart(self(me)->server);
    self(me)->killed = false;
}

static void pause_server(fixture *me, bool paused)
{
    if (paused)
        redis_server_pause(self(me)->server);
    else
        redis_server_resume(self(me)->server);
    self(me)->paused = paused;
}

static void heal(fixture *me)
{
    proxy_resume(self(me)->proxy);
    slow_link(me, 0);
    if (self(me)->paused)
        pause_server(me, false);
    if (self(me)->killed)
        start_server(me);
}

static void forget_scripts(fixture *me)
{
    redis_server_do(self(me)->server, "SCRIPT FLUSH");
}

static void cut_hints(fixture *me)
{
    redis_server_do(self(me)->server, "CLIENT KILL TYPE pubsub");
}

static void remove_owner(fixture *me, const char *name_space, const char *id)
{
    redis_server_do(self(me)->server, "DEL {%s}:owner:%s", name_space, id);
}

static void damage_task(fixture *me, const char *name_space, const char *id)
{
    redis_server_do(self(me)->server, "HSET {%s}:tasks %s {broken", name_space, id);
}

/* The sequence number in front of a command is the time at which it was sent. */
static void age_commands(fixture *me, const char *name_space, const char *node, int ms)
{
    static const char script[] = "for _, old in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do "
                                 "local sequence, text = old:match('^(%d+) (.*)$') "
                                 "sequence = string.format('%.0f', sequence - ARGV[1] * 1000) "
                                 "redis.call('ZREM', KEYS[1], old) "
                                 "redis.call('ZADD', KEYS[1], sequence, sequence .. ' ' .. text) "
                                 "end return 1";
    redis_server_do(self(me)->server, "EVAL %s 1 {%s}:commands:%s %d", script, name_space, node,
                    ms);
}

static void forget_everything(fixture *me)
{
    redis_server_do(self(me)->server, "FLUSHALL");
}

int main(int argc, char **argv)
{
    redis_fixture redis = {.fixture = {
                               .name = "redis",
                               .driver = &mf_redis_driver,
                               .lease_ms = 600,
                               .expiry_slack_ms = 20,
                               .abilities = NEEDS_LINK | NEEDS_SERVER | NEEDS_PERSISTENCE |
                                            NEEDS_SCRIPTS | NEEDS_HINT_CUT | NEEDS_TAMPER |
                                            NEEDS_STATES | NEEDS_HELD,
                               .start = start,
                               .stop = stop,
                               .url = url,
                               .link_url = link_url,
                               .heal = heal,
                               .set_link = set_link,
                               .slow_link = slow_link,
                               .kill_server = kill_server,
                               .start_server = start_server,
                               .pause_server = pause_server,
                               .forget_scripts = forget_scripts,
                               .cut_hints = cut_hints,
                               .remove_owner = remove_owner,
                               .damage_task = damage_task,
                               .age_commands = age_commands,
                               .forget_everything = forget_everything,
                           }};
    process_outrank_others();
    return contract_run(&redis.fixture, argc > 1 ? argv[1] : NULL);
}
