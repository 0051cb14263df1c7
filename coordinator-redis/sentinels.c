/* Who the master is, by what the Sentinels say. */
#include "sentinels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol.h"

enum { POLL_US = 2000000, SOON_US = 100000, ANSWER_FIELDS = 20, PORT_MOST = 65535 };
/* Five times as long as Sentinels take to tell each other what they know. */
enum { BEGUN_ANEW_US = 10000000 };

typedef enum answer {
    ANSWER_NONE, /* asked, or to be asked */
    ANSWER_MASTER,
    ANSWER_FAILED /* not reached, refused, or it knows no such master */
} answer;

typedef struct sentinel {
    mf_sentinels *set;
    mf_connection *connection;
    mf_reader *reader;
    answer answer;
    bool asked; /* the answer to the last question is not complete */
    char host[256];
    int port;
    uint64_t epoch;
    mf_error why; /* ANSWER_FAILED */
} sentinel;

struct mf_sentinels {
    mf_loop *loop;
    const mf_sentinels_settings *settings;
    const mf_sentinels_events *events;
    void *arg;
    mf_timer poll;
    mf_deferred decide;
    mf_parts parts;
    uint64_t epoch;         /* the highest that was followed */
    int64_t lower_since_us; /* that all answers are lower; 0: they are not */
    char host[256];         /* the master that was told; empty: none */
    int port;
    size_t count;
    sentinel list[];
};

/* Asking. */

static void write_words(mf_sentinels *set, sentinel *s, const char *const *words)
{
    mf__parts_clear(&set->parts);
    for (; *words != NULL; words++)
        mf__parts_add_text(&set->parts, *words);
    if (mf__parts_send(&(mf_parts){0}, &set->parts, mf__connection_output(s->connection)) !=
        MF_OK) {
        mf_error why;
        mf_error_set(&why, MF_ENOMEM, "redis: out of memory");
        mf__connection_fail(s->connection, &why);
    }
}

static void authenticate(sentinel *s)
{
    const mf_sentinels_settings *settings = s->set->settings;
    const char *password = settings->password != NULL ? settings->password : "";

    if (settings->user != NULL)
        write_words(s->set, s, (const char *const[]){"AUTH", settings->user, password, NULL});
    else if (settings->password != NULL)
        write_words(s->set, s, (const char *const[]){"AUTH", password, NULL});
}

/* The address of the failover that is under way, then the epoch: by SENTINEL MASTER alone the old
 * address comes with the new epoch for a moment. A subscription allows no other command. */
