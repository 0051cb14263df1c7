/* Migration: holds of tasks, copies, and the mark of a namespace. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* What holds.lua wants. */
static void write_holds(mf_redis *redis, const mf_holds_request *request)
{
    mf__redis_keys(redis, &request->request, request->session->node, NULL);
    for (size_t i = 0; i < request->count; i++)
        mf__redis_key_of(redis, MF_PREFIX_OWNER, request->holds[i].id);
    mf__redis_session(redis, request->session);
    mf__redis_text(redis, request->migration);
    mf__redis_channel(redis);
    mf__redis_id_start(redis);
}

/* Answers of a number for each task: those of drop.lua, of which the others' are a part. */
static void read_codes(mf_redis *redis, mf_request *head, const mf_value *answer,
                       const int codes[5])
{
    mf_holds_request *request = (mf_holds_request *)head;

    for (size_t i = 0; mf__value_is_array(answer, request->count) && i < request->count; i++) {
        const mf_value *item = &answer->items[i];
        if (item->type != MF_VALUE_INTEGER || item->integer < 0 || item->integer > 4)
            break;
        request->holds[i].result = codes[item->integer];
        if (i + 1 == request->count)
            return;
    }
    if (request->count > 0)
        mf__redis_misunderstood(redis, head);
}

/* hold */

static void write_hold(mf_redis *redis, mf_request *head)
{
    write_holds(redis, (const mf_holds_request *)head);
}

static const char *text_of(const mf_value *value)
{
    return value->length > 0 ? value->text : NULL;
}

static bool is_text(const mf_value *value)
{
    return value->type == MF_VALUE_STRING && strlen(value->text) == value->length;
}

/* "<number> <message>" */
static void read_message(mf_hold *hold, const mf_value *value)
{
    char *end = NULL;

    if (value->length == 0)
        return;
    hold->message_number = strtoull(value->text, &end, 10);
    hold->message = *end == ' ' ? end + 1 : NULL;
}

static int read_task(mf_redis *redis, mf_hold *hold, const mf_value *value)
{
    if (value->type == MF_VALUE_INTEGER)
        return value->integer == 0 ? MF_EGONE : MF_ETAKEN;
    if (!mf__value_is_array(value, 7))
        return MF_EPROTO;
    const mf_value *items = value->items;
    bool good = mf__value_number(&items[0], &hold->fence) && items[5].type == MF_VALUE_INTEGER &&
                items[6].type == MF_VALUE_INTEGER;
    for (int i = 1; i < 5; i++)
        good &= is_text(&items[i]);
    if (!good) {
        mf__redis_damage(redis, "task \"%s\": a record of it has a NUL byte", hold->id);
        return MF_EDAMAGED;
    }
    hold->properties = text_of(&items[1]);
    hold->state = text_of(&items[2]);
    hold->message = NULL;
    hold->message_number = 0;
    read_message(hold, &items[3]);
    hold->crashes = (unsigned)strtoul(items[4].text, NULL, 10);
    hold->set_aside = items[5].integer == 1;
    hold->delay_us = items[6].integer * 1000;
    return MF_OK;
}

static void read_hold(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_holds_request *request = (mf_holds_request *)head;

    if (!mf__value_is_array(answer, request->count)) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    for (size_t i = 0; i < request->count; i++) {
        request->holds[i].result = read_task(redis, &request->holds[i], &answer->items[i]);
        if (request->holds[i].result == MF_EPROTO)
            mf__redis_misunderstood(redis, head);
    }
}

/* copy */

static void write_text(mf_redis *redis, const char *text)
{
    mf__redis_text(redis, text != NULL ? text : "");
}

static void write_copy(mf_redis *redis, mf_request *head)
{
    const mf_holds_request *request = (const mf_holds_request *)head;

    write_holds(redis, request);
    for (size_t i = 0; i < request->count; i++) {
        const mf_hold *hold = &request->holds[i];
        mf__redis_number(redis, hold->orphan ? 0 : (int64_t)hold->fence);
        write_text(redis, hold->properties);
        write_text(redis, hold->state);
        write_text(redis, hold->message);
        mf__redis_number(redis, (int64_t)hold->crashes);
        mf__redis_number(redis, hold->set_aside);
        mf__redis_number(redis, hold->delay_us > 0 ? hold->delay_us / 1000 + 1 : 0);
    }
}

static void read_copy(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    static const int codes[5] = {MF_OK, MF_EEXISTS, MF_ETAKEN, MF_EPROTO, MF_EPROTO};
    read_codes(redis, head, answer, codes);
}

/* drop */

static void write_drop(mf_redis *redis, mf_request *head)
{
    const mf_holds_request *request = (const mf_holds_request *)head;

    write_holds(redis, request);
    for (size_t i = 0; i < request->count; i++) {
        const mf_hold *hold = &request->holds[i];
        mf__redis_number(redis, hold->orphan ? 0 : (int64_t)hold->fence);
        if (hold->message_number == UINT64_MAX)
            mf__redis_text(redis, "-");
        else
            mf__redis_number(redis, (int64_t)hold->message_number);
    }
}

static void read_drop(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    static const int codes[5] = {MF_OK, MF_ELATE, MF_EGONE, MF_ESTALE, MF_EEXISTS};
    read_codes(redis, head, answer, codes);
}

/* free */

static void write_free(mf_redis *redis, mf_request *head)
{
    const mf_holds_request *request = (const mf_holds_request *)head;

    write_holds(redis, request);
    for (size_t i = 0; i < request->count; i++)
        mf__redis_number(redis, (int64_t)request->holds[i].fence);
}

/* All are ordered: what comes after one of them for the same task must not overtake it. */
static const mf_operation hold_operation = {
    .what = "hold tasks",
    .script = &mf__script_hold,
    .ordered = true,
    .replicated = true,
    .write = write_hold,
    .read = read_hold,
};

