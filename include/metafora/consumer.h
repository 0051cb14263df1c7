/* The consumer: claims tasks from a broker and runs them. */
#ifndef METAFORA_CONSUMER_H
#define METAFORA_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <metafora/balancer.h>
#include <metafora/broker.h>
#include <metafora/error.h>
#include <metafora/export.h>
#include <metafora/handler.h>
#include <metafora/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What happened to a consumer as a whole. */
typedef enum mf_consumer_event {
    MF_CONSUMER_JOINED,      /* the broker knows the node; claiming begins */
    MF_CONSUMER_UNREACHABLE, /* the broker is gone for now; tasks run on while their leases last */
    MF_CONSUMER_REACHABLE,   /* and back */
    MF_CONSUMER_FAILED, /* it cannot go on (see mf_consumer_error) and has begun to shut down */
    MF_CONSUMER_CLOSED, /* every task has ended and the session is left; free it from here on */
    MF_CONSUMER_DRAINED /* after mf_consumer_drain: it holds nothing any more */
} mf_consumer_event;

/* What to do when a handler still runs although its lease has ended. */
typedef enum mf_overrun_policy {
    MF_OVERRUN_LOG,  /* count it in the statistics, and log */
    MF_OVERRUN_ABORT /* abort() the process: better none than two */
} mf_overrun_policy;

#define MF_CONSUMER_OPTIONS_VERSION 1

/* Zero or NULL in a field means its default. Strings are borrowed for the call that takes them. */
typedef struct mf_consumer_options {
    int version;

    /* The broker: either a handle, borrowed until MF_CONSUMER_CLOSED, or a URL, options and a
     * namespace that the consumer opens and closes itself (see mf_broker_open; NULL: the linked
     * driver's default; see also `drivers`). Both are refused. */
    mf_broker *broker_handle;
    const char *broker;
    mf_broker_options broker_options; /* its name_space may be left to the next field */
    const char *name_space;           /* required without a handle */
    mf_loop *loop;                    /* required, but for mf_main, which makes one */

    const char *name; /* of this node, unique in the namespace; default: host name, '-', random */
    bool takeover;    /* the process that last had `name` is known to be dead: do not wait for its
                         session to lapse */
    double weight;    /* capacity relative to other nodes; 1 */

    mf_handler handler;   /* required; taken, also when mf_consumer_open fails */
    mf_balancer balancer; /* default mf_balancer_fair(1.2); taken likewise */

    int lease_ms;      /* 15,000; from 2,000 to 3,600,000 */
    int stop_grace_ms; /* a quarter of the lease; handlers are stopped this long before its end */
    int balance_interval_ms;   /* 15,000, with 20 % of jitter */
    int reconcile_interval_ms; /* 10,000, with jitter: how long a lost hint can stay unnoticed */
    int reclaim_delay_ms;      /* 2,000: others get first pick of what this node gave back */
    int max_offers;            /* 200,000 claimable tasks remembered at a time */
    mf_overrun_policy on_overrun;

    /* May be NULL. Runs on the loop thread. mf_consumer_shutdown may be called from it, and
     * mf_consumer_free on MF_CONSUMER_CLOSED. */
    void (*on_event)(mf_consumer *consumer, mf_consumer_event event, void *payload);
    void *payload;

    int restart_grace_ms; /* 60,000: how long the tasks of a node that has said that it will be back
                             are left to it */
    int max_moves;        /* tasks that one balance may give up; 0: no limit */

    /* Ends with NULL: the drivers that the URL chooses among, as in mf_broker_open_any. NULL: the
     * one that the program is linked with, and the embedded one. */
    const mf_driver *const *drivers;
} mf_consumer_options;

#define MF_CONSUMER_OPTIONS_INIT                            \
    {                                                       \
        MF_FIRST_FIELD(version) MF_CONSUMER_OPTIONS_VERSION \
    }

/* Makes a consumer and begins to join. MF_EINVAL (the text names the field and the rule),
 * MF_ENOMEM, or what mf_broker_open returns. That the broker cannot be reached, or that the name is
 * in use, is found later and told by MF_CONSUMER_FAILED. */
MF_EXPORT int mf_consumer_open(mf_consumer **out, const mf_consumer_options *options,
                               mf_error *error);

/* Drains: claims nothing more, stops every handler and waits for them while their leases are still
 * renewed, gives the tasks back, leaves. Ends with MF_CONSUMER_CLOSED. Twice is once. From any
 * thread that knows the consumer is alive. */
MF_EXPORT void mf_consumer_shutdown(mf_consumer *consumer);

/* The same, and tells the other nodes that a consumer of this name will be back soon: for their
 * restart_grace_ms they leave it the tasks that it gives back. Needs a broker that tells of nodes,
 * as all of ours do; with others it is mf_consumer_shutdown. */
MF_EXPORT void mf_consumer_shutdown_for_restart(mf_consumer *consumer);

/* For handlers that cannot run anything any more: MF_CONSUMER_FAILED with this error, which is
 * copied, from inside the call, then it drains. Harmless when it has failed or drains already. Loop
 * thread only. */
MF_EXPORT void mf_consumer_fail(mf_consumer *consumer, const mf_error *why);

/* Frees the consumer, from MF_CONSUMER_CLOSED on. */
MF_EXPORT void mf_consumer_free(mf_consumer *consumer);

