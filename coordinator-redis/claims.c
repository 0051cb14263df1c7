/* Claims: claim, renew, release, done. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* What scripts answer about one task. */
enum {
    CLAIM_TAKEN = 1,
    CLAIM_BAD_OWNER = 2,
    CLAIM_STRAY = 3,
    CLAIM_NOT_ASKED = 4,
    LOST_LATE = 1,
    LOST_GONE = 2
};

static void write_owner_keys(mf_redis *redis, mf_claim *const *claims, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mf__redis_key_of(redis, MF_PREFIX_OWNER, claims[i]->id);
}

/* Fences as runs, for what was claimed together has the same. */
static void write_fences(mf_redis *redis, mf_claim *const *claims, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && claims[i]->fence == claims[i - 1]->fence)
            continue;
        mf__redis_number(redis, (int64_t)i + 1);
        mf__redis_number(redis, (int64_t)claims[i]->fence);
    }
}

/* claim */

static void write_claim(mf_redis *redis, mf_request *head)
{
    const mf_claims_request *request = (const mf_claims_request *)head;
    const mf_session *session = request->session;

    mf__redis_keys(redis, head, session->node, session->token);
    write_owner_keys(redis, request->claims, request->count);
    mf__redis_session(redis, session);
    mf__redis_number(redis, session->lease_ms);
    mf__redis_text(redis, session->node);
    mf__redis_channel(redis);
    mf__redis_id_start(redis);
    mf__redis_channel_of(redis, session->node);
}

/* A task whose properties cannot be used stays with the session, set aside, and is not run: it
 * would only be offered again, here or elsewhere. */
static int read_properties(mf_redis *redis, mf_claim *claim, const mf_value *value)
{
    mf_error error;

    if (value->length == 0)
        return MF_OK;
    if (memchr(value->text, '\0', value->length) != NULL)
        mf_error_set(&error, MF_EINVAL, "properties: contain a NUL byte");
    else if (mf_check_properties("properties", value->text, &error) == MF_OK)
        return (claim->properties = strndup(value->text, value->length)) != NULL ? MF_OK
                                                                                 : MF_ENOMEM;
    mf__redis_damage(redis, "task \"%s\": %s; set aside", claim->id, error.text);
    return MF_EDAMAGED;
}

static int read_refusal(mf_redis *redis, const mf_claim *claim, const mf_value *value)
{
    if (value->type == MF_VALUE_NIL)
        return MF_EGONE;
    switch (value->integer) {
    case CLAIM_TAKEN:
        return MF_ETAKEN;
    case CLAIM_NOT_ASKED:
        return MF_EUNREACHABLE;
    case CLAIM_STRAY:
        mf__redis_damage(redis, "\"%s\" was listed as claimable, and is no task; removed",
                         claim->id);
        return MF_EDAMAGED;
    default:
        mf__redis_damage(redis, "task \"%s\": its owner key is not a string", claim->id);
        return MF_EDAMAGED;
    }
}

static bool is_claim_answer(const mf_value *answer, size_t count)
{
    if (!mf__value_is_array(answer, count + 1) || (answer->length - count - 1) % 2 != 0)
        return false;
    for (size_t i = 0; i < count; i++)
        if (answer->items[i].type > MF_VALUE_INTEGER || answer->items[i].type == MF_VALUE_ERROR)
            return false;
    return true;
}

/* Tasks that the session held already: pairs of place and fence. */
static void read_held(mf_claims_request *request, const mf_value *items, size_t count)
{
    for (size_t i = 0; i + 1 < count; i += 2) {
        uint64_t place, fence;
        if (!mf__value_number(&items[i], &place) || place < 1 || place > request->count)
            continue;
        mf_claim *claim = request->claims[place - 1];
        if (mf__value_number(&items[i + 1], &fence) && fence != 0)
            claim->fence = fence;
        else
            claim->result = MF_EDAMAGED;
    }
}

static void discard_claim(mf_redis *redis, mf_request *head)
{
    mf_claims_request *request = (mf_claims_request *)head;

    (void)redis;
    for (size_t i = 0; i < request->count; i++) {
        free(request->claims[i]->properties);
        request->claims[i]->properties = NULL;
    }
}

static void read_claim(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_claims_request *request = (mf_claims_request *)head;
    uint64_t fence;

    if (!is_claim_answer(answer, request->count) ||
        !mf__value_number(&answer->items[request->count], &fence)) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    mf__redis_hear_fence(redis, fence);
    for (size_t i = 0; i < request->count; i++) {
        mf_claim *claim = request->claims[i];
        const mf_value *item = &answer->items[i];
        claim->fence = fence;
        claim->properties = NULL;
        claim->mark = (uint64_t)mf_loop_now_us(redis->broker.loop);
        claim->result = item->type == MF_VALUE_STRING ? read_properties(redis, claim, item)
                                                      : read_refusal(redis, claim, item);
        if (claim->result == MF_ENOMEM)
            mf_error_set(&head->error, MF_ENOMEM, "redis: out of memory");
    }
    read_held(request, answer->items + request->count + 1, answer->length - request->count - 1);
    if (head->error.code != MF_OK)
        discard_claim(redis, head);
}

