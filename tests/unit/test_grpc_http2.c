/* The gRPC protocol against nghttp2's server side, byte by byte in one process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "grpc/http2.h"

enum { CALLS = 4 };

/* A call of the test, and what became of it. */
typedef struct probe {
    mf_grpc_call call;
    unsigned messages, finished, over;
    size_t bytes;
    char first[64]; /* of the last message */
    mf_grpc_status status;
    bool cancel_on_message;
} probe;

typedef struct rig {
    mf_http2 *http2;
    nghttp2_session *server;
    probe probes[CALLS];
    /* What the server saw. */
    char headers[1024];
    size_t received; /* bytes of bodies */
    int requests, ended, resets;
    /* What it answers with. */
    const uint8_t *body;
    size_t body_length, body_sent;
    const char *code; /* grpc-status; NULL: none */
} rig;

static rig *here;

/* The server. */

static int on_server_header(nghttp2_session *session, const nghttp2_frame *frame,
                            const uint8_t *name, size_t name_length, const uint8_t *value,
                            size_t length, uint8_t flags, void *arg)
{
    rig *r = arg;
    size_t at = strlen(r->headers);

    (void)session;
    (void)frame;
    (void)flags;
    snprintf(r->headers + at, sizeof r->headers - at, "%.*s=%.*s\n", (int)name_length,
             (const char *)name, (int)length, (const char *)value);
    return 0;
}

static int on_server_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    rig *r = arg;

    (void)session;
    r->requests += frame->hd.type == NGHTTP2_HEADERS;
    r->resets += frame->hd.type == NGHTTP2_RST_STREAM;
    if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)
        r->ended += (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    return 0;
}

static int on_server_data(nghttp2_session *session, uint8_t flags, int32_t stream,
                          const uint8_t *bytes, size_t length, void *arg)
{
    (void)session;
    (void)flags;
    (void)stream;
    (void)bytes;
    ((rig *)arg)->received += length;
    return 0;
}

#define NV(n, v)                                                \
    {                                                           \
        (uint8_t *)(n), (uint8_t *)(v), strlen(n), strlen(v), 0 \
    }

static void send_trailers(rig *r, int32_t stream, const char *code)
{
    nghttp2_nv trailers[] = {NV("grpc-status", code), NV("grpc-message", "50%25 of%0Ait")};
    assert_int_equal(nghttp2_submit_trailer(r->server, stream, trailers, 2), 0);
}

static ssize_t on_server_read(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                              uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    rig *r = arg;
    size_t left = r->body_length - r->body_sent;
    size_t taken = left < room ? left : room;

    (void)session;
    (void)source;
    memcpy(to, r->body + r->body_sent, taken);
    r->body_sent += taken;
    if (r->body_sent < r->body_length)
        return (ssize_t)taken;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (r->code != NULL) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        send_trailers(r, stream, r->code);
    }
    return (ssize_t)taken;
}

static void make_server(rig *r)
{
    nghttp2_session_callbacks *callbacks;

    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_server_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_server_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_server_data);
    assert_int_equal(nghttp2_session_server_new(&r->server, callbacks, r), 0);
    nghttp2_session_callbacks_del(callbacks);
}

static void server_settings(rig *r, uint32_t streams)
{
    nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams};
    assert_int_equal(nghttp2_submit_settings(r->server, NGHTTP2_FLAG_NONE, &entry, 1), 0);
}

/* A response with a body of `length` bytes, and trailers when `code` is not NULL. */
static void respond(rig *r, int32_t stream, const void *body, size_t length, const char *code)
{
    nghttp2_nv headers[] = {NV(":status", "200"), NV("content-type", "application/grpc+proto")};
    nghttp2_data_provider provider = {.read_callback = on_server_read};

    r->body = body;
    r->body_length = length;
    r->body_sent = 0;
    r->code = code;
    assert_int_equal(nghttp2_submit_response(r->server, stream, headers, 2, &provider), 0);
}

/* A response of headers alone. */
static void respond_headers(rig *r, int32_t stream, const char *status, const char *code)
{
    nghttp2_nv headers[] = {NV(":status", status), NV("content-type", "application/grpc"),
                            NV("grpc-status", code != NULL ? code : ""),
                            NV("grpc-message", "50%25 of%0Ait")};
    assert_int_equal(
        nghttp2_submit_response(r->server, stream, headers, code != NULL ? 4 : 2, NULL), 0);
}

