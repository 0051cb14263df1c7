/* submit, remove and tell.
 *
 * One transaction for as many items as fit into a request, each in a nested one of its own. It puts
 * a key named after the request's token, which stays for a minute: a copy that comes again finds
 * it, changes nothing, and answers by what there was before the first one's revision. A removal of
 * tasks that are there also touches a key that renewals read, so that they notice what the watch
 * has yet to tell. Owners of other libraries would not notice: they are sent a command. */
#include <stdlib.h>
#include <string.h>

#include <metafora/command.h>

#include "crashes.h"
#include "delays.h"
#include "document.h"
#include "handle.h"
#include "keys.h"
#include "leases.h"
#include "op.h"
#include "slots.h"
#include "table.h"

/* Of etcd's 1.5 MiB for a request; one item with its properties fits in any case. */
enum { PART_BYTES = 1000000, ITEM_BYTES = 400 };

typedef enum items_kind { SUBMIT, REMOVE, TELL } items_kind;

typedef struct items_op {
    mf_op op; /* first */
    mf_items_request *request;
    items_kind kind;
    mf_table ids;
    size_t next;    /* item */
    size_t first;   /* of the part under way */
    size_t *places; /* of its items */
    size_t count;
    int64_t wall_us; /* from which its delays count */
    mf_txn *stops;   /* puts commands to owners of other libraries */
} items_op;

static void next_part(mf_op *op, mf_key_lease *lease, const mf_error *error);

/* What an item's result is, by whether its task was there before. */
static int result_of(const items_op *items, bool existed)
{
    if (items->kind == SUBMIT)
        return existed ? MF_EEXISTS : MF_OK;
    return existed ? MF_OK : MF_EGONE;
}

/* The same id again in one request: its task is there by now, or is not. Of messages the last one
 * is sent. */
static void settle_repeated(items_op *items)
{
    mf_items_request *request = items->request;

    for (size_t i = 0; i < request->count; i++) {
        size_t taken = mf__table_find(&items->ids, mf__bytes_of(request->items[i].id));
        if (taken != i && items->kind == TELL)
            request->items[i].result = request->items[taken].result;
        else if (taken != i)
            request->items[i].result = result_of(items, items->kind == SUBMIT);
    }
}

static void begin_next_part(mf_op *op)
{
    items_op *items = (items_op *)op;

    items->first = items->next;
    if (items->next < items->request->count) {
        items->op.retaken = false;
        mf__key_leases_take(&items->op.etcd->marks, &items->op, 1, next_part);
        return;
    }
    settle_repeated(items);
    mf__op_end(&items->op);
}

/* Removed tasks that run on nodes of other libraries: these learn of it by a command only. What
 * fails makes the whole request fail, so that it comes again. */

static void send_stops(mf_op *op, mf_key_lease *lease, const mf_error *error)
{
    mf_txn *txn = ((items_op *)op)->stops;

    if (error != NULL) {
        mf__op_fail_as(op, error);
        return;
    }
    for (size_t i = 0; i < txn->message.n_success; i++)
        txn->message.success[i]->request_put->lease = lease->id;
    op->rescue = mf__key_leases_take_again;
    mf__op_transact(op, txn, begin_next_part);
}

static void add_stop(items_op *items, const char *id, const Etcd__KeyValue *owner)
{
    const mf_command stop = {.verb = MF_COMMAND_STOP_TASK, .task = id};
    mf_arena *arena = &items->op.arena;
    mf_etcd_document found;
    char *json;

    if (owner == NULL || owner->lease == 0 ||
        mf__etcd_document_read(&found, owner->value, arena) != MF_OK || found.token[0] != '\0' ||
        mf_command_format(&json, &stop, NULL) != MF_OK)
        return;
    mf__txn_then(items->stops, mf__op_put(arena, mf__command_key(items->op.etcd, arena, found.node),
                                          mf__bytes_copy(arena, mf__bytes_of(json)), 0));
    free(json);
}

static void on_owners(mf_op *op)
{
    items_op *items = (items_op *)op;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);

    items->stops = mf__txn_new(&op->arena, 0, items->count, 0);
    for (size_t i = 0; i < items->count; i++)
        add_stop(items, items->request->items[items->places[i]].id, mf__answer_get(answer, i));
    if (items->stops->message.n_success > 0)
        mf__key_leases_take(&op->etcd->commands, op, items->stops->message.n_success, send_stops);
    else
        begin_next_part(op);
}

static void after_part(items_op *items)
{
    mf_op *op = &items->op;
    mf_txn *txn = mf__txn_new(&op->arena, 0, items->count, 0);

    for (size_t i = 0; i < items->count && items->kind == REMOVE; i++) {
        const char *id = items->request->items[items->places[i]].id;
        mf__txn_then(txn, mf__op_get(&op->arena, mf__task_keys(op->etcd, &op->arena, id).owner));
    }
    op->rescue = NULL;
    op->retaken = false;
    if (txn->message.n_success > 0)
        mf__op_transact(op, txn, on_owners);
    else
        begin_next_part(op);
}

