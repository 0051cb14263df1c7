/* What the client does, over a faulty link of its own: G3 and G6 from its side.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim_internal.h"

static void on_submitted(const mf_error *error, const mf_item_result *items, size_t count,
                         void *arg)
{
    sim *s = arg;

    (void)error;
    for (size_t i = 0; i < count; i++) {
        truth *t = truth_of(s, items[i].id);
        sim_trace(s, "client: submit %s: %s", t->id, mf_strerror(items[i].code));
        if (items[i].code == MF_OK && ++t->acknowledged > t->created)
            sim_violated(s, "G3: a submit of task %s succeeded that made no task", t->id);
    }
}

void work_submit(sim *s)
{
    mf_task_spec tasks[10];

    s->report->submits++;
    for (int i = 0; i < 10; i++)
        tasks[i] = (mf_task_spec){.id = s->truths[sim_pick(s, s->options.tasks)].id};
    mf_client_submit(s->client, tasks, 10, on_submitted, s, NULL);
}

void work_remove(sim *s)
{
    const char *id = s->truths[sim_pick(s, s->options.tasks)].id;

    s->report->removals++;
    sim_trace(s, "client: remove %s", id);
    mf_client_remove(s->client, &id, 1, NULL, NULL, NULL);
}

static void on_stored(const mf_error *error, void *arg)
{
    sent_command *command = arg;
    command->acknowledged = error == NULL;
}

/* A stop of a task that there is not: it is only logged. */
void work_command(sim *s)
{
    char task[32];
    mf_command command = {.verb = MF_COMMAND_STOP_TASK, .task = task};
    int name = (int)sim_pick(s, s->options.nodes);

    if (s->command_count == SIM_COMMANDS)
        return;
    snprintf(task, sizeof task, "command-%d", s->command_count);
    sent_command *sent = &s->commands[s->command_count++];
    sent->name = name;
    sim_trace(s, "client: %s to %s", task, s->places[name].name);
    s->report->commands++;
    mf_client_command(s->client, s->places[name].name, &command, on_stored, sent, NULL);
}

static void on_sent(sim *s, const mf_send_request *send)
{
    const char *number = memmem(send->json, send->length, "command-", strlen("command-"));
    s->commands[atoi(number + strlen("command-"))].stored++;
}

static void on_decided(void *arg, verb what, const mf_request *request)
{
    const mf_send_request *send = (const mf_send_request *)request;

    if (what == VERB_SEND && request->error.code == MF_OK)
        on_sent(arg, send);
    if (what == VERB_SEND)
        sim_trace(arg, "broker: stored for %s: %.*s", send->node, (int)send->length, send->json);
    truth_client_decided(arg, what, request);
}

void work_start(sim *s)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_broker *inner = NULL;

    options.name_space = "sim";
    options.max_crashes = -1;
    s->client_loop = virtual_loop_new(s->world, 1.0);
    if (mf__embedded_open(&inner, s->store, &options, s->network, NULL) != MF_OK)
        abort();
    s->client_broker = link_new(&(link_options){
        .node_loop = s->client_loop,
        .network_loop = s->network,
        .inner = inner,
        .delay_us = 20000,
        .reply_timeout_us = 1000000,
        .hooks = {.decided = on_decided, .arg = s},
    });
    if (mf_client_open(&s->client, s->client_broker, NULL) != MF_OK)
        abort();
}
