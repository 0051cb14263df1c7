/* What befalls the cluster. */
#include <stdlib.h>

#include "consumer/internal.h"
#include "coordinator/internal.h"
#include "sim_internal.h"

static const int64_t longest_us = 3 * SIM_LEASE_MS * 1000;
/* So long after it a node is well again: a connection that was cut is made again and the session
 * joins; one on which something was swallowed is first found to be dead. */
static const int64_t cut_us = 200000, noticed_us = 2000000;

static void in(sim *s, mf_timer *timer, int64_t us)
{
    mf_timer_start(s->fate, timer, sim_now_us(s) + us);
}

static const char *name_of(const life *l)
{
    return l->sim->places[l->name].name;
}

static life *some_life(sim *s)
{
    life *l = s->places[sim_pick(s, s->options.nodes)].current;
    return l != NULL && !l->failed ? l : NULL;
}

static bool lives_left(const sim *s)
{
    return s->life_count < SIM_LIVES - 2 * s->options.nodes;
}

/* Processes. */

static void on_restart(void *arg)
{
    place *p = arg;

    if (p->current != NULL)
        return;
    if (lives_left(p->sim) || p->sim->healed_us != 0)
        life_start(p->sim, p->index, false);
    else
        in(p->sim, &p->restart, 1000000);
}

/* Not while it may be taking a name over: that would reach the broker after another one has joined.
 */
static bool may_die(const life *l)
{
    return !l->takes_over || l->closed || l->consumer->coordinator->joined_once;
}

static void die(void *arg)
{
    life *l = arg;
    sim *s = l->sim;

    if (l->crashed || l->closed || s->places[l->name].current != l || s->healed_us != 0)
        return;
    s->report->crashes++;
    sim_trace(s, "fault: %s crashes", name_of(l));
    life_kill(l);
    in(s, &s->places[l->name].restart, sim_pick(s, sim_pick(s, 2) == 0 ? 20000 : longest_us));
}

/* Some when they have just sent a renewal: it arrives after the death. */
static void crash(sim *s)
{
    life *l = some_life(s);

    if (l == NULL || !lives_left(s) || l->death.heap_slot != 0 || !may_die(l))
        return;
    mf_timer_init(&l->death, die, l);
    l->dies_renewing = sim_pick(s, 3) == 0;
    if (!l->dies_renewing)
        in(s, &l->death, 0);
}

void faults_renewal_leaves(life *l)
{
    if (!l->dies_renewing)
        return;
    l->dies_renewing = false;
    in(l->sim, &l->death, 0);
}

/* By mistake, or because a hung process is taken for dead. Not before the other one has joined: it
 * may have been told to take the name from a dead process. */
static void start_rival(sim *s)
{
    life *l = some_life(s);

    if (l == NULL || l->leaving || !lives_left(s) || !l->consumer->coordinator->joined_once)
        return;
    s->report->rivals++;
    life_start(s, l->name, true);
}

static void on_wake(void *arg)
{
    life *l = arg;

    if (l->crashed)
        return;
    sim_trace(l->sim, "fault over: %s", name_of(l));
    races_wakes(l);
    l->stopped = false;
    l->awake_us = sim_now_us(l->sim);
    virtual_loop_pause(l->loop, false);
    link_partition(l->broker, 0);
    judge_disturbed(l, noticed_us);
}

static void hinder(life *l, bool pause, int ways)
{
    sim *s = l->sim;

    if (l->wake.heap_slot != 0)
        return;
    s->report->pauses += pause;
    s->report->partitions += ways == LINK_BOTH_WAYS;
    s->report->one_way += ways == LINK_TO_BROKER || ways == LINK_TO_NODE;
    sim_trace(s, "fault: %s %s", name_of(l),
              pause                    ? "pauses"
              : ways == LINK_TO_BROKER ? "is not heard"
              : ways == LINK_TO_NODE   ? "does not hear"
                                       : "is cut off");
    l->stopped = pause && sim_pick(s, 2) == 0;
    if (pause) {
        l->awake_us = INT64_MAX;
        virtual_loop_pause(l->loop, true);
    } else
        link_partition(l->broker, ways);
    mf_timer_init(&l->wake, on_wake, l);
    in(s, &l->wake, sim_pick(s, longest_us));
}

