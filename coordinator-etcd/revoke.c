/* Ending the leases of a session. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handle.h"
#include "keys.h"
#include "op.h"
#include "revoke.h"

mf_bytes mf__lease_mark(mf_etcd *etcd, mf_arena *arena, const char *token, int64_t lease)
{
    return mf__key(etcd, arena, "_mf/leases/%s/%016llx", token, (unsigned long long)lease);
}

bool mf__lease_mark_parse(int64_t *out, mf_bytes text)
{
    char digits[17], *end;

    if (text.len != sizeof digits - 1)
        return false;
    memcpy(digits, text.data, text.len);
    digits[text.len] = '\0';
    *out = (int64_t)strtoull(digits, &end, 16);
    return *end == '\0' && *out > 0;
}

mf_bytes mf__session_end_key(mf_op *op, const char *token)
{
    return mf__key(op->etcd, &op->arena, "_mf/ended/%s", token);
}

static void on_revoked(mf_op *op, mf_part *part, const mf_error *error);

/* Starts the next one in a part that is free. */
static void revoke_next(mf_op *op, mf_revokes *revokes, mf_part *part)
{
    Etcd__LeaseRevokeRequest *request;

    if (revokes->next == revokes->count || op->error.code != MF_OK)
        return;
    request = mf__arena_take(&op->arena, sizeof *request);
    etcd__lease_revoke_request__init(request);
    request->id = revokes->leases[revokes->next++];
    mf__op_part(op, part, op->etcd->calls, &mf__method_revoke, &request->base, on_revoked);
    part->user = revokes;
}

/* A lease that is no more is none to revoke. */
static void on_revoked(mf_op *op, mf_part *part, const mf_error *error)
{
    if (error->code != MF_OK && part->rpc.grpc != MF_GRPC_NOT_FOUND)
        mf__op_note_error(op, error);
    revoke_next(op, part->user, part);
}

static void revoke_all(mf_op *op, mf_revokes *revokes, void (*then)(mf_op *op))
{
    op->then = then;
    op->left = 1; /* so that `then` is not called in here before all have started */
    for (size_t i = 0; i < MF_REVOKES_AT_ONCE; i++)
        revoke_next(op, revokes, &revokes->parts[i]);
    mf__op_part_over(op);
}

void mf__op_revoke(mf_op *op, mf_revokes *revokes, int64_t lease, void (*then)(mf_op *op))
{
    *revokes =
        (mf_revokes){.leases = MF_ARENA_NEW(&op->arena, int64_t, 1), .count = lease != 0 ? 1 : 0};
    revokes->leases[0] = lease;
    revoke_all(op, revokes, then);
}

static void on_marks(mf_op *op)
{
    const Etcd__RangeResponse *marks = mf__op_range_answer(op);
    mf_revokes *revokes = op->revokes;

    revokes->leases = MF_ARENA_NEW(&op->arena, int64_t, marks->n_kvs);
    for (size_t i = 0; i < marks->n_kvs; i++) {
        const mf_bytes key = marks->kvs[i]->key;
        size_t digits = key.len < 16 ? 0 : 16;
        mf_bytes text = {.len = digits, .data = key.data + key.len - digits};
        if (mf__lease_mark_parse(&revokes->leases[revokes->count], text))
            revokes->count++;
    }
    revoke_all(op, revokes, op->revoked);
}

void mf__op_revoke_marked(mf_op *op, mf_revokes *revokes, const char *token,
                          void (*then)(mf_op *op))
{
    mf_bytes prefix = mf__key(op->etcd, &op->arena, "_mf/leases/%s/", token);
    Etcd__RangeRequest *range =
        mf__range_new(&op->arena, prefix, mf__bytes_after_prefix(&op->arena, prefix));

    *revokes = (mf_revokes){0};
    op->revokes = revokes;
    op->revoked = then;
    range->keys_only = true;
    mf__op_call(op, &mf__method_range, &range->base, on_marks);
}
