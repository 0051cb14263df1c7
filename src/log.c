/* The log hook and its default, lines on stderr. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <metafora/driver.h>

#include "loop/loop.h"
#include "utf8.h"

static const char *const level_names[] = {"debug", "info", "warn", "error", "none"};

int mf_log_level_parse(mf_log_level *out, const char *text)
{
    for (int i = 0; i <= MF_LOG_NONE; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (mf_log_level)i;
            return MF_OK;
        }
    }
    return MF_EINVAL;
}

void mf__log_to_stderr(mf_log_level level, const char *subsystem, const char *text, void *arg)
{
    struct timespec now;
    struct tm parts;
    char date[32];

    (void)arg;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    fprintf(stderr, "%s.%03ldZ %-5s %s: %s\n", date, now.tv_nsec / 1000000, level_names[level],
            subsystem, text);
}

void mf_loop_set_log(mf_loop *loop, mf_log_fn fn, void *arg, mf_log_level level)
{
    pthread_mutex_lock(&loop->lock);
    loop->log = fn;
    loop->log_arg = arg;
    loop->log_level = fn != NULL ? level : MF_LOG_NONE;
    pthread_mutex_unlock(&loop->lock);
}

/* Text that was cut ends with a whole character. */
static void drop_half(char *text, size_t length)
{
    size_t lead = length;

    while (lead > 0 && length - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
        lead--;
    if (lead == 0)
        return;
    const unsigned char *at = (const unsigned char *)text + lead - 1;
    if (*at >= 0xc0 && mf__utf8_sequence(at, (const unsigned char *)text + length) == 0)
        text[lead - 1] = '\0';
}

void mf_log(mf_loop *loop, mf_log_level level, const char *subsystem, const char *format, ...)
{
    char text[1024], line[2048];
    va_list arguments;

    pthread_mutex_lock(&loop->lock);
    bool wanted = level >= loop->log_level && loop->log_level != MF_LOG_NONE;
    mf_log_fn fn = loop->log;
    void *arg = loop->log_arg;
    pthread_mutex_unlock(&loop->lock);
    if (!wanted)
        return;

    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof text)
        drop_half(text, sizeof text - 1);
    mf_escape(line, sizeof line, text);
    fn(level, subsystem, line, arg);
}
