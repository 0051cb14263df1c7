/* A command for koalemosd that tells the truth about itself: e2e-task DIRECTORY MILLISECONDS.
 *
 * It runs for so long, and on while DIRECTORY/hold exists. It appends to DIRECTORY/ran when it
 * starts, that it still lives, and when it ends; and it holds a lock while it lives, so that a
 * second one of the same task is found out by the kernel. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "process/events.h"

enum { BEAT_MS = 100 };

static int events;

static void tell(const char *name)
{
    mf__event event = {.name = name,
                       .node = getenv("METAFORA_NODE"),
                       .task = getenv("METAFORA_TASK"),
                       .fence = strtoull(getenv("METAFORA_FENCE"), NULL, 10),
                       .pid = getpid()};
    char line[MF_EVENT_SIZE];
    size_t length = mf__event_format(line, &event);

    if (write(events, line, length) != (ssize_t)length)
        _exit(3);
}

static int open_log(const char *directory)
{
    char path[512];
    snprintf(path, sizeof path, "%s/ran", directory);
    events = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    return events;
}

static int take_lock(const char *directory)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.lock", directory, getenv("METAFORA_TASK"));
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    return lock < 0 ? -1 : flock(lock, LOCK_EX | LOCK_NB);
}

/* Its work is to take time, as it would be asleep in a real command: nobody waits for these sleeps
 * to have come to something. */
static void work(const char *directory, int64_t until_us)
{
    char hold[512];

    snprintf(hold, sizeof hold, "%s/hold", directory);
    for (;;) {
        int64_t left_us = until_us - mf__steady_us();
        if (left_us <= 0 && access(hold, F_OK) != 0)
            return;
        int64_t step_us = left_us > 0 && left_us < BEAT_MS * 1000 ? left_us : BEAT_MS * 1000;
        struct timespec step = {.tv_nsec = step_us * 1000};
        nanosleep(&step, NULL);
        tell("task-beat");
    }
}

int main(int argc, char **argv)
{
    if (argc != 3 || getenv("METAFORA_TASK") == NULL || getenv("METAFORA_FENCE") == NULL ||
        getenv("METAFORA_NODE") == NULL || open_log(argv[1]) < 0)
        return 2;
    if (take_lock(argv[1]) != 0)
        tell("task-overlap");
    tell("task-started");
    work(argv[1], mf__steady_us() + (int64_t)atoi(argv[2]) * 1000);
    tell("task-ended");
    return 0;
}
