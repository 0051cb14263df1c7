/* Progress on a terminal. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { EVERY_MS = 200 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

void progress_begin(progress_line *me, const char *verb)
{
    *me =
        (progress_line){.is_shown = isatty(STDERR_FILENO) == 1, .verb = verb, .begun_ms = now_ms()};
}

static void put_left(double seconds)
{
    if (seconds < 90)
        fprintf(stderr, ", %.0f s left", seconds);
    else if (seconds < 5400)
        fprintf(stderr, ", %.0f min left", seconds / 60);
    else
        fprintf(stderr, ", %.1f h left", seconds / 3600);
}

void progress_show(progress_line *me, uint64_t items, uint64_t part, uint64_t whole)
{
    int64_t now = now_ms();

    if (!me->is_shown || now - me->drawn_ms < EVERY_MS)
        return;
    me->drawn_ms = now;
    double seconds = (double)(now - me->begun_ms) / 1000;
    fprintf(stderr, "\r\x1b[K%" PRIu64 " %s", items, me->verb);
    if (seconds > 0)
        fprintf(stderr, ", %.0f/s", (double)items / seconds);
    if (whole > 0 && part > 0 && part <= whole) {
        fprintf(stderr, ", %.0f %%", 100.0 * (double)part / (double)whole);
        put_left(seconds * (double)(whole - part) / (double)part);
    }
    fflush(stderr);
}

void progress_end(progress_line *me)
{
    if (me->is_shown)
        fputs("\r\x1b[K", stderr);
}