static const mf_operation copy_operation = {
    .what = "copy tasks",
    .script = &mf__script_copy,
    .ordered = true,
    .replicated = true,
    .write = write_copy,
    .read = read_copy,
};

static const mf_operation drop_operation = {
    .what = "drop tasks",
    .script = &mf__script_drop,
    .ordered = true,
    .replicated = true,
    .write = write_drop,
    .read = read_drop,
};

static const mf_operation free_operation = {
    .what = "free tasks",
    .script = &mf__script_free,
    .ordered = true,
    .replicated = true,
    .write = write_free,
    .read = read_drop,
};

void mf__redis_hold(mf_broker *broker, mf_holds_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &hold_operation);
}

void mf__redis_copy(mf_broker *broker, mf_holds_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &copy_operation);
}

void mf__redis_drop(mf_broker *broker, mf_holds_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &drop_operation);
}

void mf__redis_free(mf_broker *broker, mf_holds_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &free_operation);
}

/* holds: by HSCAN. */

static void write_page(mf_redis *redis, mf_request *head)
{
    const mf_holds_page_request *request = (const mf_holds_page_request *)head;

    mf__redis_text(redis, "HSCAN");
    mf__redis_key(redis, MF_KEY_HOLDS);
    mf__redis_text(redis, request->cursor[0] != '\0' ? request->cursor : "0");
    mf__redis_text(redis, "COUNT");
    mf__redis_number(redis, (int64_t)request->limit);
}

/* "<migration> <fence> <stage>", cut into its parts. */
static bool read_note(mf_hold *hold, const mf_value *id, const mf_value *note)
{
    char *fence = mf__redis_is_id(id) && is_text(note) ? strchr(note->text, ' ') : NULL;
    char *stage = NULL;

    if (fence == NULL)
        return false;
    *fence++ = '\0';
    *hold = (mf_hold){.id = id->text, .migration = note->text};
    hold->fence = strtoull(fence, &stage, 10);
    hold->stage = strcmp(stage, " dropped") == 0 ? MF_HOLD_DROPPED : MF_HOLD_HELD;
    return hold->fence != 0;
}

static void read_page(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_holds_page_request *request = (mf_holds_page_request *)head;

    request->count = 0;
    if (!mf__value_is_array(answer, 2) || !mf__value_is_array(&answer->items[1], 0) ||
        !mf__redis_read_cursor(request->cursor, &answer->items[0])) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    const mf_value *fields = &answer->items[1];
    mf_hold *holds = mf__redis_room(redis, head, fields->length / 2 + 1, sizeof *holds);
    if (holds == NULL)
        return;
    request->holds = holds;
    for (size_t i = 0; i + 1 < fields->length; i += 2)
        if (read_note(&holds[request->count], &fields->items[i], &fields->items[i + 1]))
            request->count++;
        else
            mf__redis_damage(redis, "a hold is not of the form \"migration fence stage\"");
}

static const mf_operation page_operation = {
    .what = "list holds",
    .write = write_page,
    .read = read_page,
};

void mf__redis_holds(mf_broker *broker, mf_holds_page_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &page_operation);
}

/* The mark: "<migration> <phase> <URL>". */

static bool parse_mark(mf_mark *mark, const mf_value *value)
{
    int phase = 0, url = 0;

    *mark = (mf_mark){.phase = MF_MARK_NONE};
    if (value->type == MF_VALUE_NIL || value->length == 0)
        return true;
    if (!is_text(value) || value->length >= sizeof mark->url)
        return false;
    if (sscanf(value->text, "%32s %d %n", mark->migration, &phase, &url) != 2 ||
        phase < MF_MARK_PART || phase > MF_MARK_MOVED)
        return false;
    mark->phase = (mf_mark_phase)phase;
    snprintf(mark->url, sizeof mark->url, "%s", value->text + url);
    return true;
}

static void write_mark(mf_redis *redis, mf_request *head)
{
    const mf_mark_request *request = (const mf_mark_request *)head;

    mf__redis_keys(redis, head, request->session->node, NULL);
    mf__redis_session(redis, request->session);
    mf__redis_text(redis, request->mark.migration);
    mf__redis_number(redis, request->mark.phase);
    mf__redis_text(redis, request->mark.url);
}

static void read_mark(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_mark_request *request = (mf_mark_request *)head;

    if (!mf__value_is_array(answer, 2) || !parse_mark(&request->mark, &answer->items[1]))
        mf__redis_misunderstood(redis, head);
    else if (answer->items[0].type != MF_VALUE_INTEGER || answer->items[0].integer != 1)
        mf_error_set(&head->error, MF_EEXISTS, "redis: another migration has begun");
}

static void write_moved(mf_redis *redis, mf_request *head)
{
    (void)head;
    mf__redis_text(redis, "GET");
    mf__redis_key(redis, MF_KEY_MOVED);
}

static void read_moved(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_mark_request *request = (mf_mark_request *)head;

    if (!parse_mark(&request->mark, answer))
        mf_error_set(&head->error, MF_EDAMAGED, "redis: the mark \"moved\" is not understood");
    (void)redis;
}

static const mf_operation mark_operation = {
    .what = "mark the namespace",
    .script = &mf__script_mark,
    .ordered = true,
    .replicated = true,
    .write = write_mark,
    .read = read_mark,
};

static const mf_operation moved_operation = {
    .what = "read the namespace's mark",
    .write = write_moved,
    .read = read_moved,
};

void mf__redis_mark(mf_broker *broker, mf_mark_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &mark_operation);
}

void mf__redis_moved(mf_broker *broker, mf_mark_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &moved_operation);
}
