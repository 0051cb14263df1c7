/* The fair balancer: every node holds its share by weight.
 *
 * Claiming. A task that appears is claimed at once by one node: its home, which is the first in the
 * task's own order of the nodes, alike on all of them; or, if by the last view the home has its
 * share, one of those that have room, picked alike again by how much. The others hold back, each
 * for a time of its own that is the longer the less room it has: should that node fail, another is
 * there soon, and seldom two at once. In a large cluster most need not even remember the task.
 *
 * Holding back is in proportion to how long claims take to be known, so that a broker with much to
 * do does not get each claim several times.
 *
 * A node that has said that it will be back soon keeps its share meanwhile.
 *
 * Releasing goes by the plan (plan.c). What is given up is first what is at home where room is,
 * then what is not at home here. */
#include <stdio.h>
#include <stdlib.h>

#include "balancer/balancer.h"
#include "balancer/order.h"
#include "balancer/plan.h"
#include "hash.h"

enum {
    LONGEST_US = 400000, /* holding back, when claims are known at once */
    LAST_US = 200000,    /* spread of those that would hold back for longer */
    NO_ROOM_US = 200000, /* on top, for a node that has its share */
    LOOK_AGAIN_US = 50000,
    /* Some of the nodes that would hold back longest remember a task, all in a small cluster. */
    REMEMBERED_BY = 16
};

typedef struct fair {
    double threshold;

    /* The last view, and what was computed from it. */
    uint64_t view, members;
    size_t held; /* by this node then */
    const mf_node *nodes;
    mf__order order;
    mf__wheel homes, rooms;
    double *weights; /* as they count for shares */
    mf__plan plan;
    double room; /* of all */
    bool broken; /* no memory: claims without an order */

    /* The last release, to learn whether it was of use. */
    double released, others_then;
    bool in_vain; /* nobody else took what was given up */
} fair;

/* The view. */

static int take_members(fair *me, const mf_balance *balance, const mf_node *nodes, size_t count)
{
    double *weights = realloc(me->weights, 3 * count * sizeof *weights);

    if (weights == NULL || mf__order_set(&me->order, nodes, count) != MF_OK)
        return MF_ENOMEM;
    me->weights = weights;
    me->homes.weights = weights + count;
    me->rooms.weights = weights + 2 * count;
    me->members = mf_balance_members(balance);
    return MF_OK;
}

/* What nodes lack that are far below their shares is for them. So is a little more, but when most
 * tasks are claimed anew: one that is back after a restart may have held more than its share. */
static bool is_for_the_needy(const fair *me)
{
    const mf__plan *plan = &me->plan;
    bool is_of_few = plan->unowned * 4 <= plan->total;

    return plan->need > 0 && plan->need * (is_of_few ? me->threshold : 1) >= plan->unowned;
}

/* For tasks that are not at home there: what it lacks of its share. */
static double room_of(const fair *me, size_t node)
{
    double share = mf__plan_share(&me->plan, me->weights[node]);
    double tasks = (double)me->nodes[node].tasks;

    if (mf__plan_weight(&me->nodes[node]) <= 0)
        return 0;
    if (is_for_the_needy(me))
        return mf__plan_need(&me->plan, share, tasks);
    return share > tasks ? share - tasks : 0;
}

/* For those that are at home there: a little more. */
static bool has_room_at_home(const fair *me, size_t node)
{
    double share = mf__plan_share(&me->plan, me->weights[node]);
    double tasks = (double)me->nodes[node].tasks;

    if (me->rooms.weights[node] > 0)
        return true;
    return mf__plan_weight(&me->nodes[node]) > 0 && !is_for_the_needy(me) &&
           tasks + 1 <= mf__plan_claim_limit(&me->plan, share);
}

static void compute(fair *me, const mf_balance *balance, size_t count)
{
    double unowned = (double)mf_balance_unowned(balance);

    me->held = mf_balance_held(balance);
    for (size_t i = 0; i < count; i++) {
        double weight = me->nodes[i].weight;
        bool expected = mf_balance_expected_us(balance, i) != 0;
        me->weights[i] = expected ? -weight : mf__plan_weight(&me->nodes[i]);
        me->homes.weights[i] = me->weights[i];
    }
    mf__plan_make(&me->plan, me->nodes, me->weights, count, unowned, me->threshold);
    me->room = 0;
    for (size_t i = 0; i < count; i++)
        me->room += me->rooms.weights[i] = room_of(me, i);
    mf__wheel_sum(&me->order, &me->homes);
    mf__wheel_sum(&me->order, &me->rooms);
}

static double own_share(const fair *me, const mf_balance *balance)
{
    return mf__plan_share(&me->plan, me->weights[mf_balance_self(balance)]);
}

static bool differ(double a, double b, double by)
{
    return a - b > by || b - a > by;
}

/* Whether what has no owner, or what this node holds, is another number, by a part of the total or
 * of its share. */
