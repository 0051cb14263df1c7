/* A cluster of real koalemosd processes on a private broker. */
#include "koalemos_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cmocka.h>

#include "process/events.h"

static const char *const names[KOALEMOS_NODES] = {"a", "b", "c"};

static void path_of(const koalemos_fixture *f, char *path, size_t size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void path_of(const koalemos_fixture *f, char *path, size_t size, const char *format, ...)
{
    va_list arguments;
    int used = snprintf(path, size, "%s/", f->directory);

    va_start(arguments, format);
    vsnprintf(path + used, size - (size_t)used, format, arguments);
    va_end(arguments);
}

static int set_up(void **state, bool persistent)
{
    koalemos_fixture *f = calloc(1, sizeof *f);
    *state = f;
    f->directory = directory_new();
    f->news = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    inotify_add_watch(f->news, f->directory, IN_MODIFY | IN_CREATE);
    path_of(f, f->batch, sizeof f->batch, "batch");
    f->broker = broker_start(persistent);
    f->checker = checker_new();
    return 0;
}

int koalemos_setup(void **state)
{
    return set_up(state, false);
}

int koalemos_setup_persistent(void **state)
{
    return set_up(state, true);
}

int koalemos_teardown(void **state)
{
    koalemos_fixture *f = *state;
    for (int n = 0; n < KOALEMOS_NODES; n++)
        process_kill(&f->nodes[n]);
    broker_free(f->broker);
    checker_free(f->checker);
    close(f->news);
    if (getenv("METAFORA_KEEP") != NULL) { /* to look into the logs of a failed run */
        print_message("kept: %s\n", f->directory);
        free(f->directory);
    } else {
        directory_remove(f->directory);
    }
    free(f);
    return 0;
}

enum { MOST_ARGUMENTS = 48 };

void koalemos_launch(koalemos_fixture *f, int n, const char *const *more)
{
    char events[256], log[256], lease[16];
    const char *arguments[MOST_ARGUMENTS] = {KOALEMOSD,    "--broker", broker_url(f->broker),
                                             "--name",     names[n],   "--log-dir",
                                             f->directory, "--events", events,
                                             "--log",      "debug",    "--lease-ms",
                                             lease};
    size_t used = 13;

    path_of(f, events, sizeof events, "events-%s", names[n]);
    path_of(f, log, sizeof log, "%s.log", names[n]);
    snprintf(lease, sizeof lease, "%d", KOALEMOS_LEASE_MS);
    for (; more != NULL && *more != NULL; more++)
        arguments[used++] = *more;
    process_start(&f->nodes[n], arguments, log);
}

void koalemos_start(koalemos_fixture *f, int n, const char *const *more)
{
    char log[256];
    struct process last = {.pid = 0};

    path_of(f, log, sizeof log, "%s.log", names[n]);
    snprintf(last.output, sizeof last.output, "%s", log);
    long before = process_output_size(&last);
    koalemos_launch(f, n, more);
    if (!process_await_output(&f->nodes[n], "joined as", before, KOALEMOS_PATIENCE_MS)) {
        char *text = koalemos_text(f, strrchr(log, '/') + 1);
        print_error("%s\n", text);
        fail_msg("node %s did not join", names[n]);
    }
}

void koalemos_add(koalemos_fixture *f, const char *format, ...)
{
    va_list arguments;
    FILE *file = fopen(f->batch, "ae");

    assert_non_null(file);
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fputc('\n', file);
    fclose(file);
}

void koalemos_add_tasks(koalemos_fixture *f, int count, int least_ms, int most_ms)
{
    for (int i = 0; i < count; i++)
        koalemos_add(f, "%s %s %d", E2E_TASK, f->directory,
                     least_ms + (most_ms - least_ms) * (i * 7 % count) / count);
}

void koalemos_hold(koalemos_fixture *f)
{
    char path[256];
    path_of(f, path, sizeof path, "hold");
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

void koalemos_let_go(koalemos_fixture *f)
{
    char path[256];
    path_of(f, path, sizeof path, "hold");
    unlink(path);
}

int koalemos_ctl(koalemos_fixture *f, const char *const *more)
{
    const char *arguments[MOST_ARGUMENTS] = {KOALEMOSCTL, "--broker", broker_url(f->broker)};
    char output[256];
    process ctl;
    size_t used = 3;

    for (; *more != NULL; more++)
        arguments[used++] = *more;
    path_of(f, output, sizeof output, "ctl");
    unlink(output);
    process_start(&ctl, arguments, output);
    if (!process_await_end(&ctl, KOALEMOS_PATIENCE_MS)) {
        process_kill(&ctl);
        fail_msg("koalemosctl does not end");
    }
    return WIFEXITED(ctl.status) ? WEXITSTATUS(ctl.status) : -1;
}

static void expect_submitted(koalemos_fixture *f)
{
    char *batch = koalemos_text(f, "batch"), *ids = koalemos_text(f, "ctl");
    char *line, *id, *lines = batch, *rest = ids;

    while ((line = strsep(&lines, "\n")) != NULL && *line != '\0') {
        id = strsep(&rest, "\n");
        if (id != NULL && strstr(line, E2E_TASK) != NULL)
            checker_expect(f->checker, id);
    }
    free(batch);
    free(ids);
}

void koalemos_submit(koalemos_fixture *f, const char *prefix)
{
    const char *const arguments[] = {"--id", prefix, "--batch", f->batch, NULL};
    int status = koalemos_ctl(f, arguments);
    if (status != 0) {
        char *text = koalemos_text(f, "ctl");
        fail_msg("koalemosctl: %d: %s", status, text);
    }
    expect_submitted(f);
    unlink(f->batch);
}

char *koalemos_text(koalemos_fixture *f, const char *name)
{
    char path[256];
    path_of(f, path, sizeof path, "%s", name);
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;

    if (file == NULL || getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = strdup("");
    }
    if (file != NULL)
        fclose(file);
    return text;
}

bool koalemos_has(koalemos_fixture *f, const char *name, const char *wanted)
{
    char *text = koalemos_text(f, name);
    bool found = strstr(text, wanted) != NULL;
    free(text);
    return found;
}

static char *events_of(koalemos_fixture *f, int n)
{
    char name[32];
    snprintf(name, sizeof name, "events-%s", names[n]);
    return koalemos_text(f, name);
}

size_t koalemos_count(koalemos_fixture *f, int n, const char *wanted)
{
    char *text = events_of(f, n), *line, *rest = text;
    size_t count = 0;

    while ((line = strsep(&rest, "\n")) != NULL)
        count += strstr(line, wanted) != NULL;
    free(text);
    return count;
}

/* Calls fn with `"task":"<id>"` of each line that has the event. */
static void each_task(koalemos_fixture *f, int n, const char *event,
                      void (*fn)(char *task, void *arg), void *arg)
{
    char *text = events_of(f, n), *line, *rest = text;

    while ((line = strsep(&rest, "\n")) != NULL) {
        char *task = strstr(line, "\"task\":");
        char *end = task != NULL ? strchr(task, ',') : NULL;
        if (strstr(line, event) == NULL || end == NULL)
            continue;
        *end = '\0';
        fn(task, arg);
    }
    free(text);
}

typedef struct task_set {
    char *tasks[1024];
    size_t count, matches;
} task_set;

static bool has(const task_set *set, const char *task)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->tasks[i], task) == 0)
            return true;
    return false;
}

