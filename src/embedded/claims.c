/* Claims of the embedded broker: who owns which task, until when, with which
 * fence. */
#include <stdlib.h>
#include <string.h>

#include "embedded/space.h"

static void unlink_held(mf_stored_task *task)
{
    mf_stored_session *owner = task->owner;
    if (task->previous != NULL)
        task->previous->next = task->next;
    else
        owner->held = task->next;
    if (task->next != NULL)
        task->next->previous = task->previous;
    else
        owner->held_last = task->previous;
    owner->held_count--;
    mf__space_touch(owner);
    task->owner = NULL;
    task->next = task->previous = NULL;
}

/* Keeps the list in order of expiry. Nearly always that is the end: the clock
 * does not go back, and a session has one length of lease. */
static void link_held(mf_stored_session *session, mf_stored_task *task)
{
    mf_stored_task *before = session->held_last;
    while (before != NULL && before->expires_us > task->expires_us)
        before = before->previous;
    task->owner = session;
    task->previous = before;
    task->next = before != NULL ? before->next : session->held;
    if (task->previous != NULL)
        task->previous->next = task;
    else
        session->held = task;
    if (task->next != NULL)
        task->next->previous = task;
    else
        session->held_last = task;
    session->held_count++;
    mf__space_touch(session);
}

void mf__space_hold(mf_space *space, mf_stored_session *session, mf_stored_task *task,
                    int64_t expires_us)
{
    if (task->owner != NULL)
        unlink_held(task);
    task->expires_us = expires_us;
    link_held(session, task);
    if (expires_us < space->due_us)
        space->due_us = expires_us;
}

void mf__space_drop(mf_stored_task *task)
{
    if (task->owner != NULL)
        unlink_held(task);
}

void mf__space_offer(mf_space *space, mf_stored_task *task)
{
    mf__space_drop(task);
    if (task->removed) {
        mf__space_delete(space, task);
        return;
    }
    bool is_for_later = task->waiting && task->delay_us != 0;
    task->waiting = false;
    if (is_for_later && mf__delays_add(space, task, task->delay_us) == MF_OK)
        return;
    mf__roster_add(&space->claimable, task);
    mf__space_announce(space, MF_NEWS_CLAIMABLE, task->id);
}

void mf__space_give_back(mf_space *space, mf_stored_task *task)
{
    task->crashes = 0;
    mf__space_offer(space, task);
}

void mf__space_bereave(mf_space *space, mf_stored_task *task, int64_t now_us)
{
    unsigned crashes = task->crashes + 1u;
    mf_stored_session *owner = task->owner;

    if (task->removed || task->waiting || space->max_crashes == 0) {
        mf__space_give_back(space, task);
        return;
    }
    if (owner->excused) {
        mf__space_offer(space, task);
        return;
    }
    if (mf__id_list_add(&owner->charged, task->id) == MF_OK)
        owner->forget_us = now_us + MF_CRASH_PARDON_MS * INT64_C(1000);
    int64_t pause_us = mf_crash_pause_us(task->id, crashes);
    if (crashes >= (unsigned)space->max_crashes) {
        mf__space_drop(task);
        task->set_aside = true;
    } else if (pause_us > 0) {
        mf__space_drop(task);
        if (mf__delays_add(space, task, now_us + pause_us) != MF_OK)
            mf__space_offer(space, task);
    } else {
        mf__space_offer(space, task);
    }
    task->crashes = (uint16_t)crashes;
}

void mf__space_pardon(mf_space *space, mf_stored_session *session)
{
    const char *id = session->charged.ids;

    for (size_t i = 0; i < session->charged.count; i++, id += strlen(id) + 1) {
        mf_stored_task *task = mf__space_find(space, id);
        if (task == NULL || task->crashes == 0)
            continue; /* it survived since, or is gone */
        task->crashes--;
        if (!task->delayed && !task->set_aside)
            continue;
        mf__delays_remove(space, task);
        task->set_aside = false;
        mf__space_offer(space, task);
    }
    free(session->charged.ids);
    session->charged = (mf_id_list){0};
}

