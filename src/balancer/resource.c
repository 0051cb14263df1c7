/* The resource balancer: claims while there is room in memory, CPU or what a reporter measures.
 *
 * A task's home claims it at once. The others, who do not know whether there is room at its home,
 * hold back for a while, each for a time of its own, so that seldom two ask for the same task. */
#include <stdlib.h>

#include "balancer/balancer.h"
#include "balancer/order.h"
#include "balancer/plan.h"
#include "hash.h"

/* How long a reading is good for. */
static const int64_t reading_life_us = 500000;
static const int64_t longest_hold_us = 2000000;

typedef struct resource {
    mf_resource_report report;
    void *payload;
    int claim_percent, release_percent;
    int64_t read_us; /* when `used` and `total` were read */
    int code;
    uint64_t used, total;

    /* The nodes of the last view. */
    uint64_t view;
    mf__order order;
    mf__wheel homes;
    bool seen;
} resource;

static void read_now(resource *me, int64_t now_us)
{
    me->used = me->total = 0;
    me->code = me->report(&me->used, &me->total, me->payload);
    me->read_us = now_us;
    if (me->code == MF_OK && me->total == 0)
        me->code = MF_EINVAL;
}

/* Nothing is known: neither above nor at any limit. */
static bool is_at(const resource *me, int percent)
{
    return me->code == MF_OK && (double)me->used * 100 >= (double)me->total * percent;
}

static bool is_above(const resource *me, int percent)
{
    return me->code == MF_OK && (double)me->used * 100 > (double)me->total * percent;
}

/* false: no memory. */
static bool see(resource *me, const mf_balance *balance)
{
    size_t count;
    const mf_node *nodes = mf_balance_nodes(balance, &count);

    if (me->seen && me->view == mf_balance_view(balance) && me->order.count == count)
        return true;
    double *weights = realloc(me->homes.weights, count * sizeof *weights);
    if (weights != NULL)
        me->homes.weights = weights;
    me->seen = weights != NULL && mf__order_set(&me->order, nodes, count) == MF_OK;
    for (size_t i = 0; me->seen && i < count; i++)
        weights[i] = mf__plan_weight(&nodes[i]);
    if (me->seen)
        mf__wheel_sum(&me->order, &me->homes);
    me->view = mf_balance_view(balance);
    return me->seen;
}

/* How long the task is left to others. */
static int64_t hold_us(resource *me, const mf_balance *balance, const char *task_id)
{
    uint64_t task = mf__hash_text(task_id);
    size_t self = mf_balance_self(balance), count;

    mf_balance_nodes(balance, &count);
    if (count == 1 || !see(me, balance) || mf__order_pick(&me->order, &me->homes, task, 0) == self)
        return 0;
    double turn = mf__order_score(mf__hash_mix(task ^ me->order.hashes[self])) * (double)count;
    double hold = (1 + turn) * (double)mf_balance_patience_us(balance);
    return hold < (double)longest_hold_us ? (int64_t)hold : longest_hold_us;
}

static bool can_claim(void *payload, const mf_balance *balance, const char *task_id,
                      int64_t *until_us)
{
    resource *me = payload;
    int64_t now = mf_balance_now_us(balance);

    if (now - me->read_us >= reading_life_us)
        read_now(me, now);
    if (!is_at(me, me->claim_percent)) {
        int64_t left = hold_us(me, balance, task_id) - mf_balance_offered_us(balance);
        *until_us = now + left;
        return left <= 0;
    }
    *until_us = now + 1000000 + (int64_t)(mf_balance_random(balance) % 1000000);
    return false;
}

/* One task a time: what its end will free is not known before. */
static void balance_one(void *payload, mf_balance *balance)
{
    resource *me = payload;
    size_t count = 0;

    read_now(me, mf_balance_now_us(balance));
    if (!is_above(me, me->release_percent))
        return;
    while (mf_balance_task(balance, count) != NULL)
        count++;
    if (count != 0)
        mf_balance_release(balance, mf_balance_task(balance, mf_balance_random(balance) % count));
}

static void free_resource(void *payload)
{
    resource *me = payload;

    mf__order_clear(&me->order);
    free(me->homes.weights);
    free(me);
}

mf_balancer mf_balancer_resource(mf_resource_report report, void *payload, int claim_percent,
                                 int release_percent)
{
    if (report == NULL)
        return mf__balancer_failed(MF_EINVAL, "report: missing");
    if (claim_percent < 1 || claim_percent > 99)
        return mf__balancer_failed(MF_EINVAL, "claim_percent: not between 1 and 99");
    if (release_percent <= claim_percent || release_percent > 100)
        return mf__balancer_failed(MF_EINVAL,
                                   "release_percent: not between claim_percent + 1 and 100");
    resource *me = malloc(sizeof *me);
    if (me == NULL)
        return mf__balancer_failed(MF_ENOMEM, NULL);
    *me = (resource){
        .report = report,
        .payload = payload,
        .claim_percent = claim_percent,
        .release_percent = release_percent,
        .read_us = INT64_MIN / 2,
    };
    return (mf_balancer){
        .version = MF_BALANCER_VERSION,
        .can_claim = can_claim,
        .balance = balance_one,
        .free = free_resource,
        .payload = me,
    };
}
