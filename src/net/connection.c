/* A connection that heals: its states, pauses and deadlines. */
#include "net/connection.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"
#include "net/backoff.h"
#include "net/dial.h"
#include "net/endpoint.h"
#include "net/stream.h"

#define CONNECT_TIMEOUT_MS 5000
#define REPEAT_US 60000000
/* What the deadline's timer reads at most before it declares the peer dead, in turns of a read. */
#define LAST_READS 64
/* The timers always run, for a timer that is started may find no memory: this far is never. */
#define NEVER_US (INT64_C(10) * 365 * 86400 * 1000000)

typedef enum state {
    PAUSED,      /* `timer` begins the next attempt, or goes on with the present one */
    DIALING,     /* until there is a socket */
    HANDSHAKING, /* until the stream is ready, or `timer` ends it */
    UP,
    FAILING /* mf__connection_fail was called, `report` follows */
} state;

struct mf_connection {
    mf_loop *loop;
    const mf_connection_events *events;
    void *arg;
    const char *subsystem;
    mf_endpoints endpoints;
    mf_endpoints other;  /* for the next attempt, unless there are none */
    mf_tls_context *tls; /* NULL: plain */
    int64_t connect_timeout_us;

    state state;
    bool healthy;
    size_t endpoint;        /* the present one */
    size_t tried;           /* those before it in this attempt */
    unsigned failures;      /* attempts and losses since the peer was healthy */
    int64_t attempt_due_us; /* the end of this attempt */
    int64_t dial_due_us;    /* the end of the present endpoint's part of it */

    mf_dial dial;
    mf_stream stream;
    struct event *readable, *writable;
    bool blocked;   /* waits for `writable` */
    bool receiving; /* and sends when that is done */
    mf_timer timer;
    mf_deferred flush, report;
    mf_error failure; /* that `report` tells */

    mf_timer watchdog;
    int64_t expected_us, expected_within_us; /* 0: nothing is owed */

    mf_error logged; /* the last trouble, not to be repeated at every attempt */
    int64_t logged_us;
    unsigned repeats; /* of it since it was logged */
    unsigned depth;   /* callbacks from the loop that we are in */
    bool closed;
};

static void arm(mf_connection *connection, mf_timer *timer, int64_t due_us)
{
    int code = mf_timer_start(connection->loop, timer, due_us);
    assert(code == MF_OK);
    (void)code;
}

static void arm_never(mf_connection *connection, mf_timer *timer)
{
    arm(connection, timer, mf_loop_now_us(connection->loop) + NEVER_US);
}

/* Everything that the loop calls enters before and leaves after it. A connection that was closed
 * meanwhile goes with the last to leave. */
static mf_connection *enter(void *arg)
{
    mf_connection *connection = arg;

    connection->depth++;
    return connection;
}

static void free_connection(mf_connection *connection)
{
    mf__endpoints_clear(&connection->endpoints);
    mf__endpoints_clear(&connection->other);
    mf__stream_clear(&connection->stream);
    mf__tls_context_free(connection->tls);
    free(connection);
}

static void leave(mf_connection *connection)
{
    if (--connection->depth == 0 && connection->closed)
        free_connection(connection);
}

static bool is_open(const mf_connection *connection)
{
    return !connection->closed && (connection->state == UP || connection->state == HANDSHAKING);
}

/* Nothing calls back any more about the socket. The buffers stay, their user may be at work. */
static void quiet(mf_connection *connection)
{
    if (connection->readable != NULL)
        event_free(connection->readable);
    if (connection->writable != NULL)
        event_free(connection->writable);
    connection->readable = connection->writable = NULL;
    connection->blocked = false;
    connection->expected_us = 0;
    mf_deferred_cancel(connection->loop, &connection->flush);
    mf_deferred_cancel(connection->loop, &connection->report);
    mf__dial_stop(&connection->dial);
    mf__stream_close(&connection->stream);
}

