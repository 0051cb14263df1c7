/* Requests on their way: waiting, sent, finished. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "server.h"

enum {
    AS_TEXT = 1,       /* in request->tag: its script goes as text */
    AGAIN = 2,         /* it was not executed and is to be sent again */
    WAIT_FOR_MOVE = 4, /* the same, but not at once */
    DAMAGE_LINES = 20, /* a minute */
    DAMAGE_US = 60000000,
};

static const char being_dropped[] = "redis: the connection is being dropped";

static void append(mf_request_list *list, mf_request *request)
{
    request->next = NULL;
    if (list->last != NULL)
        list->last->next = request;
    else
        list->first = request;
    list->last = request;
}

static mf_request *take_first(mf_request_list *list)
{
    mf_request *request = list->first;

    list->first = request->next;
    if (list->first == NULL)
        list->last = NULL;
    return request;
}

/* Not called back from here: the caller may be inside a slot. */
void mf__redis_finish_later(mf_redis *redis, mf_request *request, int code, const char *text)
{
    mf_error_set(&request->error, code, "%s", text);
    append(&redis->finished, request);
    mf_defer(redis->broker.loop, &redis->finish);
}

void mf__redis_run_finished(void *arg)
{
    mf_redis *redis = arg;

    while (redis->finished.first != NULL) {
        mf_request *request = take_first(&redis->finished);
        request->done(request);
    }
}

/* Writing. */

void mf__redis_keys(mf_redis *redis, const mf_request *request, const char *node, const char *token)
{
    const mf_script *script = ((const mf_operation *)request->driver)->script;

    for (size_t i = 0; i < script->key_count; i++) {
        mf_key_ref key = script->keys[i];
        if (!key.is_prefix)
            mf__redis_key(redis, (mf_key)key.which);
        else if (key.which == MF_PREFIX_NODE || key.which == MF_PREFIX_COMMANDS)
            mf__redis_key_of(redis, (mf_prefix)key.which, node);
        else
            mf__redis_key_of(redis, (mf_prefix)key.which, token);
    }
}

void mf__redis_key(mf_redis *redis, mf_key key)
{
    mf__parts_add(&redis->parts, redis->keys[key].text, redis->keys[key].length);
    redis->key_parts++;
}

void mf__redis_key_of(mf_redis *redis, mf_prefix prefix, const char *name)
{
    mf__redis_key_of_bytes(redis, prefix, name, strlen(name));
}

void mf__redis_key_of_bytes(mf_redis *redis, mf_prefix prefix, const char *name, size_t length)
{
    mf__parts_add_pair(&redis->parts, redis->prefixes[prefix].text, redis->prefixes[prefix].length,
                       name, length);
    redis->key_parts++;
}

void mf__redis_text(mf_redis *redis, const char *text)
{
    mf__parts_add_text(&redis->parts, text);
}

void mf__redis_number(mf_redis *redis, int64_t number)
{
    mf__parts_add_number(&redis->parts, number);
}

void mf__redis_session(mf_redis *redis, const mf_session *session)
{
    mf__redis_text(redis, session->token);
    mf__redis_number(redis, (int64_t)session->epoch);
}

void mf__redis_channel(mf_redis *redis)
{
    mf__redis_text(redis, redis->keys[MF_KEY_HINTS].text);
}

void mf__redis_channel_of(mf_redis *redis, const char *node)
{
    const mf_name *prefix = &redis->prefixes[MF_PREFIX_HINTS];
    mf__parts_add_pair(&redis->parts, prefix->text, prefix->length, node, strlen(node));
}

void mf__redis_id_start(mf_redis *redis)
{
    mf__redis_number(redis, (int64_t)redis->prefixes[MF_PREFIX_OWNER].length + 1);
}

static void write_head(mf_redis *redis, const mf_script *script, bool as_text)
{
    mf_parts *head = &redis->head;

    mf__parts_clear(head);
    if (script == NULL)
        return;
    const mf_script_text *text = redis->settings.cluster ? &script->sharded : &script->plain;
    mf__parts_add_text(head, as_text ? "EVAL" : "EVALSHA");
    if (as_text)
        mf__parts_add(head, text->text, text->length);
    else
        mf__parts_add_text(head, text->sha);
    mf__parts_add_number(head, (int64_t)redis->key_parts);
}

static bool is_confirmed(const mf_redis *redis, const mf_operation *operation)
{
    return operation->replicated && redis->wait_replicas > 0;
}

