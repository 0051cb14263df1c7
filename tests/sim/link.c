/* A faulty network between a node and the embedded broker: the connection. */
#include "link.h"

#include <stdlib.h>

#include "link_internal.h"

static const int64_t reconnect_us = 100000;
/* What a cut leaves in some buffer arrives within this time, or never. */
static const int64_t latest_us = 8000000;
/* But what a dead process has left, within this time. */
static const int64_t buffer_life_us = 200000;

static faulty_link *self(mf_broker *broker)
{
    return (faulty_link *)broker;
}

static int64_t network_now(const faulty_link *l)
{
    return mf_loop_now_us(l->options.network_loop);
}

static int64_t node_now(const faulty_link *l)
{
    return mf_loop_now_us(l->options.node_loop);
}

void link_release(faulty_link *l)
{
    l->alive--;
    if (l->closing && l->alive == 0)
        mf_defer(l->options.network_loop, &l->closed_call);
}

static void unlink_message(message *m)
{
    message **at = &m->link->messages;

    while (*at != NULL && *at != m)
        at = &(*at)->next;
    if (*at == m)
        *at = m->next;
}

/* The way of a message: asked, delivered, decided, answered. Each way keeps its
 * order. */

static void arm_reply_timer(faulty_link *l);

/* A stream with a hole in it delivers nothing more. */
static bool is_swallowed(faulty_link *l, int way)
{
    l->gap |= l->partitioned & way;
    return (l->gap & way) != 0;
}

static void travel(message *m, void (*arrives)(void *arg), int64_t longest_us, int64_t *last_us)
{
    faulty_link *l = m->link;
    int64_t at = network_now(l) + link_random_below(l, longest_us);

    if (at <= *last_us)
        at = *last_us + 1; /* timers that are due at one time fire in no particular order */
    *last_us = at;
    mf_timer_init(&m->timer, arrives, m);
    mf_timer_start(l->options.network_loop, &m->timer, at);
}

/* On the node's loop: while it is paused, answers wait as they would in a
 * socket's buffer. */
static void hand_over(void *arg)
{
    message *m = arg;
    faulty_link *l = m->link;
    mf_request *original = m->original;

    if (original != NULL) {
        unlink_message(m);
        message_copy_out(m);
        if (l->options.hooks.reaches_node != NULL)
            l->options.hooks.reaches_node(l->options.hooks.arg, m->what, original);
        original->done(original);
        arm_reply_timer(l);
    }
    message_free(m);
}

static void on_request_arrives(void *arg);

static void on_answer_arrives(void *arg)
{
    message *m = arg;
    faulty_link *l = m->link;

    if (m->original == NULL && m->again) {
        m->again = false;
        message_forget(m);
        travel(m, on_request_arrives, latest_us, &(int64_t){0});
    } else if (m->original == NULL) {
        message_free(m);
    } else if (m->answer_lost || is_swallowed(l, LINK_TO_NODE)) {
        m->answer_lost = true;
    } else {
        mf_loop_post(l->options.node_loop, hand_over, m);
    }
}

static void on_decided(mf_request *request)
{
    message *m = request->arg;
    faulty_link *l = m->link;
    const link_hooks *hooks = &l->options.hooks;

    message_keep(m);
    if (hooks->decided != NULL)
        hooks->decided(hooks->arg, m->what, request);
    if (hooks->leaves_broker != NULL)
        hooks->leaves_broker(hooks->arg, m->what, request);
    travel(m, on_answer_arrives, l->options.delay_us, &l->last_answer_us);
}

/* Whether it has to wait until the broker has dealt with it and all before it. */
static bool is_queued(message *m)
{
    faulty_link *l = m->link;
    link_service *service = l->options.service;

    if (service == NULL || m->served)
        return false;
    m->served = true;
    if (service->busy_until_us < network_now(l))
        service->busy_until_us = network_now(l);
    service->busy_until_us +=
        service->request_us + service->item_us * (int64_t)link_items(m->what, &m->copy.head);
    mf_timer_start(l->options.network_loop, &m->timer, service->busy_until_us);
    return true;
}