static const mf_operation claim_operation = {
    .what = "claim",
    .script = &mf__script_claim,
    .replicated = true,
    .write = write_claim,
    .read = read_claim,
    .discard = discard_claim,
};

void mf__redis_claim(mf_broker *broker, mf_claims_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &claim_operation);
}

bool mf__redis_read_lost(const mf_value *items, size_t at, size_t count, mf_lost_claim *out)
{
    const mf_value *place = &items[at], *code = &items[at + 1];

    if (place->type != MF_VALUE_INTEGER || place->integer < 1 || (uint64_t)place->integer > count ||
        code->type != MF_VALUE_INTEGER)
        return false;
    *out = (mf_lost_claim){
        .index = (size_t)place->integer - 1,
        .code = code->integer == LOST_GONE ? MF_EGONE : MF_ELATE,
    };
    return true;
}

/* renew */

/* A claim's mark is the steady time of its grant. What was claimed earlier has a lower fence. */
static uint64_t survived_fence(mf_redis *redis, mf_claim *const *claims, size_t count)
{
    uint64_t now_us = (uint64_t)mf_loop_now_us(redis->broker.loop), fence = 0;

    for (size_t i = 0; i < count; i++)
        if (claims[i]->fence > fence &&
            now_us - claims[i]->mark >= MF_CRASH_SURVIVAL_MS * UINT64_C(1000))
            fence = claims[i]->fence;
    return fence;
}

static void write_renew(mf_redis *redis, mf_request *head)
{
    const mf_renew_request *request = (const mf_renew_request *)head;
    const mf_session *session = request->session;
    mf_claim *const *claims = request->count > 0 ? request->lease->claims : NULL;

    mf__redis_keys(redis, head, session->node, session->token);
    write_owner_keys(redis, claims, request->count);
    mf__redis_session(redis, session);
    mf__redis_number(redis, session->lease_ms);
    mf__redis_text(redis, session->node);
    mf__redis_channel(redis);
    mf__redis_id_start(redis);
    mf__redis_number(redis, (int64_t)survived_fence(redis, claims, request->count));
    write_fences(redis, claims, request->count);
}

static void read_renew(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_renew_request *request = (mf_renew_request *)head;

    request->lost_count = 0;
    if (!mf__value_is_array(answer, 2) || answer->length % 2 != 0 ||
        answer->length > 2 * request->count + 2 || answer->items[0].type != MF_VALUE_INTEGER ||
        !mf__value_number(&answer->items[1], &request->held)) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    mf__reaper_look_in(redis, answer->items[0].integer);
    for (size_t i = 2; i + 1 < answer->length; i += 2)
        if (mf__redis_read_lost(answer->items, i, request->count,
                                &request->lost[request->lost_count]))
            request->lost_count++;
}

static const mf_operation renew_operation = {
    .what = "renew",
    .script = &mf__script_renew,
    .replicated = true,
    .write = write_renew,
    .read = read_renew,
};

void mf__redis_renew(mf_broker *broker, mf_renew_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &renew_operation);
}

/* release and done */

static void write_ending(mf_redis *redis, mf_request *head)
{
    const mf_claims_request *request = (const mf_claims_request *)head;
    const mf_session *session = request->session;

    mf__redis_keys(redis, head, session->node, session->token);
    write_owner_keys(redis, request->claims, request->count);
    mf__redis_session(redis, session);
    mf__redis_text(redis, session->node);
    mf__redis_channel(redis);
    mf__redis_id_start(redis);
    write_fences(redis, request->claims, request->count);
}

static void read_ending(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_claims_request *request = (mf_claims_request *)head;
    mf_lost_claim lost;

    if (!mf__value_is_array(answer, 0) || answer->length % 2 != 0) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    for (size_t i = 0; i < request->count; i++)
        request->claims[i]->result = MF_OK;
    for (size_t i = 0; i < answer->length; i += 2)
        if (mf__redis_read_lost(answer->items, i, request->count, &lost))
            request->claims[lost.index]->result = lost.code;
}

static const mf_operation release_operation = {
    .what = "release",
    .script = &mf__script_release,
    .ordered = true,
    .replicated = true,
    .write = write_ending,
    .read = read_ending,
};

static const mf_operation done_operation = {
    .what = "done",
    .script = &mf__script_done,
    .ordered = true,
    .replicated = true,
    .write = write_ending,
    .read = read_ending,
};

void mf__redis_release(mf_broker *broker, mf_claims_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &release_operation);
}

void mf__redis_done(mf_broker *broker, mf_claims_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &done_operation);
}
