/* Claims and endings on their way to the broker, gathered into batches.
 *
 * A batch without an answer is taken apart and its claims go back to the front of their queues, to
 * be asked again under the session's next epoch. An ending that is refused is asked again as well,
 * until its lease has ended.
 *
 * Fairness is the one rule by which batches are sent: each kind of request that waits, those of
 * state.c among them, has its turn. */
#include <stdlib.h>

#include "coordinator/internal.h"
#include "executed.h"

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

/* The consumer will not be told of this answer. */
static void put_back(mf_claim *claim, enum claim_state state, claim_list *queue)
{
    free(claim->properties);
    claim->properties = NULL;
    claim->state = (uint8_t)state;
    mf__claims_append(queue, claim);
}

/* A claim that was granted so long ago that little is left of it is asked for again: the broker
 * answers with the same fence and a new lease. One for which there is no memory is released before
 * the consumer hears of it. */
static void on_granted(mf_coordinator *me, mf_claim *claim, int64_t sent_us)
{
    int64_t deadline = sent_us + me->lease_us - me->margin_us;
    bool over = me->claiming_stopped || mf__session_is_over(me);

    if (deadline - me->grace_us <= mf_loop_now_us(me->loop) && !over) {
        put_back(claim, CLAIM_WANTED, &me->wanted);
    } else if (mf__lease_grant(me, claim, deadline)) {
        claim->state = CLAIM_HELD;
        me->events->granted(me->arg, claim, MF_OK);
    } else {
        claim->outcome = MF_RELEASE;
        put_back(claim, CLAIM_ENDING, &me->releasing.waiting);
    }
}

static void on_claim_answer(mf_coordinator *me, mf_claim *claim, int code, int64_t sent_us)
{
    if (code == MF_EUNREACHABLE && !me->claiming_stopped) { /* the broker has not got to it */
        put_back(claim, CLAIM_WANTED, &me->wanted);
        return;
    }
    claim->repeated = false;
    if (code == MF_OK) {
        on_granted(me, claim, sent_us);
        return;
    }
    claim->state = CLAIM_IDLE;
    me->events->granted(me->arg, claim, code);
}

static end_queue *end_queue_of(mf_coordinator *me, const mf_claim *claim)
{
    return claim->outcome == MF_DONE ? &me->finishing : &me->releasing;
}

/* An ending that the broker would refuse as late is answered here; so is, while draining, one whose
 * lease is over and that cannot be told, since the broker is gone or refuses it. Else it is told
 * when the broker takes it, however late: to one that has kept the session, and with it the claim,
 * nobody else would make the task claimable again. */
static bool is_forfeited(const mf_coordinator *me, const mf_claim *claim)
{
    if (claim->life == CLAIM_LOST || !me->claiming_stopped)
        return claim->life == CLAIM_LOST;
    if (claim->refused)
        return claim->life >= CLAIM_OVER || claim->lease == NULL;
    return !mf__session_is_joined(me) && (claim->life >= CLAIM_REMOVED || claim->lease == NULL);
}

/* Answered with the next pump, since no driver has anything to do with it. In no list. */
static void forfeit(mf_coordinator *me, mf_claim *claim)
{
    claim->state = CLAIM_TOLD;
    claim->result = claim->life == CLAIM_LOST ? MF_ELATE
                    : claim->refused          ? MF_EREFUSED
                                              : MF_EUNREACHABLE;
    mf__claims_append(&me->forfeited, claim);
    mf_defer(me->loop, &me->pump_call);
}

static void on_end_answered(mf_coordinator *me, mf_claim *claim, int code)
{
    if (claim->refused)
        end_queue_of(me, claim)->refusals = 0;
    claim->repeated = claim->refused = false;
    mf__lease_end(me, claim, code);
}

