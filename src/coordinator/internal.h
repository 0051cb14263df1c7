/* What the coordinator's parts share. */
#ifndef MF_COORDINATOR_INTERNAL_H
#define MF_COORDINATOR_INTERNAL_H

#include "coordinator/coordinator.h"

/* A claim's way: wanted -> asked -> held -> ending -> told; if that was refused for a reason that
 * may pass, after a while ending again. */
enum claim_state {
    CLAIM_IDLE,
    CLAIM_WANTED,
    CLAIM_ASKED,
    CLAIM_HELD,
    CLAIM_ENDING,
    CLAIM_TOLD,
    CLAIM_REFUSED
};

/* The life of what was granted, until it has been ended. The first two are renewed. */
enum claim_life {
    CLAIM_FIRM,
    CLAIM_EXPIRING, /* within stop_grace of its deadline, and the consumer knows */
    CLAIM_REMOVED,  /* its task was: in force until its deadline */
    CLAIM_OVER,     /* its deadline has passed */
    CLAIM_LOST      /* the broker said that it is not ours: its deadline was then, at the latest */
};

/* Of the session. A break leads from JOINED to OUT, from TELLING to JOINING. */
typedef enum session_state {
    SESSION_OUT,     /* not joined: the timer or the link's return joins */
    SESSION_JOINING, /* a join is under way */
    SESSION_JOINED,
    SESSION_TELLING, /* joined, and a join is under way that tells another weight */
    SESSION_FAILED,  /* it cannot go on */
    /* Closing: nothing is told any more but `closed`, when all requests have come back. */
    SESSION_AWAITED, /* a join is under way; then it leaves */
    SESSION_LEFT     /* or there was nothing to leave */
} session_state;

typedef enum session_link { LINK_AWAITED, LINK_UP, LINK_LOST, LINK_LOST_AND_TOLD } session_link;

typedef struct claim_list {
    mf_claim *first, *last;
} claim_list;

/* Endings of one kind, on their way to the broker. */
typedef struct end_queue {
    mf_coordinator *coordinator;
    claim_list waiting;
    claim_list refused; /* to be asked again when the timer fires */
    mf_timer timer;
    unsigned refusals; /* in a row */
} end_queue;

/* Claims that are renewed together; the driver sees its head. */
typedef struct lease lease;

/* What the broker lists as the session's, compared with what this node holds. */
typedef struct mf__holding {
    uint64_t count;     /* claims that were granted and neither ended nor lost */
    uint64_t explained; /* so many more in the broker were found to be in order */
    uint64_t surplus;   /* so many more there are, which led to the listing under way */
    mf_held_request list;
    mf_claims_request release;
    bool comparing;
    int64_t compared_us;
    struct mf__stray *strays; /* of the page: found, and not given back yet */
    struct mf__stray *giving; /* under way */
    size_t found;
} mf__holding;

struct mf_coordinator {
    mf_loop *loop;
    mf_broker *broker;
    const mf_coordinator_events *events;
    void *arg;
    char *node;
    mf_session session;
    int64_t lease_us, grace_us, margin_us, reconcile_us;
    bool wait_for_broker;

    /* session.c */
    mf_watcher watcher;
    mf_join_request join;
    mf_renew_request session_renew;
    mf_session_request leave;
    mf_timer join_timer, session_timer;
    mf_deferred failed_call, closed_call;
    mf_error failure;
    char holder[33];
    int64_t holder_lapse_us;
    int holder_renewals; /* seen */
    int64_t session_sent_us;
    double told_weight; /* with the last join */
    unsigned breaks;    /* since the last renewal, with the link up */
    session_state state;
    session_link link;
    bool joined_once, renewing_session;
    size_t in_flight; /* requests that the driver has */

    /* lease.c */
    lease *leases;
    lease *filling; /* where the next grants go */

    /* batch.c */
    claim_list wanted;
    end_queue releasing, finishing;
    claim_list forfeited; /* endings that need not be sent */
    bool claiming_stopped;
    bool sweep; /* among the endings that wait may be such that need not be sent any more */
    mf_deferred pump_call;
    mf_timer memory_timer; /* runs while something waits for memory */
    size_t batches;        /* under way */
    size_t turn;           /* the kind that sent the last one */