/* Fences are times of the claims, or later. */
void mf__space_survive(const mf_space *space, mf_stored_task *task, int64_t now_us)
{
    int64_t held_us = now_us + space->fence_offset_us - (int64_t)task->fence;

    if (task->crashes > 0 && held_us >= MF_CRASH_SURVIVAL_MS * INT64_C(1000))
        task->crashes = 0;
}

uint64_t mf__space_next_fence(mf_space *space, int64_t now_us)
{
    uint64_t clock = (uint64_t)(now_us + space->fence_offset_us);
    space->last_fence = clock > space->last_fence ? clock : space->last_fence + 1;
    return space->last_fence;
}

static int claim_one(mf_space *space, mf_stored_session *session, mf_claim *claim, int64_t now_us,
                     int64_t expires_us)
{
    mf_stored_task *task = mf__space_find(space, claim->id);
    if (task == NULL)
        return MF_EGONE;
    if (task->owner != NULL ? task->owner != session || task->waiting
                            : task->delayed || task->set_aside || task->held)
        return MF_ETAKEN;
    char *properties = NULL;
    if (task->properties != NULL && (properties = strdup(task->properties)) == NULL)
        return MF_ENOMEM;
    if (task->owner == NULL) {
        task->fence = mf__space_next_fence(space, now_us);
        mf__roster_remove(&space->claimable, task);
        mf__space_announce(space, MF_NEWS_TAKEN, task->id);
    }
    mf__space_hold(space, session, task, expires_us);
    mf__mail_move_up(space, task);
    claim->properties = properties;
    claim->fence = task->fence;
    return MF_OK;
}

int mf__space_claim(mf_space *space, mf_claims_request *request, int64_t now_us)
{
    int64_t expires_us = now_us + request->session->lease_ms * 1000;
    mf_stored_session *session;
    int code = mf__space_session(space, request->session, &session);

    for (size_t i = 0; code == MF_OK && i < request->count; i++) {
        mf_claim *claim = request->claims[i];
        claim->result = claim_one(space, session, claim, now_us, expires_us);
    }
    return mf__space_answer(&request->request, code);
}

int mf__space_owned(mf_space *space, const mf_stored_session *session, const mf_claim *claim,
                    mf_stored_task **out)
{
    mf_stored_task *task = *out = mf__space_find_any(space, claim->id);

    if (task == NULL)
        return MF_EGONE;
    bool is_owner = task->owner == session && task->fence == claim->fence;
    if (task->removed || (is_owner && task->waiting)) {
        *out = is_owner ? task : NULL;
        return MF_EGONE;
    }
    return is_owner ? MF_OK : MF_ELATE;
}

int mf__space_release(mf_space *space, mf_claims_request *request)
{
    mf_stored_session *session;
    int code = mf__space_session(space, request->session, &session);

    for (size_t i = 0; code == MF_OK && i < request->count; i++) {
        mf_claim *claim = request->claims[i];
        mf_stored_task *task;
        claim->result = mf__space_owned(space, session, claim, &task);
        if (claim->result == MF_OK || (claim->result == MF_EGONE && task != NULL))
            mf__space_give_back(space, task);
    }
    return mf__space_answer(&request->request, code);
}

int mf__space_done(mf_space *space, mf_claims_request *request)
{
    mf_stored_session *session;
    int code = mf__space_session(space, request->session, &session);

    for (size_t i = 0; code == MF_OK && i < request->count; i++) {
        mf_claim *claim = request->claims[i];
        mf_stored_task *task;
        claim->result = mf__space_owned(space, session, claim, &task);
        if (claim->result == MF_OK)
            mf__space_delete(space, task);
        else if (claim->result == MF_EGONE && task != NULL)
            mf__space_give_back(space, task);
    }
    return mf__space_answer(&request->request, code);
}