/* Many that are refused together are asked again together. */
static void on_end_refused(mf_coordinator *me, mf_claim *claim, int code)
{
    end_queue *queue = end_queue_of(me, claim);

    if (!claim->refused)
        mf_log(me->loop, MF_LOG_ERROR, "coordinator", "task %s: its ending is refused: %s",
               claim->id, mf_strerror(code));
    claim->refused = true;
    if (is_forfeited(me, claim)) {
        forfeit(me, claim);
        return;
    }
    claim->state = CLAIM_REFUSED;
    mf__claims_append(&queue->refused, claim);
    if (queue->timer.heap_slot == 0)
        mf_timer_start(me->loop, &queue->timer,
                       mf_loop_now_us(me->loop) + mf__pause_us(me, ++queue->refusals));
}

static void put_back_refused(end_queue *queue)
{
    while (queue->refused.first != NULL) {
        mf_claim *claim = queue->refused.first;
        mf__claims_remove(&queue->refused, claim);
        claim->state = CLAIM_ENDING;
        mf__claims_append(&queue->waiting, claim);
    }
}

static void ask_refused_again(void *arg)
{
    end_queue *queue = arg;

    put_back_refused(queue);
    mf_defer(queue->coordinator->loop, &queue->coordinator->pump_call);
}

/* The answer to a repeated ending may be that of its first try, which succeeded. */
static void on_end_answer(mf_coordinator *me, mf_claim *claim, int code)
{
    if (claim->repeated && (code == MF_EGONE || (code == MF_ELATE && claim->outcome == MF_RELEASE)))
        code = MF_OK;
    if (code == MF_OK || code == MF_ELATE || code == MF_EGONE)
        on_end_answered(me, claim, code);
    else
        on_end_refused(me, claim, code);
}

static void on_answer(batch *b, mf_claim *claim, int code)
{
    if (b->queue == &b->coordinator->wanted)
        on_claim_answer(b->coordinator, claim, code, b->request.request.sent_us);
    else
        on_end_answer(b->coordinator, claim, code);
}