/* The client. */

static void on_over(mf_grpc_call *call)
{
    ((probe *)call)->over++;
}

static void on_message(mf_grpc_call *call, const uint8_t *bytes, size_t length)
{
    probe *p = (probe *)call;

    p->messages++;
    p->bytes += length;
    snprintf(p->first, sizeof p->first, "%.*s", (int)(length < 60 ? length : 60),
             (const char *)bytes);
    if (p->cancel_on_message)
        mf__http2_cancel(call);
}

static void on_finished(mf_grpc_call *call, const mf_grpc_status *status)
{
    ((probe *)call)->finished++;
    ((probe *)call)->status = *status;
}

/* Hands bytes over until neither side has any; returns what the client was told. */
static int pump(rig *r)
{
    mf_error error;
    bool moved = true;

    while (moved) {
        const uint8_t *bytes;
        size_t length = mf__http2_transmit(r->http2, &bytes, 1000);
        moved = length > 0;
        if (moved)
            assert_int_equal(nghttp2_session_mem_recv(r->server, bytes, length), length);
        ssize_t count = nghttp2_session_mem_send(r->server, &bytes);
        moved |= count > 0;
        if (count > 0 && mf__http2_receive(r->http2, bytes, (size_t)count, &error) != MF_OK)
            return error.code;
    }
    return MF_OK;
}

static probe *start(rig *r, int index, const char *message)
{
    static const mf_grpc_header metadata[] = {{"hasleader", "true"}, {"token", NULL}};
    probe *p = &r->probes[index];

    p->call.path = "/test.Service/Method";
    p->call.metadata = metadata;
    p->call.metadata_count = 2;
    p->call.timeout_us = 2500000;
    p->call.message = on_message;
    p->call.finished = on_finished;
    assert_int_equal(mf__http2_start(r->http2, &p->call), MF_OK);
    if (message != NULL)
        memcpy(mf__http2_message(&p->call, strlen(message)), message, strlen(message));
    return p;
}

static probe *start_unary(rig *r, int index)
{
    probe *p = start(r, index, "question");
    mf__http2_end(&p->call);
    return p;
}

static int set_up(void **state)
{
    rig *r = calloc(1, sizeof *r);

    assert_non_null(r);
    here = r;
    make_server(r);
    assert_int_equal(mf__http2_new(&r->http2, "localhost:1", "http", on_over), MF_OK);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    rig *r = *state;

    mf__http2_abort(r->http2, "torn down");
    mf__http2_free(r->http2);
    nghttp2_session_del(r->server);
    free(r);
    return 0;
}

static void assert_ended(const probe *p, int code, bool untouched)
{
    assert_int_equal(p->finished, 1);
    assert_int_equal(p->over, 1);
    assert_int_equal(p->status.code, code);
    assert_int_equal(p->status.untouched, untouched);
}

static const uint8_t answer[] = {0, 0, 0, 0, 6, 'a', 'n', 's', 'w', 'e', 'r'};

/* A unary call carries path, content type, timeout and metadata, and brings one message and OK. */
static void test_unary(void **state)
{
    rig *r = *state;
    probe *p = start_unary(r, 0);

    server_settings(r, 100);
    assert_int_equal(pump(r), MF_OK);
    assert_non_null(strstr(r->headers, ":path=/test.Service/Method\n"));
    assert_non_null(strstr(r->headers, ":authority=localhost:1\n"));
    assert_non_null(strstr(r->headers, "te=trailers\n"));
    assert_non_null(strstr(r->headers, "content-type=application/grpc\n"));
    assert_non_null(strstr(r->headers, "grpc-timeout=2500000u\n"));
    assert_non_null(strstr(r->headers, "hasleader=true\n"));
    assert_null(strstr(r->headers, "token"));
    assert_int_equal(r->received, MF_GRPC_HEAD_SIZE + strlen("question"));
    assert_int_equal(r->ended, 1);
    assert_int_equal(p->call.sent_us, 1000);
    respond(r, p->call.stream, answer, sizeof answer, "0");
    assert_int_equal(pump(r), MF_OK);
    assert_ended(p, MF_GRPC_OK, false);
    assert_int_equal(p->messages, 1);
    assert_string_equal(p->first, "answer");
}

