/* Counts what met what: a run in which a kind of race hardly ever happened proves nothing of it. */
#include <string.h>

#include "consumer/internal.h"
#include "coordinator/internal.h"
#include "sim_internal.h"

static bool has_claims(verb what)
{
    return what == VERB_RELEASE || what == VERB_DONE;
}

void races_reaches_broker(life *l, verb what, const mf_request *copy)
{
    const mf_claims_request *claims = (const mf_claims_request *)copy;

    for (size_t i = 0; has_claims(what) && i < claims->count; i++)
        l->sim->report->repeated_endings += claims->claims[i]->repeated;
}

static bool has_leases(const life *l)
{
    const mf_consumer *c = l->consumer;

    for (size_t i = 0; i < c->running_count; i++)
        if (mf__claim_deadline_us(&c->running[i]->claim) > mf_loop_now_us(l->loop))
            return true;
    return false;
}

void races_decided(life *l, verb what, const mf_request *copy)
{
    sim_report *report = l->sim->report;
    int code = copy->error.code;

    report->stale_renewals += what == VERB_RENEW && (code == MF_ESTALE || code == MF_ENOSESSION);
    if (what == VERB_JOIN && code == MF_OK && !l->crashed && !l->closed)
        report->rejoins += ((const mf_join_request *)copy)->session->epoch > 1 && has_leases(l);
}

/* As the coordinator decides it. */
void races_reaches_node(life *l, verb what, const mf_request *request)
{
    const mf_claims_request *claims = (const mf_claims_request *)request;
    const mf_coordinator *c = l->consumer->coordinator;

    if (what != VERB_CLAIM || request->error.code != MF_OK ||
        request->sent_us + c->lease_us - c->margin_us - c->grace_us > mf_loop_now_us(l->loop))
        return;
    for (size_t i = 0; i < claims->count; i++)
        l->sim->report->late_grants += claims->claims[i]->result == MF_OK;
}

void races_answer_lost(void *arg, verb what)
{
    sim_report *report = ((life *)arg)->sim->report;

    report->lost_joins += what == VERB_JOIN;
    report->lost_claims += what == VERB_CLAIM;
    report->lost_endings += has_claims(what);
    report->lost_stores += what == VERB_STORE;
}

void races_hinted(life *l, link_hint what, const char *const *ids, size_t count)
{
    if (what != HINT_CLAIMABLE || !mf_consumer_draining(l->consumer))
        return;
    for (size_t i = 0; i < count; i++) {
        const mf_task *task = mf__task_find(l->consumer, ids[i]);
        l->sim->report->late_handovers += task != NULL && task->handed_over;
    }
}

void races_submitted(sim *s, const truth *t)
{
    s->report->resubmits += t->run_count > 0;
}

void races_leaves(life *l)
{
    l->sim->report->waiting_endings += l->consumer->ending_count > 0;
}

void races_wakes(life *l)
{
    const mf_consumer *c = l->consumer;

    for (size_t i = 0; i < c->running_count; i++)
        l->sim->report->expired_pauses +=
            mf__claim_deadline_us(&c->running[i]->claim) <= mf_loop_now_us(l->loop);
}