/* A trouble that goes on is told once, and once a minute that it does. */
static void log_trouble(mf_connection *connection, const mf_error *why)
{
    int64_t now = mf_loop_now_us(connection->loop);
    bool repeated = strcmp(connection->logged.text, why->text) == 0;
    char times[32] = "";

    connection->repeats = repeated ? connection->repeats + 1 : 0;
    if (repeated && now - connection->logged_us >= REPEAT_US)
        snprintf(times, sizeof times, " (%u times)", connection->repeats);
    mf_log(connection->loop, repeated && *times == '\0' ? MF_LOG_DEBUG : MF_LOG_WARN,
           connection->subsystem, "%s%s", why->text, times);
    if (repeated && *times == '\0')
        return;
    connection->logged = *why;
    connection->logged_us = now;
    connection->repeats = 0;
}

static void next_endpoint(mf_connection *connection, size_t tried, int64_t pause_us)
{
    connection->endpoint = (connection->endpoint + 1) % connection->endpoints.count;
    connection->tried = tried;
    connection->state = PAUSED;
    arm(connection, &connection->timer, mf_loop_now_us(connection->loop) + pause_us);
}

static void go_down(mf_connection *connection, const mf_error *why)
{
    quiet(connection);
    mf__stream_empty(&connection->stream);
    log_trouble(connection, why);
    connection->failures++;
    next_endpoint(connection, 0,
                  mf__backoff_us(connection->failures, mf_loop_random(connection->loop)));
    connection->events->down(connection, why, connection->arg);
}

/* The attempt has failed, or the connection is lost. An attempt goes on at once with the endpoints
 * that it has not tried yet. */
static void lose(mf_connection *connection, const char *why)
{
    mf_error error;
    bool was_up = connection->state == UP;

    mf_error_set(&error, MF_EUNREACHABLE, "%s: %s", mf__connection_peer(connection), why);
    if (was_up || connection->tried + 1 == connection->endpoints.count) {
        go_down(connection, &error);
        return;
    }
    quiet(connection);
    mf_log(connection->loop, MF_LOG_DEBUG, connection->subsystem, "%s", error.text);
    next_endpoint(connection, connection->tried + 1, 0);
}

/* Bytes. */

static void transmit(mf_connection *connection)
{
    connection->blocked = mf__stream_write(&connection->stream);
    if (connection->blocked && event_add(connection->writable, NULL) != 0)
        lose(connection, "out of memory");
}

static void become_up(mf_connection *connection)
{
    connection->state = UP;
    connection->healthy = false;
    arm_never(connection, &connection->timer);
    connection->events->up(connection, connection->arg);
}

/* Returns true when something arrived. What came before a loss is told before it, and what the
 * answer to it is goes out at once. */
static bool receive(mf_connection *connection)
{
    mf_stream *stream = &connection->stream;
    bool grown = mf__stream_read(stream);

    connection->receiving = true;
    if (stream->ready && connection->state == HANDSHAKING)
        become_up(connection);
    if (grown && is_open(connection))
        connection->events->data(connection, stream->input, connection->arg);
    connection->receiving = false;
    if (is_open(connection) && stream->lost)
        lose(connection, stream->why);
    else if (is_open(connection) && !connection->blocked)
        transmit(connection);
    if (is_open(connection) && stream->lost)
        mf_defer(connection->loop, &connection->flush);
    return grown;
}

/* A peer that closes often says why before. That may wait in the socket when a write fails. */
static void send_output(mf_connection *connection)
{
    mf_stream *stream = &connection->stream;
    char why[sizeof stream->why];

    stream->lost = false;
    transmit(connection);
    if (!is_open(connection) || !stream->lost)
        return;
    memcpy(why, stream->why, sizeof why);
    stream->lost = false;
    receive(connection);
    if (is_open(connection))
        lose(connection, why);
}

static void on_readable(evutil_socket_t descriptor, short what, void *arg)
{
    mf_connection *connection = enter(arg);

    (void)descriptor;
    (void)what;
    receive(connection);
    leave(connection);
}

static void on_flush(void *arg)
{
    mf_connection *connection = enter(arg);

    if (is_open(connection))
        send_output(connection);
    leave(connection);
}

static void on_writable(evutil_socket_t descriptor, short what, void *arg)
{
    (void)descriptor;
    (void)what;
    on_flush(arg);
}

/* Many appends in one callback are one write after it. */
static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
    mf_connection *connection = arg;

    (void)output;
    if (info->n_added != 0 && connection->state == UP && !connection->blocked &&
        !connection->receiving)
        mf_defer(connection->loop, &connection->flush);
}

/* Attempts. */

