/* What is true of the tasks, by what the broker decided and what handlers run:
 * G1, G2, G3, G5, G8.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/internal.h"
#include "coordinator/internal.h"
#include "sim_internal.h"

void truth_start(sim *s)
{
    s->truths = calloc((size_t)s->options.tasks, sizeof *s->truths);
    s->contested = calloc((size_t)s->options.tasks, sizeof(truth *));
    for (int i = 0; i < s->options.tasks; i++)
        snprintf(s->truths[i].id, sizeof s->truths[i].id, "%d", i);
}

void truth_free(sim *s)
{
    for (int i = 0; i < s->options.tasks; i++)
        free(s->truths[i].state);
    free(s->truths);
    free(s->contested);
}

truth *truth_of(sim *s, const char *id)
{
    return &s->truths[atoi(id)];
}

/* Who runs what. */

bool truth_owns(const handling *h)
{
    return !h->life->crashed &&
           mf__claim_deadline_us(&h->task->claim) > mf_loop_now_us(h->life->loop);
}

/* A stateful task may be held and not run. */
static size_t holders(const sim *s, const truth *t)
{
    size_t owners = 0;

    for (int i = 0; i < s->options.nodes; i++) {
        const life *l = s->places[i].current;
        owners += l != NULL && stateful_holds(l, t);
    }
    return owners;
}

size_t truth_owners(const sim *s, const truth *t)
{
    size_t owners = 0;

    if (s->stateful)
        return holders(s, t);

    for (const handling *h = t->runs; h != NULL; h = h->next)
        owners += truth_owns(h);
    return owners;
}

static const char *name_of(const life *l)
{
    return l->sim->places[l->name].name;
}

void truth_runs(handling *h)
{
    truth *t = h->truth;
    sim *s = h->life->sim;

    h->next = t->runs;
    t->runs = h;
    t->orphaned = false;
    if (++t->run_count > 1 && !t->contested) {
        t->contested = true;
        s->contested[s->contested_count++] = t;
    }
}

void truth_ends(handling *h)
{
    handling **at = &h->truth->runs;

    while (*at != NULL && *at != h)
        at = &(*at)->next;
    if (*at == NULL)
        return; /* its process has crashed */
    *at = h->next;
    h->truth->run_count--;
}

void truth_forget_life(sim *s, const life *l)
{
    for (int i = 0; i < s->options.tasks; i++) {
        handling **at = &s->truths[i].runs;
        while (*at != NULL) {
            if ((*at)->life != l) {
                at = &(*at)->next;
                continue;
            }
            *at = (*at)->next;
            s->truths[i].run_count--;
        }
    }
}

static void check_owners(sim *s, const truth *t)
{
    const handling *owner = NULL;

    for (const handling *h = t->runs; h != NULL; h = h->next) {
        if (!truth_owns(h) || judge_is_doubtful(h))
            continue;
        if (owner != NULL)
            sim_violated(
                s, "G1: task %s is owned by %s (fence %" PRIu64 ") and %s (fence %" PRIu64 ")",
                t->id, name_of(owner->life), owner->task->claim.fence, name_of(h->life),
                h->task->claim.fence);
        owner = h;
    }
}

void truth_check(sim *s)
{
    for (size_t i = s->contested_count; i-- > 0;) {
        truth *t = s->contested[i];
        check_owners(s, t);
        if (t->run_count > 1)
            continue;
        t->contested = false;
        s->contested[i] = s->contested[--s->contested_count];
    }
}

/* What the broker decides for nodes. */

/* The broker must not grant what somebody's clock says is still theirs. */
static void check_grant(life *l, const truth *t, const mf_claim *claim)
{
    sim *s = l->sim;

    if (!t->exists)
        sim_violated(s, "G5: task %s was granted after its end", claim->id);
    for (const handling *h = t->runs; h != NULL; h = h->next)
        if (h->life != l && truth_owns(h) && !judge_is_doubtful(h))
            sim_violated(s, "G1: task %s was granted to %s while %s owned it", claim->id,
                         name_of(l), name_of(h->life));
}

static void on_granted(life *l, const mf_session *session, const mf_claim *claim)
{
    sim *s = l->sim;
    truth *t = truth_of(s, claim->id);
    bool same = strcmp(session->token, t->token) == 0;

    s->report->grants++;
    sim_trace(s, "broker: %s granted to %s, fence %" PRIu64, claim->id, name_of(l), claim->fence);
    check_grant(l, t, claim);
    if (claim->fence == t->fence && same)
        s->report->repeats++;
    else if (claim->fence <= t->highest_fence)
        sim_violated(s, "G2: task %s was granted with fence %" PRIu64 " after %" PRIu64, claim->id,
                     claim->fence, t->highest_fence);
    else if (!same && t->fence != 0)
        s->report->takeovers++;
    if (claim->fence != t->fence)
        t->removed = false;
    t->fence = claim->fence;
    if (t->fence > t->highest_fence)
        t->highest_fence = t->fence;
    t->held = true;
    t->expires_us = sim_now_us(s) + session->lease_ms * 1000;
    memcpy(t->token, session->token, sizeof t->token);
}

