/* Claims and endings on their way to the broker, gathered into batches.
 *
 * A batch without an answer is taken apart and its claims go back to the front of their queues, to
 * be asked again under the session's next epoch. */
#include <stdlib.h>

#include "coordinator/internal.h"

/* Enough to keep a broker busy over a network's round trip; few enough that an ending does not wait
 * long behind claims. */
enum { batches_limit = 16 };

typedef void (*batch_slot)(mf_broker *broker, mf_claims_request *request);

typedef struct batch {
    mf_claims_request request; /* first: a batch is found by its request */
    mf_coordinator *coordinator;
    claim_list *queue;
    mf_claim *claims[];
} batch;

void mf__claims_append(claim_list *list, mf_claim *claim)
{
    claim->next = NULL;
    claim->previous = list->last;
    if (list->last != NULL)
        list->last->next = claim;
    else
        list->first = claim;
    list->last = claim;
}

static void prepend(claim_list *list, mf_claim *claim)
{
    claim->previous = NULL;
    claim->next = list->first;
    if (list->first != NULL)
        list->first->previous = claim;
    else
        list->last = claim;
    list->first = claim;
}

void mf__claims_remove(claim_list *list, mf_claim *claim)
{
    if (claim->previous != NULL)
        claim->previous->next = claim->next;
    else
        list->first = claim->next;
    if (claim->next != NULL)
        claim->next->previous = claim->previous;
    else
        list->last = claim->previous;
    claim->next = claim->previous = NULL;
}

/* A claim that was granted so long ago that little is left of it is asked for again: the broker
 * answers with the same fence and a new lease. */
static void on_granted(mf_coordinator *me, mf_claim *claim, int64_t sent_us)
{
    int64_t deadline = sent_us + me->lease_us - me->margin_us;

    if (deadline - me->grace_us <= mf_loop_now_us(me->loop) && !me->failed && !me->closing) {
        free(claim->properties);
        claim->properties = NULL;
        claim->state = CLAIM_WANTED;
        mf__claims_append(&me->wanted, claim);
        return;
    }
    claim->state = CLAIM_HELD;
    mf__lease_grant(me, claim, deadline);
    me->events->granted(me->arg, claim, MF_OK);
}

static void on_claim_answer(mf_coordinator *me, mf_claim *claim, int code, int64_t sent_us)
{
    claim->repeated = false;
    if (code == MF_OK) {
        on_granted(me, claim, sent_us);
        return;
    }
    claim->state = CLAIM_IDLE;
    me->events->granted(me->arg, claim, code);
}

/* The answer to a repeated ending may be that of its first try, which succeeded. */
static void on_end_answer(mf_coordinator *me, mf_claim *claim, int code)
{
    if (claim->repeated && (code == MF_EGONE || (code == MF_ELATE && claim->outcome == MF_RELEASE)))
        code = MF_OK;
    claim->repeated = false;
    mf__lease_end(me, claim, code);
}

static void on_answer(batch *b, mf_claim *claim, int code)
{
    if (b->queue == &b->coordinator->wanted)
        on_claim_answer(b->coordinator, claim, code, b->request.request.sent_us);
    else
        on_end_answer(b->coordinator, claim, code);
}

/* An ending that the broker would refuse is answered here; so is, while draining, one that waits
 * for a broker that is gone until after the lease. Else it is told when the broker is back: in one
 * that has kept the session, nobody else would make the task claimable again. */
static bool is_forfeited(const mf_coordinator *me, const mf_claim *claim)
{
    return claim->life == CLAIM_LOST ||
           (me->claiming_stopped && !me->joined && claim->life >= CLAIM_REMOVED);
}

static void ask_again(batch *b, int code)
{
    mf_coordinator *me = b->coordinator;

    for (size_t i = b->request.count; i-- > 0;) {
        mf_claim *claim = b->claims[i];
        bool asked = claim->state == CLAIM_ASKED;
        claim->repeated |= code == MF_EUNKNOWN;
        if (!asked && is_forfeited(me, claim)) {
            mf__claims_append(&me->forfeited, claim);
            continue;
        }
        claim->state = asked ? CLAIM_WANTED : CLAIM_ENDING;
        prepend(b->queue, claim);
    }
}

static void on_batch(mf_request *request)
{
    batch *b = (batch *)request;
    mf_coordinator *me = b->coordinator;
    int code = request->error.code;

    me->in_flight--;
    me->batches--;
    if (mf_error_is_transient(code)) {
        mf__session_broken(me);
        ask_again(b, code);
    } else {
        if (code != MF_OK)
            mf_log(me->loop, MF_LOG_ERROR, "coordinator", "%zu tasks not %s: %s", b->request.count,
                   b->queue == &me->wanted ? "claimed" : "ended", request->error.text);
        for (size_t i = 0; i < b->request.count; i++)
            on_answer(b, b->claims[i], code != MF_OK ? code : b->claims[i]->result);
    }
    free(b);
    mf_defer(me->loop, &me->pump_call);
    mf__request_came_back(me);
}

