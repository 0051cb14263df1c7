/* Hints: the subscribed connection, and the watchers who are told. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "server.h"

/* Telling. A watcher may go, or another come, while the list is walked. */

static void sweep(mf_hints *hints)
{
    mf_subscriber **at = &hints->subscribers;

    while (*at != NULL) {
        mf_subscriber *subscriber = *at;
        if (subscriber->watcher != NULL) {
            at = &subscriber->next;
            continue;
        }
        *at = subscriber->next;
        free(subscriber);
    }
}

static void begin_walk(mf_hints *hints)
{
    hints->walking++;
}

static void end_walk(mf_hints *hints)
{
    if (--hints->walking == 0)
        sweep(hints);
}

static void tell_down(mf_subscriber *subscriber, const mf_error *why)
{
    if (subscriber->told == MF_TOLD_DOWN)
        return;
    subscriber->told = MF_TOLD_DOWN;
    subscriber->watcher->link(subscriber->watcher, false, why);
}

/* One that wants hints at all; others are told of the link only. */
static bool wants_hints(const mf_watcher *watcher)
{
    return watcher != NULL && watcher->claimable != NULL;
}

/* Without hints a watcher is not told that the link is up; once told, it can do without. */
static void tell(mf_redis *redis, mf_subscriber *subscriber)
{
    if (!redis->up && redis->tried) {
        tell_down(subscriber, &redis->why);
    } else if (redis->up && (subscriber->subscribed || !wants_hints(subscriber->watcher))) {
        if (subscriber->told != MF_TOLD_UP) {
            subscriber->told = MF_TOLD_UP;
            subscriber->resync = wants_hints(subscriber->watcher);
            subscriber->watcher->link(subscriber->watcher, true, NULL);
        }
        if (subscriber->watcher != NULL && subscriber->resync) {
            subscriber->resync = false;
            subscriber->watcher->resync(subscriber->watcher);
        }
    } else if (redis->up && subscriber->told == MF_TOLD_NOTHING && redis->hints.failed) {
        tell_down(subscriber, &redis->hints.why);
    }
}

void mf__hints_tell(mf_redis *redis)
{
    mf_hints *hints = &redis->hints;

    begin_walk(hints);
    for (mf_subscriber *s = hints->subscribers; s != NULL; s = s->next)
        if (s->watcher != NULL && !redis->closing)
            tell(redis, s);
    end_walk(hints);
}

static void on_tell(void *arg)
{
    mf__hints_tell(arg);
}

/* Subscribing. */

static bool is_ready(const mf_hints *hints)
{
    return hints->link != NULL && mf__link_is_ready(hints->link);
}

/* "<command> <channel>..." to the server, which answers once for each channel. */
static void subscribe(mf_redis *redis, mf_subscriber *subscriber)
{
    mf_hints *hints = &redis->hints;
    const char *node = subscriber->watcher->node;
    mf_error why;

    mf__parts_clear(&redis->parts);
    mf__redis_text(redis, redis->settings.cluster ? "SSUBSCRIBE" : "SUBSCRIBE");
    mf__redis_channel(redis);
    if (node != NULL)
        mf__redis_key_of(redis, MF_PREFIX_HINTS, node);
    int channels = node != NULL ? 2 : 1;
    hints->asked += (uint64_t)channels;
    subscriber->asked = hints->asked;
    subscriber->subscribed = false;
    if (mf__link_send(hints->link, &(mf_parts){0}, &redis->parts, channels) != MF_OK) {
        mf_error_set(&why, MF_ENOMEM, "redis: out of memory");
        mf__link_fail(hints->link, &why);
    }
}

static void mark_unsubscribed(mf_hints *hints)
{
    for (mf_subscriber *s = hints->subscribers; s != NULL; s = s->next)
        s->subscribed = false;
}

/* After a failover the old server may still be there, and nothing is published on it. */
void mf__hints_follow(mf_redis *redis)
{
    mf_hints *hints = &redis->hints;
    mf_error why;

    if (!redis->up || !is_ready(hints) || mf__link_same_server(hints->link, redis->link))
        return;
    mf_error_set(&why, MF_EUNREACHABLE, "%s: requests go to %s now", mf__link_peer(hints->link),
                 mf__link_peer(redis->link));
    mark_unsubscribed(hints);
    mf__link_fail(hints->link, &why);
}

