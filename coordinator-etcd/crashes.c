/* Crash counts: "_mf/crashes/<id>" has how many owners of the task in a row died soon after they
 * had claimed it.
 *
 * A note of recent claims (recent.c) whose lease is no more is a crash of each task in it that
 * nobody owns, was not submitted since, and for which no crash was counted since: so it does not
 * matter how many nodes count at once, and a note may name more than its session got. The
 * transaction that counts deletes the note, and delays the task, for ever when it is set aside.
 *
 * A handle looks for such notes when a session joins, and when the watch has told of an owner key
 * that went without its task; claims wait for the end of a look, so that they do not come before
 * the count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crashes.h"
#include "delays.h"
#include "handle.h"
#include "keys.h"
#include "op.h"
#include "recent.h"
#include "records.h"
#include "table.h"

static const int64_t retry_pause_us = 1000000;

/* A note of recent claims; from on_marks on, one whose lease is no more. */
typedef struct dead_note {
    mf_bytes key;
    int64_t put, changed; /* revisions */
    const char **ids;
    size_t count, next, portion;
} dead_note;

static mf_etcd *etcd_of(mf_rpc *rpc)
{
    mf_crashes *crashes = (mf_crashes *)((char *)rpc - offsetof(mf_crashes, rpc));

    return (mf_etcd *)((char *)crashes - offsetof(mf_etcd, crashes));
}

mf_bytes mf__crash_key(mf_etcd *etcd, mf_arena *arena, const char *id)
{
    return mf__key(etcd, arena, "_mf/crashes/%s", id);
}

static mf_bytes number_text(mf_arena *arena, unsigned number)
{
    char *text = mf__arena_take(arena, 12);

    snprintf(text, 12, "%u", number);
    return mf__bytes_of(text);
}

unsigned mf__crash_count(const Etcd__KeyValue *value)
{
    uint64_t count;

    return value != NULL && mf__number_of(&count, value->value) && count < UINT16_MAX
               ? (unsigned)count
               : 0;
}

bool mf__is_set_aside(const Etcd__KeyValue *delay)
{
    uint64_t until_us;

    return delay != NULL && mf__number_of(&until_us, delay->value) && until_us == INT64_MAX;
}

Etcd__RequestOp *mf__crashes_any(mf_etcd *etcd, mf_arena *arena)
{
    mf_bytes prefix = mf__key(etcd, arena, "_mf/crashes/");
    Etcd__RangeRequest *range = mf__range_new(arena, prefix, mf__bytes_after_prefix(arena, prefix));

    range->count_only = true;
    return mf__op_range(arena, range);
}

/* Calls: one at a time. */

static void call(mf_etcd *etcd, const mf_method *method, const ProtobufCMessage *request,
                 void (*done)(mf_rpc *rpc, const mf_error *error))
{
    mf_crashes *crashes = &etcd->crashes;

    crashes->calling = true;
    crashes->rpc = (mf_rpc){.done = done};
    mf__rpc_start(&crashes->rpc, etcd->calls, method, request, &crashes->arena);
}

static void transact(mf_etcd *etcd, mf_txn *txn, void (*done)(mf_rpc *rpc, const mf_error *error))
{
    call(etcd, &mf__method_txn, &txn->message.base, done);
}

/* Lets what has waited go on: all is done, or cannot be now. */
static void let_go(mf_op **list)
{
    mf_op *op = *list;

    *list = NULL;
    while (op != NULL) {
        mf_op *next = op->next_waiting;
        op->then(op);
        op = next;
    }
}

static void call_failed(mf_etcd *etcd)
{
    mf_loop *loop = etcd->broker.loop;

    etcd->crashes.calling = false;
    mf__arena_clear(&etcd->crashes.arena);
    if (!etcd->closing)
        mf_timer_start(loop, &etcd->crashes.timer, mf_loop_now_us(loop) + retry_pause_us);
    let_go(&etcd->crashes.served);
    let_go(&etcd->crashes.waiting);
}

