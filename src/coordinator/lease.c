/* Leases: claims that are renewed together, and what happens when they cannot be. */
#include <assert.h>
#include <stdlib.h>

#include "coordinator/internal.h"

struct lease {
    mf_lease head; /* first: what the driver sees */
    mf_coordinator *coordinator;
    lease *next, *previous;
    mf_timer renew_timer, deadline_timer;
    mf_renew_request renew; /* renew.count names the claims that a renewal under way covers */
    int64_t deadline_us;    /* the earliest of its claims' */
    bool renewing, renew_again;
    bool expiring; /* the consumer was told to stop its tasks */
    bool expired;
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

/* Takes the claim out of its lease; the lease itself goes with its last claim. */
static void detach(mf_claim *claim)
{
    lease *l = lease_of(claim);
    mf_claim *last = l->head.claims[--l->head.count];

    l->head.claims[claim->slot] = last;
    last->slot = claim->slot;
    claim->lease = NULL;
    if (l->head.count == 0 && !l->renewing)
        free_lease(l);
    else if (l->coordinator->filling == NULL && !l->expiring)
        l->coordinator->filling = l;
}

bool mf__lease_has_expired(const mf_claim *claim)
{
    return claim->lease == NULL || ((const lease *)claim->lease)->expired;
}

static bool is_being_renewed(mf_claim *claim)
{
    return claim->lease != NULL && lease_of(claim)->renewing &&
           claim->slot < lease_of(claim)->renew.count;
}

static void answer_end(mf_coordinator *me, mf_claim *claim, int code)
{
    if (claim->lease != NULL)
        detach(claim);
    claim->state = CLAIM_IDLE;
    me->events->ended(me->arg, claim, code);
}

void mf__lease_end(mf_coordinator *me, mf_claim *claim, int code)
{
    claim->result = code;
    if (is_being_renewed(claim))
        mf__claims_append(&lease_of(claim)->ended, claim);
    else
        answer_end(me, claim, code);
}

/* Deadlines. */

static void arm_deadline(lease *l)
{
    mf_coordinator *me = l->coordinator;
    int64_t due = l->expiring ? l->deadline_us : l->deadline_us - me->grace_us;

    if (l->expired)
        mf_timer_stop(me->loop, &l->deadline_timer);
    else
        mf_timer_start(me->loop, &l->deadline_timer, due);
}

/* The consumer only queues what it decides, so the lease stays as it is meanwhile. */
static void tell_expiring(lease *l)
{
    mf_coordinator *me = l->coordinator;

    l->expiring = true;
    if (me->filling == l)
        me->filling = NULL;
    for (size_t i = 0; i < l->head.count; i++)
        if (l->head.claims[i]->state == CLAIM_HELD)
            me->events->lost(me->arg, l->head.claims[i], MF_STOP_EXPIRING);
}

static void tell_expired(lease *l)
{
    mf_coordinator *me = l->coordinator;

    l->expired = true;
    mf_timer_stop(me->loop, &l->renew_timer);
    for (size_t i = 0; i < l->head.count; i++)
        if (l->head.claims[i]->state == CLAIM_HELD)
            me->events->expired(me->arg, l->head.claims[i], l->deadline_us);
}

/* While draining, endings that wait for a broker that does not answer need wait no longer: it would
 * refuse them. The lease may be gone afterwards. */
static void drop_unsent_ends(lease *l)
{
    mf_coordinator *me = l->coordinator;

    for (size_t i = l->head.count; i-- > 0 && me->claiming_stopped && !me->joined;) {
        bool last = l->head.count == 1;
        if (l->head.claims[i]->state == CLAIM_ENDING)
            mf__batch_drop_end(me, l->head.claims[i], MF_EUNREACHABLE);
        if (last)
            return;
    }
}

static void on_deadline_timer(void *arg)
{
    lease *l = arg;
    int64_t now = mf_loop_now_us(l->coordinator->loop);

    if (!l->expiring && now >= l->deadline_us - l->coordinator->grace_us)
        tell_expiring(l);
    if (now < l->deadline_us) {
        arm_deadline(l);
        return;
    }
    tell_expired(l);
    drop_unsent_ends(l);
}

/* Renewal. */

static void renew(lease *l)
{
    mf_coordinator *me = l->coordinator;

    if (l->renewing) {
        l->renew_again = true;
        return;
    }
    if (!me->joined || l->expired || l->head.count == 0)
        return;
    l->renewing = true;
    l->renew.count = l->head.count;
    l->renew.lost_count = 0;
    me->in_flight++;
    me->broker->operations->renew(me->broker, &l->renew);
}

static void on_renew_timer(void *arg)
{
    renew(arg);
}

static void arm_renewal(lease *l, int64_t sent_us)
{
    mf_timer_start(l->coordinator->loop, &l->renew_timer, sent_us + l->coordinator->lease_us / 3);
}

/* Claims that joined the lease while the renewal was under way keep their own, earlier deadline. */
static void prolong(lease *l, int64_t sent_us)
{
    mf_coordinator *me = l->coordinator;
    int64_t deadline = sent_us + me->lease_us - me->margin_us;

    l->deadline_us = deadline;
    for (size_t i = 0; i < l->head.count; i++) {
        mf_claim *claim = l->head.claims[i];
        if (i < l->renew.count && !claim->lost)
            set_deadline(claim, deadline);
        else if (!claim->lost && claim->deadline_us < l->deadline_us)
            l->deadline_us = claim->deadline_us;
    }
    if (mf_loop_now_us(me->loop) < l->deadline_us - me->grace_us)
        l->expiring = false;
    arm_deadline(l);
    arm_renewal(l, sent_us);
}

static void mark_lost(lease *l)
{
    for (size_t i = 0; i < l->renew.lost_count; i++) {
        assert(l->renew.lost[i].index < l->renew.count);
        l->head.claims[l->renew.lost[i].index]->lost = true;
    }
}

/* From the highest index down, so that the places of those still to come do not change. */
static void take_out_lost(lease *l)
{
    mf_coordinator *me = l->coordinator;

    for (size_t i = l->renew.lost_count; i-- > 0;) {
        mf_lost_claim *lost = &l->renew.lost[i];
        mf_claim *claim = l->head.claims[lost->index];
        claim->lost = lost->code != MF_EGONE;
        if (claim->state != CLAIM_HELD)
            continue; /* the answer to its ending tells */
        detach(claim);
        if (claim->lost)
            set_deadline(claim, 0);
        me->events->lost(me->arg, claim, claim->lost ? MF_STOP_LOST : MF_STOP_DELETED);
    }
}

static int by_index(const void *a, const void *b)
{
    size_t x = ((const mf_lost_claim *)a)->index;
    size_t y = ((const mf_lost_claim *)b)->index;
    return (x > y) - (x < y);
}

static void answer_ended(lease *l)
{
    while (l->ended.first != NULL) {
        mf_claim *claim = l->ended.first;
        mf__claims_remove(&l->ended, claim);
        answer_end(l->coordinator, claim, claim->result);
    }
}

static void on_renewed(mf_request *request)
{
    lease *l = request->arg;
    mf_coordinator *me = l->coordinator;
    int code = request->error.code;

    me->in_flight--;
    if (code == MF_OK) {
        mf__session_was_renewed(me, request->sent_us);
        mark_lost(l);
        if (!l->expired)
            prolong(l, request->sent_us);
        qsort(l->renew.lost, l->renew.lost_count, sizeof *l->renew.lost, by_index);
        take_out_lost(l);
    } else if (mf_error_is_transient(code)) {
        mf__session_broken(me);
    } else {
        mf_log(me->loop, MF_LOG_ERROR, "coordinator", "%zu claims not renewed: %s", l->renew.count,
               request->error.text);
        arm_renewal(l, mf_loop_now_us(me->loop));
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
    if (claim->lease != NULL)
        renew(lease_of(claim));
}

/* Granting. */

static lease *new_lease(mf_coordinator *me, uint64_t group, int64_t deadline_us)
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
    l->deadline_us = deadline_us;
    l->renew.request = (mf_request){.done = on_renewed, .arg = l};
    l->renew.session = &me->session;
    l->renew.lease = &l->head;
    l->renew.lost = lost;
    mf_timer_init(&l->renew_timer, on_renew_timer, l);
    mf_timer_init(&l->deadline_timer, on_deadline_timer, l);
    link_lease(me, l);
    arm_deadline(l);
    arm_renewal(l, deadline_us - me->lease_us + me->margin_us);
    return l;
}

/* The lease that was filled last is nearly always the one. */
static lease *lease_with_room(mf_coordinator *me, uint64_t group)
{
    lease *l = me->filling;

    if (l != NULL && l->head.group == group && l->head.count < me->broker->max_lease)
        return l;
    for (l = me->leases; l != NULL; l = l->next)
        if (l->head.group == group && l->head.count < me->broker->max_lease && l->head.count > 0 &&
            !l->expiring && !l->expired)
            return l;
    return NULL;
}

void mf__lease_grant(mf_coordinator *me, mf_claim *claim, int64_t deadline_us)
{
    lease *l = lease_with_room(me, claim->group);

    set_deadline(claim, deadline_us);
    if (l == NULL)
        l = new_lease(me, claim->group, deadline_us);
    me->filling = l;
    if (l == NULL)
        abort(); /* no memory to renew what the broker has just granted */
    claim->lease = &l->head;
    claim->slot = (uint32_t)l->head.count;
    l->head.claims[l->head.count++] = claim;
    if (deadline_us < l->deadline_us) {
        l->deadline_us = deadline_us;
        arm_deadline(l);
    }
}
