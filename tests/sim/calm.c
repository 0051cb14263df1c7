/* What must hold when the faults are over: G3, G4, G6, balance, and that
 * nothing goes on moving. */
#include <math.h>
#include <string.h>

#include "consumer/internal.h"
#include "coordinator/internal.h"
#include "sim_internal.h"

enum { LOOK_MS = 50 };
/* One interval until nodes have balanced, and a moment for the claims. */
enum { HEAL_MS = 32000, BALANCED_MS = SIM_BALANCE_MS + 1000, QUIET_MS = 3 * SIM_BALANCE_MS };

/* G3, G5: each task that exists runs in one process, others in none. */
static bool settled(sim *s, char *why, size_t size)
{
    for (int i = 0; i < s->options.tasks; i++) {
        truth *t = &s->truths[i];
        size_t owners = truth_owners(s, t);
        if (owners == (size_t)t->exists)
            continue;
        snprintf(why, size, "task %s %s and runs on %zu nodes", t->id,
                 t->exists ? "exists" : "has ended", owners);
        return false;
    }
    return true;
}

static size_t held_by(const sim *s, int name)
{
    const life *l = s->places[name].current;
    return l != NULL ? l->consumer->running_count : 0;
}

/* Nobody holds more than 1.2 times its share by weight, or one task more than
 * its share. */
static bool balanced(sim *s, char *why, size_t size)
{
    double total = 0, weight = 0;

    for (int i = 0; i < s->options.nodes; i++) {
        total += (double)held_by(s, i);
        weight += s->places[i].weight;
    }
    for (int i = 0; i < s->options.nodes; i++) {
        double share = total * s->places[i].weight / weight;
        double most = fmax(share * 1.2, ceil(share)) + 1e-6;
        if ((double)held_by(s, i) <= most)
            continue;
        snprintf(why, size, "%s holds %zu of %.0f tasks, its share is %.1f", s->places[i].name,
                 held_by(s, i), total, share);
        return false;
    }
    return true;
}

static bool become(sim *s, bool (*state)(sim *s, char *why, size_t size), int limit_ms,
                   const char *guarantee)
{
    char why[128];

    for (int ms = 0; !state(s, why, sizeof why); ms += LOOK_MS) {
        if (ms >= limit_ms)
            trace_views(s, &s->truths[0]);
        if (ms >= limit_ms)
            sim_violated(s, "%s: %s, long after the faults", guarantee, why);
        if (!sim_run_for(s, LOOK_MS * 1000))
            return false;
    }
    return true;
}

/* All that nodes do to tasks, in one number. */
static uint64_t activity(const sim *s)
{
    uint64_t sum = 0;

    for (int i = 0; i < s->options.nodes; i++) {
        const mf_consumer_statistics *of = &s->places[i].current->consumer->statistics;
        sum += of->started + of->claims_granted + of->claims_taken + of->claims_gone +
               of->claims_failed + of->balance_releases;
    }
    return sum;
}

static void check_view(sim *s, int of, const mf__view *view)
{
    for (int i = 0; i < s->options.nodes; i++) {
        size_t at = 0;
        while (at < view->count && strcmp(view->nodes[at].name, s->places[i].name) != 0)
            at++;
        if (at == view->count)
            sim_violated(s, "view: %s does not know %s", s->places[of].name, s->places[i].name);
        else if (view->nodes[at].tasks != held_by(s, i) ||
                 view->nodes[at].weight != s->places[i].weight)
            sim_violated(s, "view: %s believes that %s holds %llu, which holds %zu",
                         s->places[of].name, s->places[i].name,
                         (unsigned long long)view->nodes[at].tasks, held_by(s, i));
    }
}

/* Each node knows what the others hold, and that all tasks have owners. */
static void check_views(sim *s)
{
    for (int i = 0; i < s->options.nodes; i++) {
        mf_consumer *c = s->places[i].current->consumer;
        mf__view_refresh(&c->view, c->running_count, mf_loop_now_us(c->loop));
        check_view(s, i, &c->view);
        if (c->view.count != (size_t)s->options.nodes)
            sim_violated(s, "view: %s knows %zu nodes", s->places[i].name, c->view.count);
        if (c->flow.unowned != 0)
            sim_violated(s, "view: %s believes that %llu tasks have no owner", s->places[i].name,
                         (unsigned long long)c->flow.unowned);
    }
}

/* When nothing changes, nothing is done. */
static bool stay_quiet(sim *s)
{
    if (!sim_run_for(s, BALANCED_MS * 1000))
        return false;
    uint64_t before = activity(s);
    if (!sim_run_for(s, QUIET_MS * 1000))
        return false;
    if (activity(s) != before)
        sim_violated(s, "calm: %llu claims and moves although nothing changes",
                     (unsigned long long)(activity(s) - before));
    check_views(s);
    return !sim_failed(s);
}

