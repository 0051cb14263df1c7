/* The consumer: opening, what the coordinator tells, draining, closing. */
#include <stdlib.h>
#include <string.h>

#include "consumer/internal.h"

static mf_task *task_of(mf_claim *claim)
{
    return (mf_task *)claim;
}

void mf__consumer_tell(mf_consumer *me, mf_consumer_event event)
{
    if (me->on_event != NULL)
        me->on_event(me, event, me->payload);
}

static double announced_weight(const mf_consumer *me)
{
    if (me->draining)
        return __atomic_load_n(&me->restarting, __ATOMIC_ACQUIRE) ? -me->weight : 0;
    return me->frozen || me->handover.on ? 0 : me->weight;
}

void mf__consumer_announce(mf_consumer *me)
{
    double weight = announced_weight(me);

    if (weight == me->view.nodes[me->view.self].weight || me->leaving)
        return;
    mf__view_set_weight(&me->view, weight);
    mf__coordinator_set_weight(me->coordinator, weight);
}

bool mf__consumer_takes(const mf_consumer *me)
{
    return me->viewed && !me->frozen && !me->handover.on && !me->draining;
}

/* Draining and closing. */

/* The last call on the consumer: it may be freed in it. */
static void finish_closing(mf_consumer *me)
{
    me->closed = true;
    mf__consumer_tell(me, MF_CONSUMER_CLOSED);
}

static void on_broker_closed(void *arg)
{
    mf_consumer *me = arg;

    me->broker = NULL;
    finish_closing(me);
}

static void on_coordinator_closed(void *arg)
{
    mf_consumer *me = arg;

    mf__coordinator_free(me->coordinator);
    me->coordinator = NULL;
    if (me->owns_broker)
        mf_broker_close(me->broker, on_broker_closed, me);
    else
        finish_closing(me);
}

/* Nothing is held, asked for or being given back, and no other thread's call is under way. */
static void leave_if_drained(void *arg)
{
    mf_consumer *me = arg;

    if (!me->draining || me->leaving || me->tasks.count > 0 ||
        __atomic_load_n(&me->shutdown_posted, __ATOMIC_ACQUIRE))
        return;
    me->leaving = true;
    mf__balancing_stop(me);
    mf__handover_stop(me);
    mf__coordinator_close(me->coordinator);
}

void mf__consumer_task_gone(mf_consumer *me)
{
    if (me->draining)
        mf_defer(me->loop, &me->drain_call);
}

void mf__consumer_drain(mf_consumer *me)
{
    if (me->draining)
        return;
    me->draining = true;
    mf__consumer_announce(me); /* before anything is given back */
    mf__coordinator_stop_claiming(me->coordinator);
    mf__offers_drop_all(me);
    mf__task_stop_all(me, MF_STOP_SHUTDOWN);
    mf_defer(me->loop, &me->drain_call);
}

static void on_shutdown_posted(void *arg)
{
    mf_consumer *me = arg;

    __atomic_store_n(&me->shutdown_posted, false, __ATOMIC_RELEASE);
    if (me->freed) {
        mf_consumer_free(me);
    } else if (!me->closed) {
        mf__consumer_drain(me);
        mf_defer(me->loop, &me->drain_call);
    }
}

void mf_consumer_shutdown(mf_consumer *me)
{
    if (!__atomic_exchange_n(&me->shutdown_posted, true, __ATOMIC_ACQ_REL))
        mf__loop_post_embedded(me->loop, &me->shutdown_call, on_shutdown_posted, me);
}

void mf_consumer_shutdown_for_restart(mf_consumer *me)
{
    __atomic_store_n(&me->restarting, 1, __ATOMIC_RELEASE);
    mf_consumer_shutdown(me);
}

/* What the coordinator tells. */

static void on_joined(void *arg)
{
    mf_consumer *me = arg;

    mf_log(me->loop, MF_LOG_INFO, "consumer", "%s has joined", me->name);
    mf__consumer_tell(me, MF_CONSUMER_JOINED);
}

static void on_link(void *arg, bool up, const mf_error *why)
{
    mf_consumer *me = arg;

    me->view_holds = false;
    mf__flow_interrupted(&me->flow, mf_loop_now_us(me->loop));
    if (!up) {
        me->statistics.disconnects++;
        mf_log(me->loop, MF_LOG_WARN, "consumer", "the broker is unreachable: %s", why->text);
    } else {
        mf_log(me->loop, MF_LOG_INFO, "consumer", "the broker is reachable again");
    }
    mf__consumer_tell(me, up ? MF_CONSUMER_REACHABLE : MF_CONSUMER_UNREACHABLE);
}

static void on_claimable(void *arg, const char *const *ids, size_t count)
{
    mf_consumer *me = arg;

    mf__flow_offered(&me->flow, count);
    mf__offers_add(me, ids, count, mf__view_left(&me->view, count, mf_loop_now_us(me->loop)));
    me->view.left.count = 0;
}

static void on_listing(void *arg)
{
    mf_consumer *me = arg;

    mf__flow_list_begins(&me->flow);
}

