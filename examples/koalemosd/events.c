/* The event log: JSON lines, each by one write. */
#include "events.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Room for the longest task id with every byte escaped, and the rest. */
enum { LINE_SIZE = 4096 };

typedef struct text_line {
    char text[LINE_SIZE];
    size_t used;
} text_line;

int64_t steady_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int event_log_open(koa_event_log *log, const char *path, const char *node)
{
    snprintf(log->node, sizeof log->node, "%s", node);
    log->descriptor = -1;
    if (path == NULL)
        return 0;
    log->descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    return log->descriptor < 0 ? -1 : 0;
}

void event_log_close(koa_event_log *log)
{
    if (log->descriptor >= 0)
        close(log->descriptor);
    log->descriptor = -1;
}

static void add(text_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(text_line *line, const char *format, ...)
{
    va_list arguments;
    size_t room = LINE_SIZE - line->used;

    va_start(arguments, format);
    int length = vsnprintf(line->text + line->used, room, format, arguments);
    va_end(arguments);
    if (length > 0)
        line->used += (size_t)length < room ? (size_t)length : room - 1;
}

static void add_text(text_line *line, const char *key, const char *value)
{
    if (value == NULL)
        return;
    add(line, ",\"%s\":\"", key);
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            add(line, "\\%c", *at);
        else if ((unsigned char)*at < 0x20)
            add(line, "\\u%04x", (unsigned)*at);
        else
            add(line, "%c", *at);
    }
    add(line, "\"");
}

void event_log_write(const koa_event_log *log, const koa_event *event)
{
    text_line line = {.used = 0};

    if (log->descriptor < 0)
        return;
    add(&line, "{\"at\":%" PRId64, event->at_us != 0 ? event->at_us : steady_us());
    add_text(&line, "node", log->node);
    add_text(&line, "event", event->name);
    add_text(&line, "task", event->task);
    if (event->fence != 0)
        add(&line, ",\"fence\":%" PRIu64, event->fence);
    if (event->deadline_us != 0)
        add(&line, ",\"deadline\":%" PRId64, event->deadline_us);
    if (event->pid != 0)
        add(&line, ",\"pid\":%" PRId64, event->pid);
    add_text(&line, "detail", event->detail);
    add(&line, "}\n");
    /* A log that cannot be written must not stop the work. */
    if (write(log->descriptor, line.text, line.used) < 0)
        return;
}
