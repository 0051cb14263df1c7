/* Rules broken on purpose, on the way between a node and the broker. */
#include "mutation.h"

#include <stdlib.h>
#include <string.h>

#include "consumer/internal.h"
#include "coordinator/internal.h"
#include "sim_internal.h"

mutation mutation_in_force;

static const struct {
    const char *name, *text;
} table[MUTATIONS] = {{"none", "nothing is broken"},
#define ROW(id, name, text) {name, text},
                      SIM_LINK_MUTATIONS(ROW) SIM_CORE_MUTATIONS(ROW)
#undef ROW
};

const char *mutation_name(mutation m)
{
    return table[m].name;
}

const char *mutation_text(mutation m)
{
    return table[m].text;
}

static bool is_on(const life *l, mutation m)
{
    return l->sim->options.mutation == m && !l->sim->over;
}

static bool has_deadline(verb what)
{
    return what == VERB_JOIN || what == VERB_RENEW || what == VERB_CLAIM;
}

void mutation_leaves_node(void *arg, verb what, mf_request *request)
{
    life *l = arg;

    if (is_on(l, MUTATION_NO_MARGIN) && has_deadline(what))
        request->sent_us += l->consumer->coordinator->margin_us;
}

static void swap_commands(mf_receive_request *receive)
{
    mf_command_record *commands = (mf_command_record *)receive->commands; /* the message's own */

    if (receive->request.error.code != MF_OK || receive->count < 2)
        return;
    mf_command_record first = commands[0], *last = &commands[receive->count - 1];
    commands[0] = (mf_command_record){first.sequence, last->json, last->length};
    *last = (mf_command_record){last->sequence, first.json, first.length};
}

void mutation_reaches_node(void *arg, verb what, mf_request *request)
{
    life *l = arg;

    if (is_on(l, MUTATION_DEADLINE_FROM_ANSWER) && has_deadline(what))
        request->sent_us = mf_loop_now_us(l->loop);
    if (is_on(l, MUTATION_COMMANDS_OUT_OF_ORDER) && what == VERB_RECEIVE)
        swap_commands((mf_receive_request *)request);
}

/* A release, or a write of the state, in the name of whoever has the task. */
typedef struct forgery {
    union {
        mf_request head;
        mf_claims_request release;
        mf_store_request store;
    } request; /* first */
    mf_session session;
    mf_claim claim, *claims[1];
    mf_write write;
} forgery;

static void on_forged(mf_request *request)
{
    free(request);
}

static const life *owner_of(const sim *s, const truth *t)
{
    for (int i = 0; i < s->life_count; i++)
        if (!s->lives[i]->closed && s->lives[i]->consumer->coordinator != NULL &&
            strcmp(s->lives[i]->consumer->coordinator->session.token, t->token) == 0)
            return s->lives[i];
    return NULL;
}

/* NULL: nobody has it, or who has it is the one that asks. */
static forgery *begin_forgery(sim *s, const truth *t, const mf_session *asks)
{
    const life *owner = owner_of(s, t);

    if (!t->held || strcmp(t->token, asks->token) == 0 || owner == NULL)
        return NULL;
    forgery *f = calloc(1, sizeof *f);
    f->session = owner->consumer->coordinator->session;
    f->request.head.done = on_forged;
    return f;
}

static void forge_release(sim *s, const mf_claims_request *claims, size_t index)
{
    truth *t = truth_of(s, claims->claims[index]->id);
    forgery *f = begin_forgery(s, t, claims->session);

    if (f == NULL)
        return;
    f->claim = (mf_claim){.id = t->id, .fence = t->fence};
    f->claims[0] = &f->claim;
    f->request.release.session = &f->session;
    f->request.release.claims = f->claims;
    f->request.release.count = 1;
    sim_trace(s, "broken rule: %s is released by another", t->id);
    s->direct->operations->release(s->direct, &f->request.release);
}

static void forge_state(sim *s, const mf_store_request *store, size_t index)
{
    truth *t = truth_of(s, store->writes[index].id);
    forgery *f = begin_forgery(s, t, store->session);

    if (f == NULL)
        return;
    f->write = store->writes[index];
    f->write.fence = t->fence;
    f->request.store.session = &f->session;
    f->request.store.writes = &f->write;
    f->request.store.count = 1;
    sim_trace(s, "broken rule: the state of %s is written by another", t->id);
    s->direct->operations->store(s->direct, &f->request.store);
}

void mutation_reaches_broker(void *arg, verb what, mf_request *copy)
{
    life *l = arg;

    if (is_on(l, MUTATION_RELEASE_UNFENCED) && what == VERB_RELEASE)
        for (size_t i = 0; i < ((mf_claims_request *)copy)->count; i++)
            forge_release(l->sim, (mf_claims_request *)copy, i);
    if (is_on(l, MUTATION_STATE_UNFENCED) && what == VERB_STORE)
        for (size_t i = 0; i < ((mf_store_request *)copy)->count; i++)
            forge_state(l->sim, (mf_store_request *)copy, i);
}

static void take_for_own(sim *s, mf_claims_request *claims)
{
    for (size_t i = 0; i < claims->count; i++) {
        mf_claim *claim = claims->claims[i];
        if (!claim->repeated || claim->result != MF_ETAKEN)
            continue;
        claim->result = MF_OK;
        claim->fence = truth_of(s, claim->id)->fence;
    }
}

static void show_stale_index(sim *s, mf_page_request *page)
{
    size_t count = 0;

    if (s->stale_index == NULL)
        s->stale_index = calloc((size_t)s->options.tasks * 2, sizeof *s->stale_index);
    for (size_t i = 0; i < page->count; i++)
        s->stale_index[count++].id = truth_of(s, page->records[i].id)->id;
    for (int i = 0; i < s->options.tasks; i++)
        if (!s->truths[i].exists && s->truths[i].fence != 0)
            s->stale_index[count++].id = s->truths[i].id;
    page->records = s->stale_index;
    page->count = count;
}

void mutation_leaves_broker(void *arg, verb what, mf_request *copy)
{
    life *l = arg;

    if (copy->error.code != MF_OK)
        return;
    if (is_on(l, MUTATION_LOSS_NOT_TOLD) && what == VERB_RENEW)
        ((mf_renew_request *)copy)->lost_count = 0;
    if (is_on(l, MUTATION_NO_RECONCILE) && what == VERB_CLAIMABLE)
        ((mf_page_request *)copy)->count = 0;
    if (is_on(l, MUTATION_CLAIM_WITHOUT_TOKEN) && what == VERB_CLAIM)
        take_for_own(l->sim, (mf_claims_request *)copy);
    if (is_on(l, MUTATION_INDEX_NOT_CLEANED) && what == VERB_CLAIMABLE)
        show_stale_index(l->sim, (mf_page_request *)copy);
}
