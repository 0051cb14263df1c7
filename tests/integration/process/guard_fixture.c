/* A guard with commands under it, for tests. */
#include "guard_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

static guard_fixture *the_fixture;

static void path_of(const guard_fixture *fixture, const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", fixture->directory, name);
}

static void on_started(void *process, pid_t pid)
{
    (void)process;
    (void)pid;
    the_fixture->started++;
}

static void on_denied(void *process, pid_t pid)
{
    (void)process;
    the_fixture->denied++;
    the_fixture->denied_pid = pid;
}

static void on_ended(void *process, const mf__ended *end)
{
    size_t number = (size_t)((mf__ended *)process - the_fixture->ends);
    the_fixture->ends[number] = *end;
    the_fixture->ended++;
}

static void on_lost(void *arg)
{
    guard_fixture *fixture = arg;
    fixture->lost++;
}

static const mf__guard_events events = {
    .started = on_started, .denied = on_denied, .ended = on_ended, .lost = on_lost};

int guard_fixture_setup(void **state)
{
    guard_fixture *fixture = calloc(1, sizeof *fixture);
    char fifo[128];

    strcpy(fixture->directory, "/tmp/metafora-guard-XXXXXX");
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    path_of(fixture, "alive", fifo, sizeof fifo);
    if (mkfifo(fifo, 0600) != 0)
        return -1;
    fixture->fifo = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    the_fixture = fixture;
    *state = fixture;
    if (mf__guard_spawn(&fixture->guard, NULL, false, NULL) != 0)
        return -1;
    fixture->base = event_base_new();
    return mf__guard_attach(fixture->guard, fixture->base, &events, fixture);
}

int guard_fixture_setup_as_nobody(void **state)
{
    enum { nobody = 65534 };

    if (setresuid(nobody, nobody, 0) != 0)
        return guard_fixture_setup(state);
    int code = guard_fixture_setup(state);
    return setresuid(0, 0, 0) == 0 ? code : -1;
}

void guard_fixture_remove_directory(guard_fixture *fixture)
{
    char path[128];

    path_of(fixture, "alive", path, sizeof path);
    unlink(path);
    path_of(fixture, "output", path, sizeof path);
    unlink(path);
    rmdir(fixture->directory);
}

int guard_fixture_teardown(void **state)
{
    guard_fixture *fixture = *state;

    mf__guard_close(fixture->guard);
    event_base_free(fixture->base);
    close(fixture->fifo);
    guard_fixture_remove_directory(fixture);
    free(fixture);
    return 0;
}

int guard_fixture_start(guard_fixture *fixture, const char *script, int deadline_ms)
{
    char whole[1024], output[128];
    int number = fixture->commands++;

    snprintf(whole, sizeof whole, "exec 9>%s/alive\n%s", fixture->directory, script);
    path_of(fixture, "output", output, sizeof output);
    char *arguments[] = {"sh", "-c", whole, NULL};
    mf__guard_command command = {.task = "a task",
                                 .node = "test-node",
                                 .fence = 77,
                                 .deadline_us = mf__steady_us() + (int64_t)deadline_ms * 1000,
                                 .output = output,
                                 .arguments = arguments};
    if (mf__guard_start(fixture->guard, &command, &fixture->ends[number],
                        &fixture->slots[number]) != 0)
        return -1;
    return number;
}

bool guard_fixture_wait(guard_fixture *fixture, const int *count, int wanted)
{
    int64_t last = mf__steady_us() + (int64_t)PATIENCE_MS * 1000;

    while (*count < wanted && mf__steady_us() < last) {
        struct timeval left = {.tv_usec = 100000};
        event_base_loopexit(fixture->base, &left);
        event_base_loop(fixture->base, EVLOOP_ONCE);
    }
    return *count >= wanted;
}

bool guard_fixture_wait_line(guard_fixture *fixture)
{
    struct pollfd watched = {fixture->fifo, POLLIN, 0};
    char path[128], byte = 0;
    bool good = true;

    /* A writer of our own, so that there is no end of file before the command has opened it. */
    path_of(fixture, "alive", path, sizeof path);
    int writer = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    while (good && byte != '\n')
        good = poll(&watched, 1, PATIENCE_MS) > 0 && read(fixture->fifo, &byte, 1) == 1;
    close(writer);
    return good;
}

/* The end of file comes when the last writer has closed. */
bool guard_fixture_wait_all_dead(guard_fixture *fixture)
{
    struct pollfd watched = {fixture->fifo, POLLIN, 0};
    char bytes[256];

    for (;;) {
        if (poll(&watched, 1, PATIENCE_MS) <= 0)
            return false;
        ssize_t got = read(fixture->fifo, bytes, sizeof bytes);
        if (got == 0)
            return true;
        if (got < 0 && errno != EAGAIN)
            return false;
    }
}

const char *guard_fixture_output(guard_fixture *fixture)
{
    static char text[4096];
    char path[128], line[2048];
    size_t used = 0;

    path_of(fixture, "output", path, sizeof path);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "-- ", 3) != 0)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s", line);
    text[used] = '\0';
    if (file != NULL)
        fclose(file);
    return text;
}
