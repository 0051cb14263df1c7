/* Leases: claims that are renewed together, and what happens when they cannot be.
 *
 * A claim stays in its lease, with a deadline of its own, until it has been ended: also one that is
 * renewed no more since its task was removed, another node has it, or its time is up. So the lease
 * needs two timers for all: one for the renewal that the claim with the earliest deadline needs,
 * one for what the consumer has to be told next. */
#include <assert.h>
#include <stdlib.h>

#include "coordinator/internal.h"

struct lease {
    mf_lease head; /* first: what the driver sees */
    mf_coordinator *coordinator;
    lease *next, *previous;
    mf_timer renew_timer, deadline_timer;
    mf_renew_request renew; /* renew.count: what a renewal under way covers, from the first on */
    int64_t asked_us;       /* since when the renewal is under way */
    unsigned refusals;      /* in a row */
    bool renewing, renew_again;
    claim_list ended; /* endings that wait for the renewal under way, which still names them */
};

static lease *lease_of(mf_claim *claim)
{
    return (lease *)claim->lease;
}

static void set_deadline(mf_claim *claim, int64_t deadline_us)
{
    __atomic_store_n(&claim->deadline_us, deadline_us, __ATOMIC_RELAXED);
}

static void link_lease(mf_coordinator *me, lease *l)
{
    l->next = me->leases;
    if (l->next != NULL)
        l->next->previous = l;
    me->leases = l;
}

static void free_lease(lease *l)
{
    mf_coordinator *me = l->coordinator;

    mf_timer_stop(me->loop, &l->renew_timer);
    mf_timer_stop(me->loop, &l->deadline_timer);
    if (l->previous != NULL)
        l->previous->next = l->next;
    else
        me->leases = l->next;
    if (l->next != NULL)
        l->next->previous = l->previous;
    if (me->filling == l)
        me->filling = NULL;
    free(l->head.claims);
    free(l->renew.lost);
    free(l);
}

void mf__leases_free(mf_coordinator *me)
{
    while (me->leases != NULL)
        free_lease(me->leases);
}

static void put(lease *l, size_t slot, mf_claim *claim)
{
    l->head.claims[slot] = claim;
    claim->slot = (uint32_t)slot;
}

/* Takes the claim out of its lease; the lease itself goes with its last claim. */
static void detach(mf_claim *claim)
{
    lease *l = lease_of(claim);

    put(l, claim->slot, l->head.claims[--l->head.count]);
    claim->lease = NULL;
    if (l->head.count == 0 && !l->renewing)
        free_lease(l);
    else if (l->coordinator->filling == NULL)
        l->coordinator->filling = l;
}

static bool is_being_renewed(mf_claim *claim)
{
    return lease_of(claim)->renewing && claim->slot < lease_of(claim)->renew.count;
}

static void answer_end(mf_coordinator *me, mf_claim *claim, int code)
{
    claim->state = CLAIM_IDLE;
    if (claim->lease == NULL) {
        me->events->granted(me->arg, claim, MF_ENOMEM);
        return;
    }
    detach(claim);
    me->events->ended(me->arg, claim, code);
}

void mf__lease_end(mf_coordinator *me, mf_claim *claim, int code)
{
    claim->result = code;
    mf__holding_remove(me, claim);
    if (claim->lease != NULL && is_being_renewed(claim))
        mf__claims_append(&lease_of(claim)->ended, claim);
    else
        answer_end(me, claim, code);
}

/* Deadlines. */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When the consumer has to be told of the claim next; INT64_MAX: never. */
static int64_t next_event_us(const mf_coordinator *me, const mf_claim *claim)
{
    if (claim->life >= CLAIM_OVER)
        return INT64_MAX;
    return claim->life == CLAIM_FIRM ? claim->deadline_us - me->grace_us : claim->deadline_us;
}

static void arm_deadline(lease *l)
{
    mf_coordinator *me = l->coordinator;
    int64_t due = INT64_MAX;

    for (size_t i = 0; i < l->head.count; i++)
        due = earlier(due, next_event_us(me, l->head.claims[i]));
    if (due == INT64_MAX)
        mf_timer_stop(me->loop, &l->deadline_timer);
    else
        mf_timer_start(me->loop, &l->deadline_timer, due);
}

/* The consumer only queues what it decides, so the lease stays as it is in these. */

static void tell_expiring(mf_coordinator *me, mf_claim *claim)
{
    claim->life = CLAIM_EXPIRING;
    if (claim->state == CLAIM_HELD)
        me->events->lost(me->arg, claim, MF_STOP_EXPIRING);
}

static void tell_over(mf_coordinator *me, mf_claim *claim)
{
    claim->life = CLAIM_OVER;
    if (claim->state == CLAIM_HELD)
        me->events->expired(me->arg, claim, claim->deadline_us);
    else
        mf__batch_lease_over(me, claim);
}

