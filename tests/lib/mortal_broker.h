/* Broker handles of a process that is killed at a request of its choice.
 *
 * All handles of one life count their requests together. At the last one the process's loop stands
 * still: nothing of it runs any more, as after SIGKILL. What it had sent is carried out. */
#ifndef MF_TESTS_MORTAL_BROKER_H
#define MF_TESTS_MORTAL_BROKER_H

#include <metafora/driver.h>

typedef struct mortal_life {
    mf_loop *loop;    /* the process's, a virtual one */
    long left;        /* requests until its death; below 0: it lives on */
    bool carried_out; /* the last request is */
    bool dead;
    bool refused; /* of a corpse that goes on, everything */
    /* May be NULL. After each request. */
    void (*observe)(void *arg);
    void *arg;
} mortal_life;

/* A handle before `inner`, which it takes: closing it closes both. */
mf_broker *mortal_broker_new(mf_broker *inner, mortal_life *life);

/* Lets the loop of a dead process run on, to be cleared away: everything that it asks for is
 * refused. */
void mortal_bury(mortal_life *life);

#endif
