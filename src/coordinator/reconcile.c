/* Reading what hints announce or may have missed: claimable tasks, commands, the live nodes. */
#include <string.h>

#include "coordinator/internal.h"

enum { page_limit = 1000, commands_limit = 64, mail_limit = 256 };

static void came_back(mf_coordinator *me, const mf_error *error, const char *what)
{
    me->in_flight--;
    if (error->code == MF_OK || mf__session_is_closing(me))
        return;
    if (mf_error_is_transient(error->code))
        mf__session_broken(me, error->code);
    else
        mf_log(me->loop, MF_LOG_ERROR, "coordinator", "cannot read %s: %s", what, error->text);
}

/* Claimable tasks, page by page. */

static void ask_page(mf_coordinator *me)
{
    me->paging = true;
    me->in_flight++;
    me->page.total = MF_TOTAL_UNKNOWN;
    me->broker->operations->claimable(me->broker, &me->page);
}

static void show_page(mf_coordinator *me)
{
    const mf_coordinator_events *events = me->events;
    const char *ids[64];
    size_t filled = 0;

    if (me->first_page && events->listing != NULL)
        events->listing(me->arg);
    me->first_page = false;
    for (size_t i = 0; i < me->page.count; i++) {
        ids[filled++] = me->page.records[i].id;
        if (filled == sizeof ids / sizeof *ids || i + 1 == me->page.count) {
            (events->listed != NULL ? events->listed : events->claimable)(me->arg, ids, filled);
            filled = 0;
        }
    }
}

/* Reads on by itself where nobody says when, and past a page with nothing on it. */
static void after_page(mf_coordinator *me)
{
    bool is_last = me->page.cursor[0] == '\0';

    if (is_last)
        me->events->reconciled(me->arg);
    if (me->events->page_shown == NULL || me->page.total == MF_TOTAL_UNKNOWN ||
        (me->page.count == 0 && !is_last))
        mf__coordinator_read_on(me);
    else
        me->events->page_shown(me->arg, me->page.total);
}

static void on_page(mf_request *request)
{
    mf_coordinator *me = request->arg;
    bool good = request->error.code == MF_OK && !mf__session_is_closing(me);

    me->paging = false;
    came_back(me, &request->error, "claimable tasks");
    if (!good)
        me->page.cursor[0] = '\0';
    else
        show_page(me);
    if (me->page_again) {
        me->page_again = false;
        mf__coordinator_reconcile(me);
    } else if (good) {
        after_page(me);
    }
    mf__request_came_back(me);
}

void mf__coordinator_read_on(mf_coordinator *me)
{
    if (!me->paging && mf__session_is_joined(me) && me->page.cursor[0] != '\0')
        ask_page(me);
}

void mf__coordinator_reconcile(mf_coordinator *me)
{
    if (me->paging) {
        me->page_again = true;
    } else if (mf__session_is_joined(me)) {
        me->page.cursor[0] = '\0';
        me->first_page = true;
        ask_page(me);
    }
}

/* Commands: read, handed on, and acknowledged by the next read. */

static void on_receive(mf_request *request)
{
    mf_coordinator *me = request->arg;
    size_t count =
        request->error.code == MF_OK && !mf__session_is_closing(me) ? me->receive.count : 0;

    me->receiving = false;
    came_back(me, &request->error, "commands");
    for (size_t i = 0; i < count; i++) {
        const mf_command_record *command = &me->receive.commands[i];
        if (command->sequence <= me->command_seen)
            continue;
        me->command_seen = command->sequence;
        me->events->command(me->arg, command->json, command->length);
    }
    if (count > 0 || me->receive_again)
        mf__reconcile_commands(me);
    mf__request_came_back(me);
}

void mf__reconcile_commands(mf_coordinator *me)
{
    if (me->receiving) {
        me->receive_again = true;
        return;
    }
    if (!mf__session_is_joined(me))
        return;
    me->receive_again = false;
    me->receiving = true;
    me->receive.acknowledged = me->command_seen;
    me->in_flight++;
    me->broker->operations->receive(me->broker, &me->receive);
}

/* Messages to tasks. */

