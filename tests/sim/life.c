/* Processes and the handlers that run in them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/internal.h"
#include "sim_internal.h"

static const char *name_of(const life *l)
{
    return l->sim->places[l->name].name;
}

/* Handlers: most run until they are stopped, some end by themselves. */

static mf_loop *loop_of(const handling *h)
{
    return h->threaded ? h->life->sim->fate : h->life->loop;
}

static void end_in(handling *h, int64_t us)
{
    mf_timer_start(loop_of(h), &h->timer, mf_loop_now_us(loop_of(h)) + us);
}

static void end_task(void *arg)
{
    handling *h = arg;
    mf_task *task = h->task;
    mf_outcome outcome = h->outcome;

    mf_timer_stop(loop_of(h), &h->timer);
    sim_trace(h->life->sim, "%s: end %s, %s", name_of(h->life), mf_task_id(task),
              outcome == MF_DONE ? "done" : "release");
    judge_handler_ended(h);
    truth_ends(h);
    free(h);
    mf_task_finish(task, outcome);
}

/* A thread asks now and then whether to stop, also while its loop is held up. It takes a part of
 * stop_grace to end, of which its loop hears when it runs again. */

enum { ASK_US = 100000, LAST_WORK_US = 500000 };

static void on_thread(void *arg)
{
    handling *h = arg;
    life *l = h->life;

    if (l->crashed)
        return;
    if (l->stopped) {
        end_in(h, ASK_US);
    } else if (h->outcome_due) {
        h->over = true;
        sim_trace(l->sim, "%s: the thread of %s ends", name_of(l), h->truth->id);
        truth_ends(h);
        mf_loop_post(l->loop, end_task, h);
    } else {
        h->outcome_due = mf_task_stopping(h->task);
        end_in(h, h->outcome_due ? sim_pick(l->sim, LAST_WORK_US) : ASK_US);
    }
}

static void on_start(mf_task *task, void *payload)
{
    life *l = payload;
    sim *s = l->sim;
    handling *h = calloc(1, sizeof *h);

    s->report->starts++;
    sim_trace(s, "%s: start %s, fence %" PRIu64, name_of(l), mf_task_id(task), mf_task_fence(task));
    *h = (handling){.life = l, .task = task, .truth = truth_of(s, mf_task_id(task))};
    h->outcome = sim_pick(s, 3) == 0 ? MF_DONE : MF_RELEASE;
    h->threaded = sim_pick(s, 12) == 0;
    mf_timer_init(&h->timer, h->threaded ? on_thread : end_task, h);
    mf_task_set_data(task, h);
    truth_runs(h);
    judge_handler_starts(h);
    h->ends_itself = sim_pick(s, 4) == 0 && !s->calm && !h->threaded;
    if (h->threaded)
        end_in(h, ASK_US);
    else if (h->ends_itself)
        end_in(h, sim_pick(s, 20000000));
}

/* Most stop promptly, some late, some long after their lease, a few never. */
static void on_stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    static const int64_t delays[] = {0, 0, 0, 0, 50000, 500000, 2000000, 8000000};
    life *l = payload;
    sim *s = l->sim;
    handling *h = mf_task_data(task);
    int64_t delay = s->calm ? 0 : delays[sim_pick(s, 8)];

    sim_trace(s, "%s: stop %s, %s", name_of(l), mf_task_id(task), mf_stop_reason_text(reason));
    judge_handler_told(h, reason);
    if (h->threaded)
        return;
    if ((h->timer.heap_slot != 0 || h->never_ends) && !s->calm)
        return;
    if (s->calm || sim_pick(s, 8) != 0)
        h->outcome = MF_RELEASE;
    h->never_ends = !s->calm && sim_pick(s, 40) == 0;
    if (h->never_ends)
        return;
    if (delay == 0)
        end_task(h);
    else
        end_in(h, delay);
}

static bool is_late(const handling *h)
{
    return h->never_ends || mf_task_stop_reason(h->task) != MF_STOP_NONE;
}

