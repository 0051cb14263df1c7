/* The guard's table of processes: by slot and by process id. */
#ifndef KOALEMOSD_WARDS_H
#define KOALEMOSD_WARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "guard_order.h"
#include "wire.h"

typedef enum ward_state {
    WARD_WAITING, /* to be started */
    WARD_RUNNING,
    WARD_ENDED /* the process itself is gone; others of its making may be left */
} ward_state;

typedef struct koa_ward {
    uint32_t slot;
    uint32_t serial; /* with the slot, names this process for good */
    ward_state state;
    start_order order; /* until it is started */
    pid_t pid;         /* 0 while it waits */
    uint64_t fence;
    int64_t deadline_us;
    char *task;
    end_cause cause;  /* END_OWN until the guard kills it */
    ended_report end; /* what to tell when nothing of it is left */
    size_t strays;
    struct koa_ward *next_by_pid;
    TAILQ_ENTRY(koa_ward) waiting;
} koa_ward;

enum { WARD_BUCKETS = 1024 };

typedef struct koa_wards {
    koa_ward **by_slot; /* NULL where the slot is free */
    size_t slots;
    koa_ward *by_pid[WARD_BUCKETS];
    TAILQ_HEAD(, koa_ward) waiting; /* in the order of their orders */
    size_t count;
    size_t running; /* of these */
    uint32_t serial;
} koa_wards;

void wards_init(koa_wards *table);
/* Adds a ward that waits; takes the order. NULL: out of memory, or the slot is in use. */
koa_ward *wards_add(koa_wards *table, start_order *order);
/* It runs, and is known by its process id too. */
void wards_set_running(koa_wards *table, koa_ward *ward, pid_t pid);
void wards_set_ended(koa_wards *table, koa_ward *ward);
void wards_remove(koa_wards *table, koa_ward *ward);
koa_ward *wards_by_slot(const koa_wards *table, uint32_t slot);
koa_ward *wards_by_pid(const koa_wards *table, pid_t pid);

#endif
