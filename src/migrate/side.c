/* A session on one of the two brokers. Its name is the same for all migrators, so that no two of
 * them are at work in one namespace. */
#include <stdio.h>
#include <string.h>

#include "migrate/internal.h"

enum { REJOIN_US = 200000, HOLDER_POLL_US = 500000, HOLDER_SLACK_US = 200000 };
static const int renewals_of_life = 2; /* one may have been under way when its process died */

static void join(mf__side *me)
{
    if (me->joining || me->leaving || me->left || !me->up)
        return;
    me->joining = true;
    me->joined = false;
    me->session.epoch++;
    me->broker->operations->join(me->broker, &me->join);
}

static void start_timer(mf__side *me, int64_t in_us)
{
    mf_loop *loop = me->broker->loop;
    mf_error why;

    if (mf_timer_start(loop, &me->timer, mf_loop_now_us(loop) + in_us) == MF_OK)
        return;
    mf_error_set(&why, MF_ENOMEM, "migration: %s", mf_strerror(MF_ENOMEM));
    mf__migration_fail(me->migration, &why);
}

static void on_timer(void *arg)
{
    mf__side *me = arg;

    if (me->left || me->leaving)
        return;
    if (!me->joined) {
        join(me);
    } else if (!me->renewing) {
        me->renewing = true;
        me->broker->operations->renew(me->broker, &me->renew);
    }
}

static void on_renewed(mf_request *request)
{
    mf__side *me = request->arg;

    me->renewing = false;
    if (request->error.code == MF_OK && me->joined)
        start_timer(me, me->session.lease_ms * 1000 / 3);
    else if (request->error.code != MF_OK)
        mf__side_lost(me, me->session.epoch);
    mf__migration_go_on(me->migration);
}

/* A holder that goes on renewing lives; one that does not is what a dead migrator has left. */
static void wait_for_holder(mf__side *me)
{
    int64_t now = mf_loop_now_us(me->broker->loop);
    int64_t lapse = now + me->join.remaining_ms * 1000;

    if (strcmp(me->holder, me->join.holder) != 0) {
        memcpy(me->holder, me->join.holder, sizeof me->holder);
        me->holder_lapse_us = lapse;
        me->holder_renewals = 0;
    } else if (lapse > me->holder_lapse_us + HOLDER_SLACK_US) {
        me->holder_lapse_us = lapse;
        me->holder_renewals++;
    }
    if (me->holder_renewals >= renewals_of_life)
        mf__migration_fail(me->migration, &me->join.request.error);
    else
        start_timer(me, me->join.remaining_ms * 1000 < HOLDER_POLL_US
                            ? me->join.remaining_ms * 1000 + 10000
                            : HOLDER_POLL_US);
}

static void on_joined(mf_request *request)
{
    mf__side *me = request->arg;

    me->joining = false;
    if (request->error.code == MF_OK) {
        me->joined = true;
        me->holder[0] = '\0';
        start_timer(me, me->session.lease_ms * 1000 / 3);
    } else if (request->error.code == MF_ENAMEINUSE) {
        wait_for_holder(me);
    } else if (mf_error_is_transient(request->error.code)) {
        start_timer(me, REJOIN_US);
    } else {
        mf__migration_fail(me->migration, &request->error);
    }
    mf__migration_go_on(me->migration);
}

void mf__side_lost(mf__side *me, uint64_t epoch)
{
    if (!me->joined || epoch != me->session.epoch)
        return;
    me->joined = false;
    me->migration->statistics.breaks++;
    start_timer(me, REJOIN_US / 4);
}

static void on_left(mf_request *request)
{
    mf__side *me = request->arg;

    me->leaving = false;
    me->left = true;
    mf__migration_go_on(me->migration);
}

/* A session that cannot leave lapses. */
void mf__side_leave(mf__side *me)
{
    if (me->left || me->leaving)
        return;
    mf_timer_stop(me->broker->loop, &me->timer);
    if (!me->joined) {
        me->left = !me->joining;
        return;
    }
    me->joined = false;
    me->leaving = true;
    me->broker->operations->leave(me->broker, &me->leave);
}

bool mf__side_is_idle(const mf__side *me)
{
    return me->left && !me->joining && !me->renewing && !me->leaving;
}

/* Hints. */

static mf__side *side_of(mf_watcher *watcher)
{
    return (mf__side *)(void *)((char *)watcher - offsetof(mf__side, watcher));
}

static void on_link(mf_watcher *watcher, bool up, const mf_error *why)
{
    mf__side *me = side_of(watcher);

    (void)why;
    me->up = up;
    if (!up)
        mf__side_lost(me, me->session.epoch);
    else if (!me->joined)
        join(me);
    mf__migration_go_on(me->migration);
}

static void on_resync(mf_watcher *watcher)
{
    mf__migration_go_on(side_of(watcher)->migration);
}

static void on_claimable(mf_watcher *watcher, const char *const *ids, size_t count)
{
    mf__side *me = side_of(watcher);

    if (me == me->migration->source)
        mf__scan_heard(me->migration, ids, count);
}

static void on_ids(mf_watcher *watcher, const char *const *ids, size_t count)
{
    (void)watcher;
    (void)ids;
    (void)count;
}

static void on_command(mf_watcher *watcher)
{
    (void)watcher;
}

static void make_token(mf_loop *loop, char token[33])
{
    snprintf(token, 33, "%016llx%016llx", (unsigned long long)mf_loop_random(loop),
             (unsigned long long)mf_loop_random(loop));
}

void mf__side_open(mf__side *me, mf_migration *migration, mf_broker *broker)
{
    *me = (mf__side){.migration = migration, .broker = broker};
    me->session = (mf_session){.node = MF_HOLD_NODE, .lease_ms = migration->lease_ms};
    make_token(broker->loop, me->session.token);
    me->join =
        (mf_join_request){.request = {.done = on_joined, .arg = me}, .session = &me->session};
    me->renew =
        (mf_renew_request){.request = {.done = on_renewed, .arg = me}, .session = &me->session};
    me->leave =
        (mf_session_request){.request = {.done = on_left, .arg = me}, .session = &me->session};
    me->watcher = (mf_watcher){.token = me->session.token,
                               .link = on_link,
                               .resync = on_resync,
                               .claimable = on_claimable,
                               .taken = on_ids,
                               .removed = on_ids,
                               .command = on_command};
    mf_timer_init(&me->timer, on_timer, me);
    broker->operations->watch(broker, &me->watcher);
}
