/* gRPC on one HTTP/2 connection: bytes in, bytes out.
 *
 * A call is known to the stream by its user data, and no longer when it is over: what still comes
 * for the stream is let pass. Calls that the peer's limit of streams does not let out wait in
 * nghttp2's queue. */
#include "grpc/http2.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

/* What a peer may send ahead, so that a long answer does not wait for the round trip. */
enum { STREAM_WINDOW = 8 << 20, CONNECTION_WINDOW = 16 << 20 };
enum { DEFAULT_LIMIT = 16 << 20, HEADERS_MAX = 24 };

typedef struct mf_grpc_chunk {
    struct mf_grpc_chunk *next;
    size_t length, sent;
    uint8_t bytes[];
} mf_grpc_chunk;

struct mf_http2 {
    nghttp2_session *session;
    const char *authority, *scheme;
    void (*over)(mf_grpc_call *call);
    mf_grpc_call *calls;
    mf_grpc_call *giving; /* whose message is being given out; NULL: it went away meanwhile */
    int64_t now_us;
    bool refused; /* the peer takes no more calls */
    bool busy;    /* nghttp2 is at work, and may call back */
    bool freed;
    char goodbye[160];
    char trouble[160]; /* in what the peer sent */
};

/* The list of calls. */

static void link_call(mf_http2 *http2, mf_grpc_call *call)
{
    call->http2 = http2;
    call->previous = NULL;
    call->next = http2->calls;
    if (call->next != NULL)
        call->next->previous = call;
    http2->calls = call;
}

static void unlink_call(mf_grpc_call *call)
{
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        call->http2->calls = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
    call->next = call->previous = NULL;
    call->http2 = NULL;
}

static void drop_chunk(mf_grpc_call *call)
{
    mf_grpc_chunk *chunk = call->out;

    call->out = chunk->next;
    if (call->out == NULL)
        call->out_last = &call->out;
    free(chunk);
}

/* The stream knows the call no longer, nor does the list. */
static void detach(mf_grpc_call *call)
{
    mf_http2 *http2 = call->http2;

    if (http2->giving == call)
        http2->giving = NULL;
    nghttp2_session_set_stream_user_data(http2->session, call->stream, NULL);
    while (call->out != NULL)
        drop_chunk(call);
    mf__deframer_clear(&call->in);
    unlink_call(call);
    http2->over(call);
}

static void complete(mf_grpc_call *call)
{
    mf_grpc_status status = call->status;

    status.untouched |= call->sent_us == 0;
    detach(call);
    call->finished(call, &status);
}

static void complete_as(mf_grpc_call *call, int code, const char *message)
{
    mf__grpc_status_set(&call->status, code, message);
    complete(call);
}

/* Ends the call although the stream goes on. */
static void reset(mf_grpc_call *call)
{
    nghttp2_submit_rst_stream(call->http2->session, NGHTTP2_FLAG_NONE, call->stream,
                              NGHTTP2_CANCEL);
}

static mf_grpc_call *call_of(nghttp2_session *session, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(session, stream);
}

/* Sending. */

