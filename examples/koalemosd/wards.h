/* The guard's table of processes: by slot and by process id. */
#ifndef KOALEMOSD_WARDS_H
#define KOALEMOSD_WARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire.h"

typedef struct koa_ward {
    uint32_t slot;
    uint32_t serial; /* with the slot, names this process for good */
    pid_t pid;
    uint64_t fence;
    int64_t deadline_us;
    char *task;
    end_cause cause;  /* END_OWN until the guard kills it */
    bool ended;       /* the process itself is gone; others of its making may be left */
    ended_report end; /* what to tell when they are gone too */
    size_t strays;
    struct koa_ward *next_by_pid;
} koa_ward;

enum { WARD_BUCKETS = 1024 };

typedef struct koa_wards {
    koa_ward **by_slot; /* NULL where the slot is free */
    size_t slots;
    koa_ward *by_pid[WARD_BUCKETS];
    size_t count;
    size_t living; /* of these, not ended */
    uint32_t serial;
} koa_wards;

/* NULL: out of memory, or the slot is in use. */
koa_ward *wards_add(koa_wards *table, uint32_t slot, const char *task);
/* Makes the ward known by its process id too. */
void wards_set_pid(koa_wards *table, koa_ward *ward, pid_t pid);
void wards_remove(koa_wards *table, koa_ward *ward);
koa_ward *wards_by_slot(const koa_wards *table, uint32_t slot);
koa_ward *wards_by_pid(const koa_wards *table, pid_t pid);
void wards_set_ended(koa_wards *table, koa_ward *ward);

#endif
