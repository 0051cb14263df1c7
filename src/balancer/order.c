/* In which order the nodes of a cluster stand for a task. */
#include "balancer/order.h"

#include <stdlib.h>

#include <metafora/error.h>

#include "hash.h"

double mf__order_score(uint64_t hash)
{
    hash |= 1;
    int zeros = __builtin_clzll(hash);
    double f = (double)(hash << zeros) * 0x1p-63 - 1; /* the mantissa, 0 to 1 */
    return (double)zeros + 1 - f - 0.3465735903 * f * (1 - f);
}

static size_t group_of(const mf__order *order, uint64_t hash)
{
    return order->groups == 1 ? 0 : (size_t)(hash >> 59);
}

void mf__order_clear(mf__order *order)
{
    free(order->hashes);
    free(order->members);
    *order = (mf__order){0};
}

/* A group is what hashes begin with, so this puts them together as well. */
static int by_hash(const void *a, const void *b, void *arg)
{
    const uint64_t *hashes = arg;
    uint64_t x = hashes[*(const size_t *)a], y = hashes[*(const size_t *)b];
    return (x > y) - (x < y);
}

static void sort_members(mf__order *order)
{
    size_t at = 0;

    for (size_t i = 0; i < order->count; i++)
        order->members[i] = i;
    qsort_r(order->members, order->count, sizeof *order->members, by_hash, order->hashes);
    for (size_t g = 0; g < order->groups; g++) {
        order->starts[g] = at;
        while (at < order->count && group_of(order, order->hashes[order->members[at]]) == g)
            at++;
    }
    order->starts[order->groups] = at;
}

int mf__order_set(mf__order *order, const mf_node *nodes, size_t count)
{
    mf__order_clear(order);
    order->hashes = malloc(count * sizeof *order->hashes);
    order->members = malloc(count * sizeof *order->members);
    if (order->hashes == NULL || order->members == NULL) {
        mf__order_clear(order);
        return MF_ENOMEM;
    }
    order->count = count;
    order->groups = count <= MF_ORDER_UNGROUPED ? 1 : MF_ORDER_GROUPS;
    for (size_t i = 0; i < count; i++)
        order->hashes[i] = mf__hash_text(nodes[i].name);
    sort_members(order);
    return MF_OK;
}

void mf__wheel_sum(const mf__order *order, mf__wheel *wheel)
{
    for (size_t g = 0; g < order->groups; g++) {
        wheel->groups[g] = 0;
        for (size_t m = order->starts[g]; m < order->starts[g + 1]; m++)
            wheel->groups[g] += wheel->weights[order->members[m]];
    }
}

static size_t pick_group(const mf__order *order, const mf__wheel *wheel, uint64_t key)
{
    size_t best = MF_ORDER_NONE;
    double least = 0;

    for (size_t g = 0; g < order->groups; g++) {
        if (!(wheel->groups[g] > 0))
            continue;
        double score = mf__order_score(mf__hash_mix(key ^ mf__hash_mix(g + 1))) / wheel->groups[g];
        if (best == MF_ORDER_NONE || score < least) {
            best = g;
            least = score;
        }
    }
    return best;
}

size_t mf__order_pick(const mf__order *order, const mf__wheel *wheel, uint64_t task, uint64_t turn)
{
    uint64_t key = mf__hash_mix(task + turn * UINT64_C(0x9e3779b97f4a7c15));
    size_t group = order->groups == 1 ? 0 : pick_group(order, wheel, key);
    size_t best = MF_ORDER_NONE;
    double least = 0;

    if (order->count == 0 || group == MF_ORDER_NONE)
        return MF_ORDER_NONE;
    for (size_t m = order->starts[group]; m < order->starts[group + 1]; m++) {
        size_t node = order->members[m];
        if (!(wheel->weights[node] > 0))
            continue;
        double score =
            mf__order_score(mf__hash_mix(key ^ order->hashes[node])) / wheel->weights[node];
        if (best == MF_ORDER_NONE || score < least) {
            best = node;
            least = score;
        }
    }
    return best;
}
