/* The session: join, stay known, join again after a loss, leave. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/internal.h"

/* Another look at a name that an old session still holds; it may have been renewed by then. */
static const int64_t holder_poll_us = 1000000;
/* By so much a session's lapse may seem to move without having been renewed: clocks differ. */
static const int64_t holder_slack_us = 200000;
static const int holder_renewals_of_life = 2;

static void fail(mf_coordinator *me, const mf_error *why)
{
    me->state = SESSION_FAILED;
    me->failure = *why;
    mf_timer_stop(me->loop, &me->join_timer);
    mf__batch_drop_all(me);
    mf_defer(me->loop, &me->failed_call);
}

static void on_failed_call(void *arg)
{
    mf_coordinator *me = arg;
    me->events->failed(me->arg, &me->failure);
}

static void send_join(mf_coordinator *me, session_state state)
{
    me->state = state;
    me->in_flight++;
    me->session.epoch++;
    me->told_weight = me->session.weight;
    me->broker->operations->join(me->broker, &me->join);
}

static void join(void *arg)
{
    mf_coordinator *me = arg;
    if (me->state == SESSION_OUT)
        send_join(me, SESSION_JOINING);
}

/* A broker that is there and fails is left in peace for longer each time, until it has renewed. */
static void join_again(mf_coordinator *me)
{
    mf_timer_start(me->loop, &me->join_timer,
                   mf_loop_now_us(me->loop) + mf__pause_us(me, ++me->breaks));
}

/* By a join, since that is what carries it. Requests that are under way take effect before it, so
 * the session goes on being joined meanwhile. */
static void tell_weight(mf_coordinator *me)
{
    if (me->state == SESSION_JOINED && me->told_weight != me->session.weight)
        send_join(me, SESSION_TELLING);
}

void mf__coordinator_set_weight(mf_coordinator *me, double weight)
{
    me->session.weight = weight;
    tell_weight(me);
}

static void leave(mf_coordinator *me)
{
    me->state = SESSION_LEFT;
    me->in_flight++;
    me->broker->operations->leave(me->broker, &me->leave);
}

/* The name is held by a session of another process: one that goes on renewing lives, and the name
 * is refused; one that does not is the remains of a dead process, and its lapse is awaited. A
 * single renewal is no proof: it may have been under way when its process died. */
static void wait_for_holder(mf_coordinator *me)
{
    int64_t now = mf_loop_now_us(me->loop);
    int64_t earliest = me->join.request.sent_us + me->join.remaining_ms * 1000;
    int64_t latest = now + me->join.remaining_ms * 1000;
    mf_error why;

    if (strcmp(me->holder, me->join.holder) != 0) {
        memcpy(me->holder, me->join.holder, sizeof me->holder);
        me->holder_lapse_us = latest;
        me->holder_renewals = 0;
        mf_log(me->loop, MF_LOG_INFO, "coordinator",
               "name \"%s\": an earlier session holds it; it lapses in %lld ms unless its process "
               "lives",
               me->node, (long long)me->join.remaining_ms);
    } else if (earliest > me->holder_lapse_us + holder_slack_us) {
        me->holder_lapse_us = latest;
        me->holder_renewals++;
    }
    if (me->holder_renewals == holder_renewals_of_life) {
        mf_error_set(&why, MF_ENAMEINUSE, "name: \"%s\" is in use by a live consumer", me->node);
        fail(me, &why);
        return;
    }
    int64_t pause = me->join.remaining_ms * 1000 + 10000;
    mf_timer_start(me->loop, &me->join_timer,
                   now + (pause < holder_poll_us ? pause : holder_poll_us));
}

static void renew_session(mf_coordinator *me)
{
    if (!mf__session_is_joined(me) || me->renewing_session)
        return;
    me->renewing_session = true;
    me->session_renew.held = MF_HELD_UNKNOWN;
    me->in_flight++;
    me->broker->operations->renew(me->broker, &me->session_renew);
}

static void note_life(mf_coordinator *me, int64_t sent_us)
{
    if (sent_us > me->session_sent_us)
        me->session_sent_us = sent_us;
}

