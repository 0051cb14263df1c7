/* Private redis-servers: on a free port of 127.0.0.1 and on a unix socket, in a directory of their
 * own. */
#include "redis_server.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START_TIMEOUT_MS 10000
#define COMMAND_TIMEOUT_S 10

static void path_of(const redis_server *server, const char *name, char *out, size_t size)
{
    assert_true(snprintf(out, size, "%s/%s", server->directory, name) < (int)size);
}

static void write_data_config(FILE *file, const redis_server *server,
                              const redis_server_options *options)
{
    fprintf(file, "save \"\"\nenable-debug-command yes\nmaxmemory-policy noeviction\n");
    fprintf(file, "cluster-port %d\n", server->bus_port);
    if (options->persistent)
        fprintf(file, "appendonly yes\nappendfsync always\n");
    if (options->password != NULL)
        fprintf(file, "requirepass %s\n", options->password);
    if (options->certificates != NULL)
        fprintf(file,
                "tls-port %d\ntls-cert-file %s/server.crt\ntls-key-file %s/server.key\n"
                "tls-ca-cert-file %s/ca.crt\ntls-auth-clients %s\n",
                server->tls_port, options->certificates, options->certificates,
                options->certificates, options->client_certificate ? "yes" : "no");
}

static void write_config(const redis_server *server, const redis_server_options *options)
{
    char path[256];

    path_of(server, "redis.conf", path, sizeof path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "bind 127.0.0.1\nport %d\nunixsocket %s\ndir %s\n", server->port, server->socket,
            server->directory);
    if (!options->sentinel)
        write_data_config(file, server, options);
    fprintf(file, "%s\n", options->config != NULL ? options->config : "");
    assert_int_equal(fclose(file), 0);
}

/* False: it ended before it was ready. */
static bool launch(redis_server *server)
{
    char config[256], output[256];
    const char *program = getenv("METAFORA_REDIS_SERVER");
    const char *const argv[] = {program != NULL ? program : "redis-server", config,
                                server->sentinel ? "--sentinel" : NULL, NULL};
    const char *ready = server->sentinel ? "Sentinel ID is" : "eady to accept connections";

    path_of(server, "redis.conf", config, sizeof config);
    path_of(server, "output", output, sizeof output);
    strcpy(server->process.output, output);
    long before = process_output_size(&server->process);
    process_start(&server->process, argv, output);
    if (process_await_output(&server->process, ready, before, START_TIMEOUT_MS))
        return true;
    if (!process_await_end(&server->process, 1000))
        fail_msg("redis-server is not ready after %d ms", START_TIMEOUT_MS);
    return false;
}

static void choose_ports(redis_server *server)
{
    server->port = free_port();
    do
        server->tls_port = free_port();
    while (server->tls_port == server->port);
    do
        server->bus_port = free_port();
    while (server->bus_port == server->port || server->bus_port == server->tls_port);
    snprintf(server->url, sizeof server->url, "redis://127.0.0.1:%d", server->port);
    snprintf(server->tls_url, sizeof server->tls_url, "rediss://localhost:%d", server->tls_port);
}

redis_server *redis_server_start(const redis_server_options *options)
{
    static const redis_server_options defaults = {0};
    redis_server *server = calloc(1, sizeof *server);

    assert_non_null(server);
    options = options != NULL ? options : &defaults;
    server->directory = directory_new();
    server->sentinel = options->sentinel;
    path_of(server, "s", server->socket, sizeof server->socket);
    if (options->password != NULL)
        server->password = strdup(options->password);
    /* Another process may take a port between our look and the server's. */
    for (int i = 0; i < 5; i++) {
        choose_ports(server);
        write_config(server, options);
        if (launch(server))
            return server;
        if (!process_await_output(&server->process, "Address already in use", 0, 0))
            break;
    }
    fail_msg("redis-server does not start, see %s", server->process.output);
    return NULL;
}

