/* Giving back what sessions held that have lapsed or ended.
 *
 * Every node does it, a little apart from each other: all of it is harmless when done twice. A look
 * is due when the first session known to join and renew lapses. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum {
    PAGE = 256,          /* tasks a script */
    SESSIONS = 16,       /* a look */
    JITTER_US = 40000,   /* apart from other nodes */
    INTERVAL_MS = 10000, /* between looks, when nothing is known */
    AFTER_ERROR_MS = 500,
    TASKS = 256,             /* submitted for later, a look */
    LATER_MAX_MS = 86400000, /* a day; those beyond are found by a look before */
    IDLE_PAGES = 8,
};

/* One session. */
typedef struct reap {
    mf_request request; /* first */
    mf_redis *redis;
    const mf_value *ids; /* for the next page; valid only while it is being sent */
    size_t count;
    bool more;
    int idle; /* pages in a row that changed nothing */
    int64_t wait_ms;
    void (*done)(mf_redis *redis, const mf_error *error, int64_t wait_ms, void *arg);
    void *arg;
    char token[];
} reap;

static void write_reap(mf_redis *redis, mf_request *head)
{
    const reap *r = (const reap *)head;

    mf__redis_keys(redis, head, NULL, r->token);
    for (size_t i = 0; i < r->count; i++)
        mf__redis_key_of_bytes(redis, MF_PREFIX_OWNER, r->ids[i].text, r->ids[i].length);
    mf__redis_text(redis, r->token);
    mf__redis_channel(redis);
    mf__redis_id_start(redis);
    mf__redis_number(redis, PAGE);
    mf__redis_number(redis, redis->max_crashes);
    mf__redis_number(redis, MF_CRASH_SPREAD_MS);
    mf__redis_number(redis, MF_CRASH_PARDON_MS);
}

static const mf_operation reap_operation;

static void send_page(reap *r, const mf_value *ids, size_t count)
{
    r->ids = ids;
    r->count = count;
    mf__redis_submit(r->redis, &r->request, &reap_operation);
    r->ids = NULL; /* sent again for want of the script, the page is empty */
    r->count = 0;
}

static bool is_ids(const mf_value *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i].type != MF_VALUE_STRING)
            return false;
    return true;
}

static void read_reap(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    reap *r = (reap *)head;

    if (!mf__value_is_array(answer, 2) || answer->items[0].type != MF_VALUE_INTEGER ||
        answer->items[1].type != MF_VALUE_INTEGER) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    bool given = answer->items[0].integer > 0;
    r->wait_ms = answer->items[1].integer;
    r->ids = answer->items + 2;
    r->count = answer->length - 2;
    r->idle = given ? 0 : r->idle + 1;
    r->more = r->count > 0 && is_ids(r->ids, r->count);
    /* What is left outlives the session, or others are giving it back. */
    if (r->more && !given && (r->wait_ms > 0 || r->idle > IDLE_PAGES)) {
        r->more = false;
        r->wait_ms = r->wait_ms > 0 ? r->wait_ms : AFTER_ERROR_MS;
    }
}

static const mf_operation reap_operation = {
    .what = "reap",
    .script = &mf__script_reap,
    .ordered = false,
    .write = write_reap,
    .read = read_reap,
};

static void on_page(mf_request *head)
{
    reap *r = (reap *)head;

    if (head->error.code == MF_OK && r->more) {
        send_page(r, r->ids, r->count);
        return;
    }
    r->done(r->redis, &head->error, r->wait_ms, r->arg);
    free(r);
}

void mf__reap_session(mf_redis *redis, const char *token,
                      void (*done)(mf_redis *redis, const mf_error *error, int64_t wait_ms,
                                   void *arg),
                      void *arg)
{
    reap *r = calloc(1, sizeof *r + strlen(token) + 1);
    mf_error error;

    if (r == NULL) {
        mf_error_set(&error, MF_ENOMEM, "redis: out of memory");
        done(redis, &error, 0, arg);
        return;
    }
    strcpy(r->token, token);
    r->request.done = on_page;
    r->redis = redis;
    r->done = done;
    r->arg = arg;
    send_page(r, NULL, 0);
}

/* The look. */

static void start_timer(mf_redis *redis, int64_t ms)
{
    mf_loop *loop = redis->broker.loop;
    int64_t jitter_us = (int64_t)(mf_loop_random(loop) % JITTER_US);

    if (ms > INTERVAL_MS || ms < 0)
        ms = INTERVAL_MS;
    int64_t due_us = mf_loop_now_us(loop) + ms * 1000;
    if (redis->reaper.later_us < due_us)
        due_us = redis->reaper.later_us;
    mf_timer_start(loop, &redis->reaper.timer, due_us + jitter_us);
}