void life_end_handlers(life *l, bool late_only)
{
    mf_consumer *c = l->consumer;

    for (size_t i = c->running_count; i-- > 0;) {
        handling *h = i < c->running_count ? mf_task_data(c->running[i]) : NULL;
        if (h == NULL || h->over || (late_only && (h->threaded || !is_late(h))))
            continue;
        if (l->sim->stateful)
            stateful_end_run(h);
        else
            end_task(h);
    }
}

void life_kill(life *l)
{
    l->crashed = true;
    virtual_loop_pause(l->loop, true);
    link_bury(l->broker);
    truth_forget_life(l->sim, l);
    judge_forget_life(l->sim, l);
    judge_unrest(l->sim);
    l->sim->places[l->name].current = NULL;
}

/* What a process tells. */

/* G6: each command at least once, and in order, by some life of the name. */
static void on_command(life *l, int index)
{
    sim *s = l->sim;
    place *p = &s->places[l->name];

    sent_command *c = &s->commands[index];
    c->read = c->reader == l ? c->read + 1 : 1;
    c->reader = l;
    if (c->read > c->stored)
        sim_violated(s, "G6: command %d came to %s %d times, and was stored %d times", index,
                     p->name, c->read, c->stored);
    if (c->executed)
        return;
    if (index < p->last_command)
        sim_violated(s, "G6: command %d came to %s after %d", index, p->name, p->last_command);
    p->last_command = index;
    c->executed = true;
}

static void on_log(mf_log_level level, const char *subsystem, const char *text, void *arg)
{
    life *l = arg;
    const char *number = strstr(text, "command-");

    (void)level;
    sim_trace(l->sim, "%s: %s: %s", name_of(l), subsystem, text);
    if (strncmp(text, "command {", 9) == 0 && number != NULL)
        on_command(l, atoi(number + strlen("command-")));
    l->sim->report->orphans += strncmp(text, "gave back ", 10) == 0;
    l->sim->report->overruns += strstr(text, "runs on after its lease") != NULL;
}

/* The broker has given it the name, which another process may have had before.
 */
void life_joined(life *l)
{
    place *p = &l->sim->places[l->name];

    if (l->crashed || l->closed || p->current == l)
        return;
    judge_unrest(l->sim);
    sim_trace(l->sim, "%s: the name passes to another process", p->name);
    l->rival = l->usurped = false;
    if (p->current != NULL)
        p->current->usurped = true;
    l->sim->report->usurped += p->current != NULL;
    p->current = l;
}

/* G8: only a process whose name another one has may be refused. */
static void on_failed(life *l)
{
    sim *s = l->sim;

    l->failed = true;
    if (!l->rival && !l->usurped && !l->crashed)
        sim_violated(s, "G8: %s failed: %s", name_of(l), mf_consumer_error(l->consumer)->text);
}

static void on_closed(life *l)
{
    sim *s = l->sim;
    place *p = &s->places[l->name];

    l->closed = true;
    link_bury(l->broker);
    judge_forget_life(s, l);
    judge_unrest(s);
    sim_trace(s, "%s: closed", name_of(l));
    if (p->current != l || s->over)
        return;
    p->current = NULL;
    mf_timer_start(s->fate, &p->restart,
                   sim_now_us(s) + sim_pick(s, s->healed_us != 0 ? 1 : 2 * SIM_LEASE_MS * 1000));
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    life *l = payload;

    (void)consumer;
    if (event == MF_CONSUMER_FAILED)
        on_failed(l);
    else if (event == MF_CONSUMER_CLOSED)
        on_closed(l);
}

/* Starting one. */

static void on_leaves_node(void *arg, verb what, mf_request *request)
{
    judge_asks(arg, what);
    if (what == VERB_RENEW)
        faults_renewal_leaves(arg);
    mutation_leaves_node(arg, what, request);
}

static void on_hinted(void *arg, link_hint what, const char *const *ids, size_t count)
{
    life *l = arg;

    if (l->closed || l->crashed)
        return;
    judge_hinted(l, what, ids, count);
    races_hinted(l, what, ids, count);
}

static void on_reaches_broker(void *arg, verb what, mf_request *copy)
{
    races_reaches_broker(arg, what, copy);
    mutation_reaches_broker(arg, what, copy);
}

