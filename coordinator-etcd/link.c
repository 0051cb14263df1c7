/* A channel to an etcd that is fit for use: authenticated, and its member answers what takes a
 * majority; and single calls on it.
 */
#include "link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"

/* A claim's answer brings the properties of a whole batch. A stream's message is as large as a
 * request may be, by --max-request-bytes, or a little more. */
enum { ANSWER_LIMIT = 256 << 20, STREAM_LIMIT = 64 << 20 };

#define METHOD(name, path, type) const mf_method name = {path, &etcd__##type##__descriptor}
METHOD(mf__method_range, "/etcdserverpb.KV/Range", range_response);
METHOD(mf__method_txn, "/etcdserverpb.KV/Txn", txn_response);
METHOD(mf__method_grant, "/etcdserverpb.Lease/LeaseGrant", lease_grant_response);
METHOD(mf__method_revoke, "/etcdserverpb.Lease/LeaseRevoke", lease_revoke_response);
METHOD(mf__method_keep_alive, "/etcdserverpb.Lease/LeaseKeepAlive", lease_keep_alive_response);
METHOD(mf__method_time_to_live, "/etcdserverpb.Lease/LeaseTimeToLive", lease_time_to_live_response);
METHOD(mf__method_authenticate, "/etcdserverpb.Auth/Authenticate", authenticate_response);
METHOD(mf__method_status, "/etcdserverpb.Maintenance/Status", status_response);

typedef struct rpc_list {
    mf_rpc *first, *last;
} rpc_list;

struct mf_etcd_link {
    mf_loop *loop;
    const mf_etcd_settings *settings;
    const mf_etcd_link_events *events;
    void *arg;
    mf_grpc_channel *channel;
    bool ready, was_ready;
    bool tried; /* the first attempt has ended */
    mf_error why;
    char *token;
    bool greeting; /* the handshake, or a new token, is under way */
    mf_rpc greet, probe;
    mf_arena arena, probe_arena;
    mf_timer probe_timer;
    bool probing;
    int64_t answered_us; /* when the last read or write that was answered was sent */
    rpc_list waiting;    /* until the link is ready, or has a new token */
    rpc_list refused;    /* to be called back */
    mf_deferred refuse;
    mf_error last_warning;
    bool closed;
};

static void append(rpc_list *list, mf_rpc *rpc)
{
    rpc->next = NULL;
    rpc->previous = list->last;
    if (list->last != NULL)
        list->last->next = rpc;
    else
        list->first = rpc;
    list->last = rpc;
}

static mf_rpc *take_first(rpc_list *list)
{
    mf_rpc *rpc = list->first;

    if (rpc == NULL)
        return NULL;
    list->first = rpc->next;
    if (list->first != NULL)
        list->first->previous = NULL;
    else
        list->last = NULL;
    rpc->next = rpc->previous = NULL;
    return rpc;
}

void mf__etcd_link_fail(mf_etcd_link *link, const mf_error *why)
{
    mf__grpc_fail(link->channel, why);
}

const char *mf__etcd_link_peer(const mf_etcd_link *link)
{
    return mf__grpc_peer(link->channel);
}

bool mf__etcd_link_is_ready(const mf_etcd_link *link)
{
    return link->ready;
}

static void fail_with(mf_etcd_link *link, const mf_error *error)
{
    mf_error why;

    mf_error_set(&why, error->code == MF_EUNKNOWN ? MF_EUNREACHABLE : error->code, "%s: %s",
                 mf__etcd_link_peer(link), error->text);
    mf__grpc_fail(link->channel, &why);
}

/* Calls. */

static void finish(mf_rpc *rpc)
{
    mf_error error = rpc->error;

    rpc->done(rpc, &error);
}

static void on_refuse(void *arg)
{
    mf_etcd_link *link = arg;
    rpc_list refused = link->refused;
    mf_rpc *rpc;

    link->refused = (rpc_list){NULL, NULL};
    while ((rpc = take_first(&refused)) != NULL)
        finish(rpc);
}

