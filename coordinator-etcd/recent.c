/* Claims that have not lasted yet. Each transaction of claims also puts "_mf/recent/<token>/<lease>
 * .<n>", without a lease, with the ids it asks for, a line each. It is deleted when the claims have
 * outlived MF_CRASH_SURVIVAL_MS or have ended well: so one whose lease is no more tells of a crash
 * (crashes.c), whether anybody was there to see it or not, for one put per transaction.
 *
 * What changes is told to the broker soon after, not with the request that changes it: if the
 * process dies in between, a crash is counted too many, and forgotten when the task has survived.
 */
#include <stdlib.h>
#include <string.h>

#include "claims.h"
#include "crashes.h"
#include "handle.h"
#include "keys.h"
#include "leases.h"
#include "op.h"
#include "recent.h"
#include "revoke.h"
#include "session.h"

/* HELD: a crash if it ends now. FORGIVEN: it lasted, or ended well; the crash count goes. TELLING:
 * that is under way. OVER: none of ours, or told. */
typedef enum recent_state { HELD, FORGIVEN, TELLING, OVER } recent_state;

typedef struct recent_claim {
    const char *id;
    recent_state state;
} recent_claim;

struct mf_recent {
    mf_recent *next;
    uint64_t number;
    int64_t lease, claimed_us;
    int64_t revision; /* of the transaction; 0: not answered */
    bool counted;     /* there were crash counts, of whatever tasks */
    bool changed;     /* the broker is to be told */
    size_t telling;   /* place in the transaction under way, from 1; 0: none */
    size_t count;
    recent_claim claims[];
};

static void drop(mf_recent **at)
{
    mf_recent *gone = *at;

    *at = gone->next;
    free(gone);
}

void mf__recent_clear(mf_etcd_session *session)
{
    while (session->recent != NULL)
        drop(&session->recent);
}

static mf_recent *find(const mf_etcd_session *session, uint64_t number)
{
    mf_recent *recent = session->recent;

    while (recent != NULL && recent->number != number)
        recent = recent->next;
    return recent;
}

/* Those of leases that were left to lapse are dead for the broker, too. */
static void drop_lapsed(mf_etcd_session *session)
{
    for (mf_recent **at = &session->recent; *at != NULL;)
        if (mf__key_leases_find(&session->claims, (*at)->lease) == NULL)
            drop(at);
        else
            at = &(*at)->next;
}

static mf_recent *new_recent(mf_claim *const *claims, size_t count)
{
    size_t bytes = sizeof(mf_recent) + count * sizeof(recent_claim), text = 0;

    for (size_t i = 0; i < count; i++)
        text += strlen(claims[i]->id) + 1;
    mf_recent *recent = calloc(1, bytes + text);
    if (recent == NULL)
        return NULL;
    char *end = (char *)recent + bytes;
    for (size_t i = 0; i < count; i++) {
        recent->claims[i].id = strcpy(end, claims[i]->id);
        end += strlen(end) + 1;
    }
    recent->count = count;
    return recent;
}

/* The key, as text behind the namespace's prefix. */
static mf_bytes key_of(mf_etcd *etcd, mf_arena *arena, const char *token, int64_t lease,
                       uint64_t number)
{
    return mf__key(etcd, arena, "_mf/recent/%s/%016llx.%llu", token, (unsigned long long)lease,
                   (unsigned long long)number);
}

/* The ids of claims that a crash would count for; len 0: none. */
static mf_bytes text_of(mf_arena *arena, const mf_recent *recent)
{
    mf_bytes text = {0};

    for (size_t i = 0; i < recent->count; i++)
        text.len += strlen(recent->claims[i].id) + 1;
    text.data = mf__arena_take(arena, text.len + 1);
    text.len = 0;
    for (size_t i = 0; i < recent->count; i++) {
        size_t length = strlen(recent->claims[i].id);
        if (recent->claims[i].state != HELD)
            continue;
        memcpy(text.data + text.len, recent->claims[i].id, length);
        text.data[text.len + length] = '\n';
        text.len += length + 1;
    }
    return text;
}

uint64_t mf__recent_add(mf_op *op, mf_txn *txn, int64_t lease, mf_claim *const *claims,
                        size_t count)
{
    mf_etcd_session *session = op->session;
    mf_etcd *etcd = op->etcd;

    drop_lapsed(session);
    mf_recent *recent = new_recent(claims, count);
    if (recent == NULL)
        return 0;
    recent->number = ++etcd->crashes.recent;
    recent->lease = lease;
    recent->claimed_us = mf_loop_now_us(etcd->broker.loop);
    recent->next = session->recent;
    session->recent = recent;
    mf__txn_then(txn, mf__op_put(&op->arena,
                                 key_of(etcd, &op->arena, session->token, lease, recent->number),
                                 text_of(&op->arena, recent), 0));
    return recent->number;
}

/* What is known of a transaction. */

void mf__recent_answered(mf_op *op, uint64_t number, int64_t revision, bool counted)
{
    mf_recent *recent = find(op->session, number);

    if (recent == NULL)
        return;
    recent->revision = revision;
    recent->counted = counted;
}

