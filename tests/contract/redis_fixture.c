/* Contract fixtures of Redis servers: what a case can do to them. */
#include "redis_fixture.h"

#include <stdio.h>

#include <metafora/redis.h>

static redis_fixture *self(fixture *me)
{
    return (redis_fixture *)me;
}

static void to_all(fixture *me, void (*act)(redis_server *server))
{
    for (int i = 0; i < self(me)->count; i++)
        act(self(me)->servers[i]);
}

static redis_server *serving(fixture *me, const char *name_space)
{
    redis_fixture *redis = self(me);

    return redis->serving != NULL ? redis->serving(redis, name_space) : redis->servers[0];
}

static const char *url(fixture *me)
{
    return self(me)->url;
}

static void kill_server(fixture *me)
{
    to_all(me, redis_server_kill);
    self(me)->killed = true;
}

static void start_server(fixture *me)
{
    to_all(me, redis_server_restart);
    self(me)->killed = false;
}

static void pause_server(fixture *me, bool paused)
{
    to_all(me, paused ? redis_server_pause : redis_server_resume);
    self(me)->paused = paused;
}

void redis_fixture_heal(fixture *me)
{
    if (self(me)->paused)
        pause_server(me, false);
    if (self(me)->killed)
        start_server(me);
}

static void flush_scripts(redis_server *server)
{
    redis_server_do(server, "SCRIPT FLUSH");
}

static void forget_scripts(fixture *me)
{
    to_all(me, flush_scripts);
}

static void kill_subscribers(redis_server *server)
{
    redis_server_do(server, "CLIENT KILL TYPE pubsub");
}

static void cut_hints(fixture *me)
{
    to_all(me, kill_subscribers);
}

static void remove_owner(fixture *me, const char *name_space, const char *id)
{
    redis_server_do(serving(me, name_space), "DEL {%s}:owner:%s", name_space, id);
}

static void damage_task(fixture *me, const char *name_space, const char *id)
{
    redis_server_do(serving(me, name_space), "HSET {%s}:tasks %s {broken", name_space, id);
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
    redis_server_do(serving(me, name_space), "EVAL %s 1 {%s}:commands:%s %d", script, name_space,
                    node, ms);
}

static void flush_all(redis_server *server)
{
    redis_server_do(server, "FLUSHALL");
}

static void forget_everything(fixture *me)
{
    to_all(me, flush_all);
}

void redis_fixture_init(redis_fixture *me)
{
    fixture *f = &me->fixture;

    f->driver = &mf_redis_driver;
    f->lease_ms = 600;
    f->expiry_slack_ms = 20;
    f->abilities |= REDIS_FIXTURE_ABILITIES;
    f->url = url;
    if (f->heal == NULL)
        f->heal = redis_fixture_heal;
    f->kill_server = kill_server;
    f->start_server = start_server;
    f->pause_server = pause_server;
    f->forget_scripts = forget_scripts;
    f->cut_hints = cut_hints;
    f->remove_owner = remove_owner;
    f->damage_task = damage_task;
    f->age_commands = age_commands;
    f->forget_everything = forget_everything;
}