/* Sends up to a batch from the queue; false: nothing was there. */
static bool send(mf_coordinator *me, claim_list *queue, uint8_t state, batch_slot slot)
{
    if (queue->first == NULL)
        return false;
    batch *b = malloc(sizeof *b + me->broker->max_batch * sizeof *b->claims);
    if (b == NULL)
        return false;
    *b = (batch){
        .request = {.request = {.done = on_batch}, .session = &me->session, .claims = b->claims},
        .coordinator = me,
        .queue = queue,
    };
    while (queue->first != NULL && b->request.count < me->broker->max_batch) {
        mf_claim *claim = queue->first;
        mf__claims_remove(queue, claim);
        claim->state = state;
        b->claims[b->request.count++] = claim;
    }
    me->in_flight++;
    me->batches++;
    slot(me->broker, &b->request);
    return true;
}

static void drop_wanted(mf_coordinator *me)
{
    while (me->wanted.first != NULL) {
        mf_claim *claim = me->wanted.first;
        mf__claims_remove(&me->wanted, claim);
        on_claim_answer(me, claim, MF_ECLOSED, 0);
    }
}

static void drop_forfeited(mf_coordinator *me)
{
    while (me->forfeited.first != NULL) {
        mf_claim *claim = me->forfeited.first;
        mf__claims_remove(&me->forfeited, claim);
        mf__lease_end(me, claim, MF_ELATE);
    }
}

static void drop_end(mf_coordinator *me, mf_claim *claim, int code)
{
    mf__claims_remove(claim->outcome == MF_DONE ? &me->finishing : &me->releasing, claim);
    mf__lease_end(me, claim, code);
}

static void drop_late_ends(mf_coordinator *me, claim_list *queue)
{
    for (mf_claim *claim = queue->first, *next; claim != NULL; claim = next) {
        next = claim->next;
        if (is_forfeited(me, claim))
            drop_end(me, claim, MF_EUNREACHABLE);
    }
}

static void pump(void *arg)
{
    mf_coordinator *me = arg;
    const mf_broker_operations *operations = me->broker->operations;

    drop_forfeited(me);
    if (me->claiming_stopped) {
        drop_wanted(me);
        drop_late_ends(me, &me->finishing);
        drop_late_ends(me, &me->releasing);
    }
    mf__state_pump(me, batches_limit);
    while (me->joined && me->batches < batches_limit)
        if (!send(me, &me->finishing, CLAIM_TOLD, operations->done) &&
            !send(me, &me->releasing, CLAIM_TOLD, operations->release) &&
            !send(me, &me->wanted, CLAIM_ASKED, operations->claim))
            break;
    if (me->failed || me->closing)
        mf__batch_drop_all(me);
}

void mf__batch_start(mf_coordinator *me)
{
    mf_deferred_init(&me->pump_call, pump, me);
}

void mf__coordinator_claim(mf_coordinator *me, mf_claim *claim)
{
    claim->state = CLAIM_WANTED;
    mf__claims_append(&me->wanted, claim);
    mf_defer(me->loop, &me->pump_call);
}

void mf__coordinator_end(mf_coordinator *me, mf_claim *claim, mf_outcome outcome)
{
    claim_list *queue = outcome == MF_DONE ? &me->finishing : &me->releasing;
    bool forfeited = is_forfeited(me, claim);

    claim->state = forfeited ? CLAIM_TOLD : CLAIM_ENDING;
    claim->outcome = (uint8_t)outcome;
    mf__claims_append(forfeited ? &me->forfeited : queue, claim);
    mf_defer(me->loop, &me->pump_call);
}

void mf__coordinator_stop_claiming(mf_coordinator *me)
{
    me->claiming_stopped = true;
    mf_defer(me->loop, &me->pump_call);
}

void mf__batch_lease_over(mf_coordinator *me, mf_claim *claim)
{
    if (claim->state == CLAIM_ENDING && is_forfeited(me, claim))
        mf_defer(me->loop, &me->pump_call);
}

void mf__batch_drop_all(mf_coordinator *me)
{
    drop_wanted(me);
    drop_forfeited(me);
    mf__state_drop_all(me);
    while (me->finishing.first != NULL)
        drop_end(me, me->finishing.first, MF_EUNREACHABLE);
    while (me->releasing.first != NULL)
        drop_end(me, me->releasing.first, MF_EUNREACHABLE);
}