static void leave(sim *s)
{
    life *l = some_life(s);

    if (l == NULL || l->leaving || !lives_left(s))
        return;
    s->report->leaves++;
    sim_trace(s, "fault: %s is shut down", name_of(l));
    races_leaves(l);
    l->leaving = true;
    if (sim_pick(s, 2) == 0)
        mf_consumer_shutdown(l->consumer);
    else
        mf_consumer_shutdown_for_restart(l->consumer);
    if (sim_pick(s, 3) == 0)
        hinder(l, false, LINK_BOTH_WAYS);
}

static void hinder_one(sim *s, bool pause, int ways)
{
    life *l = some_life(s);

    if (l != NULL)
        hinder(l, pause, ways);
}

static void cut(sim *s)
{
    life *l = some_life(s);

    if (l == NULL)
        return;
    s->report->cuts++;
    sim_trace(s, "fault: %s loses its connection", name_of(l));
    link_cut(l->broker);
    judge_disturbed(l, cut_us);
}

static void resync(sim *s)
{
    life *l = some_life(s);

    if (l != NULL)
        link_resync(l->broker);
}

static void on_client_wake(void *arg)
{
    sim *s = arg;
    link_partition(s->client_broker, 0);
}

static void hinder_client(sim *s)
{
    if (sim_pick(s, 3) != 0) {
        link_cut(s->client_broker);
        return;
    }
    link_partition(s->client_broker, 1 + (int)sim_pick(s, 3));
    in(s, &s->client_timer, sim_pick(s, longest_us));
}

static void stop_one(sim *s)
{
    life *l = some_life(s);
    truth *t = &s->truths[sim_pick(s, s->options.tasks)];

    if (l != NULL && l->wake.heap_slot == 0)
        mf_consumer_stop_task(l->consumer, t->id);
}

static void freeze_one(sim *s)
{
    life *l = some_life(s);

    if (l == NULL)
        return;
    if (mf_consumer_frozen(l->consumer))
        mf_consumer_unfreeze(l->consumer);
    else
        mf_consumer_freeze(l->consumer);
}

static void drain_one(sim *s)
{
    life *l = some_life(s);

    if (l == NULL)
        return;
    s->report->drains++;
    sim_trace(s, "fault: %s drains", name_of(l));
    if (mf_consumer_draining(l->consumer))
        mf_consumer_undrain(l->consumer);
    else
        mf_consumer_drain(l->consumer);
}

/* The broker. */

static void refuse_all(sim *s, bool refused)
{
    s->broker_down = refused;
    link_refuse(s->client_broker, refused);
    for (int i = 0; i < s->life_count; i++)
        if (!s->lives[i]->closed)
            link_refuse(s->lives[i]->broker, refused);
}

static void on_broker_back(void *arg)
{
    sim *s = arg;

    sim_trace(s, "fault over: broker");
    virtual_loop_pause(s->network, false);
    if (s->broker_down)
        refuse_all(s, false);
    judge_all_disturbed(s, noticed_us);
}

/* Out of memory, or of replicas. What is read, and who is there, it still serves. */

static void set_unwilling(sim *s, unsigned kinds)
{
    s->unwilling = kinds;
    for (int i = 0; i < s->life_count; i++)
        if (!s->lives[i]->closed)
            link_set_unwilling(s->lives[i]->broker, kinds);
    judge_all_disturbed(s, noticed_us);
}

static void on_willing(void *arg)
{
    sim *s = arg;

    if (s->unwilling != 0)
        sim_trace(s, "fault over: the broker takes writes");
    set_unwilling(s, 0);
}

static void refuse_writes(sim *s)
{
    static const unsigned kinds[] = {
        1u << VERB_CLAIM | 1u << VERB_RELEASE | 1u << VERB_DONE | 1u << VERB_STORE |
            1u << VERB_RENEW,
        1u << VERB_RELEASE | 1u << VERB_DONE,
        1u << VERB_RELEASE | 1u << VERB_DONE,
        1u << VERB_CLAIM,
        1u << VERB_STORE,
        1u << VERB_RENEW,
    };

    if (s->unwilling != 0)
        return;
    s->report->refusals++;
    sim_trace(s, "fault: the broker refuses writes");
    set_unwilling(s, kinds[sim_pick(s, 6)]);
    in(s, &s->will_timer, sim_pick(s, sim_pick(s, 2) == 0 ? 500000 : longest_us / 2));
}

/* What it has stored outlives it, as leases do, which go on running out. */
static void restart_broker(sim *s)
{
    if (s->broker_timer.heap_slot != 0)
        return;
    s->report->restarts++;
    sim_trace(s, "fault: the broker restarts");
    refuse_all(s, true);
    in(s, &s->broker_timer, sim_pick(s, longest_us / 2));
}