/* `done` is called soon, with rpc->error. */
static void finish_soon(mf_rpc *rpc)
{
    append(&rpc->link->refused, rpc);
    mf_defer(rpc->link->loop, &rpc->link->refuse);
}

static void refuse(mf_rpc *rpc, int code, const char *text)
{
    mf_error_set(&rpc->error, code, "%s", text);
    finish_soon(rpc);
}

int mf__etcd_link_message(mf_grpc_call *call, const ProtobufCMessage *message)
{
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *room = mf__grpc_message(call, length);

    if (room == NULL)
        return MF_ENOMEM;
    protobuf_c_message_pack(message, room);
    return MF_OK;
}

/* hasleader: a member that is cut off from its leader says so at once, so that another is tried. */
static int start_call(mf_etcd_link *link, mf_grpc_call *call)
{
    const mf_grpc_header metadata[] = {{"hasleader", "true"}, {"token", link->token}};

    call->metadata = metadata;
    call->metadata_count = sizeof metadata / sizeof *metadata;
    return mf__grpc_start(link->channel, call);
}

static void on_message(mf_grpc_call *call, const uint8_t *bytes, size_t length)
{
    mf_rpc *rpc = (mf_rpc *)call;

    rpc->answer =
        protobuf_c_message_unpack(rpc->method->answer, &rpc->arena->allocator, length, bytes);
}

static void ask_for_token(mf_etcd_link *link);

/* A call that was refused for its token alone waits for a new one, once. */
static bool try_again(mf_rpc *rpc)
{
    mf_etcd_link *link = rpc->link;

    if (rpc->authenticated_again || link->settings->user == NULL || rpc == &link->greet ||
        !link->ready || link->closed)
        return false;
    rpc->authenticated_again = true;
    append(&link->waiting, rpc);
    if (!link->greeting)
        ask_for_token(link);
    return true;
}

/* Reads and writes take a majority, and a member whose disk works. The rest does not: a member that
 * is good for nothing else forwards renewals, and answers to Status. */
static bool takes_majority(const mf_rpc *rpc)
{
    return rpc->method == &mf__method_range || rpc->method == &mf__method_txn;
}

static void note_answer(mf_rpc *rpc)
{
    if (takes_majority(rpc) && rpc->link->answered_us < rpc->call.started_us)
        rpc->link->answered_us = rpc->call.started_us;
}

/* The member is of no use: to what was asked later there was no answer either. */
static bool has_stalled(const mf_rpc *rpc)
{
    return rpc->link->answered_us <= rpc->call.started_us;
}

static void on_finished(mf_grpc_call *call, const mf_grpc_status *status)
{
    mf_rpc *rpc = (mf_rpc *)call;
    mf_etcd_link *link = rpc->link;

    rpc->sent_us = call->sent_us != 0 ? call->sent_us : call->started_us;
    rpc->grpc = status->code;
    rpc->error = (mf_error){.code = MF_OK};
    if (status->code != MF_GRPC_OK) {
        mf_etcd_remedy remedy = mf__etcd_status(status, rpc->method->path, &rpc->error);
        if (remedy == MF_REMEDY_AUTHENTICATE) {
            if (try_again(rpc))
                return;
            rpc->error.code = MF_EREFUSED;
        }
        if (remedy == MF_REMEDY_RECONNECT || (remedy == MF_REMEDY_DOUBT && has_stalled(rpc)))
            fail_with(link, &rpc->error);
    } else if (rpc->answer == NULL) {
        mf_error_set(&rpc->error, MF_EPROTO, "%s: %s: the answer is not understood",
                     mf__etcd_link_peer(link), rpc->method->path);
        mf__grpc_fail(link->channel, &rpc->error);
        rpc->error.code = MF_EUNKNOWN;
    } else {
        note_answer(rpc);
    }
    if (rpc->error.code != MF_OK)
        rpc->answer = NULL;
    finish(rpc);
}

