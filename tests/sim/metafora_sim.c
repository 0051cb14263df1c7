/* metafora-sim: many seeded runs, with a report. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

/* Only metafora-sim-mutants has a core that can be broken. */
#ifdef SIM_CORE_MUTATIONS_BUILT
enum { BREAKABLE = MUTATIONS };
#else
enum { BREAKABLE = MUTATION_FIRST_IN_CORE };
#endif

enum { jobs_limit = 64, shown_lines = 60 };
enum { DEFAULT_NODES = 5, DEFAULT_TASKS = 50, DEFAULT_FAULTS = 60 };
enum { NOTHING_SHOWN = 2 /* exit status */ };

typedef struct settings {
    uint64_t first, count;
    double seconds; /* stop after so much real time; 0: no limit */
    int jobs;
    sim_options sim;
    bool trace, mutations, progress;
} settings;

/* What a worker tells of one seed; short enough for a pipe to keep it in one
 * piece. */
typedef struct result {
    uint64_t seed;
    sim_report report;
} result;

typedef struct tally {
    sim_report sum;
    uint64_t run, failed, first_failed;
    int crashed; /* workers */
    char first_violation[sizeof(((sim_report *)0)->violation)];
    struct timespec start, shown;
} tally;

static void usage(FILE *to)
{
    fprintf(to,
            "usage: metafora-sim [--seeds N] [--first SEED] [--nodes K] [--tasks M]\n"
            "                    [--faults SECONDS] [--limit SECONDS] [--jobs N]\n"
            "                    [--mutation NAME] [--mutations] [--trace] "
            "[--progress]\n\n"
            "Runs whole clusters under seeded faults in virtual time. Status 1: a violation; 2: "
            "some\nkind of race was met too seldom. --limit ends early by\n"
            "real time; --trace shows every event. --mutation breaks a rule on "
            "purpose;\n"
            "--mutations breaks each in turn and says at which seed that was "
            "noticed:\n\n");
    for (int m = 1; m < BREAKABLE; m++)
        fprintf(to, "  %-22s %s\n", mutation_name(m), mutation_text(m));
}

static int parse_mutation(settings *s, const char *name)
{
    for (int m = 0; m < BREAKABLE; m++)
        if (strcmp(name, mutation_name(m)) == 0) {
            s->sim.mutation = m;
            return 0;
        }
    usage(stderr);
    return -1;
}

