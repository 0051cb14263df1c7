/* Checks the event logs of all nodes, and of the tasks' own processes, against
 * the guarantees.
 *
 * A log is lines of JSON:
 * {"at":<us>,"node":"a","event":"claimed","task":"x","fence":7,...}, times on
 * one clock. From the nodes: claimed and renewed (with "deadline"), stopping,
 * released, done. From the tasks' processes, which know best: task-started,
 * task-beat, task-ended (with "pid"), and task-overlap, when a process finds
 * that another one of the same task is alive. Other events are not looked at.
 *
 * Rules, for each task:
 *   owner      the intervals [claimed, min(released or done, last deadline)] do
 * not overlap fence      a later claim has a higher fence than all before it
 *   process    the intervals [task-started, last sign of life] do not overlap,
 * and each lies within the owner's interval with its fence done       every
 * expected task has ended and is done, and no other task is seen; it is not
 *              claimed after it was done, unless the node that did it has
 * failed takeover   a claim that was not ended before its deadline is followed
 * by another, within the limit from the node's fault; a node without a fault
 * abandons nothing And the run must have tried something: at least so many
 * takeovers. */
#ifndef MF_TESTS_CHECKER_H
#define MF_TESTS_CHECKER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct log_checker log_checker;

typedef struct checker_report {
    size_t tasks, claims, processes, takeovers, violations;
    int64_t longest_takeover_us;
} checker_report;

log_checker *checker_new(void);
void checker_free(log_checker *checker);

/* Reads a log; 0, or -1 with errno. Lines that are not understood are
 * violations. */
int checker_load(log_checker *checker, const char *path);
/* One line. */
void checker_add_line(log_checker *checker, const char *line);

/* A task that must have been done. */
void checker_expect(log_checker *checker, const char *task);
/* The node was killed or stopped at this time. It excuses only the claims that were in force while
 * the fault lasted: until checker_recovered, or for ever. */
void checker_fault(log_checker *checker, const char *node, int64_t at_us);
/* The node's last fault is over: it was resumed or started again at this time. */
void checker_recovered(log_checker *checker, const char *node, int64_t at_us);

/* Applies the rules, and writes a line for each violation to `out`. */
void checker_run(log_checker *checker, int64_t takeover_limit_us, size_t least_takeovers, FILE *out,
                 checker_report *report);

#endif