/* An error without a body comes in the first headers, its message decoded and made printable. */
static void test_trailers_only(void **state)
{
    rig *r = *state;
    probe *p = start_unary(r, 0);

    server_settings(r, 100);
    pump(r);
    respond_headers(r, p->call.stream, "200", "14");
    pump(r);
    assert_ended(p, MF_GRPC_UNAVAILABLE, false);
    assert_string_equal(p->status.message, "50% of?it");
}

/* A response without grpc-status gets the code that its HTTP status stands for. */
static void test_http_status(void **state)
{
    rig *r = *state;
    probe *p = start_unary(r, 0), *q = start_unary(r, 1);

    server_settings(r, 100);
    pump(r);
    respond_headers(r, p->call.stream, "503", NULL);
    respond(r, q->call.stream, answer, sizeof answer, NULL);
    pump(r);
    assert_ended(p, MF_GRPC_UNAVAILABLE, false);
    assert_ended(q, MF_GRPC_UNKNOWN, false);
    assert_non_null(strstr(q->status.message, "without grpc-status, HTTP status 200"));
}

/* GOAWAY: calls above the last one that the server took are untouched, the others go on, and no
 * new one is started. */
static void test_goaway(void **state)
{
    rig *r = *state;
    probe *p = start_unary(r, 0), *q = start_unary(r, 1);
    mf_error why;

    server_settings(r, 100);
    pump(r);
    assert_null(mf__http2_goodbye(r->http2));
    nghttp2_submit_goaway(r->server, NGHTTP2_FLAG_NONE, p->call.stream, NGHTTP2_NO_ERROR,
                          (const uint8_t *)"so long", 7);
    pump(r);
    assert_ended(q, MF_GRPC_UNAVAILABLE, true);
    assert_int_equal(p->finished, 0);
    assert_int_equal(mf__http2_start(r->http2, &r->probes[2].call), MF_EUNREACHABLE);
    assert_non_null(strstr(mf__http2_goodbye(r->http2), "so long"));
    respond(r, p->call.stream, answer, sizeof answer, "0");
    pump(r);
    assert_ended(p, MF_GRPC_OK, false);
    assert_true(mf__http2_is_over(r->http2, &why));
    assert_int_equal(why.code, MF_EUNREACHABLE);
}

/* A server that answers before it has read everything may reset the stream without an error. */
static void test_early_answer(void **state)
{
    rig *r = *state;
    probe *p = start(r, 0, "the first of many");

    server_settings(r, 100);
    pump(r);
    respond(r, p->call.stream, answer, sizeof answer, "0");
    pump(r);
    nghttp2_submit_rst_stream(r->server, NGHTTP2_FLAG_NONE, p->call.stream, NGHTTP2_NO_ERROR);
    pump(r);
    assert_ended(p, MF_GRPC_OK, false);
    assert_int_equal(r->resets, 1);
}

/* A refused stream was not touched; one that was reset for another reason may have been. */
static void test_reset(void **state)
{
    rig *r = *state;
    probe *p = start_unary(r, 0), *q = start_unary(r, 1);

    server_settings(r, 100);
    pump(r);
    nghttp2_submit_rst_stream(r->server, NGHTTP2_FLAG_NONE, p->call.stream, NGHTTP2_REFUSED_STREAM);
    nghttp2_submit_rst_stream(r->server, NGHTTP2_FLAG_NONE, q->call.stream, NGHTTP2_CANCEL);
    pump(r);
    assert_ended(p, MF_GRPC_UNAVAILABLE, true);
    assert_ended(q, MF_GRPC_CANCELLED, false);
}

/* Calls beyond the server's limit of streams wait for their turn, and can be cancelled there. */
static void test_stream_limit(void **state)
{
    rig *r = *state;

    server_settings(r, 1);
    pump(r);
    probe *p = start_unary(r, 0), *q = start_unary(r, 1), *last = start_unary(r, 2);
    pump(r);
    assert_int_equal(r->requests, 1);
    assert_int_equal(q->call.sent_us, 0);
    mf__http2_cancel(&q->call);
    respond(r, p->call.stream, answer, sizeof answer, "0");
    pump(r);
    assert_int_equal(r->requests, 2);
    respond(r, last->call.stream, answer, sizeof answer, "0");
    pump(r);
    assert_ended(last, MF_GRPC_OK, false);
    assert_int_equal(q->finished, 0);
    assert_int_equal(q->over, 1);
}

