/* Submitting and removing tasks, and listing those that may be claimed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* The answer to a submit or remove is kept for longer than it may be repeated. */
enum { REMEMBER_MS = 120000 };

/* submit and remove */

static void write_delays(mf_redis *redis, const mf_items_request *request)
{
    for (size_t i = 0; i < request->count; i++) {
        if (request->items[i].delay_us <= 0)
            continue;
        mf__redis_number(redis, (int64_t)i + 1);
        mf__redis_number(redis, request->items[i].delay_us / 1000 + 1);
    }
}

static void write_submit(mf_redis *redis, mf_request *head)
{
    const mf_items_request *request = (const mf_items_request *)head;

    mf__redis_keys(redis, head, NULL, request->token);
    mf__redis_channel(redis);
    mf__redis_number(redis, REMEMBER_MS);
    mf__redis_number(redis, (int64_t)request->count);
    for (size_t i = 0; i < request->count; i++) {
        const char *properties = request->items[i].properties;
        mf__redis_text(redis, request->items[i].id);
        mf__redis_text(redis, properties != NULL ? properties : "");
    }
    write_delays(redis, request);
}

static void write_remove(mf_redis *redis, mf_request *head)
{
    const mf_items_request *request = (const mf_items_request *)head;

    mf__redis_keys(redis, head, NULL, request->token);
    for (size_t i = 0; i < request->count; i++)
        mf__redis_key_of(redis, MF_PREFIX_OWNER, request->items[i].id);
    mf__redis_channel(redis);
    mf__redis_number(redis, REMEMBER_MS);
    mf__redis_id_start(redis);
}

void mf__redis_read_items(mf_redis *redis, mf_request *head, const mf_value *answer, int refused)
{
    mf_items_request *request = (mf_items_request *)head;

    if (answer->type != MF_VALUE_STRING || answer->length != request->count) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    for (size_t i = 0; i < request->count; i++)
        request->items[i].result = answer->text[i] == '1'   ? MF_OK
                                   : answer->text[i] == '2' ? MF_ETAKEN
                                   : answer->text[i] == '3' ? MF_EMOVED
                                                            : refused;
}

static void read_submit(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf__redis_read_items(redis, head, answer, MF_EEXISTS);
}

static void read_remove(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf__redis_read_items(redis, head, answer, MF_EGONE);
}

static const mf_operation submit_operation = {
    .what = "submit",
    .script = &mf__script_submit,
    .ordered = true,
    .replicated = true,
    .write = write_submit,
    .read = read_submit,
};

static const mf_operation remove_operation = {
    .what = "remove",
    .script = &mf__script_remove,
    .ordered = true,
    .replicated = true,
    .write = write_remove,
    .read = read_remove,
};

void mf__redis_submit_tasks(mf_broker *broker, mf_items_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &submit_operation);
}

void mf__redis_remove_tasks(mf_broker *broker, mf_items_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &remove_operation);
}

bool mf__redis_is_id(const mf_value *value)
{
    return value->type == MF_VALUE_STRING && strlen(value->text) == value->length &&
           mf_check_task_id("", value->text, NULL) == MF_OK;
}

/* claimable: the cursor is the score of the last task and its id. */

static void write_claimable(mf_redis *redis, mf_request *head)
{
    const mf_page_request *request = (const mf_page_request *)head;
    const char *cursor = request->cursor;
    size_t score = strcspn(cursor, " ");

    mf__redis_keys(redis, head, NULL, NULL);
    mf__parts_add(&redis->parts, cursor, score);
    mf__redis_text(redis, cursor[score] != '\0' ? cursor + score + 1 : "");
    mf__redis_number(redis, (int64_t)request->limit);
}

/* The cursor is empty when no page follows, or when there is nothing but what is no id. */
static void set_cursor(mf_page_request *request, const mf_value *ids, size_t count)
{
    const mf_value *score = &ids[count], *id = count > 0 ? &ids[count - 1] : NULL;

    request->cursor[0] = '\0';
    if (score->length == 0 || id == NULL || id->type != MF_VALUE_STRING ||
        strlen(id->text) != id->length || score->length + 1 + id->length >= sizeof request->cursor)
        return;
    sprintf(request->cursor, "%s %s", score->text, id->text);
}

static void read_claimable(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_page_request *request = (mf_page_request *)head;
    size_t count = mf__value_is_array(answer, 2) ? answer->length - 2 : 0;

    request->count = 0;
    if (!mf__value_is_array(answer, 2) || answer->items[count].type != MF_VALUE_STRING ||
        !mf__value_number(&answer->items[count + 1], &request->total)) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    mf_task_record *records = mf__redis_room(redis, head, count + 1, sizeof *records);
    if (records == NULL)
        return;
    request->records = records;
    for (size_t i = 0; i < count; i++) {
        const mf_value *id = &answer->items[i];
        if (mf__redis_is_id(id))
            records[request->count++] = (mf_task_record){.id = id->text};
        else
            mf__redis_damage(redis, "an id that is none is listed as claimable");
    }
    set_cursor(request, answer->items, count);
}

static const mf_operation claimable_operation = {
    .what = "list claimable tasks",
    .script = &mf__script_claimable,
    .write = write_claimable,
    .read = read_claimable,
};

void mf__redis_claimable(mf_broker *broker, mf_page_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &claimable_operation);
}
