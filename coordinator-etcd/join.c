/* join and leave.
 *
 * A join grants a lease, or keeps the one that it has alive, and reads at the same time who has the
 * name; then it puts the node key if nothing has changed meanwhile. So the lease has most of its
 * time before it when the join is answered, however slow etcd is. A join may be refused for being
 * late, never overwrite. A takeover ends the other session's leases first, so that one that is cut
 * off half way finds the rest to do when it comes again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crashes.h"
#include "document.h"
#include "handle.h"
#include "history.h"
#include "keys.h"
#include "leases.h"
#include "op.h"
#include "recent.h"
#include "records.h"
#include "revoke.h"
#include "session.h"
#include "slots.h"

typedef struct join_op {
    mf_op op; /* first */
    mf_join_request *request;
    int64_t lease; /* being granted */
    mf_part lease_part, read_part;
    int64_t node_revision; /* 0: the name is free */
    int64_t end_revision;  /* of what is left of this session's own end */
    int64_t holder_lease;
    mf_etcd_document holder;
    mf_revokes revokes;
    int64_t asked_us;
    mf_history_mark known; /* when the last transaction was sent */
    uint64_t base;         /* of fences, to be raised to */
} join_op;

/* The name is free, ours, or was freed. */

static void on_marks_ready(mf_op *op, mf_key_lease *lease, const mf_error *error)
{
    (void)lease;
    if (error != NULL && error->code != MF_EREFUSED) {
        mf__op_fail_as(op, error);
        return;
    }
    if (((join_op *)op)->request->takeover)
        mf__crashes_suspect(op->etcd);
    mf__crashes_await(op, mf__op_end);
}

static void on_claims_ready(mf_op *op, mf_key_lease *lease, const mf_error *error)
{
    (void)lease;
    if (error != NULL && error->code != MF_EREFUSED)
        mf__op_fail_as(op, error);
    else
        mf__key_leases_take(&op->etcd->marks, op, 0, on_marks_ready);
}

/* The leases that the first claims and requests need are there when the join is answered, and what
 * crashed before is counted, so that these are one call each. Both began with the join. An etcd
 * whose space is used up grants none; what is held can be renewed and ended all the same. */
static void on_joined(mf_op *op)
{
    if (op->error.code != MF_OK)
        mf__op_fail_as(op, &op->error);
    else
        mf__key_leases_take(&op->session->claims, op, 0, on_claims_ready);
}

static void on_put(mf_op *op)
{
    join_op *join = (join_op *)op;

    if (!mf__op_txn_answer(op)->succeeded) {
        mf__op_fail(op, MF_ESTALE, "join: node \"%s\" has changed meanwhile",
                    join->request->session->node);
        return;
    }
    /* When the holder was another session: its lease, which keeps nothing of it any more. */
    mf__op_revoke(op, &join->revokes, join->holder_lease, on_joined);
}

/* The session's lease, or that of the holder's end, has lapsed; nothing was put. */
static bool lease_is_gone(mf_op *op, const mf_error *error)
{
    (void)error;
    if (op->rpc.grpc != MF_GRPC_NOT_FOUND)
        return false;
    op->session->lease = 0;
    mf__key_leases_forget(&op->etcd->marks, op->lease);
    mf__op_fail(op, MF_EUNREACHABLE, "join: a lease has lapsed meanwhile");
    return true;
}

/* In a nested transaction, in which etcd counts no puts: when its space is used up, a session whose
 * node key is there already goes on. */
static Etcd__RequestOp *put_within_quota(mf_op *op, mf_bytes key)
{
    mf_txn *nested = mf__txn_new(&op->arena, 0, 1, 0);

    mf__txn_then(nested, mf__op_put(&op->arena, key, op->guard, op->session->lease));
    return mf__op_txn(&op->arena, nested);
}

static void put_node(mf_op *op, mf_key_lease *lease, const mf_error *error)
{
    join_op *join = (join_op *)op;
    mf_etcd_session *session = op->session;
    mf_bytes key = mf__bytes_of(session->node_key);
    mf_txn *txn = mf__txn_new(&op->arena, 2, 2, 0);

    if (error != NULL) {
        mf__op_fail_as(op, error);
        return;
    }
    mf__txn_if_mod(txn, key, join->node_revision);
    mf__txn_if_mod(txn, mf__session_end_key(op, session->token), join->end_revision);
    mf__txn_then(txn, put_within_quota(op, key));
    if (lease != NULL)
        mf__txn_then(txn, mf__op_put(&op->arena, mf__session_end_key(op, join->holder.token),
                                     mf__number_text(op, join->holder.epoch), lease->id));
    op->rescue = lease_is_gone;
    mf__op_transact(op, txn, on_put);
}

/* The name is another session's. */

