/* Sessions: join and leave. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* A request that is under way for longer than this has not been delayed, it is lost. */
enum { REMEMBER_MS = 120000 };

/* join */

static void write_join(mf_redis *redis, mf_request *head)
{
    const mf_join_request *request = (const mf_join_request *)head;
    const mf_session *session = request->session;

    mf__redis_keys(redis, head, session->node, session->token);
    mf__redis_session(redis, session);
    mf__redis_number(redis, session->lease_ms);
    mf__redis_weight(redis, session->weight);
    mf__redis_text(redis, session->node);
    mf__redis_text(redis, request->takeover ? "1" : "0");
    mf__redis_channel(redis);
    mf__redis_number(redis, (int64_t)redis->heard_fence);
}

static void read_holder(mf_join_request *request, const mf_value *answer)
{
    const mf_value *holder = &answer->items[1], *left = &answer->items[2];
    const mf_session *session = request->session;

    snprintf(request->holder, sizeof request->holder, "%s",
             holder->type == MF_VALUE_STRING ? holder->text : "");
    /* A node key without an expiry was tampered with; it may go at any time, or never. */
    request->remaining_ms =
        left->type == MF_VALUE_INTEGER && left->integer >= 0 ? left->integer : session->lease_ms;
    mf_error_set(&request->request.error, MF_ENAMEINUSE,
                 "name: \"%s\" is in use by another session, for %lld ms unless it is renewed",
                 session->node, (long long)request->remaining_ms);
}

static void read_join(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_join_request *request = (mf_join_request *)head;

    if (!mf__value_is_array(answer, 3) || answer->items[0].type != MF_VALUE_INTEGER) {
        mf__redis_misunderstood(redis, head);
    } else if (answer->items[0].integer != 1) {
        read_holder(request, answer);
    } else if (!mf__value_is_array(answer, 4)) {
        mf__redis_misunderstood(redis, head);
    } else {
        mf__redis_hear_fence(redis, (uint64_t)answer->items[3].integer);
        mf__reaper_look_in(redis, answer->items[1].integer);
        if (answer->items[2].integer > 0)
            mf__pardon(redis, request->session->token);
    }
}

static const mf_operation join_operation = {
    .what = "join",
    .script = &mf__script_join,
    .ordered = true,
    .write = write_join,
    .read = read_join,
};

void mf__redis_join(mf_broker *broker, mf_join_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &join_operation);
}

/* leave: ends the session, then gives back what it still holds. */

static void write_leave(mf_redis *redis, mf_request *head)
{
    const mf_session *session = ((const mf_session_request *)head)->session;

    mf__redis_keys(redis, head, session->node, session->token);
    mf__redis_session(redis, session);
    mf__redis_number(redis, REMEMBER_MS);
}

static void read_leave(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    if (answer->type != MF_VALUE_INTEGER)
        mf__redis_misunderstood(redis, head);
}

static const mf_operation leave_operation = {
    .what = "leave",
    .script = &mf__script_leave,
    .ordered = true,
    .write = write_leave,
    .read = read_leave,
};

/* The driver's own request, in whose name the core's is answered when all is given back. */
typedef struct leaving {
    mf_session_request request; /* first */
    mf_redis *redis;
    mf_session_request *asked;
} leaving;

static void on_given_back(mf_redis *redis, const mf_error *error, int64_t wait_ms, void *arg)
{
    leaving *l = arg;
    mf_session_request *asked = l->asked;

    (void)redis;
    (void)wait_ms;
    asked->request.error = *error;
    free(l);
    asked->request.done(&asked->request);
}

static void on_left(mf_request *head)
{
    leaving *l = head->arg;

    if (head->error.code == MF_OK)
        mf__reap_session(l->redis, l->request.session->token, on_given_back, l);
    else
        on_given_back(l->redis, &head->error, 0, l);
}

void mf__redis_leave(mf_broker *broker, mf_session_request *request)
{
    mf_redis *redis = (mf_redis *)broker;
    leaving *l = malloc(sizeof *l);

    if (l == NULL) {
        mf__redis_finish_later(redis, &request->request, MF_ENOMEM, "redis: out of memory");
        return;
    }
    *l = (leaving){
        .request = {.request = {.done = on_left, .arg = l}, .session = request->session},
        .redis = redis,
        .asked = request,
    };
    mf__redis_submit(redis, &l->request.request, &leave_operation);
}
