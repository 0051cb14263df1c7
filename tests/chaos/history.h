/* What happened in a run: all that the judge knows. Times are on ledger_now_us's clock; 0: never.
 */
#ifndef MF_CHAOS_HISTORY_H
#define MF_CHAOS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

enum { HISTORY_NAME_SIZE = 32 };

/* A process of a task, by its own record. */
typedef struct history_life {
    char task[HISTORY_NAME_SIZE], node[HISTORY_NAME_SIZE];
    uint32_t number; /* of the task: its place in history.tasks */
    uint64_t fence;
    int64_t pid;
    int64_t started_us, alive_us; /* alive: the last sign of life */
    int64_t told_us;              /* asked to stop */
    int64_t ended_us;             /* by itself, its work done */
    int64_t refused_us;           /* the store had seen a higher fence */
    int64_t met_us;               /* another process of the task was alive: */
    int64_t met_pid;
} history_life;

/* A task, as far as its submitter and listings of the broker's record tell. */
typedef struct history_task {
    char id[HISTORY_NAME_SIZE];
    int64_t asked_us, acknowledged_us; /* of the submit */
    int64_t listed_us;                 /* the last listing, as of its call, that had it */
    /* The first listing that had it no more, by its call and its answer; 0 when one has it again.
     */
    int64_t missed_us, gone_us;
    /* The last time that it was listed again: by the answer, and by when it was known to be gone.
     */
    int64_t back_us, back_after_us;
} history_task;

typedef struct history_fault {
    planned_fault plan;
    int64_t began_us, ended_us; /* ended: 0 while it lasts */
    bool took_effect;
} history_fault;

/* A node that ended without having been asked to. */
typedef struct history_end {
    int node;
    int64_t at_us;
    int status; /* waitpid's */
} history_end;

typedef struct history {
    int64_t lease_us;
    int nodes;
    fault_set losses; /* kinds of faults that may take back what was acknowledged in their time */
    int64_t loss_margin_us; /* and so long before and after */
    int64_t began_us;       /* all tasks ran for the first time */
    int64_t let_go_us;      /* from here on all tasks may end */
    int64_t over_us;
    history_life *lives;
    size_t life_count;
    history_task *tasks;
    size_t task_count;
    history_fault *faults; /* in the order of their beginning */
    size_t fault_count;
    history_end *ends;
    size_t end_count;
} history;

/* The name of a node: "a" and on. */
const char *history_node_name(int node);

#endif
