/* How claiming goes in the cluster, as one node sees it. */
#include "consumer/flow.h"

static const int64_t window_length_us = 250000;
/* When nobody has taken a task for so long, those that are left wait for something else. */
static const int64_t rest_us = 100000;
static const double least_rush = 20;
static const int64_t least_patience_us = 50000, most_patience_us = 10000000;

void mf__flow_offered(mf__flow *flow, size_t count)
{
    flow->unowned += count;
}

void mf__flow_list_begins(mf__flow *flow)
{
    flow->listed = 0;
}

void mf__flow_listed(mf__flow *flow, size_t count)
{
    flow->listed += count;
}

void mf__flow_list_complete(mf__flow *flow)
{
    flow->unowned = flow->listed;
}

void mf__flow_counted(mf__flow *flow, uint64_t claimable)
{
    flow->unowned = claimable;
}

static uint64_t without(uint64_t tasks, size_t count)
{
    return tasks > count ? tasks - count : 0;
}

void mf__flow_taken(mf__flow *flow, size_t count, int64_t now_us)
{
    int64_t age = now_us - flow->window_us;

    flow->unowned = without(flow->unowned, count);
    flow->listed =
        without(flow->listed, count); /* most likely it was: all begin at its beginning */
    flow->last_taken_us = now_us;
    if (age >= window_length_us) {
        flow->taken_before = age < 2 * window_length_us ? flow->taken : 0;
        flow->taken = 0;
        flow->window_us = now_us;
    }
    flow->taken += count;
}

void mf__flow_asked(mf__flow *flow, int64_t now_us)
{
    if (flow->waiting_since_us == 0)
        flow->waiting_since_us = now_us;
}

void mf__flow_answered(mf__flow *flow, int64_t asked_us, size_t left, int64_t now_us)
{
    flow->waiting_since_us = left != 0 ? now_us : 0;
    if (asked_us <= flow->last_asked_us)
        return;
    flow->last_asked_us = asked_us;
    flow->latencies_us[flow->samples++ % MF_FLOW_SAMPLES] = now_us - asked_us;
}

void mf__flow_interrupted(mf__flow *flow, int64_t now_us)
{
    flow->last_asked_us = now_us;
    flow->samples = 0;
    if (flow->waiting_since_us != 0)
        flow->waiting_since_us = now_us;
}

/* The least of the last: one of them may have met with something else. */
static int64_t latency_us(const mf__flow *flow)
{
    size_t count = flow->samples < MF_FLOW_SAMPLES ? flow->samples : MF_FLOW_SAMPLES;
    int64_t least = count != 0 ? flow->latencies_us[0] : 0;

    for (size_t i = 1; i < count; i++)
        if (flow->latencies_us[i] < least)
            least = flow->latencies_us[i];
    return least;
}

/* How long it takes until all is claimed, if it goes on as in the last moments. A few tasks now and
 * then say nothing of those that are left. */
static int64_t rush_us(const mf__flow *flow, int64_t now_us)
{
    int64_t length = now_us - flow->window_us + window_length_us;
    double taken = (double)(flow->taken + flow->taken_before);

    if (now_us - flow->last_taken_us > rest_us || taken < least_rush)
        return 0;
    return (int64_t)((double)flow->unowned / taken * (double)length);
}

static int64_t greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t mf__flow_patience_us(const mf__flow *flow, int64_t now_us)
{
    int64_t patience = greater(least_patience_us, 2 * latency_us(flow));

    if (flow->waiting_since_us != 0)
        patience = greater(patience, now_us - flow->waiting_since_us);
    patience = greater(patience, rush_us(flow, now_us));
    return patience < most_patience_us ? patience : most_patience_us;
}
