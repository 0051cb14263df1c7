/* The watchers of a broker handle: who they are, and what each has been told of the link. */
#ifndef MF_NET_WATCHERS_H
#define MF_NET_WATCHERS_H

#include <metafora/driver.h>

typedef struct mf_watchers {
    struct mf_watching *first;
    unsigned walking;
} mf_watchers;

/* `watcher` is borrowed until it is removed. The process ends when there is no memory: the slot
 * cannot fail, and a watcher that is never told waits for ever. */
void mf__watchers_add(mf_watchers *watchers, mf_watcher *watcher);
/* Harmless when it is not there. Both are safe during a walk. */
void mf__watchers_remove(mf_watchers *watchers, const mf_watcher *watcher);
/* Whether there is one that wants hints. */
bool mf__watchers_want_hints(const mf_watchers *watchers);
void mf__watchers_clear(mf_watchers *watchers);

/* A walk over those that want hints: those that are removed meanwhile are passed over. Go on until
 * NULL comes. */
typedef struct mf_walk {
    mf_watchers *watchers;
    struct mf_watching *at;
} mf_walk;
mf_watcher *mf__walk_begin(mf_walk *walk, mf_watchers *watchers);
mf_watcher *mf__walk_next(mf_walk *walk);

/* All have missed hints: they are told to resync when hints come in again. */
void mf__watchers_missed(mf_watchers *watchers);

/* Tells each what it has not been told yet. Those that want hints are told that the link is up only
 * with hints coming in; once told, they can do without for a while. When the link is up and
 * `hints_why` says that there are no hints, it is down to those of them who have been told nothing.
 */
void mf__watchers_tell(mf_watchers *watchers, bool up, const mf_error *why, bool hints,
                       const mf_error *hints_why);

#endif
