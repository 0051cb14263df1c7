/* Reading tasks: looking them up, and listing all of them. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* A page of a hash: a few at first, then as many as make an answer of about so many bytes, but no
 * more than so many times the last ones. */
enum { SCAN_FIRST = 4, SCAN_BYTES = 1 << 20, SCAN_GROWTH = 8 };

static int damaged(mf_redis *redis, const mf_task_record *record, const char *why)
{
    mf__redis_damage(redis, "task \"%s\": %s", record->id, why);
    return MF_EDAMAGED;
}

static int set_properties(mf_redis *redis, mf_task_record *record, const mf_value *value)
{
    mf_error error;

    if (value->type != MF_VALUE_STRING)
        return MF_EGONE;
    if (value->length == 0)
        return MF_OK;
    if (memchr(value->text, '\0', value->length) != NULL)
        return damaged(redis, record, "properties: contain a NUL byte");
    if (mf_check_properties("properties", value->text, &error) != MF_OK)
        return damaged(redis, record, error.text);
    record->properties = value->text;
    return MF_OK;
}

static int set_owner(mf_redis *redis, mf_task_record *record, const mf_value *value)
{
    if (value->type == MF_VALUE_NIL)
        return MF_OK;
    if (value->type != MF_VALUE_STRING)
        return damaged(redis, record, "its owner key is not a string");
    if (mf__redis_parse_owner(value->text, &record->owner, &record->fence))
        return MF_OK;
    record->owner = NULL;
    return damaged(redis, record, "its owner key's value is not \"token fence node\"");
}

static void set_record(mf_redis *redis, mf_task_record *record, const mf_value *properties,
                       const mf_value *owner)
{
    record->code = set_properties(redis, record, properties);
    if (record->code == MF_EGONE)
        return;
    int code = set_owner(redis, record, owner);
    if (record->code == MF_OK)
        record->code = code;
}

/* "<count> <ms>", and " aside". The answer ends early when no task has crashed. */
static void set_crashes(mf_task_record *record, const mf_value *answer, size_t place)
{
    if (place >= answer->length || answer->items[place].type != MF_VALUE_STRING)
        return;
    const char *text = answer->items[place].text;
    record->crashes = (unsigned)strtoul(text, NULL, 10);
    record->set_aside = strstr(text, " aside") != NULL;
}

/* lookup */

static void write_lookup(mf_redis *redis, mf_request *head)
{
    const mf_lookup_request *request = (const mf_lookup_request *)head;

    mf__redis_keys(redis, head, NULL, NULL);
    for (size_t i = 0; i < request->id_count; i++)
        mf__redis_key_of(redis, MF_PREFIX_OWNER, request->ids[i]);
    mf__redis_id_start(redis);
    mf__redis_text(redis, "1");
}

static void read_lookup(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_lookup_request *request = (mf_lookup_request *)head;
    size_t count = request->id_count;

    if (!mf__value_is_array(answer, 2 * count)) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    mf_task_record *records = mf__redis_room(redis, head, count, sizeof *records);
    if (records == NULL)
        return;
    request->records = records;
    for (size_t i = 0; i < count; i++) {
        records[i] = (mf_task_record){.id = request->ids[i]};
        set_record(redis, &records[i], &answer->items[count + i], &answer->items[i]);
        set_crashes(&records[i], answer, 2 * count + i);
    }
}

static const mf_operation lookup_operation = {
    .what = "look up tasks",
    .script = &mf__script_lookup,
    .write = write_lookup,
    .read = read_lookup,
};

void mf__redis_lookup(mf_broker *broker, mf_lookup_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &lookup_operation);
}

/* tasks: a page of the hash, then the owner keys of those that it names. */

/* The driver's own request for one page, in whose name the core's is answered. */
typedef struct listing {
    mf_request request; /* first */
    mf_redis *redis;
    mf_page_request *page;
    char *texts; /* the page's ids and properties */
    mf_task_record *records;
    size_t count;
} listing;

static void on_listed(mf_request *head)
{
    listing *l = (listing *)head;
    mf_page_request *page = l->page;

    page->request.error = head->error;
    page->records = l->records;
    page->count = head->error.code == MF_OK ? l->count : 0;
    page->request.done(&page->request);
    free(l->texts);
    free(l->records);
    free(l);
}

static void write_owners(mf_redis *redis, mf_request *head)
{
    const listing *l = (const listing *)head;

    mf__redis_keys(redis, head, NULL, NULL);
    for (size_t i = 0; i < l->count; i++)
        mf__redis_key_of(redis, MF_PREFIX_OWNER, l->records[i].id);
    mf__redis_id_start(redis);
    mf__redis_text(redis, "0");
}

