/* One connection to a Redis server: its handshake, and that it lives. */
#include "link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seeds.h"
#include "server.h"

/* What is sent to a new server, all at once, and answered in this order. */
typedef enum step {
    STEP_AUTH,
    STEP_SELECT,
    STEP_NAME,
    STEP_INFO,
    STEP_SAVE,  /* CONFIG GET save */
    STEP_SLOTS, /* CLUSTER SLOTS */
    STEP_TYPE,  /* of the namespace's tasks */
    STEP_READY
} step;

/* A connection that was of use for so long was a good one. */
enum { LASTING_US = 1000000 };

struct mf_link {
    mf_loop *loop;
    mf_link_settings *settings;
    const mf_link_events *events;
    void *arg;
    mf_connection *connection;
    mf_seeds seeds;
    mf_reader *reader;
    mf_parts scratch;
    step step;      /* the next one to be answered */
    size_t refused; /* servers in a row that are not fit for use */
    /* Some servers are fit by all that they say of themselves and fail the first write. */
    bool relapsed;    /* it was dropped soon after it was ready */
    int64_t ready_us; /* when it became ready */
    bool no_aof;
    char run_id[48]; /* of the server's process; empty: not known */
    bool leaving;    /* for another server, which is known: at once */

    /* That it lives. */
    mf_timer timer;
    int64_t progress_us; /* when bytes last came, or were last seen to leave */
    size_t pending;      /* bytes to be sent, when last looked at */
    int owed;            /* replies */
    bool ping_owed;

    unsigned depth; /* callbacks that we are in */
    bool closed;
};

static int64_t timeout_us(const mf_link *link)
{
    return (int64_t)link->settings->reply_timeout_ms * 1000;
}

static void free_link(mf_link *link)
{
    mf__seeds_clear(&link->seeds);
    mf__reader_free(link->reader);
    mf__parts_free(&link->scratch);
    free(link);
}

static void leave(mf_link *link)
{
    if (--link->depth == 0 && link->closed)
        free_link(link);
}

/* A peer that owes replies has a whole timeout from the last sign of life: many requests may be
 * under way, and large ones take long to arrive. */
static void note_progress(mf_link *link)
{
    link->progress_us = mf_loop_now_us(link->loop);
    link->pending = evbuffer_get_length(mf__connection_output(link->connection));
    mf__connection_expect(link->connection,
                          link->owed > 0 ? link->progress_us + timeout_us(link) : 0);
}

static int put(mf_link *link, const mf_parts *head, const mf_parts *parts, int replies)
{
    int code = mf__parts_send(head, parts, mf__connection_output(link->connection));

    if (code != MF_OK)
        return code;
    bool idle = link->owed == 0;
    link->owed += replies;
    if (idle)
        note_progress(link);
    return MF_OK;
}

/* The handshake. */

static bool has_step(const mf_link *link, step s)
{
    switch (s) {
    case STEP_AUTH:
        return link->settings->user != NULL || link->settings->password != NULL;
    case STEP_SELECT:
        return link->settings->database != 0;
    case STEP_SLOTS:
        return link->settings->cluster;
    default:
        return true;
    }
}

static void write_step(mf_link *link, mf_parts *parts, step s)
{
    const mf_link_settings *settings = link->settings;
    static const char *const words[STEP_READY][3] = {
        {"AUTH"},
        {"SELECT"},
        {"CLIENT", "SETNAME"},
        {"INFO"},
        {"CONFIG", "GET", "save"},
        {"CLUSTER", "SLOTS"},
        {"TYPE"},
    };

    mf__parts_clear(parts);
    for (int i = 0; i < 3 && words[s][i] != NULL; i++)
        mf__parts_add_text(parts, words[s][i]);
    if (s == STEP_AUTH && settings->user != NULL)
        mf__parts_add_text(parts, settings->user);
    if (s == STEP_AUTH)
        mf__parts_add_text(parts, settings->password != NULL ? settings->password : "");
    if (s == STEP_SELECT)
        mf__parts_add_number(parts, settings->database);
    if (s == STEP_NAME)
        mf__parts_add_text(parts, settings->client_name);
    if (s == STEP_TYPE)
        mf__parts_add_text(parts, settings->tasks_key);
}

static void next_step(mf_link *link)
{
    do
        link->step++;
    while (link->step < STEP_READY && !has_step(link, link->step));
}

