/* The sleep balancer: the more it holds, the longer it waits after one claim for the next. */
#include <stdlib.h>

#include "balancer/balancer.h"

enum { MOST_MS = 3600000 };

/* Refused tasks are asked about again one after another, at the pace of the claims; but each at
 * the latest after this long, since the others may be gone by then. */
static const int64_t longest_wait_us = INT64_C(5000000);

typedef struct sleeper {
    int64_t per_task_us, max_us;
    int64_t last_claim_us;
    int64_t refused; /* since then */
} sleeper;

static int64_t pause_us(const sleeper *me, size_t held)
{
    if (me->per_task_us == 0 || held > (size_t)(me->max_us / me->per_task_us))
        return me->per_task_us == 0 ? 0 : me->max_us;
    return (int64_t)held * me->per_task_us;
}

static bool can_claim(void *payload, const mf_balance *balance, const char *task_id,
                      int64_t *until_us)
{
    sleeper *me = payload;
    int64_t now = mf_balance_now_us(balance);
    int64_t pause = pause_us(me, mf_balance_held(balance));
    int64_t next = me->last_claim_us + pause;

    (void)task_id;
    if (now >= next) {
        me->last_claim_us = now;
        me->refused = 0;
        return true;
    }
    int64_t turns = me->refused < longest_wait_us / pause ? me->refused : longest_wait_us / pause;
    me->refused++;
    *until_us = next + turns * pause;
    return false;
}

mf_balancer mf_balancer_sleep(int per_task_ms, int max_ms)
{
    if (per_task_ms < 0 || per_task_ms > MOST_MS)
        return mf__balancer_failed(MF_EINVAL, "per_task_ms: not between 0 and 3600000");
    if (max_ms < 0 || max_ms > MOST_MS)
        return mf__balancer_failed(MF_EINVAL, "max_ms: not between 0 and 3600000");
    sleeper *me = malloc(sizeof *me);
    if (me == NULL)
        return mf__balancer_failed(MF_ENOMEM, NULL);
    *me = (sleeper){
        .per_task_us = (int64_t)per_task_ms * 1000,
        .max_us = (int64_t)max_ms * 1000,
        .last_claim_us = INT64_MIN / 2,
    };
    return (mf_balancer){
        .version = MF_BALANCER_VERSION,
        .can_claim = can_claim,
        .free = free,
        .payload = me,
    };
}
