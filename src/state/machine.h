/* The machine of one task, as its parts share it.
 *
 * It is always in one phase, and decides what comes next in `settle`, when a state has been loaded
 * or stored. All of it runs on the loop thread, but for the runner's own thread. */
#ifndef MF_STATE_MACHINE_H
#define MF_STATE_MACHINE_H

#include <metafora/state.h>

#include "consumer/internal.h"

typedef enum mf__phase {
    MF_PHASE_LOADING,
    MF_PHASE_STORING,
    MF_PHASE_RUNNING, /* the user's handler has it */
    MF_PHASE_RESTING, /* sleeping or paused: until the timer or a message */
    MF_PHASE_STUCK    /* to be given back when the timer ends */
} mf__phase;

typedef struct mf__runner mf__runner;

/* Small: there are many of them. What is only needed while something is going on is elsewhere.
 * It is the memory of its task. */
typedef struct mf__machine {
    mf__state_request *request; /* loading or storing */
    mf__runner *runner;         /* the thread of a blocking handler */
    mf_message *waiting;        /* came at a time when it could not be dealt with */
    uint64_t number;            /* of the last message that came */
    mf_state state;
    uint8_t phase;
    bool unread;    /* the message of that number is not acknowledged */
    bool stopping;  /* to be given back as soon as may be */
    bool releasing; /* a release message asked for the same */
} mf__machine;

static inline mf_task *mf__machine_task(const mf__machine *me)
{
    return (mf_task *)me - 1;
}

/* What the handler's payload points to. */
typedef struct mf__stateful {
    mf_state_options options;
} mf__stateful;

/* A message that the handler, which is about to return, has not received. */
void mf__machine_not_received(mf__machine *me, const mf_message *message);
/* The handler has returned. */
void mf__machine_returned(mf__machine *me, const mf_message *message);

/* options.c: the field and the rule that it breaks, or NULL. */
const char *mf__state_options_fault(const mf_state_options *options);

/* runner.c. MF_ENOMEM, MF_ESYSTEM. */
int mf__runner_start(mf__machine *me, const mf_state_options *options);
void mf__runner_tell(mf__runner *runner, const mf_message *message);
/* The task has to stop: it asks for that itself. */
void mf__runner_wake(mf__runner *runner);

/* errors.c: asks the error handler of the options, or the default one, and makes the fault what it
 * says. Trims the state's errors. MF_ENOMEM: the state is a fault still. */
int mf__errors_settle(mf__machine *me, const mf_state_options *options, const mf_time *now);

/* So many fit into the largest document of a state. */
#define MF_STATE_MOST_ERRORS 500

#endif
