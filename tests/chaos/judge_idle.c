/* The judge: no task is idle for longer than the rules say.
 *
 * A task may be idle while there is unrest, and for the calm time of schedule.h after it and after
 * the end of its last process. Unrest lasts while a server has a fault, or all nodes have one. The
 * fault of one node is a moment of unrest when it begins, for the others must take over; and when
 * it ends, for then tasks move back. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "judge_internal.h"
#include "schedule.h"

enum {
    BEAT_US = 150000,           /* the most between two signs of life, on a busy machine */
    SLACK_US = 500000,          /* a process starts, and beats */
    SHORT_LIFE_US = 3000000,    /* + lease / 3: then a claim has been renewed and counts as good */
    CRASH_SPREAD_US = 60000000, /* docs/state-machine.md */
    CRASH_LIMIT = 5
};

/* Unrest. */

static void add_unrest(bench *b, int64_t from_us, int64_t to_us)
{
    b->unrests = realloc(b->unrests, (b->unrest_count + 1) * sizeof *b->unrests);
    assert(b->unrests != NULL);
    b->unrests[b->unrest_count++] = (unrest){from_us, to_us};
}

static int64_t end_us(const history *h, const history_fault *fault)
{
    return fault->ended_us != 0 ? fault->ended_us : h->over_us;
}

static bool is_at_server(const history_fault *fault)
{
    return fault_describe(fault->plan.kind)->place == AT_SERVER;
}

static bool befalls(const history *h, int node, int64_t at_us)
{
    for (size_t i = 0; i < h->fault_count; i++) {
        const history_fault *fault = &h->faults[i];
        if (!is_at_server(fault) && fault->plan.target == node && fault->began_us <= at_us &&
            end_us(h, fault) > at_us)
            return true;
    }
    return false;
}

/* The nodes that have a fault change with the beginnings and ends only: from each beginning at
 * which all have one, to the first end. */
static void find_blackouts(bench *b)
{
    const history *h = b->history;

    for (size_t i = 0; i < h->fault_count; i++) {
        int64_t from_us = h->faults[i].began_us, to_us = INT64_MAX;
        bool all = !is_at_server(&h->faults[i]);
        for (int node = 0; node < h->nodes && all; node++)
            all = befalls(h, node, from_us);
        for (size_t j = 0; j < h->fault_count && all; j++)
            if (!is_at_server(&h->faults[j]) && end_us(h, &h->faults[j]) > from_us &&
                end_us(h, &h->faults[j]) < to_us)
                to_us = end_us(h, &h->faults[j]);
        if (all)
            add_unrest(b, from_us, to_us);
    }
}

static int by_from(const void *left, const void *right)
{
    const unrest *a = left, *b = right;
    return a->from_us < b->from_us ? -1 : a->from_us > b->from_us;
}

void judge_find_unrest(bench *b)
{
    const history *h = b->history;

    add_unrest(b, h->began_us, h->began_us);
    for (size_t i = 0; i < h->fault_count; i++) {
        const history_fault *fault = &h->faults[i];
        if (is_at_server(fault)) {
            add_unrest(b, fault->began_us, end_us(h, fault));
        } else {
            add_unrest(b, fault->began_us, fault->began_us);
            add_unrest(b, end_us(h, fault), end_us(h, fault));
        }
    }
    for (size_t i = 0; i < h->end_count; i++)
        add_unrest(b, h->ends[i].at_us, h->ends[i].at_us);
    find_blackouts(b);
    qsort(b->unrests, b->unrest_count, sizeof *b->unrests, by_from);
}

/* The longest time in which nothing excused an idle task, and when it began. */
static int64_t longest_calm_us(const bench *b, int64_t from_us, int64_t to_us, int64_t *began_us)
{
    int64_t quiet_since = from_us, longest = 0;

    for (size_t i = 0; i < b->unrest_count; i++) {
        const unrest *u = &b->unrests[i];
        int64_t until = u->from_us < to_us ? u->from_us : to_us;
        if (until - quiet_since > longest) {
            longest = until - quiet_since;
            *began_us = quiet_since;
        }
        if (u->to_us > quiet_since)
            quiet_since = u->to_us;
    }
    if (to_us - quiet_since > longest) {
        longest = to_us - quiet_since;
        *began_us = quiet_since;
    }
    return longest;
}

/* Crash pauses. */

/* Its node had a fault that can have ended its session while the life lasted, or soon after. */
static bool may_have_crashed(const history *h, const history_life *life)
{
    for (size_t i = 0; i < h->fault_count; i++) {
        const history_fault *fault = &h->faults[i];
        if (!is_at_server(fault) &&
            strcmp(history_node_name(fault->plan.target), life->node) == 0 &&
            fault->began_us <= life->alive_us + h->lease_us && end_us(h, fault) >= life->started_us)
            return true;
    }
    return false;
}