void mf__reaper_later(mf_redis *redis, int64_t ms)
{
    mf_reaper *reaper = &redis->reaper;
    int64_t now_us = mf_loop_now_us(redis->broker.loop);

    if (ms < 0 || ms > LATER_MAX_MS || now_us + ms * 1000 >= reaper->later_us)
        return;
    reaper->later_us = now_us + ms * 1000;
    if (!reaper->looking && reaper->reaping == 0 && !redis->closing &&
        (reaper->timer.heap_slot == 0 || reaper->timer.due_us > reaper->later_us))
        start_timer(redis, INTERVAL_MS);
}

void mf__reaper_look_in(mf_redis *redis, int64_t ms)
{
    mf_reaper *reaper = &redis->reaper;

    if (!reaper->looking && reaper->reaping == 0 && !redis->closing)
        start_timer(redis, ms > 0 ? ms : 0);
}

static void look_again_in(mf_reaper *reaper, int64_t ms)
{
    if (reaper->next_ms < 0 || ms < reaper->next_ms)
        reaper->next_ms = ms;
}

static void end_look(mf_redis *redis)
{
    mf_reaper *reaper = &redis->reaper;

    if (!reaper->looking && reaper->reaping == 0 && !redis->closing)
        start_timer(redis, reaper->next_ms);
}

static void on_reaped(mf_redis *redis, const mf_error *error, int64_t wait_ms, void *arg)
{
    (void)arg;
    redis->reaper.reaping--;
    if (error->code != MF_OK)
        look_again_in(&redis->reaper, AFTER_ERROR_MS);
    else if (wait_ms > 0)
        look_again_in(&redis->reaper, wait_ms);
    end_look(redis);
}

static void write_lapsed(mf_redis *redis, mf_request *head)
{
    (void)head;
    mf__redis_keys(redis, head, NULL, NULL);
    mf__redis_number(redis, SESSIONS);
    mf__redis_channel(redis);
    mf__redis_number(redis, TASKS);
}

/* A session a call, so that each has its own way to fail; the tokens are only valid here. */
static void read_lapsed(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_reaper *reaper = &redis->reaper;

    if (!mf__value_is_array(answer, 2) || answer->items[0].type != MF_VALUE_INTEGER ||
        answer->items[1].type != MF_VALUE_INTEGER) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    reaper->next_ms = answer->items[0].integer;
    reaper->later_us = INT64_MAX;
    mf__reaper_later(redis, answer->items[1].integer);
    if (answer->length > SESSIONS + 1)
        reaper->next_ms = 0; /* there may be more */
    for (size_t i = 2; i < answer->length; i++) {
        if (answer->items[i].type != MF_VALUE_STRING)
            continue;
        mf_log(redis->broker.loop, MF_LOG_DEBUG, "redis", "giving back what a lapsed session held");
        reaper->reaping++;
        mf__reap_session(redis, answer->items[i].text, on_reaped, NULL);
    }
}

static const mf_operation lapsed_operation = {
    .what = "find lapsed sessions",
    .script = &mf__script_lapsed,
    .write = write_lapsed,
    .read = read_lapsed,
};

static void on_looked(mf_request *head)
{
    mf_redis *redis = head->arg;

    redis->reaper.looking = false;
    if (head->error.code != MF_OK)
        look_again_in(&redis->reaper, AFTER_ERROR_MS);
    end_look(redis);
}

static void on_timer(void *arg)
{
    mf_redis *redis = arg;
    mf_reaper *reaper = &redis->reaper;

    reaper->next_ms = -1;
    if (!redis->up || !mf__hints_have_session(redis)) {
        reaper->later_us = INT64_MAX;
        start_timer(redis, INTERVAL_MS);
        return;
    }
    reaper->looking = true;
    mf__redis_submit(redis, &reaper->request, &lapsed_operation);
}

void mf__reaper_init(mf_redis *redis)
{
    redis->reaper.request = (mf_request){.done = on_looked, .arg = redis};
    redis->reaper.later_us = INT64_MAX;
    mf_timer_init(&redis->reaper.timer, on_timer, redis);
}

void mf__reaper_stop(mf_redis *redis)
{
    mf_timer_stop(redis->broker.loop, &redis->reaper.timer);
}
