/* What the parts of the process handler share: the processes of one consumer, and one of them. */
#ifndef MF_PROCESS_INTERNAL_H
#define MF_PROCESS_INTERNAL_H

#include <stdbool.h>

#include <metafora/driver.h>
#include <metafora/process.h>

#include "process/guard.h"

typedef struct mf__processes mf__processes;

/* A command under the guard. */
typedef struct mf__job {
    mf__processes *processes;
    mf_task *task;
    uint32_t slot;
    pid_t pid;           /* 0: not known yet */
    int64_t started_us;  /* on the steady clock */
    int64_t deadline_us; /* of the lease, as the guard was last told */
    bool stopped;        /* the signal was sent, and `message` says what for */
    bool killed;         /* SIGKILL was */
    int64_t obeyed_us;   /* by when the guard should have killed it */
    mf_message message;
    char *output; /* its file; NULL: none */
    mf_timer kill_timer;
    struct mf__job *next, *previous;
} mf__job;

/* The handler's payload. */
struct mf__processes {
    mf_process_options options; /* strings are our own */
    mf__guard *guard;
    mf_loop *loop;         /* NULL until the first task: the guard is not attached */
    mf_consumer *consumer; /* likewise */
    bool attached;         /* else, with a loop: it could not be, and the consumer fails */
    int64_t stop_grace_us, tick_us;
    int64_t lead_us;         /* the guard kills this long before a lease ends */
    int silent_ticks;        /* after which a guard that says nothing is given up */
    int silent_at_end_ticks; /* likewise, when it should have killed something */
    mf_timer tick;
    mf__job jobs; /* list head */

    bool stateful;
    mf_message (*on_error)(mf_task *task, const mf_state *state, size_t *keep, void *payload);
    void (*free_states)(void *payload);
    void *states_payload;
};

/* handler.c. 0, or -1: the guard cannot be used, and the consumer fails. */
int mf__processes_attach(mf__processes *processes, mf_consumer *consumer);

/* job.c */
void mf__job_start(mf__processes *processes, mf_task *task);
/* Comes again for a later message, or when there is a more urgent reason. */
void mf__job_stop(mf__job *job, const mf_message *message, const char *why);
/* Tells the guard of a renewed lease. */
void mf__job_prolong(mf__job *job);
void mf__job_started(void *job, pid_t pid);
void mf__job_denied(void *job, pid_t pid);
void mf__job_ended(void *job, const mf__ended *end);

/* usage.c: "1.2 s user, 0.1 s system, 12.0 MiB". */
void mf__usage_describe(char *text, size_t size, const mf_process_end *end);

#endif
