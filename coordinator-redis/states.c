/* States of tasks, and messages to them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* The answer to a tell or forget is kept for longer than it may be repeated. */
enum { REMEMBER_MS = 120000 };

/* load */

static void write_load(mf_redis *redis, mf_request *head)
{
    const mf_load_request *request = (const mf_load_request *)head;

    mf__redis_text(redis, "HMGET");
    mf__redis_key(redis, MF_KEY_STATE);
    for (size_t i = 0; i < request->id_count; i++)
        mf__redis_text(redis, request->ids[i]);
}

static void read_load(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_load_request *request = (mf_load_request *)head;

    if (!mf__value_is_array(answer, request->id_count)) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    mf_document *documents = mf__redis_room(redis, head, request->id_count, sizeof *documents);
    if (documents == NULL)
        return;
    request->documents = documents;
    for (size_t i = 0; i < request->id_count; i++) {
        const mf_value *value = &answer->items[i];
        documents[i] = (mf_document){.id = request->ids[i]};
        if (value->type == MF_VALUE_STRING) {
            documents[i].json = value->text;
            documents[i].length = value->length;
        }
    }
}

static const mf_operation load_operation = {
    .what = "load states",
    .write = write_load,
    .read = read_load,
};

void mf__redis_load(mf_broker *broker, mf_load_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &load_operation);
}

/* store */

static void write_store(mf_redis *redis, mf_request *head)
{
    const mf_store_request *request = (const mf_store_request *)head;
    const mf_session *session = request->session;

    mf__redis_keys(redis, head, session->node, session->token);
    for (size_t i = 0; i < request->count; i++)
        mf__redis_key_of(redis, MF_PREFIX_OWNER, request->writes[i].id);
    mf__redis_session(redis, session);
    mf__redis_text(redis, session->node);
    mf__redis_id_start(redis);
    for (size_t i = 0; i < request->count; i++) {
        const mf_write *write = &request->writes[i];
        mf__redis_number(redis, (int64_t)write->fence);
        mf__redis_number(redis, (int64_t)write->acknowledged);
        mf__parts_add(&redis->parts, write->json != NULL ? write->json : "",
                      write->json != NULL ? write->length : 0);
    }
}

static void read_store(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_store_request *request = (mf_store_request *)head;
    mf_lost_claim lost;

    if (!mf__value_is_array(answer, 0) || answer->length % 2 != 0) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    for (size_t i = 0; i < request->count; i++)
        request->writes[i].result = MF_OK;
    for (size_t i = 0; i < answer->length; i += 2)
        if (mf__redis_read_lost(answer->items, i, request->count, &lost))
            request->writes[lost.index].result = lost.code;
}

/* Ordered: what comes after it from the same task's owner, a release, must not overtake it. */
static const mf_operation store_operation = {
    .what = "store states",
    .script = &mf__script_store,
    .ordered = true,
    .replicated = true,
    .write = write_store,
    .read = read_store,
};

void mf__redis_store(mf_broker *broker, mf_store_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &store_operation);
}

/* mail */

static void write_mail(mf_redis *redis, mf_request *head)
{
    const mf_mail_request *request = (const mf_mail_request *)head;

    mf__redis_keys(redis, head, request->session->node, request->session->token);
    mf__redis_session(redis, request->session);
    mf__redis_number(redis, (int64_t)request->after);
    mf__redis_number(redis, (int64_t)request->limit);
}

/* "<number> <message>" */
static bool read_message(mf_mail *out, const mf_value *id, const mf_value *value)
{
    char *end = NULL;

    if (!mf__redis_is_id(id) || value->type != MF_VALUE_STRING)
        return false;
    out->id = id->text;
    out->number = strtoull(value->text, &end, 10);
    if (out->number == 0 || *end != ' ')
        return false;
    out->json = end + 1;
    out->length = value->length - (size_t)(end + 1 - value->text);
    return true;
}