static void on_decided(void *arg, verb what, const mf_request *request)
{
    races_decided(arg, what, request);
    truth_decided(arg, what, request);
}

static void on_reaches_node(void *arg, verb what, mf_request *request)
{
    mutation_reaches_node(arg, what, request);
    races_reaches_node(arg, what, request);
}

static mf_broker *connect_life(life *l)
{
    sim *s = l->sim;
    static const int64_t delays[] = {1000, 10000, 50000, 120000};
    bool loses = s->options.mutation == MUTATION_NO_RECONCILE || sim_pick(s, 2) == 0;
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_broker *inner = NULL;

    options.name_space = "sim";
    options.max_crashes = -1;
    l->delay_us = 500 + sim_pick(s, delays[sim_pick(s, 4)]);
    if (mf__embedded_open(&inner, s->store, &options, s->network, NULL) != MF_OK)
        abort();
    return link_new(&(link_options){
        .node_loop = l->loop,
        .network_loop = s->network,
        .inner = inner,
        .delay_us = l->delay_us,
        .reply_timeout_us = SIM_LEASE_MS * 1000 / 3,
        .hint_loss = loses && s->healed_us == 0 ? 0.2 : 0,
        .hooks =
            {
                .leaves_node = on_leaves_node,
                .reaches_broker = on_reaches_broker,
                .decided = on_decided,
                .leaves_broker = mutation_leaves_broker,
                .reaches_node = on_reaches_node,
                .answer_lost = races_answer_lost,
                .hinted = on_hinted,
                .arg = l,
            },
    });
}

/* Clocks run at speeds that differ by up to 1 % from the broker's, often by all
 * of it. */
static double clock_rate(sim *s)
{
    static const double extremes[] = {0.99, 1.01};
    return sim_pick(s, 2) == 0 ? extremes[sim_pick(s, 2)]
                               : 0.99 + (double)sim_pick(s, 2001) / 100000;
}

/* Whoever had the name is dead: nobody else does. */
static bool is_alone(const life *l)
{
    for (int i = 0; i < l->sim->life_count; i++) {
        const life *other = l->sim->lives[i];
        if (other != l && other->name == l->name && !other->crashed && !other->closed)
            return false;
    }
    return true;
}

static void open_consumer(life *l)
{
    sim *s = l->sim;
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    options.broker_handle = l->broker;
    options.broker_options.wait_for_broker = true;
    options.loop = l->loop;
    options.name = name_of(l);
    options.takeover = l->takes_over = !l->rival && is_alone(l) && sim_pick(s, 2) == 0;
    s->report->forced_joins += l->takes_over;
    options.weight = s->places[l->name].weight;
    options.lease_ms = SIM_LEASE_MS;
    options.reconcile_interval_ms = SIM_RECONCILE_MS;
    options.reclaim_delay_ms = 500;
    options.balance_interval_ms = SIM_BALANCE_MS;
    options.restart_grace_ms = SIM_RESTART_GRACE_MS;
    options.handler = s->stateful ? stateful_handler(l) : mf_evented_handler(on_start, on_stop, l);
    options.on_event = on_event;
    options.payload = l;
    if (mf_consumer_open(&l->consumer, &options, NULL) != MF_OK)
        abort();
}

life *life_start(sim *s, int name, bool rival)
{
    life *l = calloc(1, sizeof *l);

    *l = (life){.sim = s, .name = name, .rival = rival, .awake_us = sim_now_us(s)};
    l->loop = virtual_loop_new(s->world, clock_rate(s));
    mf_loop_set_log(l->loop, on_log, l, MF_LOG_INFO);
    l->broker = connect_life(l);
    if (s->broker_down)
        link_refuse(l->broker, true);
    link_set_unwilling(l->broker, s->unwilling);
    judge_disturbed(l, 1000000);
    s->lives[s->life_count++] = l;
    if (!rival)
        s->places[name].current = l;
    sim_trace(s, "%s: process starts%s", name_of(l), rival ? ", a second one" : "");
    open_consumer(l);
    return l;
}
