/* Waiting for replicas.
 *
 * WAIT holds up everything behind it on its connection, so it has one of its own. What it waits for
 * are that connection's writes: a small one there, sent when a request has been answered, is behind
 * the request's own in the one stream that replicas follow, and confirmed with it. A round is such
 * a write and a WAIT, and stands for all requests that were answered before it; those answered
 * meanwhile go with the next. */
#include <stdio.h>

#include "internal.h"

enum {
    WAIT_MS = 500,         /* a round */
    LATER_US = 100000,     /* until another look, while no round can be made */
    REMEMBER_MS = 3600000, /* the small write's key */
    LOG_US = 60000000,
};

static void append_all(mf_request_list *to, mf_request_list *from)
{
    if (from->first == NULL)
        return;
    if (to->last != NULL)
        to->last->next = from->first;
    else
        to->first = from->first;
    to->last = from->last;
    *from = (mf_request_list){0};
}

static mf_request *take_first(mf_request_list *list)
{
    mf_request *request = list->first;

    list->first = request->next;
    if (list->first == NULL)
        list->last = NULL;
    return request;
}

static void fail_list(mf_redis *redis, mf_request_list *list, int code, const char *text)
{
    while (list->first != NULL) {
        mf_request *request = take_first(list);
        const mf_operation *operation = request->driver;
        if (operation->discard != NULL)
            operation->discard(redis, request);
        mf__redis_finish_later(redis, request, code, text);
    }
}

void mf__confirm_fail(mf_redis *redis, int code, const char *text)
{
    fail_list(redis, &redis->confirm.round, code, text);
    fail_list(redis, &redis->confirm.answered, code, text);
}

static void log_shortfall(mf_redis *redis, const char *text)
{
    mf_confirm *confirm = &redis->confirm;
    int64_t now = mf_loop_now_us(redis->broker.loop);

    confirm->shortfalls++;
    if (confirm->logged_us != 0 && now - confirm->logged_us < LOG_US)
        return;
    mf_log(redis->broker.loop, MF_LOG_WARN, "redis", "%s (%u times)", text, confirm->shortfalls);
    confirm->logged_us = now;
    confirm->shortfalls = 0;
}

/* What was not confirmed may be soon, when a replica starts anew; not for longer than a reply may
 * take, counted from the first shortfall: those that come later are not made to wait for as long.
 */
static void fall_short(mf_redis *redis, uint64_t replicas)
{
    mf_confirm *confirm = &redis->confirm;
    int64_t now = mf_loop_now_us(redis->broker.loop);
    char text[200];

    if (confirm->short_since_us == 0)
        confirm->short_since_us = now;
    snprintf(text, sizeof text, "%.100s: confirmed by %llu of %d replicas (wait_replicas)",
             mf__link_peer(redis->link), (unsigned long long)replicas, redis->wait_replicas);
    log_shortfall(redis, text);
    append_all(&confirm->round, &confirm->answered);
    append_all(&confirm->answered, &confirm->round);
    if (now - confirm->short_since_us >= (int64_t)redis->settings.reply_timeout_ms * 1000)
        mf__confirm_fail(redis, MF_EUNCONFIRMED, text);
}

static bool send_round(mf_redis *redis)
{
    mf_confirm *confirm = &redis->confirm;
    mf_error why;

    mf__parts_clear(&redis->parts);
    mf__redis_text(redis, "EVAL");
    mf__parts_add(&redis->parts, mf__script_confirm.plain.text, mf__script_confirm.plain.length);
    mf__redis_number(redis, 1);
    mf__redis_key(redis, MF_KEY_CONFIRMED);
    mf__redis_number(redis, REMEMBER_MS);
    bool good = mf__link_send(confirm->link, &(mf_parts){0}, &redis->parts, 1) == MF_OK;
    mf__parts_clear(&redis->parts);
    mf__redis_text(redis, "WAIT");
    mf__redis_number(redis, redis->wait_replicas);
    mf__redis_number(redis, WAIT_MS);
    good = good && mf__link_send(confirm->link, &(mf_parts){0}, &redis->parts, 1) == MF_OK;
    if (!good) {
        mf_error_set(&why, MF_ENOMEM, "redis: out of memory");
        mf__link_fail(confirm->link, &why);
    }
    return good;
}

