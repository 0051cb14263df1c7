/* Making and freeing a coordinator. */
#include <stdlib.h>
#include <string.h>

#include "coordinator/internal.h"

static const int64_t first_pause_us = 50000, most_pause_us = 5000000;

/* The broker's clock and ours may run at speeds that differ by 1 %, and a clock may be read late.
 */
static int64_t margin_of(int64_t lease_us)
{
    return lease_us / 50 + 5000;
}

int64_t mf__jitter(mf_loop *loop, int64_t us)
{
    return us - us / 5 + (int64_t)(mf_loop_random(loop) % (uint64_t)(us * 2 / 5 + 1));
}

int64_t mf__pause_us(mf_coordinator *me, unsigned failures)
{
    int64_t most = me->lease_us / 8 < most_pause_us ? me->lease_us / 8 : most_pause_us;
    int64_t pause = first_pause_us;

    while (--failures > 0 && pause < most)
        pause *= 2;
    return mf__jitter(me->loop, pause < most ? pause : most);
}

int mf__coordinator_open(mf_coordinator **out, mf_broker *broker,
                         const mf_coordinator_options *options, const mf_coordinator_events *events,
                         void *arg, mf_error *error)
{
    mf_coordinator *me = calloc(1, sizeof *me);
    char *node = strdup(options->node);

    if (me == NULL || node == NULL) {
        free(me);
        free(node);
        return mf_error_set(error, MF_ENOMEM, "coordinator: out of memory");
    }
    me->loop = broker->loop;
    me->broker = broker;
    me->events = events;
    me->arg = arg;
    me->node = node;
    me->session.node = node;
    me->session.lease_ms = options->lease_ms;
    me->session.weight = options->weight;
    me->lease_us = options->lease_ms * 1000;
    me->grace_us = options->stop_grace_ms * 1000;
    me->margin_us = margin_of(me->lease_us);
    me->reconcile_us = options->reconcile_interval_ms * 1000;
    me->wait_for_broker = options->wait_for_broker;
    me->join.takeover = options->takeover;
    me->wants_mail = options->mail;
    mf__batch_start(me);
    mf__reconcile_start(me);
    mf__holding_start(me);
    mf__session_start(me);
    *out = me;
    return MF_OK;
}

void mf__coordinator_free(mf_coordinator *me)
{
    mf_deferred_cancel(me->loop, &me->closed_call);
    mf__leases_free(me);
    free(me->node);
    free(me);
}

int64_t mf__claim_deadline_us(const mf_claim *claim)
{
    return __atomic_load_n(&claim->deadline_us, __ATOMIC_RELAXED);
}
