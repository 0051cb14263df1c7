/* A link before the in-process broker. */
#include "embedded_link.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WATCHERS = 8, LOOK_US = 5000, NO_CONNECTION = -1 };

/* Of all handles: the trouble, how often connections have been cut, and how slow they are. */
static atomic_int trouble;
static atomic_uint cuts;
static atomic_llong delay_us;

typedef struct embedded_link embedded_link;

typedef struct ear {
    embedded_link *link;
    mf_watcher inner; /* what the broker tells */
    mf_watcher *outer;
} ear;

typedef struct passage passage;

struct embedded_link {
    mf_broker broker; /* first */
    mf_broker *inner;
    mf_timer look;
    int64_t reply_timeout_us;
    int64_t heard_us; /* when the peer was known to answer */
    unsigned cuts;    /* those that this handle has seen */
    bool up;
    bool deaf, mute;           /* this connection has lost bytes from the broker, or to it */
    passage *lost, **lost_end; /* unanswered until the connection ends */
    ear ears[WATCHERS];
    void (*closed)(void *arg);
    void *closed_arg;
};

/* A request on its way, with what it was before the broker wrote an answer into it. */
struct passage {
    embedded_link *link;
    mf_request *request;
    passage *next;
    unsigned cuts; /* of the connection that it was sent on */
    int64_t sent_us;
    mf_timer arrival;
    void (*arrive)(passage *p); /* hands it to the broker */
    bool is_claim;
    size_t size;
    union {
        mf_request head;
        mf_join_request join;
        mf_session_request session;
        mf_renew_request renew;
        mf_claims_request claims;
        mf_page_request page;
        mf_receive_request receive;
        mf_items_request items;
        mf_lookup_request lookup;
        mf_nodes_request nodes;
        mf_send_request send;
        mf_load_request load;
        mf_store_request store;
        mf_mail_request mail;
        mf_states_request states;
        mf_held_request held;
        mf_holds_request holds;
        mf_holds_page_request holds_page;
        mf_mark_request mark;
    } before;
};

static embedded_link *self(mf_broker *broker)
{
    return (embedded_link *)broker;
}

void embedded_link_set(embedded_trouble is)
{
    atomic_store(&trouble, (int)is);
}

void embedded_link_cut(void)
{
    atomic_store(&trouble, NO_CONNECTION);
    atomic_fetch_add(&cuts, 1);
}

void embedded_link_delay(int64_t us)
{
    atomic_store(&delay_us, us);
}

/* What was lost before the trouble was over stays lost: the stream has a hole. */
static bool is_deaf(embedded_link *me)
{
    int now = atomic_load(&trouble);

    me->deaf |= now == EMBEDDED_SILENT || now == EMBEDDED_LOSE_REPLIES;
    me->mute |= now == EMBEDDED_SILENT;
    return me->deaf;
}

/* False: the connection is down, or has been cut and nobody has been told yet. */
static bool is_connected(const embedded_link *me)
{
    return me->up && me->cuts == atomic_load(&cuts);
}

/* Requests. */

static void answer(passage *p)
{
    mf_request *request = p->request;

    free(p);
    request->done(request);
}

static void keep_from(passage *p)
{
    embedded_link *me = p->link;

    p->next = NULL;
    *me->lost_end = p;
    me->lost_end = &p->next;
}

/* Takes back what the node has not been told. */
static void forget_answer(passage *p)
{
    const mf_claims_request *claims = &p->before.claims;

    memcpy(p->request, &p->before, p->size);
    for (size_t i = 0; p->is_claim && i < claims->count; i++) {
        free(claims->claims[i]->properties);
        claims->claims[i]->properties = NULL;
        claims->claims[i]->fence = 0;
        claims->claims[i]->result = MF_OK;
    }
}

static bool is_same_connection(const passage *p)
{
    return p->link->up && p->cuts == atomic_load(&cuts);
}

static void lose(passage *p)
{
    mf_error_set(&p->request->error, MF_EUNKNOWN, "the link broke");
    answer(p);
}