static void start_timer(mf_link *link)
{
    mf_timer_start(link->loop, &link->timer, mf_loop_now_us(link->loop) + timeout_us(link) / 2);
}

static void on_up(mf_connection *connection, void *arg)
{
    mf_link *link = arg;
    mf_error error;

    link->owed = 0;
    link->ping_owed = false;
    link->leaving = false;
    link->run_id[0] = '\0';
    mf__reader_free(link->reader);
    link->reader = mf__reader_new();
    int code = link->reader != NULL ? MF_OK : MF_ENOMEM;
    for (step s = STEP_AUTH; s < STEP_READY && code == MF_OK; s++) {
        if (!has_step(link, s))
            continue;
        write_step(link, &link->scratch, s);
        code = put(link, &(mf_parts){0}, &link->scratch, 1);
    }
    link->step = STEP_AUTH;
    if (!has_step(link, STEP_AUTH))
        next_step(link);
    start_timer(link);
    if (code != MF_OK) {
        mf_error_set(&error, code, "%s: out of memory", mf__connection_peer(connection));
        mf__connection_fail(connection, &error);
    }
}

static void warn_of_writes_alone(mf_link *link, const char *info)
{
    if (link->settings->warned_alone || !mf__server_writes_alone(info))
        return;
    link->settings->warned_alone = true;
    mf_log(link->loop, MF_LOG_WARN, "redis",
           "%s: has replicas and no min-replicas-to-write: after a failover it goes on for those "
           "that still reach it",
           mf__connection_peer(link->connection));
}

static int check_info(mf_link *link, const mf_value *value, mf_error *error)
{
    const char *peer = mf__connection_peer(link->connection);

    if (value->type != MF_VALUE_STRING)
        return mf_error_set(error, MF_EPROTO, "%s: does not answer as Redis does", peer);
    link->no_aof = !mf__server_has_aof(value->text);
    warn_of_writes_alone(link, value->text);
    mf__server_run_id(value->text, link->run_id, sizeof link->run_id);
    /* Of a cluster's nodes TYPE tells more: a replica answers it with where its master is. */
    return mf__server_check(value->text, !link->settings->cluster, peer, error);
}

static void check_save(mf_link *link, const mf_value *value)
{
    if (link->no_aof && !link->settings->warned && mf__value_is_array(value, 2) &&
        mf__value_equals(&value->items[1], "")) {
        link->settings->warned = true;
        mf_log(link->loop, MF_LOG_WARN, "redis",
               "%s: neither appendonly nor save is set: tasks will be lost on a restart",
               mf__connection_peer(link->connection));
    }
}

static int check_type(mf_link *link, const mf_value *value, mf_error *error)
{
    if (mf__value_equals(value, "hash") || mf__value_equals(value, "none"))
        return MF_OK;
    return mf_error_set(error, MF_EREFUSED, "%s: key %s is not a hash",
                        mf__connection_peer(link->connection), link->settings->tasks_key);
}

/* Where to. */

static int prefer(mf_link *link, const mf_endpoint *first, mf_error *error)
{
    const mf_endpoint *list;
    size_t count = mf__seeds_list(&link->seeds, first, &list);

    if (count == 0)
        return mf_error_set(error, MF_ENOMEM, "redis: out of memory");
    int code = mf__connection_set_endpoints(link->connection, list, count, error);
    link->leaving |= code == MF_OK && first != NULL;
    return code;
}

/* What "MOVED <slot> <host>:<port>" says; without a host it is the one that has answered. */
static void prefer_moved(mf_link *link, const char *reply)
{
    mf_endpoint to = {0};
    char host[256];

    if (mf__seeds_parse_moved(reply, mf__connection_peer(link->connection), host, sizeof host,
                              &to.port)) {
        to.host = host;
        (void)prefer(link, &to, NULL);
    }
}

/* What a user is not permitted to ask, or a server does not know, can be done without. */
static bool is_optional(step s, const char *text)
{
    bool denied = strncmp(text, "NOPERM", 6) == 0;

    switch (s) {
    case STEP_NAME:
    case STEP_SAVE:
    case STEP_SLOTS:
        return denied || strncasecmp(text, "ERR unknown", 11) == 0;
    default:
        return s == STEP_INFO && denied;
    }
}

