/* Command line options from one table, by getopt_long. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/version.h>

enum { MOST_OPTIONS = 32, FIRST_VALUE = 256, HELP_VALUE = 1, VERSION_VALUE = 2 };

static void print_row(const char *name, const char *argument, const char *help)
{
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", name, argument != NULL ? " " : "",
             argument != NULL ? argument : "");
    printf("  %-24s %s\n", left, help);
}

static void print_help(const option_table *table)
{
    printf("usage: %s %s\n\n%s\n\n", table->program, table->usage, table->summary);
    for (size_t i = 0; i < table->count; i++)
        print_row(table->entries[i].name, table->entries[i].argument, table->entries[i].help);
    print_row("help", NULL, "show this");
    print_row("version", NULL, "show the version");
    if (table->print_more != NULL)
        table->print_more();
}

int options_complain(const option_table *table, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s: ", table->program);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "; see %s --help\n", table->program);
    return 2;
}

static bool parse_number(const option_entry *entry, const char *text)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < entry->minimum ||
        number > entry->maximum)
        return false;
    *(int *)entry->value = (int)number;
    return true;
}

/* Returns 0, or the exit status. */
static int take(const option_table *table, const option_entry *entry, const char *text)
{
    switch (entry->kind) {
    case OPTION_FLAG:
        *(bool *)entry->value = true;
        return 0;
    case OPTION_TEXT:
        *(const char **)entry->value = text;
        return 0;
    case OPTION_NUMBER:
        if (parse_number(entry, text))
            return 0;
        return options_complain(table, "--%s: '%s' is not a number from %d to %d", entry->name,
                                text, entry->minimum, entry->maximum);
    case OPTION_LEVEL:
        if (mf_log_level_parse(entry->value, text) == 0)
            return 0;
        return options_complain(table, "--%s: '%s' is not debug, info, warn, error or none",
                                entry->name, text);
    }
    return 2;
}

static void make_long_options(const option_table *table, struct option *out)
{
    size_t i;
    for (i = 0; i < table->count && i < MOST_OPTIONS; i++) {
        out[i].name = table->entries[i].name;
        out[i].has_arg = table->entries[i].kind == OPTION_FLAG ? no_argument : required_argument;
        out[i].val = FIRST_VALUE + (int)i;
    }
    out[i++] = (struct option){"help", no_argument, NULL, HELP_VALUE};
    out[i] = (struct option){"version", no_argument, NULL, VERSION_VALUE};
}

int options_parse(const option_table *table, int argc, char **argv, int *status)
{
    struct option long_options[MOST_OPTIONS + 3] = {{0}};
    int value;

    make_long_options(table, long_options);
    opterr = 0;
    optind = 0; /* anew, also when another table has been parsed before */
    while ((value = getopt_long(argc, argv, table->permute ? ":" : "+:", long_options, NULL)) !=
           -1) {
        if (value == HELP_VALUE || value == VERSION_VALUE) {
            if (value == HELP_VALUE)
                print_help(table);
            else
                printf("%s %s\n", table->program, MF_VERSION);
            *status = 0;
            return -1;
        }
        if (value == ':' || value == '?')
            *status = options_complain(table, "%s: %s", argv[optind - 1],
                                       value == ':' ? "needs an argument" : "not an option");
        else
            *status = take(table, &table->entries[value - FIRST_VALUE], optarg);
        if (*status != 0)
            return -1;
    }
    return optind;
}