static void on_request_arrives(void *arg)
{
    message *m = arg;
    faulty_link *l = m->link;
    bool late = m->original == NULL;

    if (late && l->buried_us != 0 && m->timer.due_us > l->buried_us + buffer_life_us) {
        message_free(m);
        return;
    }
    if (!late && is_swallowed(l, LINK_TO_BROKER)) {
        m->answer_lost = true;
        return;
    }
    if (is_queued(m))
        return;
    m->delivered = true;
    m->copy.head.done = on_decided;
    m->copy.head.arg = m;
    if (l->options.hooks.reaches_broker != NULL)
        l->options.hooks.reaches_broker(l->options.hooks.arg, m->what, &m->copy.head);
    if ((l->unwilling & 1u << m->what) != 0) {
        mf_error_set(&m->copy.head.error, MF_EREFUSED, "the broker takes no writes");
        on_decided(&m->copy.head);
        return;
    }
    message_deliver(m, l->options.inner);
}

static void on_refused(void *arg)
{
    message *m = arg;

    mf_error_set(&m->original->error, MF_EUNREACHABLE, "the link is down");
    m->original->done(m->original);
    message_free(m);
}

static void ask(mf_broker *broker, verb what, mf_request *request)
{
    faulty_link *l = self(broker);
    message *m = calloc(1, sizeof *m);
    message **last = &l->messages;

    *m = (message){.link = l, .what = what, .original = request};
    l->alive++;
    m->asked_us = request->sent_us = node_now(l);
    if (l->options.hooks.leaves_node != NULL)
        l->options.hooks.leaves_node(l->options.hooks.arg, what, request);
    if (!l->up || l->closing) {
        mf_loop_post(l->options.node_loop, on_refused, m);
        return;
    }
    message_copy_in(m);
    while (*last != NULL)
        last = &(*last)->next;
    *last = m;
    travel(m, on_request_arrives, l->options.delay_us, &l->last_delivery_us);
    arm_reply_timer(l);
}

#define ASK(name, type, what)                          \
    static void name(mf_broker *broker, type *request) \
    {                                                  \
        ask(broker, what, &request->request);          \
    }
ASK(ask_join, mf_join_request, VERB_JOIN)
ASK(ask_leave, mf_session_request, VERB_LEAVE)
ASK(ask_renew, mf_renew_request, VERB_RENEW)
ASK(ask_claim, mf_claims_request, VERB_CLAIM)
ASK(ask_release, mf_claims_request, VERB_RELEASE)
ASK(ask_done, mf_claims_request, VERB_DONE)
ASK(ask_claimable, mf_page_request, VERB_CLAIMABLE)
ASK(ask_receive, mf_receive_request, VERB_RECEIVE)
ASK(ask_nodes, mf_nodes_request, VERB_NODES)
ASK(ask_submit, mf_items_request, VERB_SUBMIT)
ASK(ask_remove, mf_items_request, VERB_REMOVE)
ASK(ask_send, mf_send_request, VERB_SEND)
ASK(ask_load, mf_load_request, VERB_LOAD)
ASK(ask_store, mf_store_request, VERB_STORE)
ASK(ask_mail, mf_mail_request, VERB_MAIL)
ASK(ask_tell, mf_items_request, VERB_TELL)
ASK(ask_forget, mf_items_request, VERB_FORGET)
ASK(ask_held, mf_held_request, VERB_HELD)
#undef ASK

/* Breaking and healing. */

/* Whether a request that was on its way still arrives. Those behind a lost one
 * are lost as well: a connection delivers a beginning of what was sent.
 * Something between the ends may also deliver it once more than it was sent. */
static void break_message(faulty_link *l, message *m, bool *lost)
{
    if (m->delivered && l->options.hooks.answer_lost != NULL)
        l->options.hooks.answer_lost(l->options.hooks.arg, m->what);
    m->original = NULL;
    m->again = link_random_below(l, 3) == 0;
    if (m->answer_lost) {
        mf_timer_stop(l->options.network_loop, &m->timer);
        message_free(m);
    } else if (!m->delivered) {
        *lost = *lost || link_random_below(l, 1) == 0;
        mf_timer_stop(l->options.network_loop, &m->timer);
        if (*lost)
            message_free(m);
        else
            travel(m, on_request_arrives, latest_us, &l->last_delivery_us);
    }
}

static void reconnect_soon(faulty_link *l)
{
    mf_timer_start(l->options.node_loop, &l->reconnect_timer, node_now(l) + reconnect_us);
}

