/* Migration in the embedded broker: holds, what they leave, and the mark of a namespace. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embedded/space.h"

enum { max_page = 10000 };

/* A hold, or the note of a task that was dropped. */
struct mf_stored_hold {
    UT_hash_handle hh; /* by id */
    uint64_t order, fence;
    int64_t due_us; /* when the task may be claimed; 0: at once */
    mf_hold_stage stage;
    char migration[33];
    char id[];
};

static mf_stored_hold *find(mf_space *space, const char *id)
{
    mf_stored_hold *hold;
    HASH_FIND_STR(space->holds, id, hold);
    return hold;
}

static void forget(mf_space *space, mf_stored_hold *hold)
{
    HASH_DELETE(hh, space->holds, hold);
    free(hold);
}

void mf__space_clear_holds(mf_space *space)
{
    mf_stored_hold *hold, *next;
    HASH_ITER(hh, space->holds, hold, next)
    {
        forget(space, hold);
    }
}

/* For a task that nobody owns. A note of an earlier task of the id makes room. */
static mf_stored_hold *add(mf_space *space, const char *migration, const char *id)
{
    size_t length = strlen(id) + 1;
    mf_stored_hold *old = find(space, id);
    mf_stored_hold *hold = calloc(1, sizeof *hold + length);

    if (hold == NULL)
        return NULL;
    if (old != NULL)
        forget(space, old);
    memcpy(hold->id, id, length);
    snprintf(hold->migration, sizeof hold->migration, "%s", migration);
    hold->stage = MF_HOLD_HELD;
    hold->order = ++space->last_hold;
    HASH_ADD_STR(space->holds, id, hold);
    if (hold->hh.tbl == NULL) {
        free(hold);
        return NULL;
    }
    return hold;
}

static bool is_by(const mf_stored_hold *hold, const char *migration)
{
    return hold != NULL && strcmp(hold->migration, migration) == 0;
}

/* The hold that an item names, or the note of it. */
static mf_stored_hold *find_ours(mf_space *space, const mf_holds_request *request,
                                 const mf_hold *item)
{
    mf_stored_hold *hold = find(space, item->id);
    return is_by(hold, request->migration) && hold->fence == item->fence ? hold : NULL;
}

static int each(mf_space *space, mf_holds_request *request, int64_t now_us,
                int (*apply)(mf_space *space, mf_holds_request *request, mf_hold *item,
                             int64_t now_us))
{
    mf_stored_session *session;
    int code = mf__space_session(space, request->session, &session);

    for (size_t i = 0; code == MF_OK && i < request->count; i++)
        request->holds[i].result = apply(space, request, &request->holds[i], now_us);
    return mf__space_answer(&request->request, code);
}

/* hold */

