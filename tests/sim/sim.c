/* One seeded run of a whole cluster under faults. */
#include "sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/internal.h"
#include "embedded/embedded.h"
#include "link.h"
#include "virtual_loop.h"

enum { lease_ms = 3000, heal_ms = 30000, incarnations_limit = 400, commands_limit = 4000 };

typedef struct sim sim;

/* One process: a name's nth life. */
typedef struct incarnation {
    sim *sim;
    int name; /* index */
    mf_loop *loop;
    mf_broker *broker;
    mf_consumer *consumer;
    bool crashed, closed;
    int last_command;
    mf_timer wake;
} incarnation;

/* What is true of a task, by what the broker decided. */
typedef struct truth {
    char id[16];
    uint64_t fence;
    char token[33];
    bool exists;
} truth;

typedef struct sent_command {
    int name;
    bool executed;
} sent_command;

struct sim {
    sim_options options;
    sim_report *report;
    virtual_world *world;
    mf_loop *network;
    mf__embedded_store *store;
    mf_broker *direct; /* the client's handle, without faults */
    mf_client *client;
    truth *truths;
    incarnation *lives[incarnations_limit];
    int life_count;
    incarnation **current; /* by name; NULL: down */
    mf_timer *restart;     /* by name */
    struct restart_arg {
        sim *sim;
        int name;
    } * restart_args;
    char (*names)[16];
    sent_command commands[commands_limit];
    int command_count;
    mf_timer fault_timer;
    bool over; /* faults and checks have ended */
};

static int64_t pick(sim *s, int64_t limit)
{
    return (int64_t)(mf_loop_random(s->network) % (uint64_t)limit);
}

static void trace(sim *s, const char *format, ...)
{
    va_list arguments;

    if (s->options.trace == NULL)
        return;
    fprintf(s->options.trace, "%10.3f ", (double)virtual_world_now_us(s->world) / 1e6);
    va_start(arguments, format);
    vfprintf(s->options.trace, format, arguments);
    va_end(arguments);
    fputc('\n', s->options.trace);
}

static void violated(sim *s, const char *format, ...)
{
    va_list arguments;

    if (s->report->violation[0] != '\0' || s->over)
        return;
    va_start(arguments, format);
    vsnprintf(s->report->violation, sizeof s->report->violation, format, arguments);
    va_end(arguments);
    trace(s, "VIOLATION %s", s->report->violation);
}

static truth *truth_of(sim *s, const char *id)
{
    return &s->truths[atoi(id)];
}

/* What the broker decided: G2, G5. */

static void on_granted(sim *s, const mf_session *session, const mf_claim *claim)
{
    truth *t = truth_of(s, claim->id);

    s->report->grants++;
    trace(s, "broker: %s granted to %s, fence %" PRIu64, claim->id, session->node, claim->fence);
    if (!t->exists)
        violated(s, "G5: task %s was granted after its end", claim->id);
    if (claim->fence == t->fence && strcmp(session->token, t->token) == 0)
        s->report->repeats++;
    else if (claim->fence <= t->fence)
        violated(s, "G2: task %s was granted with fence %" PRIu64 " after %" PRIu64, claim->id,
                 claim->fence, t->fence);
    else if (strcmp(session->token, t->token) != 0 && t->fence != 0)
        s->report->takeovers++;
    t->fence = claim->fence;
    memcpy(t->token, session->token, sizeof t->token);
}

static void on_done(sim *s, const mf_session *session, const mf_claim *claim)
{
    truth *t = truth_of(s, claim->id);

    if (claim->fence != t->fence || strcmp(session->token, t->token) != 0)
        violated(s, "G2: a late owner's done of task %s was applied", claim->id);
    t->exists = false;
}

static void on_decided(void *arg, verb what, const mf_request *request)
{
    sim *s = arg;
    const mf_claims_request *claims = (const mf_claims_request *)request;

    if (s->over || request->error.code != MF_OK || what < VERB_CLAIM || what > VERB_DONE)
        return;
    for (size_t i = 0; i < claims->count; i++) {
        const mf_claim *claim = claims->claims[i];
        if (claim->result != MF_OK)
            s->report->refused += what != VERB_CLAIM;
        else if (what == VERB_CLAIM)
            on_granted(s, claims->session, claim);
        else if (what == VERB_DONE)
            on_done(s, claims->session, claim);
    }
}

/* Handlers, and what they must not see: G1. */

/* Whether that process owns the task by its own clock, its handler running. */
static bool owns(const incarnation *life, const char *id)
{
    const mf_task *task = mf__task_find(life->consumer, id);

    return !life->crashed && task != NULL && task->state == TASK_RUNNING &&
           mf__claim_deadline_us(&task->claim) > mf_loop_now_us(life->loop);
}

