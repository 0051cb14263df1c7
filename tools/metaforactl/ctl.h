/* What all commands of metaforactl stand on: one run's options, its broker, how it ends. */
#ifndef METAFORACTL_CTL_H
#define METAFORACTL_CTL_H

#include <stdbool.h>
#include <stddef.h>

#include <metafora/metafora.h>

#include "common/options.h"

/* Exit statuses; the man page has them. */
typedef enum ctl_status {
    CTL_DONE = 0,
    CTL_NOT_ALL = 1, /* the broker's answer was no for some: gone, exists, taken, no such node */
    CTL_USAGE = 2,   /* wrong options, wrong input */
    CTL_UNREACHABLE = 3, /* no broker, or its answer was lost */
    CTL_REFUSED = 4,     /* credentials, permissions, configuration of the broker */
    CTL_FAILED = 5,      /* anything else: memory, files, a broker that is not understood */
    CTL_MOVED = 6,       /* the namespace is on another broker */
    CTL_INTERRUPTED = 130
} ctl_status;

typedef struct ctl_run {
    /* Of the options that every command has. */
    const char *url, *name_space, *password_file;
    bool json;
    mf_log_level log;

    char *const *argv; /* the whole command line, as it was given */
    const option_table *table;
    mf_loop *loop;
    mf_broker *broker;
    mf_client *client;
} ctl_run;

/* A command. Its options' values are its own file's. */
typedef struct ctl_command {
    const char *name, *usage, *summary;
    const option_entry *options;
    size_t option_count;
    size_t least, most; /* operands */
    bool offline;       /* it needs no broker */
    /* Returns an exit status; what went wrong is told on stderr. `operands` ends with NULL. */
    int (*run)(ctl_run *ctl, char **operands);
} ctl_command;

/* All of them; ends with NULL. */
extern const ctl_command *const ctl_commands[];

/* Opens loop, broker and client by the options; returns an exit status. The connection is made
 * with the first request. Close it in any case. */
int ctl_open(ctl_run *ctl);
void ctl_close(ctl_run *ctl);

/* Tells the error on stderr; returns the exit status for its code. */
int ctl_complain(const mf_error *error);

/* Waits for the answer to a call that returned `code` and whose callback leaves an exit status in
 * *status; returns that, or the one for the call that was refused. */
int ctl_finish(ctl_run *ctl, int code, const mf_error *error, const int *status);

/* The more telling of two statuses. */
int ctl_worse(int status, int other);

#endif
