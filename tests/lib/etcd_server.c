/* Private etcd servers: one member, or a cluster of three, on free ports of 127.0.0.1. */
#include "etcd_server.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <metafora/export.h>

enum { START_TIMEOUT_MS = 20000, CTL_TIMEOUT_MS = 20000, ARGUMENTS_MOST = 48 };

/* Arguments with the texts that they are made of. */
typedef struct arguments {
    const char *list[ARGUMENTS_MOST + 1];
    size_t count;
    char texts[24][256];
    size_t text_count;
} arguments;

static void add(arguments *a, const char *text)
{
    assert_true(a->count < ARGUMENTS_MOST);
    a->list[a->count++] = text;
}

static void add_text(arguments *a, const char *format, ...) MF_PRINTF(2, 3);

static void add_text(arguments *a, const char *format, ...)
{
    va_list list;

    assert_true(a->text_count < sizeof a->texts / sizeof *a->texts);
    char *text = a->texts[a->text_count++];
    va_start(list, format);
    assert_true(vsnprintf(text, sizeof *a->texts, format, list) < (int)sizeof *a->texts);
    va_end(list);
    add(a, text);
}

static const char *scheme(const etcd_server *server)
{
    return server->options.certificates != NULL ? "https" : "http";
}

static void add_certificates(arguments *a, const etcd_server *server)
{
    const char *directory = server->options.certificates;

    if (directory == NULL)
        return;
    add_text(a, "--cert-file=%s/server.crt", directory);
    add_text(a, "--key-file=%s/server.key", directory);
    if (!server->options.client_certificate)
        return;
    add_text(a, "--trusted-ca-file=%s/ca.crt", directory);
    add(a, "--client-cert-auth");
}

static void add_cluster(arguments *a, const etcd_server *server)
{
    char text[200] = "--initial-cluster=";

    for (int i = 0; i < server->count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%sm%d=http://127.0.0.1:%d",
                 i > 0 ? "," : "", i, server->members[i].peer_port);
    add_text(a, "%s", text);
}

static void launch(etcd_server *server, int index)
{
    etcd_member *member = &server->members[index];
    arguments a = {.count = 0};
    char output[256];

    add(&a, "etcd");
    add_text(&a, "--name=m%d", index);
    add_text(&a, "--data-dir=%s/m%d", server->directory, index);
    add_text(&a, "--listen-client-urls=%s://127.0.0.1:%d", scheme(server), member->port);
    add_text(&a, "--advertise-client-urls=%s://127.0.0.1:%d", scheme(server), member->port);
    add_text(&a, "--listen-peer-urls=http://127.0.0.1:%d", member->peer_port);
    add_text(&a, "--initial-advertise-peer-urls=http://127.0.0.1:%d", member->peer_port);
    add_cluster(&a, server);
    add_certificates(&a, server);
    for (const char *const *more = server->options.argv; more != NULL && *more != NULL; more++)
        add(&a, *more);
    assert_true(snprintf(output, sizeof output, "%s/m%d.log", server->directory, index) <
                (int)sizeof output);
    process_start(&member->process, a.list, output);
}

/* False: it ended before it was ready. */
static bool await_ready(etcd_member *member, long offset)
{
    if (process_await_output(&member->process, "client requests on", offset, START_TIMEOUT_MS) &&
        process_await_output(&member->process, "ready to serve client requests", offset,
                             START_TIMEOUT_MS))
        return true;
    if (!process_await_end(&member->process, 1000))
        fail_msg("etcd is not ready after %d ms, see %s", START_TIMEOUT_MS, member->process.output);
    return false;
}