static void read_owners(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    listing *l = (listing *)head;

    if (!mf__value_is_array(answer, l->count)) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    for (size_t i = 0; i < l->count; i++) {
        int code = set_owner(redis, &l->records[i], &answer->items[i]);
        set_crashes(&l->records[i], answer, l->count + i);
        if (l->records[i].code == MF_OK)
            l->records[i].code = code;
    }
}

static const mf_operation owners_operation = {
    .what = "list owners",
    .script = &mf__script_lookup,
    .write = write_owners,
    .read = read_owners,
};

/* After the page: its owners, unless there is nothing to ask for. */
static void on_page(mf_request *head)
{
    listing *l = (listing *)head;

    if (head->error.code != MF_OK || l->count == 0) {
        on_listed(head);
        return;
    }
    head->done = on_listed;
    mf__redis_submit(l->redis, head, &owners_operation);
}

bool mf__redis_read_cursor(char out[MF_CURSOR_SIZE], const mf_value *cursor)
{
    if (cursor->type != MF_VALUE_STRING || cursor->length >= MF_CURSOR_SIZE)
        return false;
    if (strcmp(cursor->text, "0") == 0)
        out[0] = '\0';
    else
        memcpy(out, cursor->text, cursor->length + 1);
    return true;
}

void mf__redis_write_scan(mf_redis *redis, mf_key key, const char *cursor, const mf_scan *scan,
                          size_t limit)
{
    size_t count = scan->count != 0 ? scan->count : SCAN_FIRST;

    mf__redis_text(redis, "HSCAN");
    mf__redis_key(redis, key);
    mf__redis_text(redis, cursor[0] != '\0' ? cursor : "0");
    mf__redis_text(redis, "COUNT");
    mf__redis_number(redis, (int64_t)(count < limit ? count : limit));
}

void mf__redis_scanned(mf_scan *scan, const mf_value *fields)
{
    size_t bytes = 0, count = fields->length / 2;

    for (size_t i = 0; i < fields->length; i++)
        if (fields->items[i].type == MF_VALUE_STRING)
            bytes += fields->items[i].length;
    if (count == 0)
        return;
    size_t fit = SCAN_BYTES / (bytes / count + 1), most = SCAN_GROWTH * count;
    scan->count = fit < 1 ? 1 : fit < most ? fit : most;
}

static void write_page(mf_redis *redis, mf_request *head)
{
    const mf_page_request *page = ((const listing *)head)->page;

    mf__redis_write_scan(redis, MF_KEY_TASKS, page->cursor, &redis->task_scan, page->limit);
}

static bool make_room(listing *l, const mf_value *fields)
{
    size_t length = 0;

    for (size_t i = 0; i < fields->length; i++)
        if (fields->items[i].type == MF_VALUE_STRING)
            length += fields->items[i].length + 1;
    l->texts = malloc(length + 1);
    l->records = calloc(fields->length / 2 + 1, sizeof *l->records);
    return l->texts != NULL && l->records != NULL;
}

static void keep(char **to, mf_value *value)
{
    char *copy = *to;

    *to = (char *)mempcpy(copy, value->text, value->length + 1);
    value->text = copy;
}

/* The answer's values do not outlive the second question. */
static void keep_page(mf_redis *redis, listing *l, const mf_value *fields)
{
    char *to = l->texts;

    for (size_t i = 0; i + 1 < fields->length; i += 2) {
        mf_value id = fields->items[i], properties = fields->items[i + 1];
        if (id.type != MF_VALUE_STRING || properties.type != MF_VALUE_STRING)
            continue;
        mf_task_record *record = &l->records[l->count++];
        keep(&to, &id);
        keep(&to, &properties);
        record->id = id.text;
        record->code = mf__redis_is_id(&id) ? set_properties(redis, record, &properties)
                                            : damaged(redis, record, "its id is none");
    }
}

static void read_page(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    listing *l = (listing *)head;

    if (!mf__value_is_array(answer, 2) || !mf__value_is_array(&answer->items[1], 0) ||
        !mf__redis_read_cursor(l->page->cursor, &answer->items[0])) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    mf__redis_scanned(&redis->task_scan, &answer->items[1]);
    if (make_room(l, &answer->items[1]))
        keep_page(redis, l, &answer->items[1]);
    else
        mf_error_set(&head->error, MF_ENOMEM, "redis: out of memory");
}

static const mf_operation page_operation = {
    .what = "list tasks",
    .write = write_page,
    .read = read_page,
};

void mf__redis_tasks(mf_broker *broker, mf_page_request *request)
{
    mf_redis *redis = (mf_redis *)broker;
    listing *l = calloc(1, sizeof *l);

    if (l == NULL) {
        mf__redis_finish_later(redis, &request->request, MF_ENOMEM, "redis: out of memory");
        return;
    }
    l->request.done = on_page;
    l->redis = redis;
    l->page = request;
    mf__redis_submit(redis, &l->request, &page_operation);
}
