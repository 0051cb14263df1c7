/* What the consumer's parts share. */
#ifndef MF_CONSUMER_INTERNAL_H
#define MF_CONSUMER_INTERNAL_H

#include <metafora/consumer.h>
#include <metafora/driver.h>

#include "consumer/flow.h"
#include "consumer/view.h"
#include "coordinator/coordinator.h"
#include "id_table.h"
#include "loop/loop.h"

/* A task's way on this node. Offered and deferred tasks are only known of; from running on it is
 * held. A task that was given back is deferred for a moment, so that others get first pick. */
enum task_state { TASK_OFFERED, TASK_DEFERRED, TASK_CLAIMING, TASK_RUNNING, TASK_ENDING };

typedef struct mf__blocking mf__blocking;

/* Offered, deferred or claiming. */
typedef struct mf__candidate {
    mf_task *next, *previous; /* offered: in consumer->offers */
    int64_t offered_us;       /* since when it is known to be claimable */
    union {
        int64_t awaited_us; /* offered or deferred: until when it is left to another node; or 0 */
        int64_t asked_us;   /* claiming: since when */
    };
} mf__candidate;

/* Running. */
typedef struct mf__run {
    void *data;             /* the handler's */
    mf__blocking *blocking; /* the thread of a blocking handler */
    int64_t started_wall_us;
    int64_t stopped_wall_us; /* 0: it was not asked to stop */
    int64_t expired_us;      /* when its lease ended under it; 0: it did not */
} mf__run;

/* There may be a million: what is never needed at the same time shares a place. Nothing of either
 * is valid in TASK_ENDING. The handler's memory follows, and then the id. */
struct mf_task {
    mf_claim claim; /* first: a task is found by its claim */
    mf_consumer *consumer;
    mf__id_link link; /* in consumer->tasks */
    mf_timer timer;   /* deferred; running: for a stateful handler */
    union {
        mf__candidate candidate;
        mf__run run;
    };
    union {
        uint32_t left_by; /* a candidate: the node that it is left to, hash of its name */
        uint32_t slot;    /* running: in consumer->running */
    };
    uint8_t stop_reason; /* atomic */
    uint8_t state;
    bool offered_again : 1; /* while claiming or ending: a hint said that it is claimable */
    bool given_up : 1;      /* during a balance: the balancer has released it */
    bool handed_over : 1;   /* released by a drain, and not known to run elsewhere yet */
    bool held_back : 1;     /* deferred by the balancer */
    bool bad_id : 1;        /* the id breaks the rules: kept only so that it is reported once */
    bool bad_record : 1;    /* claimed, and given back because its properties cannot be read */
    bool damaged : 1; /* deferred: the broker may hold it for this node, unreadable as it is */
};

/* A drain: giving all tasks away in an orderly way. */
typedef struct mf__handover {
    bool on, told; /* told: that nothing is left */
    size_t batch, pending;
    int64_t retry_us; /* nobody took what was given: not before this time again */
    mf_timer timer;
    mf_deferred call;
} mf__handover;

struct mf_consumer {
    mf_loop *loop;
    mf_broker *broker;
    bool owns_broker;
    mf_coordinator *coordinator;
    char *name;
    mf_handler handler;
    mf_balancer balancer;
    double weight;
    int lease_ms;
    int64_t stop_grace_us, balance_interval_us, reclaim_delay_us;
    size_t max_offers, max_moves;
    mf_overrun_policy on_overrun;
    void (*on_event)(mf_consumer *consumer, mf_consumer_event event, void *payload);
    void *payload;
    mf_error error;
    mf_consumer_statistics statistics;

    mf__id_table tasks; /* all known, by id */
    mf_task *offers;    /* list of the offered, oldest first */
    mf_task *offers_last;
    mf_deferred offers_call;
    bool offers_dropped;            /* more were claimable than could be remembered */
    bool some_wanted, some_refused; /* since the last page of claimable tasks was asked for */
    mf_task **running;
    size_t running_count, running_size;
    size_t ending_count;
    size_t overrunning;

    mf_timer balance_timer;
    mf_deferred balance_call;
    mf__view view;
    mf__flow flow;
    mf__handover handover;
    bool balance_wanted;
    bool settling; /* nodes have come or gone, and it has not balanced since */

