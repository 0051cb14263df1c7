/* What a balancer may ask. */
#include "consumer/balance.h"

#include <assert.h>

int64_t mf_balance_now_us(const mf_balance *balance)
{
    return mf_loop_now_us(balance->loop);
}

uint64_t mf_balance_random(const mf_balance *balance)
{
    return mf_loop_random(balance->loop);
}

size_t mf_balance_held(const mf_balance *balance)
{
    return balance->held;
}

const mf_node *mf_balance_nodes(const mf_balance *balance, size_t *count)
{
    *count = balance->node_count;
    return balance->nodes;
}

size_t mf_balance_self(const mf_balance *balance)
{
    return balance->self;
}

mf_task *mf_balance_task(const mf_balance *balance, size_t index)
{
    return balance->task(balance, index);
}

void mf_balance_release(mf_balance *balance, mf_task *task)
{
    assert(balance->release != NULL);
    balance->release(balance, task);
}

uint64_t mf_balance_view(const mf_balance *balance)
{
    return balance->view;
}

size_t mf_balance_limit(const mf_balance *balance)
{
    return balance->limit;
}

uint64_t mf_balance_members(const mf_balance *balance)
{
    return balance->members;
}

int64_t mf_balance_expected_us(const mf_balance *balance, size_t index)
{
    return balance->expected_us != NULL ? balance->expected_us[index] : 0;
}

uint64_t mf_balance_unowned(const mf_balance *balance)
{
    return balance->unowned;
}

int64_t mf_balance_offered_us(const mf_balance *balance)
{
    return balance->offered_us;
}

int64_t mf_balance_patience_us(const mf_balance *balance)
{
    return balance->patience_us;
}