/* The handshake has to fit into the time for connecting as well. */
static int timeout_ms(const mf_etcd_link *link)
{
    const mf_etcd_settings *settings = link->settings;

    return link->ready || settings->reply_timeout_ms < settings->connect_timeout_ms
               ? settings->reply_timeout_ms
               : settings->connect_timeout_ms;
}

static void dispatch(mf_rpc *rpc)
{
    mf_etcd_link *link = rpc->link;
    mf_grpc_call *call = &rpc->call;

    call->path = rpc->method->path;
    call->message_limit = ANSWER_LIMIT;
    call->timeout_us = INT64_C(1000) * timeout_ms(link);
    call->message = on_message;
    call->finished = on_finished;
    rpc->answer = NULL;
    int code = start_call(link, call);
    if (code == MF_OK && (code = mf__etcd_link_message(call, rpc->request)) != MF_OK)
        mf__grpc_cancel(call);
    if (code == MF_OK)
        mf__grpc_end(call);
    else
        refuse(rpc, code == MF_ENOMEM ? MF_ENOMEM : MF_EUNREACHABLE,
               code == MF_ENOMEM ? "etcd: out of memory" : "etcd: the connection is closing");
}

static bool waits_for_link(const mf_etcd_link *link)
{
    return !link->tried || (link->settings->wait_for_broker && !link->was_ready);
}

void mf__rpc_start(mf_rpc *rpc, mf_etcd_link *link, const mf_method *method,
                   const ProtobufCMessage *request, mf_arena *arena)
{
    rpc->link = link;
    rpc->method = method;
    rpc->request = request;
    rpc->arena = arena;
    rpc->authenticated_again = false;
    rpc->sent_us = mf_loop_now_us(link->loop);
    rpc->grpc = MF_GRPC_UNAVAILABLE;
    if (link->closed)
        refuse(rpc, MF_ECLOSED, "etcd: the handle is closed");
    else if (link->ready && !link->greeting)
        dispatch(rpc);
    else if (link->ready || waits_for_link(link))
        append(&link->waiting, rpc);
    else
        refuse(rpc, MF_EUNREACHABLE, link->why.text);
}

static void send_waiting(mf_etcd_link *link)
{
    rpc_list waiting = link->waiting;
    mf_rpc *rpc;

    link->waiting = (rpc_list){NULL, NULL};
    while ((rpc = take_first(&waiting)) != NULL)
        dispatch(rpc);
}

static void refuse_waiting(mf_etcd_link *link, int code, const char *text)
{
    mf_rpc *rpc;

    while ((rpc = take_first(&link->waiting)) != NULL)
        refuse(rpc, code, text);
}

/* Streams. */

int mf__etcd_link_stream(mf_etcd_link *link, mf_grpc_call *call, const char *path)
{
    call->path = path;
    call->message_limit = STREAM_LIMIT;
    call->timeout_us = 0;
    if (!link->ready || link->greeting)
        return MF_EUNREACHABLE;
    return start_call(link, call);
}

void mf__etcd_link_stream_ended(mf_etcd_link *link, const mf_grpc_status *status, mf_error *error)
{
    mf_etcd_remedy remedy = mf__etcd_status(status, "/stream", error);

    if (remedy == MF_REMEDY_AUTHENTICATE && link->settings->user != NULL && link->ready) {
        if (!link->greeting)
            ask_for_token(link);
    } else if (remedy == MF_REMEDY_RECONNECT) {
        fail_with(link, error);
    }
}

/* The handshake: Authenticate when there is a user, then a read that takes a majority, by a right
 * that every user of the namespace has. */

static void greet(mf_etcd_link *link, const mf_method *method, const ProtobufCMessage *request,
                  void (*done)(mf_rpc *rpc, const mf_error *error))
{
    link->greeting = true;
    link->greet = (mf_rpc){
        .done = done, .link = link, .method = method, .request = request, .arena = &link->arena};
    dispatch(&link->greet);
}

