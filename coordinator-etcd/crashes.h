/* Crash counts. */
#ifndef MF_ETCD_CRASHES_H
#define MF_ETCD_CRASHES_H

#include <metafora/driver.h>

#include "link.h"

typedef struct mf_etcd mf_etcd;
typedef struct mf_op mf_op;

typedef struct mf_crashes {
    unsigned max;                        /* that set a task aside; 0: none do */
    uint64_t recent;                     /* number of the last note of recent claims */
    unsigned suspected, looking, looked; /* looks that were wanted, up to now and so far */
    bool calling;
    mf_op *waiting, *served; /* served: by the look under way */
    mf_timer timer;
    mf_rpc rpc;
    mf_arena arena; /* of the work under way */
    struct dead_note *notes;
    size_t note, note_count, read; /* of the notes: done, and read */
    bool counted;                  /* there were counts when the look began */
} mf_crashes;

void mf__crashes_init(mf_etcd *etcd, const mf_broker_options *options);
void mf__crashes_clear(mf_etcd *etcd);
/* A session may have ended with claims. */
void mf__crashes_suspect(mf_etcd *etcd);
/* No crash is known of that is to be counted. */
bool mf__crashes_are_counted(const mf_etcd *etcd);
/* Calls `then` when all is counted and told, or that has failed. */
void mf__crashes_await(mf_op *op, void (*then)(mf_op *op));
/* There may be something to tell. */
void mf__crashes_go_on(mf_etcd *etcd);
mf_bytes mf__crash_key(mf_etcd *etcd, mf_arena *arena, const char *id);
/* Whether there are any crash counts, for mf__answer_exists. */
Etcd__RequestOp *mf__crashes_any(mf_etcd *etcd, mf_arena *arena);
/* What a crash key and a delay key say; NULL: there is none. */
unsigned mf__crash_count(const Etcd__KeyValue *value);
bool mf__is_set_aside(const Etcd__KeyValue *delay);

#endif
