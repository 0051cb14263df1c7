/* Dialing one endpoint: its name is resolved and its addresses are tried in turn. */
#ifndef MF_NET_DIAL_H
#define MF_NET_DIAL_H

#include <event2/event.h>

#include "net/address.h"
#include "net/connection.h"

typedef struct mf_dial mf_dial;

/* `descriptor` is a connected, non-blocking socket, now the callee's; or it is -1, and `why` a
 * borrowed text. The dial has ended; it may be started again, or forgotten, from here. */
typedef void (*mf_dial_fn)(int descriptor, const char *why, void *arg);

struct mf_dial {
    mf_loop *loop;
    mf_dial_fn done;
    void *arg;
    /* The rest is the dial's own. */
    mf_endpoint endpoint;
    mf_addresses addresses;
    size_t next;
    int64_t deadline_us;
    mf_lookup *lookup;
    int descriptor;
    struct event *event;
    char why[128];
};

void mf__dial_init(mf_dial *dial, mf_loop *loop, mf_dial_fn done, void *arg);

/* Calls done once, at `deadline_us` at the latest, perhaps from inside this call. What `endpoint`
 * points to is borrowed until then. Each address gets an equal part of the time that is left. */
void mf__dial_start(mf_dial *dial, const mf_endpoint *endpoint, int64_t deadline_us);

/* Ends it without a call of done. Harmless when it is not under way. */
void mf__dial_stop(mf_dial *dial);

#endif
