/* Agents. */
#include "agent.h"

static void on_joined(void *arg)
{
    agent *a = arg;
    a->joined = true;
    poke(a->c);
}

static void on_link(void *arg, bool up, const mf_error *why)
{
    agent *a = arg;
    (void)why;
    if (up)
        a->ups++;
    else
        a->downs++;
    poke(a->c);
}

static void on_claimable(void *arg, const char *const *ids, size_t count)
{
    agent *a = arg;
    a->offered = realloc(a->offered, (a->offered_count + count) * sizeof(char *));
    for (size_t i = 0; i < count; i++)
        a->offered[a->offered_count++] = keep_text(a->c, "%s", ids[i]);
    poke(a->c);
}

static void ignore_ids(void *arg, const char *const *ids, size_t count)
{
    (void)arg;
    (void)ids;
    (void)count;
}

static void ignore(void *arg)
{
    (void)arg;
}

static void on_granted(void *arg, mf_claim *claim, int code)
{
    agent_claim *one = (agent_claim *)claim;
    one->grants++;
    one->granted = code;
    poke(((agent *)arg)->c);
}

static void on_ended(void *arg, mf_claim *claim, int code)
{
    agent_claim *one = (agent_claim *)claim;
    one->endings++;
    one->ended = code;
    poke(((agent *)arg)->c);
}

static void on_lost(void *arg, mf_claim *claim, mf_stop_reason reason)
{
    agent *a = arg;
    agent_claim *one = (agent_claim *)claim;
    one->lost = reason;
    one->lost_us = mf_loop_now_us(a->c->loop);
    poke(a->c);
}

static void on_expired(void *arg, mf_claim *claim, int64_t deadline_us)
{
    agent *a = arg;
    (void)deadline_us;
    ((agent_claim *)claim)->expired_us = mf_loop_now_us(a->c->loop);
    poke(a->c);
}

static void on_command(void *arg, const char *json, size_t length)
{
    agent *a = arg;
    size_t used = strlen(a->commands);
    snprintf(a->commands + used, sizeof a->commands - used, "%.*s ", (int)length, json);
    poke(a->c);
}

static void on_view(void *arg, const mf_node *nodes, size_t count)
{
    (void)arg;
    (void)nodes;
    (void)count;
}

static void on_failed(void *arg, const mf_error *why)
{
    agent *a = arg;
    a->failed = why->code;
    poke(a->c);
}

/* What is over, or was never granted, is not its any more. */
static bool on_holds(void *arg, const char *id)
{
    for (const agent_claim *one = ((agent *)arg)->claims; one != NULL; one = one->next)
        if (strcmp(one->claim.id, id) == 0 && one->granted >= MF_OK && one->endings == 0)
            return true;
    return false;
}

static void on_closed(void *arg)
{
    agent *a = arg;
    a->closed = true;
    poke(a->c);
}

static const mf_coordinator_events events = {
    .joined = on_joined,
    .link = on_link,
    .claimable = on_claimable,
    .taken = ignore_ids,
    .removed = ignore_ids,
    .reconciled = ignore,
    .granted = on_granted,
    .ended = on_ended,
    .lost = on_lost,
    .expired = on_expired,
    .command = on_command,
    .view = on_view,
    .failed = on_failed,
    .closed = on_closed,
    .holds = on_holds,
};

static bool is_closed(void *arg)
{
    return ((agent *)arg)->closed;
}

void agent_close(agent *a)
{
    if (a->coordinator == NULL)
        return;
    for (agent_claim *one = a->claims; one != NULL; one = one->next)
        if (one->granted == MF_OK && one->endings == 0 && a->failed == 0)
            mf__coordinator_end(a->coordinator, &one->claim, MF_RELEASE);
    for (agent_claim *one = a->claims; one != NULL; one = one->next)
        if (one->granted == MF_OK && a->failed == 0)
            await_ended(a, one);
    mf__coordinator_close(a->coordinator);
    wait_until(a->c, is_closed, a, REPLY_BOUND_MS);
    mf__coordinator_free(a->coordinator);
    a->coordinator = NULL;
    close_broker(a->c, a->broker);
    for (agent_claim *one = a->claims; one != NULL; one = one->next)
        free(one->claim.properties);
    free(a->offered);
}

static void close_at_end(void *arg)
{
    agent_close(arg);
}