static void on_deadline_timer(void *arg)
{
    lease *l = arg;
    mf_coordinator *me = l->coordinator;
    int64_t now = mf_loop_now_us(me->loop);

    for (size_t i = 0; i < l->head.count; i++) {
        mf_claim *claim = l->head.claims[i];
        if (claim->life == CLAIM_FIRM && next_event_us(me, claim) <= now)
            tell_expiring(me, claim);
        if (next_event_us(me, claim) <= now)
            tell_over(me, claim);
    }
    arm_deadline(l);
}

/* Renewal. */

/* A drain waits for an ending that is refused only as long as the lease lasts. */
static bool is_renewed(const mf_coordinator *me, const mf_claim *claim)
{
    return (claim->life == CLAIM_FIRM || claim->life == CLAIM_EXPIRING) &&
           !(claim->refused && me->claiming_stopped);
}

/* What is renewed goes to the front, where the driver looks for it; returns how many these are. */
static size_t sort_out(lease *l)
{
    size_t count = 0;

    for (size_t i = 0; i < l->head.count; i++) {
        mf_claim *claim = l->head.claims[i];
        if (!is_renewed(l->coordinator, claim))
            continue;
        put(l, i, l->head.claims[count]);
        put(l, count++, claim);
    }
    return count;
}

static void renew(lease *l)
{
    mf_coordinator *me = l->coordinator;

    if (l->renewing) {
        l->renew_again = true;
        return;
    }
    l->renew.count = mf__session_is_joined(me) ? sort_out(l) : 0;
    if (l->renew.count == 0)
        return;
    mf_timer_stop(me->loop, &l->renew_timer);
    l->renewing = true;
    l->asked_us = mf_loop_now_us(me->loop);
    l->renew.lost_count = 0;
    l->renew.held = MF_HELD_UNKNOWN;
    me->in_flight++;
    me->broker->operations->renew(me->broker, &l->renew);
}

static void on_renew_timer(void *arg)
{
    renew(arg);
}

/* A third of the lease after the claim was last renewed; for one that was granted late, at once. */
static int64_t renewal_due_us(const mf_coordinator *me, int64_t deadline_us)
{
    return deadline_us + me->margin_us - me->lease_us + me->lease_us / 3;
}

static void arm_renewal(lease *l)
{
    int64_t deadline = INT64_MAX;

    for (size_t i = 0; i < l->head.count; i++)
        if (is_renewed(l->coordinator, l->head.claims[i]))
            deadline = earlier(deadline, l->head.claims[i]->deadline_us);
    if (deadline != INT64_MAX)
        mf_timer_start(l->coordinator->loop, &l->renew_timer,
                       renewal_due_us(l->coordinator, deadline));
}

/* One whose deadline has passed while the answer was on its way stays over: its interval has ended.
 * Claims that joined the lease meanwhile keep their own, earlier deadline. */
static void prolong(lease *l, int64_t sent_us)
{
    mf_coordinator *me = l->coordinator;
    int64_t deadline = sent_us + me->lease_us - me->margin_us;
    bool firm = mf_loop_now_us(me->loop) < deadline - me->grace_us;

    for (size_t i = 0; i < l->renew.count; i++) {
        mf_claim *claim = l->head.claims[i];
        if (!is_renewed(me, claim))
            continue;
        set_deadline(claim, deadline);
        if (firm)
            claim->life = CLAIM_FIRM;
    }
}

/* In force until its deadline: a task that is submitted anew waits for it. */
static void tell_removed(mf_coordinator *me, mf_claim *claim)
{
    if (claim->life < CLAIM_REMOVED)
        claim->life = CLAIM_REMOVED;
    if (claim->state == CLAIM_HELD)
        me->events->lost(me->arg, claim, MF_STOP_DELETED);
}

/* The consumer may end it at once when it is told to stop. */
static void tell_lost(mf_coordinator *me, mf_claim *claim)
{
    bool over = claim->life >= CLAIM_OVER;

    claim->life = CLAIM_LOST;
    mf__holding_remove(me, claim);
    set_deadline(claim, earlier(claim->deadline_us, mf_loop_now_us(me->loop)));
    if (claim->state == CLAIM_HELD)
        me->events->lost(me->arg, claim, MF_STOP_LOST);
    if (claim->state == CLAIM_HELD && !over)
        me->events->expired(me->arg, claim, claim->deadline_us);
}

/* To those that are being ended the answer to their ending tells. */
static void tell_what_is_lost(lease *l)
{
    for (size_t i = 0; i < l->renew.lost_count; i++) {
        const mf_lost_claim *lost = &l->renew.lost[i];
        assert(lost->index < l->renew.count);
        mf_claim *claim = l->head.claims[lost->index];
        (lost->code == MF_EGONE ? tell_removed : tell_lost)(l->coordinator, claim);
    }
}

