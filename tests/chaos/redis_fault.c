/* The faults of one redis-server. */
#include "redis_fault.h"

/* A Sentinel cuts off all clients of a server that it has told a new role: ours too. */
static void connect_anew(redis_server *server)
{
    if (server->context != NULL)
        redisFree(server->context);
    server->context = NULL;
}

/* A moment's fault: how many clients or scripts it befell. */
static long long strike(redis_server *server, fault_kind kind)
{
    if (kind == SERVER_CLIENTS)
        return redis_server_integer(server, "CLIENT KILL TYPE normal SKIPME yes");
    if (kind == SERVER_SUBSCRIBERS)
        return redis_server_integer(server, "CLIENT KILL TYPE pubsub");
    long long scripts = redis_server_info(server, "number_of_cached_scripts");
    redis_server_do(server, "SCRIPT FLUSH");
    return scripts;
}

bool redis_fault_begin(redis_server *server, const planned_fault *fault)
{
    connect_anew(server);
    switch (fault->kind) {
    case SERVER_PAUSE:
        redis_server_pause(server);
        return true;
    case SERVER_KILL:
        redis_server_kill(server);
        return true;
    case SERVER_STOP:
        redis_server_stop(server);
        return true;
    case SERVER_MEMORY:
        redis_server_do(server, "CONFIG SET maxmemory 1");
        return true;
    case SERVER_NO_WRITES:
        redis_server_do(server, "CONFIG SET min-replicas-to-write 1");
        return true;
    default:
        return strike(server, fault->kind) > 0;
    }
}

void redis_fault_end(redis_server *server, const planned_fault *fault)
{
    connect_anew(server);
    switch (fault->kind) {
    case SERVER_PAUSE:
        redis_server_resume(server);
        return;
    case SERVER_KILL:
    case SERVER_STOP:
        redis_server_restart(server);
        return;
    case SERVER_LOSS:
        redis_server_kill(server);
        redis_server_restart(server);
        return;
    case SERVER_MEMORY:
        redis_server_do(server, "CONFIG SET maxmemory 0");
        return;
    case SERVER_NO_WRITES:
        redis_server_do(server, "CONFIG SET min-replicas-to-write 0");
        return;
    default:
        return;
    }
}

bool redis_fault_ask(redis_server *server, const char *command)
{
    connect_anew(server);
    redis_server_do(server, "PING");
    redisReply *reply = redisCommand(server->context, command);
    bool good = reply != NULL && reply->type != REDIS_REPLY_ERROR;

    if (reply != NULL)
        freeReplyObject(reply);
    return good;
}