agent *agent_open(contract *c, const char *url, const char *node, int lease_ms, bool takeover)
{
    agent *a = keep(c, sizeof *a);
    mf_coordinator_options options = {.node = node,
                                      .lease_ms = lease_ms,
                                      .stop_grace_ms = lease_ms / 4,
                                      .reconcile_interval_ms = 10000,
                                      .weight = 1,
                                      .takeover = takeover};
    mf_error error;

    a->c = c;
    a->broker = open_broker(c, url, false);
    if (mf__coordinator_open(&a->coordinator, a->broker, &options, &events, a, &error) != MF_OK)
        fail_msg("%s", error.text);
    at_end(c, close_at_end, a);
    return a;
}

agent *agent_joined(contract *c, const char *url, const char *node, int lease_ms)
{
    agent *a = agent_open(c, url, node, lease_ms, false);
    assert_true(await_joined(a, REPLY_BOUND_MS));
    return a;
}

agent_claim *agent_start_claim(agent *a, const char *id)
{
    agent_claim *one = keep(a->c, sizeof *one);
    one->claim.id = keep_text(a->c, "%s", id);
    one->granted = one->ended = 1;
    one->next = a->claims;
    a->claims = one;
    mf__coordinator_claim(a->coordinator, &one->claim);
    return one;
}

agent_claim *agent_claimed(agent *a, const char *id)
{
    agent_claim *one = agent_start_claim(a, id);
    assert_true(await_granted(a, one));
    assert_int_equal(one->granted, MF_OK);
    return one;
}

void agent_end(agent *a, agent_claim *claim, mf_outcome outcome)
{
    mf__coordinator_end(a->coordinator, &claim->claim, outcome);
}

/* Waiting. */

static bool is_granted(void *arg)
{
    return ((agent_claim *)arg)->grants != 0;
}

bool await_granted(agent *a, agent_claim *claim)
{
    return wait_until(a->c, is_granted, claim, REPLY_BOUND_MS);
}

static bool is_ended(void *arg)
{
    return ((agent_claim *)arg)->endings != 0;
}

bool await_ended(agent *a, agent_claim *claim)
{
    return wait_until(a->c, is_ended, claim, REPLY_BOUND_MS);
}

static bool is_lost(void *arg)
{
    return ((agent_claim *)arg)->lost != MF_STOP_NONE;
}

bool await_lost(agent *a, agent_claim *claim, int bound_ms)
{
    return wait_until(a->c, is_lost, claim, bound_ms);
}

static bool is_expired(void *arg)
{
    return ((agent_claim *)arg)->expired_us != 0;
}

bool await_expired(agent *a, agent_claim *claim, int bound_ms)
{
    return wait_until(a->c, is_expired, claim, bound_ms);
}

static bool has_failed(void *arg)
{
    return ((agent *)arg)->failed != 0;
}

bool await_failed(agent *a, int bound_ms)
{
    return wait_until(a->c, has_failed, a, bound_ms);
}

static bool has_joined(void *arg)
{
    return ((agent *)arg)->joined;
}

bool await_joined(agent *a, int bound_ms)
{
    return wait_until(a->c, has_joined, a, bound_ms);
}

typedef struct wanted {
    agent *a;
    const char *id;
    unsigned count;
} wanted;

static bool is_offered(void *arg)
{
    wanted *w = arg;
    for (size_t i = 0; i < w->a->offered_count; i++)
        if (strcmp(w->a->offered[i], w->id) == 0)
            return true;
    return false;
}

bool await_offered(agent *a, const char *id, int bound_ms)
{
    wanted w = {.a = a, .id = id};
    return wait_until(a->c, is_offered, &w, bound_ms);
}

static bool has_command(void *arg)
{
    wanted *w = arg;
    return strstr(w->a->commands, w->id) != NULL;
}

bool await_command(agent *a, const char *text, int bound_ms)
{
    wanted w = {.a = a, .id = keep_text(a->c, "%s ", text)};
    return wait_until(a->c, has_command, &w, bound_ms);
}

static bool has_ups(void *arg)
{
    wanted *w = arg;
    return w->a->ups >= w->count;
}

bool await_ups(agent *a, unsigned count)
{
    wanted w = {.a = a, .count = count};
    return wait_until(a->c, has_ups, &w, REPLY_BOUND_MS);
}
