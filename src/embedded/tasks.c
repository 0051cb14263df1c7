/* Tasks of the embedded broker: submit and remove. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "embedded/space.h"

void mf__space_delete(mf_space *space, mf_stored_task *task)
{
    mf__space_drop(task);
    mf__delays_remove(space, task);
    mf__roster_remove(&space->claimable, task);
    mf__roster_remove(&space->all, task);
    mf__mail_drop(space, task);
    free(task->properties);
    task->properties = NULL;
    task->removed = true;
    task->waiting = task->set_aside = task->held = false;
    task->crashes = 0;
    if (task->state != NULL)
        return;
    mf__id_table_remove(&space->tasks, &task->link);
    free(task);
}

static mf_stored_task *new_task(const char *id, const char *properties)
{
    size_t length = strlen(id) + 1;
    mf_stored_task *task = calloc(1, offsetof(mf_stored_task, id) + length);
    if (task == NULL)
        return NULL;
    memcpy(task->id, id, length);
    for (int kind = 0; kind < MF_ROSTER_KINDS; kind++)
        task->place[kind] = MF_ROSTER_ABSENT;
    if (properties != NULL && (task->properties = strdup(properties)) == NULL) {
        free(task);
        return NULL;
    }
    return task;
}

void mf__space_publish(mf_space *space, mf_stored_task *task, int64_t delay_us, int64_t now_us)
{
    if (delay_us <= 0 ||
        mf__delays_add(space, task, now_us + delay_us) != MF_OK) /* rather now than never */
        mf__space_offer(space, task);
}

/* A new life for a removed task. It can be claimed when the claim on the old one is over, and not
 * before its own time. */
static int revive(mf_space *space, mf_stored_task *task, const char *properties)
{
    if (properties != NULL && (task->properties = strdup(properties)) == NULL)
        return MF_ENOMEM;
    task->removed = false;
    task->waiting = task->owner != NULL;
    mf__roster_add(&space->all, task);
    return MF_OK;
}

int mf__space_add(mf_space *space, const char *id, const char *properties, mf_stored_task **out)
{
    size_t count = space->tasks.count + 1;
    mf_stored_task *task = *out = mf__space_find_any(space, id);

    if (task != NULL && !task->removed)
        return MF_EEXISTS;
    if (mf__roster_reserve(&space->all, count) != MF_OK ||
        mf__roster_reserve(&space->claimable, count) != MF_OK)
        return MF_ENOMEM;
    if (task != NULL)
        return revive(space, task, properties);
    task = *out = new_task(id, properties);
    if (task == NULL)
        return MF_ENOMEM;
    if (mf__id_table_add(&space->tasks, &task->link) != MF_OK) {
        free(task->properties);
        free(task);
        return MF_ENOMEM;
    }
    mf__roster_add(&space->all, task);
    return MF_OK;
}

static int submit_one(mf_space *space, const mf_item *item, int64_t now_us)
{
    mf_stored_task *task;
    int code = mf__space_add(space, item->id, item->properties, &task);

    if (code != MF_OK)
        return code;
    task->delay_us = item->delay_us > 0 ? now_us + item->delay_us : 0;
    if (!task->waiting)
        mf__space_publish(space, task, item->delay_us, now_us);
    return MF_OK;
}

/* What a removed task leaves while its owner's handler may still run. */
static void keep_claim(mf_space *space, mf_stored_task *task)
{
    mf__mail_drop(space, task);
    mf__roster_remove(&space->all, task);
    free(task->properties);
    task->properties = NULL;
    task->removed = true;
    task->waiting = false;
}

static int remove_one(mf_space *space, const mf_item *item, int64_t now_us)
{
    (void)now_us;
    mf_stored_task *task = mf__space_find(space, item->id);
    if (task == NULL)
        return mf__space_is_moving(space) ? MF_EMOVED : MF_EGONE;
    if (task->held)
        return MF_EMOVED;
    mf__space_announce(space, MF_NEWS_REMOVED, task->id);
    if (task->owner != NULL)
        keep_claim(space, task);
    else
        mf__space_delete(space, task);
    return MF_OK;
}

/* Results of requests by token. */

static void forget_old(mf_space *space, int64_t now_us)
{
    while (space->remembered != NULL && space->remembered->forget_us <= now_us) {
        mf_remembered *oldest = space->remembered;
        HASH_DELETE(hh, space->remembered, oldest);
        free(oldest);
    }
}

static mf_remembered *remember(mf_space *space, const mf_items_request *request, int64_t now_us)
{
    size_t length = strlen(request->token) + 1;
    mf_remembered *me = malloc(sizeof *me + request->count + length);
    if (me == NULL)
        return NULL;
    me->forget_us = now_us + MF_REMEMBER_US;
    me->count = request->count;
    me->token = memcpy((char *)me->codes + request->count, request->token, length);
    HASH_ADD_KEYPTR(hh, space->remembered, me->token, length - 1, me);
    if (me->hh.tbl == NULL) {
        free(me);
        return NULL;
    }
    return me;
}

int mf__space_apply_once(mf_space *space, mf_items_request *request, int64_t now_us, bool stays,
                         int (*apply)(mf_space *space, const mf_item *item, int64_t now_us))
{
    mf_remembered *known;

    forget_old(space, now_us);
    HASH_FIND_STR(space->remembered, request->token, known);
    if (known != NULL && known->count != request->count)
        return mf_error_set(&request->request.error, MF_EINVAL,
                            "token: already used by a request of %zu items", known->count);
    if (known != NULL) {
        for (size_t i = 0; i < request->count; i++)
            request->items[i].result = known->codes[i];
        return mf__space_answer(&request->request, MF_OK);
    }
    if (stays && mf__space_is_moving(space))
        return mf__space_refuse_moved(space, &request->request);
    known = remember(space, request, now_us);
    if (known == NULL)
        return mf__space_answer(&request->request, MF_ENOMEM);
    for (size_t i = 0; i < request->count; i++) {
        request->items[i].result = apply(space, &request->items[i], now_us);
        known->codes[i] = (signed char)request->items[i].result;
    }
    return mf__space_answer(&request->request, MF_OK);
}

int mf__space_submit(mf_space *space, mf_items_request *request, int64_t now_us)
{
    return mf__space_apply_once(space, request, now_us, true, submit_one);
}

int mf__space_remove(mf_space *space, mf_items_request *request, int64_t now_us)
{
    return mf__space_apply_once(space, request, now_us, false, remove_one);
}
