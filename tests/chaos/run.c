/* A run: servers, nodes and tasks, the faults of a schedule, and what came of them. */
#include "run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "judge.h"
#include "ledger.h"
#include "links.h"
#include "nodes.h"
#include "process.h"
#include "timeline.h"
#include "work.h"

enum {
    TICK_MS = 20,
    START_LIMIT_MS = 90000, /* until all tasks run for the first time */
    DRAIN_MS = 8000,        /* after the calm, until all tasks have ended */
    SHOWN_TIMELINES = 3,
    SHOWN_VIOLATIONS = 20
};

typedef struct run {
    const run_options *options;
    schedule schedule;
    char *directory, url[256];
    void *servers;
    links *links;
    nodes *nodes;
    work *work;
    ledger *ledger;
    history history;
} run;

/* Building up and taking down. */

static void start_work(run *r)
{
    char path[256];
    const schedule_options *o = &r->options->schedule;
    work_options options = {.url = r->url,
                            .directory = r->directory,
                            .tasks = r->options->tasks,
                            .lease_ms = o->lease_ms,
                            .seed = ~o->seed};

    snprintf(path, sizeof path, "%s/ledger", r->directory);
    r->ledger = ledger_new(path);
    if (r->ledger == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    r->work = work_new(&options, &r->history);
}

static void start_all(run *r)
{
    const backend *b = r->options->backend;
    const schedule_options *o = &r->options->schedule;
    int ports[SERVERS_MOST];

    r->directory = directory_new();
    r->servers = b->start();
    for (int i = 0; i < b->servers; i++)
        ports[i] = b->port(r->servers, i);
    b->url(r->servers, ports, r->url, sizeof r->url);
    r->links = links_new(o->nodes, b->servers, ports);
    r->history.lease_us = (int64_t)o->lease_ms * 1000;
    r->history.nodes = o->nodes;
    r->history.losses = b->losses;
    r->history.loss_margin_us = (int64_t)b->loss_margin_ms * 1000;
    start_work(r);
    r->nodes = nodes_start(&(nodes_options){.backend = b,
                                            .servers = r->servers,
                                            .links = r->links,
                                            .directory = r->directory,
                                            .count = o->nodes,
                                            .lease_ms = o->lease_ms});
}

static void free_all(run *r, bool keep)
{
    work_free(r->work);
    nodes_free(r->nodes);
    links_free(r->links);
    r->options->backend->free(r->servers);
    ledger_close(r->ledger);
    schedule_clear(&r->schedule);
    free(r->history.lives);
    free(r->history.tasks);
    free(r->history.faults);
    free(r->history.ends);
    if (keep)
        printf("kept: %s\n", r->directory);
    else
        directory_remove(r->directory);
    if (keep)
        free(r->directory);
}

static void tick(run *r, bool closing)
{
    const struct timespec pause = {.tv_nsec = TICK_MS * 1000000};

    nodes_tick(r->nodes, &r->history);
    work_tick(r->work, closing);
    nanosleep(&pause, NULL);
}

/* Faults. */

static int64_t run_ms(const run *r)
{
    return (ledger_now_us() - r->history.began_us) / 1000;
}

static void begin_fault(run *r, const planned_fault *plan)
{
    history_fault *fault = &r->history.faults[r->history.fault_count++];

    *fault = (history_fault){.plan = *plan, .began_us = ledger_now_us()};
    switch (fault_describe(plan->kind)->place) {
    case AT_NODE:
        fault->took_effect = nodes_begin(r->nodes, plan);
        return;
    case AT_LINK:
        links_begin(r->links, plan);
        return;
    case AT_SERVER:
        fault->took_effect = r->options->backend->begin(r->servers, plan);
        return;
    }
}

static void end_fault(run *r, history_fault *fault)
{
    switch (fault_describe(fault->plan.kind)->place) {
    case AT_NODE:
        nodes_end(r->nodes, &fault->plan);
        break;
    case AT_LINK:
        fault->took_effect = links_end(r->links, &fault->plan);
        break;
    case AT_SERVER:
        r->options->backend->end(r->servers, &fault->plan);
        break;
    }
    fault->ended_us = ledger_now_us();
}

static void end_due_faults(run *r)
{
    for (size_t i = 0; i < r->history.fault_count; i++) {
        history_fault *fault = &r->history.faults[i];
        if (fault->ended_us == 0 && fault->plan.to_ms <= run_ms(r))
            end_fault(r, fault);
    }
}

static void run_schedule(run *r)
{
    const schedule *s = &r->schedule;
    size_t next = 0;

    r->history.faults = calloc(s->count + 1, sizeof *r->history.faults);
    while (run_ms(r) < s->length_ms) {
        end_due_faults(r);
        for (; next < s->count && s->faults[next].from_ms <= run_ms(r); next++)
            begin_fault(r, &s->faults[next]);
        tick(r, false);
    }
    end_due_faults(r);
}

/* The beginning and the end. */

static bool all_run(const run *r)
{
    size_t count, alive = 0;
    history_life *lives = ledger_read(r->ledger, &count);
    bool *runs = calloc(r->history.task_count + 1, sizeof *runs);

    for (size_t i = 0; i < count; i++)
        if (lives[i].number < r->history.task_count)
            runs[lives[i].number] = true;
    for (size_t i = 0; i < r->history.task_count; i++)
        alive += runs[i];
    free(lives);
    free(runs);
    return alive >= (size_t)r->options->tasks;
}

static bool await_start(run *r)
{
    int64_t limit_ms = clock_ms() + START_LIMIT_MS;

    while (!all_run(r) && clock_ms() < limit_ms)
        tick(r, false);
    r->history.began_us = ledger_now_us();
    return clock_ms() < limit_ms;
}

static void finish(run *r)
{
    int64_t limit_ms = clock_ms() + schedule_calm_ms(r->options->schedule.lease_ms) + DRAIN_MS;

    r->history.let_go_us = ledger_now_us();
    ledger_let_go(r->ledger);
    while (work_listed(r->work, r->history.let_go_us) != 0 && clock_ms() < limit_ms)
        tick(r, true);
    r->history.over_us = ledger_now_us();
    r->history.lives = ledger_read(r->ledger, &r->history.life_count);
}

/* The report. */

static void print_violations(const run *r, const judgement *j)
{
    size_t shown = 0;
    int last = -2;

    for (size_t i = 0; i < j->violation_count && i < SHOWN_VIOLATIONS; i++) {
        const violation *v = &j->violations[i];
        if (v->task < 0) {
            printf("VIOLATION %s\n", v->text);
            continue;
        }
        printf("VIOLATION at %.3f: task %s: %s\n", (double)(v->at_us - r->history.began_us) / 1e6,
               r->history.tasks[v->task].id, v->text);
        if (v->task != last && shown++ < SHOWN_TIMELINES)
            timeline_print(&r->history, r->directory, v->task, v->at_us, stdout);
        last = v->task;
    }
}

static void print_kinds(const history *h)
{
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        size_t count = 0, effective = 0;
        for (size_t i = 0; i < h->fault_count; i++)
            if ((int)h->faults[i].plan.kind == kind) {
                count++;
                effective += h->faults[i].took_effect;
            }
        if (count > 0)
            printf(" %s %zu/%zu", fault_describe((fault_kind)kind)->name, effective, count);
    }
    printf("\n");
}

