/* A look at a session's node key, which the renewals of its many leases share.
 *
 * It keeps the session's own lease alive and then reads, by the same member, the node key and the
 * key that removals of tasks touch. A renewal waits for one that begins after its own leases were
 * kept alive. The first to ask gets it at once; those that ask while it is under way, or soon after
 * it began, get the next one together: a node with a hundred leases has few of them. */
#include "looks.h"
#include "handle.h"
#include "keys.h"
#include "leases.h"
#include "op.h"
#include "session.h"

/* In the length of a lease. */
enum { LOOKS_MOST = 30 };

static void begin(mf_look *look);

static mf_look *look_of(mf_rpc *rpc)
{
    return (mf_look *)((char *)rpc - offsetof(mf_look, rpc));
}

static void arm(mf_look *look)
{
    mf_loop *loop = look->etcd->broker.loop;
    int64_t due = look->began_us + look->session->claims.ttl_s * 1000000 / LOOKS_MOST;

    if (look->under_way || look->waiting == NULL)
        return;
    if (look->began_us == 0 || due <= mf_loop_now_us(loop))
        begin(look);
    else
        mf_timer_start(loop, &look->timer, due);
}

/* The session may go with the last of its renewals. */
static void finish(mf_look *look, const mf_error *error)
{
    mf_etcd *etcd = look->etcd;
    mf_etcd_session *session = look->session;
    mf_op *op = look->served;

    session->users++;
    look->served = NULL;
    look->under_way = false;
    while (op != NULL) {
        mf_op *next = op->next_waiting;
        op->looked(op, &look->seen, error);
        op = next;
    }
    mf__arena_clear(&look->arena);
    arm(look);
    mf__session_release(etcd, session);
}

static void on_read(mf_rpc *rpc, const mf_error *error)
{
    mf_look *look = look_of(rpc);
    const Etcd__TxnResponse *answer = (const Etcd__TxnResponse *)rpc->answer;
    mf_error changed;

    if (error->code != MF_OK) {
        finish(look, error);
        return;
    }
    uint64_t term = answer->header != NULL ? answer->header->raft_term : 0;
    look->seen.node = mf__answer_get(answer, 0);
    look->seen.removals = mf__answer_get(answer, 1);
    mf_error_set(&changed, look->seen.term == term ? MF_OK : MF_EUNKNOWN,
                 "renew: the leader has changed meanwhile");
    finish(look, &changed);
}

static void on_kept(mf_rpc *rpc, const mf_error *error)
{
    mf_look *look = look_of(rpc);
    const Etcd__LeaseKeepAliveResponse *answer = (const Etcd__LeaseKeepAliveResponse *)rpc->answer;
    mf_arena *arena = &look->arena;

    if (error->code != MF_OK) {
        finish(look, error);
        return;
    }
    look->seen.term = answer->header != NULL ? answer->header->raft_term : 0;
    look->seen.gone = answer->ttl <= 0;
    look->seen.sent_us = rpc->sent_us;
    if (look->seen.gone && look->session->lease == look->lease)
        look->session->lease = 0;
    mf_txn *txn = mf__txn_new(arena, 0, 2, 0);
    mf__txn_then(txn, mf__op_get(arena, mf__bytes_of(look->session->node_key)));
    mf__txn_then(txn, mf__op_get(arena, mf__removals_key(look->etcd, arena)));
    look->rpc = (mf_rpc){.done = on_read};
    mf__rpc_start(&look->rpc, look->link, &mf__method_txn, &txn->message.base, arena);
}

/* For all who wait for it by the same connection. */
static void begin(mf_look *look)
{
    mf_op **at = &look->waiting;

    look->link = look->waiting->link;
    while (*at != NULL) {
        mf_op *op = *at;
        if (op->link != look->link) {
            at = &op->next_waiting;
            continue;
        }
        *at = op->next_waiting;
        op->next_waiting = look->served;
        look->served = op;
    }
    mf_timer_stop(look->etcd->broker.loop, &look->timer);
    look->under_way = true;
    look->began_us = mf_loop_now_us(look->etcd->broker.loop);
    look->lease = look->session->lease;
    look->seen = (mf_looked){0};
    look->rpc = (mf_rpc){.done = on_kept};
    mf__rpc_start(&look->rpc, look->link, &mf__method_keep_alive,
                  &mf__keep_alive_new(&look->arena, look->lease)->base, &look->arena);
}

static void on_timer(void *arg)
{
    arm(arg);
}

void mf__look_init(mf_look *look, mf_etcd *etcd, mf_etcd_session *session)
{
    *look = (mf_look){.etcd = etcd, .session = session};
    mf__arena_init(&look->arena);
    mf_timer_init(&look->timer, on_timer, look);
}

void mf__look_join(mf_op *op, mf_etcd_link *link, mf_look_fn fn)
{
    mf_look *look = &op->session->look;

    op->link = link;
    op->looked = fn;
    op->next_waiting = look->waiting;
    look->waiting = op;
    arm(look);
}

void mf__look_close(mf_look *look)
{
    mf_op *op = look->waiting;
    mf_error error;

    mf_timer_stop(look->etcd->broker.loop, &look->timer);
    mf_error_set(&error, MF_ECLOSED, "etcd: the handle is closed");
    look->waiting = NULL;
    while (op != NULL) {
        mf_op *next = op->next_waiting;
        op->looked(op, &look->seen, &error);
        op = next;
    }
}