static bool has_drifted(const fair *me, const mf_balance *balance, double part)
{
    return differ((double)mf_balance_unowned(balance), me->plan.unowned, me->plan.total * part) ||
           differ((double)mf_balance_held(balance), (double)me->held,
                  own_share(me, balance) * part);
}

/* `part`: of what may have changed since. */
static void see(fair *me, const mf_balance *balance, double part)
{
    size_t count;
    const mf_node *nodes = mf_balance_nodes(balance, &count);
    bool same_members = me->members == mf_balance_members(balance) && me->nodes != NULL;
    bool same_view = me->view == mf_balance_view(balance) && same_members;

    if (same_view && !me->broken && !has_drifted(me, balance, part))
        return;
    me->view = mf_balance_view(balance);
    me->nodes = nodes;
    me->broken = !same_members && take_members(me, balance, nodes, count) != MF_OK;
    if (me->broken)
        me->nodes = NULL;
    else
        compute(me, balance, count);
}

/* Claiming. */

/* A hash as a number in (0, 1). */
static double fraction(uint64_t hash)
{
    return ((double)(hash >> 11) + 0.5) * 0x1p-53;
}

static bool has_room(const fair *me, const mf_balance *balance)
{
    double limit = mf__plan_claim_limit(&me->plan, own_share(me, balance));
    return (double)mf_balance_held(balance) + 1 <= limit;
}

/* The node that should claim the task. */
static size_t choose(const fair *me, uint64_t task, size_t home)
{
    if (home != MF_ORDER_NONE && has_room_at_home(me, home))
        return home;
    return mf__order_pick(&me->order, &me->rooms, task, 1);
}

/* How long this node leaves the task to the one that should claim it; MF_BALANCE_FORGET. Of all
 * that hold back the first does so for about `patience`, the second for twice as long, ... */
static int64_t hold_back(const fair *me, const mf_balance *balance, uint64_t task)
{
    size_t self = mf_balance_self(balance), count = me->order.count;
    int64_t patience = mf_balance_patience_us(balance);
    uint64_t own = mf__hash_mix(task ^ me->order.hashes[self]);
    double room = me->rooms.weights[self];
    double wait = room > 0 ? mf__order_score(own) * me->room / room * (double)patience : LONGEST_US;

    if (wait < LONGEST_US)
        return (int64_t)wait;
    if (count > REMEMBERED_BY && fraction(mf__hash_mix(own + 1)) * (double)count > REMEMBERED_BY)
        return MF_BALANCE_FORGET;
    return (patience > LONGEST_US ? patience : LONGEST_US) +
           (int64_t)(fraction(mf__hash_mix(own + 2)) * LAST_US);
}

/* When, at the earliest, this node may claim the task, in time since it learned of it. */
static int64_t due(const fair *me, const mf_balance *balance, uint64_t task)
{
    size_t self = mf_balance_self(balance);
    size_t home = mf__order_pick(&me->order, &me->homes, task, 0);
    bool room = has_room(me, balance);

    int64_t hold = choose(me, task, home) == self ? 0 : hold_back(me, balance, task);
    if (hold == MF_BALANCE_FORGET)
        return hold;
    return hold + (room ? 0 : NO_ROOM_US + mf_balance_patience_us(balance));
}

static bool can_claim(void *payload, const mf_balance *balance, const char *task_id,
                      int64_t *until_us)
{
    fair *me = payload;
    int64_t age = mf_balance_offered_us(balance);
    size_t count;

    mf_balance_nodes(balance, &count);
    if (count == 1)
        return true;
    see(me, balance, 0.02);
    if (me->broken)
        return true;
    int64_t due_us = due(me, balance, mf__hash_text(task_id));
    if (due_us <= age)
        return true;
    /* What makes nodes hold back may be over sooner. */
    int64_t wait = due_us - age;
    if (due_us == MF_BALANCE_FORGET)
        *until_us = MF_BALANCE_FORGET;
    else if (wait > 2 * LOOK_AGAIN_US && mf_balance_patience_us(balance) > LOOK_AGAIN_US)
        *until_us = mf_balance_now_us(balance) + wait / 2;
    else
        *until_us = mf_balance_now_us(balance) + wait;
    return false;
}

/* Releasing. */

/* Up to `wanted` of these, each set of them equally likely. Returns how many. */
static size_t release_some(mf_balance *balance, mf_task **tasks, size_t count, size_t wanted)
{
    size_t given = 0;

    for (; given < wanted && given < count; given++) {
        size_t other = given + mf_balance_random(balance) % (count - given);
        mf_task *task = tasks[other];
        tasks[other] = tasks[given];
        mf_balance_release(balance, task);
    }
    return given;
}

/* 0: at home where room is; 1: at home elsewhere; 2: at home here. */
static int kind_of(const fair *me, const mf_balance *balance, const mf_task *task)
{
    uint64_t hash = mf__hash_text(mf_task_id(task));
    size_t home = mf__order_pick(&me->order, &me->homes, hash, 0);

    if (home == mf_balance_self(balance))
        return 2;
    return home != MF_ORDER_NONE && has_room_at_home(me, home) ? 0 : 1;
}

