/* nodes: who is there, and how many tasks each holds.
 *
 * Owner keys are counted by the leases that they are on, without reading any of them: a node's own
 * lease, for nodes of other libraries, and the leases that a session of ours has marked. For who
 * can do with it, the mirror has counted them. */
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "handle.h"
#include "keys.h"
#include "mirror.h"
#include "mirroring.h"
#include "op.h"
#include "revoke.h"
#include "slots.h"
#include "table.h"

enum { LISTINGS_AT_ONCE = 16 };

typedef struct counted_lease {
    int64_t id;
    size_t node;
} counted_lease;

typedef struct nodes_op {
    mf_op op; /* first */
    mf_nodes_request *request;
    mf_node *nodes;
    size_t count;
    mf_table by_token;
    counted_lease *leases;
    size_t lease_count, next;
    mf_part *parts;
    unsigned mirrored; /* number of the mirror's listing that this is; 0: none */
} nodes_op;

static void add_lease(nodes_op *nodes, int64_t id, size_t node)
{
    if (id != 0)
        nodes->leases[nodes->lease_count++] = (counted_lease){id, node};
}

/* "nodes/<name>/_metafora" */
static void note_node(nodes_op *nodes, const Etcd__KeyValue *value)
{
    mf_op *op = &nodes->op;
    mf_bytes rest = mf__key_rest(op->etcd, value->key, "nodes/"), name, part;
    mf_etcd_document found;

    if (!mf__key_split(rest, &name, &part) || !mf__bytes_are(part, "_metafora"))
        return;
    const char *text = mf__key_id(&op->arena, name);
    if (text == NULL)
        return;
    if (mf__etcd_document_read(&found, value->value, &op->arena) != MF_OK)
        found = (mf_etcd_document){.weight = 1};
    if (found.token[0] != '\0') {
        mf_bytes token = mf__bytes_copy(&op->arena, mf__bytes_of(found.token));
        mf__table_add(&nodes->by_token, token, nodes->count);
    }
    add_lease(nodes, value->lease, nodes->count);
    nodes->nodes[nodes->count++] = (mf_node){.name = text, .weight = found.weight};
}

/* "_mf/leases/<token>/<lease>" */
static void note_mark(nodes_op *nodes, const Etcd__KeyValue *value)
{
    mf_bytes rest = mf__key_rest(nodes->op.etcd, value->key, "_mf/leases/"), token, digits;
    int64_t lease;

    if (!mf__key_split(rest, &token, &digits) || !mf__lease_mark_parse(&lease, digits))
        return;
    size_t node = mf__table_find(&nodes->by_token, token);
    if (node != MF_TABLE_NONE)
        add_lease(nodes, lease, node);
}

static void list_next(nodes_op *nodes, mf_part *part);

static bool is_owner_key(const mf_etcd *etcd, mf_bytes key)
{
    mf_bytes id, part;

    return mf__key_split(mf__key_rest(etcd, key, "tasks/"), &id, &part) &&
           mf__bytes_are(part, "owner");
}

static void each_listing(mf_op *op, mf_part *part, const mf_error *error)
{
    nodes_op *nodes = (nodes_op *)op;
    const counted_lease *lease = part->user;
    const Etcd__LeaseTimeToLiveResponse *answer =
        (const Etcd__LeaseTimeToLiveResponse *)part->rpc.answer;

    if (error->code != MF_OK) {
        mf__op_note_error(op, error);
        return;
    }
    for (size_t i = 0; i < answer->n_keys; i++)
        nodes->nodes[lease->node].tasks += is_owner_key(op->etcd, answer->keys[i]);
    list_next(nodes, part);
}

static void list_next(nodes_op *nodes, mf_part *part)
{
    mf_op *op = &nodes->op;
    Etcd__LeaseTimeToLiveRequest *request;

    if (nodes->next == nodes->lease_count || op->error.code != MF_OK)
        return;
    const counted_lease *lease = &nodes->leases[nodes->next++];
    request = mf__arena_take(&op->arena, sizeof *request);
    etcd__lease_time_to_live_request__init(request);
    request->id = lease->id;
    request->keys = true;
    mf__op_part(op, part, op->etcd->calls, &mf__method_time_to_live, &request->base, each_listing);
    part->user = (void *)lease;
}

