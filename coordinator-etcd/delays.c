/* Tasks that may not be claimed yet. "_mf/delayed/<id>" has the wall time from when on one may be,
 * in microseconds; while the key is there no claim is granted. Every node watches these keys and
 * knows all of them. When the time of some has come each node deletes them, which does no harm when
 * another has done so, and the deletion tells all that the tasks are claimable. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "delays.h"
#include "handle.h"
#include "keys.h"
#include "records.h"
#include "watch.h"

enum { KEYS_OF_A_PAGE = 4096 };
/* Wall clocks can be set: they are looked at now and then. */
static const int64_t most_pause_us = 10000000, retry_pause_us = 1000000, jitter_us = 20000;

typedef struct mf_delayed {
    int64_t until_us;
    UT_hash_handle hh;
    char id[];
} mf_delayed;

/* What is known. */

static mf_delayed *find(const mf_delays *delays, const char *id, size_t length)
{
    mf_delayed *delayed;

    HASH_FIND(hh, delays->list, id, length, delayed);
    return delayed;
}

static void drop(mf_delays *delays, mf_delayed *delayed)
{
    HASH_DEL(delays->list, delayed);
    free(delayed);
}

static void drop_all(mf_delays *delays)
{
    while (delays->list != NULL)
        drop(delays, delays->list);
}

/* Without memory the task is offered, and its claim refused, until another node has freed it. */
static void note(mf_delays *delays, const char *id, size_t length, int64_t until_us)
{
    mf_delayed *delayed = find(delays, id, length);

    if (delayed == NULL) {
        delayed = malloc(sizeof *delayed + length + 1);
        if (delayed == NULL)
            return;
        memcpy(delayed->id, id, length);
        delayed->id[length] = '\0';
        HASH_ADD_KEYPTR(hh, delays->list, delayed->id, length, delayed);
    }
    delayed->until_us = until_us;
}

bool mf__delays_has(const mf_etcd *etcd, const char *id)
{
    return find(&etcd->delays, id, strlen(id)) != NULL;
}

/* The work: one call at a time. */

static void go_on(mf_etcd *etcd);

static void go_on_in(mf_etcd *etcd, int64_t us)
{
    mf_loop *loop = etcd->broker.loop;

    mf_timer_start(loop, &etcd->delays.timer, mf_loop_now_us(loop) + us);
}

static void on_timer(void *arg)
{
    go_on(arg);
}

static void wait_for_next(mf_etcd *etcd)
{
    int64_t pause_us = etcd->delays.next_us - mf_loop_wall_us(etcd->broker.loop);

    pause_us = pause_us < 0 ? 0 : pause_us < most_pause_us ? pause_us : most_pause_us;
    go_on_in(etcd, pause_us + (int64_t)(mf_loop_random(etcd->broker.loop) % (uint64_t)jitter_us));
}

static mf_etcd *etcd_of(mf_rpc *rpc)
{
    mf_delays *delays = (mf_delays *)((char *)rpc - offsetof(mf_delays, rpc));

    return (mf_etcd *)((char *)delays - offsetof(mf_etcd, delays));
}

static void call(mf_etcd *etcd, const mf_method *method, const ProtobufCMessage *request,
                 void (*done)(mf_rpc *rpc, const mf_error *error))
{
    mf_delays *delays = &etcd->delays;

    delays->calling = true;
    delays->rpc = (mf_rpc){.done = done};
    mf__rpc_start(&delays->rpc, etcd->calls, method, request, &delays->arena);
}

static void call_is_over(mf_etcd *etcd, const mf_error *error)
{
    etcd->delays.calling = false;
    mf__arena_clear(&etcd->delays.arena);
    if (error->code == MF_OK)
        go_on(etcd);
    else if (!etcd->closing)
        go_on_in(etcd, retry_pause_us);
}

/* Deletes those whose time has come. */

typedef struct due {
    const char *id;
    int64_t until_us;
} due;

static void on_freed(mf_rpc *rpc, const mf_error *error)
{
    mf_etcd *etcd = etcd_of(rpc);
    mf_delays *delays = &etcd->delays;

    for (size_t i = 0; i < delays->due_count && error->code == MF_OK; i++) {
        const due *one = &delays->due[i];
        mf_delayed *delayed = find(delays, one->id, strlen(one->id));
        if (delayed != NULL && delayed->until_us == one->until_us)
            drop(delays, delayed);
    }
    call_is_over(etcd, error);
}

static mf_txn *free_one(mf_etcd *etcd, const due *one)
{
    mf_arena *arena = &etcd->delays.arena;
    mf_bytes key = mf__delay_key(etcd, arena, one->id);
    mf_txn *txn = mf__txn_new(arena, 1, 1, 0);

    mf__txn_if_value(txn, key, mf__delay_text(arena, one->until_us));
    mf__txn_then(txn, mf__op_delete(arena, key));
    return txn;
}

static void free_due(mf_etcd *etcd)
{
    mf_arena *arena = &etcd->delays.arena;
    mf_txn *txn = mf__txn_new(arena, 0, etcd->delays.due_count, 0);

    for (size_t i = 0; i < etcd->delays.due_count; i++)
        mf__txn_then(txn, mf__op_txn(arena, free_one(etcd, &etcd->delays.due[i])));
    call(etcd, &mf__method_txn, &txn->message.base, on_freed);
}