/* Messages go both ways on one stream, at any time, until both sides have ended. */
static void test_both_ways(void **state)
{
    rig *r = *state;
    probe *p = start(r, 0, "one");

    server_settings(r, 100);
    pump(r);
    assert_int_equal(r->received, MF_GRPC_HEAD_SIZE + 3);
    memcpy(mf__http2_message(&p->call, 3), "two", 3);
    memcpy(mf__http2_message(&p->call, 5), "three", 5);
    pump(r);
    assert_int_equal(r->received, 3 * MF_GRPC_HEAD_SIZE + 11);
    assert_int_equal(r->ended, 0);
    mf__http2_end(&p->call);
    pump(r);
    assert_int_equal(r->ended, 1);
    static const uint8_t two[] = {0, 0, 0, 0, 1, 'x', 0, 0, 0, 0, 0};
    respond(r, p->call.stream, two, sizeof two, "0");
    pump(r);
    assert_int_equal(p->messages, 2);
    assert_int_equal(p->bytes, 1);
    assert_ended(p, MF_GRPC_OK, false);
}

/* Fills a message of `length` bytes, head included. */
static uint8_t *long_answer(size_t length)
{
    uint8_t *bytes = calloc(1, length);

    assert_non_null(bytes);
    mf__deframer_write_head(bytes, length - MF_GRPC_HEAD_SIZE);
    return bytes;
}

/* The server can send 8 MiB without hearing from us, and more than the windows in all. */
static void test_windows(void **state)
{
    rig *r = *state;
    const size_t length = 20 << 20;
    uint8_t *bytes = long_answer(length);

    server_settings(r, 100);
    r->probes[0].call.message_limit = length;
    probe *p = start_unary(r, 0);
    pump(r);
    assert_int_equal(nghttp2_session_get_stream_remote_window_size(r->server, p->call.stream),
                     8 << 20);
    assert_int_equal(nghttp2_session_get_remote_window_size(r->server), 16 << 20);
    respond(r, p->call.stream, bytes, length, "0");
    pump(r);
    free(bytes);
    assert_ended(p, MF_GRPC_OK, false);
    assert_int_equal(p->bytes, length - MF_GRPC_HEAD_SIZE);
}

/* A message that announces more than the limit ends the call, not the connection. */
static void test_message_limit(void **state)
{
    rig *r = *state;
    static const uint8_t bytes[] = {0, 0xff, 0xff, 0xff, 0xff, 'x'};
    static const uint8_t packed[] = {1, 0, 0, 0, 1, 'x'};
    probe *p = start_unary(r, 0), *q = start_unary(r, 1), *last = start_unary(r, 2);

    server_settings(r, 100);
    pump(r);
    respond(r, p->call.stream, bytes, sizeof bytes, "0");
    pump(r);
    assert_ended(p, MF_GRPC_RESOURCE_EXHAUSTED, false);
    respond(r, q->call.stream, packed, sizeof packed, "0");
    pump(r);
    assert_int_equal(q->finished, 1);
    assert_int_not_equal(q->status.code, MF_GRPC_OK);
    respond(r, last->call.stream, answer, sizeof answer, "0");
    pump(r);
    assert_ended(last, MF_GRPC_OK, false);
}

/* A response that ends within a message is an error even when its status is OK. */
static void test_cut_message(void **state)
{
    rig *r = *state;
    probe *p = start_unary(r, 0);

    server_settings(r, 100);
    pump(r);
    respond(r, p->call.stream, answer, sizeof answer - 1, "0");
    pump(r);
    assert_ended(p, MF_GRPC_INTERNAL, false);
    assert_int_equal(p->messages, 0);
}