static void remove_one_of(sim *s, const life *l)
{
    const mf_consumer *c = l->consumer;
    const char *id = s->truths[sim_pick(s, s->options.tasks)].id;
    mf_task_spec task = {.id = id};

    if (c->running_count > 0)
        id = truth_of(s, c->running[sim_pick(s, (int64_t)c->running_count)]->claim.id)->id;
    mf_client_remove(s->client, &id, 1, NULL, NULL, NULL);
    mf_client_submit(s->client, &task, 1, NULL, NULL, NULL);
}

/* Many things at once, without faults: hints come while what they announce is being read. */
static bool be_busy(sim *s)
{
    for (int i = 0; i < 100; i++) {
        const life *l = s->places[sim_pick(s, s->options.nodes)].current;
        if (i % 5 == 0)
            remove_one_of(s, l);
        work_command(s);
        if (s->stateful)
            stateful_tell(s);
        link_resync(l->broker);
        if (!sim_run_for(s, sim_pick(s, 60000)))
            return false;
        if (i % 5 == 0)
            remove_one_of(s, l);
        if (i % 5 == 4 && !sim_run_for(s, sim_pick(s, 800000)))
            return false;
    }
    return sim_run_for(s, 2 * SIM_LEASE_MS * 1000) && become(s, settled, 5000, "G3");
}

/* The broker lists it as a node's, which knows nothing of it. */
static bool is_orphan(const sim *s, const truth *t)
{
    for (int i = 0; t->held && t->expires_us > sim_now_us(s) && i < s->options.nodes; i++) {
        mf_consumer *c = s->places[i].current->consumer;
        if (strcmp(c->coordinator->session.token, t->token) != 0)
            continue;
        const mf_task *task = mf__task_find(c, t->id);
        return task == NULL || task->state < TASK_CLAIMING;
    }
    return false;
}

/* What it had acknowledged and has lost, nodes give back: nothing stays with one that does not run
 * it, and nothing runs twice. */
static bool survive_set_back(sim *s)
{
    if (s->stateful)
        return true;
    setback_take(s);
    for (int i = 0; i < 10; i++) {
        const life *l = s->places[sim_pick(s, s->options.nodes)].current;
        if (l->consumer->running_count > 0)
            mf_consumer_stop_task(l->consumer, l->consumer->running[0]->claim.id);
    }
    if (!sim_run_for(s, 400000))
        return false;
    sim_trace(s, "the broker is set back");
    setback_restore(s);
    /* A renewal, or the next one where a comparison has just begun. */
    if (!sim_run_for(s, (SIM_LEASE_MS / 3 + 1200) * 1000))
        return false;
    for (int i = 0; i < s->options.tasks; i++)
        if (is_orphan(s, &s->truths[i]))
            sim_violated(s, "G4: task %s is held by a node that does not run it", s->truths[i].id);
    return become(s, settled, SIM_SERVICE_US / 1000, "G4");
}

/* G4 once more, from the very moment of a death. */
static bool survive(sim *s)
{
    life *l = s->places[sim_pick(s, s->options.nodes)].current;

    for (int i = 0; i < s->options.tasks; i++) {
        truth *t = &s->truths[i];
        t->orphaned = s->stateful ? stateful_holds(l, t) : t->runs != NULL && t->runs->life == l;
    }
    sim_trace(s, "%s is killed", s->places[l->name].name);
    life_kill(l);
    if (!sim_run_for(s, SIM_TAKEOVER_US))
        return false;
    for (int i = 0; i < s->options.tasks && s->options.nodes > 1; i++)
        if (s->truths[i].orphaned && (!s->stateful || truth_owners(s, &s->truths[i]) == 0))
            sim_violated(s, "G4: task %s has not started %.1f s after its node's death",
                         s->truths[i].id, (double)SIM_TAKEOVER_US / 1e6);
    return !sim_failed(s);
}

static void check_commands(sim *s)
{
    for (int i = 0; i < s->command_count; i++)
        if (s->commands[i].acknowledged && !s->commands[i].executed)
            sim_violated(s, "G6: command %d never came to %s", i,
                         s->places[s->commands[i].name].name);
}

void calm_check(sim *s)
{
    if (!sim_run_for(s, HEAL_MS * 1000) || !become(s, settled, 5000, "G3") ||
        !become(s, balanced, BALANCED_MS, "balance") || !stay_quiet(s))
        return;
    if (!be_busy(s))
        return;
    check_commands(s);
    stateful_check(s);
    if (!survive_set_back(s) || !survive(s))
        return;
    audit_now(s);
    sim_run_for(s, 1000);
}
