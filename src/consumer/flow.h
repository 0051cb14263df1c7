/* How claiming goes in the cluster, as one node sees it: what is still to be claimed, how fast that
 * becomes less, and how long claims take. */
#ifndef MF_CONSUMER_FLOW_H
#define MF_CONSUMER_FLOW_H

#include <stddef.h>
#include <stdint.h>

enum { MF_FLOW_SAMPLES = 4 };

typedef struct mf__flow {
    uint64_t unowned; /* claimable tasks, by hints, and by what the broker or a listing that is
                       * complete counts */
    uint64_t listed;  /* in the one under way */
    /* Tasks that were taken, by anyone, in the present window of time and in the one before. */
    uint64_t taken, taken_before;
    int64_t window_us, last_taken_us;
    int64_t latencies_us[MF_FLOW_SAMPLES]; /* of the last claims of this node, one of a batch */
    size_t samples;
    int64_t last_asked_us;    /* when the last one of them was asked for, or the link was down */
    int64_t waiting_since_us; /* claims are under way, and none was answered since; 0: none are */
} mf__flow;

void mf__flow_offered(mf__flow *flow, size_t count);
void mf__flow_list_begins(mf__flow *flow);
void mf__flow_listed(mf__flow *flow, size_t count);
void mf__flow_list_complete(mf__flow *flow);
void mf__flow_counted(mf__flow *flow, uint64_t claimable);
void mf__flow_taken(mf__flow *flow, size_t count, int64_t now_us);
void mf__flow_asked(mf__flow *flow, int64_t now_us);
/* A claim of this node that was asked for at `asked_us`; `left` are under way still. */
void mf__flow_answered(mf__flow *flow, int64_t asked_us, size_t left, int64_t now_us);

/* The link is broken: how long claims take that are under way says nothing. */
void mf__flow_interrupted(mf__flow *flow, int64_t now_us);

/* How long to wait for a claim that another node may have under way to be known here. */
int64_t mf__flow_patience_us(const mf__flow *flow, int64_t now_us);

#endif