static void choose_ports(etcd_server *server)
{
    const char *host = server->options.certificates != NULL ? "localhost" : "127.0.0.1";
    int used[2 * ETCD_MEMBERS_MOST], count = 0;

    snprintf(server->url, sizeof server->url, "%s://",
             server->options.certificates != NULL ? "etcds" : "etcd");
    while (count < 2 * server->count) {
        int port = free_port();
        for (int i = 0; i < count; i++)
            port = used[i] == port ? 0 : port;
        if (port != 0)
            used[count++] = port;
    }
    for (int i = 0; i < server->count; i++) {
        server->members[i] = (etcd_member){.port = used[2 * i], .peer_port = used[2 * i + 1]};
        snprintf(server->url + strlen(server->url), sizeof server->url - strlen(server->url),
                 "%s%s:%d", i > 0 ? "," : "", host, used[2 * i]);
    }
}

static bool start_all(etcd_server *server)
{
    bool good = true;

    for (int i = 0; i < server->count; i++)
        launch(server, i);
    for (int i = 0; i < server->count && good; i++)
        good = await_ready(&server->members[i], 0);
    for (int i = 0; i < server->count && !good; i++)
        process_kill(&server->members[i].process);
    return good;
}

etcd_server *etcd_server_start(const etcd_server_options *options)
{
    etcd_server *server = calloc(1, sizeof *server);

    assert_non_null(server);
    if (options != NULL)
        server->options = *options;
    server->count = server->options.members > 0 ? server->options.members : 1;
    assert_true(server->count <= ETCD_MEMBERS_MOST);
    /* Another process may take a port between our look and the server's. */
    for (int i = 0; i < 3; i++) {
        server->directory = directory_new();
        choose_ports(server);
        if (start_all(server))
            return server;
        if (i < 2)
            directory_remove(server->directory);
    }
    fail_msg("etcd does not start, see %s", server->directory);
    return NULL;
}

void etcd_server_free(etcd_server *server)
{
    if (server == NULL)
        return;
    for (int i = 0; i < server->count; i++)
        process_kill(&server->members[i].process);
    directory_remove(server->directory);
    free(server);
}

void etcd_server_kill(etcd_server *server, int member)
{
    process_kill(&server->members[member].process);
}

void etcd_server_restart(etcd_server *server, int member)
{
    long before = process_output_size(&server->members[member].process);

    launch(server, member);
    if (!await_ready(&server->members[member], before))
        fail_msg("etcd does not start again, see %s", server->members[member].process.output);
}

void etcd_server_pause(etcd_server *server, int member)
{
    process_signal(&server->members[member].process, SIGSTOP);
}

void etcd_server_resume(etcd_server *server, int member)
{
    process_signal(&server->members[member].process, SIGCONT);
}

/* etcdctl. */

static void add_access(arguments *a, etcd_server *server, int only)
{
    char endpoints[160] = "--endpoints=";

    for (int i = 0; i < server->count; i++)
        if (server->members[i].process.pid != 0 && (only < 0 || only == i))
            snprintf(endpoints + strlen(endpoints), sizeof endpoints - strlen(endpoints),
                     "%s%s://localhost:%d", endpoints[strlen(endpoints) - 1] == '=' ? "" : ",",
                     scheme(server), server->members[i].port);
    add_text(a, "%s", endpoints);
    if (server->options.ctl_credentials != NULL)
        add_text(a, "--user=%s", server->options.ctl_credentials);
    if (server->options.certificates == NULL)
        return;
    add_text(a, "--cacert=%s/ca.crt", server->options.certificates);
    add_text(a, "--cert=%s/client.crt", server->options.certificates);
    add_text(a, "--key=%s/client.key", server->options.certificates);
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t size = 0;
    char *text = NULL;

    assert_non_null(file);
    if (getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = strdup("");
    }
    fclose(file);
    return text;
}

/* Returns what it printed; NULL: it failed. */
static char *run_ctl(etcd_server *server, arguments *a, char *output, size_t size)
{
    process run;

    setenv("ETCDCTL_API", "3", 1);
    add(a, NULL);
    assert_true(snprintf(output, size, "%s/ctl%u", server->directory, server->runs++) < (int)size);
    process_start(&run, a->list, output);
    if (!process_await_end(&run, CTL_TIMEOUT_MS)) {
        process_kill(&run);
        return NULL;
    }
    return run.status == 0 ? read_file(output) : NULL;
}

