/* Hints on their way from the broker to a node: they travel like answers, or
 * get lost. */
#include <stdlib.h>
#include <string.h>

#include "link_internal.h"

struct hint {
    hint *next;
    void (*tell)(mf_watcher *watcher, const char *const *ids, size_t count);
    mf_node node; /* what has become of it, when that is the hint */
    bool is_node, gone, is_mail;
    int64_t due_us;
    size_t count;
    const char *ids[];
};

static void append(hint **first, hint **last, hint *h)
{
    h->next = NULL;
    if (*first == NULL)
        *first = h;
    else
        (*last)->next = h;
    *last = h;
}

static hint *take_first(hint **first)
{
    hint *h = *first;

    *first = h->next;
    return h;
}

static void report(faulty_link *l, link_hint what, const char *const *ids, size_t count)
{
    if (l->options.hooks.hinted != NULL)
        l->options.hooks.hinted(l->options.hooks.arg, what, ids, count);
}

static void tell_ids(faulty_link *l, const hint *h)
{
    if (h->tell == l->watcher->claimable)
        report(l, HINT_CLAIMABLE, h->ids, h->count);
    else if (h->tell == l->watcher->removed)
        report(l, HINT_REMOVED, h->ids, h->count);
    h->tell(l->watcher, h->ids, h->count);
}

static void tell(faulty_link *l, const hint *h)
{
    mf_watcher *watcher = l->watcher;

    if (h->is_node) {
        watcher->node_changed(watcher, &h->node, h->gone);
    } else if (h->tell != NULL) {
        tell_ids(l, h);
    } else if (!h->is_mail) {
        report(l, HINT_COMMAND, NULL, 0);
        watcher->command(watcher);
    } else if (watcher->mail != NULL) {
        report(l, HINT_MAIL, NULL, 0);
        watcher->mail(watcher);
    }
}

void link_tell_resync(faulty_link *l)
{
    if (l->watcher == NULL || l->watcher->resync == NULL || !l->up)
        return;
    report(l, HINT_RESYNC, NULL, 0);
    l->watcher->resync(l->watcher);
}

static void on_hints(void *arg)
{
    faulty_link *l = arg;

    while (l->arrived_hints != NULL) {
        hint *h = take_first(&l->arrived_hints);
        if (l->watcher != NULL && l->up)
            tell(l, h);
        free(h);
    }
    link_release(l);
}

static void on_hints_due(void *arg)
{
    faulty_link *l = arg;
    int64_t now = mf_loop_now_us(l->options.network_loop);

    if (l->arrived_hints == NULL)
        mf_loop_post(l->options.node_loop, on_hints, l);
    else
        link_release(l); /* the call that is under way will see them */
    while (l->hints != NULL && l->hints->due_us <= now)
        append(&l->arrived_hints, &l->last_arrived, take_first(&l->hints));
    if (l->hints == NULL)
        return;
    l->alive++;
    mf_timer_start(l->options.network_loop, &l->hint_timer, l->hints->due_us);
}

void link_hints_init(faulty_link *l)
{
    mf_timer_init(&l->hint_timer, on_hints_due, l);
}

static faulty_link *of_watcher(mf_watcher *watcher)
{
    return (faulty_link *)((char *)watcher - offsetof(faulty_link, inner_watcher));
}

static bool gets_lost(faulty_link *l)
{
    return (l->partitioned & LINK_TO_NODE) != 0 || !l->up || l->watcher == NULL ||
           (double)link_random_below(l, 999999) < l->options.hint_loss * 1e6;
}

static hint *copy_hint(const char *const *ids, size_t count)
{
    size_t bytes = sizeof(hint) + count * sizeof *ids;

    for (size_t i = 0; i < count; i++)
        bytes += strlen(ids[i]) + 1;
    hint *h = calloc(1, bytes);
    char *text = (char *)&h->ids[count];
    *h = (hint){.count = count};
    for (size_t i = 0; i < count; i++) {
        h->ids[i] = text;
        text = stpcpy(text, ids[i]) + 1;
    }
    return h;
}

/* In the order in which they were told. */
static void send_hint(faulty_link *l, hint *h)
{
    mf_loop *network = l->options.network_loop;

    h->due_us = mf_loop_now_us(network) + link_random_below(l, l->options.delay_us);
    if (l->hints != NULL && h->due_us < l->last_hint->due_us)
        h->due_us = l->last_hint->due_us;
    append(&l->hints, &l->last_hint, h);
    if (l->hints != h)
        return;
    l->alive++;
    mf_timer_start(network, &l->hint_timer, h->due_us);
}

static void pass_on(mf_watcher *inner, const char *const *ids, size_t count,
                    void (*slot)(mf_watcher *, const char *const *, size_t))
{
    faulty_link *l = of_watcher(inner);

    if (gets_lost(l))
        return;
    hint *h = copy_hint(ids, count);
    h->tell = slot;
    send_hint(l, h);
}

static void on_inner_node(mf_watcher *inner, const mf_node *node, bool gone)
{
    faulty_link *l = of_watcher(inner);

    if (gets_lost(l))
        return;
    hint *h = copy_hint(&node->name, 1);
    h->is_node = true;
    h->gone = gone;
    h->node = *node;
    h->node.name = h->ids[0];
    send_hint(l, h);
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

static void on_inner_mail(mf_watcher *inner)
{
    faulty_link *l = of_watcher(inner);

    if (gets_lost(l))
        return;
    hint *h = copy_hint(NULL, 0);
    h->is_mail = true;
    send_hint(l, h);
}

static void on_inner_command(mf_watcher *inner)
{
    pass_on(inner, NULL, 0, NULL);
}

/* The inner handle's own link is the process's memory; the node is told of this
 * one. */
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

void link_watch(mf_broker *broker, mf_watcher *watcher)
{
    faulty_link *l = (faulty_link *)broker;

    l->watcher = watcher;
    l->inner_watcher = (mf_watcher){.link = on_inner_link};
    if (watcher->claimable != NULL)
        l->inner_watcher = (mf_watcher){
            .node = watcher->node,
            .token = watcher->token,
            .link = on_inner_link,
            .resync = on_inner_resync,
            .claimable = on_inner_claimable,
            .taken = on_inner_taken,
            .removed = on_inner_removed,
            .command = on_inner_command,
            .mail = on_inner_mail,
            .node_changed = on_inner_node,
        };
    l->options.inner->operations->watch(l->options.inner, &l->inner_watcher);
    mf_timer_start(l->options.node_loop, &l->reconnect_timer, 0);
}

void link_unwatch(mf_broker *broker, mf_watcher *watcher)
{
    faulty_link *l = (faulty_link *)broker;

    (void)watcher;
    l->watcher = NULL;
    l->options.inner->operations->unwatch(l->options.inner, &l->inner_watcher);
}
