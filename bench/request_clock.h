/* How long a handle's requests take, from the slot to the answer. */
#ifndef MF_BENCH_REQUEST_CLOCK_H
#define MF_BENCH_REQUEST_CLOCK_H

#include <metafora/driver.h>

/* Seconds that the longest took. */
typedef struct clock_totals {
    size_t requests;
    double release; /* or done */
    double renew;   /* on etcd several calls in a row */
    double leave;
} clock_totals;

/* Takes the time of what is asked of the broker from now on by way of release, done, renew and
 * leave, as long as the handle is open. One handle at a time. */
void clock_attach(mf_broker *broker);
/* What it took since. */
clock_totals clock_read(void);

#endif
