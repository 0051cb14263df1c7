/* A look at a session's node key, which the renewals of its many leases share.
 *
 * It keeps the session's own lease alive, and reads the node key and the key that removals of tasks
 * touch. One that has begun a moment ago serves all that come, whether it is under way or has been
 * answered: a node with a hundred leases needs few of them, and no renewal waits for more than a
 * round trip. */
#include <stdlib.h>

#include "handle.h"
#include "keys.h"
#include "leases.h"
#include "looks.h"
#include "op.h"
#include "session.h"

/* In the length of a lease. */
enum { LOOKS_MOST = 30 };

struct mf_look {
    mf_etcd *etcd;
    mf_etcd_session *session;
    mf_rpc keep, read;
    mf_arena arena;
    mf_etcd_link *link;
    mf_bytes guard; /* what the node key should hold */
    int64_t began_us, lease;
    mf_deferred again; /* calls back those that come when it has been answered */
    size_t left;       /* calls under way, `again` among them */
    mf_error error;
    mf_looked seen;
    mf_op *served;
};

void mf__look_forget(mf_look *look)
{
    if (look == NULL)
        return;
    mf__arena_clear(&look->arena);
    free(look);
}

static void note_error(mf_look *look, const mf_error *error)
{
    if (look->error.code == MF_OK)
        look->error = *error;
}

static void check_term(mf_look *look, uint64_t term)
{
    mf_error changed;

    if (look->seen.term == 0)
        look->seen.term = term;
    mf_error_set(&changed, look->seen.term == term ? MF_OK : MF_EUNKNOWN,
                 "renew: the leader has changed meanwhile");
    note_error(look, &changed);
}

/* Some may still come while others are called back. */
static void serve(mf_look *look)
{
    mf_op *op;

    while ((op = look->served) != NULL) {
        look->served = op->next_waiting;
        op->looked(op, &look->seen, &look->error);
    }
}

/* The session may go with the last of its renewals. It keeps its latest look. */
static void call_over(mf_look *look)
{
    mf_etcd *etcd = look->etcd;
    mf_etcd_session *session = look->session;

    if (look->left > 1) {
        look->left--;
        return;
    }
    if (look->error.code != MF_OK && session->look == look)
        session->look = NULL;
    session->users++;
    serve(look);
    look->left = 0;
    if (session->look != look)
        mf__look_forget(look);
    mf__session_release(etcd, session);
}

static void on_again(void *arg)
{
    call_over(arg);
}

static void on_read(mf_rpc *rpc, const mf_error *error)
{
    mf_look *look = (mf_look *)((char *)rpc - offsetof(mf_look, read));
    const Etcd__TxnResponse *answer = (const Etcd__TxnResponse *)rpc->answer;

    note_error(look, error);
    if (error->code == MF_OK) {
        check_term(look, answer->header != NULL ? answer->header->raft_term : 0);
        look->seen.node = mf__answer_get(answer, 0);
        look->seen.removals = mf__answer_get(answer, 1);
    }
    call_over(look);
}

static void on_kept(mf_rpc *rpc, const mf_error *error)
{
    mf_look *look = (mf_look *)((char *)rpc - offsetof(mf_look, keep));
    const Etcd__LeaseKeepAliveResponse *answer = (const Etcd__LeaseKeepAliveResponse *)rpc->answer;

    note_error(look, error);
    if (error->code == MF_OK) {
        check_term(look, answer->header != NULL ? answer->header->raft_term : 0);
        look->seen.gone = answer->ttl <= 0;
        if (look->seen.gone && look->session->lease == look->lease)
            look->session->lease = 0;
    }
    call_over(look);
}

static mf_look *new_look(mf_op *op, mf_etcd_link *link)
{
    mf_look *look = calloc(1, sizeof *look);

    if (look == NULL)
        abort(); /* as the arenas do */
    mf__arena_init(&look->arena);
    mf_deferred_init(&look->again, on_again, look);
    look->etcd = op->etcd;
    look->session = op->session;
    look->link = link;
    look->guard = mf__bytes_copy(&look->arena, op->guard);
    look->lease = op->session->lease;
    look->began_us = look->seen.sent_us = mf_loop_now_us(op->etcd->broker.loop);
    return look;
}

static void begin(mf_look *look)
{
    mf_arena *arena = &look->arena;
    mf_txn *txn = mf__txn_new(arena, 0, 2, 0);

    mf__txn_then(txn, mf__op_get(arena, mf__bytes_of(look->session->node_key)));
    mf__txn_then(txn, mf__op_get(arena, mf__removals_key(look->etcd, arena)));
    look->left = 2;
    look->keep.done = on_kept;
    look->read.done = on_read;
    mf__rpc_start(&look->keep, look->link, &mf__method_keep_alive,
                  &mf__keep_alive_new(arena, look->lease)->base, arena);
    mf__rpc_start(&look->read, look->link, &mf__method_txn, &txn->message.base, arena);
}

/* One of another epoch might tell that the session is stale. */
static bool serves(const mf_look *look, const mf_op *op, const mf_etcd_link *link)
{
    int64_t until_us = look->began_us + op->session->claims.ttl_s * 1000000 / LOOKS_MOST;

    return look->link == link && look->lease == op->session->lease &&
           mf__bytes_equal(look->guard, op->guard) && look->error.code == MF_OK &&
           mf_loop_now_us(op->etcd->broker.loop) < until_us;
}

/* The one before goes, when it has called back those that it serves. */
static mf_look *replace(mf_op *op, mf_etcd_link *link)
{
    mf_etcd_session *session = op->session;
    mf_look *look = new_look(op, link);

    if (session->look != NULL && session->look->left == 0)
        mf__look_forget(session->look);
    session->look = look;
    begin(look);
    return look;
}

void mf__look_join(mf_op *op, mf_etcd_link *link, mf_look_fn fn)
{
    mf_look *look = op->session->look;

    if (look == NULL || !serves(look, op, link))
        look = replace(op, link);
    op->looked = fn;
    op->next_waiting = look->served;
    look->served = op;
    if (look->left == 0) {
        look->left = 1;
        mf_defer(op->etcd->broker.loop, &look->again);
    }
}