static char *run_with(etcd_server *server, const char *argument, va_list list, char *output,
                      size_t size)
{
    arguments a = {.count = 0};

    add(&a, "etcdctl");
    add_access(&a, server, -1);
    for (const char *more = argument; more != NULL; more = va_arg(list, const char *))
        add(&a, more);
    return run_ctl(server, &a, output, size);
}

char *etcd_ctl(etcd_server *server, const char *argument, ...)
{
    char output[256];
    va_list list;

    va_start(list, argument);
    char *text = run_with(server, argument, list, output, sizeof output);
    va_end(list);
    if (text == NULL)
        fail_msg("etcdctl %s fails: %s", argument, read_file(output));
    return text;
}

char *etcd_ctl_may_fail(etcd_server *server, const char *argument, ...)
{
    char output[256];
    va_list list;

    va_start(list, argument);
    char *text = run_with(server, argument, list, output, sizeof output);
    va_end(list);
    return text;
}

void etcd_server_save(etcd_server *server)
{
    char file[256];

    snprintf(file, sizeof file, "%s/backup", server->directory);
    etcd_ctl_do(server, "snapshot", "save", file, NULL);
}

/* As one does who means to have the same cluster again: with its name and token, and so its id. */
void etcd_server_restore(etcd_server *server)
{
    char file[256], data[256], old[256], data_argument[300], cluster[128], peer[128];
    int port = server->members[0].peer_port;

    assert_int_equal(server->count, 1);
    etcd_server_kill(server, 0);
    snprintf(file, sizeof file, "%s/backup", server->directory);
    snprintf(data, sizeof data, "%s/m0", server->directory);
    snprintf(old, sizeof old, "%s/old%u", server->directory, server->runs);
    assert_int_equal(rename(data, old), 0);
    snprintf(data_argument, sizeof data_argument, "--data-dir=%s", data);
    snprintf(cluster, sizeof cluster, "--initial-cluster=m0=http://127.0.0.1:%d", port);
    snprintf(peer, sizeof peer, "--initial-advertise-peer-urls=http://127.0.0.1:%d", port);
    etcd_ctl_do(server, "snapshot", "restore", file, "--name=m0", data_argument, cluster, peer,
                NULL);
    etcd_server_restart(server, 0);
}

void etcd_ctl_compact(etcd_server *server)
{
    char *text = etcd_ctl(server, "get", "/", "-w", "fields", NULL), revision[32];
    const char *at = strstr(text, "\"Revision\" : ");

    assert_non_null(at);
    snprintf(revision, sizeof revision, "%lld", atoll(at + strlen("\"Revision\" : ")));
    etcd_ctl_do(server, "compaction", revision, NULL);
    free(text);
}

/* "endpoint, id, version, size, is leader, ..." */
static bool leads(etcd_server *server, int member)
{
    arguments a = {.count = 0};
    char output[256];

    add(&a, "etcdctl");
    add_access(&a, server, member);
    add(&a, "endpoint");
    add(&a, "status");
    char *text = run_ctl(server, &a, output, sizeof output);
    char *field = text;
    for (int i = 0; i < 4 && field != NULL; i++) {
        field = strchr(field, ',');
        field = field != NULL ? field + 1 : NULL;
    }
    bool leader = field != NULL && strncmp(field, " true", 5) == 0;
    free(text);
    return leader;
}

int etcd_server_leader(etcd_server *server)
{
    int64_t until = clock_ms() + START_TIMEOUT_MS;

    while (clock_ms() < until)
        for (int i = 0; i < server->count; i++)
            if (server->members[i].process.pid != 0 && leads(server, i))
                return i;
    fail_msg("etcd has no leader within %d ms", START_TIMEOUT_MS);
    return -1;
}