typedef struct handling {
    mf_timer timer;
    mf_task *task;
    mf_outcome outcome;
} handling;

static void end_task(void *arg)
{
    handling *h = arg;
    mf_task *task = h->task;
    mf_outcome outcome = h->outcome;

    mf_timer_stop(mf_consumer_loop(mf_task_consumer(task)), &h->timer);
    free(h);
    mf_task_finish(task, outcome);
}

static void on_start(mf_task *task, void *payload)
{
    incarnation *life = payload;
    sim *s = life->sim;
    const char *id = mf_task_id(task);
    handling *h = calloc(1, sizeof *h);

    s->report->starts++;
    trace(s, "%s: start %s, fence %" PRIu64, s->names[life->name], id, mf_task_fence(task));
    for (int i = 0; i < s->life_count; i++)
        if (s->lives[i] != life && owns(s->lives[i], id) && owns(life, id))
            violated(s, "G1: task %s starts on %s while %s owns it", id, s->names[life->name],
                     s->names[s->lives[i]->name]);
    h->task = task;
    h->outcome = pick(s, 3) == 0 ? MF_DONE : MF_RELEASE;
    mf_timer_init(&h->timer, end_task, h);
    mf_task_set_data(task, h);
    if (pick(s, 4) == 0 && !s->over)
        mf_timer_start(life->loop, &h->timer, mf_loop_now_us(life->loop) + pick(s, 20000000));
}

/* Most stop promptly, some late, a few long after their lease. */
static void on_stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    incarnation *life = payload;
    sim *s = life->sim;
    handling *h = mf_task_data(task);
    int64_t delays[] = {0, 0, 0, 50000, 500000, 2000000, 8000000};
    int64_t delay = s->over ? 0 : delays[pick(s, 7)];

    trace(s, "%s: stop %s, %s", s->names[life->name], mf_task_id(task),
          mf_stop_reason_text(reason));
    if (h->timer.heap_slot != 0 && !s->over)
        return;
    if (pick(s, 8) != 0)
        h->outcome = MF_RELEASE;
    if (delay == 0)
        end_task(h);
    else
        mf_timer_start(life->loop, &h->timer, mf_loop_now_us(life->loop) + delay);
}

/* G6: each command at least once, and in order, by some life of the name. */
static void on_log(mf_log_level level, const char *subsystem, const char *text, void *arg)
{
    incarnation *life = arg;
    sim *s = life->sim;
    const char *number = strstr(text, "command-");

    (void)level;
    trace(s, "%s: %s: %s", s->names[life->name], subsystem, text);
    if (strncmp(text, "command {", 9) != 0 || number == NULL)
        return;
    int index = atoi(number + strlen("command-"));
    if (index < life->last_command)
        violated(s, "G6: command %d came to %s after %d", index, s->names[life->name],
                 life->last_command);
    life->last_command = index;
    s->commands[index].executed = true;
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    incarnation *life = payload;
    sim *s = life->sim;

    if (event == MF_CONSUMER_FAILED && !life->crashed && s->current[life->name] == life)
        violated(s, "G8: %s failed: %s", s->names[life->name], mf_consumer_error(consumer)->text);
    life->closed |= event == MF_CONSUMER_CLOSED;
}

/* Processes. */

static mf_broker *open_direct(sim *s)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_broker *broker = NULL;

    options.name_space = "sim";
    options.max_crashes = -1; /* the faults here kill owners by the dozen */
    if (mf__embedded_open(&broker, s->store, &options, s->network, NULL) != MF_OK)
        abort();
    return broker;
}

static void start_life(sim *s, int name)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    incarnation *life = calloc(1, sizeof *life);
    mf_error error;

    *life = (incarnation){.sim = s, .name = name, .last_command = -1};
    life->loop = virtual_loop_new(s->world, 0.99 + (double)pick(s, 2001) / 100000);
    mf_loop_set_log(life->loop, on_log, life, MF_LOG_INFO);
    life->broker = link_new(&(link_options){
        .node_loop = life->loop,
        .network_loop = s->network,
        .inner = open_direct(s),
        .delay_us = 1000 + pick(s, 50000),
        .reply_timeout_us = lease_ms * 1000 / 3,
        .hint_loss = pick(s, 2) == 0 ? 0 : 0.2,
        .observer = on_decided,
        .arg = s,
    });
    options.broker_handle = life->broker;
    options.broker_options.wait_for_broker = true;
    options.loop = life->loop;
    options.name = s->names[name];
    options.lease_ms = lease_ms;
    options.reconcile_interval_ms = 3000;
    options.reclaim_delay_ms = 500;
    options.balance_interval_ms = 5000;
    options.handler = mf_evented_handler(on_start, on_stop, life);
    options.on_event = on_event;
    options.payload = life;
    s->lives[s->life_count++] = life;
    s->current[name] = life;
    trace(s, "%s: process starts", s->names[name]);
    if (mf_consumer_open(&life->consumer, &options, &error) != MF_OK)
        abort();
}