static void collect(char *task, void *arg)
{
    task_set *set = arg;
    if (!has(set, task) && set->count < 1024)
        set->tasks[set->count++] = strdup(task);
}

static void match(char *task, void *arg)
{
    task_set *set = arg;
    set->matches += has(set, task);
}

static void clear_set(task_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        free(set->tasks[i]);
}

size_t koalemos_taken(koalemos_fixture *f, int from, int by)
{
    task_set set = {.count = 0};
    each_task(f, from, "\"event\":\"claimed\"", collect, &set);
    each_task(f, by, "\"event\":\"claimed\"", match, &set);
    clear_set(&set);
    return set.matches;
}

size_t koalemos_done(koalemos_fixture *f)
{
    task_set set = {.count = 0};
    for (int n = 0; n < KOALEMOS_NODES; n++)
        each_task(f, n, "\"event\":\"done\"", collect, &set);
    clear_set(&set);
    return set.count;
}

void koalemos_wait_for_news(koalemos_fixture *f, int64_t last_ms, const char *what)
{
    struct pollfd watched = {f->news, POLLIN, 0};
    char news[4096];
    int64_t left = last_ms - clock_ms();

    if (left <= 0 || poll(&watched, 1, (int)left) <= 0)
        fail_msg("not in time: %s", what);
    while (read(f->news, news, sizeof news) > 0)
        continue;
}

int64_t koalemos_now_us(void)
{
    return mf__steady_us();
}

void koalemos_check(koalemos_fixture *f, size_t least_takeovers)
{
    static const char *const logs[] = {"events-a", "events-b", "events-c", "ran"};
    checker_report report;
    char path[256];

    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        path_of(f, path, sizeof path, "%s", logs[i]);
        checker_load(f->checker, path);
    }
    checker_run(f->checker, (KOALEMOS_LEASE_MS + broker_takeover_ms()) * 1000, least_takeovers,
                stderr, &report);
    print_message(
        "checker: %zu tasks, %zu claims, %zu processes, %zu takeovers, the longest %.2f s, "
        "%zu violations\n",
        report.tasks, report.claims, report.processes, report.takeovers,
        (double)report.longest_takeover_us / 1e6, report.violations);
    assert_int_equal(report.violations, 0);
}

bool koalemos_none_alive(koalemos_fixture *f)
{
    DIR *directory = opendir(f->directory);
    struct dirent *entry;
    bool none = true;

    while ((entry = readdir(directory)) != NULL) {
        if (strstr(entry->d_name, ".lock") == NULL)
            continue;
        int lock = openat(dirfd(directory), entry->d_name, O_RDWR | O_CLOEXEC);
        none = none && flock(lock, LOCK_EX | LOCK_NB) == 0;
        close(lock);
    }
    closedir(directory);
    return none;
}