static void on_done(mf_request *request)
{
    passage *p = request->arg;
    embedded_link *me = p->link;
    bool same_connection = is_same_connection(p);

    if (same_connection && !is_deaf(me)) {
        request->done = p->before.head.done;
        request->arg = p->before.head.arg;
        request->sent_us = p->sent_us;
        answer(p);
        return;
    }
    forget_answer(p);
    if (same_connection) {
        keep_from(p);
        return;
    }
    lose(p);
}

static void refuse(void *arg);

static void carry(passage *p)
{
    p->request->done = on_done;
    p->request->arg = p;
    p->arrive(p);
}

static void on_arrival(void *arg)
{
    passage *p = arg;

    if (is_same_connection(p))
        carry(p);
    else
        lose(p);
}

static void pass(mf_broker *broker, mf_request *request, size_t size, bool is_claim,
                 void (*arrive)(passage *p))
{
    embedded_link *me = self(broker);
    passage *p = calloc(1, sizeof *p);
    int64_t delay = atomic_load(&delay_us);

    assert(p != NULL && size <= sizeof p->before);
    *p = (passage){
        .link = me, .request = request, .size = size, .is_claim = is_claim, .arrive = arrive};
    p->cuts = me->cuts;
    p->sent_us = mf_loop_now_us(broker->loop);
    memcpy(&p->before, request, size);
    mf_timer_init(&p->arrival, on_arrival, p);
    is_deaf(me);
    if (!is_connected(me))
        mf_loop_post(broker->loop, refuse, p);
    else if (me->mute)
        keep_from(p);
    else if (delay > 0)
        mf_timer_start(broker->loop, &p->arrival, p->sent_us + delay);
    else
        carry(p);
}

