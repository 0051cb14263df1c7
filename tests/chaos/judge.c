/* The judge: owner, fence, lost, final; and whether the run has proven anything. */
#include "judge.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "judge_internal.h"

/* Of a hundred faults, so many must have had an effect. */
enum {
    EFFECTIVE_PERCENT = 40,
    SEEN_US = 5000000 /* a task may be gone for so long before a listing is answered */
};

void judge_violate(bench *b, int task, int64_t at_us, const char *format, ...)
{
    judgement *j = b->out;
    va_list arguments;

    j->violations = realloc(j->violations, (j->violation_count + 1) * sizeof *j->violations);
    assert(j->violations != NULL);
    violation *added = &j->violations[j->violation_count++];
    added->task = task;
    added->at_us = at_us;
    va_start(arguments, format);
    vsnprintf(added->text, sizeof added->text, format, arguments);
    va_end(arguments);
}

double judge_seconds(const bench *b, int64_t at_us)
{
    return (double)(at_us - b->history->began_us) / 1e6;
}

/* The rules of a task, but for idle. */

static void judge_owner(bench *b, const docket *d)
{
    const history_life *last = NULL; /* of those so far, the one that lived longest */

    for (size_t i = 0; i < d->count; i++) {
        const history_life *life = &d->lives[i];
        if (life->met_us != 0 && !judge_claim_may_be_lost(b, life->node, life->met_us))
            judge_violate(b, d->number, life->met_us,
                          "owner: process %" PRId64 " on %s met %" PRId64 ", which was alive",
                          life->pid, life->node, life->met_pid);
        if (last != NULL && life->started_us < last->alive_us &&
            !judge_claim_may_be_lost(b, last->node, last->alive_us))
            judge_violate(b, d->number, life->started_us,
                          "owner: started on %s %" PRId64 " ms before the last sign of life on %s",
                          life->node, (last->alive_us - life->started_us) / 1000, last->node);
        if (last == NULL || life->alive_us > last->alive_us)
            last = life;
    }
}

static void judge_fence(bench *b, const docket *d)
{
    const history_life *last = NULL; /* the highest so far */

    for (size_t i = 0; i < d->count; i++) {
        const history_life *life = &d->lives[i];
        if (last != NULL && life->fence <= last->fence)
            judge_violate(b, d->number, life->started_us,
                          "fence: %" PRIu64 " on %s after %" PRIu64 " on %s", life->fence,
                          life->node, last->fence, last->node);
        else
            last = life;
        if (life->refused_us != 0 && !judge_claim_may_be_lost(b, life->node, life->refused_us))
            judge_violate(b, d->number, life->refused_us,
                          "fence: the store refused %" PRIu64 " of %s", life->fence, life->node);
    }
}

static bool ended_before(const docket *d, int64_t at_us)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->lives[i].ended_us != 0 && d->lives[i].ended_us <= at_us)
            return true;
    return false;
}

static void judge_lost(bench *b, const docket *d)
{
    int64_t gone_us = d->task->gone_us;

    b->out->gone += gone_us != 0;
    bool may_be_lost = judge_may_be_lost(b, d->task->asked_us, d->task->acknowledged_us);
    if (gone_us != 0 && !ended_before(d, gone_us) && !may_be_lost)
        judge_violate(b, d->number, gone_us,
                      "lost: not listed any more, but none of its %zu processes had ended",
                      d->count);
}

static void judge_final(bench *b, const docket *d)
{
    const history_task *task = d->task;

    if (task->back_us != 0 && !judge_may_be_lost(b, task->back_after_us - SEEN_US, task->back_us))
        judge_violate(b, d->number, task->back_us, "final: listed again after it was gone");
    if (task->gone_us == 0)
        return;
    for (size_t i = 0; i < d->count; i++) {
        const history_life *life = &d->lives[i];
        if (life->alive_us > task->gone_us &&
            (judge_may_be_lost(b, task->gone_us, life->alive_us) ||
             judge_claim_may_be_lost(b, life->node, life->alive_us)))
            continue;
        if (life->started_us > task->gone_us)
            judge_violate(b, d->number, life->started_us, "final: started on %s after it was gone",
                          life->node);
        else if (life->alive_us > task->gone_us)
            judge_violate(b, d->number, life->alive_us,
                          "final: alive on %s %" PRId64 " ms after it was gone", life->node,
                          (life->alive_us - task->gone_us) / 1000);
    }
}

/* The rules of the run. */

static void describe_end(const history_end *end, char *out, size_t size)
{
    if (WIFSIGNALED(end->status))
        snprintf(out, size, "of signal %d", WTERMSIG(end->status));
    else
        snprintf(out, size, "with status %d", WEXITSTATUS(end->status));
}

static void judge_nodes(bench *b)
{
    char how[32];

    for (size_t i = 0; i < b->history->end_count; i++) {
        const history_end *end = &b->history->ends[i];
        describe_end(end, how, sizeof how);
        judge_violate(b, -1, end->at_us, "node: %s ended by itself, %s at %.3f",
                      history_node_name(end->node), how, judge_seconds(b, end->at_us));
    }
}

static void judge_run(bench *b)
{
    const history *h = b->history;
    judgement *j = b->out;
    bool at_nodes = false;

    for (size_t i = 0; i < h->fault_count; i++) {
        j->effective += h->faults[i].took_effect;
        at_nodes |= h->faults[i].took_effect && h->faults[i].plan.kind == NODE_KILL;
    }
    j->valid = j->effective > 0 && j->effective * 100 >= h->fault_count * EFFECTIVE_PERCENT &&
               h->task_count > 0 && h->life_count > 0 && (!at_nodes || j->taken_over > 0);
}

static int by_task(const void *left, const void *right)
{
    const history_life *a = left, *b = right;

    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return a->started_us < b->started_us ? -1 : a->started_us > b->started_us;
}

static void judge_task(bench *b, const docket *d)
{
    judge_owner(b, d);
    judge_fence(b, d);
    judge_lost(b, d);
    judge_final(b, d);
    judge_idle(b, d);
}

void judge(history *h, judgement *out)
{
    bench b = {.history = h, .out = out};
    size_t next = 0;

    memset(out, 0, sizeof *out);
    if (h->life_count > 0)
        qsort(h->lives, h->life_count, sizeof *h->lives, by_task);
    judge_find_unrest(&b);
    for (size_t i = 0; i < h->task_count; i++) {
        docket d = {.number = (int)i, .task = &h->tasks[i], .lives = &h->lives[next]};
        while (next < h->life_count && h->lives[next].number == i) {
            next++;
            d.count++;
        }
        judge_task(&b, &d);
    }
    judge_nodes(&b);
    judge_run(&b);
    free(b.unrests);
}

void judgement_clear(judgement *j)
{
    free(j->violations);
    memset(j, 0, sizeof *j);
}
