/* Who the master is, by what the Sentinels say.
 *
 * A connection to each of them asks every two seconds, at once when the master is lost, and at once
 * when one of them publishes +switch-master. What counts is the answer of the highest configuration
 * epoch: each failover raises it, so that a Sentinel which was cut off, and still names an old
 * master, is outvoted by any that was there. An epoch lower than one that was followed before is
 * not followed any more. A majority is waited for, but not longer than the others take to fail:
 * where fewer answer the best of them is followed, for no failover happens without a majority
 * either. */
#ifndef MF_REDIS_SENTINELS_H
#define MF_REDIS_SENTINELS_H

#include <metafora/loop.h>

#include "net/connection.h"

typedef struct mf_sentinels mf_sentinels;

/* Borrowed. */
typedef struct mf_sentinels_settings {
    mf_connection_options connection; /* its endpoints are the Sentinels */
    const char *user, *password;      /* the Sentinels' own; NULL: none */
    const char *master;               /* its name there */
    int reply_timeout_ms;
} mf_sentinels_settings;

typedef struct mf_sentinels_events {
    /* The master, at the first answer and after that whenever it is another. Borrowed. */
    void (*master)(const mf_endpoint *master, void *arg);
    /* All have been asked, and none of them says who it is. */
    void (*unknown)(const mf_error *why, void *arg);
} mf_sentinels_events;

/* What mf__connection_open returns. */
int mf__sentinels_open(mf_sentinels **out, mf_loop *loop, const mf_sentinels_settings *settings,
                       const mf_sentinels_events *events, void *arg, mf_error *error);

/* Not from inside an event; none follows. */
void mf__sentinels_close(mf_sentinels *sentinels);

/* The master is lost, or is none: asks all of them now. */
void mf__sentinels_ask(mf_sentinels *sentinels);

#endif