static void go_down(faulty_link *l, const char *why)
{
    mf_error error;
    bool lost = (l->gap & LINK_TO_BROKER) != 0;

    if (!l->up)
        return;
    l->up = false;
    mf_timer_stop(l->options.node_loop, &l->reply_timer);
    mf_error_set(&error, MF_EUNKNOWN, "%s", why);
    while (l->messages != NULL) {
        message *m = l->messages;
        mf_request *original = m->original;
        l->messages = m->next;
        break_message(l, m, &lost);
        original->error = error;
        original->done(original);
    }
    l->last_delivery_us = 0; /* the next connection's requests do not wait for the late ones */
    if (l->watcher != NULL)
        l->watcher->link(l->watcher, false, &error);
    reconnect_soon(l);
}

static void arm_reply_timer(faulty_link *l)
{
    if (l->messages == NULL || !l->up)
        mf_timer_stop(l->options.node_loop, &l->reply_timer);
    else
        mf_timer_start(l->options.node_loop, &l->reply_timer,
                       l->messages->asked_us + l->options.reply_timeout_us);
}

static void on_reply_overdue(void *arg)
{
    go_down(arg, "no reply");
}

static void on_reconnect(void *arg)
{
    faulty_link *l = arg;

    if (l->closing)
        return;
    if (l->partitioned != 0 || l->refused) {
        reconnect_soon(l);
        return;
    }
    l->up = true;
    l->gap = 0;
    if (l->watcher != NULL)
        l->watcher->link(l->watcher, true, NULL);
    link_tell_resync(l);
}

static void on_resync_posted(void *arg)
{
    link_tell_resync(arg);
    link_release(arg);
}

void link_resync(mf_broker *broker)
{
    self(broker)->alive++;
    mf_loop_post(self(broker)->options.node_loop, on_resync_posted, self(broker));
}

static void on_cut_posted(void *arg)
{
    faulty_link *l = arg;

    go_down(l, "connection cut");
    link_release(l);
}

void link_cut(mf_broker *broker)
{
    self(broker)->alive++;
    mf_loop_post(self(broker)->options.node_loop, on_cut_posted, self(broker));
}

void link_partition(mf_broker *broker, int ways)
{
    self(broker)->partitioned = ways;
}

void link_refuse(mf_broker *broker, bool refused)
{
    self(broker)->refused = refused;
    if (refused)
        link_cut(broker);
}

void link_set_unwilling(mf_broker *broker, unsigned kinds)
{
    self(broker)->unwilling = kinds;
}

void link_bury(mf_broker *broker)
{
    self(broker)->buried_us = network_now(self(broker));
}

void link_set_hint_loss(mf_broker *broker, double share)
{
    self(broker)->options.hint_loss = share;
}

/* Opening and closing. */

static void on_closed_call(void *arg)
{
    faulty_link *l = arg;
    void (*closed)(void *) = l->closed;
    void *closed_arg = l->closed_arg;

    mf_broker_close(l->options.inner, NULL, NULL);
    free(l);
    if (closed != NULL)
        closed(closed_arg);
}

static void close_link(mf_broker *broker, void (*closed)(void *arg), void *arg)
{
    faulty_link *l = self(broker);

    l->closed = closed;
    l->closed_arg = arg;
    go_down(l, "closing");
    l->closing = true;
    mf_timer_stop(l->options.node_loop, &l->reconnect_timer);
    l->alive++;
    link_release(l);
}

static const mf_broker_operations operations = {
    .version = MF_DRIVER_VERSION,
    .close = close_link,
    .watch = link_watch,
    .unwatch = link_unwatch,
    .join = ask_join,
    .leave = ask_leave,
    .renew = ask_renew,
    .claim = ask_claim,
    .release = ask_release,
    .done = ask_done,
    .claimable = ask_claimable,
    .receive = ask_receive,
    .submit = ask_submit,
    .remove = ask_remove,
    .nodes = ask_nodes,
    .send = ask_send,
    .load = ask_load,
    .store = ask_store,
    .mail = ask_mail,
    .tell = ask_tell,
    .forget = ask_forget,
    .held = ask_held,
};

mf_broker *link_new(const link_options *options)
{
    faulty_link *l = calloc(1, sizeof *l);

    l->broker = *options->inner;
    l->broker.operations = &operations;
    l->broker.loop = options->node_loop;
    l->options = *options;
    l->up = true;
    mf_timer_init(&l->reply_timer, on_reply_overdue, l);
    mf_timer_init(&l->reconnect_timer, on_reconnect, l);
    mf_deferred_init(&l->closed_call, on_closed_call, l);
    link_hints_init(l);
    return &l->broker;
}