/* Nodes that may have claimed it and died before it began. */
static int count_deaths(const history *h, int64_t from_us, int64_t to_us)
{
    int count = 0;

    for (size_t i = 0; i < h->fault_count; i++) {
        const history_fault *fault = &h->faults[i];
        bool deadly = fault->plan.kind == NODE_KILL || fault->plan.kind == NODE_FREEZE;
        count +=
            deadly && fault->took_effect && fault->began_us > from_us && fault->began_us < to_us;
    }
    return count;
}

/* The most crashes in a row that the broker can have counted when the i-th life was over. */
static int count_crashes(const bench *b, const docket *d, size_t i, int64_t until_us)
{
    const history *h = b->history;
    int crashes = 0;

    for (size_t k = 0; k <= i && k < d->count; k++) {
        const history_life *life = &d->lives[k];
        int64_t next_us = k < i ? d->lives[k + 1].started_us : until_us;
        bool is_short = life->alive_us - life->started_us < SHORT_LIFE_US + h->lease_us / 3;
        if (!may_have_crashed(h, life))
            crashes = 0;
        else
            crashes = is_short ? crashes + 1 : 1;
        crashes += count_deaths(h, life->alive_us - h->lease_us, next_us) -
                   (may_have_crashed(h, life) ? 1 : 0);
        crashes = crashes < 0 ? 0 : crashes;
    }
    return crashes;
}

static int64_t pause_us(int crashes)
{
    if (crashes < 2)
        return 0;
    return crashes >= CRASH_LIMIT ? INT64_MAX / 2 : (int64_t)CRASH_SPREAD_US << (crashes - 2);
}

/* The rule. `i`: the life before this gap. True: it is long. */

static bool judge_gap(bench *b, const docket *d, size_t i, int64_t from_us, int64_t to_us)
{
    const history *h = b->history;
    int64_t allowed_us = schedule_calm_ms((int)(h->lease_us / 1000)) * 1000 + SLACK_US;
    int64_t began_us = from_us, calm_us = longest_calm_us(b, from_us, to_us, &began_us);

    if (calm_us <= allowed_us)
        return false;
    int crashes = d->count > 0 ? count_crashes(b, d, i, to_us) : 0;
    if (calm_us <= allowed_us + pause_us(crashes)) {
        b->out->paused++;
        return true;
    }
    judge_violate(b, d->number, began_us + allowed_us,
                  "idle: from %.3f to %.3f, %.3f s of it without any fault, after up to %d crashes",
                  judge_seconds(b, from_us), judge_seconds(b, to_us), (double)calm_us / 1e6,
                  crashes);
    return true;
}

static void note_takeover(bench *b, const history_life *life, const history_life *next)
{
    int64_t ignored, took_us = next->started_us - life->alive_us;

    if (strcmp(life->node, next->node) == 0 || life->ended_us != 0 || life->told_us != 0 ||
        !may_have_crashed(b->history, life))
        return;
    b->out->taken_over++;
    int64_t calm_us = longest_calm_us(b, life->alive_us, next->started_us, &ignored);
    if (calm_us + BEAT_US >= took_us && took_us > b->out->longest_takeover_us)
        b->out->longest_takeover_us = took_us;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* From when on it is known that there is this task; 0: never. */
static int64_t known_since_us(const history_task *task)
{
    return task->acknowledged_us != 0 ? task->acknowledged_us : task->listed_us;
}

void judge_idle(bench *b, const docket *d)
{
    const history *h = b->history;
    int64_t known_us = known_since_us(d->task);
    int64_t idle_from = later(known_us, h->began_us);
    int64_t until_us = d->task->gone_us != 0 ? d->task->missed_us : h->over_us;

    for (size_t i = 0; i < d->count; i++) {
        const history_life *life = &d->lives[i];
        if (known_us != 0 && life->started_us > idle_from && life->started_us < until_us)
            judge_gap(b, d, i > 0 ? i - 1 : 0, idle_from, life->started_us);
        idle_from = later(idle_from, life->alive_us);
        if (i + 1 < d->count)
            note_takeover(b, life, &d->lives[i + 1]);
    }
    if (known_us == 0)
        return;
    bool idle = until_us > idle_from &&
                judge_gap(b, d, d->count > 0 ? d->count - 1 : 0, idle_from, until_us);
    if (d->task->gone_us == 0 && !idle)
        judge_violate(b, d->number, h->over_us, "lost: let go, and not over at the end of the run");
}