static int apply(settings *s, int option)
{
    switch (option) {
    case 's':
        s->count = strtoull(optarg, NULL, 10);
        return 0;
    case 'f':
        s->first = strtoull(optarg, NULL, 10);
        return 0;
    case 'n':
        s->sim.nodes = atoi(optarg);
        return 0;
    case 't':
        s->sim.tasks = atoi(optarg);
        return 0;
    case 'd':
        s->sim.fault_seconds = atoi(optarg);
        return 0;
    case 'l':
        s->seconds = atof(optarg);
        return 0;
    case 'j':
        s->jobs = atoi(optarg);
        return 0;
    case 'm':
        return parse_mutation(s, optarg);
    case 'a':
        s->mutations = true;
        return 0;
    case 'v':
        s->trace = true;
        return 0;
    case 'p':
        s->progress = true;
        return 0;
    case 'h':
        usage(stdout);
        exit(EXIT_SUCCESS);
    default:
        usage(stderr);
        return -1;
    }
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
        {"jobs", required_argument, NULL, 'j'},
        {"trace", no_argument, NULL, 'v'},
        {"mutation", required_argument, NULL, 'm'},
        {"mutations", no_argument, NULL, 'a'},
        {"progress", no_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (apply(s, c) != 0)
            return -1;
    bool sensible = optind == argc && s->sim.nodes > 0 && s->sim.nodes <= 100 && s->sim.tasks > 0 &&
                    s->sim.tasks <= 5000 && s->jobs > 0 && s->jobs <= jobs_limit;
    if (!sensible)
        usage(stderr);
    return sensible ? 0 : -1;
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* Workers: each takes every jobs-th seed. */

static bool run_seed(const settings *s, uint64_t seed, sim_report *report)
{
    sim_options options = s->sim;

    options.seed = seed;
    options.trace = s->trace ? stdout : NULL;
    sim_run(&options, report);
    return report->violation[0] == '\0';
}

static void work(const settings *s, int worker, int to)
{
    struct timespec start;

    clock_gettime(CLOCK_MONOTONIC, &start);
    for (uint64_t i = (uint64_t)worker; i < s->count; i += (uint64_t)s->jobs) {
        result r = {.seed = s->first + i};
        if (s->seconds > 0 && seconds_since(&start) >= s->seconds)
            break;
        bool good = run_seed(s, r.seed, &r.report);
        if (write(to, &r, sizeof r) != sizeof r || (!good && s->sim.mutation != MUTATION_NONE))
            break;
    }
    fflush(NULL);
    _exit(0);
}

static int start_workers(const settings *s)
{
    int ends[2];

    if (pipe(ends) != 0)
        return -1;
    fflush(NULL);
    for (int worker = 0; worker < s->jobs; worker++) {
        pid_t pid = fork();
        if (pid == 0) {
            close(ends[0]);
            work(s, worker, ends[1]);
        }
    }
    close(ends[1]);
    return ends[0];
}

/* What they tell. */

static void add(sim_report *sum, const sim_report *one)
{
    sum->steps += one->steps;
#define ADD(name, text, least) sum->name += one->name;
    SIM_COUNTS(ADD)
#undef ADD
}

/* The seed once more, in this process, for the end of its trace. */
static void show_failure(const settings *s, const result *r)
{
    settings again = *s;
    sim_report report;
    char *text = NULL;
    size_t size = 0;
    sim_options options = s->sim;
    int lines = 0;

    options.seed = r->seed;
    options.trace = open_memstream(&text, &size);
    sim_run(&options, &report);
    fclose(options.trace);
    char *end = strstr(text, "VIOLATION");
    char *from = end != NULL ? end : text + size;
    for (; from > text && lines < shown_lines; from--)
        lines += from[-1] == '\n';
    printf("seed %" PRIu64 ": %s\n%.*s\n", r->seed, r->report.violation,
           (int)(strchrnul(end != NULL ? end : from, '\n') - from), from);
    printf("    all of it: metafora-sim --first %" PRIu64 " --seeds 1 --nodes %d --tasks %d "
           "--faults %d --mutation %s --trace\n",
           r->seed, s->sim.nodes, s->sim.tasks, s->sim.fault_seconds,
           mutation_name(again.sim.mutation));
    free(text);
}

static void show_progress(const settings *s, tally *t)
{
    if (!s->progress || seconds_since(&t->shown) < 2)
        return;
    clock_gettime(CLOCK_MONOTONIC, &t->shown);
    fprintf(stderr, "%" PRIu64 " of %" PRIu64 " seeds, %" PRIu64 " failed, %.0f s\n", t->run,
            s->count, t->failed, seconds_since(&t->start));
}

static void collect(const settings *s, tally *t)
{
    result r;
    int status, from = start_workers(s);

    clock_gettime(CLOCK_MONOTONIC, &t->start);
    t->shown = t->start;
    while (from >= 0 && read(from, &r, sizeof r) == sizeof r) {
        t->run++;
        add(&t->sum, &r.report);
        show_progress(s, t);
        if (r.report.violation[0] == '\0')
            continue;
        if (t->failed++ == 0 || r.seed < t->first_failed) {
            t->first_failed = r.seed;
            strcpy(t->first_violation, r.report.violation);
        }
        if (s->sim.mutation == MUTATION_NONE && t->failed <= 5 && !s->trace)
            show_failure(s, &r);
    }
    close(from);
    while (wait(&status) > 0)
        if (status != 0)
            t->crashed++;
}

/* A run that hardly met faults or races of some kind says nothing about that kind. The floors are
 * for clusters as they are by default, and for runs long enough to be judged so. */
static bool met_all(const settings *s, const tally *t)
{
    bool all = true;

    if (t->run < 100 || s->sim.nodes != DEFAULT_NODES || s->sim.tasks != DEFAULT_TASKS ||
        s->sim.fault_seconds != DEFAULT_FAULTS)
        return true;
#define MET(name, text, least)                                                            \
    if (t->sum.name < t->run * (least) / 100) {                                           \
        printf("only %" PRIu64 " %s in %" PRIu64 " seeds, %" PRIu64 " must be: this run " \
               "shows nothing about them\n",                                              \
               t->sum.name, text, t->run, t->run *(least) / 100);                         \
        all = false;                                                                      \
    }
    SIM_COUNTS(MET)
#undef MET
    return all;
}

static int run_all(const settings *s)
{
    tally t = {0};

    collect(s, &t);
    printf("%" PRIu64 " seeds from %" PRIu64 ", %d nodes, %d tasks: %" PRIu64 " steps\n", t.run,
           s->first, s->sim.nodes, s->sim.tasks, t.sum.steps);
#define SHOW(name, text, least) printf("%12" PRIu64 " %s\n", t.sum.name, text);
    SIM_COUNTS(SHOW)
#undef SHOW
    printf("%" PRIu64 " passed, %" PRIu64 " failed; %.1f s\n", t.run - t.failed, t.failed,
           seconds_since(&t.start));
    if (t.crashed != 0)
        printf("%d workers crashed\n", t.crashed);
    if (t.run == 0 || t.failed != 0 || t.crashed != 0)
        return EXIT_FAILURE;
    return met_all(s, &t) ? EXIT_SUCCESS : NOTHING_SHOWN;
}

static int run_mutations(settings *s)
{
    int missed = 0;

    for (int m = 1; m < BREAKABLE; m++) {
        tally t = {0};
        s->sim.mutation = m;
        collect(s, &t);
        missed += t.failed == 0;
        if (t.failed != 0)
            printf("%-22s noticed at seed %" PRIu64 ": %s\n", mutation_name(m), t.first_failed,
                   t.first_violation);
        else
            printf("%-22s NOT NOTICED in %" PRIu64 " seeds\n", mutation_name(m), t.run);
    }
    return missed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    settings s = {
        .first = 1,
        .count = 100,
        .jobs = 1,
        .sim = {.nodes = DEFAULT_NODES, .tasks = DEFAULT_TASKS, .fault_seconds = DEFAULT_FAULTS},
    };

    if (parse(&s, argc, argv) != 0)
        return 2;
    return s.mutations ? run_mutations(&s) : run_all(&s);
}