#define FORWARD(operation, type, is_claim)                                               \
    static void operation##_arrives(passage *p)                                          \
    {                                                                                    \
        mf_broker *inner = p->link->inner;                                               \
        inner->operations->operation(inner, (type *)(void *)p->request);                 \
    }                                                                                    \
    static void operation##_on(mf_broker *broker, type *request)                         \
    {                                                                                    \
        pass(broker, &request->request, sizeof *request, is_claim, operation##_arrives); \
    }

FORWARD(join, mf_join_request, false)
FORWARD(leave, mf_session_request, false)
FORWARD(renew, mf_renew_request, false)
FORWARD(claim, mf_claims_request, true)
FORWARD(release, mf_claims_request, false)
FORWARD(done, mf_claims_request, false)
FORWARD(claimable, mf_page_request, false)
FORWARD(receive, mf_receive_request, false)
FORWARD(submit, mf_items_request, false)
FORWARD(remove, mf_items_request, false)
FORWARD(tasks, mf_page_request, false)
FORWARD(lookup, mf_lookup_request, false)
FORWARD(nodes, mf_nodes_request, false)
FORWARD(send, mf_send_request, false)
FORWARD(load, mf_load_request, false)
FORWARD(store, mf_store_request, false)
FORWARD(mail, mf_mail_request, false)
FORWARD(tell, mf_items_request, false)
FORWARD(forget, mf_items_request, false)
FORWARD(states, mf_states_request, false)
FORWARD(held, mf_held_request, false)
FORWARD(hold, mf_holds_request, false)
FORWARD(copy, mf_holds_request, false)
FORWARD(drop, mf_holds_request, false)
FORWARD(free, mf_holds_request, false)
FORWARD(holds, mf_holds_page_request, false)
FORWARD(mark, mf_mark_request, false)
FORWARD(moved, mf_mark_request, false)

/* The connection. */

static void break_off(embedded_link *me)
{
    mf_error why;
    passage *p = me->lost;

    me->up = false;
    me->lost = NULL;
    me->lost_end = &me->lost;
    while (p != NULL) {
        passage *next = p->next;
        lose(p);
        p = next;
    }
    mf_error_set(&why, MF_EUNREACHABLE, "the link is down");
    for (int i = 0; i < WATCHERS; i++)
        if (me->ears[i].outer != NULL)
            me->ears[i].outer->link(me->ears[i].outer, false, &why);
}

/* The first to meet a cut: all others hear of it before the answer. */
static void refuse(void *arg)
{
    passage *p = arg;

    if (p->link->up && !is_connected(p->link))
        break_off(p->link);
    mf_error_set(&p->request->error, MF_EUNREACHABLE, "the link is down");
    answer(p);
}

/* The broker tells each watcher anew that it is there, and what it must know. */
static void connect_again(embedded_link *me)
{
    mf_broker *inner = me->inner;

    me->up = true;
    me->deaf = me->mute = false;
    me->cuts = atomic_load(&cuts);
    me->heard_us = mf_loop_now_us(me->broker.loop);
    for (int i = 0; i < WATCHERS; i++) {
        if (me->ears[i].outer == NULL)
            continue;
        inner->operations->unwatch(inner, &me->ears[i].inner);
        inner->operations->watch(inner, &me->ears[i].inner);
    }
}

static void on_look(void *arg)
{
    embedded_link *me = arg;
    int64_t now_us = mf_loop_now_us(me->broker.loop);

    mf_timer_start(me->broker.loop, &me->look, now_us + LOOK_US);
    if (!me->up && atomic_load(&trouble) == EMBEDDED_PASS)
        connect_again(me);
    else if (me->up && !is_connected(me))
        break_off(me);
    else if (me->up && !is_deaf(me))
        me->heard_us = now_us;
    else if (me->up && now_us - me->heard_us >= me->reply_timeout_us)
        break_off(me);
}

/* Hints. */

static ear *ear_of(mf_watcher *inner)
{
    return (ear *)(void *)((char *)inner - offsetof(ear, inner));
}

/* NULL: this hint is lost. */
static mf_watcher *hearer(mf_watcher *inner)
{
    ear *e = ear_of(inner);

    return is_connected(e->link) && !is_deaf(e->link) ? e->outer : NULL;
}

static void on_link(mf_watcher *inner, bool up, const mf_error *why)
{
    mf_watcher *outer = hearer(inner);
    if (outer != NULL)
        outer->link(outer, up, why);
}

static void on_resync(mf_watcher *inner)
{
    mf_watcher *outer = hearer(inner);
    if (outer != NULL)
        outer->resync(outer);
}

#define HEAR_IDS(slot)                                                             \
    static void on_##slot(mf_watcher *inner, const char *const *ids, size_t count) \
    {                                                                              \
        mf_watcher *outer = hearer(inner);                                         \
        if (outer != NULL)                                                         \
            outer->slot(outer, ids, count);                                        \
    }

HEAR_IDS(claimable)
HEAR_IDS(taken)
HEAR_IDS(removed)

static void on_command(mf_watcher *inner)
{
    mf_watcher *outer = hearer(inner);
    if (outer != NULL)
        outer->command(outer);
}

static void on_mail(mf_watcher *inner)
{
    mf_watcher *outer = hearer(inner);
    if (outer != NULL)
        outer->mail(outer);
}

static void on_node(mf_watcher *inner, const mf_node *node, bool gone)
{
    mf_watcher *outer = hearer(inner);
    if (outer != NULL)
        outer->node_changed(outer, node, gone);
}

static mf_watcher inner_watcher(const mf_watcher *outer)
{
    if (outer->claimable == NULL)
        return (mf_watcher){.link = on_link};
    return (mf_watcher){.node = outer->node,
                        .token = outer->token,
                        .link = on_link,
                        .resync = on_resync,
                        .claimable = on_claimable,
                        .taken = on_taken,
                        .removed = on_removed,
                        .command = on_command,
                        .mail = outer->mail != NULL ? on_mail : NULL,
                        .node_changed = outer->node_changed != NULL ? on_node : NULL};
}

static void watch(mf_broker *broker, mf_watcher *watcher)
{
    embedded_link *me = self(broker);
    int i = 0;

    while (me->ears[i].outer != NULL) {
        i++;
        assert(i < WATCHERS);
    }
    me->ears[i] = (ear){.link = me, .inner = inner_watcher(watcher), .outer = watcher};
    me->inner->operations->watch(me->inner, &me->ears[i].inner);
}

static void unwatch(mf_broker *broker, mf_watcher *watcher)
{
    embedded_link *me = self(broker);

    for (int i = 0; i < WATCHERS; i++) {
        if (me->ears[i].outer != watcher)
            continue;
        me->inner->operations->unwatch(me->inner, &me->ears[i].inner);
        me->ears[i].outer = NULL;
    }
}

/* Beginning and end. */

static void on_closed(void *arg)
{
    embedded_link *me = arg;
    void (*closed)(void *arg) = me->closed;
    void *closed_arg = me->closed_arg;

    free(me);
    if (closed != NULL)
        closed(closed_arg);
}

static void close_inner(void *arg)
{
    embedded_link *me = arg;

    break_off(me);
    me->inner->operations->close(me->inner, on_closed, me);
}

static void close_link(mf_broker *broker, void (*closed)(void *arg), void *arg)
{
    embedded_link *me = self(broker);

    me->closed = closed;
    me->closed_arg = arg;
    mf_timer_stop(broker->loop, &me->look);
    mf_loop_post(broker->loop, close_inner, me);
}

static const mf_broker_operations operations = {
    .version = MF_DRIVER_VERSION,
    .close = close_link,
    .watch = watch,
    .unwatch = unwatch,
    .join = join_on,
    .leave = leave_on,
    .renew = renew_on,
    .claim = claim_on,
    .release = release_on,
    .done = done_on,
    .claimable = claimable_on,
    .receive = receive_on,
    .submit = submit_on,
    .remove = remove_on,
    .tasks = tasks_on,
    .lookup = lookup_on,
    .nodes = nodes_on,
    .send = send_on,
    .load = load_on,
    .store = store_on,
    .mail = mail_on,
    .tell = tell_on,
    .forget = forget_on,
    .states = states_on,
    .held = held_on,
    .hold = hold_on,
    .copy = copy_on,
    .drop = drop_on,
    .free = free_on,
    .holds = holds_on,
    .mark = mark_on,
    .moved = moved_on,
};

mf_broker *embedded_link_before(mf_broker *inner, int64_t reply_timeout_ms)
{
    embedded_link *me = calloc(1, sizeof *me);

    assert(me != NULL);
    me->broker = *inner;
    me->broker.operations = &operations;
    me->inner = inner;
    me->lost_end = &me->lost;
    me->reply_timeout_us = reply_timeout_ms * 1000;
    me->up = atomic_load(&trouble) == EMBEDDED_PASS;
    me->cuts = atomic_load(&cuts);
    me->heard_us = mf_loop_now_us(inner->loop);
    mf_timer_init(&me->look, on_look, me);
    mf_timer_start(inner->loop, &me->look, me->heard_us + LOOK_US);
    return &me->broker;
}

static int reply_timeout_ms(const char *text, const mf_broker_options *options, int64_t *ms,
                            mf_error *error)
{
    mf_broker_options with = *options;
    mf_url url;
    int code = mf_url_parse(&url, text, error);

    if (code != MF_OK)
        return code;
    code = mf_broker_options_from_url(&with, &url, NULL, error);
    *ms = with.reply_timeout_ms;
    mf_url_clear(&url);
    return code;
}

static int open_link(mf_broker **out, const char *url, const mf_broker_options *options,
                     mf_loop *loop, mf_error *error)
{
    static const char troubled[] = "troubled:";
    char plain[512];
    int64_t timeout_ms;

    if (strncmp(url, troubled, strlen(troubled)) != 0)
        return mf_embedded_driver.open(out, url, options, loop, error);
    snprintf(plain, sizeof plain, "embedded:%s", url + strlen(troubled));
    int code = reply_timeout_ms(plain, options, &timeout_ms, error);
    if (code == MF_OK)
        code = mf_embedded_driver.open(out, plain, options, loop, error);
    if (code == MF_OK)
        *out = embedded_link_before(*out, timeout_ms);
    return code;
}

static const char *const schemes[] = {"embedded", "troubled", NULL};

const mf_driver embedded_link_driver = {
    .version = MF_DRIVER_VERSION,
    .name = "embedded",
    .schemes = schemes,
    .default_url = "embedded://",
    .open = open_link,
};
