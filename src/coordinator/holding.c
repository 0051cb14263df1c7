/* Claims that the broker lists as the session's although this node knows nothing of them.
 *
 * A broker that was set back has forgotten releases and endings which it had acknowledged. Their
 * tasks run nowhere, and stay this session's for as long as its process lives. Each renewal tells
 * how many tasks the broker lists; when these are more than are held here, they are read, and those
 * that this node neither holds nor has asked for are released.
 *
 * That takes nothing from a handler. Requests of a session take effect in order: a claim of the
 * same task that is asked for after the release is granted anew, with a higher fence, and one that
 * was asked for before is known when the list comes. A release without an answer is not repeated,
 * for the task may have been claimed since; the next renewal counts again. */
#include <stdlib.h>
#include <string.h>

#include "coordinator/internal.h"

typedef struct mf__stray {
    mf_claim claim;
    struct mf__stray *next;
    char id[];
} stray;

static void free_all(stray **list)
{
    while (*list != NULL) {
        stray *s = *list;
        *list = s->next;
        free(s);
    }
}

void mf__holding_add(mf_coordinator *me, mf_claim *claim)
{
    me->held.count += !claim->counted;
    claim->counted = true;
}

void mf__holding_remove(mf_coordinator *me, mf_claim *claim)
{
    me->held.count -= claim->counted;
    claim->counted = false;
}

static void end_comparison(mf_coordinator *me)
{
    mf__holding *held = &me->held;

    free_all(&held->strays);
    free_all(&held->giving);
    held->comparing = false;
}

static void ask_page(mf_coordinator *me)
{
    me->in_flight++;
    me->broker->operations->held(me->broker, &me->held.list);
}

/* Up to a batch of the strays, without those that were asked for meanwhile. */
static size_t take_batch(mf_coordinator *me, mf_claim **claims)
{
    mf__holding *held = &me->held;
    size_t count = 0;

    while (held->strays != NULL && count < me->broker->max_batch) {
        stray *s = held->strays;
        held->strays = s->next;
        if (me->events->holds(me->arg, s->id)) {
            free(s);
            continue;
        }
        s->next = held->giving;
        held->giving = s;
        claims[count++] = &s->claim;
    }
    return count;
}

static bool give_back_some(mf_coordinator *me)
{
    mf__holding *held = &me->held;
    mf_claim **claims = held->strays != NULL ? calloc(me->broker->max_batch, sizeof *claims) : NULL;

    if (claims == NULL)
        return false;
    held->release.claims = claims;
    held->release.count = take_batch(me, claims);
    if (held->release.count == 0) {
        free(claims);
        return false;
    }
    me->in_flight++;
    me->broker->operations->release(me->broker, &held->release);
    return true;
}

/* After a page or a batch: what comes next. */
static void go_on(mf_coordinator *me)
{
    mf__holding *held = &me->held;

    if (!mf__session_is_joined(me)) {
        end_comparison(me);
    } else if (!give_back_some(me)) {
        if (held->list.cursor[0] != '\0') {
            ask_page(me);
            return;
        }
        if (held->found == 0)
            held->explained = held->surplus;
        else
            mf_log(me->loop, MF_LOG_WARN, "coordinator",
                   "gave back %zu tasks that the broker listed as held here and that were not; it "
                   "has lost what it had acknowledged",
                   held->found);
        end_comparison(me);
    }
}

static void came_back(mf_coordinator *me, const mf_error *error)
{
    me->in_flight--;
    if (error->code == MF_OK) {
        go_on(me);
    } else {
        if (mf_error_is_transient(error->code))
            mf__session_broken(me, error->code);
        else
            mf_log(me->loop, MF_LOG_ERROR, "coordinator", "cannot compare what is held: %s",
                   error->text);
        end_comparison(me);
    }
    mf__request_came_back(me);
}

static void on_given_back(mf_request *request)
{
    mf_coordinator *me = request->arg;
    mf__holding *held = &me->held;

    free(held->release.claims);
    free_all(&held->giving);
    if (request->error.code == MF_OK)
        held->found += held->release.count;
    came_back(me, &request->error);
}

static void add_stray(mf_coordinator *me, const mf_task_record *record)
{
    size_t length = strlen(record->id) + 1;
    stray *s = calloc(1, sizeof *s + length);

    if (s == NULL)
        return; /* the next renewal counts again */
    memcpy(s->id, record->id, length);
    s->claim.id = s->id;
    s->claim.fence = record->fence;
    s->next = me->held.strays;
    me->held.strays = s;
}

static void on_page(mf_request *request)
{
    mf_coordinator *me = request->arg;
    const mf_held_request *list = &me->held.list;

    if (request->error.code == MF_OK && mf__session_is_joined(me))
        for (size_t i = 0; i < list->count; i++)
            if (!me->events->holds(me->arg, list->records[i].id))
                add_stray(me, &list->records[i]);
    came_back(me, &request->error);
}

/* One that has just been made is let finish first. */
static bool is_recent(const mf_coordinator *me)
{
    return me->held.compared_us != 0 &&
           mf_loop_now_us(me->loop) - me->held.compared_us < me->lease_us / 3;
}

void mf__holding_compare(mf_coordinator *me, uint64_t listed)
{
    mf__holding *held = &me->held;

    if (listed == MF_HELD_UNKNOWN || me->broker->operations->held == NULL ||
        me->events->holds == NULL || held->comparing)
        return;
    if (listed <= held->count) {
        held->explained = 0; /* what is missing there, renewals tell */
        return;
    }
    held->surplus = listed - held->count;
    if (held->surplus == held->explained || is_recent(me) || !mf__session_is_joined(me))
        return;
    held->comparing = true;
    held->compared_us = mf_loop_now_us(me->loop);
    held->found = 0;
    held->list.cursor[0] = '\0';
    ask_page(me);
}

void mf__holding_start(mf_coordinator *me)
{
    mf__holding *held = &me->held;

    held->list.request = (mf_request){.done = on_page, .arg = me};
    held->list.session = &me->session;
    held->list.limit = me->broker->max_batch;
    held->release.request = (mf_request){.done = on_given_back, .arg = me};
    held->release.session = &me->session;
}