static void ask_again(batch *b, int code)
{
    mf_coordinator *me = b->coordinator;

    for (size_t i = b->request.count; i-- > 0;) {
        mf_claim *claim = b->claims[i];
        bool asked = claim->state == CLAIM_ASKED;
        claim->repeated |= mf__may_be_executed(code);
        if (!asked && is_forfeited(me, claim)) {
            forfeit(me, claim);
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
        mf__session_broken(me, code);
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

/* What waits is sent later, when some may have been freed. */
void mf__batch_lacks_memory(mf_coordinator *me)
{
    if (me->memory_timer.heap_slot == 0)
        mf_timer_start(me->loop, &me->memory_timer, mf_loop_now_us(me->loop) + mf__pause_us(me, 1));
}

static void on_memory_timer(void *arg)
{
    mf_coordinator *me = arg;
    mf_defer(me->loop, &me->pump_call);
}

/* Sends up to a batch from the queue; false: nothing was there, or no memory. */
static bool send(mf_coordinator *me, claim_list *queue, uint8_t state, batch_slot slot)
{
    if (queue->first == NULL)
        return false;
    batch *b = malloc(sizeof *b + me->broker->max_batch * sizeof *b->claims);
    if (b == NULL) {
        mf__batch_lacks_memory(me);
        return false;
    }
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
        on_end_answered(me, claim, claim->result);
    }
}

static void sweep(mf_coordinator *me, claim_list *list)
{
    for (mf_claim *claim = list->first, *next; claim != NULL; claim = next) {
        next = claim->next;
        if (!is_forfeited(me, claim))
            continue;
        mf__claims_remove(list, claim);
        forfeit(me, claim);
    }
}

/* A long queue is gone through when one of the things has happened that all in it depend on, not
 * each time. */
static void sweep_if_wanted(mf_coordinator *me)
{
    if (!me->sweep)
        return;
    me->sweep = false;
    sweep(me, &me->finishing.waiting);
    sweep(me, &me->releasing.waiting);
    sweep(me, &me->finishing.refused);
    sweep(me, &me->releasing.refused);
}

void mf__batch_cut_off(mf_coordinator *me)
{
    me->sweep = true;
    mf_defer(me->loop, &me->pump_call);
}

void mf__batch_lease_over(mf_coordinator *me, mf_claim *claim)
{
    end_queue *queue = end_queue_of(me, claim);
    bool refused = claim->state == CLAIM_REFUSED;

    if (!is_forfeited(me, claim) || !(refused || claim->state == CLAIM_ENDING))
        return;
    mf__claims_remove(refused ? &queue->refused : &queue->waiting, claim);
    forfeit(me, claim);
}

static bool send_done(mf_coordinator *me)
{
    return send(me, &me->finishing.waiting, CLAIM_TOLD, me->broker->operations->done);
}

static bool send_release(mf_coordinator *me)
{
    return send(me, &me->releasing.waiting, CLAIM_TOLD, me->broker->operations->release);
}

static bool send_claim(mf_coordinator *me)
{
    return send(me, &me->wanted, CLAIM_ASKED, me->broker->operations->claim);
}

/* Sends a batch of the next kind of which something waits; false: of none. */
static bool send_next(mf_coordinator *me)
{
    static bool (*const kinds[])(mf_coordinator * me) = {
        send_done, send_release, send_claim, mf__state_send_stores, mf__state_send_loads};
    enum { COUNT = sizeof kinds / sizeof *kinds };

    for (int i = 0; i < COUNT; i++) {
        me->turn = (me->turn + 1) % COUNT;
        if (kinds[me->turn](me))
            return true;
    }
    return false;
}

static void pump(void *arg)
{
    mf_coordinator *me = arg;

    sweep_if_wanted(me);
    drop_forfeited(me);
    if (me->claiming_stopped)
        drop_wanted(me);
    while (mf__session_is_joined(me) && me->batches < batches_limit && send_next(me))
        ;
    if (mf__session_is_over(me))
        mf__batch_drop_all(me);
}

static void start_queue(mf_coordinator *me, end_queue *queue)
{
    queue->coordinator = me;
    mf_timer_init(&queue->timer, ask_refused_again, queue);
}

void mf__batch_start(mf_coordinator *me)
{
    mf_deferred_init(&me->pump_call, pump, me);
    mf_timer_init(&me->memory_timer, on_memory_timer, me);
    start_queue(me, &me->finishing);
    start_queue(me, &me->releasing);
    mf__state_start(me);
}

void mf__coordinator_claim(mf_coordinator *me, mf_claim *claim)
{
    claim->state = CLAIM_WANTED;
    mf__claims_append(&me->wanted, claim);
    mf_defer(me->loop, &me->pump_call);
}

void mf__coordinator_end(mf_coordinator *me, mf_claim *claim, mf_outcome outcome)
{
    claim->outcome = (uint8_t)outcome;
    if (is_forfeited(me, claim)) {
        forfeit(me, claim);
        return;
    }
    claim->state = CLAIM_ENDING;
    mf__claims_append(&end_queue_of(me, claim)->waiting, claim);
    mf_defer(me->loop, &me->pump_call);
}

void mf__coordinator_stop_claiming(mf_coordinator *me)
{
    me->claiming_stopped = true;
    mf__batch_cut_off(me);
}

static void drop_ends(mf_coordinator *me, end_queue *queue)
{
    put_back_refused(queue);
    mf_timer_stop(me->loop, &queue->timer);
    while (queue->waiting.first != NULL) {
        mf_claim *claim = queue->waiting.first;
        mf__claims_remove(&queue->waiting, claim);
        on_end_answered(me, claim, MF_EUNREACHABLE);
    }
}

void mf__batch_drop_all(mf_coordinator *me)
{
    mf_timer_stop(me->loop, &me->memory_timer);
    drop_wanted(me);
    drop_forfeited(me);
    mf__state_drop_all(me);
    drop_ends(me, &me->finishing);
    drop_ends(me, &me->releasing);
}
