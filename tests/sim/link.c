/* A faulty network between a node and the embedded broker. */
#include "link.h"

#include <stdlib.h>
#include <string.h>

static const int64_t reconnect_us = 100000;
/* What a cut leaves in some buffer arrives within this time, or never. */
static const int64_t latest_us = 8000000;

typedef struct message message;
typedef struct faulty_link faulty_link;

struct faulty_link {
    mf_broker broker; /* first */
    link_options options;
    mf_watcher inner_watcher;
    mf_watcher *watcher;
    mf_timer reply_timer, reconnect_timer;
    mf_deferred closed_call;
    message *messages; /* not yet answered to the node, oldest first */
    int64_t last_delivery_us, last_answer_us;
    size_t alive; /* messages and hints that still name the link */
    bool up, partitioned, closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* A request's copy on its way. `original` is NULL once the node has been answered. */
struct message {
    faulty_link *link;
    message *next;
    verb what;
    mf_request *original;
    int64_t asked_us;
    bool answer_lost;
    mf_timer timer;
    union {
        mf_request head;
        mf_join_request join;
        mf_session_request leave;
        mf_renew_request renew;
        mf_claims_request claims;
        mf_page_request page;
        mf_receive_request receive;
        mf_nodes_request nodes;
    } copy;
    mf_session session;
    mf_lease lease;
    mf_claim *claim_copies;
    mf_claim **claim_pointers;
    mf_lost_claim *lost;
    void *records;
};

static faulty_link *self(mf_broker *broker)
{
    return (faulty_link *)broker;
}

static int64_t network_now(const faulty_link *l)
{
    return mf_loop_now_us(l->options.network_loop);
}

static int64_t random_below(faulty_link *l, int64_t limit)
{
    return (int64_t)(mf_loop_random(l->options.network_loop) % (uint64_t)(limit + 1));
}

static void release_link(faulty_link *l)
{
    l->alive--;
    if (l->closing && l->alive == 0)
        mf_defer(l->options.network_loop, &l->closed_call);
}

static void free_message(message *m)
{
    faulty_link *l = m->link;
    size_t count = m->what == VERB_RENEW ? m->lease.count : m->copy.claims.count;

    if (m->claim_copies != NULL)
        for (size_t i = 0; i < count; i++) {
            free((char *)m->claim_copies[i].id);
            free(m->claim_copies[i].properties);
        }
    free(m->claim_copies);
    free(m->claim_pointers);
    free(m->lost);
    free(m->records);
    free(m);
    release_link(l);
}

static void unlink_message(message *m)
{
    message **at = &m->link->messages;

    while (*at != NULL && *at != m)
        at = &(*at)->next;
    if (*at == m)
        *at = m->next;
}

/* Copying a request on its way in. */

static void copy_claims(message *m, mf_claim *const *claims, size_t count)
{
    m->claim_copies = calloc(count + 1, sizeof *m->claim_copies);
    m->claim_pointers = calloc(count + 1, sizeof *m->claim_pointers);
    for (size_t i = 0; i < count; i++) {
        m->claim_copies[i] = (mf_claim){.id = strdup(claims[i]->id), .fence = claims[i]->fence};
        m->claim_pointers[i] = &m->claim_copies[i];
    }
}

static void copy_session(message *m, mf_session **session)
{
    m->session = **session;
    *session = &m->session;
}

static void copy_in(message *m)
{
    switch (m->what) {
    case VERB_JOIN:
        m->copy.join = *(mf_join_request *)m->original;
        copy_session(m, &m->copy.join.session);
        break;
    case VERB_LEAVE:
        m->copy.leave = *(mf_session_request *)m->original;
        copy_session(m, &m->copy.leave.session);
        break;
    case VERB_RENEW:
        m->copy.renew = *(mf_renew_request *)m->original;
        copy_session(m, &m->copy.renew.session);
        if (m->copy.renew.lease == NULL)
            break;
        copy_claims(m, m->copy.renew.lease->claims, m->copy.renew.count);
        m->lease = (mf_lease){.claims = m->claim_pointers, .count = m->copy.renew.count};
        m->lost = calloc(m->copy.renew.count + 1, sizeof *m->lost);
        m->copy.renew.lease = &m->lease;
        m->copy.renew.lost = m->lost;
        break;
    case VERB_CLAIM:
    case VERB_RELEASE:
    case VERB_DONE:
        m->copy.claims = *(mf_claims_request *)m->original;
        copy_session(m, &m->copy.claims.session);
        copy_claims(m, m->copy.claims.claims, m->copy.claims.count);
        m->copy.claims.claims = m->claim_pointers;
        break;
    case VERB_CLAIMABLE:
        m->copy.page = *(mf_page_request *)m->original;
        break;
    case VERB_RECEIVE:
        m->copy.receive = *(mf_receive_request *)m->original;
        copy_session(m, &m->copy.receive.session);
        break;
    case VERB_NODES:
        m->copy.nodes = *(mf_nodes_request *)m->original;
        break;
    }
}

/* Keeping the answer, whose records live only during the broker's call. */

static void keep_page(message *m)
{
    mf_page_request *page = &m->copy.page;
    size_t bytes = (page->count + 1) * sizeof *page->records;

    for (size_t i = 0; i < page->count; i++)
        bytes += strlen(page->records[i].id) + 1;
    mf_task_record *records = m->records = calloc(1, bytes);
    char *text = (char *)(records + page->count + 1);
    for (size_t i = 0; i < page->count; i++) {
        records[i].id = text;
        text = stpcpy(text, page->records[i].id) + 1;
    }
    page->records = records;
}

static void keep_nodes(message *m)
{
    mf_nodes_request *nodes = &m->copy.nodes;
    size_t bytes = (nodes->count + 1) * sizeof *nodes->nodes;

    for (size_t i = 0; i < nodes->count; i++)
        bytes += strlen(nodes->nodes[i].name) + 1;
    mf_node *kept = m->records = calloc(1, bytes);
    char *text = (char *)(kept + nodes->count + 1);
    for (size_t i = 0; i < nodes->count; i++) {
        kept[i] = nodes->nodes[i];
        kept[i].name = text;
        text = stpcpy(text, nodes->nodes[i].name) + 1;
    }
    nodes->nodes = kept;
}

static void keep_commands(message *m)
{
    mf_receive_request *receive = &m->copy.receive;
    size_t bytes = (receive->count + 1) * sizeof *receive->commands;

    for (size_t i = 0; i < receive->count; i++)
        bytes += receive->commands[i].length + 1;
    mf_command_record *kept = m->records = calloc(1, bytes);
    char *text = (char *)(kept + receive->count + 1);
    for (size_t i = 0; i < receive->count; i++) {
        kept[i] = receive->commands[i];
        kept[i].json = text;
        text = (char *)memcpy(text, receive->commands[i].json, kept[i].length) + kept[i].length;
    }
    receive->commands = kept;
}

/* Copying the answer out to the node. */

static void copy_out(message *m)
{
    mf_request *original = m->original;

    original->error = m->copy.head.error;
    if (original->error.code != MF_OK && original->error.code != MF_ENAMEINUSE)
        return;
    switch (m->what) {
    case VERB_JOIN: {
        mf_join_request *join = (mf_join_request *)original;
        memcpy(join->holder, m->copy.join.holder, sizeof join->holder);
        join->remaining_ms = m->copy.join.remaining_ms;
        break;
    }
    case VERB_RENEW: {
        mf_renew_request *renew = (mf_renew_request *)original;
        renew->lost_count = m->copy.renew.lost_count;
        for (size_t i = 0; i < renew->lost_count; i++)
            renew->lost[i] = m->lost[i];
        break;
    }
    case VERB_CLAIM:
    case VERB_RELEASE:
    case VERB_DONE: {
        mf_claims_request *claims = (mf_claims_request *)original;
        for (size_t i = 0; i < claims->count; i++) {
            claims->claims[i]->result = m->claim_copies[i].result;
            if (m->what != VERB_CLAIM)
                continue;
            claims->claims[i]->fence = m->claim_copies[i].fence;
            claims->claims[i]->properties = m->claim_copies[i].properties;
            m->claim_copies[i].properties = NULL;
        }
        break;
    }
    case VERB_CLAIMABLE: {
        mf_page_request *page = (mf_page_request *)original;
        memcpy(page->cursor, m->copy.page.cursor, sizeof page->cursor);
        page->records = m->copy.page.records;
        page->count = m->copy.page.count;
        break;
    }
    case VERB_RECEIVE:
        ((mf_receive_request *)original)->commands = m->copy.receive.commands;
        ((mf_receive_request *)original)->count = m->copy.receive.count;
        break;
    case VERB_NODES:
        ((mf_nodes_request *)original)->nodes = m->copy.nodes.nodes;
        ((mf_nodes_request *)original)->count = m->copy.nodes.count;
        break;
    case VERB_LEAVE:
        break;
    }
}

/* The way of a message: delivered, decided, answered. */

static void arm_reply_timer(faulty_link *l);

/* On the node's loop: while it is paused, answers wait as they would in a socket's buffer. */
static void hand_over(void *arg)
{
    message *m = arg;
    faulty_link *l = m->link;
    mf_request *original = m->original;

    if (original != NULL) {
        unlink_message(m);
        copy_out(m);
        original->done(original);
        arm_reply_timer(l);
    }
    free_message(m);
}

static void on_answer_arrives(void *arg)
{
    message *m = arg;

    if (m->original == NULL || m->answer_lost)
        free_message(m);
    else if (m->link->partitioned)
        m->answer_lost = true; /* freed when the node gives up waiting */
    else
        mf_loop_post(m->link->options.node_loop, hand_over, m);
}

static void on_decided(mf_request *request)
{
    message *m = request->arg;
    faulty_link *l = m->link;

    if (request->error.code == MF_OK) {
        if (m->what == VERB_CLAIMABLE)
            keep_page(m);
        else if (m->what == VERB_NODES)
            keep_nodes(m);
        else if (m->what == VERB_RECEIVE)
            keep_commands(m);
    }
    l->options.observer(l->options.arg, m->what, request);
    int64_t at = network_now(l) + random_below(l, l->options.delay_us);
    if (at < l->last_answer_us)
        at = l->last_answer_us;
    l->last_answer_us = at;
    mf_timer_init(&m->timer, on_answer_arrives, m);
    mf_timer_start(l->options.network_loop, &m->timer, at);
}

static void deliver(message *m)
{
    mf_broker *inner = m->link->options.inner;
    const mf_broker_operations *o = inner->operations;

    m->copy.head.done = on_decided;
    m->copy.head.arg = m;
    switch (m->what) {
    case VERB_JOIN:
        o->join(inner, &m->copy.join);
        break;
    case VERB_LEAVE:
        o->leave(inner, &m->copy.leave);
        break;
    case VERB_RENEW:
        o->renew(inner, &m->copy.renew);
        break;
    case VERB_CLAIM:
        o->claim(inner, &m->copy.claims);
        break;
    case VERB_RELEASE:
        o->release(inner, &m->copy.claims);
        break;
    case VERB_DONE:
        o->done(inner, &m->copy.claims);
        break;
    case VERB_CLAIMABLE:
        o->claimable(inner, &m->copy.page);
        break;
    case VERB_RECEIVE:
        o->receive(inner, &m->copy.receive);
        break;
    case VERB_NODES:
        o->nodes(inner, &m->copy.nodes);
        break;
    }
}

static void on_request_arrives(void *arg)
{
    message *m = arg;
    bool late = m->original == NULL;

    if (m->link->partitioned && !late)
        m->answer_lost = true; /* swallowed; freed when the node gives up waiting */
    else
        deliver(m);
}

static void on_refused(void *arg)
{
    message *m = arg;

    mf_error_set(&m->original->error, MF_EUNREACHABLE, "the link is down");
    m->original->done(m->original);
    free_message(m);
}

static void ask(mf_broker *broker, verb what, mf_request *request)
{
    faulty_link *l = self(broker);
    message *m = calloc(1, sizeof *m);
    message **last = &l->messages;

    *m = (message){.link = l, .what = what, .original = request};
    l->alive++;
    m->asked_us = request->sent_us = mf_loop_now_us(l->options.node_loop);
    if (!l->up || l->closing) {
        mf_loop_post(l->options.node_loop, on_refused, m);
        return;
    }
    copy_in(m);
    while (*last != NULL)
        last = &(*last)->next;
    *last = m;
    int64_t at = network_now(l) + random_below(l, l->options.delay_us);
    if (at < l->last_delivery_us)
        at = l->last_delivery_us;
    l->last_delivery_us = at;
    mf_timer_init(&m->timer, on_request_arrives, m);
    mf_timer_start(l->options.network_loop, &m->timer, at);
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
#undef ASK

/* Breaking and healing. */

/* Whether a request that was on its way still arrives. Those behind a lost one are lost as well:
 * a connection delivers a beginning of what was sent. */
static void break_message(faulty_link *l, message *m, bool *lost)
{
    m->original = NULL;
    if (m->answer_lost) {
        mf_timer_stop(l->options.network_loop, &m->timer);
        free_message(m);
    } else if (m->timer.fn == on_request_arrives && m->timer.heap_slot != 0) {
        *lost = *lost || random_below(l, 1) == 0;
        mf_timer_stop(l->options.network_loop, &m->timer);
        if (*lost) {
            free_message(m);
            return;
        }
        int64_t at = network_now(l) + random_below(l, latest_us);
        if (at < l->last_delivery_us)
            at = l->last_delivery_us;
        l->last_delivery_us = at;
        mf_timer_start(l->options.network_loop, &m->timer, at);
    }
}

static void go_down(faulty_link *l, const char *why)
{
    mf_error error;
    bool lost = false;

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
    mf_timer_start(l->options.node_loop, &l->reconnect_timer,
                   mf_loop_now_us(l->options.node_loop) + reconnect_us);
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
    if (l->partitioned) {
        mf_timer_start(l->options.node_loop, &l->reconnect_timer,
                       mf_loop_now_us(l->options.node_loop) + reconnect_us);
        return;
    }
    l->up = true;
    if (l->watcher != NULL) {
        l->watcher->link(l->watcher, true, NULL);
        l->watcher->resync(l->watcher);
    }
}

static void on_cut_posted(void *arg)
{
    faulty_link *l = arg;

    go_down(l, "connection cut");
    release_link(l);
}

void link_cut(mf_broker *broker)
{
    self(broker)->alive++;
    mf_loop_post(self(broker)->options.node_loop, on_cut_posted, self(broker));
}

void link_partition(mf_broker *broker, bool partitioned)
{
    self(broker)->partitioned = partitioned;
}

/* Hints travel like answers, or get lost. */

typedef struct hint {
    faulty_link *link;
    void (*tell)(mf_watcher *watcher, const char *const *ids, size_t count);
    mf_timer timer;
    size_t count;
    const char *ids[];
} hint;

static void on_hint(void *arg)
{
    hint *h = arg;
    mf_watcher *watcher = h->link->watcher;

    if (watcher != NULL && h->link->up) {
        if (h->tell != NULL)
            h->tell(watcher, h->ids, h->count);
        else
            watcher->command(watcher);
    }
    release_link(h->link);
    free(h);
}

static void on_hint_arrives(void *arg)
{
    hint *h = arg;
    mf_loop_post(h->link->options.node_loop, on_hint, h);
}

static faulty_link *of_watcher(mf_watcher *watcher)
{
    return (faulty_link *)((char *)watcher - offsetof(faulty_link, inner_watcher));
}

static void pass_on(mf_watcher *inner, const char *const *ids, size_t count,
                    void (*tell)(mf_watcher *, const char *const *, size_t))
{
    faulty_link *l = of_watcher(inner);
    size_t bytes = sizeof(hint) + count * sizeof *ids;

    if (l->partitioned || l->watcher == NULL ||
        (double)random_below(l, 999999) < l->options.hint_loss * 1e6)
        return;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(ids[i]) + 1;
    hint *h = calloc(1, bytes);
    char *text = (char *)&h->ids[count];
    *h = (hint){.link = l, .tell = tell, .count = count};
    for (size_t i = 0; i < count; i++) {
        h->ids[i] = text;
        text = stpcpy(text, ids[i]) + 1;
    }
    l->alive++;
    mf_timer_init(&h->timer, on_hint_arrives, h);
    mf_timer_start(l->options.network_loop, &h->timer,
                   network_now(l) + random_below(l, l->options.delay_us));
}

static void on_inner_claimable(mf_watcher *inner, const char *const *ids, size_t count)
{
    mf_watcher *watcher = of_watcher(inner)->watcher;
    if (watcher != NULL)
        pass_on(inner, ids, count, watcher->claimable);
}

static void on_inner_taken(mf_watcher *inner, const char *const *ids, size_t count)
{
    mf_watcher *watcher = of_watcher(inner)->watcher;
    if (watcher != NULL)
        pass_on(inner, ids, count, watcher->taken);
}

static void on_inner_removed(mf_watcher *inner, const char *const *ids, size_t count)
{
    mf_watcher *watcher = of_watcher(inner)->watcher;
    if (watcher != NULL)
        pass_on(inner, ids, count, watcher->removed);
}

static void on_inner_command(mf_watcher *inner)
{
    pass_on(inner, NULL, 0, NULL);
}

static void on_inner_link(mf_watcher *inner, bool up, const mf_error *why)
{
    (void)inner;
    (void)up;
    (void)why;
}

static void on_inner_resync(mf_watcher *inner)
{
    (void)inner;
}

static void watch(mf_broker *broker, mf_watcher *watcher)
{
    faulty_link *l = self(broker);

    l->watcher = watcher;
    l->inner_watcher = (mf_watcher){
        .node = watcher->node,
        .token = watcher->token,
        .link = on_inner_link,
        .resync = on_inner_resync,
        .claimable = on_inner_claimable,
        .taken = on_inner_taken,
        .removed = on_inner_removed,
        .command = on_inner_command,
    };
    l->options.inner->operations->watch(l->options.inner, &l->inner_watcher);
    mf_timer_start(l->options.node_loop, &l->reconnect_timer, 0);
}

static void unwatch(mf_broker *broker, mf_watcher *watcher)
{
    faulty_link *l = self(broker);

    (void)watcher;
    l->watcher = NULL;
    l->options.inner->operations->unwatch(l->options.inner, &l->inner_watcher);
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
    release_link(l);
}

static const mf_broker_operations operations = {
    .version = MF_DRIVER_VERSION,
    .close = close_link,
    .watch = watch,
    .unwatch = unwatch,
    .join = ask_join,
    .leave = ask_leave,
    .renew = ask_renew,
    .claim = ask_claim,
    .release = ask_release,
    .done = ask_done,
    .claimable = ask_claimable,
    .receive = ask_receive,
    .nodes = ask_nodes,
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
    return &l->broker;
}
