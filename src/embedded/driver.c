/* The embedded driver: handles of the in-memory broker on their loops.
 *
 * A request is carried out at once and answered when the present callback has
 * returned. Hints come from other threads as one posted call for all that has
 * gathered. A handle that closes leaves the store first, so that nothing is
 * posted to its loop any more, then waits for the call that may be on its way.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "embedded/store.h"

enum { max_batch = 1000, max_lease = 1000 };

typedef struct mf_embedded {
    mf_broker broker;
    mf_listener listener;
    mf__embedded_store *store;
    mf_domain *domain;
    mf_request *answered, **answered_last;
    mf_watcher *watchers, *fresh; /* fresh: not told of the link yet */
    mf_watcher *visiting, *visit_next;
    mf_deferred answer, greet, finish;
    mf_timer alarm;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
} mf_embedded;

static mf_embedded *self(mf_broker *broker)
{
    return (mf_embedded *)broker;
}

/* Expiry. */

/* The store's clock and the loop's may run at different rates: an alarm that
 * comes too early finds nothing due and is set again. */
static void tend(void *arg)
{
    mf_embedded *me = arg;
    int64_t left_us = mf__store_tend(me->domain, &me->listener);
    if (left_us == INT64_MAX)
        mf_timer_stop(me->broker.loop, &me->alarm);
    else
        (void)mf_timer_start(me->broker.loop, &me->alarm,
                             mf_loop_now_us(me->broker.loop) + left_us + 1);
}

/* Requests. */

static void give_answers(void *arg)
{
    mf_embedded *me = arg;
    mf_request *request = me->answered;

    me->answered = NULL;
    me->answered_last = &me->answered;
    while (request != NULL) {
        mf_request *next = request->next;
        /* The core may free the request in done, but what it was given lives until
         * then. */
        mf_request kept = {.driver = request->driver};
        request->driver = NULL;
        request->done(request);
        mf__answer_free(&kept);
        request = next;
    }
}

static void perform(mf_broker *broker, mf_request *request, mf_operation operation)
{
    mf_embedded *me = self(broker);

    request->next = NULL;
    request->driver = NULL;
    request->tag = operation;
    request->sent_us = mf_loop_now_us(broker->loop);
    if (me->closing)
        mf__space_answer(request, MF_ECLOSED);
    else if (mf__store_apply(me->domain, &me->listener, request))
        tend(me);
    *me->answered_last = request;
    me->answered_last = &request->next;
    mf_defer(broker->loop, &me->answer);
}

#define SLOT(slot, type, operation)                    \
    static void slot(mf_broker *broker, type *request) \
    {                                                  \
        perform(broker, &request->request, operation); \
    }

SLOT(join, mf_join_request, MF_JOIN)
SLOT(leave, mf_session_request, MF_LEAVE)
SLOT(renew, mf_renew_request, MF_RENEW)
SLOT(claim, mf_claims_request, MF_CLAIM)
SLOT(give_back, mf_claims_request, MF_GIVE_BACK)
SLOT(done, mf_claims_request, MF_FINISH)
SLOT(claimable, mf_page_request, MF_LIST_CLAIMABLE)
SLOT(receive, mf_receive_request, MF_RECEIVE)
SLOT(submit, mf_items_request, MF_SUBMIT)
SLOT(remove_tasks, mf_items_request, MF_REMOVE)
SLOT(tasks, mf_page_request, MF_LIST_TASKS)
SLOT(lookup, mf_lookup_request, MF_LOOKUP)
SLOT(nodes, mf_nodes_request, MF_LIST_NODES)
SLOT(send_command, mf_send_request, MF_SEND)
SLOT(load, mf_load_request, MF_LOAD)
SLOT(store, mf_store_request, MF_STORE)
SLOT(mail, mf_mail_request, MF_MAIL)
SLOT(tell_tasks, mf_items_request, MF_TELL)
SLOT(forget, mf_items_request, MF_FORGET)
SLOT(states, mf_states_request, MF_LIST_STATES)
SLOT(held, mf_held_request, MF_LIST_HELD)
SLOT(hold, mf_holds_request, MF_TAKE_HOLDS)
SLOT(copy, mf_holds_request, MF_COPY)
SLOT(drop, mf_holds_request, MF_DROP_HELD)
SLOT(free_holds, mf_holds_request, MF_FREE_HOLDS)
SLOT(holds, mf_holds_page_request, MF_LIST_HOLDS)
SLOT(mark, mf_mark_request, MF_SET_MARK)
SLOT(moved, mf_mark_request, MF_READ_MARK)

/* Watchers. */

static void push(mf_watcher **list, mf_watcher *watcher)
{
    watcher->previous = NULL;
    watcher->next = *list;
    if (*list != NULL)
        (*list)->previous = watcher;
    *list = watcher;
}

