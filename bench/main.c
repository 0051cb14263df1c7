/* metafora-bench: measures what the library does to a broker, and what it costs. */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "options.h"

enum { EXIT_USAGE = 2, EXIT_MISSED = 3 };

static const bench_scenario *const scenarios[] = {
    &bench_claim,   &bench_submit, &bench_renew, &bench_takeover, &bench_close, &bench_latency,
    &bench_handoff, &bench_memory, &bench_sleep, &bench_backlog,  &bench_node,
};

enum { SCENARIO_COUNT = sizeof scenarios / sizeof *scenarios };

void bench_fail(const char *format, ...)
{
    va_list arguments;
    fputs("metafora-bench: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

void *bench_alloc(size_t count, size_t size)
{
    void *memory = calloc(count != 0 ? count : 1, size);
    if (memory == NULL)
        bench_fail("out of memory");
    return memory;
}

static const bench_scenario *find(const char *name)
{
    for (size_t i = 0; i < SCENARIO_COUNT; i++)
        if (strcmp(scenarios[i]->name, name) == 0)
            return scenarios[i];
    return NULL;
}

static void print_help(void)
{
    puts("usage: metafora-bench SCENARIO [options]\n"
         "       metafora-bench SCENARIO --help\n\n"
         "Measures one thing and prints a table of figures; with --json the last line is\n"
         "one JSON object.\n\nscenarios:");
    for (size_t i = 0; i < SCENARIO_COUNT; i++)
        if (!scenarios[i]->hidden)
            printf("  %-10s %s\n", scenarios[i]->name, scenarios[i]->summary);
    puts("\noptions (each scenario's --help says which it has, and its defaults):");
    options_print(NULL);
}

static void print_scenario_help(const bench_scenario *scenario)
{
    printf("usage: metafora-bench %s [options]\n\n", scenario->name);
    options_print_text(scenario->description);
    puts("\noptions (and their defaults):");
    options_print(scenario);
}

/* Processes that are started later inherit it. */
static void outrank_other_programs(void)
{
    const struct sched_param lowest = {.sched_priority = sched_get_priority_min(SCHED_RR)};
    if (sched_setscheduler(0, SCHED_RR, &lowest) != 0)
        bench_fail("--realtime: %s", strerror(errno));
}

static int run(const bench_scenario *scenario, const bench_options *options)
{
    bench_report *report = report_new(scenario->name);
    if (options->realtime) {
        outrank_other_programs();
        report_text(report, "scheduling", "realtime");
    }
    scenario->run(options, report);
    if (!scenario->hidden)
        report_print(report, options->json);
    bool met = report_met(report);
    report_free(report);
    return options->check && !met ? EXIT_MISSED : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help();
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help();
        return EXIT_SUCCESS;
    }
    const bench_scenario *scenario = find(argv[1]);
    if (scenario == NULL) {
        fprintf(stderr, "metafora-bench: %s: no such scenario (see --help)\n", argv[1]);
        return EXIT_USAGE;
    }
    bench_options options;
    if (!options_parse(&options, scenario, argc - 1, argv + 1))
        return EXIT_USAGE;
    if (options.help) {
        print_scenario_help(scenario);
        return EXIT_SUCCESS;
    }
    return run(scenario, &options);
}