static void on_ended(life *l, const mf_session *session, const mf_claim *claim, bool done)
{
    sim *s = l->sim;
    truth *t = truth_of(s, claim->id);

    sim_trace(s, "broker: %s %s by %s", claim->id, done ? "done" : "released", name_of(l));
    if (claim->fence != t->fence || strcmp(session->token, t->token) != 0)
        sim_violated(s, "G2: a late owner's %s of task %s was applied", done ? "done" : "release",
                     claim->id);
    t->held = false;
    t->finished |= done;
    t->exists &= !done;
    t->doomed &= !done;
}

static void on_claims(life *l, verb what, const mf_claims_request *claims)
{
    for (size_t i = 0; i < claims->count; i++) {
        const mf_claim *claim = claims->claims[i];
        if (what != VERB_CLAIM)
            judge_end_told(l, truth_of(l->sim, claim->id), claim->fence, what == VERB_DONE);
        if (claim->result != MF_OK)
            l->sim->report->refused += what != VERB_CLAIM;
        else if (what == VERB_CLAIM)
            on_granted(l, claims->session, claim);
        else
            on_ended(l, claims->session, claim, what == VERB_DONE);
    }
}

static void on_renewed(sim *s, const mf_renew_request *renew)
{
    for (size_t i = 0; i < renew->count; i++) {
        const mf_claim *claim = renew->lease->claims[i];
        truth *t = truth_of(s, claim->id);
        bool lost = false;
        for (size_t k = 0; k < renew->lost_count; k++)
            lost |= renew->lost[k].index == i;
        if (!lost && t->fence == claim->fence)
            t->expires_us = sim_now_us(s) + renew->session->lease_ms * 1000;
    }
}

/* By its own clock, the process may still act under its name. */
static bool has_session(const life *l)
{
    const mf_coordinator *c = l->crashed || l->closed ? NULL : l->consumer->coordinator;

    return c != NULL && c->joined_once && !mf__session_is_over(c) &&
           c->session_sent_us + c->lease_us - c->margin_us > mf_loop_now_us(l->loop);
}

static void on_joined(life *l, const mf_join_request *join)
{
    sim *s = l->sim;

    sim_trace(s, "broker: %s has joined, epoch %" PRIu64, name_of(l), join->session->epoch);
    for (int i = 0; i < s->life_count; i++)
        if (s->lives[i] != l && s->lives[i]->name == l->name && has_session(s->lives[i]))
            sim_violated(s, "G8: a second process has joined as %s", name_of(l));
    life_joined(l);
}

void truth_decided(life *l, verb what, const mf_request *request)
{
    l->sim->report->late_writes += what == VERB_STORE && request->error.code != MF_OK;
    if (l->sim->over || request->error.code != MF_OK)
        return;
    if (what == VERB_CLAIM || what == VERB_RELEASE || what == VERB_DONE)
        on_claims(l, what, (const mf_claims_request *)request);
    else if (what == VERB_JOIN)
        on_joined(l, (const mf_join_request *)request);
    else if (what == VERB_RENEW)
        on_renewed(l->sim, (const mf_renew_request *)request);
    else
        stateful_decided(l->sim, what, request);
}

/* And for the client. */

/* A request that comes again is answered from memory. */
static bool is_repeated(sim *s, const char *token)
{
    for (size_t i = 0; i < s->token_count; i++)
        if (strcmp(s->tokens[i], token) == 0)
            return true;
    if (s->token_count < SIM_COMMANDS)
        strcpy(s->tokens[s->token_count++], token);
    return false;
}

static bool changes_tasks(verb what)
{
    return what == VERB_SUBMIT || what == VERB_REMOVE || what == VERB_TELL || what == VERB_FORGET;
}

static void on_item(sim *s, verb what, truth *t)
{
    sim_trace(s, "broker: %s %s", t->id, what == VERB_SUBMIT ? "submitted" : "removed");
    if (what == VERB_REMOVE && t->exists && t->held)
        t->removed_us = sim_now_us(s);
    t->removed |= what == VERB_REMOVE;
    t->finished = false;
    if (what == VERB_SUBMIT)
        races_submitted(s, t);
    t->created += what == VERB_SUBMIT;
    t->exists = what == VERB_SUBMIT;
    t->doomed = false;
}

void truth_client_decided(sim *s, verb what, const mf_request *request)
{
    const mf_items_request *items = (const mf_items_request *)request;

    if (s->over || request->error.code != MF_OK || !changes_tasks(what) ||
        is_repeated(s, items->token))
        return;
    for (size_t i = 0; i < items->count; i++) {
        truth *t = truth_of(s, items->items[i].id);
        if (items->items[i].result != MF_OK)
            continue;
        if (what == VERB_TELL || what == VERB_FORGET)
            stateful_item_decided(s, what, t, items->items[i].properties);
        else
            on_item(s, what, t);
    }
}
