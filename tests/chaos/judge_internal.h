/* Inside the judge. */
#ifndef MF_CHAOS_JUDGE_INTERNAL_H
#define MF_CHAOS_JUDGE_INTERNAL_H

#include "judge.h"

/* A time in which tasks may be idle; a moment when both are the same. */
typedef struct unrest {
    int64_t from_us, to_us;
} unrest;

typedef struct bench {
    const history *history;
    judgement *out;
    unrest *unrests; /* by from_us */
    size_t unrest_count;
} bench;

/* A task with its lives by time. */
typedef struct docket {
    int number;
    const history_task *task;
    const history_life *lives;
    size_t count;
} docket;

void judge_violate(bench *b, int task, int64_t at_us, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Seconds since the beginning of the run, for texts. */
double judge_seconds(const bench *b, int64_t at_us);

/* A fault may have taken back what was acknowledged, or seen, in this time. */
bool judge_may_be_lost(const bench *b, int64_t from_us, int64_t to_us);

/* A fault may have taken back the claim of a process on this node that was alive at this time. The
 * node hears of that with its next renewal, a third of a lease later at most; if it has a fault
 * itself, its processes end with the lease. */
bool judge_claim_may_be_lost(const bench *b, const char *node, int64_t at_us);

/* Fills unrests in, for free(). */
void judge_find_unrest(bench *b);
void judge_idle(bench *b, const docket *d);

#endif