static void on_listed(void *arg, const char *const *ids, size_t count)
{
    mf_consumer *me = arg;

    mf__flow_listed(&me->flow, count);
    mf__offers_add(me, ids, count, NULL);
}

static void on_taken(void *arg, const char *const *ids, size_t count)
{
    mf_consumer *me = arg;

    mf__flow_taken(&me->flow, count, mf_loop_now_us(me->loop));
    mf__offers_taken(me, ids, count);
}

/* A removed task is not to be claimed; one that runs is stopped when the broker confirms it. */
static void on_removed(void *arg, const char *const *ids, size_t count)
{
    mf_consumer *me = arg;

    mf__offers_taken(me, ids, count);
    for (size_t i = 0; i < count; i++) {
        mf_task *task = mf__task_find(me, ids[i]);
        if (task != NULL && task->state == TASK_RUNNING)
            mf__coordinator_check(me->coordinator, &task->claim);
    }
}

static void on_reconciled(void *arg)
{
    mf_consumer *me = arg;
    mf__flow_list_complete(&me->flow);
}

static void on_page_shown(void *arg, uint64_t claimable)
{
    mf_consumer *me = arg;

    mf__flow_counted(&me->flow, claimable);
    mf__offers_pump_soon(me);
}

static void on_unconfirmed(void *arg)
{
    ((mf_consumer *)arg)->statistics.unconfirmed++;
}

static bool on_holds(void *arg, const char *id)
{
    const mf_task *task = mf__task_find(arg, id);
    return task != NULL && (task->state >= TASK_CLAIMING || task->damaged);
}

static void on_granted(void *arg, mf_claim *claim, int code)
{
    (void)arg;
    mf__task_granted(task_of(claim), code);
}

static void on_ended(void *arg, mf_claim *claim, int code)
{
    (void)arg;
    mf__task_ended(task_of(claim), code);
}

static void on_lost(void *arg, mf_claim *claim, mf_stop_reason reason)
{
    mf_consumer *me = arg;
    mf_task *task = task_of(claim);

    if (task->state == TASK_RUNNING)
        mf_log(me->loop, MF_LOG_WARN, "consumer", "task %s must stop: %s", task->claim.id,
               mf_stop_reason_text(reason));
    mf__task_stop(task, reason);
}

static void on_expired(void *arg, mf_claim *claim, int64_t deadline_us)
{
    (void)arg;
    mf__task_lease_expired(task_of(claim), deadline_us);
}

static void on_command(void *arg, const char *json, size_t length)
{
    mf__command_run(arg, json, length);
}

static void on_mail(void *arg, const char *id, uint64_t number, const char *json, size_t length)
{
    mf_consumer *me = arg;
    mf_task *task = mf__task_find(me, id);

    if (task != NULL && task->state == TASK_RUNNING)
        me->handler.message(task, number, json, length, me->handler.payload);
}

static void on_view(void *arg, const mf_node *nodes, size_t count)
{
    mf__balancing_view(arg, nodes, count);
}

static void on_node(void *arg, const mf_node *node, bool gone)
{
    mf__balancing_node(arg, node, gone);
}

static void tell_failure(mf_consumer *me, const mf_error *why)
{
    me->error = *why;
    mf_log(me->loop, MF_LOG_ERROR, "consumer", "%s cannot go on: %s", me->name, why->text);
    mf__consumer_tell(me, MF_CONSUMER_FAILED);
}

/* A handler may be under way: the drain comes later. */
void mf_consumer_fail(mf_consumer *me, const mf_error *why)
{
    if (me->error.code != MF_OK || me->draining)
        return;
    tell_failure(me, why);
    mf_consumer_shutdown(me);
}

static void on_failed(void *arg, const mf_error *why)
{
    mf_consumer *me = arg;

    tell_failure(me, why);
    if (why->code == MF_ENAMEINUSE)
        mf__task_stop_all(me, MF_STOP_LOST);
    mf__consumer_drain(me);
}

static const mf_coordinator_events coordinator_events = {
    .joined = on_joined,
    .link = on_link,
    .claimable = on_claimable,
    .listing = on_listing,
    .listed = on_listed,
    .taken = on_taken,
    .removed = on_removed,
    .reconciled = on_reconciled,
    .page_shown = on_page_shown,
    .unconfirmed = on_unconfirmed,
    .granted = on_granted,
    .ended = on_ended,
    .lost = on_lost,
    .expired = on_expired,
    .command = on_command,
    .mail = on_mail,
    .view = on_view,
    .node = on_node,
    .failed = on_failed,
    .closed = on_coordinator_closed,
    .holds = on_holds,
};

/* Opening. */

/* A reply that is later than the next renewal would have been is no good to a lease. */
static int reply_timeout_for(int lease_ms)
{
    int third = lease_ms / 3;
    return third < 5000 ? third : 5000;
}

