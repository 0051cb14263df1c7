/* What a scenario runs on: a broker, a loop, tasks, and a bound on every wait. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <metafora/redis.h>

#include "cpu.h"
#include "etcd.h"
#include "resp.h"
#include "server.h"

enum { CLIENT_LIMIT_S = 120 };

static void on_bound(void *arg)
{
    bench_rig *rig = arg;
    if (rig->waits_for != NULL)
        bench_fail("%s", rig->waits_for);
    mf_loop_stop(rig->loop);
}

static void choose_broker(bench_rig *rig, const char *broker)
{
    static const struct {
        const char *name;
        server_kind kind;
    } servers[] = {{"private-redis", SERVER_REDIS},
                   {"private-redis-unix", SERVER_REDIS_UNIX},
                   {"private-etcd", SERVER_ETCD}};
    rig->url = strcmp(broker, "embedded") == 0 ? "embedded://bench" : broker;
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
        if (strcmp(broker, servers[i].name) != 0)
            continue;
        rig->private_server = true;
        rig->url = server_start(servers[i].kind);
    }
    rig->embedded = strncmp(rig->url, "embedded:", 9) == 0;
    rig->redis = strncmp(rig->url, "redis", 5) == 0 || strncmp(rig->url, "unix:", 5) == 0;
    rig->etcd = strncmp(rig->url, "etcd", 4) == 0;
}

/* They are in step when it returns. */
static void add_replicas(const bench_rig *rig, long wanted)
{
    enum { POLL_US = 10000 };
    long online = 0;

    if (!rig->private_server || rig->options->broker[strlen("private-redis")] != '\0')
        bench_fail("--wait-replicas: needs --broker private-redis");
    for (long i = 0; i < wanted; i++)
        server_add_replica();
    resp *connection = resp_open(rig->url);
    for (double limit = cpu_now() + CLIENT_LIMIT_S; online < wanted; usleep(POLL_US)) {
        resp_cursor reply = resp_call(connection, 2, (const char *[]){"INFO", "replication"});
        const char *text = resp_next(&reply).text;
        for (online = 0; (text = strstr(text, "state=online")) != NULL; text++)
            online++;
        if (cpu_now() > limit)
            bench_fail("the replicas do not follow");
    }
    resp_close(connection);
}

/* A URL may hold a password, which has no place in a report. */
static void report_broker(bench_report *report, const char *broker)
{
    char scheme[32];
    const char *end = strstr(broker, "://");
    if (end != NULL) {
        snprintf(scheme, sizeof scheme, "%.*s", (int)(end - broker), broker);
        broker = scheme;
    }
    report_text(report, "broker", broker);
}

void rig_open(bench_rig *rig, const bench_options *options, bench_report *report)
{
    mf_error error;
    *rig = (struct bench_rig){.options = options};
    choose_broker(rig, options->broker);
    if (options->wait_replicas != 0)
        add_replicas(rig, options->wait_replicas);
    if (report != NULL)
        report_broker(report, options->broker);
    if (report != NULL && options->wait_replicas != 0)
        report_count(report, "wait_replicas", (double)options->wait_replicas, "");
    if (mf_loop_new(&rig->loop, &error) != MF_OK)
        bench_fail("%s", error.text);
    mf_loop_set_log(rig->loop, NULL, NULL, MF_LOG_ERROR);
    mf_timer_init(&rig->bound, on_bound, rig);
    if (rig->embedded)
        rig->anchor = rig_broker(rig, "anchor");
}

void rig_close(bench_rig *rig)
{
    if (rig->anchor != NULL)
        rig_broker_close(rig, rig->anchor);
    mf_loop_free(rig->loop);
    if (rig->private_server)
        server_stop();
}

static void run_bounded(bench_rig *rig, double seconds, const char *what)
{
    rig->waits_for = what;
    mf_timer_start(rig->loop, &rig->bound, mf_loop_now_us(rig->loop) + (int64_t)(seconds * 1e6));
    mf_loop_run(rig->loop);
    mf_timer_stop(rig->loop, &rig->bound);
}

void rig_run(bench_rig *rig, double limit_s, const char *what)
{
    run_bounded(rig, limit_s, what);
}

void rig_done(bench_rig *rig)
{
    mf_loop_stop(rig->loop);
}

void rig_pass(bench_rig *rig, double seconds)
{
    run_bounded(rig, seconds, NULL);
}

/* Brokers. */

