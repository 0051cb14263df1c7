/* The judge: what a run must not show, by the tasks' own record and the broker's.
 *
 * Rules, for each task:
 *   owner   no two processes of it are alive at the same time
 *   fence   each process has a higher fence than all before it, and the store never refused one
 *   lost    a task that is gone has ended by itself; one that was acknowledged ends
 *   final   one that is gone never runs again, and is never listed again
 *   idle    it runs again within the lease + 2 s of its last process' end and of the last fault;
 * one that took its node down twice in a row within seconds may pause (docs/state-machine.md) And
 * for the run: node    no node ends by itself run     the faults took effect, and tasks were taken
 * over; otherwise nothing is proven */
#ifndef MF_CHAOS_JUDGE_H
#define MF_CHAOS_JUDGE_H

#include "history.h"

enum { VIOLATION_SIZE = 256 };

typedef struct violation {
    int task; /* its number; -1: of the run */
    int64_t at_us;
    char text[VIOLATION_SIZE];
} violation;

typedef struct judgement {
    violation *violations; /* to be freed by judgement_clear */
    size_t violation_count;
    bool valid;                  /* the run has proven something */
    size_t gone, taken_over;     /* tasks; lives that followed one on another node that had died */
    int64_t longest_takeover_us; /* of those, without any other fault between */
    size_t paused;               /* idle times that only a crash pause excuses */
    size_t effective;            /* faults */
} judgement;

/* Sorts the history's lives by task and time. */
void judge(history *h, judgement *out);
void judgement_clear(judgement *j);

#endif
