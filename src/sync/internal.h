/* A call of the synchronous client: two threads, the caller's that waits and the loop's that asks.
 */
#ifndef MF_SYNC_INTERNAL_H
#define MF_SYNC_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include <metafora/sync.h>

#include "loop/loop.h"

struct mf_sync {
    mf_loop *loop;
    mf_broker *broker;
    mf_client *client;
    pthread_t thread;
    mf_posted end;
    int timeout_ms;

    pthread_mutex_t lock; /* for all below and all calls */
    pthread_cond_t changed;
    unsigned calls;     /* on their callers' threads */
    uint64_t cancelled; /* how often */
};

typedef struct mf__question mf__question;
/* On the loop's thread: makes the client's call, with `call` for its callback's argument. */
typedef int mf__ask(mf_client *client, const mf__question *question, void *call, mf_error *error);

/* What a caller asks. On the caller's stack: only to be read with the lock, while it waits. */
struct mf__question {
    mf__ask *ask;
    const void *subjects; /* ids, specs, or one name */
    bool ask_ids;         /* of items: ids, not specs */
    size_t count;
    const void *content; /* a message or a command */
    mf_item_result *results;
    unsigned codes;
    double threshold;

    /* On the caller's thread: gives what the client has brought to the caller's function. */
    void (*show)(const mf__question *question, const void *records, size_t count, bool last);
    union {
        mf_tasks_fn tasks;
        mf_states_fn states;
        mf_nodes_fn nodes;
        mf_placement_fn placement;
    } fn;
    void *arg;
};

/* Asks, waits and shows; returns when it has ended or the time is over. */
int mf__sync_call(mf_sync *sync, const mf__question *question, int timeout_ms, mf_error *error);

/* For the client's callbacks, on the loop's thread, with the argument that `ask` was given. */
void mf__sync_on_items(const mf_error *error, const mf_item_result *items, size_t count, void *arg);
void mf__sync_on_page(const mf_error *error, const void *records, size_t count, bool last,
                      void *arg);

#endif