/* A call may be cancelled from its own message; nothing is called back afterwards. */
static void test_cancel_in_message(void **state)
{
    rig *r = *state;
    static const uint8_t two[] = {0, 0, 0, 0, 1, 'x', 0, 0, 0, 0, 1, 'y'};
    probe *p = start_unary(r, 0);

    p->cancel_on_message = true;
    server_settings(r, 100);
    pump(r);
    respond(r, p->call.stream, two, sizeof two, "0");
    pump(r);
    assert_int_equal(p->messages, 1);
    assert_int_equal(p->finished, 0);
    assert_int_equal(p->over, 1);
}

/* When the connection goes, calls of which a byte has left may have been carried out, and those
 * that still wait have not. */
static void test_abort(void **state)
{
    rig *r = *state;
    probe *p = start_unary(r, 0);

    server_settings(r, 100);
    pump(r);
    probe *q = start_unary(r, 1);
    mf__http2_abort(r->http2, "cut");
    assert_ended(p, MF_GRPC_UNAVAILABLE, false);
    assert_ended(q, MF_GRPC_UNAVAILABLE, true);
    assert_string_equal(p->status.message, "cut");
}

/* What is not HTTP/2 ends the connection with a protocol error. */
static void test_garbage(void **state)
{
    rig *r = *state;
    static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n";
    const uint8_t *bytes;
    mf_error error = {0};

    start_unary(r, 0);
    if (mf__http2_receive(r->http2, (const uint8_t *)text, strlen(text), &error) == MF_OK) {
        while (mf__http2_transmit(r->http2, &bytes, 1) > 0)
            ;
        assert_true(mf__http2_is_over(r->http2, &error));
    }
    assert_int_equal(error.code, MF_EPROTO);
}

static bool count_message(const uint8_t *bytes, size_t length, void *arg)
{
    (void)bytes;
    *(size_t *)arg += length + 1000;
    return true;
}

/* Messages come out the same however the stream is cut into pieces. */
static void test_deframer_pieces(void **state)
{
    static const uint8_t stream[] = {0, 0, 0, 0, 2, 'a', 'b', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'c'};

    (void)state;
    for (size_t piece = 1; piece <= sizeof stream; piece++) {
        mf_deframer deframer = {.limit = 2};
        size_t sum = 0;
        for (size_t at = 0; at < sizeof stream; at += piece) {
            size_t left = sizeof stream - at;
            assert_null(mf__deframer_feed(&deframer, stream + at, left < piece ? left : piece,
                                          count_message, &sum));
        }
        assert_int_equal(sum, 3003);
        assert_true(mf__deframer_is_between(&deframer));
        mf__deframer_clear(&deframer);
    }
}

/* Timeouts have at most eight digits; the unit grows with them. */
static void test_timeouts(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {{-5, "1u"},
                 {1, "1u"},
                 {99999999, "99999999u"},
                 {100000000, "100000m"},
                 {INT64_C(100000000000), "100000S"},
                 {INT64_MAX, "99999999S"}};
    char text[MF_GRPC_TIMEOUT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mf__grpc_format_timeout(text, cases[i].us);
        assert_string_equal(text, cases[i].text);
    }
}

/* A grpc-status is one or two digits for a code that exists. */
static void test_codes(void **state)
{
    int code;

    (void)state;
    assert_true(mf__grpc_parse_code(&code, (const uint8_t *)"16", 2));
    assert_int_equal(code, MF_GRPC_UNAUTHENTICATED);
    assert_false(mf__grpc_parse_code(&code, (const uint8_t *)"17", 2));
    assert_false(mf__grpc_parse_code(&code, (const uint8_t *)"", 0));
    assert_false(mf__grpc_parse_code(&code, (const uint8_t *)"-1", 2));
    assert_string_equal(mf__grpc_code_name(MF_GRPC_UNAVAILABLE), "UNAVAILABLE");
    assert_string_equal(mf__grpc_code_name(99), "UNKNOWN");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_unary),
        TEST(test_trailers_only),
        TEST(test_http_status),
        TEST(test_goaway),
        TEST(test_early_answer),
        TEST(test_reset),
        TEST(test_stream_limit),
        TEST(test_both_ways),
        TEST(test_windows),
        TEST(test_message_limit),
        TEST(test_cut_message),
        TEST(test_cancel_in_message),
        TEST(test_abort),
        TEST(test_garbage),
        cmocka_unit_test(test_deframer_pieces),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