static void answer_ended(lease *l)
{
    while (l->ended.first != NULL) {
        mf_claim *claim = l->ended.first;
        mf__claims_remove(&l->ended, claim);
        answer_end(l->coordinator, claim, claim->result);
    }
}

static void on_renewal_refused(lease *l, const mf_error *why)
{
    mf_coordinator *me = l->coordinator;

    mf_log(me->loop, MF_LOG_ERROR, "coordinator", "%zu claims not renewed: %s", l->renew.count,
           why->text);
    mf_timer_start(me->loop, &l->renew_timer,
                   mf_loop_now_us(me->loop) + mf__pause_us(me, ++l->refusals));
}

static void on_renewed(mf_request *request)
{
    lease *l = request->arg;
    mf_coordinator *me = l->coordinator;
    int code = request->error.code;

    me->in_flight--;
    if (code == MF_OK) {
        l->refusals = 0;
        mf__session_was_renewed(me, request->sent_us);
        tell_what_is_lost(l);
        prolong(l, request->sent_us);
        arm_deadline(l);
        arm_renewal(l);
        mf__holding_compare(me, l->renew.held);
    } else if (mf_error_is_transient(code)) {
        mf__session_broken(me, code);
    } else {
        on_renewal_refused(l, &request->error);
    }
    answer_ended(l);
    l->renewing = false;
    if (l->head.count == 0) {
        free_lease(l);
    } else if (l->renew_again) {
        l->renew_again = false;
        renew(l);
    }
    mf__request_came_back(me);
}

void mf__lease_renew_all(mf_coordinator *me)
{
    for (lease *l = me->leases; l != NULL; l = l->next)
        renew(l);
}

void mf__coordinator_check(mf_coordinator *me, mf_claim *claim)
{
    (void)me;
    renew(lease_of(claim));
}

/* Granting. */

static lease *new_lease(mf_coordinator *me, uint64_t group)
{
    size_t size = me->broker->max_lease;
    lease *l = calloc(1, sizeof *l);
    mf_claim **claims = calloc(size, sizeof *claims);
    mf_lost_claim *lost = calloc(size, sizeof *lost);

    if (l == NULL || claims == NULL || lost == NULL) {
        free(l);
        free(claims);
        free(lost);
        return NULL;
    }
    l->head.claims = claims;
    l->head.group = group;
    l->coordinator = me;
    l->renew.request = (mf_request){.done = on_renewed, .arg = l};
    l->renew.session = &me->session;
    l->renew.lease = &l->head;
    l->renew.lost = lost;
    mf_timer_init(&l->renew_timer, on_renew_timer, l);
    mf_timer_init(&l->deadline_timer, on_deadline_timer, l);
    link_lease(me, l);
    return l;
}

/* A renewal under way does not cover the claim: it must leave time for another one, if both take as
 * long as the time between two. */
static bool can_wait(const lease *l, int64_t deadline_us)
{
    const mf_coordinator *me = l->coordinator;
    return !l->renewing || l->asked_us + 2 * (me->lease_us / 3) <= deadline_us - me->grace_us;
}

static bool suits(const lease *l, const mf_claim *claim, int64_t deadline_us)
{
    return l->head.group == claim->group && l->head.count < l->coordinator->broker->max_lease &&
           can_wait(l, deadline_us);
}

/* The lease that was filled last is nearly always the one. */
static lease *lease_for(mf_coordinator *me, const mf_claim *claim, int64_t deadline_us)
{
    lease *l = me->filling;

    if (l != NULL && suits(l, claim, deadline_us))
        return l;
    for (l = me->leases; l != NULL; l = l->next)
        if (suits(l, claim, deadline_us))
            return l;
    return new_lease(me, claim->group);
}

static bool start_earlier(mf_loop *loop, mf_timer *timer, int64_t due_us)
{
    return (timer->heap_slot != 0 && timer->due_us <= due_us) ||
           mf_timer_start(loop, timer, due_us) == MF_OK;
}

bool mf__lease_grant(mf_coordinator *me, mf_claim *claim, int64_t deadline_us)
{
    lease *l = lease_for(me, claim, deadline_us);

    if (l == NULL)
        return false;
    claim->life = CLAIM_FIRM;
    set_deadline(claim, deadline_us);
    if (!start_earlier(me->loop, &l->deadline_timer, next_event_us(me, claim)) ||
        !start_earlier(me->loop, &l->renew_timer, renewal_due_us(me, deadline_us))) {
        if (l->head.count == 0 && !l->renewing)
            free_lease(l);
        return false;
    }
    me->filling = l;
    mf__holding_add(me, claim);
    claim->lease = &l->head;
    put(l, l->head.count++, claim);
    return true;
}