static const char *copy_text(mf_holds_request *request, const char *text, int *code)
{
    if (text == NULL)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = mf__answer_alloc(&request->request, size);
    if (copy == NULL)
        *code = MF_ENOMEM;
    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

static int give_out(mf_holds_request *request, mf_hold *item, const mf_stored_task *task,
                    const mf_stored_hold *hold, int64_t now_us)
{
    int code = MF_OK;

    item->fence = hold->fence;
    item->properties = copy_text(request, task->properties, &code);
    item->state = copy_text(request, task->state, &code);
    item->message = copy_text(request, task->message != NULL ? task->message->json : NULL, &code);
    item->message_number = task->message != NULL ? task->message->number : 0;
    item->delay_us = hold->due_us > now_us ? hold->due_us - now_us : 0;
    item->crashes = task->crashes;
    item->set_aside = task->set_aside;
    return code;
}

static int hold_one(mf_space *space, mf_holds_request *request, mf_hold *item, int64_t now_us)
{
    mf_stored_task *task = mf__space_find(space, item->id);

    if (task == NULL)
        return MF_EGONE;
    if (task->owner != NULL || (task->held && !is_by(find(space, item->id), request->migration)))
        return MF_ETAKEN;
    if (!task->held) {
        mf_stored_hold *hold = add(space, request->migration, item->id);
        if (hold == NULL)
            return MF_ENOMEM;
        hold->due_us = task->delayed ? task->expires_us : 0;
        hold->fence = task->fence = mf__space_next_fence(space, now_us);
        mf__delays_remove(space, task);
        mf__roster_remove(&space->claimable, task);
        task->held = true;
        mf__space_announce(space, MF_NEWS_TAKEN, task->id);
    }
    return give_out(request, item, task, find(space, item->id), now_us);
}

int mf__space_take_holds(mf_space *space, mf_holds_request *request, int64_t now_us)
{
    return each(space, request, now_us, hold_one);
}

/* copy */

static int copy_orphan(mf_space *space, const mf_hold *item)
{
    mf_stored_task *task = mf__space_find_any(space, item->id);

    if (task != NULL && (!task->removed || task->state != NULL))
        return task->removed && strcmp(task->state, item->state) == 0 ? MF_OK : MF_EEXISTS;
    if (task == NULL) {
        int code = mf__space_add(space, item->id, NULL, &task);
        if (code != MF_OK)
            return code;
        task->removed = true;
        mf__roster_remove(&space->all, task);
    }
    return mf__space_set_state(space, task, item->state, strlen(item->state));
}

/* The task that the copy is stored in: an earlier copy, or a new one. */
static int find_place(mf_space *space, const mf_holds_request *request, const mf_hold *item,
                      mf_stored_task **task)
{
    mf_stored_hold *hold = find(space, item->id);
    int code = mf__space_add(space, item->id, NULL, task);

    if (code == MF_EEXISTS)
        return (*task)->held && is_by(hold, request->migration) ? MF_OK : MF_EEXISTS;
    if (code != MF_OK)
        return code;
    if ((*task)->waiting) {
        (*task)->removed = true;
        (*task)->waiting = false;
        mf__roster_remove(&space->all, *task);
        return MF_ETAKEN;
    }
    (*task)->held = true;
    return add(space, request->migration, item->id) != NULL ? MF_OK : MF_ENOMEM;
}

static int set_properties(mf_stored_task *task, const char *properties)
{
    char *copy = properties != NULL ? strdup(properties) : NULL;

    if (properties != NULL && copy == NULL)
        return MF_ENOMEM;
    free(task->properties);
    task->properties = copy;
    return MF_OK;
}

static int copy_one(mf_space *space, mf_holds_request *request, mf_hold *item, int64_t now_us)
{
    mf_stored_task *task;

    if (item->orphan)
        return copy_orphan(space, item);
    int code = find_place(space, request, item, &task);
    if (code != MF_OK)
        return code;
    mf_stored_hold *hold = find(space, item->id);
    hold->fence = task->fence = item->fence;
    hold->due_us = item->delay_us > 0 ? now_us + item->delay_us : 0;
    task->crashes = (uint16_t)item->crashes;
    task->set_aside = item->set_aside;
    if (space->last_fence < item->fence)
        space->last_fence = item->fence;
    mf__space_drop_state(space, task);
    mf__mail_drop(space, task);
    code = set_properties(task, item->properties);
    if (code == MF_OK && item->state != NULL)
        code = mf__space_set_state(space, task, item->state, strlen(item->state));
    if (code == MF_OK && item->message != NULL)
        code = mf__mail_store(space, task, item->message);
    return code;
}

int mf__space_copy(mf_space *space, mf_holds_request *request, int64_t now_us)
{
    return each(space, request, now_us, copy_one);
}

/* drop */

static int drop_orphan(mf_space *space, const mf_hold *item)
{
    mf_stored_task *task = mf__space_find_any(space, item->id);

    if (task == NULL)
        return MF_OK;
    if (!task->removed)
        return MF_EEXISTS;
    mf__space_drop_state(space, task);
    if (task->owner == NULL)
        mf__space_delete(space, task);
    return MF_OK;
}

static int drop_one(mf_space *space, mf_holds_request *request, mf_hold *item, int64_t now_us)
{
    mf_stored_task *task = mf__space_find(space, item->id);
    mf_stored_hold *hold = find_ours(space, request, item);

    (void)now_us;
    if (item->orphan)
        return drop_orphan(space, item);
    if (hold == NULL)
        return task != NULL ? MF_ELATE : MF_EGONE;
    if (hold->stage == MF_HOLD_DROPPED)
        return MF_OK;
    if (task->message != NULL && item->message_number != UINT64_MAX &&
        task->message->number != item->message_number)
        return MF_ESTALE;
    mf__space_drop_state(space, task);
    mf__space_delete(space, task);
    hold->stage = MF_HOLD_DROPPED;
    return MF_OK;
}

int mf__space_drop_held(mf_space *space, mf_holds_request *request)
{
    return each(space, request, 0, drop_one);
}

/* free */

static int free_one(mf_space *space, mf_holds_request *request, mf_hold *item, int64_t now_us)
{
    mf_stored_hold *hold = find_ours(space, request, item);

    if (hold == NULL)
        return MF_EGONE;
    mf_stored_task *task = hold->stage == MF_HOLD_HELD ? mf__space_find(space, item->id) : NULL;
    int64_t due_us = hold->due_us;
    forget(space, hold);
    if (task == NULL)
        return MF_OK;
    task->held = false;
    if (!task->set_aside)
        mf__space_publish(space, task, due_us - now_us, now_us);
    return MF_OK;
}

int mf__space_free_holds(mf_space *space, mf_holds_request *request, int64_t now_us)
{
    return each(space, request, now_us, free_one);
}

/* holds: the cursor is the order of the last one. */

static bool own_hold(mf_request *request, mf_hold *to, const mf_stored_hold *hold)
{
    size_t length = strlen(hold->id) + 1;
    char *text = mf__answer_alloc(request, length + sizeof hold->migration);

    if (text == NULL)
        return false;
    memcpy(text, hold->id, length);
    memcpy(text + length, hold->migration, sizeof hold->migration);
    *to = (mf_hold){
        .id = text, .fence = hold->fence, .stage = hold->stage, .migration = text + length};
    return true;
}

int mf__space_list_holds(mf_space *space, mf_holds_page_request *request)
{
    uint64_t after = strtoull(request->cursor, NULL, 10);
    size_t limit = request->limit == 0 ? 1 : request->limit;
    const mf_stored_hold *hold = space->holds;

    limit = limit > max_page ? max_page : limit;
    mf_hold *holds = mf__answer_alloc(&request->request, limit * sizeof *holds);
    if (holds == NULL)
        return mf__space_answer(&request->request, MF_ENOMEM);
    request->holds = holds;
    request->count = 0;
    for (; hold != NULL && request->count < limit; hold = hold->hh.next) {
        if (hold->order <= after)
            continue;
        if (!own_hold(&request->request, &holds[request->count++], hold))
            return mf__space_answer(&request->request, MF_ENOMEM);
        snprintf(request->cursor, sizeof request->cursor, "%" PRIu64, hold->order);
    }
    if (hold == NULL)
        request->cursor[0] = '\0';
    return mf__space_answer(&request->request, MF_OK);
}

/* The mark. */

bool mf__space_is_moving(const mf_space *space)
{
    return space->mark.phase >= MF_MARK_MOVING;
}

int mf__space_refuse_moved(mf_space *space, mf_request *request)
{
    return mf_error_set(&request->error, MF_EMOVED, "moved to %s", space->mark.url);
}

int mf__space_mark(mf_space *space, mf_mark_request *request)
{
    mf_stored_session *session;
    int code = mf__space_session(space, request->session, &session);
    bool under_way = space->mark.phase == MF_MARK_PART || space->mark.phase == MF_MARK_MOVING;

    if (code == MF_OK && under_way && strcmp(space->mark.migration, request->mark.migration) != 0)
        code = MF_EEXISTS;
    if (code == MF_OK && request->mark.phase == MF_MARK_NONE)
        space->mark = (mf_mark){.phase = MF_MARK_NONE};
    else if (code == MF_OK)
        space->mark = request->mark;
    request->mark = space->mark;
    return mf__space_answer(&request->request, code);
}

int mf__space_moved(mf_space *space, mf_mark_request *request)
{
    request->mark = space->mark;
    return mf__space_answer(&request->request, MF_OK);
}