static void on_holder_revoked(mf_op *op)
{
    join_op *join = (join_op *)op;

    if (op->error.code != MF_OK)
        mf__op_fail_as(op, &op->error);
    else if (join->holder.token[0] != '\0')
        mf__key_leases_take(&op->etcd->marks, op, 1, put_node);
    else
        put_node(op, NULL, NULL);
}

static void take_over(mf_op *op)
{
    join_op *join = (join_op *)op;

    if (join->holder.token[0] != '\0')
        mf__op_revoke_marked(op, &join->revokes, join->holder.token, on_holder_revoked);
    else
        on_holder_revoked(op);
}

/* etcd tells the time left in whole seconds, rounded down. What is told here never grows unless the
 * holder has renewed: as long as the new answer allows for the end that was told before, that
 * stays. etcd is late to end a lease, by up to a second: until then it is told as about to end. */
enum { ABOUT_TO_MS = 200 };

static void estimate_end(mf_op *op, const Etcd__LeaseTimeToLiveResponse *left)
{
    join_op *join = (join_op *)op;
    mf_etcd_session *session = op->session;
    int64_t now = mf_loop_now_us(op->etcd->broker.loop);
    int64_t ttl = left->ttl > 0 ? left->ttl : 0;
    int64_t most = left->grantedttl > 0 && left->grantedttl < ttl + 1 ? left->grantedttl : ttl + 1;
    int64_t end = now + most * 1000000;

    if (strcmp(session->holder, join->request->holder) == 0 &&
        join->asked_us + ttl * 1000000 <= session->holder_until_us &&
        session->holder_until_us < end)
        end = session->holder_until_us;
    memcpy(session->holder, join->request->holder, sizeof session->holder);
    session->holder_until_us = end;
    int64_t remaining_ms = (end - now) / 1000;
    join->request->remaining_ms = remaining_ms > ABOUT_TO_MS ? remaining_ms : ABOUT_TO_MS;
    op->request->sent_us = end - join->request->remaining_ms * 1000;
    if (op->request->sent_us > join->asked_us)
        op->request->sent_us = join->asked_us;
}

static void on_time_left(mf_op *op)
{
    join_op *join = (join_op *)op;
    const Etcd__LeaseTimeToLiveResponse *answer =
        (const Etcd__LeaseTimeToLiveResponse *)op->rpc.answer;

    estimate_end(op, answer);
    mf__op_fail(op, MF_ENAMEINUSE, "node name \"%s\" is in use by a consumer for at least %lld ms",
                join->request->session->node, (long long)join->request->remaining_ms);
}

static void refuse_name(mf_op *op)
{
    join_op *join = (join_op *)op;
    Etcd__LeaseTimeToLiveRequest *request = mf__arena_take(&op->arena, sizeof *request);

    if (join->holder.token[0] != '\0')
        memcpy(join->request->holder, join->holder.token, sizeof join->request->holder);
    else
        snprintf(join->request->holder, sizeof join->request->holder, "lease-%016llx",
                 (unsigned long long)join->holder_lease);
    join->asked_us = mf_loop_now_us(op->etcd->broker.loop);
    if (join->holder_lease == 0) {
        join->request->remaining_ms = join->request->session->lease_ms;
        mf__op_fail(op, MF_ENAMEINUSE, "node name \"%s\" is in use, by a key without a lease",
                    join->request->session->node);
        return;
    }
    etcd__lease_time_to_live_request__init(request);
    request->id = join->holder_lease;
    mf__op_call(op, &mf__method_time_to_live, &request->base, on_time_left);
}

/* Who has the name. */

/* "_mf/ended/<token>" holds the epoch at which the session ended. */
static bool has_ended_since(mf_op *op, const Etcd__KeyValue *end)
{
    uint64_t epoch;

    return end != NULL && mf__number_of(&epoch, end->value) && epoch >= op->epoch;
}

static void judge_name(join_op *join, const Etcd__KeyValue *node, const Etcd__KeyValue *end)
{
    mf_op *op = &join->op;

    join->node_revision = node != NULL ? node->mod_revision : 0;
    join->end_revision = end != NULL ? end->mod_revision : 0;
    if (node != NULL)
        (void)mf__etcd_document_read(&join->holder, node->value, &op->arena);
    bool ours = node != NULL && strcmp(join->holder.token, op->session->token) == 0;
    if (has_ended_since(op, end) || (ours && join->holder.epoch > op->epoch)) {
        mf__op_fail(op, MF_ESTALE, "%s", mf_strerror(MF_ESTALE));
    } else if (node == NULL || ours) {
        put_node(op, NULL, NULL);
    } else {
        join->holder_lease = node->lease;
        if (join->request->takeover)
            take_over(op);
        else
            refuse_name(op);
    }
}

/* etcd may have been restored from a backup (history.c). */

static void read_node(mf_op *op);