static int report(const run *r, const judgement *j)
{
    const history *h = &r->history;

    print_violations(r, j);
    printf("faults that took effect:");
    print_kinds(h);
    printf("%zu tasks, %zu of them ended; %zu processes; %zu takeovers from a node with a fault, "
           "the longest without another one %.3f s; %zu crash pauses; %zu violations\n",
           h->task_count, j->gone, h->life_count, j->taken_over,
           (double)j->longest_takeover_us / 1e6, j->paused, j->violation_count);
    if (j->violation_count == 0 && j->valid)
        return 0;
    if (!j->valid)
        printf("INVALID: too few faults took effect, or nothing was taken over\n");
    printf("again: %s\n", r->options->command);
    return j->violation_count > 0 ? 1 : 2;
}

int run_chaos(const run_options *options)
{
    run r = {.options = options};
    judgement j;

    schedule_make(&r.schedule, &options->schedule);
    printf("%s\n", options->command);
    schedule_print(&r.schedule, stdout);
    fflush(stdout);
    start_all(&r);
    bool started = await_start(&r);
    if (started)
        run_schedule(&r);
    else
        printf("VIOLATION not all tasks run %d s after the start\n", START_LIMIT_MS / 1000);
    finish(&r);
    judge(&r.history, &j);
    int status = report(&r, &j);
    status = started ? status : 1;
    judgement_clear(&j);
    free_all(&r, status != 0 || getenv("METAFORA_KEEP") != NULL);
    return status;
}
