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
    SIM_SLACK_MS = 300, /* what the network, and looking only now and then, may add to a bound */
    SIM_LIVES = 600,
    SIM_COMMANDS = 4000
};

/* G4. A task may have been left to a node that has said that it will be back. A node that joins
 * later counts the grace from then. */
#define SIM_TAKEOVER_US (INT64_C(1000) * (SIM_LEASE_MS + 1000 + SIM_SLACK_MS))
#define SIM_SERVICE_US (SIM_TAKEOVER_US + INT64_C(1000) * SIM_RESTART_GRACE_MS)

typedef struct sim sim;
typedef struct truth truth;
typedef struct handling handling;

/* One process: a name's nth life. */
typedef struct life {
    sim *sim;
    int name; /* index */
    mf_loop *loop;
    mf_broker *broker; /* the link */
    mf_consumer *consumer;
    bool crashed, leaving, failed, closed;
    bool rival;      /* started while another process of the name may live */
    bool usurped;    /* another process has joined under the name since */
    bool takes_over; /* its name, from a dead process */
    bool dies_renewing;
    mf_timer wake, death;
    bool stopped;                   /* while it pauses: all of it, not only its loop */
    int64_t owed_us[VERB_HELD + 1]; /* since when hints want such a request; 0: none does */
    int64_t delay_us;               /* of its link, each way, at most */
    int64_t awake_us;               /* since when its loop runs; INT64_MAX: it does not */
    int64_t drained_us;             /* since when it leaves and no handler runs */
    int64_t well_us;                /* from then on nothing excuses it that befell it before */
} life;

/* A handler that runs. */
struct handling {
    struct handling *next; /* of the same task */
    life *life;
    mf_task *task;
    truth *truth;
    mf_timer timer;
    mf_outcome outcome;
    mf_message message; /* a stateful one returns */
    bool ends_itself, never_ends;
    bool threaded;    /* on a thread of its own, which goes on while the loop is held up */
    bool outcome_due; /* the thread has been told, and ends soon */
    bool over;        /* the thread has ended, and its loop does not know yet */
};

/* What is true of a task, by what the broker decided and what handlers run. */
struct truth {
    char id[16];
    bool exists;
    uint64_t fence; /* of the last grant that the broker knows of, and who had it */
    char token[33];
    uint64_t highest_fence;
    uint64_t doubtful_fence; /* of what was granted up to this, the broker may know nothing */
    bool held;               /* granted, and neither released nor done since; it may have lapsed
                              */
    int64_t expires_us;      /* until when it is, unless it is renewed */
    bool finished;           /* it does not exist since it is done */
    bool removed;            /* since it was granted */
    int64_t removed_us;      /* when it was last removed while it was held */
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
    int stored; /* so often: one that is sent again may be stored again */
    bool acknowledged, executed;
    const life *reader; /* the latest, and how often it has read it */
    int read;
} sent_command;

/* A handler has ended, and the broker has not heard of it. */
typedef struct ending {
    life *life;
    truth *truth;
    uint64_t fence;
    int64_t at_us;
    int64_t deadline_us; /* of its claim then, on the node's clock */
    bool done;
} ending;

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
    ending *endings;
    size_t ending_count, ending_size;
    sent_command commands[SIM_COMMANDS];
    int command_count;
    char tokens[SIM_COMMANDS][33]; /* of the client's requests that were carried out */
    size_t token_count;
    mf_timer fault_timer, audit_timer, client_timer, broker_timer, will_timer, judge_timer;
    mf_task_record *stale_index; /* mutation.c */
    int64_t healed_us;           /* when the faults were over; 0: they go on */
    uint64_t changes;            /* by set-backs */
    int64_t set_back_us;         /* when the broker last was */
    struct snapshot *snapshot;   /* setback.c: NULL: none */
    int64_t unrest_us;           /* when something last befell the cluster */
    unsigned unwilling;          /* kinds of requests that the broker refuses */
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
/* How the nodes themselves see the task. */
void trace_views(sim *s, const truth *t);

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

/* judge.c: what nodes and handlers must do at any time */
void judge_start(sim *s);
void judge_stop(sim *s);
/* Something befell the node, which must be well again so long after it; or all nodes. */
void judge_disturbed(life *l, int64_t recovery_us);
void judge_all_disturbed(sim *s, int64_t recovery_us);
/* Something befalls the cluster: what is idle has a reason for a while. */
void judge_unrest(sim *s);
bool judge_is_hindered(const life *l);
bool judge_is_doubtful(const handling *h);
void judge_handler_starts(const handling *h);
void judge_handler_told(const handling *h, mf_stop_reason reason);
void judge_handler_ended(const handling *h);
/* The broker has decided about the ending. */
void judge_end_told(const life *l, const truth *t, uint64_t fence, bool done);
/* A hint has come, and what it announces must be asked for; the node asks. */
void judge_hinted(life *l, link_hint what, const char *const *ids, size_t count);
void judge_asks(life *l, verb what);
void judge_forget_life(sim *s, const life *l);

/* setback.c: the broker loses its last writes, as one that is restored from a snapshot */
void setback_take(sim *s);
void setback_restore(sim *s);
void setback_free(sim *s);

/* races.c: counts what met what */
void races_reaches_broker(life *l, verb what, const mf_request *copy);
void races_decided(life *l, verb what, const mf_request *copy);
void races_reaches_node(life *l, verb what, const mf_request *request);
void races_answer_lost(void *arg, verb what);
void races_hinted(life *l, link_hint what, const char *const *ids, size_t count);
void races_submitted(sim *s, const truth *t);
void races_leaves(life *l);
void races_wakes(life *l);

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
void faults_renewal_leaves(life *l);

/* stateful.c */
mf_handler stateful_handler(life *l);
void stateful_end_run(handling *h);
void stateful_tell(sim *s);
void stateful_revive(sim *s);
bool stateful_is_state(const truth *t, const mf_document *document);
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