/* What was read may have been out of date. What is written is not. */
static void on_raised(mf_op *op)
{
    join_op *join = (join_op *)op;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);

    if (!answer->succeeded) {
        mf__op_fail(op, MF_EUNREACHABLE, "join: the fence base has changed meanwhile");
        return;
    }
    if (mf__history_has_ended(op->etcd, join->known, answer->header))
        mf__history_begin(op->etcd, answer->header, join->base);
    read_node(op);
}

static void raise_base(join_op *join, const Etcd__KeyValue *found)
{
    mf_op *op = &join->op;
    mf_bytes key = mf__key(op->etcd, &op->arena, "_mf/fence");
    mf_txn *txn = mf__txn_new(&op->arena, 1, 1, 0);
    uint64_t base;

    if (mf__fence_base_read(&base, found) != MF_OK) {
        mf__op_fail(op, MF_EDAMAGED, "join: the namespace's fence base is no number");
        return;
    }
    join->base = mf__history_next_base(op->etcd, base);
    mf__txn_if_mod(txn, key, found != NULL ? found->mod_revision : 0);
    mf__txn_then(txn, mf__op_put(&op->arena, key, mf__number_text(op, join->base), 0));
    join->known = mf__history_mark(op->etcd);
    mf__op_transact(op, txn, on_raised);
}

static void judge_read(join_op *join, const Etcd__TxnResponse *answer)
{
    mf_op *op = &join->op;
    const Etcd__KeyValue *base = mf__answer_get(answer, 2);

    if (mf__history_has_ended(op->etcd, join->known, answer->header)) {
        raise_base(join, base);
    } else {
        mf__history_see(op->etcd, answer->header);
        if (mf__fence_base_read(&op->etcd->fence_base, base) == MF_OK)
            mf__history_see_base(op->etcd, op->etcd->fence_base);
        judge_name(join, mf__answer_get(answer, 0), mf__answer_get(answer, 1));
    }
}

static mf_txn *read_names(join_op *join)
{
    mf_op *op = &join->op;
    mf_txn *txn = mf__txn_new(&op->arena, 0, 3, 0);

    mf__txn_then(txn, mf__op_get(&op->arena, mf__bytes_of(op->session->node_key)));
    mf__txn_then(txn, mf__op_get(&op->arena, mf__session_end_key(op, op->session->token)));
    mf__txn_then(txn, mf__op_get(&op->arena, mf__key(op->etcd, &op->arena, "_mf/fence")));
    join->known = mf__history_mark(op->etcd);
    return txn;
}

static void on_read(mf_op *op)
{
    judge_read((join_op *)op, mf__op_txn_answer(op));
}

static void read_node(mf_op *op)
{
    mf__op_transact(op, read_names((join_op *)op), on_read);
}

/* The session's lease. */

static void judge_first_read(mf_op *op)
{
    join_op *join = (join_op *)op;

    judge_read(join, (const Etcd__TxnResponse *)join->read_part.rpc.answer);
}

static void note_granted(join_op *join, int64_t sent_us)
{
    join->op.session->lease = join->lease;
    join->op.request->sent_us = sent_us;
}

/* An etcd whose space is used up will have some again: a node that starts waits for it. */
static bool has_no_space(mf_op *op, const mf_rpc *rpc, const mf_error *error)
{
    if (rpc->grpc != MF_GRPC_RESOURCE_EXHAUSTED)
        return false;
    mf_error_set(&op->error, MF_EUNREACHABLE, "join: %s", error->text);
    return true;
}

static bool rescue_grant(mf_op *op, const mf_error *error)
{
    if (!has_no_space(op, &op->rpc, error))
        return false;
    mf__op_fail_as(op, &op->error);
    return true;
}

static void on_granted(mf_op *op)
{
    op->rescue = NULL;
    note_granted((join_op *)op, op->rpc.sent_us);
    judge_first_read(op);
}

static Etcd__LeaseGrantRequest *grant_request(join_op *join)
{
    Etcd__LeaseGrantRequest *request = mf__arena_take(&join->op.arena, sizeof *request);

    etcd__lease_grant_request__init(request);
    request->id = join->lease = mf__lease_new_id(join->op.etcd);
    request->ttl = mf__lease_seconds(join->request->session->lease_ms);
    return request;
}

static void each_read(mf_op *op, mf_part *part, const mf_error *error)
{
    (void)part;
    if (error->code != MF_OK)
        mf__op_note_error(op, error);
}

static void each_granted(mf_op *op, mf_part *part, const mf_error *error)
{
    if (error->code == MF_OK)
        note_granted((join_op *)op, part->rpc.sent_us);
    else if (!has_no_space(op, &part->rpc, error))
        mf__op_note_error(op, error);
}

