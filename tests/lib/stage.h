/* A coordinator alone, over a scripted broker in virtual time, and what it tells of each claim. */
#ifndef MF_TESTS_STAGE_H
#define MF_TESTS_STAGE_H

#include "coordinator/coordinator.h"
#include "scripted_broker.h"
#include "virtual_loop.h"

/* A claim, and what has been told of it. */
typedef struct actor {
    mf_claim claim; /* first */
    char id[32];
    int granted, grants, ended, endings; /* the last code, and how often */
    int64_t granted_us;
    mf_stop_reason stop;
    int stops, expiries;
    int64_t stopped_us, expired_us, expired_at_us;
} actor;

typedef struct stage {
    virtual_world *world;
    mf_loop *loop;
    script *broker;
    mf_coordinator_options options;
    mf_coordinator *coordinator;
    actor *actors;
    size_t actor_count;
    int joins, ups, downs, reconciles, views, unconfirmed;
    int failed;                    /* the code */
    size_t listed;                 /* in the last listing */
    char commands[512], mail[512]; /* what came, each with a space after it */
    bool ends_when_stopped;        /* within `lost`, as done */
    bool closed;
    int lines; /* logged at warnings and above */
} stage;

enum { STAGE_LEASE_MS = 15000, STAGE_GRACE_MS = 3750 };

/* Of the lease: 2 % and 5 ms; see docs/guarantees.md. */
int64_t stage_margin_us(const stage *s);

/* Nothing is opened yet: options may be changed. */
stage *stage_new(size_t actors);
/* Opens, with the link up. */
void stage_open(stage *s);
/* Opens and joins. */
stage *stage_joined(size_t actors);
/* Closes as well, while the broker answers everything. */
void stage_free(stage *s);

void stage_claim(stage *s, size_t first, size_t count);
/* Claims and runs until all are granted, by a broker that answers. */
void stage_hold(stage *s, size_t first, size_t count);
void stage_end(stage *s, size_t index, mf_outcome outcome);
/* Begins to close. */
void stage_close(stage *s);
void stage_run_us(stage *s, int64_t us);
void stage_run_ms(stage *s, int64_t ms);
int64_t stage_now_us(const stage *s);
/* Told to all actors together. */
int stage_stops(const stage *s);
int stage_expiries(const stage *s);

#endif