static void work_is_over(mf_etcd *etcd)
{
    etcd->crashes.calling = false;
    mf__arena_clear(&etcd->crashes.arena);
    let_go(&etcd->crashes.served);
    mf__crashes_go_on(etcd);
}

/* Counting. */

static mf_txn *count_one(mf_etcd *etcd, const dead_note *note, const char *id, unsigned crashes)
{
    mf_arena *arena = &etcd->crashes.arena;
    mf_task_keys keys = mf__task_keys(etcd, arena, id);
    mf_bytes key = mf__crash_key(etcd, arena, id);
    mf_txn *txn = mf__txn_new(arena, 4, 2, 0);
    int64_t pause = mf_crash_pause_us(id, crashes), until = INT64_MAX;

    mf__txn_if_mod(txn, keys.owner, 0);
    mf__txn_if_exists(txn, keys.task);
    mf__txn_if_created_before(txn, keys.task, note->put);
    mf__txn_if_mod_before(txn, key, note->put);
    mf__txn_then(txn, mf__op_put(arena, key, number_text(arena, crashes), 0));
    if (crashes < etcd->crashes.max)
        until = mf_loop_wall_us(etcd->broker.loop) + pause;
    if (until == INT64_MAX || pause > 0)
        mf__txn_then(txn, mf__op_put(arena, mf__delay_key(etcd, arena, id),
                                     mf__delay_text(arena, until), 0));
    return txn;
}

static void go_on_with(mf_etcd *etcd);

static void on_counted(mf_rpc *rpc, const mf_error *error)
{
    mf_etcd *etcd = etcd_of(rpc);
    dead_note *note = &etcd->crashes.notes[etcd->crashes.note];

    if (error->code != MF_OK) {
        call_failed(etcd);
        return;
    }
    note->next += note->portion;
    /* Another node has done the rest when the note has changed. */
    if (note->next == note->count || !((const Etcd__TxnResponse *)rpc->answer)->succeeded)
        etcd->crashes.note++;
    go_on_with(etcd);
}

/* `counts`: what was there, NULL if nothing was. The last portion takes the note away. */
static void write_counts(mf_etcd *etcd, const dead_note *note, const Etcd__TxnResponse *counts)
{
    mf_arena *arena = &etcd->crashes.arena;
    mf_txn *txn = mf__txn_new(arena, 1, note->portion + 1, 0);

    mf__txn_if_mod(txn, note->key, note->changed);
    for (size_t i = 0; i < note->portion; i++) {
        unsigned crashes = counts != NULL ? mf__crash_count(mf__answer_get(counts, i)) + 1 : 1;
        mf__txn_then(txn,
                     mf__op_txn(arena, count_one(etcd, note, note->ids[note->next + i], crashes)));
    }
    if (note->next + note->portion == note->count)
        mf__txn_then(txn, mf__op_delete(arena, note->key));
    transact(etcd, txn, on_counted);
}

static void on_counts(mf_rpc *rpc, const mf_error *error)
{
    mf_etcd *etcd = etcd_of(rpc);

    if (error->code == MF_OK)
        write_counts(etcd, &etcd->crashes.notes[etcd->crashes.note],
                     (const Etcd__TxnResponse *)rpc->answer);
    else
        call_failed(etcd);
}

static void read_counts(mf_etcd *etcd, dead_note *note)
{
    mf_arena *arena = &etcd->crashes.arena;
    size_t left = note->count - note->next;

    note->portion = left < etcd->broker.max_batch ? left : etcd->broker.max_batch;
    if (!etcd->crashes.counted || note->portion == 0) {
        write_counts(etcd, note, NULL);
        return;
    }
    mf_txn *txn = mf__txn_new(arena, 0, note->portion, 0);
    for (size_t i = 0; i < note->portion; i++)
        mf__txn_then(txn, mf__op_get(arena, mf__crash_key(etcd, arena, note->ids[note->next + i])));
    transact(etcd, txn, on_counts);
}

/* The notes. */

