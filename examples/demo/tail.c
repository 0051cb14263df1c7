/* Following an event log, woken by inotify. */
#include "tail.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <event2/buffer.h>

struct tail {
    int file, watch;
    struct event *woken;
    struct evbuffer *text;
    void (*fn)(const board_event *event, void *arg);
    void *arg;
};

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static double number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static void take_line(tail *t, const char *line)
{
    cJSON *object = cJSON_Parse(line);
    board_event event = {.at_us = (int64_t)number_of(object, "at"),
                         .node = text_of(object, "node"),
                         .name = text_of(object, "event"),
                         .task = text_of(object, "task"),
                         .detail = text_of(object, "detail"),
                         .fence = (uint64_t)number_of(object, "fence")};
    if (event.node != NULL && event.name != NULL && event.task != NULL)
        t->fn(&event, t->arg);
    cJSON_Delete(object);
}

static void on_woken(evutil_socket_t descriptor, short what, void *arg)
{
    tail *t = arg;
    char news[4096], *line;

    (void)what;
    while (read(descriptor, news, sizeof news) > 0)
        continue;
    while (evbuffer_read(t->text, t->file, 65536) > 0)
        continue;
    while ((line = evbuffer_readln(t->text, NULL, EVBUFFER_EOL_LF)) != NULL) {
        take_line(t, line);
        free(line);
    }
}

int tail_open(tail **out, struct event_base *base, const char *path,
              void (*fn)(const board_event *event, void *arg), void *arg)
{
    tail *t = calloc(1, sizeof *t);
    if (t == NULL)
        return -1;
    t->fn = fn;
    t->arg = arg;
    t->file = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
    t->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    t->text = evbuffer_new();
    t->woken = event_new(base, t->watch, EV_READ | EV_PERSIST, on_woken, t);
    if (t->file < 0 || t->watch < 0 || t->text == NULL || t->woken == NULL ||
        inotify_add_watch(t->watch, path, IN_MODIFY) < 0 || event_add(t->woken, NULL) != 0) {
        tail_close(t);
        return -1;
    }
    event_active(t->woken, EV_READ, 0);
    *out = t;
    return 0;
}

void tail_close(tail *t)
{
    if (t->woken != NULL)
        event_free(t->woken);
    if (t->text != NULL)
        evbuffer_free(t->text);
    if (t->watch >= 0)
        close(t->watch);
    if (t->file >= 0)
        close(t->file);
    free(t);
}