/* A connection to another server confirms nothing, and goes to the right one. */
static bool can_ask(mf_redis *redis)
{
    mf_confirm *confirm = &redis->confirm;
    mf_error why;

    if (!redis->up || !mf__link_is_ready(redis->link) || !mf__link_is_ready(confirm->link))
        return false;
    if (mf__link_same_server(confirm->link, redis->link))
        return true;
    mf_error_set(&why, MF_EUNREACHABLE, "%s: requests go to %s now", mf__link_peer(confirm->link),
                 mf__link_peer(redis->link));
    mf__link_fail(confirm->link, &why);
    return false;
}

static void look_later(mf_redis *redis)
{
    mf_timer *timer = &redis->confirm.timer;

    if (timer->heap_slot == 0)
        mf_timer_start(redis->broker.loop, timer, mf_loop_now_us(redis->broker.loop) + LATER_US);
}

static void begin_round(mf_redis *redis)
{
    mf_confirm *confirm = &redis->confirm;

    if (confirm->asking || confirm->answered.first == NULL)
        return;
    if (!can_ask(redis)) {
        look_later(redis);
        return;
    }
    confirm->asking = true;
    confirm->wrote = false;
    append_all(&confirm->round, &confirm->answered);
    (void)send_round(redis);
}

static void on_timer(void *arg)
{
    mf_redis *redis = arg;

    if (!redis->confirm.asking && redis->confirm.answered.first != NULL && !can_ask(redis))
        fall_short(redis, 0);
    begin_round(redis);
}

/* A round's requests are taken out first: what their ends lead to may ask for more. */
static void succeed(mf_redis *redis)
{
    mf_request_list round = redis->confirm.round;

    redis->confirm.round = (mf_request_list){0};
    redis->confirm.short_since_us = 0;
    while (round.first != NULL) {
        mf_request *request = take_first(&round);
        request->done(request);
    }
}

static bool on_reply(mf_link *link, const mf_value *value, void *arg)
{
    mf_redis *redis = arg;
    mf_confirm *confirm = &redis->confirm;
    uint64_t replicas = 0;

    (void)link;
    if (!confirm->wrote) {
        confirm->wrote = true;
        confirm->refused = value->type == MF_VALUE_ERROR;
        return true;
    }
    confirm->asking = false;
    bool good = !confirm->refused && mf__value_number(value, &replicas);
    if (good && replicas >= (uint64_t)redis->wait_replicas)
        succeed(redis);
    else
        fall_short(redis, good ? replicas : 0);
    if (redis->closing)
        return true;
    if (good)
        begin_round(redis);
    else
        look_later(redis); /* what is refused comes back at once */
    return true;
}

static void on_ready(mf_link *link, void *arg)
{
    (void)link;
    begin_round(arg);
}

static void on_down(mf_link *link, const mf_error *why, void *arg)
{
    mf_redis *redis = arg;
    mf_confirm *confirm = &redis->confirm;

    (void)link;
    (void)why;
    confirm->asking = false;
    append_all(&confirm->round, &confirm->answered);
    append_all(&confirm->answered, &confirm->round);
    begin_round(redis);
}

static const mf_link_events link_events = {
    .ready = on_ready,
    .reply = on_reply,
    .down = on_down,
};

void mf__confirm(mf_redis *redis, mf_request *request)
{
    mf_request_list one = {.first = request, .last = request};

    request->next = NULL;
    append_all(&redis->confirm.answered, &one);
    begin_round(redis);
}

int mf__confirm_open(mf_redis *redis, mf_error *error)
{
    mf_timer_init(&redis->confirm.timer, on_timer, redis);
    if (redis->wait_replicas == 0)
        return MF_OK;
    return mf__link_open(&redis->confirm.link, redis->broker.loop, &redis->settings, &link_events,
                         redis, error);
}

void mf__confirm_close(mf_redis *redis)
{
    mf_timer_stop(redis->broker.loop, &redis->confirm.timer);
    if (redis->confirm.link != NULL)
        mf__link_close(redis->confirm.link);
    redis->confirm.link = NULL;
}