static void take_out(mf_watcher **list, mf_watcher *watcher)
{
    if (watcher->previous != NULL)
        watcher->previous->next = watcher->next;
    else
        *list = watcher->next;
    if (watcher->next != NULL)
        watcher->next->previous = watcher->previous;
    watcher->next = watcher->previous = NULL;
}

static void greet(void *arg)
{
    mf_embedded *me = arg;
    mf_watcher *watcher;

    while ((watcher = me->fresh) != NULL) {
        take_out(&me->fresh, watcher);
        push(&me->watchers, watcher);
        me->visiting = watcher;
        watcher->link(watcher, true, NULL);
        if (me->visiting != NULL && watcher->resync != NULL)
            watcher->resync(watcher);
        me->visiting = NULL;
    }
}

static void watch(mf_broker *broker, mf_watcher *watcher)
{
    mf_embedded *me = self(broker);

    push(&me->fresh, watcher);
    mf__store_watch(me->domain, &me->listener, true);
    mf_defer(broker->loop, &me->greet);
}

static bool is_fresh(const mf_embedded *me, const mf_watcher *watcher)
{
    const mf_watcher *fresh = me->fresh;
    while (fresh != NULL && fresh != watcher)
        fresh = fresh->next;
    return fresh != NULL;
}

static void unwatch(mf_broker *broker, mf_watcher *watcher)
{
    mf_embedded *me = self(broker);

    if (me->visiting == watcher)
        me->visiting = NULL;
    if (me->visit_next == watcher)
        me->visit_next = watcher->next;
    take_out(is_fresh(me, watcher) ? &me->fresh : &me->watchers, watcher);
    if (me->watchers == NULL && me->fresh == NULL)
        mf__store_watch(me->domain, &me->listener, false);
}

/* The hint names nodes, this watcher's among them. */
static bool concerns(const mf_watcher *watcher, const mf_hint *hint)
{
    for (size_t i = 0; watcher->node != NULL && i < hint->count; i++)
        if (strcmp(watcher->node, hint->ids[i]) == 0)
            return true;
    return false;
}

static void tell_nodes(mf_watcher *watcher, const mf_hint *hint)
{
    for (size_t i = 0; watcher->node_changed != NULL && i < hint->count; i++) {
        mf_node node;
        bool gone;
        mf__space_read_node(hint->ids[i], &node, &gone);
        watcher->node_changed(watcher, &node, gone);
    }
}

static void tell_one(mf_watcher *watcher, const mf_hint *hint)
{
    if (watcher->claimable == NULL)
        return;
    if (hint->kind != MF_NEWS_MAIL && watcher->token != NULL &&
        strcmp(watcher->token, hint->cause) == 0)
        return;
    switch (hint->kind) {
    case MF_NEWS_NODES:
        tell_nodes(watcher, hint);
        break;
    case MF_NEWS_CLAIMABLE:
        watcher->claimable(watcher, hint->ids, hint->count);
        break;
    case MF_NEWS_TAKEN:
        watcher->taken(watcher, hint->ids, hint->count);
        break;
    case MF_NEWS_REMOVED:
        watcher->removed(watcher, hint->ids, hint->count);
        break;
    case MF_NEWS_COMMAND:
        if (concerns(watcher, hint))
            watcher->command(watcher);
        break;
    case MF_NEWS_MAIL:
        if (watcher->mail != NULL && concerns(watcher, hint))
            watcher->mail(watcher);
        break;
    case MF_NEWS_KINDS:
        break;
    }
}

/* `hint` NULL: some were missed. */
static void tell(mf_embedded *me, const mf_hint *hint)
{
    for (mf_watcher *w = me->watchers; w != NULL; w = me->visit_next) {
        me->visit_next = w->next;
        if (hint != NULL)
            tell_one(w, hint);
        else if (w->resync != NULL)
            w->resync(w);
    }
    me->visit_next = NULL;
}

static void on_notify(void *arg)
{
    mf_embedded *me = arg;
    mf_hint **hints;
    size_t count;

    if (me->closing) {
        mf_defer(me->broker.loop, &me->finish);
        return;
    }
    if (mf__store_collect(me->domain, &me->listener, &hints, &count))
        tell(me, NULL);
    for (size_t i = 0; i < count; i++) {
        tell(me, hints[i]);
        mf__hint_release(hints[i]);
    }
    free(hints);
    if (!me->closing)
        tend(me);
}

/* Opening and closing. */

static void finish(void *arg)
{
    mf_embedded *me = arg;
    void (*closed)(void *) = me->closed;
    void *closed_arg = me->closed_arg;

    while (me->answered != NULL)
        give_answers(me);
    assert(me->watchers == NULL && me->fresh == NULL);
    mf_deferred_cancel(me->broker.loop, &me->answer);
    mf_deferred_cancel(me->broker.loop, &me->greet);
    mf__embedded_store_release(me->store);
    free(me);
    if (closed != NULL)
        closed(closed_arg);
}

