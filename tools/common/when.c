/* Times on the command line. */
#include "when.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <metafora/driver.h>
#include <metafora/state.h>

static const int64_t longest_s = INT64_C(100) * 366 * 86400;

/* Returns 0 for a text that is no number with a unit. */
static int64_t unit_of(const char *text)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};

    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(text, units[i].name) == 0)
            return units[i].seconds;
    return 0;
}

static int from_now(int64_t *wall_us, const char *text)
{
    struct timespec now;
    char *rest;

    errno = 0;
    long long count = strtoll(text, &rest, 10);
    int64_t unit = unit_of(rest);
    if (rest == text || errno != 0 || unit == 0 || count < 0 || count > longest_s / unit)
        return -1;
    clock_gettime(CLOCK_REALTIME, &now);
    *wall_us = (now.tv_sec + count * unit) * 1000000 + now.tv_nsec / 1000;
    return 0;
}

int when_parse(int64_t *wall_us, const char *what, const char *text, mf_error *error)
{
    mf_time time;
    mf_error fault;

    if (text[0] == '+') {
        if (from_now(wall_us, text + 1) == 0)
            return MF_OK;
        return mf_error_set(error, MF_EINVAL,
                            "%s: '%.60s' is not +N with s, m, h, d or nothing behind it", what,
                            text);
    }
    if (mf_time_parse(&time, text, strlen(text), &fault) != MF_OK)
        return mf_error_set(error, MF_EINVAL, "%s: '%.60s': %.100s", what, text, fault.text);
    *wall_us = mf_time_to_wall_us(&time);
    return MF_OK;
}
