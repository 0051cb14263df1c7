/* The tasks: submitted, and looked for in the broker's record, by koalemosctl. */
#include "work.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger.h"
#include "process.h"
#include "schedule.h"

enum { CALL_LIMIT_MS = 15000, LIST_EVERY_MS = 700, BATCH_MOST = 100, PERMANENT_TENTHS = 6 };

/* A call of koalemosctl that is under way. */
typedef struct call {
    process process; /* pid 0: none */
    int64_t asked_us;
    char output[256];
} call;

struct work {
    work_options options;
    history *history;
    uint64_t random;
    call submit, list;
    int64_t submitted_us;            /* when the last submit had ended */
    size_t batch_first, batch_count; /* the tasks of the submit under way */
    int64_t listed_us;               /* when the last good listing was asked for */
    int listed;                      /* and what it had */
};

work *work_new(const work_options *options, history *h)
{
    work *w = calloc(1, sizeof *w);

    w->options = *options;
    w->history = h;
    w->random = options->seed;
    snprintf(w->submit.output, sizeof w->submit.output, "%s/submit", options->directory);
    snprintf(w->list.output, sizeof w->list.output, "%s/list", options->directory);
    return w;
}

void work_free(work *w)
{
    if (w == NULL)
        return;
    process_kill(&w->submit.process);
    process_kill(&w->list.process);
    free(w);
}

static void start_call(work *w, call *c, const char *const *more)
{
    const char *arguments[16] = {KOALEMOSCTL, "--broker", w->options.url};
    size_t used = 3;

    for (; *more != NULL; more++)
        arguments[used++] = *more;
    unlink(c->output);
    c->asked_us = ledger_now_us();
    process_start(&c->process, arguments, c->output);
}

/* True: the call has just ended, or was given up. */
static bool finish_call(call *c)
{
    if (c->process.pid == 0)
        return false;
    if (process_has_ended(&c->process))
        return true;
    if (ledger_now_us() - c->asked_us < CALL_LIMIT_MS * 1000)
        return false;
    process_kill(&c->process);
    return true;
}

/* Calls fn with each line, without its end. */
static void each_line(const char *path, void (*fn)(work *w, char *line), work *w)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;

    while (file != NULL && getline(&line, &size, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        fn(w, line);
    }
    free(line);
    if (file != NULL)
        fclose(file);
}

/* "t<first>-<n>" is the n-th task of the batch that began with number `first`. */
static history_task *find_task(work *w, const char *id)
{
    size_t first, place;

    if (sscanf(id, "t%zu-%zu", &first, &place) != 2 || place == 0 ||
        first + place - 1 >= w->history->task_count)
        return NULL;
    history_task *task = &w->history->tasks[first + place - 1];
    return strcmp(task->id, id) == 0 ? task : NULL;
}

/* Submitting. */

static void add_task(work *w, size_t first, size_t place, FILE *batch)
{
    history *h = w->history;
    bool initial = h->began_us == 0;
    int64_t ms = 200 + (int64_t)(schedule_random(&w->random) % (uint64_t)(2 * w->options.lease_ms));
    bool stubborn = schedule_random(&w->random) % 8 == 0;

    if (initial && place % 10 < PERMANENT_TENTHS)
        ms = 0;
    h->tasks = realloc(h->tasks, (h->task_count + 1) * sizeof *h->tasks);
    assert(h->tasks != NULL);
    history_task *task = &h->tasks[h->task_count];
    *task = (history_task){.asked_us = ledger_now_us()};
    snprintf(task->id, sizeof task->id, "t%zu-%zu", first, place);
    fprintf(batch, "%s %s/ledger %zu %" PRId64 " %s\n", CHAOS_TASK, w->options.directory,
            h->task_count, ms, stubborn ? "stubborn" : "obedient");
    h->task_count++;
}

static void submit(work *w, size_t count)
{
    char path[256], prefix[32];
    const char *const arguments[] = {"--id", prefix, "--batch", path, NULL};

    snprintf(path, sizeof path, "%s/batch", w->options.directory);
    FILE *batch = fopen(path, "we");
    assert(batch != NULL);
    w->batch_first = w->history->task_count;
    w->batch_count = count < BATCH_MOST ? count : BATCH_MOST;
    snprintf(prefix, sizeof prefix, "t%zu", w->batch_first);
    for (size_t i = 1; i <= w->batch_count; i++)
        add_task(w, w->batch_first, i, batch);
    fclose(batch);
    start_call(w, &w->submit, arguments);
}

static void on_submitted(work *w, char *line)
{
    history_task *task = find_task(w, line);
    if (task != NULL)
        task->acknowledged_us = ledger_now_us();
}

/* Those of which it is known that they exist. */
static size_t count_tasks(const work *w)
{
    size_t count = 0;

    for (size_t i = 0; i < w->history->task_count; i++) {
        const history_task *task = &w->history->tasks[i];
        count += (task->acknowledged_us != 0 || task->listed_us != 0) && task->gone_us == 0;
    }
    return count;
}

/* Listing. */

static void on_listed(work *w, char *line)
{
    line[strcspn(line, "\t")] = '\0';
    history_task *task = find_task(w, line);

    w->listed++;
    if (task == NULL)
        return;
    task->listed_us = w->list.asked_us;
    if (task->gone_us == 0)
        return;
    task->back_after_us = task->gone_us;
    task->back_us = ledger_now_us();
    task->gone_us = task->missed_us = 0;
}

/* What was there before this listing was asked for, and is not in it, is gone. */
static void note_gone(work *w)
{
    int64_t asked_us = w->list.asked_us;

    for (size_t i = 0; i < w->history->task_count; i++) {
        history_task *task = &w->history->tasks[i];
        bool was_there = (task->acknowledged_us != 0 && task->acknowledged_us < asked_us) ||
                         task->listed_us != 0;
        if (!was_there || task->listed_us == asked_us || task->gone_us != 0)
            continue;
        task->missed_us = asked_us;
        task->gone_us = ledger_now_us();
    }
}

static void take_listing(work *w)
{
    if (!WIFEXITED(w->list.process.status) || WEXITSTATUS(w->list.process.status) != 0)
        return;
    w->listed = 0;
    each_line(w->list.output, on_listed, w);
    note_gone(w);
    w->listed_us = w->list.asked_us;
}

void work_tick(work *w, bool closing)
{
    static const char *const list[] = {"--list", NULL};

    if (finish_call(&w->submit)) {
        each_line(w->submit.output, on_submitted, w);
        w->submitted_us = ledger_now_us();
    }
    if (finish_call(&w->list))
        take_listing(w);
    size_t count = count_tasks(w), wanted = (size_t)w->options.tasks;
    if (!closing && w->submit.process.pid == 0 && count < wanted)
        submit(w, wanted - count);
    if (w->list.process.pid == 0 && ledger_now_us() - w->list.asked_us >= LIST_EVERY_MS * 1000)
        start_call(w, &w->list, list);
}

int work_listed(const work *w, int64_t since_us)
{
    bool late = w->submit.process.pid == 0 && w->listed_us > w->submitted_us;
    return late && w->listed_us > since_us ? w->listed : -1;
}
