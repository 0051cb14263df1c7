/* What the broker lists as a session's: a page of its set, then the owner keys of what it names. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* The driver's own request for one page, in whose name the core's is answered. */
typedef struct page {
    mf_request request; /* first */
    mf_redis *redis;
    mf_held_request *asked;
    char *ids; /* one behind the other, each with its zero byte */
    mf_task_record *records;
    size_t count;
} page;

static void on_listed(mf_request *head)
{
    page *p = (page *)head;
    mf_held_request *asked = p->asked;

    asked->request.error = head->error;
    asked->records = p->records;
    asked->count = head->error.code == MF_OK ? p->count : 0;
    asked->request.done(&asked->request);
    free(p->ids);
    free(p->records);
    free(p);
}

/* The owners. */

static void write_owners(mf_redis *redis, mf_request *head)
{
    const page *p = (const page *)head;

    mf__redis_keys(redis, head, NULL, NULL);
    for (size_t i = 0; i < p->count; i++)
        mf__redis_key_of(redis, MF_PREFIX_OWNER, p->records[i].id);
    mf__redis_id_start(redis);
    mf__redis_text(redis, "0");
}

/* Of what is not the session's the fence is of no use, and does no harm: it is refused. */
static void read_owners(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    page *p = (page *)head;

    if (!mf__value_is_array(answer, p->count)) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        const char *node;
        if (answer->items[i].type != MF_VALUE_STRING ||
            !mf__redis_parse_owner(answer->items[i].text, &node, &p->records[i].fence))
            p->records[i].fence = 0;
    }
}

static const mf_operation owners_operation = {
    .what = "list owners of what is held",
    .script = &mf__script_lookup,
    .write = write_owners,
    .read = read_owners,
};

static void on_page(mf_request *head)
{
    page *p = (page *)head;

    if (head->error.code != MF_OK || p->count == 0) {
        on_listed(head);
        return;
    }
    head->done = on_listed;
    mf__redis_submit(p->redis, head, &owners_operation);
}

/* The ids. */

static void write_page(mf_redis *redis, mf_request *head)
{
    const mf_held_request *asked = ((const page *)head)->asked;

    mf__redis_text(redis, "SSCAN");
    mf__redis_key_of(redis, MF_PREFIX_HELD, asked->session->token);
    mf__redis_text(redis, asked->cursor[0] != '\0' ? asked->cursor : "0");
    mf__redis_text(redis, "COUNT");
    mf__redis_number(redis, (int64_t)asked->limit);
}

/* The answer's values do not outlive the second question. */
static bool keep_ids(page *p, const mf_value *ids)
{
    size_t length = 0;

    for (size_t i = 0; i < ids->length; i++)
        length += ids->items[i].type == MF_VALUE_STRING ? ids->items[i].length + 1 : 0;
    p->ids = malloc(length + 1);
    p->records = calloc(ids->length + 1, sizeof *p->records);
    if (p->ids == NULL || p->records == NULL)
        return false;
    char *to = p->ids;
    for (size_t i = 0; i < ids->length; i++) {
        if (!mf__redis_is_id(&ids->items[i]))
            continue;
        p->records[p->count++].id = to;
        to = (char *)mempcpy(to, ids->items[i].text, ids->items[i].length + 1);
    }
    return true;
}

static void read_page(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    page *p = (page *)head;

    if (!mf__value_is_array(answer, 2) || !mf__value_is_array(&answer->items[1], 0) ||
        !mf__redis_read_cursor(p->asked->cursor, &answer->items[0]))
        mf__redis_misunderstood(redis, head);
    else if (!keep_ids(p, &answer->items[1]))
        mf_error_set(&head->error, MF_ENOMEM, "redis: out of memory");
}

static const mf_operation page_operation = {
    .what = "list what is held",
    .write = write_page,
    .read = read_page,
};

void mf__redis_held(mf_broker *broker, mf_held_request *request)
{
    mf_redis *redis = (mf_redis *)broker;
    page *p = calloc(1, sizeof *p);

    if (p == NULL) {
        mf__redis_finish_later(redis, &request->request, MF_ENOMEM, "redis: out of memory");
        return;
    }
    p->request.done = on_page;
    p->redis = redis;
    p->asked = request;
    mf__redis_submit(redis, &p->request, &page_operation);
}
