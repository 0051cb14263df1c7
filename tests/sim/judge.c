/* What nodes and handlers must do at any time, also while there are faults: G3, G4, G5 and the
 * deadlines of G1. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/internal.h"
#include "coordinator/internal.h"
#include "sim_internal.h"

enum { LOOK_US = 100000 };
/* A node that is well tells an ending within this: a batch may be refused, and wait. */
static const int64_t ending_us = 1200000;
/* It asks for what a hint announces within this. */
static const int64_t hint_us = 200000;
static const int64_t shutdown_us = (SIM_LEASE_MS + 1500) * INT64_C(1000);

static const char *name_of(const life *l)
{
    return l->sim->places[l->name].name;
}

/* What befell whom. */

void judge_unrest(sim *s)
{
    s->unrest_us = sim_now_us(s);
}

void judge_disturbed(life *l, int64_t recovery_us)
{
    int64_t well = sim_now_us(l->sim) + recovery_us + 4 * l->delay_us; /* it joins, and renews */

    if (well > l->well_us)
        l->well_us = well;
    judge_unrest(l->sim);
}

void judge_all_disturbed(sim *s, int64_t recovery_us)
{
    for (int i = 0; i < s->life_count; i++)
        judge_disturbed(s->lives[i], recovery_us);
}

bool judge_is_hindered(const life *l)
{
    return l->wake.heap_slot != 0 || l->sim->broker_timer.heap_slot != 0 || l->sim->unwilling != 0;
}

static bool is_well(const life *l)
{
    return !judge_is_hindered(l) && sim_now_us(l->sim) > l->well_us;
}

static bool is_there(const life *l)
{
    return !l->crashed && !l->closed && !l->failed && !l->usurped;
}

/* A broker that was set back may have forgotten what it granted before. A node that is well hears
 * of that with its next renewal, and tells the handler, which may take until its deadline to stop.
 */
bool judge_is_doubtful(const handling *h)
{
    const life *l = h->life;
    bool hears = is_well(l) && mf__task_stop_reason(h->task) < MF_STOP_EXPIRING;
    int64_t limit_us = (hears ? SIM_LEASE_MS / 3 + 800 : SIM_LEASE_MS + 100) * INT64_C(1000);

    return h->task->claim.fence <= h->truth->doubtful_fence &&
           sim_now_us(l->sim) - l->sim->set_back_us <= limit_us;
}

/* Handlers. */

/* Nothing is stopped by a break that is shorter than what the lease leaves, or for no reason. */
void judge_handler_told(const handling *h, mf_stop_reason reason)
{
    life *l = h->life;
    const truth *t = h->truth;
    sim *s = l->sim;

    if (!is_there(l))
        return;
    if ((reason == MF_STOP_EXPIRING || reason == MF_STOP_LOST) && is_well(l) &&
        !judge_is_doubtful(h))
        sim_violated(s, "G1: %s stops task %s, %s, although it was well", name_of(l), h->truth->id,
                     mf_stop_reason_text(reason));
    if (reason >= MF_STOP_DELETED)
        l->owed_us[VERB_RENEW] = 0; /* it was being asked */
    if (reason == MF_STOP_DELETED && t->exists && !t->removed && !judge_is_doubtful(h) &&
        t->fence == h->task->claim.fence)
        sim_violated(s, "G5: %s stops task %s, deleted, which was not", name_of(l), h->truth->id);
}

static bool is_awake(const life *l)
{
    int64_t now = sim_now_us(l->sim);
    return !l->crashed && l->awake_us <= now && now - l->awake_us > LOOK_US;
}

/* Of its clock. */
static double rate_of(const life *l)
{
    return (double)mf_loop_now_us(l->loop) / (double)sim_now_us(l->sim);
}

/* What the loop may be too held up to tell, the task says itself. */
static void check_handler(const handling *h)
{
    const life *l = h->life;
    sim *s = l->sim;
    int64_t left = mf__claim_deadline_us(&h->task->claim) - mf_loop_now_us(l->loop);
    int64_t grace_us = l->consumer->stop_grace_us;
    mf_stop_reason told = mf__task_stop_reason(h->task);

    if (left <= grace_us && !mf_task_stopping(h->task))
        sim_violated(s, "G1: task %s on %s does not say that its lease ends in %.3f s",
                     h->truth->id, name_of(l), (double)left / 1e6);
    if (left > 0 && told == MF_STOP_LOST && !l->failed)
        sim_violated(s, "G1: task %s on %s is lost, and has %.3f s of lease left", h->truth->id,
                     name_of(l), (double)left / 1e6);
    if (left <= grace_us - LOOK_US && told == MF_STOP_NONE && is_awake(l))
        sim_violated(s, "G1: %s was not told to stop task %s, which has %.3f s left", name_of(l),
                     h->truth->id, (double)left / 1e6);
    if (left > 0 && h->truth->held && h->truth->fence == h->task->claim.fence &&
        !judge_is_doubtful(h) && left / rate_of(l) > (double)(h->truth->expires_us - sim_now_us(s)))
        sim_violated(s, "G1: %s counts on %.3f s of lease of task %s, and the broker on %.3f s",
                     name_of(l), (double)left / 1e6, h->truth->id,
                     (double)(h->truth->expires_us - sim_now_us(s)) / 1e6);
    if (left <= -LOOK_US && h->task->run.expired_us == 0 && is_awake(l))
        sim_violated(s, "G1: task %s on %s runs on after its lease, and nothing counts it",
                     h->truth->id, name_of(l));
}

