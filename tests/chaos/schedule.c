/* Which faults come when: drawn from a seed, the same for the same options. */
#include "schedule.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"

/* After the calm a moment in which the judge sees that it holds. */
enum { CALM_MS = 2000, LOOK_MS = 1500, TRIES = 8 };

typedef struct planner {
    const schedule_options *options;
    schedule *made;
    uint64_t random;
} planner;

int64_t schedule_calm_ms(int lease_ms)
{
    return lease_ms + CALM_MS;
}

/* splitmix64 */
uint64_t schedule_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static int64_t between(planner *p, int64_t least, int64_t most)
{
    return least + (int64_t)(schedule_random(&p->random) % (uint64_t)(most - least + 1));
}

static bool conflicts(const planned_fault *a, const planned_fault *b)
{
    return fault_describe(a->kind)->place == fault_describe(b->kind)->place &&
           a->target == b->target && a->from_ms <= b->to_ms && b->from_ms <= a->to_ms;
}

static bool has_room(const planner *p, const planned_fault *fault)
{
    for (size_t i = 0; i < p->made->count; i++)
        if (conflicts(&p->made->faults[i], fault))
            return false;
    return true;
}

static fault_kind draw_kind(planner *p)
{
    fault_kind kind;

    do
        kind = (fault_kind)between(p, 0, FAULT_KINDS - 1);
    while ((p->options->faults & FAULT(kind)) == 0);
    return kind;
}

/* One in five of those that befall one node lasts until the end of the round: the others have to do
 * without it. */
static planned_fault draw(planner *p, int64_t from_ms, int64_t to_ms, int64_t end_ms)
{
    planned_fault fault = {.kind = draw_kind(p)};
    const fault_description *about = fault_describe(fault.kind);
    int64_t lease_ms = p->options->lease_ms;
    bool at_server = about->place == AT_SERVER;

    fault.target = (int)between(p, 0, (at_server ? p->options->servers : p->options->nodes) - 1);
    fault.from_ms = between(p, from_ms, to_ms);
    fault.to_ms = fault.from_ms + between(p, lease_ms * about->least_percent / 100,
                                          lease_ms * about->most_percent / 100);
    if (fault.to_ms > to_ms)
        fault.to_ms = to_ms;
    if (!at_server && about->most_percent != 0 && between(p, 0, 4) == 0)
        fault.to_ms = end_ms;
    if (about->most_percent == 0)
        fault.to_ms = fault.from_ms;
    fault.choice = (uint32_t)schedule_random(&p->random);
    return fault;
}

static void add(planner *p, const planned_fault *fault)
{
    schedule *s = p->made;

    s->faults = realloc(s->faults, (s->count + 1) * sizeof *s->faults);
    assert(s->faults != NULL);
    s->faults[s->count++] = *fault;
}

/* One in four has a single fault, which shows how long a takeover takes. */
static void plan_round(planner *p, int64_t from_ms, int64_t to_ms, int64_t end_ms)
{
    int64_t wanted = between(p, 0, 3) == 0 ? 1 : between(p, 2, 2 + 2 * p->options->nodes);

    for (; wanted > 0; wanted--)
        for (int i = 0; i < TRIES; i++) {
            planned_fault fault = draw(p, from_ms, to_ms, end_ms);
            if (!has_room(p, &fault))
                continue;
            add(p, &fault);
            break;
        }
}

static int by_time(const void *left, const void *right)
{
    const planned_fault *a = left, *b = right;

    if (a->from_ms != b->from_ms)
        return a->from_ms < b->from_ms ? -1 : 1;
    return a->kind != b->kind ? (a->kind < b->kind ? -1 : 1) : a->target - b->target;
}

void schedule_make(schedule *out, const schedule_options *options)
{
    planner p = {.options = options, .made = out, .random = options->seed};
    int64_t calm_ms = schedule_calm_ms(options->lease_ms) + LOOK_MS, at_ms = 0;

    memset(out, 0, sizeof *out);
    out->length_ms = (int64_t)options->seconds * 1000;
    assert(options->faults != 0);
    for (;;) {
        int64_t burst_ms = between(&p, options->lease_ms, 3 * options->lease_ms);
        if (at_ms + burst_ms + calm_ms > out->length_ms)
            burst_ms = out->length_ms - calm_ms - at_ms;
        if (burst_ms < options->lease_ms / 2)
            break;
        plan_round(&p, at_ms, at_ms + burst_ms, at_ms + burst_ms + calm_ms - 1);
        at_ms += burst_ms + calm_ms;
    }
    if (out->count > 0)
        qsort(out->faults, out->count, sizeof *out->faults, by_time);
}

void schedule_clear(schedule *s)
{
    free(s->faults);
    memset(s, 0, sizeof *s);
}

static void print_one(const planned_fault *fault, FILE *out)
{
    const fault_description *about = fault_describe(fault->kind);
    char where[32];

    if (about->place == AT_SERVER)
        snprintf(where, sizeof where, "server %d", fault->target);
    else
        snprintf(where, sizeof where, "node %s", history_node_name(fault->target));
    fprintf(out, "  %8.3f", (double)fault->from_ms / 1000);
    if (about->most_percent != 0)
        fprintf(out, " to %8.3f", (double)fault->to_ms / 1000);
    else
        fprintf(out, "%12s", "");
    fprintf(out, "  %-9s %-12s %s\n", where, about->name, about->what);
}

void schedule_print(const schedule *s, FILE *out)
{
    for (size_t i = 0; i < s->count; i++)
        print_one(&s->faults[i], out);
}
