/* The judge: what a server may take back that lost its last writes (docs/guarantees.md). */
#include <string.h>

#include "judge_internal.h"

enum { STOP_US = 1000000 /* a node hears of it, and kills */ };

static bool is_loss(const history *h, const history_fault *fault)
{
    return (h->losses & FAULT(fault->plan.kind)) != 0;
}

static int64_t loss_began_us(const history *h, const history_fault *fault)
{
    return fault->began_us - h->loss_margin_us;
}

static int64_t loss_ended_us(const history *h, const history_fault *fault)
{
    return (fault->ended_us != 0 ? fault->ended_us : h->over_us) + h->loss_margin_us;
}

static int64_t end_us(const history *h, const history_fault *fault)
{
    return fault->ended_us != 0 ? fault->ended_us : h->over_us;
}

bool judge_may_be_lost(const bench *b, int64_t from_us, int64_t to_us)
{
    const history *h = b->history;

    for (size_t i = 0; i < h->fault_count; i++)
        if (is_loss(h, &h->faults[i]) && loss_began_us(h, &h->faults[i]) <= to_us &&
            loss_ended_us(h, &h->faults[i]) >= from_us)
            return true;
    return false;
}

static bool has_fault(const history *h, const char *node, int64_t from_us, int64_t to_us)
{
    for (size_t i = 0; i < h->fault_count; i++) {
        const history_fault *fault = &h->faults[i];
        if (fault_describe(fault->plan.kind)->place != AT_SERVER &&
            strcmp(history_node_name(fault->plan.target), node) == 0 && fault->began_us <= to_us &&
            end_us(h, fault) >= from_us)
            return true;
    }
    return false;
}

bool judge_claim_may_be_lost(const bench *b, const char *node, int64_t at_us)
{
    const history *h = b->history;

    for (size_t i = 0; i < h->fault_count; i++) {
        const history_fault *fault = &h->faults[i];
        int64_t back_us = loss_ended_us(h, fault);
        if (!is_loss(h, fault) || at_us < loss_began_us(h, fault))
            continue;
        bool undisturbed = !has_fault(h, node, fault->began_us, back_us + h->lease_us);
        if (at_us <= back_us + (undisturbed ? h->lease_us / 3 + STOP_US : h->lease_us))
            return true;
    }
    return false;
}