static void on_restart(void *arg)
{
    struct restart_arg *a = arg;
    if (a->sim->current[a->name] == NULL && a->sim->life_count < incarnations_limit)
        start_life(a->sim, a->name);
}

/* Faults. */

static incarnation *some_life(sim *s)
{
    return s->current[pick(s, s->options.nodes)];
}

static void crash(sim *s)
{
    incarnation *life = some_life(s);

    if (life == NULL || s->life_count >= incarnations_limit - s->options.nodes)
        return;
    s->report->crashes++;
    trace(s, "fault: %s crashes", s->names[life->name]);
    life->crashed = true;
    virtual_loop_pause(life->loop, true);
    s->current[life->name] = NULL;
    mf_timer_start(s->network, &s->restart[life->name],
                   mf_loop_now_us(s->network) + pick(s, 3 * lease_ms * 1000));
}

static void on_wake(void *arg)
{
    incarnation *life = arg;

    if (life->crashed)
        return;
    trace(life->sim, "fault over: %s", life->sim->names[life->name]);
    virtual_loop_pause(life->loop, false);
    link_partition(life->broker, false);
}

static void hinder(sim *s, bool pause)
{
    incarnation *life = some_life(s);

    if (life == NULL || life->wake.heap_slot != 0)
        return;
    s->report->pauses += pause;
    s->report->partitions += !pause;
    trace(s, "fault: %s %s", s->names[life->name], pause ? "pauses" : "is cut off");
    if (pause)
        virtual_loop_pause(life->loop, true);
    else
        link_partition(life->broker, true);
    mf_timer_init(&life->wake, on_wake, life);
    mf_timer_start(s->network, &life->wake,
                   mf_loop_now_us(s->network) + pick(s, 3 * lease_ms * 1000));
}

static void cut(sim *s)
{
    incarnation *life = some_life(s);

    if (life == NULL)
        return;
    s->report->cuts++;
    trace(s, "fault: %s is cut", s->names[life->name]);
    link_cut(life->broker);
}

/* Work. */

static void submit_some(sim *s)
{
    for (int n = 0; n < 10; n++) {
        truth *t = &s->truths[pick(s, s->options.tasks)];
        mf_task_spec task = {.id = t->id};
        if (t->exists)
            continue;
        t->exists = true;
        trace(s, "client: submit %s", t->id);
        mf_client_submit(s->client, &task, 1, NULL, NULL, NULL);
    }
}

static void remove_one(sim *s)
{
    truth *t = &s->truths[pick(s, s->options.tasks)];
    const char *id = t->id;

    if (!t->exists)
        return;
    t->exists = false;
    trace(s, "client: remove %s", id);
    mf_client_remove(s->client, &id, 1, NULL, NULL, NULL);
}

static void command_one(sim *s)
{
    char task[32];
    mf_command command = {.verb = MF_COMMAND_STOP_TASK, .task = task};
    int name = (int)pick(s, s->options.nodes);

    if (s->command_count == commands_limit)
        return;
    snprintf(task, sizeof task, "command-%d", s->command_count);
    s->commands[s->command_count++] = (sent_command){.name = name};
    s->report->commands++;
    mf_client_command(s->client, s->names[name], &command, NULL, NULL, NULL);
}

static void stop_one(sim *s)
{
    incarnation *life = some_life(s);
    truth *t = &s->truths[pick(s, s->options.tasks)];

    if (life != NULL && life->wake.heap_slot == 0)
        mf_consumer_stop_task(life->consumer, t->id);
}

static void on_fault_timer(void *arg)
{
    sim *s = arg;

    switch (pick(s, 12)) {
    case 0:
        crash(s);
        break;
    case 1:
        hinder(s, true);
        break;
    case 2:
        hinder(s, false);
        break;
    case 3:
    case 4:
    case 5:
        cut(s);
        break;
    case 6:
    case 7:
        submit_some(s);
        break;
    case 8:
        remove_one(s);
        break;
    case 9:
        command_one(s);
        break;
    default:
        stop_one(s);
    }
    mf_timer_start(s->network, &s->fault_timer, mf_loop_now_us(s->network) + pick(s, 1000000));
}

/* Afterwards. */

static void heal(sim *s)
{
    mf_timer_stop(s->network, &s->fault_timer);
    trace(s, "faults are over");
    for (int i = 0; i < s->options.nodes; i++) {
        if (s->current[i] == NULL)
            start_life(s, i);
        mf_timer_stop(s->network, &s->restart[i]);
        mf_timer_stop(s->network, &s->current[i]->wake);
        on_wake(s->current[i]);
    }
}

/* G3, G5: each task that exists runs in exactly one process, others in none. A task that was just
 * given back may be between two. */