/* Sorts the running tasks by kind; `starts` are their first places. NULL: no memory, or no task. */
static mf_task **sort_tasks(const fair *me, mf_balance *balance, size_t starts[4])
{
    size_t count = 0, at[3] = {0};

    while (mf_balance_task(balance, count) != NULL)
        count++;
    mf_task **sorted = malloc(count * sizeof(mf_task *));
    char *kinds = malloc(count);
    for (size_t i = 0; kinds != NULL && i < count; i++)
        at[(int)(kinds[i] = (char)kind_of(me, balance, mf_balance_task(balance, i)))]++;
    starts[0] = 0;
    for (int kind = 0; kind < 3; kind++) {
        starts[kind + 1] = starts[kind] + at[kind];
        at[kind] = starts[kind];
    }
    for (size_t i = 0; kinds != NULL && sorted != NULL && i < count; i++)
        sorted[at[(int)kinds[i]]++] = mf_balance_task(balance, i);
    free(kinds);
    return sorted;
}

static void release(const fair *me, mf_balance *balance, size_t wanted)
{
    size_t starts[4];
    mf_task **tasks = sort_tasks(me, balance, starts);

    for (int kind = 0; tasks != NULL && kind < 3 && wanted > 0; kind++)
        wanted -=
            release_some(balance, tasks + starts[kind], starts[kind + 1] - starts[kind], wanted);
    free(tasks);
}

/* How many tasks this node should give up. What is less than a task is rounded so that the parts of
 * all nodes together are what is needed: each rounds where the sum up to it does. */
static size_t excess(const fair *me, const mf_balance *balance)
{
    size_t self = mf_balance_self(balance), i = 0;
    double share = own_share(me, balance), sum = 0.5;
    double own = mf__plan_excess(&me->plan, share, (double)mf_balance_held(balance));

    for (; me->order.members[i] != self; i++) {
        size_t node = me->order.members[i];
        if (me->weights[node] > 0)
            sum += mf__plan_excess(&me->plan, mf__plan_share(&me->plan, me->weights[node]),
                                   (double)me->nodes[node].tasks);
    }
    return (size_t)(sum + own) - (size_t)sum;
}

static double others_tasks(const fair *me, const mf_balance *balance)
{
    double tasks = 0;

    for (size_t i = 0; i < me->order.count; i++)
        tasks += i == mf_balance_self(balance) ? 0 : (double)me->nodes[i].tasks;
    return tasks;
}

static void balance_all(void *payload, mf_balance *balance)
{
    fair *me = payload;

    see(me, balance, 0);
    if (me->broken || me->weights[mf_balance_self(balance)] <= 0) /* frozen: it keeps what it has */
        return;
    size_t wanted = excess(me, balance);
    double others = others_tasks(me, balance);
    if (me->released > 0)
        me->in_vain = others < me->others_then + me->released / 2;
    me->in_vain &= wanted > 0;
    if (me->in_vain && wanted > 1)
        wanted = 1; /* to find out whether someone takes it now */
    if (wanted > mf_balance_limit(balance))
        wanted = mf_balance_limit(balance);
    me->released = (double)wanted;
    me->others_then = others;
    if (wanted > 0)
        release(me, balance, wanted);
}

static void explain(void *payload, const mf_balance *balance, const char *task_id, char *text,
                    size_t size)
{
    fair *me = payload;
    size_t self = mf_balance_self(balance);

    see(me, balance, 0);
    if (me->broken)
        return;
    uint64_t hash = mf__hash_text(task_id);
    size_t home = mf__order_pick(&me->order, &me->homes, hash, 0);
    if (home == MF_ORDER_NONE) {
        snprintf(text, size, "no node takes tasks");
        return;
    }
    size_t chosen = choose(me, hash, home);
    snprintf(text, size,
             "its home is %s%s, %s%s should claim it; this node holds %zu, its share is %.1f of "
             "%.0f, a balance would give up %zu",
             me->nodes[home].name,
             mf_balance_expected_us(balance, home) != 0 ? " (waited for)" : "",
             chosen == home            ? "which"
             : chosen == MF_ORDER_NONE ? "nobody"
                                       : me->nodes[chosen].name,
             chosen == self && chosen != home ? " (this node)" : "", mf_balance_held(balance),
             own_share(me, balance), me->plan.total, excess(me, balance));
}

static void free_fair(void *payload)
{
    fair *me = payload;

    mf__order_clear(&me->order);
    free(me->weights);
    free(me);
}

mf_balancer mf_balancer_fair(double threshold)
{
    if (!(threshold >= 1 && threshold <= 100))
        return mf__balancer_failed(MF_EINVAL, "threshold: not between 1 and 100");
    fair *me = calloc(1, sizeof *me);
    if (me == NULL)
        return mf__balancer_failed(MF_ENOMEM, NULL);
    me->threshold = threshold;
    return (mf_balancer){
        .version = MF_BALANCER_VERSION,
        .can_claim = can_claim,
        .balance = balance_all,
        .free = free_fair,
        .payload = me,
        .explain = explain,
    };
}
