/* metafora-sim: many seeded runs, with a report. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim.h"

typedef struct settings {
    uint64_t first, count;
    double seconds; /* stop after so much real time; 0: no limit */
    sim_options sim;
    bool trace;
} settings;

static void usage(FILE *to)
{
    fprintf(to, "usage: metafora-sim [--seeds N] [--first SEED] [--nodes K] [--tasks M]\n"
                "                    [--faults SECONDS] [--limit SECONDS] [--trace]\n\n"
                "Runs whole clusters under seeded faults in virtual time. --limit ends early by\n"
                "real time; --trace shows every event.\n");
}

static int parse(settings *s, int argc, char **argv)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 's'},
        {"first", required_argument, NULL, 'f'},
        {"nodes", required_argument, NULL, 'n'},
        {"tasks", required_argument, NULL, 't'},
        {"faults", required_argument, NULL, 'd'},
        {"limit", required_argument, NULL, 'l'},
        {"trace", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 's':
            s->count = strtoull(optarg, NULL, 10);
            break;
        case 'f':
            s->first = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            s->sim.nodes = atoi(optarg);
            break;
        case 't':
            s->sim.tasks = atoi(optarg);
            break;
        case 'd':
            s->sim.fault_seconds = atoi(optarg);
            break;
        case 'l':
            s->seconds = atof(optarg);
            break;
        case 'v':
            s->trace = true;
            break;
        case 'h':
            usage(stdout);
            exit(EXIT_SUCCESS);
        default:
            usage(stderr);
            return -1;
        }
    }
    return s->sim.nodes > 0 && s->sim.nodes <= 100 && s->sim.tasks > 0 ? 0 : -1;
}

static void add(sim_report *sum, const sim_report *one)
{
    sum->steps += one->steps;
    sum->grants += one->grants;
    sum->starts += one->starts;
    sum->takeovers += one->takeovers;
    sum->cuts += one->cuts;
    sum->partitions += one->partitions;
    sum->pauses += one->pauses;
    sum->crashes += one->crashes;
    sum->commands += one->commands;
    sum->repeats += one->repeats;
    sum->refused += one->refused;
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

int main(int argc, char **argv)
{
    settings s = {.first = 1, .count = 100, .sim = {.nodes = 5, .tasks = 50, .fault_seconds = 60}};
    sim_report sum = {0};
    uint64_t failed = 0, run = 0;
    struct timespec start;

    if (parse(&s, argc, argv) != 0)
        return 2;
    s.sim.trace = s.trace ? stdout : NULL;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (; run < s.count && (s.seconds <= 0 || seconds_since(&start) < s.seconds); run++) {
        sim_report one;
        s.sim.seed = s.first + run;
        sim_run(&s.sim, &one);
        add(&sum, &one);
        if (one.violation[0] == '\0')
            continue;
        failed++;
        printf("seed %" PRIu64 ": %s\n    again, with its trace: metafora-sim --first %" PRIu64
               " --seeds 1 --nodes %d --tasks %d --faults %d --trace\n",
               s.sim.seed, one.violation, s.sim.seed, s.sim.nodes, s.sim.tasks,
               s.sim.fault_seconds);
    }
    printf("%" PRIu64 " seeds (%" PRIu64 " to %" PRIu64 "), %d nodes, %d tasks: %" PRIu64
           " steps, %" PRIu64 " grants (%" PRIu64 " repeated), %" PRIu64 " starts, %" PRIu64
           " takeovers, %" PRIu64 " late endings, %" PRIu64 " commands; %" PRIu64 " cuts, %" PRIu64
           " partitions, %" PRIu64 " pauses, %" PRIu64 " crashes; %.1f s\n%" PRIu64
           " passed, %" PRIu64 " failed\n",
           run, s.first, s.first + run - (run != 0), s.sim.nodes, s.sim.tasks, sum.steps,
           sum.grants, sum.repeats, sum.starts, sum.takeovers, sum.refused, sum.commands, sum.cuts,
           sum.partitions, sum.pauses, sum.crashes, seconds_since(&start), run - failed, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