static void open_stream(mf_connection *connection, int descriptor)
{
    struct event_base *base = mf_loop_event_base(connection->loop);

    connection->state = HANDSHAKING;
    arm(connection, &connection->timer, connection->dial_due_us);
    mf__stream_open(&connection->stream, descriptor, connection->tls,
                    connection->endpoints.list[connection->endpoint].host);
    connection->readable =
        event_new(base, descriptor, EV_READ | EV_PERSIST, on_readable, connection);
    connection->writable = event_new(base, descriptor, EV_WRITE, on_writable, connection);
    if (connection->readable == NULL || connection->writable == NULL ||
        event_add(connection->readable, NULL) != 0)
        lose(connection, "out of memory");
    else if (connection->stream.lost)
        lose(connection, connection->stream.why);
    else if (connection->stream.ready)
        become_up(connection);
    else
        send_output(connection);
}

static void on_dialed(int descriptor, const char *why, void *arg)
{
    mf_connection *connection = enter(arg);

    if (descriptor >= 0)
        open_stream(connection, descriptor);
    else
        lose(connection, why);
    leave(connection);
}

static void take_other_endpoints(mf_connection *connection)
{
    if (connection->other.count == 0)
        return;
    mf__endpoints_clear(&connection->endpoints);
    connection->endpoints = connection->other;
    connection->other = (mf_endpoints){0};
    connection->endpoint = 0;
}

/* The attempt's time is shared out equally among the endpoints that are left to try. */
static void try_endpoint(mf_connection *connection)
{
    int64_t now = mf_loop_now_us(connection->loop);

    if (connection->tried == 0)
        take_other_endpoints(connection);
    if (connection->endpoints.count == 0)
        return;
    int64_t left = (int64_t)(connection->endpoints.count - connection->tried);
    if (connection->tried == 0)
        connection->attempt_due_us = now + connection->connect_timeout_us;
    connection->dial_due_us = now + (connection->attempt_due_us - now) / left;
    connection->state = DIALING;
    mf__dial_start(&connection->dial, &connection->endpoints.list[connection->endpoint],
                   connection->dial_due_us);
}

static void on_timer(void *arg)
{
    mf_connection *connection = enter(arg);

    arm_never(connection, &connection->timer);
    if (connection->state == PAUSED)
        try_endpoint(connection);
    else if (connection->state == HANDSHAKING)
        lose(connection, "TLS handshake not finished in time");
    leave(connection);
}

static void on_report(void *arg)
{
    mf_connection *connection = enter(arg);
    mf_error why = connection->failure;

    go_down(connection, &why);
    leave(connection);
}

/* The deadline of the peer's answer. The timer is left alone while it will fire early enough, so
 * that a new deadline for every request costs next to nothing. */

static bool is_overdue(const mf_connection *connection)
{
    return !connection->closed && connection->state == UP && connection->expected_us != 0 &&
           connection->expected_us <= mf_loop_now_us(connection->loop);
}

static void on_watchdog(void *arg)
{
    mf_connection *connection = enter(arg);
    int reads = 0;

    arm_never(connection, &connection->watchdog);
    /* When this process was held up, the answer may be here and only be waiting to be read. */
    while (is_overdue(connection) && reads++ < LAST_READS && receive(connection))
        ;
    if (is_overdue(connection)) {
        mf_error why;
        mf_error_set(&why, MF_EUNREACHABLE, "no reply from %s within %lld ms",
                     mf__connection_peer(connection),
                     (long long)(connection->expected_within_us + 500) / 1000);
        go_down(connection, &why);
    } else if (!connection->closed && connection->expected_us != 0 &&
               connection->expected_us < connection->watchdog.due_us) {
        arm(connection, &connection->watchdog, connection->expected_us);
    }
    leave(connection);
}

void mf__connection_expect(mf_connection *connection, int64_t due_us)
{
    connection->expected_us = connection->state == UP ? due_us : 0;
    if (connection->expected_us == 0)
        return;
    int64_t within = due_us - mf_loop_now_us(connection->loop);
    connection->expected_within_us = within > 0 ? within : 0;
    if (due_us < connection->watchdog.due_us)
        arm(connection, &connection->watchdog, due_us);
}

/* The rest of the interface. */

