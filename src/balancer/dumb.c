/* The dumb balancer: claims all, releases nothing. */
#include "balancer/balancer.h"

static bool can_claim(void *payload, const mf_balance *balance, const char *task_id,
                      int64_t *until_us)
{
    (void)payload;
    (void)balance;
    (void)task_id;
    (void)until_us;
    return true;
}

mf_balancer mf_balancer_dumb(void)
{
    return (mf_balancer){.version = MF_BALANCER_VERSION, .can_claim = can_claim};
}