static void on_counted(mf_op *op)
{
    nodes_op *nodes = (nodes_op *)op;

    nodes->request->nodes = nodes->nodes;
    nodes->request->count = nodes->count;
    mf__op_end_group(op);
}

static void feed_mirror(nodes_op *nodes)
{
    mf_etcd *etcd = nodes->op.etcd;
    mf_mirror *mirror = &etcd->mirror.content;

    if (!mf__etcd_mirror_takes_nodes(etcd, nodes->mirrored))
        return;
    for (size_t i = 0; i < nodes->count; i++)
        mf__mirror_set_node(mirror, MF_MIRROR_LISTED, &nodes->nodes[i], true);
    for (size_t i = 0; i < nodes->lease_count; i++)
        mf__mirror_name_lease(mirror, nodes->leases[i].id,
                              nodes->nodes[nodes->leases[i].node].name);
    mf__etcd_mirror_end_nodes(etcd, &nodes->op.arena);
}

static void count_mirrored(nodes_op *nodes)
{
    for (size_t i = 0; i < nodes->count; i++)
        nodes->nodes[i].tasks =
            mf__mirror_count(&nodes->op.etcd->mirror.content, nodes->nodes[i].name);
}

static void count_listed(nodes_op *nodes)
{
    mf_op *op = &nodes->op;

    nodes->parts = MF_ARENA_NEW(&op->arena, mf_part, LISTINGS_AT_ONCE);
    op->then = on_counted;
    op->left = 1;
    for (size_t i = 0; i < LISTINGS_AT_ONCE; i++)
        list_next(nodes, &nodes->parts[i]);
    mf__op_part_over(op);
}

static void on_read(mf_op *op)
{
    nodes_op *nodes = (nodes_op *)op;
    const Etcd__RangeResponse *keys = mf__answer_range(mf__op_txn_answer(op), 0);
    const Etcd__RangeResponse *marks = mf__answer_range(mf__op_txn_answer(op), 1);
    size_t key_count = keys != NULL ? keys->n_kvs : 0;
    size_t mark_count = marks != NULL ? marks->n_kvs : 0;

    nodes->nodes = MF_ARENA_NEW(&op->arena, mf_node, key_count);
    nodes->leases = MF_ARENA_NEW(&op->arena, counted_lease, key_count + mark_count);
    mf__table_init(&nodes->by_token, &op->arena, key_count);
    for (size_t i = 0; i < key_count; i++)
        note_node(nodes, keys->kvs[i]);
    for (size_t i = 0; i < mark_count; i++)
        note_mark(nodes, marks->kvs[i]);
    feed_mirror(nodes);
    if (nodes->request->may_lag && mf__etcd_mirror_is_good(op->etcd)) {
        count_mirrored(nodes);
        on_counted(op);
    } else {
        count_listed(nodes);
    }
}

static Etcd__RequestOp *all_of(mf_op *op, const char *part, bool keys_only)
{
    mf_bytes prefix = mf__key(op->etcd, &op->arena, "%s", part);
    Etcd__RangeRequest *range =
        mf__range_new(&op->arena, prefix, mf__bytes_after_prefix(&op->arena, prefix));

    range->keys_only = keys_only;
    return mf__op_range(&op->arena, range);
}

void mf__etcd_nodes(mf_broker *broker, mf_nodes_request *request)
{
    nodes_op *nodes = mf__op_new(broker, &request->request, sizeof *nodes);

    if (nodes == NULL)
        return;
    mf_op *op = &nodes->op;
    nodes->request = request;
    nodes->mirrored = mf__etcd_mirror_begin_nodes(op->etcd);
    mf_txn *txn = mf__txn_new(&op->arena, 0, 2, 0);
    mf__txn_then(txn, all_of(op, "nodes/", false));
    mf__txn_then(txn, all_of(op, "_mf/leases/", true));
    mf__op_transact(op, txn, on_read);
}