static void read_mail(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_mail_request *request = (mf_mail_request *)head;

    request->count = 0;
    if (!mf__value_is_array(answer, 2) || answer->length % 2 != 0 ||
        answer->items[0].type != MF_VALUE_STRING || answer->items[1].type != MF_VALUE_INTEGER) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    if (answer->items[0].length > 0)
        request->after = (uint64_t)strtod(answer->items[0].text, NULL);
    request->more = answer->items[1].integer == 1;
    mf_mail *mail = mf__redis_room(redis, head, answer->length / 2, sizeof *mail);
    if (mail == NULL)
        return;
    request->mail = mail;
    for (size_t i = 2; i < answer->length; i += 2)
        if (read_message(&mail[request->count], &answer->items[i], &answer->items[i + 1]))
            request->count++;
        else
            mf__redis_damage(redis, "a message is not of the form \"number message\"");
}

static const mf_operation mail_operation = {
    .what = "read messages",
    .script = &mf__script_mail,
    .write = write_mail,
    .read = read_mail,
};

void mf__redis_mail(mf_broker *broker, mf_mail_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &mail_operation);
}

/* tell and forget */

static void write_owner_keys(mf_redis *redis, const mf_items_request *request)
{
    for (size_t i = 0; i < request->count; i++)
        mf__redis_key_of(redis, MF_PREFIX_OWNER, request->items[i].id);
}

static void write_tell(mf_redis *redis, mf_request *head)
{
    const mf_items_request *request = (const mf_items_request *)head;

    mf__redis_keys(redis, head, NULL, request->token);
    write_owner_keys(redis, request);
    mf__redis_number(redis, REMEMBER_MS);
    mf__redis_id_start(redis);
    mf__redis_channel_of(redis, "");
    for (size_t i = 0; i < request->count; i++)
        mf__redis_text(redis, request->items[i].properties);
}

static void write_forget(mf_redis *redis, mf_request *head)
{
    const mf_items_request *request = (const mf_items_request *)head;

    mf__redis_keys(redis, head, NULL, request->token);
    write_owner_keys(redis, request);
    mf__redis_channel(redis);
    mf__redis_number(redis, REMEMBER_MS);
    mf__redis_id_start(redis);
}

static void read_gone(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf__redis_read_items(redis, head, answer, MF_EGONE);
}

static const mf_operation tell_operation = {
    .what = "send messages",
    .script = &mf__script_tell,
    .ordered = true,
    .replicated = true,
    .write = write_tell,
    .read = read_gone,
};

static const mf_operation forget_operation = {
    .what = "forget states",
    .script = &mf__script_forget,
    .ordered = true,
    .replicated = true,
    .write = write_forget,
    .read = read_gone,
};

void mf__redis_tell(mf_broker *broker, mf_items_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &tell_operation);
}

void mf__redis_forget(mf_broker *broker, mf_items_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &forget_operation);
}

/* states: by HSCAN. */

static void write_states(mf_redis *redis, mf_request *head)
{
    const mf_states_request *request = (const mf_states_request *)head;

    mf__redis_write_scan(redis, MF_KEY_STATE, request->cursor, &redis->state_scan, request->limit);
}

static void read_states(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_states_request *request = (mf_states_request *)head;

    request->count = 0;
    if (!mf__value_is_array(answer, 2) || !mf__value_is_array(&answer->items[1], 0) ||
        !mf__redis_read_cursor(request->cursor, &answer->items[0])) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    const mf_value *fields = &answer->items[1];
    mf__redis_scanned(&redis->state_scan, fields);
    mf_document *documents = mf__redis_room(redis, head, fields->length / 2 + 1, sizeof *documents);
    if (documents == NULL)
        return;
    request->documents = documents;
    for (size_t i = 0; i + 1 < fields->length; i += 2) {
        const mf_value *id = &fields->items[i], *json = &fields->items[i + 1];
        if (mf__redis_is_id(id) && json->type == MF_VALUE_STRING)
            documents[request->count++] =
                (mf_document){.id = id->text, .json = json->text, .length = json->length};
        else
            mf__redis_damage(redis, "a state is kept under an id that is none");
    }
}

static const mf_operation states_operation = {
    .what = "list states",
    .write = write_states,
    .read = read_states,
};

void mf__redis_states(mf_broker *broker, mf_states_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &states_operation);
}
