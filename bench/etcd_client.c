/* The least client that etcd can have: transactions on one connection, a number of them under way.
 */
#include "etcd_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/channel.h"

enum { MOST_IN_FLIGHT = 64, LIMIT_S = 120 };

typedef struct slot {
    mf_grpc_call call; /* first */
    etcd_client *client;
    mf_arena arena;
    bool answered;
} slot;

struct etcd_client {
    bench_rig *rig;
    mf_grpc_channel *channel;
    bool up;
    const etcd_work *work;
    size_t next, left, succeeded;
    slot slots[MOST_IN_FLIGHT];
};

/* Answers are walked over, not unpacked. */

static uint64_t varint(const uint8_t **at, const uint8_t *end)
{
    uint64_t value = 0;
    for (int shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    bench_fail("etcd's answer is cut off");
}

/* The next field's number; `body` is its bytes, or `value` its number. */
static uint32_t field(const uint8_t **at, const uint8_t *end, mf_bytes *body, uint64_t *value)
{
    uint64_t key = varint(at, end);
    *value = varint(at, end);
    if ((key & 7) == 2) {
        if (*value > (uint64_t)(end - *at))
            bench_fail("etcd's answer is cut off");
        *body = (mf_bytes){.data = (uint8_t *)*at, .len = *value};
        *at += *value;
    } else if ((key & 7) != 0) {
        bench_fail("etcd's answer has a field of a type that it has not");
    }
    return (uint32_t)(key >> 3);
}

enum { TXN_SUCCEEDED = 2, TXN_RESPONSES = 3, RESPONSE_TXN = 4 };

/* How many nested transactions succeeded. */
static size_t count_succeeded(mf_bytes txn, int depth)
{
    const uint8_t *at = txn.data, *end = at + txn.len;
    size_t succeeded = 0;
    while (at < end) {
        mf_bytes body = {0};
        uint64_t value;
        uint32_t number = field(&at, end, &body, &value);
        if (depth == 1 && number == TXN_SUCCEEDED && value == 1)
            return 1;
        if (depth == 1 || number != TXN_RESPONSES || body.len == 0)
            continue;
        const uint8_t *inner = body.data, *inner_end = inner + body.len;
        if (field(&inner, inner_end, &body, &value) == RESPONSE_TXN)
            succeeded += count_succeeded(body, 1);
    }
    return succeeded;
}

/* Calls. */

static void start_next(slot *s);

static void on_message(mf_grpc_call *call, const uint8_t *bytes, size_t length)
{
    slot *s = (slot *)call;
    s->answered = true;
    if (s->client->work->path == NULL)
        s->client->succeeded +=
            count_succeeded((mf_bytes){.data = (uint8_t *)bytes, .len = length}, 0);
}

static void on_finished(mf_grpc_call *call, const mf_grpc_status *status)
{
    slot *s = (slot *)call;
    etcd_client *me = s->client;
    if (status->code != MF_GRPC_OK || !s->answered)
        bench_fail("etcd: %s: %s", mf__grpc_code_name(status->code), status->message);
    mf__arena_clear(&s->arena);
    if (--me->left == 0)
        rig_done(me->rig);
    else if (me->next < me->work->count)
        start_next(s);
}

static void start_next(slot *s)
{
    etcd_client *me = s->client;
    mf__arena_init(&s->arena);
    s->answered = false;
    const ProtobufCMessage *message = me->work->make(me->next++, &s->arena, me->work->arg);
    s->call =
        (mf_grpc_call){.path = me->work->path != NULL ? me->work->path : "/etcdserverpb.KV/Txn",
                       .message = on_message,
                       .finished = on_finished};
    if (mf__grpc_start(me->channel, &s->call) != MF_OK)
        bench_fail("etcd: the connection is lost");
    uint8_t *room = mf__grpc_message(&s->call, protobuf_c_message_get_packed_size(message));
    if (room == NULL)
        bench_fail("out of memory");
    protobuf_c_message_pack(message, room);
    mf__grpc_end(&s->call);
}

size_t etcd_run(etcd_client *me, const etcd_work *work)
{
    me->work = work;
    me->next = me->succeeded = 0;
    me->left = work->count;
    for (size_t i = 0; i < work->in_flight && me->next < work->count; i++)
        start_next(&me->slots[i]);
    while (me->left > 0)
        rig_run(me->rig, LIMIT_S, "etcd does not answer the least client");
    return me->succeeded;
}

/* The connection. */

static void on_up(mf_grpc_channel *channel, void *arg)
{
    etcd_client *me = arg;
    (void)channel;
    me->up = true;
    rig_done(me->rig);
}

static void on_down(mf_grpc_channel *channel, const mf_error *why, void *arg)
{
    (void)channel;
    (void)arg;
    bench_fail("%s", why->text);
}

static const mf_grpc_events events = {.up = on_up, .down = on_down};

etcd_client *etcd_open(bench_rig *rig)
{
    mf_error error;
    char host[64];
    mf_endpoint endpoint = {.host = host};
    mf_grpc_options options = {.connection = {.endpoints = &endpoint, .endpoint_count = 1}};
    etcd_client *me = bench_alloc(1, sizeof *me);

    me->rig = rig;
    for (size_t i = 0; i < MOST_IN_FLIGHT; i++)
        me->slots[i].client = me;
    if (sscanf(rig->url, "etcd://%63[^:]:%d", host, &endpoint.port) != 2)
        bench_fail("%s: not the URL of a private server", rig->url);
    options.connection.subsystem = "bench";
    if (mf__grpc_open(&me->channel, rig->loop, &options, &events, me, &error) != MF_OK)
        bench_fail("%s", error.text);
    while (!me->up)
        rig_run(rig, LIMIT_S, "etcd does not take the least client's connection");
    return me;
}

void etcd_close(etcd_client *me)
{
    mf__grpc_close(me->channel);
    free(me);
}