/* Endings. */

void judge_handler_ended(const handling *h)
{
    sim *s = h->life->sim;

    if (s->ending_count == s->ending_size) {
        s->ending_size = s->ending_size * 2 + 16;
        s->endings = realloc(s->endings, s->ending_size * sizeof *s->endings);
    }
    s->endings[s->ending_count++] = (ending){.life = h->life,
                                             .done = h->outcome == MF_DONE,
                                             .deadline_us = mf__claim_deadline_us(&h->task->claim),
                                             .truth = h->truth,
                                             .fence = h->task->claim.fence,
                                             .at_us = sim_now_us(s)};
}

static void drop_ending(sim *s, size_t i)
{
    s->endings[i] = s->endings[--s->ending_count];
}

static void end_told(const life *l, const truth *t, uint64_t fence)
{
    sim *s = l->sim;

    for (size_t i = s->ending_count; i-- > 0;)
        if (s->endings[i].life == l && s->endings[i].truth == t && s->endings[i].fence == fence)
            drop_ending(s, i);
}

/* G3: what is done is not given back instead, to run again. Of a removed task it is all the same.
 */
void judge_end_told(const life *l, const truth *t, uint64_t fence, bool done)
{
    sim *s = l->sim;

    for (size_t i = 0; i < s->ending_count; i++) {
        const ending *e = &s->endings[i];
        if (e->life == l && e->truth == t && e->fence == fence && e->done && !done && !t->removed &&
            e->deadline_us > mf_loop_now_us(l->loop))
            sim_violated(s, "G3: %s gives task %s back, which is done", name_of(l), t->id);
    }
    end_told(l, t, fence);
}

void judge_forget_life(sim *s, const life *l)
{
    for (size_t i = s->ending_count; i-- > 0;)
        if (s->endings[i].life == l)
            drop_ending(s, i);
}

/* On a claim that was granted, and that nobody has had since. Asked for again, it may be the one
 * whose ending was given up. */
void judge_handler_starts(const handling *h)
{
    const truth *t = h->truth;
    sim *s = h->life->sim;

    end_told(h->life, t, h->task->claim.fence);
    if (mf_task_stopping(h->task))
        sim_violated(s, "G1: %s starts task %s, whose lease is over or nearly so", name_of(h->life),
                     t->id);
    if (judge_is_doubtful(h))
        return;
    if (h->task->claim.fence != t->fence)
        sim_violated(s, "G2: %s starts task %s with fence %" PRIu64 " after %" PRIu64,
                     name_of(h->life), t->id, h->task->claim.fence, t->fence);
    if (t->finished)
        sim_violated(s, "G5: %s starts task %s, which is done", name_of(h->life), t->id);
}

/* G3: an ending is told until it has been answered, or its lease has ended. */
static void check_endings(sim *s)
{
    int64_t now = sim_now_us(s);

    for (size_t i = s->ending_count; i-- > 0;) {
        const ending *e = &s->endings[i];
        const truth *t = e->truth;
        if (!is_there(e->life) || !t->held || t->fence != e->fence || t->expires_us <= now)
            drop_ending(s, i);
        else if (is_well(e->life) && now > e->at_us + ending_us + 4 * e->life->delay_us &&
                 now > e->life->well_us + ending_us)
            sim_violated(s, "G3: %s has not told for %.1f s that task %s has ended",
                         name_of(e->life), (double)(now - e->at_us) / 1e6, t->id);
    }
}

/* Hints. */

static const verb wanted_by[] = {
    [HINT_REMOVED] = VERB_RENEW,
    [HINT_COMMAND] = VERB_RECEIVE,
    [HINT_MAIL] = VERB_MAIL,
    [HINT_RESYNC] = VERB_CLAIMABLE,
};