static void close_broker(mf_broker *broker, void (*closed)(void *arg), void *arg)
{
    mf_embedded *me = self(broker);

    assert(!me->closing);
    me->closing = true;
    me->closed = closed;
    me->closed_arg = arg;
    mf_timer_stop(broker->loop, &me->alarm);
    if (!mf__store_detach(me->domain, &me->listener))
        mf_defer(broker->loop, &me->finish);
}

static const mf_broker_operations operations = {
    .version = MF_DRIVER_VERSION,
    .close = close_broker,
    .watch = watch,
    .unwatch = unwatch,
    .join = join,
    .leave = leave,
    .renew = renew,
    .claim = claim,
    .release = give_back,
    .done = done,
    .claimable = claimable,
    .receive = receive,
    .submit = submit,
    .remove = remove_tasks,
    .tasks = tasks,
    .lookup = lookup,
    .nodes = nodes,
    .send = send_command,
    .load = load,
    .store = store,
    .mail = mail,
    .tell = tell_tasks,
    .forget = forget,
    .states = states,
    .held = held,
    .hold = hold,
    .copy = copy,
    .drop = drop,
    .free = free_holds,
    .holds = holds,
    .mark = mark,
    .moved = moved,
};

static void init(mf_embedded *me, mf_loop *loop)
{
    me->broker = (mf_broker){.driver = &mf_embedded_driver,
                             .operations = &operations,
                             .loop = loop,
                             .max_batch = max_batch,
                             .max_lease = max_lease,
                             .can_delay = true,
                             .tells_nodes = true};
    me->listener = (mf_listener){.loop = loop, .notify = on_notify, .arg = me};
    me->answered_last = &me->answered;
    mf_deferred_init(&me->answer, give_answers, me);
    mf_deferred_init(&me->greet, greet, me);
    mf_deferred_init(&me->finish, finish, me);
    mf_timer_init(&me->alarm, tend, me);
}

int mf__embedded_open(mf_broker **out, mf__embedded_store *store, const mf_broker_options *options,
                      mf_loop *loop, mf_error *error)
{
    *out = NULL;
    if (mf_check_name("name_space", options->name_space, error) != MF_OK)
        return MF_EINVAL;
    mf_embedded *me = calloc(1, sizeof *me);
    if (me == NULL)
        return mf_error_set(error, MF_ENOMEM, "no memory for a broker handle");
    init(me, loop);
    me->domain =
        mf__store_attach(store, options->name_space, mf_crash_limit(options), &me->listener);
    if (me->domain == NULL) {
        free(me);
        return mf_error_set(error, MF_ENOMEM, "no memory for a namespace");
    }
    me->store = store;
    mf__store_retain(store);
    tend(me);
    *out = &me->broker;
    return MF_OK;
}

static int check_url(const mf_url *url, mf_error *error)
{
    const mf_url_host *host = url->hosts;

    if (url->user != NULL || url->password != NULL)
        return mf_error_set(error, MF_EINVAL, "url: user: not used by embedded://");
    if (url->host_count > 1)
        return mf_error_set(error, MF_EINVAL, "url: host: embedded:// takes one name");
    if (url->host_count == 1 && host->port != 0)
        return mf_error_set(error, MF_EINVAL, "url: port: not used by embedded://");
    if (url->path[0] != 0 && strcmp(url->path, "/") != 0)
        return mf_error_set(error, MF_EINVAL, "url: path: not used by embedded://");
    return MF_OK;
}

/* "embedded://" alone is the store named "default". */
static int open_url(mf_broker **out, const char *text, const mf_broker_options *options,
                    mf_loop *loop, mf_error *error)
{
    mf_url url;
    mf_broker_options filled = *options;
    mf__embedded_store *store = NULL;

    *out = NULL;
    int code = mf_url_parse(&url, text, error);
    if (code != MF_OK)
        return code;
    code = check_url(&url, error);
    if (code == MF_OK)
        code = mf_broker_options_from_url(&filled, &url, NULL, error);
    if (code != MF_OK)
        goto out;
    store = mf__store_named(url.host_count == 1 ? url.hosts[0].host : "default");
    if (store == NULL) {
        code = mf_error_set(error, MF_ENOMEM, "no memory for a store");
        goto out;
    }
    code = mf__embedded_open(out, store, &filled, loop, error);
    mf__embedded_store_release(store);
out:
    mf_url_clear(&url);
    return code;
}

static const char *const schemes[] = {"embedded", NULL};

const mf_driver mf_embedded_driver = {
    .version = MF_DRIVER_VERSION,
    .name = "embedded",
    .schemes = schemes,
    .default_url = "embedded://",
    .open = open_url,
};