/* A copy of a request that was carried out. */

static void on_history(mf_op *op)
{
    items_op *items = (items_op *)op;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);

    for (size_t i = 0; i < items->count; i++)
        items->request->items[items->places[i]].result =
            result_of(items, mf__answer_exists(answer, i));
    after_part(items);
}

/* The history is compacted, so it is not known which tasks were there before: it is as wanted now.
 */
static bool history_is_gone(mf_op *op, const mf_error *error)
{
    items_op *items = (items_op *)op;

    (void)error;
    if (op->rpc.grpc != MF_GRPC_OUT_OF_RANGE)
        return false;
    for (size_t i = 0; i < items->count; i++)
        items->request->items[items->places[i]].result = MF_OK;
    after_part(items);
    return true;
}

static void read_history(items_op *items, int64_t revision)
{
    mf_op *op = &items->op;
    mf_txn *txn = mf__txn_new(&op->arena, 0, items->count, 0);

    for (size_t i = 0; i < items->count; i++) {
        const char *id = items->request->items[items->places[i]].id;
        Etcd__RequestOp *count =
            mf__op_count(&op->arena, mf__task_keys(op->etcd, &op->arena, id).task);
        count->request_range->revision = revision;
        mf__txn_then(txn, count);
    }
    op->rescue = history_is_gone;
    mf__op_transact(op, txn, on_history);
}

/* The transaction. */

static void on_part(mf_op *op)
{
    items_op *items = (items_op *)op;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);
    const Etcd__KeyValue *first = mf__answer_get(answer, 0);

    if (!answer->succeeded && first != NULL && first->create_revision > 1) {
        read_history(items, first->create_revision - 1);
        return;
    }
    for (size_t i = 0; i < items->count; i++) {
        const Etcd__TxnResponse *part = mf__answer_txn(answer, i + 1);
        bool changed = part != NULL && part->succeeded;
        mf_item *item = &items->request->items[items->places[i]];
        item->result = result_of(items, (items->kind != SUBMIT) == changed);
    }
    after_part(items);
}

/* What a node of another library has left of an earlier task of the name goes. */
static mf_txn *submit_one(items_op *items, const mf_item *item)
{
    mf_etcd *etcd = items->op.etcd;
    mf_arena *arena = &items->op.arena;
    mf_task_keys keys = mf__task_keys(etcd, arena, item->id);
    mf_txn *txn = mf__txn_new(arena, 1, 4, 0);

    mf__txn_if_mod(txn, keys.task, 0);
    mf__txn_then(txn, mf__op_put(arena, keys.task, (mf_bytes){0}, 0));
    if (item->properties != NULL)
        mf__txn_then(txn, mf__op_put(arena, keys.properties, mf__bytes_of(item->properties), 0));
    mf__txn_then(txn, mf__op_delete(arena, mf__crash_key(etcd, arena, item->id)));
    mf_bytes delay = mf__delay_key(etcd, arena, item->id);
    int64_t until_us = items->wall_us + item->delay_us;
    mf__txn_then(txn, item->delay_us > 0
                          ? mf__op_put(arena, delay, mf__delay_text(arena, until_us), 0)
                          : mf__op_delete(arena, delay));
    return txn;
}

/* All but the owner key, which stays until its owner has stopped the task or its lease ends. */
static mf_txn *remove_one(mf_op *op, const mf_item *item)
{
    mf_arena *arena = &op->arena;
    mf_task_keys keys = mf__task_keys(op->etcd, arena, item->id);
    mf_txn *txn = mf__txn_new(arena, 1, 5, 0);

    mf__task_keys_end(arena, &keys);
    mf__txn_if_exists(txn, keys.task);
    mf__txn_then(txn, mf__op_delete(arena, mf__delay_key(op->etcd, arena, item->id)));
    mf__txn_then(txn, mf__op_delete(arena, mf__crash_key(op->etcd, arena, item->id)));
    mf__txn_then(txn, mf__op_delete(arena, keys.task));
    mf__txn_then(txn, mf__op_delete_range(arena, keys.slash, keys.owner));
    mf__txn_then(txn, mf__op_delete_range(arena, keys.behind_owner, keys.slash_end));
    return txn;
}

/* Unless none of the tasks is there. */
static mf_txn *touch_removals(items_op *items)
{
    mf_etcd *etcd = items->op.etcd;
    mf_arena *arena = &items->op.arena;
    mf_txn *txn = mf__txn_new(arena, items->count, 0, 1);

    for (size_t i = 0; i < items->count; i++) {
        const char *id = items->request->items[items->places[i]].id;
        mf__txn_if_mod(txn, mf__task_keys(etcd, arena, id).task, 0);
    }
    mf__txn_else(txn, mf__op_put(arena, mf__removals_key(etcd, arena), (mf_bytes){0}, 0));
    return txn;
}