static void each_kept(mf_op *op, mf_part *part, const mf_error *error)
{
    const Etcd__LeaseKeepAliveResponse *answer =
        (const Etcd__LeaseKeepAliveResponse *)part->rpc.answer;

    if (error->code != MF_OK)
        mf__op_note_error(op, error);
    else if (answer->ttl > 0)
        op->request->sent_us = part->rpc.sent_us;
    else
        op->session->lease = 0;
}

static void on_begun(mf_op *op)
{
    if (op->error.code != MF_OK) {
        mf__op_fail_as(op, &op->error);
    } else if (op->session->lease != 0) {
        judge_first_read(op);
    } else {
        op->rescue = rescue_grant;
        mf__op_call(op, &mf__method_grant, &grant_request((join_op *)op)->base, on_granted);
    }
}

void mf__etcd_join(mf_broker *broker, mf_join_request *request)
{
    join_op *join = mf__op_new_of(broker, &request->request, sizeof *join, request->session);

    if (join == NULL)
        return;
    mf_op *op = &join->op;
    mf_etcd_link *calls = op->etcd->calls;
    join->request = request;
    op->joins = true;
    op->session->joins++;
    op->session->over = false;
    op->then = on_begun;
    if (op->session->lease == 0)
        mf__op_part(op, &join->lease_part, calls, &mf__method_grant, &grant_request(join)->base,
                    each_granted);
    else
        mf__op_part(op, &join->lease_part, calls, &mf__method_keep_alive,
                    &mf__keep_alive_new(&op->arena, op->session->lease)->base, each_kept);
    mf__op_part(op, &join->read_part, calls, &mf__method_txn, &read_names(join)->message.base,
                each_read);
    mf__key_leases_prepare(&op->session->claims);
    mf__key_leases_prepare(&op->etcd->marks);
    mf__crashes_suspect(op->etcd);
}

/* leave */

typedef struct leave_op {
    mf_op op; /* first */
    mf_revokes revokes;
    bool ended; /* what remains of the session is written */
} leave_op;

static void on_claims_revoked(mf_op *op)
{
    leave_op *leave = (leave_op *)op;

    if (op->error.code != MF_OK)
        mf__op_fail_as(op, &op->error);
    else
        mf__op_revoke(op, &leave->revokes, op->session->lease, mf__op_end_group);
}

static void on_ended(mf_op *op);

/* With the guard: the node key goes, too, and what is there of recent claims. Without it, the
 * session had lapsed already. */
static void write_end(mf_op *op, mf_key_lease *lease, const mf_error *error)
{
    leave_op *leave = (leave_op *)op;
    mf_bytes end = mf__session_end_key(op, op->session->token);
    mf_txn *txn = mf__txn_new(&op->arena, 1, 3, 1);
    mf_bytes recent = mf__key(op->etcd, &op->arena, "_mf/recent/%s/", op->session->token);

    if (error != NULL) {
        mf__op_fail_as(op, error);
        return;
    }
    if (!leave->ended) {
        mf__guard(op, txn);
        mf__txn_then(txn, mf__op_delete(&op->arena, mf__bytes_of(op->session->node_key)));
        mf__txn_then(txn, mf__op_delete_range(&op->arena, recent,
                                              mf__bytes_after_prefix(&op->arena, recent)));
    }
    mf__txn_then(txn, mf__op_put(&op->arena, end, mf__number_text(op, op->epoch), lease->id));
    op->rescue = mf__key_leases_take_again;
    mf__op_transact(op, txn, on_ended);
}

static void on_ended(mf_op *op)
{
    leave_op *leave = (leave_op *)op;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);
    const Etcd__KeyValue *node = mf__answer_get(answer, 0);
    mf_etcd_document found = {0};

    op->rescue = NULL;
    if (answer->succeeded) {
        mf__op_revoke_marked(op, &leave->revokes, op->session->token, on_claims_revoked);
        return;
    }
    if (node != NULL && mf__etcd_document_read(&found, node->value, &op->arena) == MF_OK &&
        strcmp(found.token, op->session->token) == 0 && found.epoch > op->epoch) {
        mf__op_fail(op, MF_ESTALE, "%s", mf_strerror(MF_ESTALE));
        return;
    }
    leave->ended = true;
    mf__key_leases_take(&op->etcd->marks, op, 1, write_end);
}

static void on_forgiven(mf_op *op)
{
    mf__key_leases_take(&op->etcd->marks, op, 1, write_end);
}

static void begin_leave(mf_op *op)
{
    op->session->over = true;
    if (mf__recent_leave(op->session))
        mf__crashes_await(op, on_forgiven);
    else
        on_forgiven(op);
}

void mf__etcd_leave(mf_broker *broker, mf_session_request *request)
{
    leave_op *leave = mf__op_new_of(broker, &request->request, sizeof *leave, request->session);

    if (leave != NULL)
        mf__op_begin(&leave->op, begin_leave);
}
