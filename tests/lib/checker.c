/* The checker's rules. */
#include "checker.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "checker_log.h"

typedef struct fault {
    char *node;
    int64_t at_us, until_us;
} fault;

/* A claim with all that was seen of it, or a process of the task. */
typedef struct span {
    const char *node;
    uint64_t fence;
    int64_t pid; /* 0: a claim */
    int64_t from_us, to_us;
    int64_t deadline_us; /* claims only */
    bool ended, done;
} span;

typedef struct span_list {
    span *spans;
    size_t count;
} span_list;

struct log_checker {
    log_record *records;
    size_t record_count;
    char **expected;
    size_t expected_count;
    fault *faults;
    size_t fault_count;
    size_t bad_lines;
    /* while it runs */
    FILE *out;
    checker_report *report;
    int64_t takeover_limit_us;
};

static void *grow(void *items, size_t count, size_t size)
{
    /* By doubling: only at the powers of two is there no room. */
    if ((count & (count - 1)) != 0)
        return items;
    items = realloc(items, (count == 0 ? 1 : count * 2) * size);
    assert(items != NULL);
    return items;
}

log_checker *checker_new(void)
{
    return calloc(1, sizeof(log_checker));
}

void checker_free(log_checker *checker)
{
    for (size_t i = 0; i < checker->record_count; i++)
        log_record_clear(&checker->records[i]);
    for (size_t i = 0; i < checker->expected_count; i++)
        free(checker->expected[i]);
    for (size_t i = 0; i < checker->fault_count; i++)
        free(checker->faults[i].node);
    free(checker->records);
    free(checker->expected);
    free(checker->faults);
    free(checker);
}

void checker_add_line(log_checker *checker, const char *line)
{
    log_record record;

    if (log_record_parse(&record, line) != 0) {
        checker->bad_lines++;
        return;
    }
    record.order = checker->record_count;
    checker->records = grow(checker->records, checker->record_count, sizeof record);
    checker->records[checker->record_count++] = record;
}

int checker_load(log_checker *checker, const char *path)
{
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return -1;
    while (getline(&line, &size, file) >= 0)
        checker_add_line(checker, line);
    free(line);
    fclose(file);
    return 0;
}

void checker_expect(log_checker *checker, const char *task)
{
    checker->expected = grow(checker->expected, checker->expected_count, sizeof *checker->expected);
    checker->expected[checker->expected_count++] = strdup(task);
}

void checker_fault(log_checker *checker, const char *node, int64_t at_us)
{
    checker->faults = grow(checker->faults, checker->fault_count, sizeof(fault));
    checker->faults[checker->fault_count++] = (fault){strdup(node), at_us, INT64_MAX};
}

void checker_recovered(log_checker *checker, const char *node, int64_t at_us)
{
    for (size_t i = checker->fault_count; i > 0; i--) {
        fault *last = &checker->faults[i - 1];
        if (strcmp(last->node, node) == 0) {
            last->until_us = at_us;
            return;
        }
    }
}