static int init_tls(mf_connection *connection, const mf_connection_options *options,
                    mf_error *error)
{
    for (size_t i = 0; i < options->endpoint_count; i++)
        if (options->endpoints[i].host == NULL)
            return mf_error_set(error, MF_EINVAL, "socket path %.100s: TLS needs a host name",
                                options->endpoints[i].path);
    return mf__tls_context_new(&connection->tls, options, error);
}

static int init(mf_connection *connection, const mf_connection_options *options, mf_error *error)
{
    mf_loop *loop = connection->loop;

    mf__dial_init(&connection->dial, loop, on_dialed, connection);
    mf_timer_init(&connection->timer, on_timer, connection);
    mf_timer_init(&connection->watchdog, on_watchdog, connection);
    mf_deferred_init(&connection->flush, on_flush, connection);
    mf_deferred_init(&connection->report, on_report, connection);
    int64_t now = mf_loop_now_us(loop);
    if (mf__stream_init(&connection->stream) != MF_OK ||
        evbuffer_add_cb(connection->stream.output, on_output, connection) == NULL ||
        mf_timer_start(loop, &connection->timer, now) != MF_OK ||
        mf_timer_start(loop, &connection->watchdog, now + NEVER_US) != MF_OK)
        return mf_error_set(error, MF_ENOMEM, "connection: out of memory");
    int code = MF_OK;
    if (options->endpoint_count > 0)
        code = mf__endpoints_copy(&connection->endpoints, options->endpoints,
                                  options->endpoint_count, error);
    if (code == MF_OK && options->tls)
        code = init_tls(connection, options, error);
    return code;
}

int mf__connection_open(mf_connection **out, mf_loop *loop, const mf_connection_options *options,
                        const mf_connection_events *events, void *arg, mf_error *error)
{
    int timeout_ms = options->connect_timeout_ms;

    assert(mf_loop_event_base(loop) != NULL);
    mf_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return mf_error_set(error, MF_ENOMEM, "connection: out of memory");
    connection->loop = loop;
    connection->events = events;
    connection->arg = arg;
    connection->subsystem = options->subsystem != NULL ? options->subsystem : "net";
    connection->connect_timeout_us =
        (int64_t)(timeout_ms > 0 ? timeout_ms : CONNECT_TIMEOUT_MS) * 1000;
    int code = init(connection, options, error);
    if (code != MF_OK)
        mf__connection_close(connection);
    else
        *out = connection;
    return code;
}

void mf__connection_close(mf_connection *connection)
{
    assert(!connection->closed);
    quiet(connection);
    mf_timer_stop(connection->loop, &connection->timer);
    mf_timer_stop(connection->loop, &connection->watchdog);
    connection->closed = true;
    if (connection->depth == 0)
        free_connection(connection);
}

bool mf__connection_is_up(const mf_connection *connection)
{
    return connection->state == UP;
}

struct evbuffer *mf__connection_output(mf_connection *connection)
{
    assert(connection->state == UP || connection->state == FAILING);
    return connection->stream.output;
}

void mf__connection_fail(mf_connection *connection, const mf_error *why)
{
    if (connection->state == PAUSED || connection->state == FAILING)
        return;
    quiet(connection);
    connection->state = FAILING;
    connection->failure = *why;
    mf_defer(connection->loop, &connection->report);
}

const char *mf__connection_peer(const mf_connection *connection)
{
    return connection->endpoints.count > 0 ? connection->endpoints.names[connection->endpoint]
                                           : "?";
}

int mf__connection_set_endpoints(mf_connection *connection, const mf_endpoint *endpoints,
                                 size_t count, mf_error *error)
{
    mf_endpoints other;
    int code = mf__endpoints_copy(&other, endpoints, count, error);

    if (code != MF_OK) {
        mf__endpoints_clear(&other);
        return code;
    }
    mf__endpoints_clear(&connection->other);
    connection->other = other;
    return MF_OK;
}

void mf__connection_healthy(mf_connection *connection)
{
    if (connection->healthy || connection->state != UP)
        return;
    connection->healthy = true;
    connection->failures = 0;
    connection->logged.text[0] = '\0';
    mf_log(connection->loop, MF_LOG_INFO, connection->subsystem, "%s: connected",
           mf__connection_peer(connection));
}

void mf__connection_retry_now(mf_connection *connection)
{
    if (connection->state == PAUSED)
        arm(connection, &connection->timer, mf_loop_now_us(connection->loop));
}