static void greet_failed(mf_etcd_link *link, const mf_error *error)
{
    link->greeting = false;
    fail_with(link, error);
}

/* A link that is idle for half of the time in which a reply is due is asked for one. */

static int64_t probe_pause_us(const mf_etcd_link *link)
{
    return INT64_C(500) * link->settings->reply_timeout_ms;
}

/* A member that is cut off from its leader, is a learner, or is only being started refuses it. */
static const ProtobufCMessage *health_request(const mf_etcd_link *link, mf_arena *arena)
{
    return &mf__range_new(arena, mf__bytes_of(link->settings->health_key), (mf_bytes){0})->base;
}

/* What failed has dropped the link by itself. */
static void on_probed(mf_rpc *rpc, const mf_error *error)
{
    (void)error;
    rpc->link->probing = false;
    mf__arena_clear(&rpc->link->probe_arena);
}

static void probe(mf_etcd_link *link)
{
    link->probing = true;
    link->probe = (mf_rpc){.done = on_probed};
    mf__rpc_start(&link->probe, link, &mf__method_range, health_request(link, &link->probe_arena),
                  &link->probe_arena);
}

static void on_probe_timer(void *arg)
{
    mf_etcd_link *link = arg;
    int64_t now = mf_loop_now_us(link->loop);
    int64_t due = mf__grpc_received_us(link->channel) + probe_pause_us(link);

    if (now >= due && !link->probing)
        probe(link);
    mf_timer_start(link->loop, &link->probe_timer, due > now ? due : now + probe_pause_us(link));
}

static void start_probing(mf_etcd_link *link)
{
    mf_timer_start(link->loop, &link->probe_timer,
                   mf_loop_now_us(link->loop) + probe_pause_us(link));
}

/* What the member has to say of its cluster's state, e.g. that its space is used up. Not every user
 * may ask: some versions answer to root alone. */

static void warn_of(mf_etcd_link *link, const Etcd__StatusResponse *status)
{
    mf_error text;

    if (status->n_errors == 0)
        return;
    mf_error_set(&text, MF_EREFUSED, "%s: etcd %s reports: %s", mf__etcd_link_peer(link),
                 status->version, status->errors[0]);
    if (strcmp(text.text, link->last_warning.text) != 0)
        mf_log(link->loop, MF_LOG_WARN, "etcd", "%s", text.text);
    link->last_warning = text;
}

static void on_status(mf_rpc *rpc, const mf_error *error)
{
    mf_etcd_link *link = rpc->link;

    if (error->code == MF_OK && !link->closed)
        warn_of(link, (const Etcd__StatusResponse *)rpc->answer);
    link->probing = false;
    mf__arena_clear(&link->probe_arena);
}

static void ask_for_status(mf_etcd_link *link)
{
    Etcd__StatusRequest *request = mf__arena_take(&link->probe_arena, sizeof *request);

    etcd__status_request__init(request);
    link->probing = true;
    link->probe = (mf_rpc){.done = on_status};
    mf__rpc_start(&link->probe, link, &mf__method_status, &request->base, &link->probe_arena);
}

static void become_ready(mf_etcd_link *link)
{
    bool first = !link->ready;

    link->greeting = false;
    link->ready = link->was_ready = link->tried = true;
    mf__grpc_healthy(link->channel);
    send_waiting(link);
    if (!first)
        return;
    start_probing(link);
    if (!link->probing)
        ask_for_status(link);
    link->events->ready(link, link->arg);
}

static void on_fit(mf_rpc *rpc, const mf_error *error)
{
    mf_etcd_link *link = rpc->link;

    if (link->closed)
        return;
    if (error->code != MF_OK)
        greet_failed(link, error);
    else
        become_ready(link);
    mf__arena_clear(&link->arena);
}