void mf__hints_direct(mf_redis *redis, const mf_endpoint *server, const mf_error *why)
{
    if (redis->hints.link != NULL)
        (void)mf__link_direct(redis->hints.link, server, why);
}

static void on_ready(mf_link *link, void *arg)
{
    mf_redis *redis = arg;
    mf_hints *hints = &redis->hints;

    hints->asked = hints->answered = hints->leaving = 0;
    mf__hints_follow(redis);
    if (!mf__link_is_ready(link))
        return;
    for (mf_subscriber *s = hints->subscribers; s != NULL; s = s->next)
        if (wants_hints(s->watcher))
            subscribe(redis, s);
}

static void on_subscribed(mf_redis *redis)
{
    mf_hints *hints = &redis->hints;

    hints->answered++;
    hints->failed = false;
    for (mf_subscriber *s = hints->subscribers; s != NULL; s = s->next)
        if (wants_hints(s->watcher) && !s->subscribed && s->asked <= hints->answered)
            s->subscribed = s->resync = true;
    mf__hints_tell(redis);
}

static void on_down(mf_link *link, const mf_error *why, void *arg)
{
    mf_redis *redis = arg;
    mf_hints *hints = &redis->hints;

    (void)link;
    hints->failed = true;
    hints->why = *why;
    mark_unsubscribed(hints);
    mf__hints_tell(redis);
}

/* Messages: "<kind> <token>", if it is known how many tasks the session holds a space and their
 * number, then an id on each further line; those of nodes are read by nodes.c. */

typedef void (*tell_fn)(mf_watcher *watcher, const char *const *ids, size_t count);

static tell_fn slot_of(const mf_watcher *watcher, const char *kind)
{
    if (strcmp(kind, "claimable") == 0)
        return watcher->claimable;
    if (strcmp(kind, "taken") == 0)
        return watcher->taken;
    if (strcmp(kind, "removed") == 0)
        return watcher->removed;
    return NULL;
}

/* The lines of the text, cut apart in place, without those that are no ids. */
static size_t split_ids(mf_redis *redis, char *text)
{
    mf_hints *hints = &redis->hints;
    size_t count = 0;
    char *line;

    while ((line = strsep(&text, "\n")) != NULL) {
        if (mf_check_task_id("", line, NULL) != MF_OK) {
            mf__redis_damage(redis, "a hint names a task by an id that is none");
            continue;
        }
        if (count == hints->ids_size) {
            size_t size = count * 2 + 64;
            const char **ids = realloc(hints->ids, size * sizeof *ids);
            if (ids == NULL)
                return count; /* hints may be lost */
            hints->ids = ids;
            hints->ids_size = size;
        }
        hints->ids[count++] = line;
    }
    return count;
}

/* All watchers caused it themselves. */
static bool is_own(const mf_hints *hints, const char *token)
{
    for (const mf_subscriber *s = hints->subscribers; s != NULL; s = s->next)
        if (wants_hints(s->watcher) &&
            (s->watcher->token == NULL || strcmp(s->watcher->token, token) != 0))
            return false;
    return true;
}

static void tell_ids(mf_redis *redis, const char *kind, const char *token, char *text)
{
    mf_hints *hints = &redis->hints;
    size_t count = split_ids(redis, text);

    begin_walk(hints);
    for (mf_subscriber *s = hints->subscribers; s != NULL && count > 0; s = s->next) {
        tell_fn slot = wants_hints(s->watcher) ? slot_of(s->watcher, kind) : NULL;
        if (slot != NULL && (s->watcher->token == NULL || strcmp(s->watcher->token, token) != 0))
            slot(s->watcher, hints->ids, count);
    }
    end_walk(hints);
}