    mf_posted shutdown_call;
    bool shutdown_posted; /* atomic: that call is under way */
    int restarting;       /* atomic: it shuts down, and will be back soon */
    bool viewed;          /* other nodes are known: claiming before would take their shares */
    bool view_holds;      /* hints have told of each change since */
    bool frozen, draining, leaving, closed, freed;
    mf_deferred drain_call;
};

/* consumer.c */
/* Tells the others what this node takes: its weight, nothing for now, or that it will be back. */
void mf__consumer_announce(mf_consumer *me);
/* Claims what is offered. */
bool mf__consumer_takes(const mf_consumer *me);
void mf__consumer_tell(mf_consumer *me, mf_consumer_event event);
void mf__consumer_drain(mf_consumer *me);
/* Call when a task is gone: a drain may be over. */
void mf__consumer_task_gone(mf_consumer *me);

/* options.c */
void mf__options_fill_in(mf_consumer_options *options);
/* MF_EINVAL: the text names the field and the rule. */
int mf__options_check(const mf_consumer_options *options, mf_error *error);
/* Frees the handler and the balancer, which belong to the consumer whatever becomes of it. */
void mf__options_free_taken(const mf_consumer_options *options);
/* From malloc; NULL: no memory. */
char *mf__options_default_name(mf_loop *loop);

/* offers.c */
void mf__offers_start(mf_consumer *me);
/* `left`: whom they are left to for now; NULL: nobody. */
void mf__offers_add(mf_consumer *me, const char *const *ids, size_t count, const mf__left *left);
/* Nodes have gone: others may have held back for their sake. */
void mf__offers_look_again(mf_consumer *me);
/* Nodes are back: what they do not take soon is for anyone. */
void mf__offers_let_go(mf_consumer *me);
void mf__offers_taken(mf_consumer *me, const char *const *ids, size_t count);
void mf__offers_pump_soon(mf_consumer *me);
void mf__offers_claim(mf_task *task);
/* Sets the task aside until the steady time; then it is offered again. */
void mf__offers_defer(mf_task *task, int64_t until_us);
void mf__offers_put_back(mf_task *task);
void mf__offers_drop_all(mf_consumer *me);
mf_task *mf__task_find(mf_consumer *me, const char *id);
/* After NULL the first; to free it while going through, ask for the next one before. */
mf_task *mf__task_next(const mf_consumer *me, const mf_task *task);
void mf__task_free(mf_task *task);

/* tasks.c */
void mf__task_granted(mf_task *task, int code);
void mf__task_ended(mf_task *task, int code);
void mf__task_stop(mf_task *task, mf_stop_reason reason);
void mf__task_stop_all(mf_consumer *me, mf_stop_reason reason);
void mf__task_lease_expired(mf_task *task, int64_t deadline_us);
mf_stop_reason mf__task_stop_reason(const mf_task *task);

/* blocking.c: the adapter for handlers that run on a thread of their own. */
int mf__blocking_start(mf_task *task);
void mf__blocking_stop(mf_task *task);

/* balancing.c */
int mf__balancing_start(mf_consumer *me);
void mf__balancing_stop(mf_consumer *me);
void mf__balancing_view(mf_consumer *me, const mf_node *nodes, size_t count);
void mf__balancing_node(mf_consumer *me, const mf_node *node, bool gone);
size_t mf__balancing_held(const mf_consumer *me);
bool mf__balancing_can_claim(mf_consumer *me, mf_task *task, int64_t *until_us);
void mf__balancing_explain(mf_consumer *me, const char *task_id, char *text, size_t size);

/* handover.c */
void mf__handover_init(mf_consumer *me);
void mf__handover_stop(mf_consumer *me);
/* Something has happened that it may wait for. */
void mf__handover_go_on(mf_consumer *me);
/* The task has left: taken, or gone for good; or it came back, since nobody took it. */
void mf__handover_left(mf_task *task);
void mf__handover_returned(mf_task *task);

/* commands.c */
void mf__command_run(mf_consumer *me, const char *json, size_t length);

#endif