/* In place of one that was not read; the watch tells its owner. */
static mf_txn *tell_one(mf_op *op, const mf_item *item)
{
    mf_arena *arena = &op->arena;
    mf_task_keys keys = mf__task_keys(op->etcd, arena, item->id);
    mf_txn *txn = mf__txn_new(arena, 1, 1, 0);

    mf__txn_if_exists(txn, keys.task);
    mf__txn_then(txn, mf__op_put(arena, keys.message, mf__bytes_of(item->properties), 0));
    return txn;
}

static mf_txn *change_one(items_op *items, const mf_item *item)
{
    switch (items->kind) {
    case REMOVE:
        return remove_one(&items->op, item);
    case TELL:
        return tell_one(&items->op, item);
    case SUBMIT:
        break;
    }
    return submit_one(items, item);
}

/* Markers have the same keys as tasks of that name would have. */
static bool is_marker(const char *id)
{
    return mf__key_is_marker(mf__bytes_of(id));
}

static size_t bytes_of(const items_op *items, const mf_item *item)
{
    size_t keys = 6 * (items->op.etcd->prefix_length + strlen(item->id));

    return ITEM_BYTES + keys + (item->properties != NULL ? strlen(item->properties) : 0);
}

/* Besides the token's, and what touch_removals compares below its own. */
static size_t part_limit(const items_op *items)
{
    size_t operations = items->op.etcd->transaction_limit - 2;

    return items->kind == REMOVE ? operations / 2 : operations;
}

/* Chooses the items of the next part. */
static void fill_part(items_op *items)
{
    mf_items_request *request = items->request;
    size_t bytes = 0, most = part_limit(items);

    for (items->count = 0; items->next < request->count; items->next++) {
        mf_item *item = &request->items[items->next];
        if (mf__table_find(&items->ids, mf__bytes_of(item->id)) != items->next)
            continue;
        bytes += bytes_of(items, item);
        if ((bytes > PART_BYTES && items->count > 0) || items->count == most)
            break;
        if (is_marker(item->id))
            item->result = items->kind == SUBMIT ? MF_EINVAL : MF_EGONE;
        else
            items->places[items->count++] = items->next;
    }
}

static void next_part(mf_op *op, mf_key_lease *lease, const mf_error *error)
{
    items_op *items = (items_op *)op;

    if (error != NULL) {
        mf__op_fail_as(op, error);
        return;
    }
    mf_bytes key =
        mf__key(op->etcd, &op->arena, "_mf/requests/%s.%zu", items->request->token, items->first);
    items->next = items->first;
    items->wall_us = mf_loop_wall_us(op->etcd->broker.loop);
    fill_part(items);
    mf_txn *txn = mf__txn_new(&op->arena, 1, items->count + 2, 1);
    mf__txn_if_mod(txn, key, 0);
    mf__txn_then(txn, mf__op_put(&op->arena, key, (mf_bytes){0}, lease->id));
    mf__txn_else(txn, mf__op_get(&op->arena, key));
    for (size_t i = 0; i < items->count; i++) {
        const mf_item *item = &items->request->items[items->places[i]];
        mf__txn_then(txn, mf__op_txn(&op->arena, change_one(items, item)));
    }
    if (items->kind == REMOVE)
        mf__txn_then(txn, mf__op_txn(&op->arena, touch_removals(items)));
    op->rescue = mf__key_leases_take_again;
    mf__op_transact(op, txn, on_part);
}

static void start(mf_broker *broker, mf_items_request *request, items_kind kind)
{
    items_op *items = mf__op_new(broker, &request->request, sizeof *items);

    if (items == NULL)
        return;
    mf_op *op = &items->op;
    items->request = request;
    items->kind = kind;
    items->places = MF_ARENA_NEW(&op->arena, size_t, request->count);
    mf__table_init(&items->ids, &op->arena, request->count);
    for (size_t i = 0; i < request->count; i++) {
        size_t at = kind == TELL ? request->count - 1 - i : i;
        mf__table_add(&items->ids, mf__bytes_of(request->items[at].id), at);
    }
    mf__key_leases_take(&op->etcd->marks, op, 1, next_part);
}

void mf__etcd_submit(mf_broker *broker, mf_items_request *request)
{
    start(broker, request, SUBMIT);
}

void mf__etcd_remove(mf_broker *broker, mf_items_request *request)
{
    start(broker, request, REMOVE);
}

void mf__etcd_tell(mf_broker *broker, mf_items_request *request)
{
    start(broker, request, TELL);
}
