/* metafora-bench: options, scenarios, and how a run that cannot go on ends. */
#ifndef MF_BENCH_BENCH_H
#define MF_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include <metafora/export.h>

#include "report.h"

enum { BENCH_MOST_ROUNDS = 99, BENCH_MOST_NODES = 64, BENCH_MOST_REPLICAS = 4 };

/* Zero or NULL: not given, and the scenario's default holds. */
typedef struct bench_options {
    const char *broker;
    long tasks;
    long nodes;
    long lease_ms;
    long seconds;
    long rounds;
    long rtt_us;     /* of a network that is put in between */
    long properties; /* bytes of JSON in each task */
    long wait_replicas;
    bool realtime;
    bool json;
    bool check;
    bool help;
    const char *name_space; /* of the hidden `node` scenario, as is the next one */
    const char *name;
} bench_options;

typedef struct bench_scenario {
    const char *name;
    const char *summary;     /* a line for the list */
    const char *description; /* what is measured and how */
    bench_options defaults;  /* a field that is zero: the option means nothing here */
    bool hidden;
    void (*run)(const bench_options *options, bench_report *report);
} bench_scenario;

extern const bench_scenario bench_claim;
extern const bench_scenario bench_submit;
extern const bench_scenario bench_renew;
extern const bench_scenario bench_takeover;
extern const bench_scenario bench_close;
extern const bench_scenario bench_latency;
extern const bench_scenario bench_handoff;
extern const bench_scenario bench_memory;
extern const bench_scenario bench_sleep;
extern const bench_scenario bench_backlog;
extern const bench_scenario bench_node;

/* Says why on stderr and exits with status 1; what atexit holds (the private server) is ended. */
_Noreturn void bench_fail(const char *format, ...) MF_PRINTF(1, 2);

/* From malloc and friends, or bench_fail. */
void *bench_alloc(size_t count, size_t size);

#endif
