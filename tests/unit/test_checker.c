/* The checker of event logs: good logs pass, and each kind of bad log is
 * caught. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "checker.h"

/* One line of a log, in short. */
typedef struct entry {
    int64_t at;
    const char *node, *event;
    int fence;
    int64_t deadline, pid;
} entry;

enum { MOST_ENTRIES = 12 };

typedef struct story {
    const char *name;
    const char *violation; /* what must be told; NULL: nothing */
    const char *faulty;    /* a node that failed at 300, until 400 */
    size_t takeovers;      /* at least */
    entry entries[MOST_ENTRIES];
} story;

#define CLAIMED(at, node, fence, deadline)      \
    {                                           \
        at, node, "claimed", fence, deadline, 0 \
    }
#define EVENT(at, node, event, fence) \
    {                                 \
        at, node, event, fence, 0, 0  \
    }
#define RAN(at, node, event, fence, pid) \
    {                                    \
        at, node, event, fence, 0, pid   \
    }

static const story stories[] = {
    {"one run",
     NULL,
     NULL,
     0,
     {CLAIMED(100, "a", 1, 500), RAN(110, "a", "task-started", 1, 7),
      RAN(200, "a", "task-ended", 1, 7), EVENT(210, "a", "done", 1)}},
    {"released and done elsewhere",
     NULL,
     NULL,
     0,
     {CLAIMED(100, "a", 1, 500), RAN(110, "a", "task-started", 1, 7),
      EVENT(120, "a", "released", 1), CLAIMED(120, "b", 2, 600),
      RAN(130, "b", "task-started", 2, 8), RAN(200, "b", "task-ended", 2, 8),
      EVENT(210, "b", "done", 2)}},
    {"taken over after a fault",
     NULL,
     "a",
     1,
     {CLAIMED(100, "a", 1, 500), RAN(110, "a", "task-started", 1, 7),
      RAN(300, "a", "task-beat", 1, 7), CLAIMED(700, "b", 2, 900),
      RAN(710, "b", "task-started", 2, 8), RAN(800, "b", "task-ended", 2, 8),
      EVENT(810, "b", "done", 2)}},
    {"renewed, then released late after a fault",
     NULL,
     "a",
     1,
     {CLAIMED(100, "a", 1, 500),
      {250, "a", "renewed", 1, 650, 0},
      CLAIMED(700, "b", 2, 990),
      EVENT(750, "a", "released", 1),
      RAN(760, "b", "task-started", 2, 8),
      RAN(800, "b", "task-ended", 2, 8),
      EVENT(810, "b", "done", 2)}},
    {"two owners",
     "owner: x: claimed by b 100 us before",
     NULL,
     0,
     {CLAIMED(100, "a", 1, 500), CLAIMED(200, "b", 2, 600), EVENT(300, "a", "released", 1),
      RAN(310, "b", "task-started", 2, 8), RAN(320, "b", "task-ended", 2, 8),
      EVENT(330, "b", "done", 2)}},
    {"taken before the deadline",
     "owner: x: claimed by b 50 us before",
     "a",
     0,
     {CLAIMED(100, "a", 1, 500), CLAIMED(450, "b", 2, 900), RAN(460, "b", "task-started", 2, 8),
      RAN(470, "b", "task-ended", 2, 8), EVENT(480, "b", "done", 2)}},
    {"taken before the renewed deadline",
     "owner: x: claimed by b 50 us before",
     "a",
     0,
     {CLAIMED(100, "a", 1, 400),
      {200, "a", "renewed", 1, 500, 0},
      CLAIMED(450, "b", 2, 900),
      RAN(460, "b", "task-started", 2, 8),
      RAN(470, "b", "task-ended", 2, 8),
      EVENT(480, "b", "done", 2)}},
    {"the same fence",
     "fence: x: 1 of b after 1 of a",
     NULL,
     0,
     {CLAIMED(100, "a", 1, 500), EVENT(200, "a", "released", 1), CLAIMED(300, "b", 1, 600),
      RAN(310, "b", "task-started", 1, 8), RAN(320, "b", "task-ended", 1, 8),
      EVENT(330, "b", "done", 1)}},
    {"a lower fence",
     "fence: x: 4 of b after 5 of a",
     NULL,
     0,
     {CLAIMED(100, "a", 5, 500), EVENT(200, "a", "released", 5), CLAIMED(300, "b", 4, 600),
      RAN(310, "b", "task-started", 4, 8), RAN(320, "b", "task-ended", 4, 8),
      EVENT(330, "b", "done", 4)}},
    {"two processes",
     "process: x: 8 on b started while 7 on a ran",
     "a",
     0,
     {CLAIMED(100, "a", 1, 300), RAN(110, "a", "task-started", 1, 7), CLAIMED(310, "b", 2, 600),
      RAN(320, "b", "task-started", 2, 8), RAN(330, "a", "task-beat", 1, 7),
      RAN(340, "b", "task-ended", 2, 8), EVENT(350, "b", "done", 2)}},
    {"a process beyond its lease",
     "process: x: 7 on a ran beyond its claim",
     "a",
     0,
     {CLAIMED(100, "a", 1, 300), RAN(110, "a", "task-started", 1, 7),
      RAN(301, "a", "task-beat", 1, 7), CLAIMED(310, "b", 2, 600),
      RAN(320, "b", "task-started", 2, 8), RAN(340, "b", "task-ended", 2, 8),
      EVENT(350, "b", "done", 2)}},
    {"a process that outlives its release",
     "process: x: 7 on a ran beyond its claim",
     NULL,
     0,
     {CLAIMED(100, "a", 1, 500), RAN(110, "a", "task-started", 1, 7),
      EVENT(200, "a", "released", 1), RAN(201, "a", "task-beat", 1, 7), CLAIMED(310, "b", 2, 600),
      RAN(320, "b", "task-started", 2, 8), RAN(340, "b", "task-ended", 2, 8),
      EVENT(350, "b", "done", 2)}},
    {"a process met another",
     "process: x: 8 on b found another one alive",
     NULL,
     0,
     {CLAIMED(100, "b", 1, 500), RAN(110, "b", "task-overlap", 1, 8),
      RAN(120, "b", "task-started", 1, 8), RAN(130, "b", "task-ended", 1, 8),
      EVENT(140, "b", "done", 1)}},
    {"a process without a claim",
     "has a fence that nobody claimed",
     NULL,
     0,
     {CLAIMED(100, "a", 1, 500), RAN(110, "a", "task-started", 9, 7),
      RAN(120, "a", "task-ended", 9, 7), EVENT(130, "a", "done", 1)}},
    {"an end without a claim",
     "owner: x: b has fence 2 without a claim",
     NULL,
     0,
     {CLAIMED(100, "a", 1, 500), RAN(110, "a", "task-started", 1, 7),
      RAN(120, "a", "task-ended", 1, 7), EVENT(130, "b", "done", 2), EVENT(140, "a", "done", 1)}},
    {"never done",
     "done: x: never done",
     NULL,
     0,
     {CLAIMED(100, "a", 1, 500), RAN(110, "a", "task-started", 1, 7),
      RAN(120, "a", "task-ended", 1, 7), EVENT(130, "a", "released", 1)}},
    {"done without having run",
     "done: x: its process never ended",
     NULL,
     0,
     {CLAIMED(100, "a", 1, 500), EVENT(130, "a", "done", 1)}},
    {"never seen", "done: x: never seen", NULL, 0, {{0}}},
    {"run again after done",
     "done: x: claimed by b after a had done it",
     NULL,
     0,
     {CLAIMED(100, "a", 1, 500), RAN(110, "a", "task-started", 1, 7),
      RAN(120, "a", "task-ended", 1, 7), EVENT(130, "a", "done", 1), CLAIMED(200, "b", 2, 500),
      RAN(210, "b", "task-started", 2, 8), RAN(220, "b", "task-ended", 2, 8),
      EVENT(230, "b", "done", 2)}},
    {"abandoned without a fault",
     "takeover: x: abandoned by a, which had no fault",
     NULL,
     0,
     {CLAIMED(100, "a", 1, 500), CLAIMED(700, "b", 2, 900), RAN(710, "b", "task-started", 2, 8),
      RAN(800, "b", "task-ended", 2, 8), EVENT(810, "b", "done", 2)}},
    {"abandoned after a fault that was over",
     "takeover: x: abandoned by a, which had no fault",
     "a",
     0,
     {CLAIMED(401, "a", 1, 500), CLAIMED(700, "b", 2, 900), RAN(710, "b", "task-started", 2, 8),
      RAN(800, "b", "task-ended", 2, 8), EVENT(810, "b", "done", 2)}},
    {"claimed before a fault, but logged after it",
     NULL,
     "a",
     1,
     {CLAIMED(410, "a", 1, 350), CLAIMED(700, "b", 2, 900), RAN(710, "b", "task-started", 2, 8),
      RAN(800, "b", "task-ended", 2, 8), EVENT(810, "b", "done", 2)}},
    {"abandoned before a fault",
     "takeover: x: abandoned by a, which had no fault",
     "a",
     0,
     {CLAIMED(100, "a", 1, 299), CLAIMED(700, "b", 2, 900), RAN(710, "b", "task-started", 2, 8),
      RAN(800, "b", "task-ended", 2, 8), EVENT(810, "b", "done", 2)}},
    {"run again after done, the fault being over",
     "done: x: claimed by b after a had done it",
     "a",
     0,
     {CLAIMED(401, "a", 1, 500), RAN(410, "a", "task-started", 1, 7),
      RAN(420, "a", "task-ended", 1, 7), EVENT(430, "a", "done", 1), CLAIMED(600, "b", 2, 900),
      RAN(610, "b", "task-started", 2, 8), RAN(620, "b", "task-ended", 2, 8),
      EVENT(630, "b", "done", 2)}},
    {"run again after done, in a fault",
     NULL,
     "a",
     0,
     {CLAIMED(100, "a", 1, 500), RAN(110, "a", "task-started", 1, 7),
      RAN(120, "a", "task-ended", 1, 7), EVENT(130, "a", "done", 1), CLAIMED(600, "b", 2, 900),
      RAN(610, "b", "task-started", 2, 8), RAN(620, "b", "task-ended", 2, 8),
      EVENT(630, "b", "done", 2)}},
    {"not taken over",
     "takeover: x: not taken over from a",
     "a",
     0,
     {CLAIMED(100, "a", 1, 500), RAN(110, "a", "task-started", 1, 7)}},
    {"taken over too late",
     "takeover: x: by b only 701 us after the fault of a",
     "a",
     0,
     {CLAIMED(100, "a", 1, 500), CLAIMED(1001, "b", 2, 2000), RAN(1010, "b", "task-started", 2, 8),
      RAN(1020, "b", "task-ended", 2, 8), EVENT(1030, "b", "done", 2)}},
    {"no fault was tried",
     "run: 0 takeovers, fewer than 1",
     "a",
     1,
     {CLAIMED(100, "b", 1, 500), RAN(110, "b", "task-started", 1, 7),
      RAN(200, "b", "task-ended", 1, 7), EVENT(210, "b", "done", 1)}},
};