static void stall_broker(sim *s)
{
    if (s->broker_timer.heap_slot != 0)
        return;
    s->report->stalls++;
    sim_trace(s, "fault: the broker stalls");
    virtual_loop_pause(s->network, true);
    in(s, &s->broker_timer, sim_pick(s, longest_us / 2));
}

/* Which, and when. */

static void crash_or_leave(sim *s)
{
    switch (sim_pick(s, 8)) {
    case 0:
        start_rival(s);
        break;
    case 1:
    case 2:
        leave(s);
        break;
    default:
        crash(s);
    }
}

static void befall(sim *s)
{
    judge_unrest(s);
    switch (sim_pick(s, 54)) {
    case 0:
        restart_broker(s);
        break;
    case 1:
        stall_broker(s);
        break;
    case 2:
    case 3:
        hinder_client(s);
        break;
    case 4:
        freeze_one(s);
        break;
    case 5:
        drain_one(s);
        break;
    case 6 ... 9:
        hinder_one(s, true, 0);
        break;
    case 10 ... 12:
        hinder_one(s, false, LINK_BOTH_WAYS);
        break;
    case 13 ... 14:
        hinder_one(s, false, 1 + (int)sim_pick(s, 2));
        break;
    case 15 ... 24:
        cut(s);
        break;
    case 25 ... 30:
        crash_or_leave(s);
        break;
    case 50:
    case 51:
        refuse_writes(s);
        break;
    case 52:
        sim_trace(s, "fault: the broker is set back");
        setback_restore(s);
        break;
    case 53:
        resync(s);
        break;
    case 31 ... 38:
        if (s->stateful && sim_pick(s, 2) == 0)
            stateful_revive(s);
        else
            work_submit(s);
        break;
    case 39 ... 41:
        work_remove(s);
        break;
    case 42 ... 45:
        work_command(s);
        break;
    default:
        if (s->stateful && sim_pick(s, 3) != 0)
            stateful_tell(s);
        else
            stop_one(s);
    }
}

static void on_fault_timer(void *arg)
{
    sim *s = arg;

    befall(s);
    if (sim_pick(s, 40) != 0) {
        in(s, &s->fault_timer, sim_pick(s, 1000000));
        return;
    }
    /* Long enough for everything to be in order again. */
    s->report->lulls++;
    in(s, &s->fault_timer, longest_us + sim_pick(s, longest_us));
}

static void on_audit_timer(void *arg)
{
    sim *s = arg;

    audit_now(s);
    setback_take(s);
    in(s, &s->audit_timer, 2000000);
}

void faults_start(sim *s)
{
    for (int i = 0; i < s->options.nodes; i++)
        mf_timer_init(&s->places[i].restart, on_restart, &s->places[i]);
    mf_timer_init(&s->fault_timer, on_fault_timer, s);
    mf_timer_init(&s->audit_timer, on_audit_timer, s);
    mf_timer_init(&s->client_timer, on_client_wake, s);
    mf_timer_init(&s->broker_timer, on_broker_back, s);
    mf_timer_init(&s->will_timer, on_willing, s);
    in(s, &s->fault_timer, 0);
    in(s, &s->audit_timer, 1000000);
}

/* From here on nothing happens that the cluster does not do by itself. */
void faults_end(sim *s)
{
    sim_trace(s, "faults are over");
    s->healed_us = sim_now_us(s);
    s->calm = true;
    mf_timer_stop(s->fate, &s->fault_timer);
    mf_timer_stop(s->fate, &s->broker_timer);
    mf_timer_stop(s->fate, &s->will_timer);
    on_broker_back(s);
    on_willing(s);
    on_client_wake(s);
    for (int i = 0; i < s->life_count; i++) {
        life *l = s->lives[i];
        mf_timer_stop(s->fate, &l->wake);
        mf_timer_stop(s->fate, &l->death);
        l->dies_renewing = false;
        if (l->closed || l->crashed)
            continue;
        on_wake(l);
        link_set_hint_loss(l->broker, 0);
        life_end_handlers(l, true);
        mf_consumer_unfreeze(l->consumer);
        mf_consumer_undrain(l->consumer);
    }
    for (int i = 0; i < s->options.nodes; i++) {
        mf_timer_stop(s->fate, &s->places[i].restart);
        on_restart(&s->places[i]);
    }
}
