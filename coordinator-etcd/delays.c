/* Tasks that may not be claimed yet. "_mf/delayed/<id>" has the wall time from when on one may be,
 * in microseconds; while the key is there no claim is granted. Every node knows all of these keys
 * (mirror.h), and when the time of some has come it deletes them, which tells all that the tasks
 * are claimable. That of a task that is gone, which a node of the Go library leaves behind, is
 * deleted as well.
 *
 * So that not every node does so, each waits for a random time more, the longer the more nodes
 * there are, and again when somebody else is at it: the first one does the work for all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delays.h"
#include "handle.h"
#include "keys.h"
#include "records.h"
#include "watch.h"

/* Wall clocks can be set: they are looked at now and then. */
static const int64_t most_pause_us = 10000000, retry_pause_us = 1000000;
enum { JITTER_US = 20000, JITTER_NODES_MOST = 50 };

typedef struct due {
    const char *id;
    int64_t until_us, revision;
    bool gone; /* the task is */
} due;

static mf_mirror *known(mf_etcd *etcd)
{
    return &etcd->mirror.content;
}

static void go_on_in(mf_etcd *etcd, int64_t us)
{
    mf_loop *loop = etcd->broker.loop;

    mf_timer_start(loop, &etcd->delays.timer, mf_loop_now_us(loop) + us);
}

static void wait_for_next(mf_etcd *etcd)
{
    mf_delays *delays = &etcd->delays;
    size_t nodes = mf__mirror_live_nodes(known(etcd)) + 1;
    int64_t spread_us =
        JITTER_US * (int64_t)(nodes < JITTER_NODES_MOST ? nodes : JITTER_NODES_MOST);

    delays->next_us = mf__mirror_next_due(known(etcd));
    if (delays->next_us == INT64_MAX)
        return;
    int64_t pause_us = delays->next_us - mf_loop_wall_us(etcd->broker.loop);
    pause_us = pause_us < 0 ? 0 : pause_us < most_pause_us ? pause_us : most_pause_us;
    go_on_in(etcd, pause_us + (int64_t)(mf_loop_random(etcd->broker.loop) % (uint64_t)spread_us));
}

static mf_etcd *etcd_of(mf_rpc *rpc)
{
    mf_delays *delays = (mf_delays *)((char *)rpc - offsetof(mf_delays, rpc));

    return (mf_etcd *)((char *)delays - offsetof(mf_etcd, delays));
}

static void end_due(mf_etcd *etcd);

/* What was not deleted was put anew, of which the watch tells; or its task is there again. */
static void on_ended(mf_rpc *rpc, const mf_error *error)
{
    mf_etcd *etcd = etcd_of(rpc);
    mf_delays *delays = &etcd->delays;
    const Etcd__TxnResponse *answer = (const Etcd__TxnResponse *)rpc->answer;

    for (size_t i = 0; i < delays->due_count && error->code == MF_OK; i++) {
        const due *one = &delays->due[i];
        const Etcd__TxnResponse *part = mf__answer_txn(answer, i);
        mf__mirror_end_delay(known(etcd), mf__bytes_of(one->id), one->revision,
                             !one->gone || (part != NULL && part->succeeded));
    }
    delays->calling = false;
    mf__arena_clear(&delays->arena);
    if (error->code == MF_OK)
        end_due(etcd);
    else if (!etcd->closing)
        go_on_in(etcd, retry_pause_us);
}

static mf_txn *end_one(mf_etcd *etcd, const due *one)
{
    mf_arena *arena = &etcd->delays.arena;
    mf_bytes key = mf__delay_key(etcd, arena, one->id);
    mf_txn *txn = mf__txn_new(arena, 2, 1, 0);

    mf__txn_if_value(txn, key, mf__delay_text(arena, one->until_us));
    if (one->gone)
        mf__txn_if_mod(txn, mf__task_keys(etcd, arena, one->id).task, 0);
    mf__txn_then(txn, mf__op_delete(arena, key));
    return txn;
}

static void find_due(mf_etcd *etcd)
{
    mf_delays *delays = &etcd->delays;
    size_t most = etcd->broker.max_batch;
    const mf_mirror_delay **found = MF_ARENA_NEW(&delays->arena, const mf_mirror_delay *, most);
    int64_t now_us = mf_loop_wall_us(etcd->broker.loop);

    delays->due_count = mf__mirror_due(known(etcd), now_us, found, most);
    delays->due = MF_ARENA_NEW(&delays->arena, due, delays->due_count);
    for (size_t i = 0; i < delays->due_count; i++) {
        mf_bytes id = mf__bytes_of(mf__mirror_id(found[i]->task));
        delays->due[i] = (due){mf__bytes_terminated(&delays->arena, id), found[i]->until_us,
                               found[i]->revision, found[i]->due_us != found[i]->until_us};
    }
}

/* One call at a time. */
static void end_due(mf_etcd *etcd)
{
    mf_delays *delays = &etcd->delays;

    if (delays->calling || etcd->closing || !mf__etcd_watch_is_on(etcd))
        return;
    find_due(etcd);
    if (delays->due_count == 0) {
        mf__arena_clear(&delays->arena);
        wait_for_next(etcd);
        return;
    }
    mf_txn *txn = mf__txn_new(&delays->arena, 0, delays->due_count, 0);
    for (size_t i = 0; i < delays->due_count; i++)
        mf__txn_then(txn, mf__op_txn(&delays->arena, end_one(etcd, &delays->due[i])));
    delays->calling = true;
    delays->rpc = (mf_rpc){.done = on_ended};
    mf__rpc_start(&delays->rpc, etcd->calls, &mf__method_txn, &txn->message.base, &delays->arena);
}

static void on_timer(void *arg)
{
    mf_etcd *etcd = arg;

    etcd->delays.next_us = INT64_MAX;
    end_due(etcd);
}

/* What is told by others. */

void mf__delays_go_on(mf_etcd *etcd)
{
    if (!etcd->delays.calling && mf__mirror_next_due(known(etcd)) < etcd->delays.next_us)
        wait_for_next(etcd);
}

void mf__delays_deleted(mf_etcd *etcd)
{
    if (!etcd->delays.calling)
        wait_for_next(etcd);
}

int64_t mf__delay_read(mf_etcd *etcd, mf_bytes id, mf_bytes value)
{
    uint64_t until_us;

    if (mf__number_of(&until_us, value))
        return (int64_t)until_us;
    mf__etcd_damage(etcd, "task \"%.*s\": the time from when on it may be claimed is no number",
                    (int)id.len, (const char *)id.data);
    return INT64_MAX;
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
    mf__arena_clear(&etcd->delays.arena);
}
