/* Stores of the embedded broker, shared by handles in any threads: a lock, a
 * clock, the namespaces, and the way that hints take from one handle's request
 * to the others' loops. */
#ifndef MF_EMBEDDED_STORE_H
#define MF_EMBEDDED_STORE_H

#include <stdatomic.h>

#include "embedded/embedded.h"
#include "embedded/space.h"

/* What a request is, in request->tag. */
typedef enum mf_operation {
    MF_JOIN,
    MF_LEAVE,
    MF_RENEW,
    MF_CLAIM,
    MF_GIVE_BACK,
    MF_FINISH,
    MF_LIST_CLAIMABLE,
    MF_RECEIVE,
    MF_SUBMIT,
    MF_REMOVE,
    MF_LIST_TASKS,
    MF_LOOKUP,
    MF_LIST_NODES,
    MF_SEND,
    MF_LOAD,
    MF_STORE,
    MF_MAIL,
    MF_TELL,
    MF_FORGET,
    MF_LIST_STATES,
    MF_LIST_HELD,
    MF_TAKE_HOLDS,
    MF_COPY,
    MF_DROP_HELD,
    MF_FREE_HOLDS,
    MF_LIST_HOLDS,
    MF_SET_MARK,
    MF_READ_MARK
} mf_operation;

/* One piece of news for all watchers of a namespace. Shared, never changed. */
typedef struct mf_hint {
    atomic_int references;
    mf_news_kind kind;
    char cause[33]; /* token of the session that caused it; "": none */
    size_t count;
    char *text;
    const char *ids[];
} mf_hint;

void mf__hint_release(mf_hint *hint);

typedef struct mf_domain mf_domain;

/* A handle, as the store sees it. All but the first three is guarded by the
 * store's lock. */
typedef struct mf_listener {
    mf_loop *loop;
    void (*notify)(void *arg); /* posted to the loop: collect what has come */
    void *arg;
    bool posted;   /* and notify has not begun */
    bool watching; /* hints are wanted */
    bool missed;   /* hints were dropped */
    mf_hint **hints;
    size_t hint_count, hint_size;
    size_t id_count;  /* in hints */
    int64_t alarm_us; /* store time at which this handle will tend the store */
    struct mf_listener *next, *previous;
} mf_listener;

/* Changes what is stored, or looks at it, behind the handles' backs: as a broker that is set back.
 */
void mf__embedded_change(mf__embedded_store *store, const char *name_space,
                         void (*change)(mf_space *space, void *arg), void *arg);

/* The store that embedded://name leads to; made if need be. Takes a reference.
 */
mf__embedded_store *mf__store_named(const char *name);
void mf__store_retain(mf__embedded_store *store);

/* Attaches the listener to a namespace, for which `max_crashes` holds from now on. NULL: no memory.
 */
mf_domain *mf__store_attach(mf__embedded_store *store, const char *name_space, int max_crashes,
                            mf_listener *listener);
/* Returns whether a notify is still to come, which then is the last. */
bool mf__store_detach(mf_domain *domain, mf_listener *listener);

void mf__store_watch(mf_domain *domain, mf_listener *listener, bool watching);

/* Takes the hints that have come; the caller releases each and frees the array.
 * Returns whether some were missed. */
bool mf__store_collect(mf_domain *domain, mf_listener *listener, mf_hint ***hints, size_t *count);

/* Carries out the request: everything of it is answered on return. True: call
 * mf__store_tend. */
bool mf__store_apply(mf_domain *domain, mf_listener *listener, mf_request *request);

/* Ends what has expired. Returns in how many microseconds to call again;
 * INT64_MAX: there is nothing to wait for. */
int64_t mf__store_tend(mf_domain *domain, mf_listener *listener);

#endif