mf_broker *rig_broker(bench_rig *rig, const char *name_space)
{
    mf_broker *broker;
    mf_error error;
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    const mf_driver *const drivers[] = {&mf_redis_driver, &mf_embedded_driver, etcd_driver(), NULL};
    options.name_space = name_space;
    options.wait_replicas = (int)rig->options->wait_replicas;
    if (mf_broker_open_any(&broker, rig->url, &options, rig->loop, drivers, &error) != MF_OK)
        bench_fail("%s", error.text);
    return broker;
}

static void on_broker_closed(void *arg)
{
    rig_done(arg);
}

void rig_broker_close(bench_rig *rig, mf_broker *broker)
{
    mf_broker_close(broker, on_broker_closed, rig);
    rig_run(rig, CLIENT_LIMIT_S, "the broker's handle does not close");
}

/* Tasks. */

enum { ID_SIZE = 10 };

static char *make_properties(size_t bytes)
{
    if (bytes == 0)
        return NULL;
    char *text = bench_alloc(bytes + 1, 1);
    memset(text, 'x', bytes);
    if (bytes < 8) {
        memset(text, ' ', bytes);
        memcpy(text, "{}", 2);
        return text;
    }
    memcpy(text, "{\"p\":\"", 6);
    memcpy(text + bytes - 2, "\"}", 2);
    return text;
}

void rig_tasks_make(rig_tasks *tasks, size_t count, size_t properties)
{
    tasks->count = count;
    tasks->specs = bench_alloc(count, sizeof *tasks->specs);
    tasks->ids = bench_alloc(count, ID_SIZE);
    tasks->properties = make_properties(properties);
    for (size_t i = 0; i < count; i++) {
        char *id = tasks->ids + i * ID_SIZE;
        snprintf(id, ID_SIZE, "t%08u", (unsigned)(i % 100000000));
        tasks->specs[i] = (mf_task_spec){.id = id, .properties = tasks->properties};
    }
}

void rig_tasks_free(rig_tasks *tasks)
{
    free(tasks->specs);
    free(tasks->ids);
    free(tasks->properties);
}

/* The client. */

static void must_succeed(rig_client *client, const char *what)
{
    const mf_error *error;
    if (mf_client_wait(client->client, &error) != MF_OK)
        bench_fail("%s: %s", what, error->text);
}

void rig_client_open(rig_client *client, bench_rig *rig, const char *name_space)
{
    mf_error error;
    *client = (rig_client){.rig = rig, .broker = rig_broker(rig, name_space)};
    if (mf_client_open(&client->client, client->broker, &error) != MF_OK ||
        mf_client_nodes(client->client, NULL, NULL, &error) != MF_OK)
        bench_fail("%s", error.text);
    must_succeed(client, "connecting");
}

static void count_items(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    rig_client *client = arg;
    if (error != NULL)
        return;
    for (size_t i = 0; i < count; i++)
        client->succeeded += items[i].code == MF_OK;
}

void rig_client_submit(rig_client *client, const rig_tasks *tasks)
{
    mf_error error;
    client->succeeded = 0;
    if (mf_client_submit(client->client, tasks->specs, tasks->count, count_items, client, &error) !=
        MF_OK)
        bench_fail("%s", error.text);
    must_succeed(client, "submitting");
    if (client->succeeded != tasks->count)
        bench_fail("submitting: %zu of %zu tasks were refused", tasks->count - client->succeeded,
                   tasks->count);
}

void rig_client_close(rig_client *client)
{
    mf_client_close(client->client);
    rig_broker_close(client->rig, client->broker);
}

void rig_submit(bench_rig *rig, const char *name_space, const rig_tasks *tasks)
{
    rig_client client;
    rig_client_open(&client, rig, name_space);
    rig_client_submit(&client, tasks);
    rig_client_close(&client);
}

static void remove_tasks(bench_rig *rig, const char *name_space, const rig_tasks *tasks)
{
    rig_client client;
    mf_error error;
    const char **ids = bench_alloc(tasks->count, sizeof *ids);
    for (size_t i = 0; i < tasks->count; i++)
        ids[i] = tasks->specs[i].id;
    rig_client_open(&client, rig, name_space);
    if (mf_client_remove(client.client, ids, tasks->count, NULL, NULL, &error) != MF_OK)
        bench_fail("%s", error.text);
    must_succeed(&client, "removing");
    rig_client_close(&client);
    free(ids);
}

void rig_wipe(bench_rig *rig, const char *name_space, const rig_tasks *tasks)
{
    if (!rig->private_server) {
        remove_tasks(rig, name_space, tasks);
        return;
    }
    if (rig->etcd) {
        etcd_wipe(rig);
        return;
    }
    resp *connection = resp_open(rig->url);
    resp_expect_ok(connection, 1, (const char *[]){"FLUSHALL"});
    resp_close(connection);
}
