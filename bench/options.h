/* The command line. */
#ifndef MF_BENCH_OPTIONS_H
#define MF_BENCH_OPTIONS_H

#include "bench.h"

/* Reads argv[1] and on into `out`, over the scenario's defaults. False, with a line on stderr, for
 * an option that is not known, means nothing to the scenario, or has a value out of its range. */
bool options_parse(bench_options *out, const bench_scenario *scenario, int argc, char **argv);

/* Prints the options that mean something to the scenario (NULL: all), with its defaults. */
void options_print(const bench_scenario *scenario);

/* Prints a paragraph, wrapped. */
void options_print_text(const char *text);

#endif
