/* A link that loses things, between a user of a broker handle and a real handle. */
#ifndef MF_TESTS_LOSSY_BROKER_H
#define MF_TESTS_LOSSY_BROKER_H

#include <metafora/driver.h>

typedef enum lossy_fate {
    LOSSY_DELIVER,
    LOSSY_LOSE_REQUEST, /* MF_EUNREACHABLE, never executed */
    LOSSY_LOSE_REPLY,   /* MF_EUNKNOWN, executed */
    LOSSY_HOLD_REPLY    /* executed, no answer until lossy_let_go */
} lossy_fate;

/* Takes `inner`; closing the handle closes it too. */
mf_broker *lossy_broker_new(mf_broker *inner);

/* What happens to the next `times` requests; those after them are delivered. */
void lossy_next(mf_broker *broker, lossy_fate fate, int times);

/* While the link is down every request is lost; watchers are told. */
void lossy_link(mf_broker *broker, bool up);

/* Answers what is held; `lost` true: with MF_EUNKNOWN. */
void lossy_let_go(mf_broker *broker, bool lost);

/* Requests passed to the broker, under way, and most that were so at one time. */
typedef struct lossy_counts {
    size_t sent, under_way, most_under_way;
    size_t largest_batch;
} lossy_counts;
lossy_counts lossy_count(const mf_broker *broker);

#endif