static void forget_context(redis_server *server)
{
    if (server->context != NULL)
        redisFree(server->context);
    server->context = NULL;
}

void redis_server_free(redis_server *server)
{
    if (server == NULL)
        return;
    forget_context(server);
    process_kill(&server->process);
    directory_remove(server->directory);
    free(server->password);
    free(server);
}

void redis_server_stop(redis_server *server)
{
    forget_context(server);
    server->paused = false;
    process_terminate(&server->process);
}

void redis_server_kill(redis_server *server)
{
    forget_context(server);
    server->paused = false;
    process_kill(&server->process);
}

void redis_server_restart(redis_server *server)
{
    if (!launch(server))
        fail_msg("redis-server does not start again, see %s", server->process.output);
}

void redis_server_pause(redis_server *server)
{
    process_signal(&server->process, SIGSTOP);
    server->paused = true;
}

void redis_server_resume(redis_server *server)
{
    process_signal(&server->process, SIGCONT);
    server->paused = false;
}

bool redis_server_is_running(const redis_server *server)
{
    return server->process.pid != 0 && !server->paused;
}

static redisReply *run(redis_server *server, const char *format, va_list arguments)
{
    redisReply *reply = redisvCommand(server->context, format, arguments);

    if (reply == NULL)
        fail_msg("%s: %s", format, server->context->errstr);
    else if (reply->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", format, reply->str);
    return reply;
}

static void connect_context(redis_server *server)
{
    struct timeval limit = {.tv_sec = COMMAND_TIMEOUT_S};

    if (server->context != NULL)
        return;
    server->context = redisConnectUnixWithTimeout(server->socket, limit);
    assert_true(server->context != NULL && server->context->err == 0);
    redisSetTimeout(server->context, limit);
    if (server->password != NULL)
        redis_server_do(server, "AUTH %s", server->password);
}

redisReply *redis_server_command(redis_server *server, const char *format, ...)
{
    va_list arguments;

    connect_context(server);
    va_start(arguments, format);
    redisReply *reply = run(server, format, arguments);
    va_end(arguments);
    return reply;
}

long long redis_server_integer(redis_server *server, const char *format, ...)
{
    va_list arguments;

    connect_context(server);
    va_start(arguments, format);
    redisReply *reply = run(server, format, arguments);
    va_end(arguments);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    long long value = reply->integer;
    freeReplyObject(reply);
    return value;
}

void redis_server_do(redis_server *server, const char *format, ...)
{
    va_list arguments;

    connect_context(server);
    va_start(arguments, format);
    redisReply *reply = run(server, format, arguments);
    va_end(arguments);
    freeReplyObject(reply);
}

bool redis_server_says(redis_server *server, const char *field, const char *value)
{
    const struct timeval limit = {.tv_sec = 1};
    char wanted[128];
    bool found = false;

    redisContext *context = redisConnectUnixWithTimeout(server->socket, limit);
    if (context != NULL && context->err == 0) {
        redisSetTimeout(context, limit);
        if (server->password != NULL)
            freeReplyObject(redisCommand(context, "AUTH %s", server->password));
        redisReply *reply = redisCommand(context, "INFO everything");
        snprintf(wanted, sizeof wanted, "\n%s:%s\r", field, value);
        found = reply != NULL && reply->type == REDIS_REPLY_STRING && strstr(reply->str, wanted);
        freeReplyObject(reply);
    }
    redisFree(context);
    return found;
}

long long redis_server_info(redis_server *server, const char *field)
{
    char wanted[64];
    redisReply *reply = redis_server_command(server, "INFO everything");

    snprintf(wanted, sizeof wanted, "\n%s:", field);
    const char *found = strstr(reply->str, wanted);
    if (found == NULL)
        fail_msg("INFO has no %s", field);
    long long value = atoll(found + strlen(wanted));
    freeReplyObject(reply);
    return value;
}