/* Fills in `due`; the time of the first of the others. */
static int64_t find_due(mf_etcd *etcd, int64_t now_us)
{
    mf_delays *delays = &etcd->delays;
    int64_t next_us = INT64_MAX;

    delays->due = MF_ARENA_NEW(&delays->arena, due, etcd->broker.max_batch);
    delays->due_count = 0;
    for (mf_delayed *d = delays->list; d != NULL; d = d->hh.next) {
        if (d->until_us <= now_us && delays->due_count < etcd->broker.max_batch)
            delays->due[delays->due_count++] =
                (due){mf__bytes_terminated(&delays->arena, mf__bytes_of(d->id)), d->until_us};
        else if (d->until_us < next_us)
            next_us = d->until_us;
    }
    return next_us;
}

/* Lists all. What was deleted before the watch began is not among them, and was not noted. */

static void list(mf_etcd *etcd, mf_bytes from);

static void on_listed(mf_rpc *rpc, const mf_error *error)
{
    mf_etcd *etcd = etcd_of(rpc);
    const Etcd__RangeResponse *page = (const Etcd__RangeResponse *)rpc->answer;

    for (size_t i = 0; error->code == MF_OK && i < page->n_kvs; i++)
        mf__delays_put(etcd, mf__key_rest(etcd, page->kvs[i]->key, "_mf/delayed/"),
                       page->kvs[i]->value);
    if (error->code == MF_OK && page->more && page->n_kvs > 0) {
        mf_bytes last = page->kvs[page->n_kvs - 1]->key;
        last = mf__bytes_of(mf__bytes_terminated(&etcd->delays.arena, last));
        last.len++;
        list(etcd, last);
        return;
    }
    if (error->code == MF_OK)
        etcd->delays.watch = etcd->delays.listing;
    call_is_over(etcd, error);
}

static void list(mf_etcd *etcd, mf_bytes from)
{
    mf_arena *arena = &etcd->delays.arena;
    mf_bytes prefix = mf__key(etcd, arena, "_mf/delayed/");
    Etcd__RangeRequest *range =
        mf__range_new(arena, from.len > 0 ? from : prefix, mf__bytes_after_prefix(arena, prefix));

    range->limit = KEYS_OF_A_PAGE;
    call(etcd, &mf__method_range, &range->base, on_listed);
}

static void go_on(mf_etcd *etcd)
{
    mf_delays *delays = &etcd->delays;
    int64_t now_us = mf_loop_wall_us(etcd->broker.loop);

    if (delays->calling || etcd->closing || !mf__etcd_watch_is_on(etcd))
        return;
    delays->listing = mf__etcd_watch_state(etcd).number;
    if (delays->watch != delays->listing) {
        drop_all(delays); /* an earlier watch may not have told of all that were deleted */
        list(etcd, (mf_bytes){0});
        return;
    }
    int64_t next_us = find_due(etcd, now_us);
    if (delays->due_count > 0) {
        free_due(etcd);
        return;
    }
    mf__arena_clear(&delays->arena);
    delays->next_us = next_us;
    if (next_us != INT64_MAX)
        wait_for_next(etcd);
}

/* What is told by others. */

void mf__delays_watched(mf_etcd *etcd)
{
    go_on(etcd);
}

void mf__delays_put(mf_etcd *etcd, mf_bytes id, mf_bytes value)
{
    uint64_t until_us;

    if (!mf__number_of(&until_us, value)) {
        mf__etcd_damage(etcd, "task \"%.*s\": the time from when on it may be claimed is no number",
                        (int)id.len, (const char *)id.data);
        until_us = INT64_MAX;
    }
    note(&etcd->delays, (const char *)id.data, id.len, (int64_t)until_us);
    if ((int64_t)until_us < etcd->delays.next_us) {
        etcd->delays.next_us = (int64_t)until_us;
        wait_for_next(etcd);
    }
}

void mf__delays_submitted(mf_etcd *etcd, const char *id, int64_t until_us)
{
    note(&etcd->delays, id, strlen(id), until_us);
}

void mf__delays_deleted(mf_etcd *etcd, mf_bytes id)
{
    mf_delayed *delayed = find(&etcd->delays, (const char *)id.data, id.len);

    if (delayed != NULL)
        drop(&etcd->delays, delayed);
}

mf_bytes mf__delay_key(mf_etcd *etcd, mf_arena *arena, const char *id)
{
    return mf__key(etcd, arena, "_mf/delayed/%s", id);
}

mf_bytes mf__delay_text(mf_arena *arena, int64_t until_us)
{
    char *text = mf__arena_take(arena, 24);

    snprintf(text, 24, "%lld", (long long)until_us);
    return mf__bytes_of(text);
}

void mf__delays_init(mf_etcd *etcd)
{
    etcd->delays.next_us = INT64_MAX;
    mf_timer_init(&etcd->delays.timer, on_timer, etcd);
    mf__arena_init(&etcd->delays.arena);
}

void mf__delays_clear(mf_etcd *etcd)
{
    mf_timer_stop(etcd->broker.loop, &etcd->delays.timer);
    drop_all(&etcd->delays);
    mf__arena_clear(&etcd->delays.arena);
}
