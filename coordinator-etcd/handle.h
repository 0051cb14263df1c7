/* The driver's handle. */
#ifndef MF_ETCD_HANDLE_H
#define MF_ETCD_HANDLE_H

#include <metafora/driver.h>

#include "crashes.h"
#include "delays.h"
#include "history.h"
#include "leases.h"
#include "link.h"
#include "mail.h"
#include "mirroring.h"
#include "net/watchers.h"
#include "op.h"
#include "session.h"
#include "watch.h"

/* Ids that a listing of all tasks has read ahead. */
typedef struct mf_ahead {
    mf_arena arena;
    const char **ids;
    size_t count, next;
    char at[MF_CURSOR_SIZE];     /* the cursor of the request that goes on with them */
    char behind[MF_CURSOR_SIZE]; /* and the one behind all of them */
} mf_ahead;

struct mf_etcd {
    mf_broker broker; /* first */
    mf_etcd_settings settings;
    mf_url url;
    char *strings[4]; /* of the settings */
    mf_endpoint *endpoints;
    char *prefix; /* "/<namespace>/" */
    size_t prefix_length;
    size_t transaction_limit; /* operations in a transaction */

    mf_etcd_link *calls;
    mf_etcd_watch *watch; /* NULL: nobody has watched yet */
    mf_etcd_mirror mirror;
    mf_watchers watchers;
    mf_deferred greet; /* new watchers */
    bool tried, up;    /* the link for calls */
    mf_error why;

    mf_op *ops;
    mf_request *refused; /* to be called back, with error set */
    mf_op *answered;     /* to be ended */
    mf_deferred refuse;

    mf_mailbox mailbox;
    mf_delays delays;
    mf_crashes crashes;
    mf_ahead ahead;
    mf_etcd_session *sessions;
    mf_key_leases marks;    /* of what is to be remembered for a minute */
    mf_key_leases commands; /* of commands */
    uint64_t fence_base;    /* as last read */
    mf_history history;

    int64_t damage_since_us;
    unsigned damage_count;

    bool closing;
    mf_deferred close_call;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* Tells the watchers what they do not know yet. */
void mf__etcd_tell_link(mf_etcd *etcd);

#endif