static void ask_whether_fit(mf_etcd_link *link)
{
    greet(link, &mf__method_range, health_request(link, &link->arena), on_fit);
}

/* Authentication was disabled: nobody needs a token. */
static bool needs_none(const mf_rpc *rpc)
{
    return rpc->grpc == MF_GRPC_FAILED_PRECONDITION;
}

static void on_token(mf_rpc *rpc, const mf_error *error)
{
    mf_etcd_link *link = rpc->link;
    const Etcd__AuthenticateResponse *answer = (const Etcd__AuthenticateResponse *)rpc->answer;
    char *token = error->code == MF_OK ? strdup(answer->token) : NULL;
    bool good = token != NULL || needs_none(rpc);

    if (link->closed) {
        free(token);
        return;
    }
    free(link->token);
    link->token = token;
    if (!good)
        greet_failed(link, error);
    else if (link->ready)
        become_ready(link);
    else
        ask_whether_fit(link);
    if (!link->greeting)
        mf__arena_clear(&link->arena);
}

static void ask_for_token(mf_etcd_link *link)
{
    Etcd__AuthenticateRequest *request = mf__arena_take(&link->arena, sizeof *request);

    etcd__authenticate_request__init(request);
    request->name = (char *)link->settings->user;
    request->password = (char *)(link->settings->password ? link->settings->password : "");
    free(link->token);
    link->token = NULL;
    greet(link, &mf__method_authenticate, &request->base, on_token);
}

static void on_up(mf_grpc_channel *channel, void *arg)
{
    mf_etcd_link *link = arg;

    (void)channel;
    link->answered_us = 0;
    if (link->settings->user != NULL)
        ask_for_token(link);
    else
        ask_whether_fit(link);
}

static void on_down(mf_grpc_channel *channel, const mf_error *why, void *arg)
{
    mf_etcd_link *link = arg;

    (void)channel;
    link->ready = link->greeting = false;
    link->tried = true;
    mf_timer_stop(link->loop, &link->probe_timer);
    link->why = *why;
    free(link->token);
    link->token = NULL;
    mf__arena_clear(&link->arena);
    if (!waits_for_link(link))
        refuse_waiting(link, mf_error_is_transient(why->code) ? MF_EUNREACHABLE : why->code,
                       why->text);
    link->events->down(link, why, link->arg);
}

static const mf_grpc_events channel_events = {.up = on_up, .down = on_down};

/* Opening and closing. */

int mf__etcd_link_open(mf_etcd_link **out, mf_loop *loop, const mf_etcd_settings *settings,
                       const mf_etcd_link_events *events, void *arg, mf_error *error)
{
    mf_etcd_link *link = calloc(1, sizeof *link);

    if (link == NULL)
        return mf_error_set(error, MF_ENOMEM, "etcd: out of memory");
    link->loop = loop;
    link->settings = settings;
    link->events = events;
    link->arg = arg;
    mf__arena_init(&link->arena);
    mf__arena_init(&link->probe_arena);
    mf_timer_init(&link->probe_timer, on_probe_timer, link);
    mf_deferred_init(&link->refuse, on_refuse, link);
    int code = mf__grpc_open(&link->channel, loop, &settings->grpc, &channel_events, link, error);
    if (code == MF_OK)
        *out = link;
    else
        free(link);
    return code;
}

void mf__etcd_link_close(mf_etcd_link *link)
{
    link->closed = true;
    link->ready = false;
    mf_timer_stop(link->loop, &link->probe_timer);
    mf__grpc_close(link->channel);
    refuse_waiting(link, MF_ECLOSED, "etcd: the handle is closed");
    while (link->refused.first != NULL)
        on_refuse(link);
    mf_deferred_cancel(link->loop, &link->refuse);
    mf__arena_clear(&link->arena);
    mf__arena_clear(&link->probe_arena);
    free(link->token);
    free(link);
}