/* Runs the checker on the story's lines, in reverse order, since the order must
 * not matter. Returns the number of violations; their text goes to `told`. */
static size_t check(const story *told_story, char *told, size_t size)
{
    log_checker *checker = checker_new();
    checker_report report;
    char line[256];

    for (int i = MOST_ENTRIES - 1; i >= 0; i--) {
        const entry *at = &told_story->entries[i];
        snprintf(line, sizeof line,
                 "{\"at\":%ld,\"node\":\"%s\",\"event\":\"%s\",\"task\":\"x\","
                 "\"fence\":%d,"
                 "\"deadline\":%ld,\"pid\":%ld}\n",
                 (long)at->at, at->node, at->event, at->fence, (long)at->deadline, (long)at->pid);
        if (at->at != 0)
            checker_add_line(checker, line);
    }
    checker_expect(checker, "x");
    if (told_story->faulty != NULL) {
        checker_fault(checker, told_story->faulty, 300);
        checker_recovered(checker, told_story->faulty, 400);
    }
    FILE *out = fmemopen(told, size, "w");
    checker_run(checker, 700, told_story->takeovers, out, &report);
    fclose(out);
    checker_free(checker);
    return report.violations;
}

/* Each story is judged as it should be: the bad ones by the rule that they
 * break, and no other. */