static void on_hint(mf_redis *redis, char *text)
{
    char *kind = strsep(&text, " ");
    char *tasks = strsep(&text, "\n");
    char *token = strsep(&tasks, " ");

    if (token == NULL || text == NULL || is_own(&redis->hints, token))
        return;
    if (tasks != NULL)
        mf__nodes_counted(redis, token, strtoull(tasks, NULL, 10));
    if (strcmp(kind, "later") == 0)
        mf__reaper_later(redis, strtoll(text, NULL, 10));
    else if (strcmp(kind, "nodes") == 0)
        mf__nodes_listed(redis, text);
    else if (strcmp(kind, "joined") == 0)
        mf__nodes_joined(redis, text);
    else if (strcmp(kind, "gone") == 0)
        mf__nodes_gone(redis, token);
    else
        tell_ids(redis, kind, token, text);
}

static bool watches_nodes(const mf_watcher *watcher)
{
    return wants_hints(watcher) && watcher->node_changed != NULL;
}

void mf__hints_tell_node(mf_redis *redis, const char *token, const mf_node *node, bool gone)
{
    mf_hints *hints = &redis->hints;

    begin_walk(hints);
    for (mf_subscriber *s = hints->subscribers; s != NULL; s = s->next) {
        mf_watcher *watcher = s->watcher;
        if (watches_nodes(watcher) &&
            (watcher->token == NULL || strcmp(watcher->token, token) != 0))
            watcher->node_changed(watcher, node, gone);
    }
    end_walk(hints);
}

/* "command -" or "mail -". */
static void on_node_hint(mf_redis *redis, const char *node, const char *text)
{
    mf_hints *hints = &redis->hints;

    bool is_mail = strncmp(text, "mail ", 5) == 0;

    begin_walk(hints);
    for (mf_subscriber *s = hints->subscribers; s != NULL; s = s->next) {
        mf_watcher *watcher = s->watcher;
        if (watcher == NULL || watcher->node == NULL || strcmp(watcher->node, node) != 0)
            continue;
        if (!is_mail)
            watcher->command(watcher);
        else if (watcher->mail != NULL)
            watcher->mail(watcher);
    }
    end_walk(hints);
}

static void on_message(mf_redis *redis, const mf_value *channel, const mf_value *message)
{
    const mf_name *prefix = &redis->prefixes[MF_PREFIX_HINTS];

    if (channel->type != MF_VALUE_STRING || message->type != MF_VALUE_STRING || redis->closing)
        return;
    if (strcmp(channel->text, redis->keys[MF_KEY_HINTS].text) == 0)
        on_hint(redis, message->text);
    else if (strncmp(channel->text, prefix->text, prefix->length) == 0)
        on_node_hint(redis, channel->text + prefix->length, message->text);
}

/* A node that serves the slot no more ends its subscriptions without being asked. */
static bool on_unsubscribed(mf_hints *hints)
{
    mf_error why;

    if (hints->leaving > 0) {
        hints->leaving--;
        return true;
    }
    mf_error_set(&why, MF_EUNREACHABLE, "%s: the namespace has moved to another node",
                 mf__link_peer(hints->link));
    mf__link_fail(hints->link, &why);
    return false;
}

static void on_refused(mf_link *link, const mf_value *value)
{
    mf_server_state state;
    mf_error why;

    if (value->type != MF_VALUE_ERROR) {
        mf_error_set(&why, MF_EPROTO, "%s: subscribe: the answer is not understood",
                     mf__link_peer(link));
        mf__link_fail(link, &why);
        return;
    }
    mf__server_error("subscribe", value->text, &state, &why);
    if (state == MF_SERVER_MOVED)
        mf__link_moved(link, value->text, &why);
    else
        mf__link_fail(link, &why);
}

/* Kinds begin with an 's' in a cluster: "smessage". */
static bool on_reply(mf_link *link, const mf_value *value, void *arg)
{
    mf_redis *redis = arg;

    if (!mf__value_is_array(value, 3)) {
        on_refused(link, value);
        return true;
    }
    const mf_value *kind = &value->items[0];
    if (mf__value_equals(kind, "message") || mf__value_equals(kind, "smessage")) {
        on_message(redis, &value->items[1], &value->items[2]);
        return false;
    }
    if (mf__value_equals(kind, "unsubscribe") || mf__value_equals(kind, "sunsubscribe"))
        return on_unsubscribed(&redis->hints);
    on_subscribed(redis);
    return true;
}

