/* Balancers: which tasks may be claimed, and which to give up. */
#ifndef METAFORA_BALANCER_H
#define METAFORA_BALANCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <metafora/export.h>
#include <metafora/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One live node, as last seen. */
typedef struct mf_node {
    const char *name;
    uint64_t tasks; /* that it holds */
    /* Capacity relative to the others; 1 unless set. 0: it takes nothing. Below 0: it is about to
     * go but will be back soon, and then this is its weight with the other sign. */
    double weight;
} mf_node;

/* What a balancer may ask; valid during one call of a slot. */
typedef struct mf_balance mf_balance;

MF_EXPORT int64_t mf_balance_now_us(const mf_balance *balance);
MF_EXPORT uint64_t mf_balance_random(const mf_balance *balance);
/* In can_claim: for how long the task has been known here to be claimable. */
MF_EXPORT int64_t mf_balance_offered_us(const mf_balance *balance);
/* For how long to leave a task to another node that should claim it now: claims take that long to
 * be known, by this node's own ones and by how fast tasks are being taken. 50 ms at least. */
MF_EXPORT int64_t mf_balance_patience_us(const mf_balance *balance);
/* About how many tasks have no owner. */
MF_EXPORT uint64_t mf_balance_unowned(const mf_balance *balance);
/* Tasks that this node holds or is claiming, without those it is giving back. */
MF_EXPORT size_t mf_balance_held(const mf_balance *balance);
/* The live nodes, this one included with its own present count; borrowed for the call. At least
 * this node, even before the first view arrived. */
MF_EXPORT const mf_node *mf_balance_nodes(const mf_balance *balance, size_t *count);
/* Rises with each new view, so that what was computed from the last one can be kept until then. */
MF_EXPORT uint64_t mf_balance_view(const mf_balance *balance);
/* Rises when nodes come or go, and with them the places in mf_balance_nodes. */
MF_EXPORT uint64_t mf_balance_members(const mf_balance *balance);
/* The steady time until which the node at `index`, which has said that it will be back soon, is to
 * be waited for; 0: it has not, or not in time. It may not be live meanwhile. */
MF_EXPORT int64_t mf_balance_expected_us(const mf_balance *balance, size_t index);
/* This node's place in mf_balance_nodes. */
MF_EXPORT size_t mf_balance_self(const mf_balance *balance);
/* The running tasks that are not being stopped, in no particular order; NULL past the last. Valid
 * until the slot returns, also after mf_balance_release of a task. */
MF_EXPORT mf_task *mf_balance_task(const mf_balance *balance, size_t index);
/* Gives the task up: its handler is stopped with MF_STOP_BALANCE when the slot has returned.
 * Only in the `balance` slot. Twice is once. */
MF_EXPORT void mf_balance_release(mf_balance *balance, mf_task *task);

/* How many tasks this call may give up; releasing more does nothing. */
MF_EXPORT size_t mf_balance_limit(const mf_balance *balance);

#define MF_BALANCER_VERSION 1
#define MF_BALANCE_FORGET INT64_MAX

typedef struct mf_balancer {
    int version;
    /* May claim the task now? If not, write the steady time from which to ask again to `until_us`
     * (one in the past: in a second), or MF_BALANCE_FORGET to be asked when it is offered again, by
     * a hint or by the next reconcile. Before the call it holds the time until which the task was
     * set aside the last time, 0 when it never was. Asked often: no I/O, no blocking.
     * A node that refuses a whole page of claimable tasks for a time has enough, and reads no
     * further until it claims again; at each reconcile it sees one more page. Who looks for tasks
     * of a kind among others answers MF_BALANCE_FORGET for the others, and is shown all. */
    bool (*can_claim)(void *payload, const mf_balance *balance, const char *task_id,
                      int64_t *until_us);
    /* May be NULL. Called every balance interval and on a balance command. */
    void (*balance)(void *payload, mf_balance *balance);
    /* May be NULL. Called once, when the consumer that took the balancer is gone. */
    void (*free)(void *payload);
    void *payload;
    /* May be NULL. Writes up to `size` bytes of text: where the task belongs, and what a balance
     * would do now. */
    void (*explain)(void *payload, const mf_balance *balance, const char *task_id, char *text,
                    size_t size);
    /* Of a balancer that could not be made, whose version is an error code: the argument and the
     * rule that it breaks, a static text; may be NULL. */
    const char *refusal;
} mf_balancer;

/* Built in. Each returns a new balancer for one consumer, by value; when memory is out, one that
 * mf_consumer_open refuses with MF_ENOMEM. Out-of-range arguments are refused there too, MF_EINVAL.
 */

/* Claims all that is claimable, releases nothing. */
MF_EXPORT mf_balancer mf_balancer_dumb(void);
/* Claims later the more it holds: one more task after `per_task_ms` for each task held, at most
 * `max_ms`; both from 0 to 3,600,000. Releases nothing. */
MF_EXPORT mf_balancer mf_balancer_sleep(int per_task_ms, int max_ms);
/* Claims up to the node's share by weight, and beyond it only what nobody else takes within a
 * moment; releases what exceeds `threshold` (1.2 is 120 %; 1 to 100) times its share, where others
 * have room, and what others lack that hold less than 2 - `threshold` times theirs. */
MF_EXPORT mf_balancer mf_balancer_fair(double threshold);

/* What balances by fair would move, as a function of a view of the nodes: writes for each what it
 * lacks (above 0) or would give up (below 0), with parts of tasks that are rounded in the end.
 * `unowned` tasks have no owner yet. */
MF_EXPORT void mf_balance_plan(const mf_node *nodes, size_t count, uint64_t unowned,
                               double threshold, double *moves);
/* The place in `nodes` of the task's home: the one that claims it at once, by fair, when it has
 * room. SIZE_MAX: no node takes tasks. */
MF_EXPORT size_t mf_balance_home(const mf_node *nodes, size_t count, const char *task_id);

/* A resource in use and its capacity, in any unit. Returns 0, or a negative mf_error code, on which
 * the balancer claims and releases as if nothing were known. */
typedef int (*mf_resource_report)(uint64_t *used, uint64_t *total, void *payload);
/* Stops claiming at `claim_percent` in use, releases tasks above `release_percent`.
 * 1 <= claim_percent < release_percent <= 100. */
MF_EXPORT mf_balancer mf_balancer_resource(mf_resource_report report, void *payload,
                                           int claim_percent, int release_percent);
/* Reporters: memory in use by /proc/meminfo (MemTotal - MemAvailable); CPU by the one-minute load
 * average over the processors, in thousandths. The payload is not used. */
MF_EXPORT int mf_report_memory(uint64_t *used, uint64_t *total, void *payload);
MF_EXPORT int mf_report_cpu(uint64_t *used, uint64_t *total, void *payload);

#ifdef __cplusplus
}
#endif
#endif
