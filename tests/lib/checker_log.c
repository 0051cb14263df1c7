/* Reading the checker's events. */
#include "checker_log.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

static log_kind kind_of(const char *name)
{
    static const char *const names[] = {"claimed",      "renewed",   "released",   "done",
                                        "task-started", "task-beat", "task-ended", "task-overlap"};
    for (int i = 0; i < LOG_OTHER; i++)
        if (strcmp(name, names[i]) == 0)
            return (log_kind)i;
    return LOG_OTHER;
}

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static double number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

int log_record_parse(log_record *out, const char *line)
{
    cJSON *object = cJSON_Parse(line);
    const char *event = text_of(object, "event");
    const char *node = text_of(object, "node"), *task = text_of(object, "task");
    int code = -1;

    memset(out, 0, sizeof *out);
    out->at_us = (int64_t)number_of(object, "at");
    if (event != NULL && node != NULL && task != NULL && out->at_us > 0) {
        out->kind = kind_of(event);
        out->deadline_us = (int64_t)number_of(object, "deadline");
        out->fence = (uint64_t)number_of(object, "fence");
        out->pid = (int64_t)number_of(object, "pid");
        out->node = strdup(node);
        out->task = strdup(task);
        code = 0;
    }
    cJSON_Delete(object);
    return code;
}

void log_record_clear(log_record *record)
{
    free(record->node);
    free(record->task);
}

int log_record_compare(const void *left, const void *right)
{
    const log_record *a = left, *b = right;
    int by_task = strcmp(a->task, b->task);

    if (by_task != 0)
        return by_task;
    if (a->at_us != b->at_us)
        return a->at_us < b->at_us ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}
