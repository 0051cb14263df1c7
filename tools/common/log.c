/* Log lines on stderr. */
#include "log.h"

#include <stdio.h>
#include <time.h>

void log_to_stderr(mf_log_level level, const char *subsystem, const char *text, void *arg)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    struct timespec now;
    struct tm parts;
    char date[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    fprintf(stderr, "%s.%03ldZ %s %-5s %s: %s\n", date, now.tv_nsec / 1000000, (const char *)arg,
            names[level], subsystem, text);
}
