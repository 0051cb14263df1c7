/* What the parts of the faulty network share. */
#ifndef MF_SIM_LINK_INTERNAL_H
#define MF_SIM_LINK_INTERNAL_H

#include "link.h"

typedef struct message message;
typedef struct hint hint;
typedef struct faulty_link faulty_link;

struct faulty_link {
    mf_broker broker; /* first */
    link_options options;
    mf_watcher inner_watcher;
    mf_watcher *watcher;
    mf_timer reply_timer, reconnect_timer, hint_timer;
    mf_deferred closed_call;
    message *messages;                  /* not yet answered to the node, oldest first */
    hint *hints, *last_hint;            /* on their way, oldest first */
    hint *arrived_hints, *last_arrived; /* at the node, which has not looked at them yet */
    int64_t last_delivery_us, last_answer_us;
    size_t alive;       /* messages and hints that still name the link */
    int partitioned;    /* LINK_... */
    int gap;            /* ways on which this connection has lost bytes: nothing behind them
                           arrives */
    unsigned unwilling; /* kinds of requests that the broker refuses */
    bool up, refused, closing;
    int64_t buried_us; /* 0: the node lives */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* A request's copy on its way. `original` is NULL once the node has been
 * answered. */
struct message {
    faulty_link *link;
    message *next;
    verb what;
    mf_request *original;
    int64_t asked_us;
    bool served; /* its time at the broker is over */
    bool delivered;
    bool again;       /* to be delivered once more when it has been answered */
    bool answer_lost; /* to be freed when the node gives up waiting */
    mf_timer timer;
    union {
        mf_request head;
        mf_join_request join;
        mf_session_request leave;
        mf_renew_request renew;
        mf_claims_request claims;
        mf_page_request page;
        mf_held_request held;
        mf_receive_request receive;
        mf_nodes_request nodes;
        mf_items_request items;
        mf_send_request send;
        mf_load_request load;
        mf_store_request store;
        mf_mail_request mail;
    } copy;
    mf_session session;
    char node[32]; /* its name */
    mf_lease lease;
    mf_claim *claim_copies;
    mf_claim **claim_pointers;
    mf_item *item_copies;
    mf_lost_claim *lost;
    char *text; /* of a command, or what a request about states points to */
    void *records;
    char token[33];
};

/* message.c */
void message_copy_in(message *m);  /* the request, on its way in */
void message_keep(message *m);     /* the answer, whose records live only during the
                                      broker's call */
void message_copy_out(message *m); /* the answer, to the node */
void message_forget(message *m);   /* the answer, so that the request can be delivered again */
void message_free(message *m);
void message_deliver(message *m, mf_broker *to);

void link_copy_session(message *m, mf_session **session);

/* link_states.c: the same for VERB_LOAD, VERB_STORE and VERB_MAIL */
void link_states_copy_in(message *m);
void link_states_keep(message *m);
void link_states_copy_out(message *m);

static inline int64_t link_random_below(faulty_link *l, int64_t limit)
{
    return (int64_t)(mf_loop_random(l->options.network_loop) % (uint64_t)(limit + 1));
}

/* link.c */
void link_release(faulty_link *l);

/* hints.c */
void link_tell_resync(faulty_link *l);
void link_hints_init(faulty_link *l);
void link_watch(mf_broker *broker, mf_watcher *watcher);
void link_unwatch(mf_broker *broker, mf_watcher *watcher);

#endif