static int open_broker(mf_consumer *me, const mf_consumer_options *o, mf_error *error)
{
    mf_broker_options options = o->broker_options;

    if (o->broker_handle != NULL) {
        me->broker = o->broker_handle;
        return MF_OK;
    }
    if (options.version == 0)
        options.version = MF_BROKER_OPTIONS_VERSION;
    if (options.reply_timeout_ms == 0)
        options.reply_timeout_ms = reply_timeout_for(o->lease_ms);
    options.name_space = o->name_space;
    me->owns_broker = true;
    if (o->drivers != NULL)
        return mf_broker_open_any(&me->broker, o->broker, &options, o->loop, o->drivers, error);
    return mf_broker_open(&me->broker, o->broker, &options, o->loop, error);
}

static void take(mf_consumer *me, const mf_consumer_options *o)
{
    me->loop = o->loop;
    me->weight = o->weight;
    me->lease_ms = o->lease_ms;
    me->stop_grace_us = (int64_t)o->stop_grace_ms * 1000;
    me->balance_interval_us = (int64_t)o->balance_interval_ms * 1000;
    me->reclaim_delay_us = (int64_t)o->reclaim_delay_ms * 1000;
    me->max_offers = (size_t)o->max_offers;
    me->max_moves = (size_t)o->max_moves;
    me->on_overrun = o->on_overrun;
    me->on_event = o->on_event;
    me->payload = o->payload;
}

static int check_states(const mf_consumer *me, const mf_consumer_options *o, mf_error *error)
{
    if (o->handler.message == NULL || me->broker->operations->load != NULL)
        return MF_OK;
    return mf_error_set(error, MF_ENOTSUP, "handler: the %s driver keeps no states of tasks",
                        me->broker->driver->name);
}

static int open_coordinator(mf_consumer *me, const mf_consumer_options *o, mf_error *error)
{
    mf_coordinator_options options = {
        .node = me->name,
        .lease_ms = o->lease_ms,
        .stop_grace_ms = o->stop_grace_ms,
        .reconcile_interval_ms = o->reconcile_interval_ms,
        .weight = o->weight,
        .takeover = o->takeover,
        .wait_for_broker = o->broker_options.wait_for_broker,
        .mail = o->handler.message != NULL,
    };
    return mf__coordinator_open(&me->coordinator, me->broker, &options, &coordinator_events, me,
                                error);
}

static void free_parts(mf_consumer *me)
{
    mf_consumer_options taken = {.handler = me->handler, .balancer = me->balancer};

    mf__options_free_taken(&taken);
    mf__id_table_clear(&me->tasks);
    free(me->running);
    mf__view_clear(&me->view);
    free(me->name);
    free(me);
}

static int start_balancing(mf_consumer *me, const mf_consumer_options *o)
{
    int code = mf__view_init(&me->view, me->name, me->weight, (int64_t)o->restart_grace_ms * 1000);

    mf__handover_init(me);
    return code == MF_OK ? mf__balancing_start(me) : code;
}

/* The broker's handle that was opened here is closed again when the rest fails. */
static int open_link(mf_consumer *me, const mf_consumer_options *o, mf_error *error)
{
    int code = open_broker(me, o, error);

    if (code != MF_OK)
        return code;
    code = check_states(me, o, error);
    if (code == MF_OK)
        code = open_coordinator(me, o, error);
    if (code != MF_OK && me->owns_broker)
        mf_broker_close(me->broker, NULL, NULL);
    return code;
}

static int open_parts(mf_consumer *me, const mf_consumer_options *o, mf_error *error)
{
    take(me, o);
    mf_deferred_init(&me->drain_call, leave_if_drained, me);
    mf__offers_start(me);
    me->name = o->name != NULL ? strdup(o->name) : mf__options_default_name(o->loop);
    if (me->name == NULL || start_balancing(me, o) != MF_OK)
        return mf_error_set(error, MF_ENOMEM, "consumer: out of memory");
    int code = open_link(me, o, error);
    if (code != MF_OK)
        mf__balancing_stop(me);
    return code;
}

/* Handler and balancer are taken from here on, whatever comes. */
static mf_consumer *make(const mf_consumer_options *o)
{
    mf_consumer *me = calloc(1, sizeof *me);

    if (me == NULL) {
        mf__options_free_taken(o);
        return NULL;
    }
    me->handler = o->handler;
    me->balancer = o->balancer;
    return me;
}

int mf_consumer_open(mf_consumer **out, const mf_consumer_options *options, mf_error *error)
{
    mf_consumer_options o = *options;

    mf__options_fill_in(&o);
    mf_consumer *me = make(&o);
    if (me == NULL)
        return mf_error_set(error, MF_ENOMEM, "consumer: out of memory");
    int code = mf__options_check(&o, error);
    if (code == MF_OK)
        code = open_parts(me, &o, error);
    if (code == MF_OK)
        *out = me;
    else
        free_parts(me);
    return code;
}

void mf_consumer_free(mf_consumer *me)
{
    if (me == NULL)
        return;
    /* A shutdown that was posted after the close still names the consumer: it frees it then. */
    me->freed = true;
    if (__atomic_load_n(&me->shutdown_posted, __ATOMIC_ACQUIRE))
        return;
    mf_deferred_cancel(me->loop, &me->drain_call);
    mf_deferred_cancel(me->loop, &me->offers_call);
    free_parts(me);
}