static const mf_link_events link_events = {
    .ready = on_ready,
    .reply = on_reply,
    .down = on_down,
};

/* Watching. */

static mf_subscriber *find(mf_hints *hints, const mf_watcher *watcher)
{
    mf_subscriber *s = hints->subscribers;

    while (s != NULL && s->watcher != watcher)
        s = s->next;
    return s;
}

static void open_hints(mf_redis *redis, mf_subscriber *subscriber)
{
    mf_hints *hints = &redis->hints;
    mf_error error;

    if (is_ready(hints)) {
        subscribe(redis, subscriber);
    } else if (hints->link == NULL) {
        int code = mf__link_open(&hints->link, redis->broker.loop, &redis->settings, &link_events,
                                 redis, &error);
        if (code == MF_OK && redis->server.host != NULL)
            code = mf__link_direct(hints->link, &redis->server, NULL);
        hints->failed |= code != MF_OK;
        if (code != MF_OK)
            hints->why = error;
    }
}

void mf__hints_watch(mf_broker *broker, mf_watcher *watcher)
{
    mf_redis *redis = (mf_redis *)broker;
    mf_hints *hints = &redis->hints;
    mf_subscriber *subscriber = calloc(1, sizeof *subscriber);

    if (subscriber == NULL)
        abort(); /* the slot cannot fail, and a watcher that is never told waits for ever */
    subscriber->watcher = watcher;
    subscriber->next = hints->subscribers;
    hints->subscribers = subscriber;
    if (wants_hints(watcher))
        open_hints(redis, subscriber);
    if (watches_nodes(watcher))
        mf__nodes_watch(redis);
    mf_defer(broker->loop, &hints->tell);
}

static bool is_watched(const mf_hints *hints, const char *node)
{
    for (const mf_subscriber *s = hints->subscribers; s != NULL; s = s->next)
        if (s->watcher != NULL && s->watcher->node != NULL && strcmp(s->watcher->node, node) == 0)
            return true;
    return false;
}

void mf__hints_unwatch(mf_broker *broker, mf_watcher *watcher)
{
    mf_redis *redis = (mf_redis *)broker;
    mf_hints *hints = &redis->hints;
    mf_subscriber *subscriber = find(hints, watcher);

    if (subscriber == NULL)
        return;
    subscriber->watcher = NULL;
    if (watcher->node != NULL && is_ready(hints) && !is_watched(hints, watcher->node)) {
        mf__parts_clear(&redis->parts);
        mf__redis_text(redis, redis->settings.cluster ? "SUNSUBSCRIBE" : "UNSUBSCRIBE");
        mf__redis_key_of(redis, MF_PREFIX_HINTS, watcher->node);
        hints->leaving += mf__link_send(hints->link, &(mf_parts){0}, &redis->parts, 1) == MF_OK;
    }
    if (hints->walking == 0)
        sweep(hints);
}

bool mf__hints_have_session(const mf_redis *redis)
{
    for (const mf_subscriber *s = redis->hints.subscribers; s != NULL; s = s->next)
        if (s->watcher != NULL && s->watcher->token != NULL)
            return true;
    return false;
}

bool mf__hints_want_nodes(const mf_redis *redis)
{
    const mf_subscriber *s = redis->hints.subscribers;

    while (s != NULL && !watches_nodes(s->watcher))
        s = s->next;
    return s != NULL;
}

bool mf__hints_are_received(const mf_redis *redis)
{
    return is_ready(&redis->hints) && redis->hints.asked == redis->hints.answered;
}

void mf__hints_init(mf_redis *redis)
{
    mf_deferred_init(&redis->hints.tell, on_tell, redis);
}

void mf__hints_clear(mf_redis *redis)
{
    mf_hints *hints = &redis->hints;

    mf_deferred_cancel(redis->broker.loop, &hints->tell);
    if (hints->link != NULL)
        mf__link_close(hints->link);
    for (mf_subscriber *s = hints->subscribers; s != NULL; s = s->next)
        s->watcher = NULL;
    sweep(hints);
    free(hints->ids);
}
