/* The resource balancer: claims while there is room in memory, CPU or what a reporter measures. */
#include <stdlib.h>

#include "balancer/balancer.h"

/* How long a reading is good for. */
static const int64_t reading_life_us = 500000;

typedef struct resource {
    mf_resource_report report;
    void *payload;
    int claim_percent, release_percent;
    int64_t read_us; /* when `used` and `total` were read */
    int code;
    uint64_t used, total;
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

static bool can_claim(void *payload, const mf_balance *balance, const char *task_id,
                      int64_t *until_us)
{
    resource *me = payload;
    int64_t now = mf_balance_now_us(balance);

    (void)task_id;
    if (now - me->read_us >= reading_life_us)
        read_now(me, now);
    if (!is_at(me, me->claim_percent))
        return true;
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

mf_balancer mf_balancer_resource(mf_resource_report report, void *payload, int claim_percent,
                                 int release_percent)
{
    if (report == NULL || claim_percent < 1 || release_percent <= claim_percent ||
        release_percent > 100)
        return mf__balancer_failed(MF_EINVAL);
    resource *me = malloc(sizeof *me);
    if (me == NULL)
        return mf__balancer_failed(MF_ENOMEM);
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
        .free = free,
        .payload = me,
    };
}