static void on_joined(mf_coordinator *me)
{
    bool again = me->state == SESSION_TELLING;

    me->state = SESSION_JOINED;
    me->holder[0] = '\0';
    me->join.takeover = false;
    note_life(me, me->join.request.sent_us);
    tell_weight(me);
    if (again)
        return;
    /* In a slow join a good part of the session's time has gone by. */
    mf_timer_start(me->loop, &me->session_timer, me->session_sent_us + me->lease_us / 3);
    if (!me->joined_once) {
        me->joined_once = true;
        me->events->joined(me->arg);
    } else {
        renew_session(me); /* to compare what is held: the broker may have been set back */
    }
    mf__lease_renew_all(me);
    mf_defer(me->loop, &me->pump_call);
    mf__reconcile_all(me);
}

/* Told the first time, the second, the fourth, and so on. */
static void join_failed_again(mf_coordinator *me, const mf_error *why)
{
    join_again(me);
    if ((me->breaks & (me->breaks - 1)) == 0)
        mf_log(me->loop, mf_error_is_transient(why->code) ? MF_LOG_WARN : MF_LOG_ERROR,
               "coordinator", "cannot join yet, failure %u in a row: %s", me->breaks, why->text);
}

static void on_join_failed(mf_coordinator *me, const mf_error *why)
{
    bool passes = mf_error_is_transient(why->code);

    me->state = SESSION_OUT;
    mf__batch_cut_off(me);
    if (why->code == MF_ENAMEINUSE)
        wait_for_holder(me);
    else if (passes ? me->link == LINK_AWAITED && !me->wait_for_broker : !me->joined_once)
        fail(me, why);
    else if (!passes || me->link == LINK_UP)
        join_failed_again(me, why);
    /* else: link(up) joins */
}

static void on_join(mf_request *request)
{
    mf_coordinator *me = request->arg;
    bool good = request->error.code == MF_OK;

    me->in_flight--;
    if (!mf__session_is_closing(me))
        good ? on_joined(me) : on_join_failed(me, &request->error);
    else if (me->state == SESSION_AWAITED && good)
        leave(me);
    mf__request_came_back(me);
}

static void cut_off(mf_coordinator *me)
{
    if (me->state == SESSION_JOINED)
        me->state = SESSION_OUT;
    else if (me->state == SESSION_TELLING)
        me->state = SESSION_JOINING;
    mf__batch_cut_off(me);
}

void mf__session_broken(mf_coordinator *me, int code)
{
    if (code == MF_EUNCONFIRMED && me->events->unconfirmed != NULL)
        me->events->unconfirmed(me->arg);
    if (!mf__session_is_joined(me))
        return;
    cut_off(me);
    if (me->link == LINK_UP)
        join_again(me);
}

static mf_coordinator *of(mf_watcher *watcher)
{
    return (mf_coordinator *)((char *)watcher - offsetof(mf_coordinator, watcher));
}

static void on_link(mf_watcher *watcher, bool up, const mf_error *why)
{
    mf_coordinator *me = of(watcher);
    bool tell = up ? me->link == LINK_LOST_AND_TOLD : me->link == LINK_UP && me->joined_once;

    if (mf__session_is_closing(me))
        return;
    if (up)
        me->link = LINK_UP;
    else if (me->link == LINK_UP)
        me->link = tell ? LINK_LOST_AND_TOLD : LINK_LOST;
    if (!up)
        cut_off(me);
    if (tell)
        me->events->link(me->arg, up, why);
    if (up)
        join(me);
}

/* Renewal of the session alone, for when no lease has renewed it. */

void mf__session_was_renewed(mf_coordinator *me, int64_t sent_us)
{
    me->breaks = 0;
    note_life(me, sent_us);
}

static void on_session_renewed(mf_request *request)
{
    mf_coordinator *me = request->arg;

    me->renewing_session = false;
    me->in_flight--;
    if (request->error.code == MF_OK) {
        mf__session_was_renewed(me, request->sent_us);
        mf__holding_compare(me, me->session_renew.held);
    } else if (mf_error_is_transient(request->error.code)) {
        mf__session_broken(me, request->error.code);
    } else {
        mf_log(me->loop, MF_LOG_ERROR, "coordinator", "session not renewed: %s",
               request->error.text);
    }
    mf__request_came_back(me);
}

