/* The guard's table of processes: by slot and by process id. */
#ifndef MF_PROCESS_WARDS_H
#define MF_PROCESS_WARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "process/order.h"
#include "process/wire.h"

typedef enum mf__ward_state {
    WARD_WAITING, /* to be started */
    WARD_RUNNING,
    WARD_ENDED /* the process itself is gone; others of its making may be left */
} mf__ward_state;

typedef struct mf__ward {
    uint32_t slot;
    uint32_t serial; /* with the slot, names this process for good */
    mf__ward_state state;
    mf__start_order order; /* until it is started */
    pid_t pid;             /* 0 while it waits */
    uint64_t fence;
    int64_t deadline_us;
    char *task, *node;
    mf__end_cause cause; /* END_OWN until the guard kills it */
    mf__ended end;       /* what to tell when nothing of it is left */
    size_t strays;
    bool denied; /* one of them, or the command, may not be killed: that is told once */
    struct mf__ward *next_by_pid;
    TAILQ_ENTRY(mf__ward) waiting;
} mf__ward;

enum { WARD_BUCKETS = 1024 };

typedef struct mf__wards {
    mf__ward **by_slot; /* NULL where the slot is free */
    size_t slots;
    mf__ward *by_pid[WARD_BUCKETS];
    TAILQ_HEAD(, mf__ward) waiting; /* in the order of their orders */
    size_t count;
    size_t running; /* of these */
    uint32_t serial;
} mf__wards;

void mf__wards_init(mf__wards *table);
/* Adds a ward that waits; takes the order. NULL: out of memory, or the slot is in use. */
mf__ward *mf__wards_add(mf__wards *table, mf__start_order *order);
/* It runs, and is known by its process id too. */
void mf__wards_set_running(mf__wards *table, mf__ward *ward, pid_t pid);
void mf__wards_set_ended(mf__wards *table, mf__ward *ward);
void mf__wards_remove(mf__wards *table, mf__ward *ward);
mf__ward *mf__wards_by_slot(const mf__wards *table, uint32_t slot);
mf__ward *mf__wards_by_pid(const mf__wards *table, pid_t pid);
/* The ended one whose process group it was. A group's id is not given away while it has members. */
mf__ward *mf__wards_ended_group(const mf__wards *table, pid_t group);

#endif
