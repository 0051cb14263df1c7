/* Fuzzer: whatever etcd answers, it is refused, or every part of it can be read. */
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "fuzz.h"
#include "handle.h"
#include "keys.h"
#include "records.h"
#include "revoke.h"
#include "table.h"

static volatile unsigned sum;

static void read_bytes(mf_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        sum += bytes.data[i];
}

static void read_value(const Etcd__KeyValue *value, mf_arena *arena)
{
    mf_etcd etcd = {.prefix = "/n/", .prefix_length = 3};
    mf_bytes head, tail;
    mf_etcd_document document;
    int64_t lease;
    uint64_t number;

    if (value == NULL)
        return;
    read_bytes(value->key);
    read_bytes(value->value);
    if (mf__etcd_document_read(&document, value->value, arena) == MF_OK)
        fuzz_require(strlen(document.node) > 0 && strlen(document.token) < sizeof document.token);
    sum += mf__key_split(mf__key_rest(&etcd, value->key, "tasks/"), &head, &tail);
    sum += mf__key_is_marker(head) + (mf__key_id(arena, head) != NULL);
    sum += mf__lease_mark_parse(&lease, tail) + mf__number_of(&number, value->value);
    free(mf__bytes_to_text(value->value));
}

static void read_txn(const Etcd__TxnResponse *txn, mf_arena *arena, int depth)
{
    for (size_t i = 0; txn != NULL && i < txn->n_responses && depth < 100; i++) {
        const Etcd__RangeResponse *range = mf__answer_range(txn, i);
        read_value(mf__answer_get(txn, i), arena);
        sum += mf__answer_exists(txn, i);
        for (size_t k = 0; range != NULL && k < range->n_kvs; k++)
            read_value(range->kvs[k], arena);
        read_txn(mf__answer_txn(txn, i), arena, depth + 1);
    }
}

static void read_watch(const Etcd__WatchResponse *answer, mf_arena *arena)
{
    sum += (unsigned)strlen(answer->cancel_reason);
    for (size_t i = 0; i < answer->n_events; i++)
        read_value(answer->events[i]->kv, arena);
}

static void read_listing(const Etcd__LeaseTimeToLiveResponse *listing, mf_arena *arena)
{
    mf_table table;

    mf__table_init(&table, arena, listing->n_keys);
    for (size_t i = 0; i < listing->n_keys; i++)
        mf__table_add(&table, listing->keys[i], i);
    for (size_t i = 0; i < listing->n_keys; i++)
        fuzz_require(mf__table_has(&table, listing->keys[i]));
}

static void read_as(int kind, const uint8_t *data, size_t size, mf_arena *arena)
{
    ProtobufCAllocator *allocator = &arena->allocator;

    if (kind == 0) {
        read_txn(etcd__txn_response__unpack(allocator, size, data), arena, 0);
    } else if (kind == 1) {
        const Etcd__WatchResponse *watch = etcd__watch_response__unpack(allocator, size, data);
        if (watch != NULL)
            read_watch(watch, arena);
    } else if (kind == 2) {
        const Etcd__LeaseTimeToLiveResponse *listing =
            etcd__lease_time_to_live_response__unpack(allocator, size, data);
        if (listing != NULL)
            read_listing(listing, arena);
    } else if (kind == 3) {
        const Etcd__StatusResponse *status = etcd__status_response__unpack(allocator, size, data);
        for (size_t i = 0; status != NULL && i < status->n_errors; i++)
            sum += (unsigned)strlen(status->errors[i]);
    } else {
        const Etcd__KeyValue value = {.key = {.len = size / 2, .data = (uint8_t *)data},
                                      .value = {.len = size, .data = (uint8_t *)data}};
        read_value(&value, arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mf_arena arena;

    if (size == 0)
        return 0;
    mf__arena_init(&arena);
    read_as(data[0] % 5, data + 1, size - 1, &arena);
    mf__arena_clear(&arena);
    return 0;
}
