/* Medians and percentiles. */
#ifndef MF_BENCH_STATISTICS_H
#define MF_BENCH_STATISTICS_H

#include <stddef.h>

/* Both sort `values`; the percentile is the nearest rank's. 0 when there are none. */
double statistics_median(double *values, size_t count);
double statistics_percentile(double *values, size_t count, double percent);

#endif