/* Of what was removed it asks only if it has it. */
static bool is_of_interest(const life *l, const char *const *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mf_task *task = mf__task_find(l->consumer, ids[i]);
        if (task != NULL && task->state == TASK_RUNNING &&
            mf__task_stop_reason(task) == MF_STOP_NONE)
            return true;
    }
    return false;
}

void judge_hinted(life *l, link_hint what, const char *const *ids, size_t count)
{
    if (what == HINT_CLAIMABLE || (what == HINT_MAIL && !l->sim->stateful) ||
        (what == HINT_REMOVED && (l->sim->stateful || !is_of_interest(l, ids, count))))
        return;
    l->owed_us[wanted_by[what]] = sim_now_us(l->sim);
}

void judge_asks(life *l, verb what)
{
    l->owed_us[what] = 0;
}

/* G3, G6: what a hint announces is asked for as soon as the request before has come back. */
static void check_hints(life *l)
{
    static const char *const names[] = {[VERB_RENEW] = "removals",
                                        [VERB_RECEIVE] = "commands",
                                        [VERB_MAIL] = "messages",
                                        [VERB_CLAIMABLE] = "claimable tasks"};
    const mf_coordinator *c = l->consumer->coordinator;
    int64_t now = sim_now_us(l->sim);

    for (verb what = 0; what <= VERB_HELD; what++) {
        if (l->owed_us[what] == 0)
            continue;
        if (!is_well(l) || !is_awake(l) || c == NULL || !mf__session_is_joined(c))
            l->owed_us[what] = now;
        else if (now - l->owed_us[what] > hint_us + 2 * l->delay_us)
            sim_violated(l->sim, "G3: %s was told of %s, and does not ask", name_of(l),
                         names[what]);
    }
}

/* Shutdowns. */

/* Once its handlers have ended, one ends within what is left of the leases, also without a broker.
 */
static void check_shutdown(life *l)
{
    int64_t now = sim_now_us(l->sim);

    if (!l->leaving || l->consumer->running_count > 0 || !is_awake(l))
        l->drained_us = now;
    else if (now - l->drained_us > shutdown_us)
        sim_violated(l->sim, "G3: %s has been shutting down for %.1f s without a handler",
                     name_of(l), (double)(now - l->drained_us) / 1e6);
}

/* Idle tasks. */

static bool takes(life *l)
{
    return l != NULL && is_there(l) && is_well(l) && !l->leaving &&
           mf__consumer_takes(l->consumer) && mf__session_is_joined(l->consumer->coordinator);
}

static bool is_held(const life *l, const truth *t)
{
    const mf_task *task = mf__task_find(l->consumer, t->id);
    return task != NULL && task->state >= TASK_RUNNING;
}

/* A handler that runs on after its lease keeps its own node from taking the task. */
static bool has_taker(const sim *s, const truth *t)
{
    for (int i = 0; i < s->options.nodes; i++) {
        life *l = s->places[i].current;
        if (takes(l) && !is_held(l, t))
            return true;
    }
    return false;
}

/* G4: while a node is there that can take the task, it is not idle for longer than it takes to
 * notice, unless something has befallen the cluster since. */
static void check_idle(sim *s)
{
    int64_t now = sim_now_us(s);

    for (int i = 0; i < s->options.tasks; i++) {
        truth *t = &s->truths[i];
        if (!t->exists || truth_owners(s, t) > 0) {
            t->unserved_us = 0;
            continue;
        }
        if (t->unserved_us == 0 || !has_taker(s, t))
            t->unserved_us = now;
        int64_t since = t->unserved_us > s->unrest_us ? t->unserved_us : s->unrest_us;
        if (now - since <= SIM_SERVICE_US)
            continue;
        trace_views(s, t);
        sim_violated(s, "G4: task %s has had no owner for %.1f s, without a fault", t->id,
                     (double)(now - since) / 1e6);
    }
}

static void on_judge_timer(void *arg)
{
    sim *s = arg;

    check_endings(s);
    check_idle(s);
    for (int i = 0; i < s->life_count; i++) {
        if (!is_there(s->lives[i]))
            continue;
        check_hints(s->lives[i]);
        check_shutdown(s->lives[i]);
    }
    for (int i = 0; i < s->options.tasks; i++)
        for (const handling *h = s->truths[i].runs; h != NULL; h = h->next)
            check_handler(h);
    mf_timer_start(s->fate, &s->judge_timer, sim_now_us(s) + LOOK_US);
}

void judge_start(sim *s)
{
    mf_timer_init(&s->judge_timer, on_judge_timer, s);
    mf_timer_start(s->fate, &s->judge_timer, sim_now_us(s) + LOOK_US);
}

void judge_stop(sim *s)
{
    mf_timer_stop(s->fate, &s->judge_timer);
}
