/* metafora-chaos: real nodes on real servers under overlapping faults, and a judge. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "run.h"

static const backend *const backends[] = {&backend_redis,   &backend_redis_lossy, &backend_sentinel,
                                          &backend_cluster, &backend_etcd,        &backend_etcd3};

enum { BACKENDS = sizeof backends / sizeof *backends, COMMAND_SIZE = 512 };

typedef struct settings {
    run_options run;
    const char *faults; /* as given; NULL: all */
    bool list;
    char command[COMMAND_SIZE];
} settings;

static void usage(FILE *to)
{
    fprintf(to, "usage: metafora-chaos [BROKER] [--seconds N] [--seed N] [--nodes N] [--tasks N]\n"
                "                      [--lease-ms N] [--faults NAME,NAME...] [--list]\n\n"
                "Runs koalemosd on private servers under faults that are drawn from the seed, and\n"
                "judges what the tasks' processes say. --list only shows the faults to come.\n"
                "Exit status: 0, 1 after a violation, 2 when too few faults took effect.\n\n"
                "brokers:");
    for (int i = 0; i < BACKENDS; i++)
        fprintf(to, " %s", backends[i]->name);
    fprintf(to, "\nfaults:\n");
    for (int kind = 0; kind < FAULT_KINDS; kind++)
        fprintf(to, "  %-12s %s\n", fault_describe((fault_kind)kind)->name,
                fault_describe((fault_kind)kind)->what);
}

static int complain(const char *what, const char *value)
{
    fprintf(stderr, "metafora-chaos: %s: %s\n", what, value);
    return -1;
}

static int read_number(int *out, const char *name, int least, int most)
{
    char *end;
    long value = strtol(optarg, &end, 10);

    if (*optarg == '\0' || *end != '\0' || value < least || value > most)
        return complain(name, optarg);
    *out = (int)value;
    return 0;
}

static int read_option(settings *s, int option)
{
    schedule_options *to = &s->run.schedule;

    switch (option) {
    case 's':
        return read_number(&to->seconds, "--seconds", 10, 100000);
    case 'r':
        to->seed = strtoull(optarg, NULL, 10);
        return 0;
    case 'n':
        return read_number(&to->nodes, "--nodes", 2, 8);
    case 't':
        return read_number(&s->run.tasks, "--tasks", 1, 2000);
    case 'l':
        return read_number(&to->lease_ms, "--lease-ms", 2000, 60000);
    case 'f':
        s->faults = optarg;
        return 0;
    case 'p':
        s->list = true;
        return 0;
    case 'h':
        usage(stdout);
        exit(EXIT_SUCCESS);
    default:
        usage(stderr);
        return -1;
    }
}

static int read_backend(settings *s, const char *name)
{
    for (int i = 0; i < BACKENDS; i++)
        if (strcmp(backends[i]->name, name) == 0) {
            s->run.backend = backends[i];
            return 0;
        }
    return complain("no such broker", name);
}

static int read_faults(settings *s)
{
    fault_set all = s->run.backend->faults | fault_set_of_nodes(), wanted = 0;
    char text[COMMAND_SIZE], *rest = text, *name;

    s->run.schedule.faults = all;
    if (s->faults == NULL)
        return 0;
    snprintf(text, sizeof text, "%s", s->faults);
    while ((name = strsep(&rest, ",")) != NULL) {
        fault_kind kind = fault_by_name(name);
        if (kind == FAULT_KINDS || (all & FAULT(kind)) == 0)
            return complain("--faults: not a fault of this broker", name);
        wanted |= FAULT(kind);
    }
    s->run.schedule.faults = wanted;
    return 0;
}

static void write_command(settings *s)
{
    const schedule_options *o = &s->run.schedule;

    snprintf(s->command, sizeof s->command,
             "./run chaos %s --seconds %d --seed %" PRIu64
             " --nodes %d --tasks %d --lease-ms %d%s%s",
             s->run.backend->name, o->seconds, o->seed, o->nodes, s->run.tasks, o->lease_ms,
             s->faults != NULL ? " --faults " : "", s->faults != NULL ? s->faults : "");
    s->run.command = s->command;
}

static int parse(settings *s, int argc, char **argv)
{
    static const struct option options[] = {
        {"seconds", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 'r'},
        {"nodes", required_argument, NULL, 'n'},
        {"tasks", required_argument, NULL, 't'},
        {"lease-ms", required_argument, NULL, 'l'},
        {"faults", required_argument, NULL, 'f'},
        {"list", no_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (read_option(s, c) != 0)
            return -1;
    if (optind < argc && read_backend(s, argv[optind++]) != 0)
        return -1;
    if (optind < argc)
        return complain("takes one broker", argv[optind]);
    s->run.schedule.servers = s->run.backend->servers;
    if (read_faults(s) != 0)
        return -1;
    write_command(s);
    return 0;
}

int main(int argc, char **argv)
{
    settings s = {
        .run = {
            .backend = backends[0],
            .schedule = {.seed = (uint64_t)time(NULL), .seconds = 60, .nodes = 4, .lease_ms = 5000},
            .tasks = 50}};

    if (parse(&s, argc, argv) != 0)
        return 2;
    signal(SIGPIPE, SIG_IGN); /* servers go while they are spoken to */
    if (!s.list)
        return run_chaos(&s.run);
    schedule made;
    schedule_make(&made, &s.run.schedule);
    schedule_print(&made, stdout);
    schedule_clear(&made);
    return 0;
}
