/* The floors: the driver's own scripts, called by the least client; those on etcd are in
 * floor_etcd.c. */
#include "floor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

#include "cpu.h"
#include "etcd.h"
#include "resp.h"
#include "scripts.h"

/* As many requests under way as the library has. */
enum { IN_FLIGHT = 16 };

#define KEY(name) "{floor}:" name
static const char token[] = "0123456789abcdef0123456789abcdef";
static const char node[] = "floor";
static const char hints[] = KEY("hints");
static const char node_hints[] = KEY("hints:floor");
static const char owner[] = KEY("owner:");

struct floor_client {
    resp *connection;
    const rig_tasks *tasks;
    size_t batch;
    size_t succeeded;
};

static void open_client(floor_client *client, bench_rig *rig, const rig_tasks *tasks)
{
    mf_broker *broker = rig_broker(rig, "floor");
    *client = (floor_client){
        .connection = resp_open(rig->url), .tasks = tasks, .batch = broker->max_batch};
    rig_broker_close(rig, broker);
}

static void close_client(floor_client *client)
{
    resp_expect_ok(client->connection, 1, (const char *[]){"FLUSHALL"});
    resp_close(client->connection);
}

static void text(floor_client *client, const char *argument)
{
    resp_argument(client->connection, argument, strlen(argument));
}

static void load(floor_client *client, const mf_script *script)
{
    resp_call(client->connection, 3, (const char *[]){"SCRIPT", "LOAD", script->plain.text});
}

static void declare_key(floor_client *client, mf_key_ref ref, const char *request)
{
    bool is_of_node = ref.which == MF_PREFIX_NODE || ref.which == MF_PREFIX_COMMANDS;
    char name[128];

    snprintf(name, sizeof name, KEY("%s%s"), mf__key_name(ref),
             !ref.is_prefix ? ""
             : is_of_node   ? node
                            : request);
    text(client, name);
}

/* With the keys that the script declares, but for owner keys; `request` is the token of those that
 * have one. */
static void begin(floor_client *client, const mf_script *script, const char *request,
                  size_t owner_keys, size_t arguments)
{
    size_t keys = script->key_count + owner_keys;

    resp_begin(client->connection, 3 + keys + arguments);
    text(client, "EVALSHA");
    text(client, script->plain.sha);
    resp_number(client->connection, (long long)keys);
    for (size_t i = 0; i < script->key_count; i++)
        declare_key(client, script->keys[i], request);
}

/* Sends one script call for each batch of tasks, with as many under way as the library has. */
static void pipeline(floor_client *client, void (*append)(floor_client *, size_t from, size_t to),
                     resp_fn count)
{
    client->succeeded = 0;
    for (size_t from = 0; from < client->tasks->count; from += client->batch) {
        size_t left = client->tasks->count - from;
        append(client, from, from + (left < client->batch ? left : client->batch));
        resp_exchange(client->connection, IN_FLIGHT - 1, count, client);
    }
    resp_exchange(client->connection, 0, count, client);
    if (client->succeeded != client->tasks->count)
        bench_fail("the floor's script succeeded for %zu of %zu tasks", client->succeeded,
                   client->tasks->count);
}

/* submit.lua */

static void append_submit(floor_client *client, size_t from, size_t to)
{
    char request[32];

    snprintf(request, sizeof request, "%zu", from);
    begin(client, &mf__script_submit, request, 0, 3 + 2 * (to - from));
    text(client, hints);
    text(client, "60000");
    resp_number(client->connection, to - from);
    for (size_t i = from; i < to; i++) {
        const mf_task_spec *spec = &client->tasks->specs[i];
        text(client, spec->id);
        text(client, spec->properties != NULL ? spec->properties : "");
    }
}

static void count_submitted(resp_cursor reply, void *arg)
{
    floor_client *client = arg;
    resp_value value = resp_next(&reply);
    for (size_t i = 0; i < value.length; i++)
        client->succeeded += value.text[i] == '1';
}

static void fill(floor_client *client)
{
    load(client, &mf__script_submit);
    pipeline(client, append_submit, count_submitted);
}

static void submit_all(bench_rig *rig, const rig_tasks *tasks, bench_meter *meter)
{
    floor_client client;
    open_client(&client, rig, tasks);
    load(&client, &mf__script_submit);
    meter_start(meter);
    pipeline(&client, append_submit, count_submitted);
    meter_stop(meter);
    close_client(&client);
}

/* join.lua, then claim.lua */

static void check_joined(resp_cursor reply, void *arg)
{
    (void)arg;
    resp_next(&reply);
    if (resp_next_number(&reply) != 1)
        bench_fail("the floor's session cannot join");
}

static void join(floor_client *client)
{
    static const char *const arguments[] = {token, "1", "3600000", "1", node, "0", hints, "0"};

    load(client, &mf__script_join);
    begin(client, &mf__script_join, token, 0, 8);
    for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++)
        text(client, arguments[i]);
    resp_exchange(client->connection, 0, check_joined, NULL);
}
static void append_claim(floor_client *client, size_t from, size_t to)
{
    char key[sizeof owner + 16];

    begin(client, &mf__script_claim, token, to - from, 7);
    memcpy(key, owner, sizeof owner);
    for (size_t i = from; i < to; i++) {
        strcpy(key + sizeof owner - 1, client->tasks->specs[i].id);
        text(client, key);
    }
    text(client, token);
    text(client, "1");
    text(client, "15000");
    text(client, node);
    text(client, hints);
    resp_number(client->connection, sizeof owner);
    text(client, node_hints);
}

/* The properties of each task that was granted, then the fence. */
static void count_claimed(resp_cursor reply, void *arg)
{
    floor_client *client = arg;
    long long count = resp_next(&reply).number;
    for (long long i = 0; i < count - 1; i++)
        client->succeeded += resp_next(&reply).kind == '$';
}

static void claim_all(bench_rig *rig, const rig_tasks *tasks, bench_meter *meter)
{
    floor_client client;
    open_client(&client, rig, tasks);
    fill(&client);
    join(&client);
    load(&client, &mf__script_claim);
    meter_start(meter);
    pipeline(&client, append_claim, count_claimed);
    meter_stop(meter);
    close_client(&client);
}

/* One task. */

floor_client *floor_start_open(bench_rig *rig, const rig_tasks *tasks)
{
    if (!rig->private_server || !rig->redis)
        return NULL;
    floor_client *client = bench_alloc(1, sizeof *client);
    open_client(client, rig, tasks);
    load(client, &mf__script_submit);
    load(client, &mf__script_claim);
    join(client);
    return client;
}

double floor_start(floor_client *client, size_t index)
{
    double begun = cpu_now();
    client->succeeded = 0;
    append_submit(client, index, index + 1);
    resp_exchange(client->connection, 0, count_submitted, client);
    append_claim(client, index, index + 1);
    resp_exchange(client->connection, 0, count_claimed, client);
    if (client->succeeded != 2)
        bench_fail("the floor's scripts do not start a task");
    return cpu_now() - begun;
}

void floor_start_close(floor_client *client)
{
    if (client == NULL)
        return;
    close_client(client);
    free(client);
}

versus_work floor_claim(const bench_rig *rig)
{
    return !rig->private_server ? NULL : rig->etcd ? etcd_floor_claim : claim_all;
}

versus_work floor_submit(const bench_rig *rig)
{
    return !rig->private_server ? NULL : rig->etcd ? etcd_floor_submit : submit_all;
}