static int check_error(mf_link *link, const char *text, mf_error *error)
{
    static const char *const names[] = {
        "AUTH", "SELECT", "CLIENT SETNAME", "INFO", "CONFIG GET", "CLUSTER SLOTS", "TYPE"};
    const char *peer = mf__connection_peer(link->connection);
    char what[160];
    mf_server_state state;

    snprintf(what, sizeof what, "%.140s: %s", peer, names[link->step]);
    int code = mf__server_error(what, text, &state, error);
    if (is_optional(link->step, text)) {
        if (link->step == STEP_INFO && !link->settings->warned)
            mf_log(link->loop, MF_LOG_WARN, "redis", "%s: the server's settings are not checked",
                   error->text);
        link->settings->warned |= link->step == STEP_INFO;
        return MF_OK;
    }
    if (state == MF_SERVER_MOVED && link->settings->cluster)
        prefer_moved(link, text);
    else if (state == MF_SERVER_MOVED)
        return mf_error_set(error, MF_EREFUSED,
                            "%s: this node of a cluster does not serve the namespace (%s): use "
                            "redis+cluster://",
                            peer, text);
    if (code == MF_EPROTO && (link->step == STEP_AUTH || link->step == STEP_SELECT))
        error->code = code = MF_EREFUSED;
    return code;
}

static int check_step(mf_link *link, const mf_value *value, mf_error *error)
{
    if (value->type == MF_VALUE_ERROR)
        return check_error(link, value->text, error);
    if (link->step == STEP_INFO)
        return check_info(link, value, error);
    if (link->step == STEP_SAVE)
        check_save(link, value);
    if (link->step == STEP_SLOTS)
        mf__seeds_learn(&link->seeds, value);
    if (link->step == STEP_TYPE)
        return check_type(link, value, error);
    return MF_OK;
}

static void take_step(mf_link *link, const mf_value *value)
{
    mf_error error;

    link->owed--;
    if (check_step(link, value, &error) != MF_OK) {
        mf__connection_fail(link->connection, &error);
        return;
    }
    next_step(link);
    if (link->step < STEP_READY)
        return;
    link->refused = 0;
    link->ready_us = mf_loop_now_us(link->loop);
    if (!link->relapsed)
        mf__connection_healthy(link->connection);
    link->events->ready(link, link->arg);
}

/* Replies. */

static bool is_pong(const mf_value *value)
{
    return mf__value_equals(value, "PONG") ||
           (mf__value_is_array(value, 2) && mf__value_equals(&value->items[0], "pong"));
}

static void take_reply(mf_link *link, const mf_value *value)
{
    if (link->step < STEP_READY) {
        take_step(link, value);
    } else if (link->ping_owed && is_pong(value)) {
        link->ping_owed = false;
        link->owed--;
    } else if (link->events->reply(link, value, link->arg)) {
        link->owed--;
    }
}

static bool is_alive(const mf_link *link)
{
    return !link->closed && mf__connection_is_up(link->connection);
}

static void on_data(mf_connection *connection, struct evbuffer *input, void *arg)
{
    mf_link *link = arg;
    mf_value *value;
    int got = 1;

    link->depth++;
    while (got == 1 && is_alive(link)) {
        got = mf__reader_next(link->reader, input, &value);
        if (got == 1)
            take_reply(link, value);
    }
    if (got < 0) {
        mf_error error;
        mf_error_set(&error, MF_EPROTO, "%s: does not speak RESP", mf__connection_peer(connection));
        mf__connection_fail(connection, &error);
    } else if (is_alive(link)) {
        note_progress(link);
    }
    leave(link);
}

/* A server that is not fit for use is no failed attempt while there are others to try. */
static bool try_next(mf_link *link, bool unfit)
{
    if (!unfit || ++link->refused >= link->seeds.count + (link->settings->cluster ? 2 : 0)) {
        link->refused = 0;
        return false;
    }
    mf__connection_retry_now(link->connection);
    return true;
}

/* After a loss any node of a cluster can tell where to go. */
static void after_loss(mf_link *link)
{
    if (link->leaving && !link->relapsed)
        mf__connection_retry_now(link->connection);
    else if (link->settings->cluster && !link->leaving)
        (void)prefer(link, NULL, NULL);
    link->leaving = false;
}

/* A server that is dropped again and again as soon as it is ready is not healthy: the pauses
 * between attempts go on growing until one has lasted. */
