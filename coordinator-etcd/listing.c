/* claimable: pages over the keys of all tasks, without their values; or, for who can do
 * with it, over what the mirror has.
 *
 * Keys come in order of their bytes, so what belongs to task "a" need not follow it at once: "a-b"
 * sorts before "a/owner". What a page leaves open about its last tasks is asked for by name.
 *
 * A cursor is "k" and a key, or "m" and a place in the mirror. */
#include <stdio.h>
#include <string.h>

#include "delays.h"
#include "handle.h"
#include "keys.h"
#include "mirror.h"
#include "mirroring.h"
#include "op.h"
#include "records.h"
#include "slots.h"
#include "table.h"

/* A task has up to four keys of ours. */
enum { KEYS_PER_TASK = 4, KEYS_MOST = 4096 };
/* etcd looks at every key from the start of a page to the end of the range, so that reading
 * everything takes it the less time the larger the pages are, whatever was asked for. */
enum { MIRRORED_KEYS = 20000 };

typedef struct listed {
    const char *id;
    bool owned; /* or delayed */
} listed;

typedef struct listing_op {
    mf_op op; /* first */
    mf_page_request *request;
    mf_bytes prefix, end; /* of the keys of tasks */
    listed *tasks;
    size_t count;
    mf_table ids;
    size_t *open; /* tasks whose owner key may come behind this page */
    size_t open_count, open_done;
    unsigned mirrored; /* number of the mirror's listing that this is; 0: none */
} listing_op;

static bool is_before(mf_bytes a, mf_bytes b)
{
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

    return order < 0 || (order == 0 && a.len < b.len);
}

/* The cursor is the last key behind the prefix, cut where no key of ours can be so long, or before
 * a zero byte; both are somebody else's. A byte behind it makes the next page begin after those. */
static void set_cursor(listing_op *listing, mf_bytes last)
{
    char *cursor = listing->request->cursor;
    size_t length = last.len < MF_CURSOR_SIZE - 3 ? last.len : MF_CURSOR_SIZE - 3;
    const uint8_t *zero = memchr(last.data, '\0', length);

    if (zero != NULL)
        length = (size_t)(zero - last.data);
    *cursor++ = 'k';
    memcpy(cursor, last.data, length);
    cursor[length] = '\0';
    if (length < last.len) {
        cursor[length] = zero != NULL ? '\x01' : '\xff';
        cursor[length + 1] = '\0';
    }
}

static mf_bytes first_key(listing_op *listing)
{
    const char *cursor = listing->request->cursor;
    bool starts = cursor[0] == '\0';
    size_t length = starts ? 0 : strlen(++cursor);
    mf_bytes key = {.len = listing->prefix.len + length + !starts};

    key.data = mf__arena_take(&listing->op.arena, key.len);
    memcpy(key.data, listing->prefix.data, listing->prefix.len);
    memcpy(key.data + listing->prefix.len, cursor, length); /* and a zero byte behind it */
    return key;
}

/* The page. */

static void finish_claimable(listing_op *listing)
{
    mf_page_request *request = listing->request;
    mf_task_record *records = MF_ARENA_NEW(&listing->op.arena, mf_task_record, listing->count);

    for (size_t i = 0; i < listing->count; i++)
        if (!listing->tasks[i].owned)
            records[request->count++].id = listing->tasks[i].id;
    request->records = records;
    mf__op_end(&listing->op);
}

/* Those of the page's tasks that are delayed. */

static void on_page_delays(mf_op *op)
{
    listing_op *listing = (listing_op *)op;
    const Etcd__RangeResponse *delays = mf__op_range_answer(op);

    for (size_t i = 0; i < delays->n_kvs; i++) {
        mf_bytes id = mf__key_rest(op->etcd, delays->kvs[i]->key, "_mf/delayed/");
        size_t at = mf__table_find(&listing->ids, id);
        if (at != MF_TABLE_NONE)
            listing->tasks[at].owned = true;
    }
    finish_claimable(listing);
}

static void ask_page_delays(listing_op *listing)
{
    mf_op *op = &listing->op;
    size_t first = 0, end = listing->count;

    while (first < end && listing->tasks[first].owned)
        first++;
    while (end > first && listing->tasks[end - 1].owned)
        end--;
    if (first == end) {
        finish_claimable(listing);
        return;
    }
    mf_bytes last = mf__delay_key(op->etcd, &op->arena, listing->tasks[end - 1].id);
    last.len++; /* the zero byte behind it */
    Etcd__RangeRequest *range = mf__range_new(
        &op->arena, mf__delay_key(op->etcd, &op->arena, listing->tasks[first].id), last);
    range->keys_only = true;
    mf__op_call(op, &mf__method_range, &range->base, on_page_delays);
}

