/* Command line options from one table, which drives both parsing and --help. */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include <metafora/log.h>

typedef enum option_kind {
    OPTION_FLAG,   /* bool: set to true */
    OPTION_TEXT,   /* const char *: points into argv */
    OPTION_NUMBER, /* int, from minimum to maximum */
    OPTION_LEVEL   /* mf_log_level */
} option_kind;

typedef struct option_entry {
    const char *name; /* without the dashes */
    option_kind kind;
    const char *argument; /* its name in the help; NULL for flags */
    void *value;
    int minimum, maximum;
    const char *help;
} option_entry;

typedef struct option_table {
    const char *program;
    const char *usage;   /* what follows the program's name */
    const char *summary; /* one line */
    const option_entry *entries;
    size_t count;
    bool permute;             /* options may follow operands, until "--" */
    void (*print_more)(void); /* the end of the help; may be NULL */
} option_table;

/* The values of a program that runs a consumer or a client. */
typedef struct broker_flags {
    const char *broker; /* NULL: the linked driver's default */
    const char *name_space;
    mf_log_level log;
} broker_flags;

#define BROKER_FLAGS_INIT             \
    {                                 \
        NULL, "koalemos", MF_LOG_INFO \
    }

/* Rows for these, to begin a table with. */
#define BROKER_OPTIONS(flags)                                                                 \
    {"broker",                                                                                \
     OPTION_TEXT,                                                                             \
     "URL",                                                                                   \
     &(flags)->broker,                                                                        \
     0,                                                                                       \
     0,                                                                                       \
     "the broker, such as redis://localhost or etcd://localhost"},                            \
        {"namespace",                                                                         \
         OPTION_TEXT,                                                                         \
         "NS",                                                                                \
         &(flags)->name_space,                                                                \
         0,                                                                                   \
         0,                                                                                   \
         "the namespace in the broker (koalemos)"},                                           \
    {                                                                                         \
        "log", OPTION_LEVEL, "LEVEL", &(flags)->log, 0, 0, "debug, info, warn, error or none" \
    }

/* Parses up to the first operand; with `permute`, all options, and argv then has the operands last.
 * Returns the first one's index; or -1 when the program shall end at once with
 * *status: after --help and --version with 0, after an error, told on stderr, with 2. */
int options_parse(const option_table *table, int argc, char **argv, int *status);

/* Says on stderr what is wrong and where help is; returns 2, the exit status for it. */
int options_complain(const option_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