static void on_mail(mf_request *request)
{
    mf_coordinator *me = request->arg;
    size_t count = request->error.code == MF_OK && !mf__session_is_closing(me) ? me->mail.count : 0;

    me->mailing = false;
    came_back(me, &request->error, "messages");
    for (size_t i = 0; i < count; i++) {
        const mf_mail *mail = &me->mail.mail[i];
        me->events->mail(me->arg, mail->id, mail->number, mail->json, mail->length);
    }
    if (me->mail_again || (request->error.code == MF_OK && me->mail.more))
        mf__reconcile_mail(me);
    mf__request_came_back(me);
}

void mf__reconcile_mail(mf_coordinator *me)
{
    if (!me->wants_mail)
        return;
    if (me->mailing) {
        me->mail_again = true;
        return;
    }
    if (!mf__session_is_joined(me))
        return;
    me->mail_again = false;
    me->mailing = true;
    me->in_flight++;
    me->broker->operations->mail(me->broker, &me->mail);
}

/* The live nodes. */

static void on_nodes(mf_request *request)
{
    mf_coordinator *me = request->arg;

    me->viewing = false;
    came_back(me, &request->error, "nodes");
    if (request->error.code == MF_OK && !mf__session_is_closing(me))
        me->events->view(me->arg, me->nodes.nodes, me->nodes.count);
    if (me->view_again) {
        me->view_again = false;
        mf__coordinator_refresh_view(me);
    }
    mf__request_came_back(me);
}

void mf__coordinator_refresh_view(mf_coordinator *me)
{
    if (me->viewing) {
        me->view_again = true;
    } else if (mf__session_is_joined(me)) {
        me->viewing = true;
        me->view_asked_us = mf_loop_now_us(me->loop);
        me->in_flight++;
        me->broker->operations->nodes(me->broker, &me->nodes);
    }
}

int64_t mf__coordinator_view_asked_us(const mf_coordinator *me)
{
    return me->view_asked_us;
}

void mf__reconcile_all(mf_coordinator *me)
{
    mf__coordinator_reconcile(me);
    mf__reconcile_commands(me);
    mf__reconcile_mail(me);
    mf__coordinator_refresh_view(me);
}

static void on_reconcile_timer(void *arg)
{
    mf_coordinator *me = arg;

    /* One that was not read to its end, for want of room here, goes on a little: so each page is
     * seen in the end, also by a node that wants none of those before. */
    if (me->page.cursor[0] != '\0')
        mf__coordinator_read_on(me);
    else
        mf__coordinator_reconcile(me);
    mf__reconcile_commands(me);
    mf__reconcile_mail(me);
    mf_timer_start(me->loop, &me->reconcile_timer,
                   mf_loop_now_us(me->loop) + mf__jitter(me->loop, me->reconcile_us));
}

/* Where hints tell of the nodes, only to find what was missed. */
static void start_view_timer(mf_coordinator *me)
{
    int64_t period = me->broker->tells_nodes ? me->lease_us * 4 : me->lease_us / 3;

    mf_timer_start(me->loop, &me->view_timer,
                   mf_loop_now_us(me->loop) + mf__jitter(me->loop, period));
}

static void on_view_timer(void *arg)
{
    mf_coordinator *me = arg;

    mf__coordinator_refresh_view(me);
    start_view_timer(me);
}

void mf__reconcile_start(mf_coordinator *me)
{
    int64_t now = mf_loop_now_us(me->loop);

    me->page.request = (mf_request){.done = on_page, .arg = me};
    me->page.limit = page_limit;
    me->page.may_lag = true;
    me->receive.request = (mf_request){.done = on_receive, .arg = me};
    me->receive.session = &me->session;
    me->receive.limit = commands_limit;
    me->mail.request = (mf_request){.done = on_mail, .arg = me};
    me->mail.session = &me->session;
    me->mail.limit = mail_limit;
    me->nodes.request = (mf_request){.done = on_nodes, .arg = me};
    me->nodes.may_lag = true;
    mf_timer_init(&me->reconcile_timer, on_reconcile_timer, me);
    mf_timer_init(&me->view_timer, on_view_timer, me);
    mf_timer_start(me->loop, &me->reconcile_timer, now + mf__jitter(me->loop, me->reconcile_us));
    start_view_timer(me);
}

void mf__reconcile_stop(mf_coordinator *me)
{
    mf_timer_stop(me->loop, &me->reconcile_timer);
    mf_timer_stop(me->loop, &me->view_timer);
}
