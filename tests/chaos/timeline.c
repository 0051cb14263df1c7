/* The story of one task over all nodes and servers, merged with the faults. */
#include "timeline.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { BEFORE_US = 60 * 1000000, AFTER_US = 10 * 1000000, TEXT_SIZE = 200 };

typedef struct entry {
    int64_t at_us;
    char text[TEXT_SIZE];
} entry;

typedef struct timeline {
    const history *history;
    const history_task *task;
    int number;
    int64_t at_us; /* of the violation */
    entry *entries;
    size_t count;
} timeline;

static void add(timeline *t, int64_t at_us, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add(timeline *t, int64_t at_us, const char *format, ...)
{
    va_list arguments;

    if (at_us < t->at_us - BEFORE_US || at_us > t->at_us + AFTER_US || at_us == 0)
        return;
    t->entries = realloc(t->entries, (t->count + 1) * sizeof *t->entries);
    assert(t->entries != NULL);
    entry *added = &t->entries[t->count++];
    added->at_us = at_us;
    va_start(arguments, format);
    vsnprintf(added->text, sizeof added->text, format, arguments);
    va_end(arguments);
}

static void add_task(timeline *t)
{
    const history_task *task = t->task;

    add(t, task->asked_us, "submit: asked for");
    add(t, task->acknowledged_us, "submit: acknowledged");
    add(t, task->listed_us, "broker: listed for the last time before it was gone, or at the end");
    add(t, task->gone_us, "broker: not listed any more");
    add(t, task->back_us, "broker: listed again");
}

static void add_life(timeline *t, const history_life *life)
{
    const char *node = life->node;
    int64_t pid = life->pid;

    add(t, life->started_us, "node %s: process %" PRId64 " starts with fence %" PRIu64, node, pid,
        life->fence);
    add(t, life->met_us, "node %s: process %" PRId64 " MEETS process %" PRId64, node, pid,
        life->met_pid);
    add(t, life->refused_us, "node %s: process %" PRId64 " is REFUSED by the store", node, pid);
    add(t, life->told_us, "node %s: process %" PRId64 " is told to stop", node, pid);
    add(t, life->alive_us, "node %s: process %" PRId64 " %s", node, pid,
        life->ended_us != 0 ? "ends by itself" : "shows its last sign of life");
}

static void add_fault(timeline *t, const history_fault *fault)
{
    const fault_description *about = fault_describe(fault->plan.kind);
    char where[32];

    if (about->place == AT_SERVER)
        snprintf(where, sizeof where, "server %d", fault->plan.target);
    else
        snprintf(where, sizeof where, "node %s", history_node_name(fault->plan.target));
    add(t, fault->began_us, "%s: FAULT %s%s: %s", where, about->name,
        fault->took_effect ? "" : " (without effect)", about->what);
    if (about->most_percent != 0)
        add(t, fault->ended_us, "%s: end of fault %s", where, about->name);
}

/* Lines of a node's event log that are of this task. */
static void add_events(timeline *t, const char *directory, int node)
{
    char path[256], wanted[64], event[32], *line = NULL;
    size_t size = 0;

    snprintf(path, sizeof path, "%s/events-%s", directory, history_node_name(node));
    snprintf(wanted, sizeof wanted, "\"task\":\"%s\"", t->task->id);
    FILE *file = fopen(path, "re");
    while (file != NULL && getline(&line, &size, file) > 0) {
        const char *at = strstr(line, "\"event\":\""), *detail = strstr(line, "\"detail\":");
        int64_t at_us;
        if (strstr(line, wanted) == NULL || at == NULL || strstr(line, "\"renewed\"") != NULL ||
            sscanf(line, "{\"at\":%" SCNd64, &at_us) != 1 ||
            sscanf(at, "\"event\":\"%31[^\"]", event) != 1)
            continue;
        line[strcspn(line, "}\n")] = '\0';
        add(t, at_us, "node %s:   says %s%s%s", history_node_name(node), event,
            detail != NULL ? ", " : "", detail != NULL ? detail + strlen("\"detail\":") : "");
    }
    free(line);
    if (file != NULL)
        fclose(file);
}

static int by_time(const void *left, const void *right)
{
    const entry *a = left, *b = right;
    return a->at_us < b->at_us ? -1 : a->at_us > b->at_us;
}

void timeline_print(const history *h, const char *directory, int task, int64_t at_us, FILE *out)
{
    timeline t = {
        .history = h, .task = &h->tasks[task], .number = task, .at_us = at_us, .entries = NULL};

    add_task(&t);
    for (size_t i = 0; i < h->life_count; i++)
        if (h->lives[i].number == (uint32_t)task)
            add_life(&t, &h->lives[i]);
    for (size_t i = 0; i < h->fault_count; i++)
        add_fault(&t, &h->faults[i]);
    for (int node = 0; node < h->nodes; node++)
        add_events(&t, directory, node);
    if (t.count > 0)
        qsort(t.entries, t.count, sizeof *t.entries, by_time);
    for (size_t i = 0; i < t.count; i++)
        fprintf(out, "    %9.3f  %s\n", (double)(t.entries[i].at_us - h->began_us) / 1e6,
                t.entries[i].text);
    free(t.entries);
}
