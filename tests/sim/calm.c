/* What must hold when the faults are over: G3, G4, G6, balance, and that
 * nothing goes on moving. */
#include <math.h>
#include <string.h>

#include "consumer/internal.h"
#include "sim_internal.h"

/* What the network and looking only now and then may add to a bound. */
enum { SLACK_MS = 300, LOOK_MS = 50 };
/* One interval until nodes have balanced, and a moment for the claims. */
enum { HEAL_MS = 32000, BALANCED_MS = SIM_BALANCE_MS + 1000, QUIET_MS = 3 * SIM_BALANCE_MS };

static const int64_t takeover_us = (SIM_LEASE_MS + 1000 + SLACK_MS) * 1000;
/* A task may have been left to a node that has said that it will be back. A node that joins later
 * counts the grace from then. */
static const int64_t service_us = (SIM_LEASE_MS + 1000 + SLACK_MS + SIM_RESTART_GRACE_MS) * 1000;

/* How the nodes themselves see it. */
static void trace_views(sim *s, const truth *t)
{
    for (int i = 0; i < s->options.nodes; i++) {
        mf_explanation explanation = MF_EXPLANATION_INIT;
        if (s->places[i].current == NULL)
            continue;
        mf_consumer_explain(s->places[i].current->consumer, t->id, &explanation);
        sim_trace(s, "%s: task %s is %s; %s", s->places[i].name, t->id, explanation.state,
                  explanation.balance);
    }
}

/* G4: nothing is without an owner for longer than its last one's lease and a
 * second. */
static void check_service(sim *s)
{
    int64_t now = sim_now_us(s);

    for (int i = 0; i < s->options.tasks; i++) {
        truth *t = &s->truths[i];
        if (!t->exists || truth_owners(s, t) > 0) {
            t->unserved_us = 0;
            continue;
        }
        if (t->unserved_us == 0)
            t->unserved_us = now;
        if (now - t->unserved_us <= service_us)
            continue;
        trace_views(s, t);
        sim_violated(s, "G4: task %s has had no owner for %.1f s, without a fault", t->id,
                     (double)(now - t->unserved_us) / 1e6);
    }
}

static bool heal(sim *s)
{
    for (int ms = 0; ms < HEAL_MS; ms += LOOK_MS) {
        if (!sim_run_for(s, LOOK_MS * 1000))
            return false;
        check_service(s);
    }
    return !sim_failed(s);
}

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
    if (!sim_run_for(s, takeover_us))
        return false;
    for (int i = 0; i < s->options.tasks && s->options.nodes > 1; i++)
        if (s->truths[i].orphaned && (!s->stateful || truth_owners(s, &s->truths[i]) == 0))
            sim_violated(s, "G4: task %s has not started %.1f s after its node's death",
                         s->truths[i].id, (double)takeover_us / 1e6);
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
    if (!heal(s) || !become(s, settled, 5000, "G3") ||
        !become(s, balanced, BALANCED_MS, "balance") || !stay_quiet(s))
        return;
    check_commands(s);
    stateful_check(s);
    if (!survive(s))
        return;
    audit_now(s);
    sim_run_for(s, 1000);
}