void mf__recent_refused(mf_op *op, uint64_t number, size_t index)
{
    mf_recent *recent = find(op->session, number);

    if (recent == NULL)
        return;
    recent->claims[index].state = OVER;
    recent->changed = true;
}

void mf__recent_failed(mf_op *op, uint64_t number)
{
    mf_recent *recent = find(op->session, number);

    for (size_t i = 0; recent != NULL && i < recent->count; i++)
        mf__recent_refused(op, number, i);
}

static void forgive(mf_recent *recent, size_t index)
{
    if (recent->claims[index].state != HELD)
        return;
    recent->claims[index].state = FORGIVEN;
    recent->changed = true;
}

void mf__recent_survive(mf_etcd *etcd, mf_etcd_session *session, int64_t lease, int64_t sent_us)
{
    bool changed = false;

    for (mf_recent *r = session->recent; r != NULL; r = r->next) {
        if (r->lease != lease || sent_us - r->claimed_us < MF_CRASH_SURVIVAL_MS * INT64_C(1000))
            continue;
        for (size_t i = 0; i < r->count; i++)
            forgive(r, i);
        changed = r->changed = true;
    }
    if (changed)
        mf__crashes_go_on(etcd);
}

bool mf__recent_leave(mf_etcd_session *session)
{
    for (mf_recent *r = session->recent; r != NULL; r = r->next)
        for (size_t i = 0; i < r->count; i++)
            forgive(r, i);
    return session->recent != NULL;
}

/* That of one whose transaction has no answer may be any. */
static bool may_have(const mf_recent *recent, const mf_claim *claim)
{
    return recent->revision == 0 || recent->revision == mf__claim_revision(claim);
}

bool mf__recent_end(mf_etcd_session *session, const mf_claim *claim, bool done)
{
    bool counted = false;

    for (mf_recent *r = session->recent; r != NULL; r = r->next) {
        if (!may_have(r, claim) || (done && !r->counted))
            continue;
        for (size_t i = 0; i < r->count; i++)
            if (strcmp(r->claims[i].id, claim->id) == 0)
                forgive(r, i);
        counted |= r->counted;
    }
    return counted;
}

/* Telling the broker, in one transaction for as many as fit. */

static size_t operations_of(const mf_recent *recent)
{
    return 1 + (recent->counted ? recent->count : 0);
}

/* If the lease is there: its end, and a change that comes late, are not mixed up. */
static mf_txn *tell_one(mf_etcd *etcd, mf_arena *arena, const char *token, mf_recent *recent)
{
    mf_txn *txn = mf__txn_new(arena, 1, operations_of(recent), 0);
    mf_bytes key = key_of(etcd, arena, token, recent->lease, recent->number);
    mf_bytes text = text_of(arena, recent);

    mf__txn_if_exists(txn, mf__lease_mark(etcd, arena, token, recent->lease));
    mf__txn_then(txn, text.len > 0 ? mf__op_put(arena, key, text, 0) : mf__op_delete(arena, key));
    for (size_t i = 0; i < recent->count; i++) {
        recent_claim *claim = &recent->claims[i];
        if (claim->state != FORGIVEN)
            continue;
        claim->state = TELLING;
        if (recent->counted)
            mf__txn_then(txn, mf__op_delete(arena, mf__crash_key(etcd, arena, claim->id)));
    }
    recent->changed = false;
    return txn;
}

mf_txn *mf__recent_tell(mf_etcd *etcd, mf_arena *arena)
{
    mf_txn *txn = mf__txn_new(arena, 0, etcd->broker.max_batch, 0);
    size_t count = 0, most = 0;

    for (mf_etcd_session *s = etcd->sessions; s != NULL; s = s->next)
        for (mf_recent *r = s->recent; r != NULL && count < etcd->broker.max_batch; r = r->next) {
            size_t deepest = operations_of(r) > most ? operations_of(r) : most;
            if (!r->changed || (count > 0 && count + 1 + deepest > etcd->transaction_limit))
                continue;
            most = deepest;
            mf__txn_then(txn, mf__op_txn(arena, tell_one(etcd, arena, s->token, r)));
            r->telling = ++count;
        }
    return count > 0 ? txn : NULL;
}

/* Whether it is to be kept. */
static bool settle(mf_recent *recent, bool told, bool lives)
{
    bool kept = !told;

    recent->telling = 0;
    recent->changed |= !told;
    for (size_t i = 0; i < recent->count; i++) {
        recent_claim *claim = &recent->claims[i];
        if (claim->state == TELLING)
            claim->state = told ? OVER : FORGIVEN;
        kept |= lives && (claim->state == HELD || claim->state == FORGIVEN);
    }
    return kept;
}

void mf__recent_told(mf_etcd *etcd, const Etcd__TxnResponse *answer)
{
    for (mf_etcd_session *s = etcd->sessions; s != NULL; s = s->next)
        for (mf_recent **at = &s->recent; *at != NULL;) {
            size_t place = (*at)->telling;
            const Etcd__TxnResponse *part =
                answer != NULL && place > 0 ? mf__answer_txn(answer, place - 1) : NULL;
            if (place > 0 && !settle(*at, answer != NULL, part != NULL && part->succeeded))
                drop(at);
            else
                at = &(*at)->next;
        }
}
