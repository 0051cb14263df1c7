/* The event log's lines. */
#include "process/events.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

typedef struct text_line {
    char *text;
    size_t used;
} text_line;

int64_t mf__steady_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void add(text_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(text_line *line, const char *format, ...)
{
    va_list arguments;
    size_t room = MF_EVENT_SIZE - line->used;

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

size_t mf__event_format(char text[MF_EVENT_SIZE], const mf__event *event)
{
    text_line line = {.text = text};

    add(&line, "{\"at\":%" PRId64, event->at_us != 0 ? event->at_us : mf__steady_us());
    add_text(&line, "node", event->node);
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
    return line.used;
}
