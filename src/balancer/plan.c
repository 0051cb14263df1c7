/* Shares, and what would move to get there.
 *
 * A node claims up to its share rounded up, or a little above it; it gives up what exceeds its
 * share rounded up when it holds more than `threshold` times its share. Since shares add up to the
 * total, the others have room for that below their own limits, so none has to give up what it took.
 * When a node is far below its share, as one that has just joined, those above theirs make up what
 * it lacks, each in the proportion of what it has too much. */
#include "balancer/plan.h"

#include <stdlib.h>

#include <metafora/error.h>

#include "balancer/order.h"
#include "hash.h"

static double greater(double a, double b)
{
    return a > b ? a : b;
}

static double round_down(double number)
{
    return number < 0x1p63 ? (double)(uint64_t)number : number;
}

static double round_up(double number)
{
    number -= number * 1e-9; /* 1.0000000000000002 is 1 */
    double whole = round_down(number);
    return whole < number ? whole + 1 : whole;
}

/* A weight from the broker may be anything. */
double mf__plan_weight(const mf_node *node)
{
    return node->weight > 0 && node->weight < 1e12 ? node->weight : 0;
}

double mf__plan_share(const mf__plan *plan, double weight)
{
    return plan->weight > 0 ? plan->total * weight / plan->weight : 0;
}

double mf__plan_claim_limit(const mf__plan *plan, double share)
{
    double some_more = round_down(share * (1 + (plan->threshold - 1) / 2));
    return greater(round_up(share), some_more);
}

double mf__plan_keep_limit(const mf__plan *plan, double share)
{
    return greater(round_up(share), share * plan->threshold * (1 + 1e-9));
}

double mf__plan_need(const mf__plan *plan, double share, double tasks)
{
    double floor_of_share = share * greater(0, 2 - plan->threshold);
    double need = round_down(share * (1 + 1e-9)) - tasks;

    return tasks < floor_of_share && need >= 1 ? need : 0;
}

void mf__plan_make(mf__plan *plan, const mf_node *nodes, const double *weights, size_t count,
                   double unowned, double threshold)
{
    *plan = (mf__plan){.threshold = threshold, .unowned = unowned, .total = unowned};
    for (size_t i = 0; i < count; i++) {
        plan->weight += weights[i];
        plan->total += weights[i] > 0 ? (double)nodes[i].tasks : 0;
    }
    for (size_t i = 0; i < count; i++) {
        double share = mf__plan_share(plan, weights[i]);
        if (weights[i] <= 0)
            continue;
        if (nodes[i].weight > 0) /* what one lacks that is away is waiting for it */
            plan->need += mf__plan_need(plan, share, (double)nodes[i].tasks);
        plan->spare += greater(0, (double)nodes[i].tasks - share);
    }
}

double mf__plan_excess(const mf__plan *plan, double share, double tasks)
{
    double excess = 0;
    double need = plan->need - plan->unowned;

    if (tasks > mf__plan_keep_limit(plan, share))
        excess = tasks - round_up(share);
    if (need > 0 && tasks > share)
        excess = greater(excess, (tasks - share) * (need < plan->spare ? need / plan->spare : 1));
    return excess;
}

void mf_balance_plan(const mf_node *nodes, size_t count, uint64_t unowned, double threshold,
                     double *moves)
{
    mf__plan plan;
    double *weights = moves; /* each is read before it is written over */

    for (size_t i = 0; i < count; i++)
        weights[i] = mf__plan_weight(&nodes[i]);
    mf__plan_make(&plan, nodes, weights, count, (double)unowned, threshold);
    for (size_t i = 0; i < count; i++) {
        double share = mf__plan_share(&plan, weights[i]);
        double tasks = (double)nodes[i].tasks;
        double need = weights[i] > 0 ? mf__plan_need(&plan, share, tasks) : 0;
        moves[i] = weights[i] > 0 ? need - mf__plan_excess(&plan, share, tasks) : 0;
    }
}

size_t mf_balance_home(const mf_node *nodes, size_t count, const char *task_id)
{
    mf__order order = {0};
    mf__wheel wheel = {.weights = calloc(count + 1, sizeof *wheel.weights)};
    size_t home = MF_ORDER_NONE;

    if (wheel.weights == NULL || mf__order_set(&order, nodes, count) != MF_OK)
        goto out;
    for (size_t i = 0; i < count; i++)
        wheel.weights[i] = mf__plan_weight(&nodes[i]);
    mf__wheel_sum(&order, &wheel);
    home = mf__order_pick(&order, &wheel, mf__hash_text(task_id), 0);
out:
    mf__order_clear(&order);
    free(wheel.weights);
    return home;
}