static void read_ids(mf_etcd *etcd, dead_note *note, const Etcd__KeyValue *value)
{
    mf_arena *arena = &etcd->crashes.arena;
    char *text = mf__bytes_terminated(arena, value->value), *rest = text, *line;
    size_t most = 0;

    note->put = value->create_revision;
    note->changed = value->mod_revision;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        most++;
    note->ids = MF_ARENA_NEW(arena, const char *, most + 1);
    while ((line = strsep(&rest, "\n")) != NULL)
        if (mf_check_task_id("", line, NULL) == MF_OK)
            note->ids[note->count++] = line;
}

static void on_read(mf_rpc *rpc, const mf_error *error)
{
    mf_etcd *etcd = etcd_of(rpc);
    mf_crashes *crashes = &etcd->crashes;
    const Etcd__TxnResponse *answer = (const Etcd__TxnResponse *)rpc->answer;

    if (error->code != MF_OK) {
        call_failed(etcd);
        return;
    }
    for (size_t i = 0; i < answer->n_responses; i++, crashes->read++) {
        const Etcd__KeyValue *value = mf__answer_get(answer, i);
        if (value != NULL)
            read_ids(etcd, &crashes->notes[crashes->read], value);
    }
    go_on_with(etcd);
}

static void read_notes(mf_etcd *etcd)
{
    mf_crashes *crashes = &etcd->crashes;
    size_t left = crashes->note_count - crashes->read;
    size_t count = left < etcd->broker.max_batch / 4 ? left : etcd->broker.max_batch / 4;
    mf_txn *txn = mf__txn_new(&crashes->arena, 0, count, 0);

    for (size_t i = 0; i < count; i++)
        mf__txn_then(txn, mf__op_get(&crashes->arena, crashes->notes[crashes->read + i].key));
    transact(etcd, txn, on_read);
}

static void go_on_with(mf_etcd *etcd)
{
    mf_crashes *crashes = &etcd->crashes;

    while (crashes->note < crashes->read && crashes->notes[crashes->note].put == 0)
        crashes->note++; /* it was gone */
    if (crashes->note < crashes->read) {
        read_counts(etcd, &crashes->notes[crashes->note]);
    } else if (crashes->note < crashes->note_count) {
        read_notes(etcd);
    } else {
        crashes->looked = crashes->looking;
        work_is_over(etcd);
    }
}

/* "<token>/<lease>" of a note's key, or of a lease's mark. */
static mf_bytes lease_of(const mf_etcd *etcd, mf_bytes key, const char *part)
{
    mf_bytes rest = mf__key_rest(etcd, key, part);
    const uint8_t *dot = rest.len > 0 ? memchr(rest.data, '.', rest.len) : NULL;

    if (dot != NULL)
        rest.len = (size_t)(dot - rest.data);
    return rest;
}

static Etcd__RangeRequest *keys_below(mf_etcd *etcd, const char *part)
{
    mf_arena *arena = &etcd->crashes.arena;
    mf_bytes prefix = mf__key(etcd, arena, "%s", part);
    Etcd__RangeRequest *range = mf__range_new(arena, prefix, mf__bytes_after_prefix(arena, prefix));

    range->keys_only = true;
    return range;
}

/* Leaves the notes whose leases have no mark. */
static void on_marks(mf_rpc *rpc, const mf_error *error)
{
    mf_etcd *etcd = etcd_of(rpc);
    mf_crashes *crashes = &etcd->crashes;
    const Etcd__TxnResponse *answer = (const Etcd__TxnResponse *)rpc->answer;
    size_t dead = 0;
    mf_table marks;

    if (error->code != MF_OK) {
        call_failed(etcd);
        return;
    }
    const Etcd__RangeResponse *leases = mf__answer_range(answer, 0);
    size_t lease_count = leases != NULL ? leases->n_kvs : 0;
    crashes->counted = mf__answer_exists(answer, 1);
    mf__table_init(&marks, &crashes->arena, lease_count);
    for (size_t i = 0; i < lease_count; i++)
        mf__table_add(&marks, lease_of(etcd, leases->kvs[i]->key, "_mf/leases/"), i);
    for (size_t i = 0; i < crashes->note_count; i++)
        if (!mf__table_has(&marks, lease_of(etcd, crashes->notes[i].key, "_mf/recent/")))
            crashes->notes[dead++].key = crashes->notes[i].key;
    crashes->note_count = dead;
    go_on_with(etcd);
}