/* Only the first time: whether a connection's server knows a script is not asked. */
static bool must_be_shown(mf_redis *redis, const mf_script *script)
{
    for (size_t i = 0; i < redis->shown_count; i++)
        if (redis->shown[i] == script)
            return false;
    if (redis->shown_count < MF_SCRIPTS_MOST)
        redis->shown[redis->shown_count++] = script;
    return true;
}

static void send_now(mf_redis *redis, mf_request *request)
{
    const mf_operation *operation = request->driver;
    bool as_text = operation->ordered || (request->tag & AS_TEXT) != 0 ||
                   must_be_shown(redis, operation->script);

    mf__parts_clear(&redis->parts);
    redis->key_parts = 0;
    operation->write(redis, request);
    write_head(redis, operation->script, as_text);
    if (request->sent_us == 0)
        request->sent_us = mf_loop_now_us(redis->broker.loop);
    if (mf__link_send(redis->link, &redis->head, &redis->parts, 1) != MF_OK) {
        mf__redis_finish_later(redis, request, MF_ENOMEM, "redis: out of memory");
        return;
    }
    append(&redis->sent, request);
}

bool mf__redis_waits(const mf_redis *redis)
{
    return redis->wait_for_broker && !redis->was_up && redis->why.code != MF_EREFUSED;
}

void mf__redis_submit(mf_redis *redis, mf_request *request, const mf_operation *operation)
{
    request->driver = (void *)operation;
    request->tag = 0;
    request->sent_us = 0;
    request->error = (mf_error){.code = MF_OK};
    if (redis->closing)
        mf__redis_finish_later(redis, request, MF_ECLOSED, "redis: the handle is closing");
    else if (redis->up && redis->moving.first != NULL)
        append(&redis->moving, request);
    else if (redis->up && mf__link_is_ready(redis->link))
        send_now(redis, request);
    else if (redis->up)
        mf__redis_finish_later(redis, request, MF_EUNREACHABLE, being_dropped);
    else if (redis->tried && !mf__redis_waits(redis))
        mf__redis_finish_later(redis, request, redis->why.code, redis->why.text);
    else
        append(&redis->waiting, request);
}

void mf__redis_send_waiting(mf_redis *redis)
{
    mf_request_list waiting = redis->waiting;

    redis->waiting = (mf_request_list){0};
    while (waiting.first != NULL)
        send_now(redis, take_first(&waiting));
}

void mf__redis_fail_waiting(mf_redis *redis, const mf_error *why)
{
    while (redis->waiting.first != NULL)
        mf__redis_finish_later(redis, take_first(&redis->waiting), why->code, why->text);
}

/* While a cluster moves the namespace's slot, scripts whose keys are not all on one side are
 * refused (TRYAGAIN, ASK), that is nearly all. They were not executed: they are sent again, in
 * order, with those that came after them, and the session goes on. */

enum { MOVING_PAUSE_US = 10000, MOVING_PAUSE_MOST_US = 200000 };

static void stop_moving(mf_redis *redis, int code, const char *text)
{
    mf_timer_stop(redis->broker.loop, &redis->moving_timer);
    redis->moving_since_us = 0;
    while (redis->moving.first != NULL)
        mf__redis_finish_later(redis, take_first(&redis->moving), code, text);
}

static void wait_for_move(mf_redis *redis, mf_request *request)
{
    int64_t now = mf_loop_now_us(redis->broker.loop);

    if (redis->moving_since_us == 0) {
        redis->moving_since_us = now;
        redis->moving_pause_us = MOVING_PAUSE_US;
    }
    append(&redis->moving, request);
    if (redis->moving_timer.heap_slot == 0)
        mf_timer_start(redis->broker.loop, &redis->moving_timer, now + redis->moving_pause_us);
}

/* A move that takes longer than a reply may is told to those who wait: it is the slot that is away,
 * not the server. */
void mf__redis_send_moving(void *arg)
{
    mf_redis *redis = arg;
    mf_request_list moving = redis->moving;
    int64_t since = mf_loop_now_us(redis->broker.loop) - redis->moving_since_us;

    if (since > (int64_t)redis->settings.reply_timeout_ms * 1000) {
        stop_moving(redis, MF_EUNREACHABLE, "redis: the namespace's slot is being moved");
        return;
    }
    if (redis->moving_pause_us < MOVING_PAUSE_MOST_US)
        redis->moving_pause_us *= 2;
    redis->moving = (mf_request_list){0};
    while (moving.first != NULL) {
        mf_request *request = take_first(&moving);
        request->sent_us = 0;
        if (mf__link_is_ready(redis->link))
            send_now(redis, request);
        else
            mf__redis_finish_later(redis, request, MF_EUNREACHABLE, being_dropped);
    }
}

