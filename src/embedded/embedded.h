/* The embedded broker from the inside: stores that a test or a simulation makes
 * for itself.
 *
 * Between a handle and its store there is one step, mf__store_apply: it takes a
 * request as driver.h defines it and returns with the request answered. Whoever
 * wants a faulty link wraps a handle at its operations: copies of a request may
 * reach the handle late, twice or never. */
#ifndef MF_EMBEDDED_EMBEDDED_H
#define MF_EMBEDDED_EMBEDDED_H

#include <metafora/driver.h>

typedef struct mf__embedded_store mf__embedded_store;

/* A store that no URL leads to, on the steady clock `clock(arg)`, in
 * microseconds, which any thread of a handle may read. Handles keep the store
 * alive after the caller's release. NULL: no memory.
 */
mf__embedded_store *mf__embedded_store_new(int64_t (*clock)(void *arg), void *arg);
void mf__embedded_store_release(mf__embedded_store *store);

/* A handle on the store, as the driver's open would make it. */
int mf__embedded_open(mf_broker **out, mf__embedded_store *store, const mf_broker_options *options,
                      mf_loop *loop, mf_error *error);

#endif
