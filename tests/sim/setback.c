/* The broker is set back: it loses its last writes, as one that is restored from a snapshot. Its
 * sessions it keeps, and its clock goes on, and with it its fences. Only where handlers keep no
 * state. */
#include <stdlib.h>
#include <string.h>

#include "embedded/store.h"
#include "sim_internal.h"

typedef struct snapshot {
    bool stored, removed, waiting, held;
    uint64_t fence;
    int64_t expires_us;
    char token[33]; /* of its owner, if it is held */
    truth truth;
} snapshot;

static void take(mf_space *space, void *arg)
{
    sim *s = arg;

    for (int i = 0; i < s->options.tasks; i++) {
        const mf_stored_task *task = mf__space_find_any(space, s->truths[i].id);
        snapshot *of = &s->snapshot[i];
        *of = (snapshot){.truth = s->truths[i], .stored = task != NULL};
        if (task == NULL)
            continue;
        of->removed = task->removed;
        of->waiting = task->waiting;
        of->fence = task->fence;
        of->expires_us = task->expires_us;
        of->held = task->owner != NULL;
        if (of->held)
            strcpy(of->token, task->owner->token);
    }
}

void setback_take(sim *s)
{
    if (s->stateful)
        return;
    if (s->snapshot == NULL)
        s->snapshot = calloc((size_t)s->options.tasks, sizeof *s->snapshot);
    mf__embedded_change(s->store, "sim", take, s);
}

static void apply(sim *s, mf_space *space, const char *id,
                  int (*operation)(mf_space *space, mf_items_request *request, int64_t now_us))
{
    char token[33];
    mf_item item = {.id = id};
    mf_items_request request = {.token = token, .items = &item, .count = 1};

    snprintf(token, sizeof token, "setback %llu", (unsigned long long)s->changes++);
    operation(space, &request, sim_now_us(s));
}

/* Its owner's claim is in force again, also when it had been released. */
static void hold(sim *s, mf_space *space, const snapshot *of)
{
    mf_stored_task *task = mf__space_find(space, of->truth.id);
    mf_stored_session *owner;

    HASH_FIND_STR(space->sessions, of->token, owner);
    if (of->held && owner != NULL && of->expires_us > sim_now_us(s)) {
        mf__roster_remove(&space->claimable, task);
        task->fence = of->fence;
        mf__space_hold(space, owner, task, of->expires_us);
    }
    if (of->removed || of->waiting)
        apply(s, space, of->truth.id, mf__space_remove);
    if (of->waiting)
        apply(s, space, of->truth.id, mf__space_submit);
}

static void restore_truth(truth *t, const truth *was)
{
    t->exists = was->exists;
    t->fence = was->fence;
    memcpy(t->token, was->token, sizeof t->token);
    t->held = was->held;
    t->expires_us = was->expires_us;
    t->finished = was->finished;
    t->removed = was->removed;
    t->removed_us = was->removed_us;
    t->doubtful_fence = t->highest_fence;
}

static void restore(mf_space *space, void *arg)
{
    sim *s = arg;

    for (int i = 0; i < s->options.tasks; i++) {
        const snapshot *of = &s->snapshot[i];
        mf_stored_task *task = mf__space_find_any(space, of->truth.id);
        if (task != NULL)
            mf__space_delete(space, task);
        if (of->stored) {
            apply(s, space, of->truth.id, mf__space_submit);
            hold(s, space, of);
        }
        restore_truth(&s->truths[i], &of->truth);
    }
    for (int kind = 0; kind < MF_NEWS_KINDS; kind++) /* nobody hears of it */
        space->news[kind].length = space->news[kind].count = 0;
}

void setback_restore(sim *s)
{
    if (s->snapshot == NULL)
        return;
    s->report->set_backs++;
    s->set_back_us = sim_now_us(s);
    judge_unrest(s);
    mf__embedded_change(s->store, "sim", restore, s);
}

void setback_free(sim *s)
{
    free(s->snapshot);
}