void mf__redis_fail_sent(mf_redis *redis, int code, const char *text)
{
    mf__confirm_fail(redis, code, text);
    while (redis->sent.first != NULL)
        mf__redis_finish_later(redis, take_first(&redis->sent), code, text);
    stop_moving(redis, code == MF_EUNKNOWN ? MF_EUNREACHABLE : code, text);
}

/* Answers. */

void mf__redis_misunderstood(mf_redis *redis, mf_request *request)
{
    const mf_operation *operation = request->driver;

    mf_error_set(&request->error, MF_EPROTO, "%s: %s: the answer is not understood",
                 mf__link_peer(redis->link), operation->what);
    mf__link_fail(redis->link, &request->error);
}

/* Returns true for a request that is to wait, and to be sent again. */
static bool take_error(mf_redis *redis, mf_request *request, const char *text)
{
    const mf_operation *operation = request->driver;
    const char *peer = mf__link_peer(redis->link);
    char what[160];
    mf_server_state state;
    mf_error why;

    snprintf(what, sizeof what, "%.120s: %s", peer, operation->what);
    mf__server_error(what, text, &state, &request->error);
    if (state == MF_SERVER_FIT || state == MF_SERVER_MOVING)
        return state == MF_SERVER_MOVING;
    /* Whichever request meets it, it is one trouble, and logged as one. */
    mf_error_set(&why, request->error.code, "%s: %s", peer, text);
    if (state == MF_SERVER_MOVED)
        mf__link_moved(redis->link, text, &why);
    else
        mf__link_fail(redis->link, &why);
    return false;
}

static bool is_unknown_script(const mf_request *request, const mf_value *value)
{
    return value->type == MF_VALUE_ERROR && (request->tag & AS_TEXT) == 0 &&
           strncmp(value->text, "NOSCRIPT", 8) == 0;
}

static void complete(mf_redis *redis)
{
    mf_request *request = take_first(&redis->sent);

    if ((request->tag & WAIT_FOR_MOVE) != 0) {
        request->tag &= ~WAIT_FOR_MOVE;
        request->error = (mf_error){.code = MF_OK};
        wait_for_move(redis, request);
        return;
    }
    if (redis->moving.first == NULL)
        redis->moving_since_us = 0;
    if ((request->tag & AGAIN) == 0) {
        if (request->error.code == MF_OK && is_confirmed(redis, request->driver))
            mf__confirm(redis, request);
        else
            request->done(request);
        return;
    }
    request->tag &= ~AGAIN;
    if (mf__link_is_ready(redis->link))
        send_now(redis, request);
    else
        mf__redis_finish_later(redis, request, MF_EUNREACHABLE, being_dropped);
}

bool mf__redis_reply(mf_link *link, const mf_value *value, void *arg)
{
    mf_redis *redis = arg;
    mf_request *request = redis->sent.first;

    (void)link;
    if (request == NULL) {
        mf_error why;
        mf_error_set(&why, MF_EPROTO, "%s: a reply that was not asked for", mf__link_peer(link));
        mf__link_fail(link, &why);
        return false;
    }
    const mf_operation *operation = request->driver;
    if (is_unknown_script(request, value)) {
        request->tag |= AS_TEXT | AGAIN;
    } else if (value->type == MF_VALUE_ERROR) {
        if (take_error(redis, request, value->text))
            request->tag |= WAIT_FOR_MOVE;
    } else {
        operation->read(redis, request, value);
    }
    complete(redis);
    return true;
}

/* For those that read answers. */

void *mf__redis_room(mf_redis *redis, mf_request *request, size_t count, size_t size)
{
    if (count * size > redis->room_size) {
        void *room = realloc(redis->room, count * size);
        if (room == NULL) {
            mf_error_set(&request->error, MF_ENOMEM, "redis: out of memory");
            return NULL;
        }
        redis->room = room;
        redis->room_size = count * size;
    }
    return redis->room;
}

void mf__redis_damage(mf_redis *redis, const char *format, ...)
{
    int64_t now = mf_loop_now_us(redis->broker.loop);
    char text[640];
    va_list arguments;

    if (now - redis->damage_since_us > DAMAGE_US) {
        redis->damage_since_us = now;
        redis->damage_count = 0;
    }
    if (++redis->damage_count > DAMAGE_LINES)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    mf_log(redis->broker.loop, MF_LOG_WARN, "redis", "damaged: %s%s", text,
           redis->damage_count == DAMAGE_LINES ? " (more of these are not logged for a minute)"
                                               : "");
}
