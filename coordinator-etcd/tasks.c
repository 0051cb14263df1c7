/* tasks: all of them, with all about them.
 *
 * etcd looks at every key from the start of a page to the end of the range, so that reading all in
 * small pages takes it the square of their number. Keys are therefore read in large pages; the ids
 * that the caller did not ask for yet are kept for the next request. They are a help only: a cursor
 * says by itself where its listing goes on, so that one whose ids were given up for another's reads
 * them again. */
#include "handle.h"
#include "keys.h"
#include "op.h"
#include "records.h"
#include "slots.h"

#include <string.h>

enum { KEYS_AHEAD = 20000 };

typedef struct tasks_op {
    mf_op op; /* first */
    mf_page_request *request;
    const char **ids;
    size_t count;
    mf_task_record *records;
    mf_part *parts;
} tasks_op;

static void each_read(mf_op *op, mf_part *part, const mf_error *error)
{
    tasks_op *tasks = (tasks_op *)op;
    size_t first = (size_t)(part - tasks->parts) * op->etcd->broker.max_batch;
    size_t left = tasks->count - first, most = op->etcd->broker.max_batch;

    if (error->code != MF_OK)
        mf__op_note_error(op, error);
    else
        mf__records_read(op, (const Etcd__TxnResponse *)part->rpc.answer, &tasks->ids[first],
                         left < most ? left : most, &tasks->records[first]);
}

static void on_all_read(mf_op *op)
{
    tasks_op *tasks = (tasks_op *)op;
    mf_page_request *request = tasks->request;

    for (size_t i = 0; i < tasks->count && op->error.code == MF_OK; i++)
        if (tasks->records[i].code != MF_EGONE)
            tasks->records[request->count++] = tasks->records[i];
    request->records = tasks->records;
    mf__op_end_group(op);
}

static void read_records(tasks_op *tasks)
{
    mf_op *op = &tasks->op;
    size_t most = op->etcd->broker.max_batch;

    tasks->records = MF_ARENA_NEW(&op->arena, mf_task_record, tasks->count);
    tasks->parts = MF_ARENA_NEW(&op->arena, mf_part, tasks->count / most + 1);
    op->then = on_all_read;
    op->left = 1;
    for (size_t first = 0; first < tasks->count; first += most) {
        size_t left = tasks->count - first;
        mf_txn *txn = mf__records_txn(op, &tasks->ids[first], left < most ? left : most);
        mf__op_part(op, &tasks->parts[first / most], op->etcd->calls, &mf__method_txn,
                    &txn->message.base, each_read);
    }
    mf__op_part_over(op);
}

/* The next ones of those that are known. */
static void take_ids(tasks_op *tasks)
{
    mf_op *op = &tasks->op;
    mf_ahead *ahead = &op->etcd->ahead;
    size_t left = ahead->count - ahead->next;

    tasks->count = left < tasks->request->limit ? left : tasks->request->limit;
    tasks->ids = MF_ARENA_NEW(&op->arena, const char *, tasks->count);
    for (size_t i = 0; i < tasks->count; i++)
        tasks->ids[i] = mf__bytes_terminated(&op->arena, mf__bytes_of(ahead->ids[ahead->next++]));
    if (ahead->next < ahead->count) {
        mf__key_to_cursor(ahead->at, mf__bytes_of(ahead->ids[ahead->next - 1]));
    } else {
        memcpy(ahead->at, ahead->behind, sizeof ahead->at);
        mf__arena_clear(&ahead->arena);
    }
    memcpy(tasks->request->cursor, ahead->at, sizeof ahead->at);
    read_records(tasks);
}

static void on_keys(mf_op *op)
{
    const Etcd__RangeResponse *page = mf__op_range_answer(op);
    mf_ahead *ahead = &op->etcd->ahead;
    mf_bytes id, part;

    mf__arena_clear(&ahead->arena);
    ahead->ids = MF_ARENA_NEW(&ahead->arena, const char *, page->n_kvs);
    ahead->count = ahead->next = 0;
    for (size_t i = 0; i < page->n_kvs; i++) {
        if (mf__key_split(mf__key_rest(op->etcd, page->kvs[i]->key, "tasks/"), &id, &part) ||
            mf__key_is_marker(id))
            continue;
        const char *text = mf__key_id(&ahead->arena, id);
        if (text != NULL)
            ahead->ids[ahead->count++] = text;
    }
    ahead->behind[0] = '\0';
    if (page->more && page->n_kvs > 0)
        mf__key_to_cursor(ahead->behind,
                          mf__key_rest(op->etcd, page->kvs[page->n_kvs - 1]->key, "tasks/"));
    take_ids((tasks_op *)op);
}

static void read_keys(mf_op *op, const char *cursor)
{
    mf_bytes prefix = mf__key(op->etcd, &op->arena, "tasks/");
    Etcd__RangeRequest *range =
        mf__range_new(&op->arena, mf__key_behind_cursor(op->etcd, &op->arena, "tasks/", cursor),
                      mf__bytes_after_prefix(&op->arena, prefix));

    range->limit = KEYS_AHEAD;
    range->keys_only = true;
    mf__op_call(op, &mf__method_range, &range->base, on_keys);
}

void mf__etcd_tasks(mf_broker *broker, mf_page_request *request)
{
    tasks_op *tasks = mf__op_new(broker, &request->request, sizeof *tasks);

    if (tasks == NULL)
        return;
    const mf_ahead *ahead = &tasks->op.etcd->ahead;
    tasks->request = request;
    request->count = 0;
    if (request->cursor[0] != '\0' && ahead->next < ahead->count &&
        strcmp(request->cursor, ahead->at) == 0)
        take_ids(tasks);
    else
        read_keys(&tasks->op, request->cursor);
}