static bool settled(sim *s, char *why, size_t size)
{
    for (int i = 0; i < s->options.tasks; i++) {
        int owners = 0;
        for (int n = 0; n < s->options.nodes; n++)
            owners += owns(s->current[n], s->truths[i].id);
        if (owners == (int)s->truths[i].exists)
            continue;
        snprintf(why, size, "task %d %s and runs on %d nodes", i,
                 s->truths[i].exists ? "exists" : "has ended", owners);
        return false;
    }
    return true;
}

static void check_end(sim *s)
{
    char why[128];
    int64_t until = virtual_world_now_us(s->world) + heal_ms * 1000;

    while (virtual_world_step(s->world, until))
        s->report->steps++;
    for (int tries = 0; !settled(s, why, sizeof why); tries++) {
        if (tries == 200) {
            violated(s, "G3: %s, long after the faults", why);
            break;
        }
        virtual_world_run_for(s->world, 50000);
    }
    for (int i = 0; i < s->command_count; i++)
        if (!s->commands[i].executed)
            violated(s, "G6: command %d never came to %s", i, s->names[s->commands[i].name]);
}

static bool all_closed(void *arg)
{
    sim *s = arg;

    for (int i = 0; i < s->life_count; i++)
        if (!s->lives[i]->closed)
            return false;
    return true;
}

static void tear_down(sim *s)
{
    s->over = true;
    mf_timer_stop(s->network, &s->fault_timer);
    for (int i = 0; i < s->options.nodes; i++)
        mf_timer_stop(s->network, &s->restart[i]);
    for (int i = 0; i < s->life_count; i++) {
        incarnation *life = s->lives[i];
        mf_timer_stop(s->network, &life->wake);
        virtual_loop_pause(life->loop, false);
        link_partition(life->broker, false);
        mf_consumer_shutdown(life->consumer);
    }
    if (!virtual_world_run_until(s->world, all_closed, s, INT64_C(120) * 1000000)) {
        s->over = false;
        violated(s, "a consumer does not close");
        return; /* leaks: the run has failed anyway */
    }
    for (int i = 0; i < s->life_count; i++) {
        mf_consumer_free(s->lives[i]->consumer);
        mf_broker_close(s->lives[i]->broker, NULL, NULL);
    }
    mf_client_close(s->client);
    mf_broker_close(s->direct, NULL, NULL);
    virtual_world_run_for(s->world, 20000000);
    for (int i = 0; i < s->life_count; i++) {
        mf_loop_free(s->lives[i]->loop);
        free(s->lives[i]);
    }
    mf_loop_free(s->network);
    mf__embedded_store_release(s->store);
    virtual_world_free(s->world);
}

static int64_t broker_clock(void *arg)
{
    return virtual_world_now_us(arg);
}

static void set_up(sim *s)
{
    int nodes = s->options.nodes;

    s->world = virtual_world_new(s->options.seed);
    s->network = virtual_loop_new(s->world, 1.0);
    s->store = mf__embedded_store_new(broker_clock, s->world);
    s->direct = open_direct(s);
    if (mf_client_open(&s->client, s->direct, NULL) != MF_OK)
        abort();
    s->truths = calloc((size_t)s->options.tasks, sizeof *s->truths);
    for (int i = 0; i < s->options.tasks; i++)
        snprintf(s->truths[i].id, sizeof s->truths[i].id, "%d", i);
    s->current = calloc((size_t)nodes, sizeof *s->current);
    s->restart = calloc((size_t)nodes, sizeof *s->restart);
    s->restart_args = calloc((size_t)nodes, sizeof *s->restart_args);
    s->names = calloc((size_t)nodes, sizeof *s->names);
    for (int i = 0; i < nodes; i++) {
        snprintf(s->names[i], sizeof s->names[i], "n%d", i);
        s->restart_args[i] = (struct restart_arg){s, i};
        mf_timer_init(&s->restart[i], on_restart, &s->restart_args[i]);
        start_life(s, i);
    }
    mf_timer_init(&s->fault_timer, on_fault_timer, s);
    mf_timer_start(s->network, &s->fault_timer, 0);
}

void sim_run(const sim_options *options, sim_report *report)
{
    sim *s = calloc(1, sizeof *s);

    *report = (sim_report){0};
    s->options = *options;
    s->report = report;
    set_up(s);
    int64_t until = virtual_world_now_us(s->world) + options->fault_seconds * INT64_C(1000000);
    while (report->violation[0] == '\0' && virtual_world_step(s->world, until))
        report->steps++;
    if (report->violation[0] == '\0') {
        heal(s);
        check_end(s);
    }
    tear_down(s);
    free(s->truths);
    free(s->current);
    free(s->restart);
    free(s->restart_args);
    free(s->names);
    free(s);
}
