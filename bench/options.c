/* The command line: one table for parsing and for --help. */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum option_kind { OPTION_FLAG, OPTION_NUMBER, OPTION_TEXT } option_kind;

typedef struct option_row {
    const char *name;
    option_kind kind;
    size_t offset;
    const char *argument;
    const char *help;
    long least, most;
    bool everywhere; /* means something to every scenario */
    bool hidden;
} option_row;

#define FIELD(field) offsetof(bench_options, field)

static const option_row table[] = {
    {"--broker", OPTION_TEXT, FIELD(broker), "BROKER",
     "private-redis (a redis-server of its own on a loopback port), private-redis-unix (the same "
     "on a unix socket), private-etcd (an etcd of its own), embedded, or a URL",
     .everywhere = true},
    {"--tasks", OPTION_NUMBER, FIELD(tasks), "N", "how many tasks", .least = 1, .most = 10000000},
    {"--nodes", OPTION_NUMBER, FIELD(nodes), "N", "how many consumer processes", .least = 2,
     .most = BENCH_MOST_NODES},
    {"--lease-ms", OPTION_NUMBER, FIELD(lease_ms), "N", "the consumers' lease", .least = 2000,
     .most = 3600000},
    {"--seconds", OPTION_NUMBER, FIELD(seconds), "N", "how long to measure", .least = 1,
     .most = 3600},
    {"--rounds", OPTION_NUMBER, FIELD(rounds), "N", "how often to measure", .least = 1,
     .most = BENCH_MOST_ROUNDS},
    {"--rtt-us", OPTION_NUMBER, FIELD(rtt_us), "N",
     "the round trip of a network that is put in between, in the second half", .least = 10,
     .most = 1000000},
    {"--properties", OPTION_NUMBER, FIELD(properties), "BYTES",
     "JSON properties of each task, 2 bytes or more; none unless given", .least = 2,
     .most = 1048576, .everywhere = true},
    {"--wait-replicas", OPTION_NUMBER, FIELD(wait_replicas), "N",
     "with as many replicas of a private Redis, which must confirm what counts", .least = 1,
     .most = BENCH_MOST_REPLICAS, .everywhere = true},
    {"--realtime", OPTION_FLAG, FIELD(realtime), NULL,
     "run the program and its server before all other programs (SCHED_RR), so that these lengthen "
     "no time; takes the right to do so, as root has it",
     .everywhere = true},
    {"--json", OPTION_FLAG, FIELD(json), NULL, "end with one line that is a JSON object",
     .everywhere = true},
    {"--check", OPTION_FLAG, FIELD(check), NULL, "exit with status 3 when a target is missed",
     .everywhere = true},
    {"--help", OPTION_FLAG, FIELD(help), NULL, "print this and exit", .everywhere = true},
    {"--namespace", OPTION_TEXT, FIELD(name_space), "NAME", "", .hidden = true},
    {"--name", OPTION_TEXT, FIELD(name), "NAME", "", .hidden = true},
};

enum { TABLE_SIZE = sizeof table / sizeof *table };

static void *field(const bench_options *options, const option_row *option)
{
    return (char *)options + option->offset;
}

/* What has a default in the scenario means something to it. */
static bool applies(const option_row *option, const bench_scenario *scenario)
{
    if (scenario == NULL || option->everywhere)
        return !option->hidden;
    if (option->hidden)
        return scenario->hidden;
    return option->kind == OPTION_NUMBER && *(long *)field(&scenario->defaults, option) != 0;
}

static const option_row *find(const char *argument, size_t length)
{
    for (size_t i = 0; i < TABLE_SIZE; i++)
        if (strlen(table[i].name) == length && memcmp(table[i].name, argument, length) == 0)
            return &table[i];
    return NULL;
}

static bool refuse(const char *name, const char *why)
{
    fprintf(stderr, "metafora-bench: %s: %s\n", name, why);
    return false;
}

static bool read_number(const option_row *option, const char *text, long *out)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < option->least ||
        value > option->most) {
        fprintf(stderr, "metafora-bench: %s: must be a number from %ld to %ld, not '%s'\n",
                option->name, option->least, option->most, text);
        return false;
    }
    *out = value;
    return true;
}

static bool set(bench_options *out, const option_row *option, const char *value)
{
    if (option->kind == OPTION_NUMBER)
        return read_number(option, value, field(out, option));
    *(const char **)field(out, option) = value;
    return true;
}

bool options_parse(bench_options *out, const bench_scenario *scenario, int argc, char **argv)
{
    *out = scenario->defaults;
    for (int i = 1; i < argc; i++) {
        size_t length = strcspn(argv[i], "=");
        const option_row *option = find(argv[i], length);
        if (option == NULL)
            return refuse(argv[i], "no such option (see --help)");
        if (!applies(option, scenario))
            return refuse(option->name, "means nothing to this scenario");
        if (option->kind == OPTION_FLAG) {
            if (argv[i][length] == '=')
                return refuse(option->name, "takes no value");
            *(bool *)field(out, option) = true;
            continue;
        }
        const char *value = argv[i][length] == '=' ? argv[i] + length + 1 : argv[++i];
        if (value == NULL)
            return refuse(option->name, "needs a value");
        if (!set(out, option, value))
            return false;
    }
    return true;
}

static void print_wrapped(const char *text, int indent)
{
    enum { WIDTH = 78 };
    int column = indent;
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (column > indent && column + 1 + length > WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
        }
        column += printf(column > indent ? " %.*s" : "%.*s", length, text);
        text += length + strspn(text + length, " ");
    }
}

void options_print_text(const char *text)
{
    print_wrapped(text, 0);
    putchar('\n');
}

static void print_default(const option_row *option, const bench_scenario *scenario)
{
    if (scenario == NULL || option->kind == OPTION_FLAG)
        return;
    if (option->kind == OPTION_NUMBER && *(long *)field(&scenario->defaults, option) != 0)
        printf(" (%ld)", *(long *)field(&scenario->defaults, option));
    if (option->kind == OPTION_TEXT && *(char **)field(&scenario->defaults, option) != NULL)
        printf(" (%s)", *(char **)field(&scenario->defaults, option));
}

void options_print(const bench_scenario *scenario)
{
    enum { COLUMN = 22 };
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (!applies(&table[i], scenario) || table[i].hidden)
            continue;
        int width =
            printf("  %s %s", table[i].name, table[i].argument != NULL ? table[i].argument : "");
        printf("%*s", width < COLUMN ? COLUMN - width : 1, "");
        print_wrapped(table[i].help, COLUMN);
        print_default(&table[i], scenario);
        putchar('\n');
    }
}
