/* A coordinator alone, over a scripted broker in virtual time. */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void on_joined(void *arg)
{
    ((stage *)arg)->joins++;
}

static void on_link(void *arg, bool up, const mf_error *why)
{
    stage *s = arg;
    (void)why;
    *(up ? &s->ups : &s->downs) += 1;
}

static void ignore_ids(void *arg, const char *const *ids, size_t count)
{
    (void)arg;
    (void)ids;
    (void)count;
}

static void on_listing(void *arg)
{
    ((stage *)arg)->listed = 0;
}

static void on_listed(void *arg, const char *const *ids, size_t count)
{
    (void)ids;
    ((stage *)arg)->listed += count;
}

static void on_reconciled(void *arg)
{
    ((stage *)arg)->reconciles++;
}

static void on_granted(void *arg, mf_claim *claim, int code)
{
    actor *a = (actor *)claim;
    a->grants++;
    a->granted = code;
    a->granted_us = stage_now_us(arg);
}

static void on_ended(void *arg, mf_claim *claim, int code)
{
    actor *a = (actor *)claim;
    (void)arg;
    a->endings++;
    a->ended = code;
}

static void on_lost(void *arg, mf_claim *claim, mf_stop_reason reason)
{
    stage *s = arg;
    actor *a = (actor *)claim;
    a->stops++;
    a->stop = reason;
    a->stopped_us = stage_now_us(s);
    if (s->ends_when_stopped)
        mf__coordinator_end(s->coordinator, claim, MF_DONE);
}

static void on_expired(void *arg, mf_claim *claim, int64_t deadline_us)
{
    actor *a = (actor *)claim;
    a->expiries++;
    a->expired_us = deadline_us;
    a->expired_at_us = stage_now_us(arg);
}

static void on_command(void *arg, const char *json, size_t length)
{
    stage *s = arg;
    size_t used = strlen(s->commands);
    snprintf(s->commands + used, sizeof s->commands - used, "%.*s ", (int)length, json);
}

static void on_mail(void *arg, const char *id, uint64_t number, const char *json, size_t length)
{
    stage *s = arg;
    size_t used = strlen(s->mail);
    snprintf(s->mail + used, sizeof s->mail - used, "%s:%d:%.*s ", id, (int)number, (int)length,
             json);
}

static void on_view(void *arg, const mf_node *nodes, size_t count)
{
    (void)nodes;
    (void)count;
    ((stage *)arg)->views++;
}

static void on_unconfirmed(void *arg)
{
    ((stage *)arg)->unconfirmed++;
}

static void on_failed(void *arg, const mf_error *why)
{
    ((stage *)arg)->failed = why->code;
}

static void on_closed(void *arg)
{
    ((stage *)arg)->closed = true;
}

static const mf_coordinator_events events = {
    .joined = on_joined,
    .link = on_link,
    .claimable = ignore_ids,
    .listing = on_listing,
    .listed = on_listed,
    .taken = ignore_ids,
    .removed = ignore_ids,
    .reconciled = on_reconciled,
    .granted = on_granted,
    .ended = on_ended,
    .lost = on_lost,
    .expired = on_expired,
    .command = on_command,
    .mail = on_mail,
    .view = on_view,
    .unconfirmed = on_unconfirmed,
    .failed = on_failed,
    .closed = on_closed,
};

static void count_line(mf_log_level level, const char *subsystem, const char *text, void *arg)
{
    (void)level;
    (void)subsystem;
    (void)text;
    ((stage *)arg)->lines++;
}

int64_t stage_margin_us(const stage *s)
{
    return s->options.lease_ms * 20 + 5000;
}

stage *stage_new(size_t actors)
{
    stage *s = calloc(1, sizeof *s);

    s->world = virtual_world_new(11);
    s->loop = virtual_loop_new(s->world, 1.0);
    mf_loop_set_log(s->loop, count_line, s, MF_LOG_WARN);
    s->broker = script_new(s->loop);
    s->actors = calloc(actors, sizeof *s->actors);
    s->actor_count = actors;
    for (size_t i = 0; i < actors; i++) {
        snprintf(s->actors[i].id, sizeof s->actors[i].id, "task-%zu", i);
        s->actors[i].claim.id = s->actors[i].id;
    }
    s->options = (mf_coordinator_options){.node = "a",
                                          .lease_ms = STAGE_LEASE_MS,
                                          .stop_grace_ms = STAGE_GRACE_MS,
                                          .reconcile_interval_ms = 10000,
                                          .weight = 1};
    return s;
}

void stage_open(stage *s)
{
    assert_int_equal(
        mf__coordinator_open(&s->coordinator, &s->broker->broker, &s->options, &events, s, NULL),
        MF_OK);
    script_link(s->broker, true);
}

stage *stage_joined(size_t actors)
{
    stage *s = stage_new(actors);

    stage_open(s);
    stage_run_ms(s, 1);
    assert_int_equal(s->joins, 1);
    return s;
}

static void answer_all(stage *s)
{
    memset(s->broker->rules, 0, sizeof s->broker->rules);
    for (int kind = 0; kind < SCRIPT_KINDS; kind++)
        while (script_first(s->broker, (script_kind)kind) != NULL)
            script_answer(s->broker, (script_kind)kind, MF_OK);
}

void stage_free(stage *s)
{
    if (s->coordinator != NULL) {
        stage_close(s);
        while (!s->closed) {
            answer_all(s);
            stage_run_ms(s, 1);
        }
        mf__coordinator_free(s->coordinator);
    }
    script_free(s->broker);
    mf_loop_free(s->loop);
    virtual_world_free(s->world);
    free(s->actors);
    free(s);
}

void stage_claim(stage *s, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        mf__coordinator_claim(s->coordinator, &s->actors[i].claim);
}

void stage_hold(stage *s, size_t first, size_t count)
{
    stage_claim(s, first, count);
    for (size_t i = first; i < first + count; i++)
        while (s->actors[i].grants == 0)
            stage_run_ms(s, 1);
}

void stage_end(stage *s, size_t index, mf_outcome outcome)
{
    mf__coordinator_end(s->coordinator, &s->actors[index].claim, outcome);
}

void stage_close(stage *s)
{
    mf__coordinator_close(s->coordinator);
}

void stage_run_us(stage *s, int64_t us)
{
    virtual_world_run_for(s->world, us);
}

void stage_run_ms(stage *s, int64_t ms)
{
    stage_run_us(s, ms * 1000);
}

int64_t stage_now_us(const stage *s)
{
    return mf_loop_now_us(s->loop);
}

int stage_stops(const stage *s)
{
    int count = 0;
    for (size_t i = 0; i < s->actor_count; i++)
        count += s->actors[i].stops;
    return count;
}

int stage_expiries(const stage *s)
{
    int count = 0;
    for (size_t i = 0; i < s->actor_count; i++)
        count += s->actors[i].expiries;
    return count;
}