static ssize_t on_read(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    mf_http2 *http2 = arg;
    mf_grpc_call *call = call_of(session, stream);
    size_t filled = 0;

    (void)source;
    if (call == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    while (call->out != NULL && filled < room) {
        mf_grpc_chunk *chunk = call->out;
        size_t left = chunk->length - chunk->sent;
        size_t taken = left < room - filled ? left : room - filled;
        memcpy(to + filled, chunk->bytes + chunk->sent, taken);
        filled += taken;
        chunk->sent += taken;
        if (chunk->sent == chunk->length)
            drop_chunk(call);
    }
    if (filled > 0 && call->sent_us == 0)
        call->sent_us = http2->now_us;
    if (call->out == NULL && call->out_ended)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (filled == 0)
        call->out_waiting = true;
    return filled > 0 || call->out_ended ? (ssize_t)filled : NGHTTP2_ERR_DEFERRED;
}

static void resume(mf_grpc_call *call)
{
    if (!call->out_waiting)
        return;
    call->out_waiting = false;
    nghttp2_session_resume_data(call->http2->session, call->stream);
}

uint8_t *mf__http2_message(mf_grpc_call *call, size_t length)
{
    mf_grpc_chunk *chunk = malloc(sizeof *chunk + MF_GRPC_HEAD_SIZE + length);

    assert(call->http2 != NULL && !call->out_ended);
    if (chunk == NULL)
        return NULL;
    *chunk = (mf_grpc_chunk){.length = MF_GRPC_HEAD_SIZE + length};
    mf__deframer_write_head(chunk->bytes, length);
    *call->out_last = chunk;
    call->out_last = &chunk->next;
    resume(call);
    return chunk->bytes + MF_GRPC_HEAD_SIZE;
}

void mf__http2_end(mf_grpc_call *call)
{
    assert(call->http2 != NULL);
    call->out_ended = true;
    resume(call);
}

typedef struct header_list {
    nghttp2_nv list[HEADERS_MAX];
    size_t count;
} header_list;

static void add_header(header_list *headers, const char *name, const char *value)
{
    assert(headers->count < HEADERS_MAX);
    if (value == NULL)
        return;
    headers->list[headers->count++] = (nghttp2_nv){
        .name = (uint8_t *)name,
        .namelen = strlen(name),
        .value = (uint8_t *)value,
        .valuelen = strlen(value),
    };
}

static int32_t submit(mf_http2 *http2, mf_grpc_call *call)
{
    header_list headers = {.count = 0};
    char timeout[MF_GRPC_TIMEOUT_SIZE];
    nghttp2_data_provider provider = {.read_callback = on_read};

    add_header(&headers, ":method", "POST");
    add_header(&headers, ":scheme", http2->scheme);
    add_header(&headers, ":path", call->path);
    add_header(&headers, ":authority", http2->authority);
    add_header(&headers, "te", "trailers");
    add_header(&headers, "content-type", "application/grpc");
    if (call->timeout_us > 0) {
        mf__grpc_format_timeout(timeout, call->timeout_us);
        add_header(&headers, "grpc-timeout", timeout);
    }
    for (size_t i = 0; i < call->metadata_count; i++)
        add_header(&headers, call->metadata[i].name, call->metadata[i].value);
    return nghttp2_submit_request(http2->session, NULL, headers.list, headers.count, &provider,
                                  call);
}

int mf__http2_start(mf_http2 *http2, mf_grpc_call *call)
{
    assert(call->http2 == NULL);
    if (http2->refused || !nghttp2_session_check_request_allowed(http2->session))
        return MF_EUNREACHABLE;
    call->out = NULL;
    call->out_last = &call->out;
    call->out_ended = call->out_waiting = false;
    call->in = (mf_deframer){.limit = call->message_limit ? call->message_limit : DEFAULT_LIMIT};
    call->sent_us = 0;
    call->http_status = 0;
    call->grpc_content = call->has_code = false;
    call->status = (mf_grpc_status){0};
    int32_t stream = submit(http2, call);
    if (stream < 0)
        return stream == NGHTTP2_ERR_NOMEM ? MF_ENOMEM : MF_EUNREACHABLE;
    call->stream = stream;
    link_call(http2, call);
    return MF_OK;
}

void mf__http2_cancel(mf_grpc_call *call)
{
    reset(call);
    detach(call);
}

void mf__http2_finish(mf_grpc_call *call, int code, const char *message)
{
    reset(call);
    complete_as(call, code, message);
}

void mf__http2_abort(mf_http2 *http2, const char *why)
{
    http2->refused = true;
    while (http2->calls != NULL)
        complete_as(http2->calls, MF_GRPC_UNAVAILABLE, why);
}

/* Receiving. */

static bool name_is(const uint8_t *name, size_t length, const char *wanted)
{
    return length == strlen(wanted) && memcmp(name, wanted, length) == 0;
}

static bool begins_with(const uint8_t *text, size_t length, const char *wanted)
{
    return length >= strlen(wanted) && memcmp(text, wanted, strlen(wanted)) == 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
                     void *arg)
{
    mf_grpc_call *call = call_of(session, frame->hd.stream_id);

    (void)flags;
    (void)arg;
    if (call == NULL)
        return 0;
    if (name_is(name, name_length, ":status"))
        call->http_status =
            length == 3 ? (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0') : 0;
    else if (name_is(name, name_length, "content-type"))
        call->grpc_content = begins_with(value, length, "application/grpc");
    else if (name_is(name, name_length, "grpc-status"))
        call->has_code = mf__grpc_parse_code(&call->status.code, value, length);
    else if (name_is(name, name_length, "grpc-message"))
        mf__grpc_decode_message(call->status.message, sizeof call->status.message, value, length);
    return 0;
}

/* The response's last frame has come, in order. */
static void on_response_end(mf_grpc_call *call)
{
    char text[80];

    if (call->has_code && (call->status.code != MF_GRPC_OK || mf__deframer_is_between(&call->in))) {
        complete(call);
    } else if (call->has_code) {
        complete_as(call, MF_GRPC_INTERNAL, "the response ends within a message");
    } else {
        snprintf(text, sizeof text, "a response without grpc-status, HTTP status %d",
                 call->http_status);
        complete_as(call, mf__grpc_code_of_http(call->http_status), text);
    }
}

static void on_goaway(mf_http2 *http2, const nghttp2_goaway *goaway)
{
    char debug[100];

    mf__grpc_decode_message(debug, sizeof debug, goaway->opaque_data, goaway->opaque_data_len);
    snprintf(http2->goodbye, sizeof http2->goodbye, "the server ends the connection: %s%s%s",
             nghttp2_http2_strerror(goaway->error_code), debug[0] != '\0' ? ", " : "", debug);
    http2->refused = true;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    mf_http2 *http2 = arg;

    if (frame->hd.type == NGHTTP2_GOAWAY) {
        on_goaway(http2, &frame->goaway);
        return 0;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    mf_grpc_call *call = call_of(session, frame->hd.stream_id);
    if (call == NULL || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    /* A server may answer before it has read everything; then nobody waits for the rest. */
    if (!call->out_ended || call->out != NULL)
        reset(call);
    on_response_end(call);
    return 0;
}

static bool on_message(const uint8_t *bytes, size_t length, void *arg)
{
    mf_http2 *http2 = arg;
    mf_grpc_call *call = http2->giving;

    call->message(call, bytes, length);
    return http2->giving != NULL;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t length, void *arg)
{
    mf_http2 *http2 = arg;
    mf_grpc_call *call = call_of(session, stream);

    (void)flags;
    /* A body that is not gRPC's is somebody else's error page. */
    if (call == NULL || call->http_status != 200 || !call->grpc_content)
        return 0;
    http2->giving = call;
    const char *wrong = mf__deframer_feed(&call->in, bytes, length, on_message, http2);
    http2->giving = NULL;
    if (wrong != NULL)
        mf__http2_finish(call, MF_GRPC_RESOURCE_EXHAUSTED, wrong);
    return 0;
}

/* A stream that ended out of order: reset by the peer, or never opened. */
static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error_code, void *arg)
{
    mf_grpc_call *call = call_of(session, stream);
    char text[80];

    (void)arg;
    if (call == NULL)
        return 0;
    snprintf(text, sizeof text, "the stream was reset: %s", nghttp2_http2_strerror(error_code));
    call->status.untouched = error_code == NGHTTP2_REFUSED_STREAM;
    if (call->has_code && call->status.code != MF_GRPC_OK)
        complete(call);
    else
        complete_as(call, mf__grpc_code_of_reset(error_code), text);
    return 0;
}

static int on_trouble(nghttp2_session *session, int code, const char *text, size_t length,
                      void *arg)
{
    mf_http2 *http2 = arg;

    (void)session;
    (void)code;
    if (http2->trouble[0] == '\0')
        mf__grpc_decode_message(http2->trouble, sizeof http2->trouble, (const uint8_t *)text,
                                length);
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
                            void *arg)
{
    mf_http2 *http2 = arg;

    (void)session;
    (void)frame;
    if (http2->trouble[0] == '\0')
        snprintf(http2->trouble, sizeof http2->trouble, "%s", nghttp2_strerror(code));
    return 0;
}

/* The connection. */

static void enter(mf_http2 *http2)
{
    assert(!http2->busy);
    http2->busy = true;
}

/* False: it is gone. */
static bool leave(mf_http2 *http2)
{
    bool freed = http2->freed;

    http2->busy = false;
    if (freed)
        mf__http2_free(http2);
    return !freed;
}

int mf__http2_receive(mf_http2 *http2, const uint8_t *bytes, size_t length, mf_error *error)
{
    enter(http2);
    ssize_t taken = nghttp2_session_mem_recv(http2->session, bytes, length);
    if (leave(http2) && taken < 0)
        return mf_error_set(error, MF_EPROTO, "HTTP/2: %s", nghttp2_strerror((int)taken));
    return MF_OK;
}

size_t mf__http2_transmit(mf_http2 *http2, const uint8_t **bytes, int64_t now_us)
{
    enter(http2);
    http2->now_us = now_us;
    ssize_t length = nghttp2_session_mem_send(http2->session, bytes);
    return leave(http2) && length > 0 ? (size_t)length : 0;
}

int mf__http2_ping(mf_http2 *http2)
{
    return nghttp2_submit_ping(http2->session, NGHTTP2_FLAG_NONE, NULL) == 0 ? MF_OK : MF_ENOMEM;
}

bool mf__http2_has_calls(const mf_http2 *http2)
{
    return http2->calls != NULL;
}

const char *mf__http2_goodbye(const mf_http2 *http2)
{
    return http2->goodbye[0] != '\0' ? http2->goodbye : NULL;
}

bool mf__http2_is_over(const mf_http2 *http2, mf_error *why)
{
    if (nghttp2_session_want_read(http2->session) || nghttp2_session_want_write(http2->session))
        return false;
    if (http2->goodbye[0] != '\0')
        mf_error_set(why, MF_EUNREACHABLE, "%s", http2->goodbye);
    else
        mf_error_set(why, MF_EPROTO, "HTTP/2: %s", http2->trouble);
    return true;
}

static nghttp2_session *new_session(mf_http2 *http2)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session = NULL;

    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_error_callback2(callbacks, on_trouble);
    if (nghttp2_session_client_new(&session, callbacks, http2) != 0)
        session = NULL;
    nghttp2_session_callbacks_del(callbacks);
    return session;
}

int mf__http2_new(mf_http2 **out, const char *authority, const char *scheme,
                  void (*over)(mf_grpc_call *call))
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
    };
    mf_http2 *http2 = calloc(1, sizeof *http2);

    if (http2 == NULL)
        return MF_ENOMEM;
    http2->authority = authority;
    http2->scheme = scheme;
    http2->over = over;
    http2->session = new_session(http2);
    if (http2->session == NULL ||
        nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, settings,
                                sizeof settings / sizeof *settings) != 0 ||
        nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, 0,
                                              CONNECTION_WINDOW) != 0) {
        mf__http2_free(http2);
        return MF_ENOMEM;
    }
    *out = http2;
    return MF_OK;
}

void mf__http2_free(mf_http2 *http2)
{
    assert(http2->calls == NULL);
    http2->freed = true;
    if (http2->busy)
        return;
    nghttp2_session_del(http2->session);
    free(http2);
}
