/* What a run found: a table for people, and one JSON object for programs. */
#ifndef MF_BENCH_REPORT_H
#define MF_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct bench_report bench_report;

bench_report *report_new(const char *scenario);
void report_free(bench_report *report);

/* Each adds a figure under `key`; keys come out in the order in which they were added. The table
 * shows the key, the value and the unit, the JSON the key and the value. */
void report_text(bench_report *report, const char *key, const char *value);
void report_count(bench_report *report, const char *key, double value, const char *unit);
void report_number(bench_report *report, const char *key, double value, int decimals,
                   const char *unit);
/* There is no such figure with this broker: null. */
void report_nothing(bench_report *report, const char *key, const char *why);
/* An array, of each round's value; the table leaves it out. */
void report_array(bench_report *report, const char *key, const double *values, size_t count);

/* Keys begin with `name`, static text, from now on. */
void report_part(bench_report *report, const char *name);

/* The value of `key`, added before, should be at least, or at most, `bound`. */
void report_at_least(bench_report *report, const char *key, double bound);
void report_at_most(bench_report *report, const char *key, double bound);
/* True while no target is missed. */
bool report_met(const bench_report *report);

/* Prints the table to stdout and, if `json`, the object as the last line. */
void report_print(bench_report *report, bool json);

#endif