static void on_session_timer(void *arg)
{
    mf_coordinator *me = arg;
    int64_t now = mf_loop_now_us(me->loop);
    int64_t due = me->session_sent_us + me->lease_us / 3;

    if (now >= due)
        renew_session(me);
    mf_timer_start(me->loop, &me->session_timer, now >= due ? now + me->lease_us / 3 : due);
}

/* Opening and closing. */

static void on_claimable(mf_watcher *watcher, const char *const *ids, size_t count)
{
    mf_coordinator *me = of(watcher);
    me->events->claimable(me->arg, ids, count);
}

static void on_taken(mf_watcher *watcher, const char *const *ids, size_t count)
{
    mf_coordinator *me = of(watcher);
    me->events->taken(me->arg, ids, count);
}

static void on_node_changed(mf_watcher *watcher, const mf_node *node, bool gone)
{
    mf_coordinator *me = of(watcher);
    if (me->events->node != NULL)
        me->events->node(me->arg, node, gone);
}

static void on_removed(mf_watcher *watcher, const char *const *ids, size_t count)
{
    mf_coordinator *me = of(watcher);
    me->events->removed(me->arg, ids, count);
}

static void on_command(mf_watcher *watcher)
{
    mf__reconcile_commands(of(watcher));
}

static void on_mail(mf_watcher *watcher)
{
    mf__reconcile_mail(of(watcher));
}

static void on_resync(mf_watcher *watcher)
{
    mf__reconcile_all(of(watcher));
}

static void on_closed_call(void *arg)
{
    mf_coordinator *me = arg;
    me->events->closed(me->arg);
}

static void on_leave(mf_request *request)
{
    mf_coordinator *me = request->arg;
    me->in_flight--;
    mf__request_came_back(me);
}

void mf__request_came_back(mf_coordinator *me)
{
    if (mf__session_is_closing(me) && me->in_flight == 0)
        mf_defer(me->loop, &me->closed_call);
}

void mf__session_start(mf_coordinator *me)
{
    snprintf(me->session.token, sizeof me->session.token, "%016llx%016llx",
             (unsigned long long)mf_loop_random(me->loop),
             (unsigned long long)mf_loop_random(me->loop));
    me->watcher = (mf_watcher){
        .node = me->node,
        .token = me->session.token,
        .link = on_link,
        .resync = on_resync,
        .claimable = on_claimable,
        .taken = on_taken,
        .removed = on_removed,
        .command = on_command,
        .node_changed = on_node_changed,
        .mail = on_mail,
    };
    me->join.request = (mf_request){.done = on_join, .arg = me};
    me->join.session = &me->session;
    me->session_renew.request = (mf_request){.done = on_session_renewed, .arg = me};
    me->session_renew.session = &me->session;
    me->leave.request = (mf_request){.done = on_leave, .arg = me};
    me->leave.session = &me->session;
    mf_timer_init(&me->join_timer, join, me);
    mf_timer_init(&me->session_timer, on_session_timer, me);
    mf_deferred_init(&me->failed_call, on_failed_call, me);
    mf_deferred_init(&me->closed_call, on_closed_call, me);

    me->broker->operations->watch(me->broker, &me->watcher);
    mf_timer_start(me->loop, &me->session_timer, mf_loop_now_us(me->loop) + me->lease_us / 3);
    /* When asked to wait, the link is awaited here, where closing can end the wait. */
    if (!me->wait_for_broker)
        join(me);
}

void mf__coordinator_close(mf_coordinator *me)
{
    session_state was = me->state;

    if (mf__session_is_closing(me))
        return;
    me->state = was == SESSION_JOINING ? SESSION_AWAITED : SESSION_LEFT;
    me->broker->operations->unwatch(me->broker, &me->watcher);
    mf_timer_stop(me->loop, &me->join_timer);
    mf_timer_stop(me->loop, &me->session_timer);
    mf_deferred_cancel(me->loop, &me->failed_call);
    mf__reconcile_stop(me);
    mf__batch_drop_all(me);
    if (was == SESSION_JOINED || was == SESSION_TELLING)
        leave(me);
    else if (was == SESSION_OUT && me->joined_once && me->link == LINK_UP)
        send_join(me, SESSION_AWAITED); /* a request was overtaken: join anew, to leave */
    mf__request_came_back(me);
}
