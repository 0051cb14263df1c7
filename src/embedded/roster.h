/* Tasks in the order in which they came. A place in that order is a number that
 * stays good while tasks come and go, so that a listing can be continued from
 * it without a search through the rest.
 */
#ifndef MF_EMBEDDED_ROSTER_H
#define MF_EMBEDDED_ROSTER_H

#include <stddef.h>
#include <stdint.h>

struct mf_stored_task;

/* Which of a task's places a roster keeps. */
enum { MF_ROSTER_ALL, MF_ROSTER_CLAIMABLE, MF_ROSTER_STATED, MF_ROSTER_KINDS };

#define MF_ROSTER_ABSENT UINT32_MAX

typedef struct mf_roster_entry {
    uint64_t order;              /* rises from entry to entry, never used twice */
    struct mf_stored_task *task; /* NULL: it has left, the entry is a hole */
} mf_roster_entry;

typedef struct mf_roster {
    mf_roster_entry *entries;
    size_t count, size, holes;
    uint64_t last_order;
    int kind;
} mf_roster;

void mf__roster_init(mf_roster *roster, int kind);
void mf__roster_clear(mf_roster *roster);

/* Makes sure that `tasks` tasks fit, so that as long as there are no more of
 * them mf__roster_add cannot fail. MF_ENOMEM. */
int mf__roster_reserve(mf_roster *roster, size_t tasks);

void mf__roster_add(mf_roster *roster, struct mf_stored_task *task);

/* Harmless when the task is not in the roster. */
void mf__roster_remove(mf_roster *roster, struct mf_stored_task *task);

/* Index of the first entry that comes after `order`; `count` when there is
 * none. */
size_t mf__roster_after(const mf_roster *roster, uint64_t order);

#endif