    /* state.c */
    mf__state_request *loads, *loads_last, *stores, *stores_last;
    mf_timer stores_timer; /* runs while stores wait since one was refused */
    unsigned store_refusals;

    /* reconcile.c */
    mf_timer reconcile_timer, view_timer;
    mf_page_request page;
    mf_receive_request receive;
    mf_nodes_request nodes;
    uint64_t command_seen;
    int64_t view_asked_us;
    mf_mail_request mail;
    bool wants_mail, mailing, mail_again;
    bool first_page; /* that is asked for */
    bool paging, page_again, receiving, receive_again, viewing, view_again;

    /* holding.c */
    mf__holding held;
};

/* session.c */
static inline bool mf__session_is_joined(const mf_coordinator *me)
{
    return me->state == SESSION_JOINED || me->state == SESSION_TELLING;
}
static inline bool mf__session_is_closing(const mf_coordinator *me)
{
    return me->state >= SESSION_AWAITED;
}
/* It does not come back: it has failed, or is closing. */
static inline bool mf__session_is_over(const mf_coordinator *me)
{
    return me->state >= SESSION_FAILED;
}
void mf__session_start(mf_coordinator *me);
/* A request of the session had no answer, or was refused as not the session's present one. */
void mf__session_broken(mf_coordinator *me, int code);
void mf__session_was_renewed(mf_coordinator *me, int64_t sent_us);
/* Call after a request came back: completes a close that waits for it. */
void mf__request_came_back(mf_coordinator *me);

/* lease.c */
/* False: there is no memory to renew what the broker has just granted, and it is in no lease. */
bool mf__lease_grant(mf_coordinator *me, mf_claim *claim, int64_t deadline_us);
void mf__lease_renew_all(mf_coordinator *me);
/* Hands the claim back to the consumer with the answer to its end, once no renewal names it; one in
 * no lease as not granted. */
void mf__lease_end(mf_coordinator *me, mf_claim *claim, int code);
void mf__leases_free(mf_coordinator *me);

/* batch.c */
void mf__claims_append(claim_list *list, mf_claim *claim);
void mf__claims_remove(claim_list *list, mf_claim *claim);
void mf__batch_start(mf_coordinator *me);
/* The lease of a claim that is being ended is over. */
void mf__batch_lease_over(mf_coordinator *me, mf_claim *claim);
void mf__batch_lacks_memory(mf_coordinator *me);
/* The session is not joined any more. */
void mf__batch_cut_off(mf_coordinator *me);
/* Answers all that has not been sent. */
void mf__batch_drop_all(mf_coordinator *me);

/* state.c */
void mf__state_start(mf_coordinator *me);
/* Sends up to a batch of what waits; false: nothing was there, or no memory. */
bool mf__state_send_stores(mf_coordinator *me);
bool mf__state_send_loads(mf_coordinator *me);
/* Answers all that has not been sent. */
void mf__state_drop_all(mf_coordinator *me);

/* holding.c */
void mf__holding_start(mf_coordinator *me);
/* A claim is granted, or over: ended, or lost to another. */
void mf__holding_add(mf_coordinator *me, mf_claim *claim);
void mf__holding_remove(mf_coordinator *me, mf_claim *claim);
/* A renewal tells that the broker lists so many as the session's. */
void mf__holding_compare(mf_coordinator *me, uint64_t listed);

/* reconcile.c */
void mf__reconcile_start(mf_coordinator *me);
/* The session has joined: read everything anew. */
void mf__reconcile_all(mf_coordinator *me);
void mf__reconcile_commands(mf_coordinator *me);
void mf__reconcile_mail(mf_coordinator *me);
void mf__reconcile_stop(mf_coordinator *me);

/* `us` give or take a fifth. */
int64_t mf__jitter(mf_loop *loop, int64_t us);
/* How long to wait after so many failures in a row (1 and on): longer each time, up to a small part
 * of the lease, and jittered. */
int64_t mf__pause_us(mf_coordinator *me, unsigned failures);

#endif