static void ask_open(mf_op *op);

static void on_open(mf_op *op)
{
    listing_op *listing = (listing_op *)op;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);

    for (size_t i = 0; i < answer->n_responses; i++)
        listing->tasks[listing->open[listing->open_done++]].owned = mf__answer_exists(answer, i);
    ask_open(op);
}

static void ask_open(mf_op *op)
{
    listing_op *listing = (listing_op *)op;
    size_t left = listing->open_count - listing->open_done;
    size_t count = left < op->etcd->broker.max_batch ? left : op->etcd->broker.max_batch;

    if (count == 0) {
        ask_page_delays(listing);
        return;
    }
    mf_txn *txn = mf__txn_new(&op->arena, 0, count, 0);
    for (size_t i = 0; i < count; i++) {
        const char *id = listing->tasks[listing->open[listing->open_done + i]].id;
        mf__txn_then(txn, mf__op_count(&op->arena, mf__task_keys(op->etcd, &op->arena, id).owner));
    }
    mf__op_transact(op, txn, on_open);
}

static void find_open(listing_op *listing, mf_bytes last)
{
    mf_op *op = &listing->op;

    listing->open = MF_ARENA_NEW(&op->arena, size_t, listing->count);
    for (size_t i = 0; i < listing->count; i++) {
        mf_bytes owner = mf__task_keys(op->etcd, &op->arena, listing->tasks[i].id).owner;
        if (!listing->tasks[i].owned && is_before(last, owner))
            listing->open[listing->open_count++] = i;
    }
}

static void note_key(listing_op *listing, mf_bytes key)
{
    mf_bytes rest = mf__key_rest(listing->op.etcd, key, "tasks/"), id, part;

    if (!mf__key_split(rest, &id, &part)) {
        const char *text = mf__key_is_marker(id) ? NULL : mf__key_id(&listing->op.arena, id);
        if (text == NULL)
            return;
        mf__table_add(&listing->ids, id, listing->count);
        listing->tasks[listing->count++].id = text;
    } else if (mf__bytes_are(part, "owner")) {
        size_t at = mf__table_find(&listing->ids, id);
        if (at != MF_TABLE_NONE)
            listing->tasks[at].owned = true;
    }
}

/* The mirror needs all delays as well. */

static void list_delays(listing_op *listing, mf_bytes from);

static bool delays_are_compacted(mf_op *op, const mf_error *error)
{
    (void)error;
    if (op->rpc.grpc != MF_GRPC_OUT_OF_RANGE)
        return false;
    mf__etcd_mirror_abandon(op->etcd, ((listing_op *)op)->mirrored);
    op->rescue = NULL;
    ask_open(op);
    return true;
}

static void on_delays(mf_op *op)
{
    listing_op *listing = (listing_op *)op;
    const Etcd__RangeResponse *page = mf__op_range_answer(op);

    mf__etcd_mirror_page(op->etcd, listing->mirrored, page, "", &op->arena);
    if (page->more && page->n_kvs > 0) {
        mf_bytes last = page->kvs[page->n_kvs - 1]->key;
        last = mf__bytes_of(mf__bytes_terminated(&op->arena, last));
        last.len++;
        list_delays(listing, last);
        return;
    }
    mf__etcd_mirror_end_tasks(op->etcd, listing->mirrored, &op->arena);
    op->rescue = NULL;
    ask_open(op);
}

static void list_delays(listing_op *listing, mf_bytes from)
{
    mf_op *op = &listing->op;
    mf_bytes prefix = mf__key(op->etcd, &op->arena, "_mf/delayed/");
    Etcd__RangeRequest *range = mf__range_new(&op->arena, from.len > 0 ? from : prefix,
                                              mf__bytes_after_prefix(&op->arena, prefix));

    range->limit = MIRRORED_KEYS;
    range->revision = op->etcd->mirror.revision;
    op->rescue = delays_are_compacted;
    mf__op_call(op, &mf__method_range, &range->base, on_delays);
}