static void ask(sentinel *s)
{
    mf_sentinels *set = s->set;
    const char *name = set->settings->master;

    if (s->asked || !mf__connection_is_up(s->connection))
        return;
    s->asked = true;
    write_words(set, s, (const char *const[]){"UNSUBSCRIBE", "+switch-master", NULL});
    write_words(set, s, (const char *const[]){"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name, NULL});
    write_words(set, s, (const char *const[]){"SENTINEL", "MASTER", name, NULL});
    write_words(set, s, (const char *const[]){"SUBSCRIBE", "+switch-master", NULL});
    mf__connection_expect(s->connection, mf_loop_now_us(set->loop) +
                                             (int64_t)set->settings->reply_timeout_ms * 1000);
}

static void poll_in(mf_sentinels *set, int64_t us)
{
    mf_timer_start(set->loop, &set->poll, mf_loop_now_us(set->loop) + us);
}

static void ask_all(mf_sentinels *set)
{
    for (size_t i = 0; i < set->count; i++)
        ask(&set->list[i]);
}

static void on_poll(void *arg)
{
    mf_sentinels *set = arg;

    ask_all(set);
    poll_in(set, POLL_US);
}

void mf__sentinels_ask(mf_sentinels *set)
{
    ask_all(set);
    poll_in(set, SOON_US);
}

/* Deciding. */

static size_t count_answers(const mf_sentinels *set, answer kind)
{
    size_t count = 0;

    for (size_t i = 0; i < set->count; i++)
        count += set->list[i].answer == kind;
    return count;
}

static const sentinel *best_of(const mf_sentinels *set)
{
    const sentinel *best = NULL;

    for (size_t i = 0; i < set->count; i++) {
        const sentinel *s = &set->list[i];
        if (s->answer == ANSWER_MASTER && (best == NULL || s->epoch > best->epoch))
            best = s;
    }
    return best;
}

static void tell_unknown(mf_sentinels *set, const sentinel *stale)
{
    mf_error why = {.code = MF_EUNREACHABLE};

    for (size_t i = 0; i < set->count; i++)
        if (set->list[i].answer == ANSWER_FAILED)
            why = set->list[i].why;
    if (stale != NULL)
        mf_error_set(&why, MF_EUNREACHABLE,
                     "%s:%d was the master before a failover; the Sentinels that know of it are "
                     "not reached",
                     stale->host, stale->port);
    set->events->unknown(&why, set->arg);
}

/* Sentinels that were all replaced count failovers from zero, and would not be followed for as
 * many. One that is out of date by itself hears of the others within seconds. */
static bool have_begun_anew(mf_sentinels *set, const sentinel *best)
{
    int64_t now = mf_loop_now_us(set->loop);

    if (set->lower_since_us == 0)
        set->lower_since_us = now;
    for (size_t i = 0; i < set->count; i++) {
        const sentinel *s = &set->list[i];
        if (s->answer != ANSWER_MASTER || strcmp(s->host, best->host) != 0 || s->port != best->port)
            return false;
    }
    if (set->count < 2 || now - set->lower_since_us < BEGUN_ANEW_US)
        return false;
    mf_log(set->loop, MF_LOG_WARN, "redis",
           "the Sentinels of %s count failovers anew: all name %s:%d", set->settings->master,
           best->host, best->port);
    return true;
}

static void decide(void *arg)
{
    mf_sentinels *set = arg;
    size_t answered = count_answers(set, ANSWER_MASTER);
    bool all = answered + count_answers(set, ANSWER_FAILED) == set->count;
    const sentinel *best = best_of(set);

    if (answered <= set->count / 2 && !all)
        return;
    bool lower = best != NULL && best->epoch < set->epoch;
    if (best == NULL || (lower && !have_begun_anew(set, best))) {
        tell_unknown(set, best);
        return;
    }
    set->lower_since_us = 0;
    set->epoch = best->epoch;
    if (strcmp(set->host, best->host) == 0 && set->port == best->port)
        return;
    strcpy(set->host, best->host);
    set->port = best->port;
    mf_log(set->loop, MF_LOG_INFO, "redis", "%s is at %s:%d", set->settings->master, set->host,
           set->port);
    set->events->master(&(mf_endpoint){.host = set->host, .port = set->port}, set->arg);
}

static void answer_is(sentinel *s, answer kind)
{
    s->answer = kind;
    mf_defer(s->set->loop, &s->set->decide);
}

/* Answers, told apart by their form. */

static void take_address(sentinel *s, const mf_value *value)
{
    uint64_t port;

    if (value->items[0].type != MF_VALUE_STRING || !mf__value_number(&value->items[1], &port) ||
        port < 1 || port > PORT_MOST || value->items[0].length >= sizeof s->host)
        return;
    strcpy(s->host, value->items[0].text);
    s->port = (int)port;
}

static void take_fields(sentinel *s, const mf_value *value)
{
    s->asked = false;
    mf__connection_expect(s->connection, 0);
    mf__connection_healthy(s->connection);
    for (size_t i = 0; i + 1 < value->length; i += 2)
        if (mf__value_equals(&value->items[i], "config-epoch") &&
            mf__value_number(&value->items[i + 1], &s->epoch) && *s->host != '\0')
            answer_is(s, ANSWER_MASTER);
}

/* "<name> <old host> <old port> <new host> <new port>" */
static void take_hint(sentinel *s, const mf_value *text)
{
    size_t length = strlen(s->set->settings->master);

    if (text->type == MF_VALUE_STRING &&
        strncmp(text->text, s->set->settings->master, length) == 0 && text->text[length] == ' ')
        mf__sentinels_ask(s->set);
}

static void take_error(sentinel *s, const char *text)
{
    bool unknown = strncmp(text, "ERR No such master", 18) == 0;

    mf_error_set(&s->why, MF_EREFUSED, "Sentinel %s: %s%s", mf__connection_peer(s->connection),
                 unknown ? "knows no master " : text, unknown ? s->set->settings->master : "");
    if (unknown) {
        s->asked = false;
        mf__connection_expect(s->connection, 0);
        answer_is(s, ANSWER_FAILED);
    } else {
        mf__connection_fail(s->connection, &s->why);
    }
}

static void take(sentinel *s, const mf_value *value)
{
    if (value->type == MF_VALUE_ERROR)
        take_error(s, value->text);
    else if (mf__value_is_array(value, ANSWER_FIELDS))
        take_fields(s, value);
    else if (mf__value_is_array(value, 3) && mf__value_equals(&value->items[0], "message"))
        take_hint(s, &value->items[2]);
    else if (value->type == MF_VALUE_ARRAY && value->length == 2)
        take_address(s, value);
}

/* The connection's events. */

static void on_up(mf_connection *connection, void *arg)
{
    sentinel *s = arg;

    mf__reader_free(s->reader);
    s->reader = mf__reader_new();
    s->asked = false;
    if (s->reader == NULL) {
        mf_error_set(&s->why, MF_ENOMEM, "redis: out of memory");
        mf__connection_fail(connection, &s->why);
        return;
    }
    authenticate(s);
    ask(s);
}

static void on_data(mf_connection *connection, struct evbuffer *input, void *arg)
{
    sentinel *s = arg;
    mf_value *value;
    int got;

    while (mf__connection_is_up(connection) &&
           (got = mf__reader_next(s->reader, input, &value)) != 0) {
        if (got == 1) {
            take(s, value);
            continue;
        }
        mf_error_set(&s->why, MF_EPROTO, "%s: does not speak RESP",
                     mf__connection_peer(connection));
        mf__connection_fail(connection, &s->why);
    }
}

static void on_down(mf_connection *connection, const mf_error *why, void *arg)
{
    sentinel *s = arg;

    (void)connection;
    s->asked = false;
    s->why = *why;
    answer_is(s, ANSWER_FAILED);
}

static const mf_connection_events connection_events = {
    .up = on_up,
    .data = on_data,
    .down = on_down,
};

/* Opening and closing. */

static void free_set(mf_sentinels *set)
{
    for (size_t i = 0; i < set->count; i++)
        mf__reader_free(set->list[i].reader);
    mf__parts_free(&set->parts);
    free(set);
}

void mf__sentinels_close(mf_sentinels *set)
{
    for (size_t i = 0; i < set->count; i++)
        mf__connection_close(set->list[i].connection);
    mf_timer_stop(set->loop, &set->poll);
    mf_deferred_cancel(set->loop, &set->decide);
    free_set(set);
}

int mf__sentinels_open(mf_sentinels **out, mf_loop *loop, const mf_sentinels_settings *settings,
                       const mf_sentinels_events *events, void *arg, mf_error *error)
{
    mf_connection_options options = settings->connection;
    size_t count = options.endpoint_count;
    mf_sentinels *set = calloc(1, sizeof *set + count * sizeof *set->list);
    int code = MF_OK;

    if (set == NULL)
        return mf_error_set(error, MF_ENOMEM, "redis: out of memory");
    set->loop = loop;
    set->settings = settings;
    set->events = events;
    set->arg = arg;
    mf_timer_init(&set->poll, on_poll, set);
    mf_deferred_init(&set->decide, decide, set);
    options.endpoint_count = 1;
    while (code == MF_OK && set->count < count) {
        sentinel *s = &set->list[set->count];
        s->set = set;
        options.endpoints = &settings->connection.endpoints[set->count];
        code = mf__connection_open(&s->connection, loop, &options, &connection_events, s, error);
        set->count += code == MF_OK;
    }
    if (code != MF_OK) {
        mf__sentinels_close(set);
        return code;
    }
    poll_in(set, POLL_US);
    *out = set;
    return MF_OK;
}