static void test_stories(void **state)
{
    char told[1024];
    (void)state;

    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        memset(told, 0, sizeof told);
        size_t violations = check(&stories[i], told, sizeof told);
        bool right = stories[i].violation == NULL
                         ? violations == 0
                         : violations >= 1 && strstr(told, stories[i].violation) != NULL;
        if (!right)
            fail_msg("%s: %zu violations: %s", stories[i].name, violations, told);
    }
}

/* Lines that are not events, and tasks that nobody submitted, are violations.
 */
static void test_strange_lines(void **state)
{
    static const char *const lines[] = {"",
                                        "{}",
                                        "not JSON",
                                        "[1]",
                                        "{\"at\":\"x\"}",
                                        "{\"at\":1,\"node\":\"a\",\"event\":\"claimed\"}"};
    log_checker *checker = checker_new();
    checker_report report;
    char told[512] = "";
    (void)state;

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        checker_add_line(checker, lines[i]);
    checker_add_line(checker, "{\"at\":1,\"node\":\"a\",\"event\":\"other\",\"task\":\"y\"}");
    FILE *out = fmemopen(told, sizeof told, "w");
    checker_run(checker, 0, 0, out, &report);
    fclose(out);
    checker_free(checker);
    assert_non_null(strstr(told, "log: 6 lines that are not understood"));
    assert_non_null(strstr(told, "done: y: not a task of this run"));
    assert_int_equal(report.violations, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories),
        cmocka_unit_test(test_strange_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
