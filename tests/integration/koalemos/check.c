/* metafora-check: the checker of event logs as a command; see tests/lib/checker.h for its rules. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker.h"

typedef struct check_flags {
    long takeover_ms, least_takeovers;
} check_flags;

static int usage(void)
{
    fprintf(stderr,
            "usage: metafora-check [options] LOG...\n\n"
            "  --expect FILE         ids of the tasks that must be done, one a line\n"
            "  --fault NODE=US[-US]  the node was killed or stopped then [until then]; repeatable\n"
            "  --takeover-ms N       within which a failed node's tasks run elsewhere (16000)\n"
            "  --least-takeovers N   fewer make the run worthless (0)\n");
    return 2;
}

static int expect_all(log_checker *checker, const char *path)
{
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return -1;
    while (getline(&line, &size, file) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        if (*line != '\0')
            checker_expect(checker, line);
    }
    free(line);
    fclose(file);
    return 0;
}

static int add_fault(log_checker *checker, char *text)
{
    char *at = strrchr(text, '=');
    if (at == NULL)
        return -1;
    *at++ = '\0';
    checker_fault(checker, text, strtoll(at, &at, 10));
    if (*at == '-')
        checker_recovered(checker, text, strtoll(at + 1, NULL, 10));
    return 0;
}

/* 0, or an exit status. */
static int parse(log_checker *checker, check_flags *flags, int argc, char **argv)
{
    static const struct option options[] = {{"expect", required_argument, NULL, 'e'},
                                            {"fault", required_argument, NULL, 'f'},
                                            {"takeover-ms", required_argument, NULL, 't'},
                                            {"least-takeovers", required_argument, NULL, 'l'},
                                            {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'e' && expect_all(checker, optarg) != 0) {
            fprintf(stderr, "metafora-check: %s: %s\n", optarg, strerror(errno));
            return 2;
        }
        if (option == '?' || (option == 'f' && add_fault(checker, optarg) != 0))
            return usage();
        if (option == 't')
            flags->takeover_ms = atol(optarg);
        if (option == 'l')
            flags->least_takeovers = atol(optarg);
    }
    return optind < argc ? 0 : usage();
}

static int run(log_checker *checker, const check_flags *flags, char **logs)
{
    checker_report report;

    for (; *logs != NULL; logs++) {
        if (checker_load(checker, *logs) != 0) {
            fprintf(stderr, "metafora-check: %s: %s\n", *logs, strerror(errno));
            return 2;
        }
    }
    checker_run(checker, flags->takeover_ms * 1000, (size_t)flags->least_takeovers, stdout,
                &report);
    printf("%zu tasks, %zu claims, %zu processes, %zu takeovers, the longest %.2f s, "
           "%zu violations\n",
           report.tasks, report.claims, report.processes, report.takeovers,
           (double)report.longest_takeover_us / 1e6, report.violations);
    return report.violations > 0;
}

int main(int argc, char **argv)
{
    check_flags flags = {.takeover_ms = 16000};
    log_checker *checker = checker_new();

    int status = parse(checker, &flags, argc, argv);
    if (status == 0)
        status = run(checker, &flags, argv + optind);
    checker_free(checker);
    return status;
}
