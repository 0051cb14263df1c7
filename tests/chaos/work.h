/* The tasks: submitted, and looked for in the broker's record, by koalemosctl. */
#ifndef MF_CHAOS_WORK_H
#define MF_CHAOS_WORK_H

#include "history.h"

typedef struct work work;

typedef struct work_options {
    const char *url;       /* of the servers, straight; borrowed like the others */
    const char *directory; /* has the ledger, "ledger" */
    int tasks;             /* as many as there shall be at any time */
    int lease_ms;
    uint64_t seed;
} work_options;

work *work_new(const work_options *options, history *h);
void work_free(work *w);

/* Submits what is missing unless `closing`, looks what there is, and takes answers. */
void work_tick(work *w, bool closing);

/* How many tasks the last listing has, if it was asked for since `since_us` and after all submits;
 * -1: there is none. */
int work_listed(const work *w, int64_t since_us);

#endif
