/* The clock stands between the core and the driver: it calls the driver's slots with a callback of
 * its own in the request. */
#include "request_clock.h"

#include <stdlib.h>

#include "bench.h"
#include "cpu.h"

typedef struct timing {
    struct timing *next;
    mf_request *request;
    void (*done)(mf_request *request);
    double began;
    double *longest;
} timing;

static struct {
    const mf_broker_operations *inner;
    mf_broker_operations outer;
    timing *under_way;
    clock_totals totals;
} clocked;

static void on_done(mf_request *request)
{
    timing **at = &clocked.under_way;

    while ((*at)->request != request)
        at = &(*at)->next;
    timing *one = *at;
    double seconds = cpu_now() - one->began;
    *at = one->next;
    request->done = one->done;
    clocked.totals.requests++;
    if (seconds > *one->longest)
        *one->longest = seconds;
    free(one);
    request->done(request);
}

static void begin(mf_request *request, double *longest)
{
    timing *one = bench_alloc(1, sizeof *one);

    *one = (timing){clocked.under_way, request, request->done, cpu_now(), longest};
    clocked.under_way = one;
    request->done = on_done;
}

#define SLOT(name, type, longest)                            \
    static void clocked_##name(mf_broker *broker, type *all) \
    {                                                        \
        begin(&all->request, &clocked.totals.longest);       \
        clocked.inner->name(broker, all);                    \
    }
SLOT(release, mf_claims_request, release)
SLOT(done, mf_claims_request, release)
SLOT(renew, mf_renew_request, renew)
SLOT(leave, mf_session_request, leave)

void clock_attach(mf_broker *broker)
{
    clocked.inner = broker->operations;
    clocked.outer = *clocked.inner;
    clocked.outer.release = clocked_release;
    clocked.outer.done = clocked_done;
    clocked.outer.renew = clocked_renew;
    clocked.outer.leave = clocked_leave;
    clocked.totals = (clock_totals){0};
    broker->operations = &clocked.outer;
}

clock_totals clock_read(void)
{
    return clocked.totals;
}