static bool has_lasted(const mf_link *link)
{
    return link->step == STEP_READY && mf_loop_now_us(link->loop) - link->ready_us >= LASTING_US;
}

static void on_down(mf_connection *connection, const mf_error *why, void *arg)
{
    mf_link *link = arg;
    bool was_ready = link->step == STEP_READY;
    bool had_reader = link->reader != NULL;

    (void)connection;
    if (was_ready)
        link->relapsed = !has_lasted(link);
    mf__reader_free(link->reader);
    link->reader = NULL;
    link->step = STEP_AUTH;
    mf_timer_stop(link->loop, &link->timer);
    if (!was_ready && try_next(link, had_reader)) {
        link->leaving = false;
        return;
    }
    after_loss(link);
    link->depth++;
    link->events->down(link, why, link->arg);
    leave(link);
}

/* Twice in each timeout: an idle server is asked for a sign of life, and one to which much is being
 * sent is not dead while it takes it. */
static void on_timer(void *arg)
{
    mf_link *link = arg;
    int64_t now = mf_loop_now_us(link->loop);

    start_timer(link);
    if (!mf__connection_is_up(link->connection))
        return;
    if (link->relapsed && has_lasted(link)) {
        link->relapsed = false;
        mf__connection_healthy(link->connection);
    }
    if (link->owed > 0) {
        size_t pending = evbuffer_get_length(mf__connection_output(link->connection));
        if (pending < link->pending && pending > 0)
            note_progress(link);
        link->pending = pending;
    } else if (now - link->progress_us >= timeout_us(link) / 2 - 1000) {
        mf__parts_clear(&link->scratch);
        mf__parts_add_text(&link->scratch, "PING");
        link->ping_owed = put(link, &(mf_parts){0}, &link->scratch, 1) == MF_OK;
    }
}

static const mf_connection_events connection_events = {
    .up = on_up,
    .data = on_data,
    .down = on_down,
};

int mf__link_open(mf_link **out, mf_loop *loop, mf_link_settings *settings,
                  const mf_link_events *events, void *arg, mf_error *error)
{
    mf_link *link = calloc(1, sizeof *link);

    if (link == NULL)
        return mf_error_set(error, MF_ENOMEM, "redis: out of memory");
    link->loop = loop;
    link->settings = settings;
    link->events = events;
    link->arg = arg;
    mf_timer_init(&link->timer, on_timer, link);
    mf__seeds_init(&link->seeds, settings->connection.endpoints,
                   settings->connection.endpoint_count);
    int code = mf__connection_open(&link->connection, loop, &settings->connection,
                                   &connection_events, link, error);
    if (code != MF_OK)
        free_link(link);
    else
        *out = link;
    return code;
}

void mf__link_close(mf_link *link)
{
    assert(!link->closed);
    link->closed = true;
    mf_timer_stop(link->loop, &link->timer);
    mf__connection_close(link->connection);
    if (link->depth == 0)
        free_link(link);
}

bool mf__link_is_ready(const mf_link *link)
{
    return link->step == STEP_READY && is_alive(link);
}

int mf__link_send(mf_link *link, const mf_parts *head, const mf_parts *parts, int replies)
{
    assert(mf__link_is_ready(link));
    return put(link, head, parts, replies);
}

void mf__link_fail(mf_link *link, const mf_error *why)
{
    mf__connection_fail(link->connection, why);
}

void mf__link_moved(mf_link *link, const char *reply, const mf_error *why)
{
    if (link->settings->cluster)
        prefer_moved(link, reply);
    mf__link_fail(link, why);
}

int mf__link_direct(mf_link *link, const mf_endpoint *server, const mf_error *why)
{
    mf_error error;

    if (mf__seeds_is(server, mf__link_peer(link)) && !link->leaving)
        return MF_OK;
    int code = mf__connection_set_endpoints(link->connection, server, 1, &error);
    if (code != MF_OK)
        return code;
    link->leaving = true;
    mf__connection_fail(link->connection, why);
    mf__connection_retry_now(link->connection);
    return MF_OK;
}

bool mf__link_same_server(const mf_link *a, const mf_link *b)
{
    if (*a->run_id != '\0' && *b->run_id != '\0')
        return strcmp(a->run_id, b->run_id) == 0;
    return strcmp(mf__link_peer(a), mf__link_peer(b)) == 0;
}

const char *mf__link_peer(const mf_link *link)
{
    return mf__connection_peer(link->connection);
}
