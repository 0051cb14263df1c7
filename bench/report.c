/* What a run found: a table for people, and one JSON object for programs. */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "bench.h"

enum { MOST_LINES = 64 };

typedef struct report_line {
    char key[48];
    const char *unit;
    char value[96];
    char target[32];
    double number;
    bool missed;
} report_line;

struct bench_report {
    cJSON *object;
    cJSON *missed; /* keys of the targets that were missed */
    report_line lines[MOST_LINES];
    size_t count;
    const char *part; /* what keys begin with now */
};

static void must(bool done)
{
    if (!done)
        bench_fail("out of memory");
}

bench_report *report_new(const char *scenario)
{
    bench_report *me = bench_alloc(1, sizeof *me);
    me->object = cJSON_CreateObject();
    me->missed = cJSON_CreateArray();
    must(me->object != NULL && me->missed != NULL);
    me->part = "";
    report_text(me, "scenario", scenario);
    return me;
}

void report_free(bench_report *report)
{
    cJSON_Delete(report->object);
    cJSON_Delete(report->missed);
    free(report);
}

static report_line *add_line(bench_report *report, const char *key, const char *unit)
{
    must(report->count < MOST_LINES);
    report_line *line = &report->lines[report->count++];
    snprintf(line->key, sizeof line->key, "%s%s", report->part, key);
    line->unit = unit;
    return line;
}

void report_part(bench_report *report, const char *name)
{
    report->part = name;
}

void report_text(bench_report *report, const char *key, const char *value)
{
    report_line *line = add_line(report, key, "");
    snprintf(line->value, sizeof line->value, "%s", value);
    must(cJSON_AddStringToObject(report->object, line->key, value) != NULL);
}

void report_number(bench_report *report, const char *key, double value, int decimals,
                   const char *unit)
{
    report_line *line = add_line(report, key, unit);
    snprintf(line->value, sizeof line->value, "%.*f", decimals, value);
    line->number = value;
    /* What is printed and what is written agree. */
    must(isfinite(value) ? cJSON_AddRawToObject(report->object, line->key, line->value) != NULL
                         : cJSON_AddNullToObject(report->object, line->key) != NULL);
}

void report_count(bench_report *report, const char *key, double value, const char *unit)
{
    report_number(report, key, value, 0, unit);
}

void report_nothing(bench_report *report, const char *key, const char *why)
{
    report_line *line = add_line(report, key, why);
    strcpy(line->value, "-");
    line->number = NAN;
    must(cJSON_AddNullToObject(report->object, line->key) != NULL);
}

void report_array(bench_report *report, const char *key, const double *values, size_t count)
{
    char name[sizeof report->lines->key];
    snprintf(name, sizeof name, "%s%s", report->part, key);
    cJSON *array = cJSON_AddArrayToObject(report->object, name);
    must(array != NULL);
    for (size_t i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "%.6g", values[i]);
        cJSON *item = isfinite(values[i]) ? cJSON_CreateRaw(text) : cJSON_CreateNull();
        must(item != NULL && cJSON_AddItemToArray(array, item));
    }
}

static void set_target(bench_report *report, const char *key, double bound, bool least)
{
    size_t length = strlen(report->part);
    for (size_t i = 0; i < report->count; i++) {
        report_line *line = &report->lines[i];
        if (strncmp(line->key, report->part, length) != 0 || strcmp(line->key + length, key) != 0 ||
            isnan(line->number))
            continue;
        line->missed = least ? line->number < bound : line->number > bound;
        snprintf(line->target, sizeof line->target, "%s %g", least ? ">=" : "<=", bound);
        if (line->missed)
            must(cJSON_AddItemToArray(report->missed, cJSON_CreateString(line->key)));
    }
}

void report_at_least(bench_report *report, const char *key, double bound)
{
    set_target(report, key, bound, true);
}

void report_at_most(bench_report *report, const char *key, double bound)
{
    set_target(report, key, bound, false);
}

bool report_met(const bench_report *report)
{
    return cJSON_GetArraySize(report->missed) == 0;
}

static void print_table(const bench_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const report_line *line = &report->lines[i];
        printf("%-26s %14s %-14s", line->key, line->value, line->unit);
        if (line->target[0] != '\0')
            printf(" target %-10s %s", line->target, line->missed ? "MISSED" : "met");
        putchar('\n');
    }
}

void report_print(bench_report *report, bool json)
{
    print_table(report);
    if (json) {
        must(
            cJSON_AddItemToObject(report->object, "missed", cJSON_Duplicate(report->missed, true)));
        char *text = cJSON_PrintUnformatted(report->object);
        must(text != NULL);
        puts(text);
        free(text);
    }
    fflush(stdout);
}
