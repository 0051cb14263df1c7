/* Which faults come when: drawn from a seed, the same for the same options.
 *
 * They come in rounds. In each, some overlap for a while; then all but a few are over, and the
 * cluster has the time in which everything must run again. */
#ifndef MF_CHAOS_SCHEDULE_H
#define MF_CHAOS_SCHEDULE_H

#include <stddef.h>
#include <stdio.h>

#include "fault.h"

typedef struct schedule_options {
    uint64_t seed;
    int seconds, nodes, servers, lease_ms;
    fault_set faults;
} schedule_options;

typedef struct schedule {
    planned_fault *faults; /* by `from_ms` */
    size_t count;
    int64_t length_ms; /* with the calm after the last fault */
} schedule;

/* A cluster without faults must run everything again within this. */
int64_t schedule_calm_ms(int lease_ms);

void schedule_make(schedule *out, const schedule_options *options);
void schedule_clear(schedule *s);
void schedule_print(const schedule *s, FILE *out);

/* The next of a sequence of numbers that follows from a seed. */
uint64_t schedule_random(uint64_t *state);

#endif
