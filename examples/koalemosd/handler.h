/* The handler: runs a task as an OS process under the guard. */
#ifndef KOALEMOSD_HANDLER_H
#define KOALEMOSD_HANDLER_H

#include <event2/event.h>

#include <metafora/metafora.h>

#include "guard.h"

typedef struct process_handler process_handler;

typedef struct process_handler_options {
    const char *node;
    const char *log_directory;
    const char *events_path; /* NULL: no event log */
    int lease_ms;
    int kill_grace_ms; /* between SIGINT and SIGKILL; 0: an eighth of the lease */
    /* Runs on the loop thread: the guard is gone and no task can run here any more. */
    void (*on_guard_lost)(void *arg);
    void *arg;
} process_handler_options;

/* `guard` is attached, and stays the caller's; strings are copied. MF_ESYSTEM, MF_ENOMEM. */
int process_handler_new(process_handler **out, const process_handler_options *options,
                        koa_guard *guard, struct event_base *base, mf_loop *loop, mf_error *error);

/* For mf_consumer_options; it frees the object when the consumer is gone. Ends of a task:
 *   MF_DONE     the command has ended by itself, whatever its exit status, or cannot be read from
 *               the properties: the reason is in the task's log file
 *   MF_RELEASE  it was stopped by us, at our node's fault it did not run, or its lease ended */
mf_handler process_handler_get(process_handler *handler);

#endif
