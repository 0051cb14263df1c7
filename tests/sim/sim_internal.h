/* What the parts of the simulation share. */
#ifndef MF_SIM_SIM_INTERNAL_H
#define MF_SIM_SIM_INTERNAL_H

#include <metafora/metafora.h>

#include "embedded/embedded.h"
#include "link.h"
#include "sim.h"
#include "virtual_loop.h"

enum {
    SIM_LEASE_MS = 3000,
    SIM_RESTART_GRACE_MS = SIM_LEASE_MS / 2,
    SIM_BALANCE_MS = 5000,
    SIM_RECONCILE_MS = 3000,
    SIM_LIVES = 600,
    SIM_COMMANDS = 4000
};

typedef struct sim sim;
typedef struct truth truth;

/* One process: a name's nth life. */
typedef struct life {
    sim *sim;
    int name; /* index */
    mf_loop *loop;
    mf_broker *broker; /* the link */
    mf_consumer *consumer;
    bool crashed, leaving, failed, closed;
    bool rival;   /* started while another process of the name may live */
    bool usurped; /* another process has joined under the name since */
    mf_timer wake;
} life;

/* A handler that runs. */
typedef struct handling {
    struct handling *next; /* of the same task */
    life *life;
    mf_task *task;
    truth *truth;
    mf_timer timer;
    mf_outcome outcome;
    mf_message message; /* a stateful one returns */
    bool ends_itself, never_ends;
} handling;

/* What is true of a task, by what the broker decided and what handlers run. */
struct truth {
    char id[16];
    bool exists;
    uint64_t fence; /* of the last grant, and who had it */
    char token[33];
    bool held;          /* granted, and neither released nor done since; it may have lapsed
                         */
    int64_t removed_us; /* when it was last removed while it was held */
    uint64_t created, acknowledged;
    handling *runs;
    size_t run_count;
    bool contested;      /* in sim->contested */
    int64_t unserved_us; /* since when no handler has owned it; 0: one does */
    char *state;         /* document; NULL: none */
    bool terminal;       /* by its state, it has come to its end */
    bool doomed;         /* its last message is to kill it */
    bool orphaned;       /* when the last node was killed, it ran there */
};

typedef struct sent_command {
    int name;
    bool acknowledged, executed;
} sent_command;

/* By name of a node. */
typedef struct place {
    sim *sim;
    int index;
    char name[16];
    double weight;
    life *current;    /* NULL: down */
    mf_timer restart; /* on the clock of the faults */
    int last_command; /* the latest that was executed for the first time */
} place;

struct sim {
    sim_options options;
    sim_report *report;
    virtual_world *world;
    mf_loop *fate;    /* faults and checks happen on it */
    mf_loop *network; /* the broker and what travels */
    mf__embedded_store *store;
    mf_broker *direct; /* without faults, to look into the broker */
    mf_loop *client_loop;
    mf_broker *client_broker;
    mf_client *client;
    truth *truths;
    truth **contested; /* those with several handlers */
    size_t contested_count;
    place *places;
    life *lives[SIM_LIVES];
    int life_count;
    sent_command commands[SIM_COMMANDS];
    int command_count;
    char tokens[SIM_COMMANDS][33]; /* of the client's requests that were carried out */
    size_t token_count;
    mf_timer fault_timer, audit_timer, client_timer, broker_timer;
    mf_task_record *stale_index; /* mutation.c */
    int64_t healed_us;           /* when the faults were over; 0: they go on */
    bool broker_down;
    bool stateful; /* the handlers are */
    bool calm;     /* handlers do as they are told */
    bool over;     /* checks have ended */
};

/* sim.c */
int64_t sim_pick(sim *s, int64_t limit);
int64_t sim_now_us(const sim *s);
void sim_violated(sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool sim_failed(const sim *s);
/* Runs for so long, looking at everything after each step; false: something was
 * violated. */
bool sim_run_for(sim *s, int64_t us);

/* trace.c */
void sim_trace(sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* truth.c: what the broker decides, and who runs what */
void truth_start(sim *s);
void truth_free(sim *s);
truth *truth_of(sim *s, const char *id);
void truth_decided(life *l, verb what, const mf_request *request);
void truth_client_decided(sim *s, verb what, const mf_request *request);
void truth_runs(handling *h);
void truth_ends(handling *h);
/* Whether that process owns the task by its own clock while its handler runs.
 */
bool truth_owns(const handling *h);
size_t truth_owners(const sim *s, const truth *t);
void truth_forget_life(sim *s, const life *l);
/* After each step. */
void truth_check(sim *s);

/* audit.c: what the broker has stored, beside what is true */
void audit_now(sim *s);

/* life.c: processes and handlers */
life *life_start(sim *s, int name, bool rival);
void life_joined(life *l);
void life_kill(life *l);
void life_end_handlers(life *l, bool late_only);

/* faults.c */
void faults_start(sim *s);
void faults_end(sim *s);

/* stateful.c */
mf_handler stateful_handler(life *l);
void stateful_end_run(handling *h);
void stateful_tell(sim *s);
void stateful_revive(sim *s);
void stateful_decided(sim *s, verb what, const mf_request *request);
void stateful_item_decided(sim *s, verb what, truth *t, const char *message);
bool stateful_holds(const life *l, const truth *t);
void stateful_check(sim *s);

/* work.c: the client's */
void work_start(sim *s);
void work_submit(sim *s);
void work_remove(sim *s);
void work_command(sim *s);

/* calm.c: what must hold when faults are over */
void calm_check(sim *s);

/* mutation.c */
void mutation_leaves_node(void *arg, verb what, mf_request *request);
void mutation_reaches_broker(void *arg, verb what, mf_request *copy);
void mutation_leaves_broker(void *arg, verb what, mf_request *copy);
void mutation_reaches_node(void *arg, verb what, mf_request *request);

#endif