static void violate(log_checker *checker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void violate(log_checker *checker, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(checker->out, format, arguments);
    va_end(arguments);
    fputc('\n', checker->out);
    checker->report->violations++;
}

static span *find_span(span_list *list, uint64_t fence, int64_t pid)
{
    for (size_t i = list->count; i > 0; i--)
        if (list->spans[i - 1].fence == fence && list->spans[i - 1].pid == pid)
            return &list->spans[i - 1];
    return NULL;
}

static span *add_span(span_list *list, const log_record *record, int64_t pid)
{
    list->spans = grow(list->spans, list->count, sizeof(span));
    span *added = &list->spans[list->count++];
    *added = (span){.node = record->node,
                    .fence = record->fence,
                    .pid = pid,
                    .from_us = record->at_us,
                    .to_us = record->at_us,
                    .deadline_us = record->deadline_us};
    return added;
}

static void read_claim(log_checker *checker, span_list *claims, const log_record *record)
{
    if (record->kind == LOG_CLAIMED) {
        add_span(claims, record, 0);
        return;
    }
    span *claim = find_span(claims, record->fence, 0);
    if (claim == NULL || strcmp(claim->node, record->node) != 0) {
        violate(checker, "owner: %s: %s has fence %" PRIu64 " without a claim", record->task,
                record->node, record->fence);
    } else if (record->kind == LOG_RENEWED) {
        if (record->deadline_us > claim->deadline_us)
            claim->deadline_us = record->deadline_us;
    } else {
        claim->ended = true;
        claim->done = record->kind == LOG_DONE;
        claim->to_us = record->at_us;
    }
}

static void read_process(log_checker *checker, span_list *processes, const log_record *record)
{
    span *process = find_span(processes, record->fence, record->pid);

    if (record->kind == LOG_TASK_OVERLAP) {
        violate(checker, "process: %s: %" PRId64 " on %s found another one alive", record->task,
                record->pid, record->node);
        return;
    }
    if (process == NULL)
        process = add_span(processes, record, record->pid);
    process->to_us = record->at_us;
    process->done = process->done || record->kind == LOG_TASK_ENDED;
}

/* Where the claim ends: with its deadline, if nothing has ended it before. */
static int64_t claim_end_us(const span *claim)
{
    return claim->ended && claim->to_us < claim->deadline_us ? claim->to_us : claim->deadline_us;
}

/* The first fault of the claim's node while the claim was in force. A node that was stopped before
 * it read the reply logs the claim once it is resumed, perhaps after the deadline. */
static const fault *fault_during(const log_checker *checker, const span *claim)
{
    int64_t from_us = claim->from_us < claim->deadline_us ? claim->from_us : claim->deadline_us;

    for (size_t i = 0; i < checker->fault_count; i++) {
        const fault *at = &checker->faults[i];
        if (strcmp(at->node, claim->node) == 0 && at->at_us <= claim->deadline_us &&
            at->until_us >= from_us)
            return at;
    }
    return NULL;
}

static void check_claims(log_checker *checker, const char *task, const span_list *claims)
{
    for (size_t i = 1; i < claims->count; i++) {
        const span *before = &claims->spans[i - 1], *after = &claims->spans[i];
        if (after->from_us < claim_end_us(before))
            violate(checker, "owner: %s: claimed by %s %" PRId64 " us before the claim of %s ended",
                    task, after->node, claim_end_us(before) - after->from_us, before->node);
        if (after->fence <= before->fence)
            violate(checker, "fence: %s: %" PRIu64 " of %s after %" PRIu64 " of %s", task,
                    after->fence, after->node, before->fence, before->node);
        if (before->done && fault_during(checker, before) == NULL)
            violate(checker, "done: %s: claimed by %s after %s had done it", task, after->node,
                    before->node);
    }
}

static void check_processes(log_checker *checker, const char *task, const span_list *processes,
                            span_list *claims)
{
    for (size_t i = 0; i < processes->count; i++) {
        const span *process = &processes->spans[i];
        const span *claim = find_span(claims, process->fence, 0);
        if (i > 0 && process->from_us < processes->spans[i - 1].to_us)
            violate(checker, "process: %s: %" PRId64 " on %s started while %" PRId64 " on %s ran",
                    task, process->pid, process->node, processes->spans[i - 1].pid,
                    processes->spans[i - 1].node);
        if (claim == NULL)
            violate(checker, "process: %s: %" PRId64 " on %s has a fence that nobody claimed", task,
                    process->pid, process->node);
        else if (process->from_us < claim->from_us || process->to_us > claim_end_us(claim))
            violate(checker, "process: %s: %" PRId64 " on %s ran beyond its claim", task,
                    process->pid, process->node);
    }
}

static void check_takeover(log_checker *checker, const char *task, const span *before,
                           const span *after)
{
    const fault *cause = fault_during(checker, before);

    if (cause == NULL) {
        violate(checker, "takeover: %s: abandoned by %s, which had no fault", task, before->node);
        return;
    }
    if (after == NULL) {
        violate(checker, "takeover: %s: not taken over from %s", task, before->node);
        return;
    }
    int64_t took_us = after->from_us - cause->at_us;
    checker->report->takeovers++;
    if (took_us > checker->report->longest_takeover_us)
        checker->report->longest_takeover_us = took_us;
    if (took_us > checker->takeover_limit_us)
        violate(checker, "takeover: %s: by %s only %" PRId64 " us after the fault of %s", task,
                after->node, took_us, before->node);
}

static void check_takeovers(log_checker *checker, const char *task, const span_list *claims)
{
    for (size_t i = 0; i < claims->count; i++) {
        const span *claim = &claims->spans[i];
        if (!claim->ended || claim->to_us > claim->deadline_us)
            check_takeover(checker, task, claim, i + 1 < claims->count ? claim + 1 : NULL);
    }
}

static void check_end(log_checker *checker, const char *task, const span_list *claims,
                      const span_list *processes)
{
    bool done = false, ended = false, expected = false;

    for (size_t i = 0; i < checker->expected_count; i++)
        expected = expected || strcmp(checker->expected[i], task) == 0;
    for (size_t i = 0; i < claims->count; i++)
        done = done || claims->spans[i].done;
    for (size_t i = 0; i < processes->count; i++)
        ended = ended || processes->spans[i].done;
    if (!expected)
        violate(checker, "done: %s: not a task of this run", task);
    else if (!done || !ended)
        violate(checker, "done: %s: %s", task, done ? "its process never ended" : "never done");
}

static void check_task(log_checker *checker, const log_record *records, size_t count)
{
    span_list claims = {NULL, 0}, processes = {NULL, 0};

    for (size_t i = 0; i < count; i++) {
        if (records[i].kind <= LOG_DONE)
            read_claim(checker, &claims, &records[i]);
        else if (records[i].kind <= LOG_TASK_OVERLAP)
            read_process(checker, &processes, &records[i]);
    }
    check_claims(checker, records[0].task, &claims);
    check_processes(checker, records[0].task, &processes, &claims);
    check_takeovers(checker, records[0].task, &claims);
    check_end(checker, records[0].task, &claims, &processes);
    checker->report->tasks++;
    checker->report->claims += claims.count;
    checker->report->processes += processes.count;
    free(claims.spans);
    free(processes.spans);
}

static void check_expected_seen(log_checker *checker)
{
    for (size_t i = 0; i < checker->expected_count; i++) {
        bool seen = false;
        for (size_t j = 0; j < checker->record_count && !seen; j++)
            seen = strcmp(checker->records[j].task, checker->expected[i]) == 0;
        if (!seen)
            violate(checker, "done: %s: never seen", checker->expected[i]);
    }
}

void checker_run(log_checker *checker, int64_t takeover_limit_us, size_t least_takeovers, FILE *out,
                 checker_report *report)
{
    memset(report, 0, sizeof *report);
    checker->out = out;
    checker->report = report;
    checker->takeover_limit_us = takeover_limit_us;
    if (checker->bad_lines > 0)
        violate(checker, "log: %zu lines that are not understood", checker->bad_lines);
    if (checker->record_count > 0)
        qsort(checker->records, checker->record_count, sizeof(log_record), log_record_compare);
    for (size_t from = 0, to; from < checker->record_count; from = to) {
        for (to = from + 1; to < checker->record_count; to++)
            if (strcmp(checker->records[from].task, checker->records[to].task) != 0)
                break;
        check_task(checker, checker->records + from, to - from);
    }
    check_expected_seen(checker);
    if (report->takeovers < least_takeovers)
        violate(checker, "run: %zu takeovers, fewer than %zu: the faults were not tried",
                report->takeovers, least_takeovers);
}