static void on_keys(mf_op *op)
{
    listing_op *listing = (listing_op *)op;
    const Etcd__RangeResponse *page = mf__op_range_answer(op);

    listing->tasks = MF_ARENA_NEW(&op->arena, listed, page->n_kvs);
    mf__table_init(&listing->ids, &op->arena, page->n_kvs);
    for (size_t i = 0; i < page->n_kvs; i++)
        note_key(listing, page->kvs[i]->key);
    listing->request->cursor[0] = '\0';
    mf_bytes last = page->more && page->n_kvs > 0 ? page->kvs[page->n_kvs - 1]->key : (mf_bytes){0};
    if (last.len > 0)
        set_cursor(listing, mf__key_rest(op->etcd, last, "tasks/"));
    mf__etcd_mirror_page(op->etcd, listing->mirrored, page, listing->request->cursor, &op->arena);
    if (last.len > 0)
        find_open(listing, last);
    if (listing->mirrored != 0 && last.len == 0)
        list_delays(listing, (mf_bytes){0});
    else
        ask_open(op);
}

static void ask_keys(listing_op *listing, int64_t revision)
{
    mf_op *op = &listing->op;
    const mf_page_request *request = listing->request;
    size_t tasks = request->limit;
    size_t keys = tasks < KEYS_MOST / KEYS_PER_TASK ? tasks * KEYS_PER_TASK : KEYS_MOST;
    if (listing->mirrored != 0)
        keys = MIRRORED_KEYS;
    Etcd__RangeRequest *range = mf__range_new(&op->arena, first_key(listing), listing->end);

    range->limit = (int64_t)keys;
    range->keys_only = true;
    range->revision = revision;
    mf__op_call(op, &mf__method_range, &range->base, on_keys);
}

/* The moment that the listing shows has been compacted. It goes on with the present, which is no
 * use to the mirror. */
static bool on_compacted(mf_op *op, const mf_error *error)
{
    listing_op *listing = (listing_op *)op;

    (void)error;
    if (op->rpc.grpc != MF_GRPC_OUT_OF_RANGE || listing->mirrored == 0)
        return false;
    mf__etcd_mirror_abandon(op->etcd, listing->mirrored);
    listing->mirrored = 0;
    ask_keys(listing, 0);
    return true;
}

static void list_keys(listing_op *listing)
{
    mf_op *op = &listing->op;

    listing->prefix = mf__key(op->etcd, &op->arena, "tasks/");
    listing->end = mf__bytes_after_prefix(&op->arena, listing->prefix);
    op->rescue = on_compacted;
    ask_keys(listing, listing->mirrored != 0 ? op->etcd->mirror.revision : 0);
}

/* What the mirror has, from its end: what was added meanwhile has been told of. */

static bool find_place(const mf_etcd *etcd, const char *cursor, size_t *place)
{
    const mf_mirror *mirror = &etcd->mirror.content;
    unsigned number;

    if (!mf__etcd_mirror_is_good(etcd))
        return false;
    if (cursor[0] == '\0') {
        *place = mirror->open_count;
        return !mf__etcd_mirror_wants_tasks(etcd);
    }
    if (sscanf(cursor, "m%u.%zu", &number, place) != 2 || number != etcd->mirror.number)
        return false;
    if (*place > mirror->open_count)
        *place = mirror->open_count;
    return true;
}

static void list_mirror(listing_op *listing, size_t place)
{
    mf_op *op = &listing->op;
    const mf_etcd_mirror *mirror = &op->etcd->mirror;
    mf_page_request *request = listing->request;
    size_t count = place < request->limit ? place : request->limit;
    mf_task_record *records = MF_ARENA_NEW(&op->arena, mf_task_record, count);

    for (size_t i = 0; i < count; i++) {
        const char *id = mf__mirror_open(&mirror->content, --place);
        records[request->count++].id = mf__bytes_terminated(&op->arena, mf__bytes_of(id));
    }
    request->records = records;
    request->cursor[0] = '\0';
    if (place > 0)
        snprintf(request->cursor, sizeof request->cursor, "m%u.%zu", mirror->number, place);
    mf__op_end_soon(op);
}

void mf__etcd_claimable(mf_broker *broker, mf_page_request *request)
{
    listing_op *listing = mf__op_new(broker, &request->request, sizeof *listing);
    mf_etcd *etcd = (mf_etcd *)broker;
    size_t place;

    if (listing == NULL)
        return;
    listing->request = request;
    request->count = 0;
    if (request->may_lag && find_place(etcd, request->cursor, &place)) {
        list_mirror(listing, place);
        return;
    }
    if (request->cursor[0] == 'm')
        request->cursor[0] = '\0'; /* the mirror is no more: all over again */
    listing->mirrored = mf__etcd_mirror_begin_tasks(etcd, request->cursor);
    list_keys(listing);
}