/* Why the consumer failed; code MF_OK when it did not. Borrowed while the consumer lives. */
MF_EXPORT const mf_error *mf_consumer_error(const mf_consumer *consumer);
MF_EXPORT const char *mf_consumer_name(const mf_consumer *consumer);
MF_EXPORT mf_loop *mf_consumer_loop(const mf_consumer *consumer);
MF_EXPORT mf_broker *mf_consumer_broker(const mf_consumer *consumer);
MF_EXPORT bool mf_consumer_frozen(const mf_consumer *consumer);
/* As in the options, or the default. A driver may round it up. */
MF_EXPORT int mf_consumer_lease_ms(const mf_consumer *consumer);

/* A frozen consumer claims nothing and keeps what it runs. The same as the commands. */
MF_EXPORT void mf_consumer_freeze(mf_consumer *consumer);
MF_EXPORT void mf_consumer_unfreeze(mf_consumer *consumer);
/* Gives all tasks away and takes none, until mf_consumer_undrain: a few at a time, more only when
 * others have taken those; what nobody takes it runs on. Ends with MF_CONSUMER_DRAINED. The same as
 * the commands. */
MF_EXPORT void mf_consumer_drain(mf_consumer *consumer);
MF_EXPORT void mf_consumer_undrain(mf_consumer *consumer);
MF_EXPORT bool mf_consumer_draining(const mf_consumer *consumer);
/* Balances now instead of at the next interval. */
MF_EXPORT void mf_consumer_balance(mf_consumer *consumer);
/* Stops one task as the stop_task command does. MF_EGONE when it does not run here. */
MF_EXPORT int mf_consumer_stop_task(mf_consumer *consumer, const char *task_id);

/* Counts since mf_consumer_open, and present numbers. Append only; set `version` before the call.
 */
#define MF_CONSUMER_STATISTICS_VERSION 1
typedef struct mf_consumer_statistics {
    int version;
    uint64_t running;  /* handlers started and not ended */
    uint64_t stopping; /* of these, asked to stop */
    uint64_t claiming; /* claims asked for and not answered */
    uint64_t offered;  /* claimable tasks remembered */
    uint64_t deferred; /* of these, set aside by the balancer until later */
    uint64_t started, done, released;
    uint64_t claims_granted, claims_taken, claims_gone, claims_failed;
    uint64_t lost; /* tasks stopped because their lease ended or was not ours any more */
    uint64_t balance_releases; /* given up by the balancer */
    uint64_t late_endings;     /* release or done refused because the claim had ended */
    uint64_t damaged;          /* task records that could not be read */
    uint64_t commands, bad_commands;
    uint64_t disconnects;   /* times that the broker became unreachable */
    double overrun_seconds; /* sum of time that handlers ran on after their lease */
    uint64_t handed_over;   /* tasks that others took from this node while it drained */
    uint64_t unconfirmed;   /* requests that too few replicas confirmed in time (wait_replicas) */
} mf_consumer_statistics;
#define MF_CONSUMER_STATISTICS_INIT                            \
    {                                                          \
        MF_FIRST_FIELD(version) MF_CONSUMER_STATISTICS_VERSION \
    }
MF_EXPORT void mf_consumer_get_statistics(const mf_consumer *consumer, mf_consumer_statistics *out);

/* One running task. */
typedef struct mf_task_info {
    const char *id; /* borrowed during the callback */
    uint64_t fence;
    int64_t started_wall_us; /* since 1970-01-01 UTC */
    int64_t stopped_wall_us; /* when it was asked to stop; 0: it was not */
    int64_t lease_remaining_ms;
    mf_stop_reason stop_reason;
    const mf_task *task; /* for what its handler tells of it; borrowed during the callback */
} mf_task_info;

/* Calls fn for each task whose handler has started and not ended, in no particular order; ends
 * early when fn returns false. fn must not end tasks. Returns how many were shown. */
MF_EXPORT size_t mf_consumer_tasks(const mf_consumer *consumer,
                                   bool (*fn)(const mf_task_info *info, void *arg), void *arg);

/* Why a task runs here, or not. Append only; set `version` before the call. */
#define MF_EXPLANATION_VERSION 1
typedef struct mf_explanation {
    int version;
    const char *state; /* static: "running", "stopping", "ending", "claiming", "held back",
                          "offered", "not known here" */
    int64_t wait_ms;   /* held back: until it is asked about again */
    char balance[256]; /* what the balancer says of it; "" when it says nothing */
} mf_explanation;
#define MF_EXPLANATION_INIT                            \
    {                                                  \
        MF_FIRST_FIELD(version) MF_EXPLANATION_VERSION \
    }
/* Works for any id. Changes nothing. */
MF_EXPORT void mf_consumer_explain(mf_consumer *consumer, const char *task_id, mf_explanation *out);

/* Runs a consumer until SIGINT or SIGTERM, then shuts it down, or until SIGUSR1, then for a
 * restart; a SIGINT or SIGTERM after that ends the process at once.
 * Makes its own loop when the options have none. Errors go to stderr. Returns an exit status. */
MF_EXPORT int mf_main(const mf_consumer_options *options);

#ifdef __cplusplus
}
#endif
#endif
