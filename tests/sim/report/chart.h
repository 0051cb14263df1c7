/* Line charts as SVG files. */
#ifndef MF_SIM_CHART_H
#define MF_SIM_CHART_H

#include "scenarios.h"

typedef struct chart_line {
    char name[48];
    const series *points;
} chart_line;

typedef struct chart {
    const char *title, *x, *y; /* y: a part of 1, shown in percent */
    chart_line lines[6];
    size_t count;
} chart;

void chart_add(chart *c, const series *points, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Returns 0, or -1 with errno. */
int chart_write(const chart *c, const char *path);

#endif