static void read_marks(mf_etcd *etcd)
{
    mf_arena *arena = &etcd->crashes.arena;
    mf_txn *txn = mf__txn_new(arena, 0, 2, 0);

    mf__txn_then(txn, mf__op_range(arena, keys_below(etcd, "_mf/leases/")));
    mf__txn_then(txn, mf__crashes_any(etcd, arena));
    transact(etcd, txn, on_marks);
}

static void on_notes(mf_rpc *rpc, const mf_error *error)
{
    mf_etcd *etcd = etcd_of(rpc);
    mf_crashes *crashes = &etcd->crashes;
    const Etcd__RangeResponse *notes = (const Etcd__RangeResponse *)rpc->answer;

    if (error->code != MF_OK) {
        call_failed(etcd);
        return;
    }
    crashes->notes = MF_ARENA_NEW(&crashes->arena, dead_note, notes->n_kvs);
    crashes->note = crashes->read = 0;
    crashes->note_count = notes->n_kvs;
    for (size_t i = 0; i < notes->n_kvs; i++)
        crashes->notes[i].key = mf__bytes_copy(&crashes->arena, notes->kvs[i]->key);
    if (notes->n_kvs == 0)
        go_on_with(etcd);
    else
        read_marks(etcd);
}

/* For all who wait by now. */
static void look(mf_etcd *etcd)
{
    mf_crashes *crashes = &etcd->crashes;

    crashes->looking = crashes->suspected;
    crashes->served = crashes->waiting;
    crashes->waiting = NULL;
    call(etcd, &mf__method_range, &keys_below(etcd, "_mf/recent/")->base, on_notes);
}

/* What has become of this handle's own claims. */
static void on_told(mf_rpc *rpc, const mf_error *error)
{
    mf_etcd *etcd = etcd_of(rpc);
    bool told = error->code == MF_OK;

    mf__recent_told(etcd, told ? (const Etcd__TxnResponse *)rpc->answer : NULL);
    if (told)
        work_is_over(etcd);
    else
        call_failed(etcd);
}

void mf__crashes_go_on(mf_etcd *etcd)
{
    mf_crashes *crashes = &etcd->crashes;

    if (crashes->calling)
        return;
    mf_timer_stop(etcd->broker.loop, &crashes->timer);
    mf_txn *txn = etcd->closing ? NULL : mf__recent_tell(etcd, &crashes->arena);
    if (txn != NULL) {
        transact(etcd, txn, on_told);
    } else if (!mf__crashes_are_counted(etcd) && !etcd->closing) {
        look(etcd);
    } else {
        mf__arena_clear(&crashes->arena);
        let_go(&crashes->waiting);
    }
}

void mf__crashes_await(mf_op *op, void (*then)(mf_op *op))
{
    op->then = then;
    op->next_waiting = op->etcd->crashes.waiting;
    op->etcd->crashes.waiting = op;
    mf__crashes_go_on(op->etcd);
}

bool mf__crashes_are_counted(const mf_etcd *etcd)
{
    return etcd->crashes.looked == etcd->crashes.suspected;
}

void mf__crashes_suspect(mf_etcd *etcd)
{
    if (etcd->crashes.max == 0)
        return;
    etcd->crashes.suspected++;
    mf__crashes_go_on(etcd);
}

static void on_timer(void *arg)
{
    mf__crashes_go_on(arg);
}

void mf__crashes_init(mf_etcd *etcd, const mf_broker_options *options)
{
    mf_crashes *crashes = &etcd->crashes;

    crashes->max = (unsigned)mf_crash_limit(options);
    crashes->suspected = crashes->max > 0;
    mf_timer_init(&crashes->timer, on_timer, etcd);
    mf__arena_init(&crashes->arena);
}

void mf__crashes_clear(mf_etcd *etcd)
{
    mf_timer_stop(etcd->broker.loop, &etcd->crashes.timer);
    mf__arena_clear(&etcd->crashes.arena);
}
