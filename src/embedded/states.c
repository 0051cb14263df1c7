/* States of tasks of the embedded broker. They outlive their tasks. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embedded/space.h"

enum { max_page = 10000 };

/* Copies of the states, for another thread may change them before they are read. */
static int own_documents(mf_request *request, mf_document *documents, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += strlen(documents[i].id) + 1 + documents[i].length + 1;
    char *text = mf__answer_alloc(request, size);
    if (text == NULL)
        return MF_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        mf_document *d = &documents[i];
        char *id = text;
        text = stpcpy(id, d->id) + 1;
        d->id = id;
        if (d->json != NULL)
            d->json = memcpy(text, d->json, d->length + 1);
        text += d->json != NULL ? d->length + 1 : 0;
    }
    return MF_OK;
}

static mf_document document_of(const char *id, const mf_stored_task *task)
{
    const char *json = task != NULL ? task->state : NULL;
    return (mf_document){.id = id, .json = json, .length = json != NULL ? strlen(json) : 0};
}

int mf__space_load(mf_space *space, mf_load_request *request)
{
    mf_document *documents =
        mf__answer_alloc(&request->request, request->id_count * sizeof *documents);

    if (documents == NULL)
        return mf__space_answer(&request->request, MF_ENOMEM);
    for (size_t i = 0; i < request->id_count; i++)
        documents[i] = document_of(request->ids[i], mf__space_find_any(space, request->ids[i]));
    request->documents = documents;
    return mf__space_answer(&request->request,
                            own_documents(&request->request, documents, request->id_count));
}

int mf__space_set_state(mf_space *space, mf_stored_task *task, const char *json, size_t length)
{
    char *copy = strndup(json, length);
    if (copy == NULL || mf__roster_reserve(&space->stated, space->tasks.count) != MF_OK) {
        free(copy);
        return MF_ENOMEM;
    }
    if (task->state == NULL)
        mf__roster_add(&space->stated, task);
    free(task->state);
    task->state = copy;
    return MF_OK;
}

static int store_one(mf_space *space, const mf_stored_session *session, const mf_write *write)
{
    mf_stored_task *task;
    mf_claim claim = {.id = write->id, .fence = write->fence};
    int code = mf__space_owned(space, session, &claim, &task);

    if (code == MF_OK && write->json != NULL)
        code = mf__space_set_state(space, task, write->json, write->length);
    if (code == MF_OK && task->message != NULL && task->message->number <= write->acknowledged)
        mf__mail_drop(space, task);
    return code;
}

int mf__space_store(mf_space *space, mf_store_request *request)
{
    mf_stored_session *session;
    int code = mf__space_session(space, request->session, &session);

    for (size_t i = 0; code == MF_OK && i < request->count; i++)
        request->writes[i].result = store_one(space, session, &request->writes[i]);
    return mf__space_answer(&request->request, code);
}

/* Forgetting. */

static bool has_history(const mf_stored_task *task)
{
    return task->state != NULL || task->message != NULL || task->crashes > 0 || task->set_aside;
}

void mf__space_drop_state(mf_space *space, mf_stored_task *task)
{
    mf__roster_remove(&space->stated, task);
    free(task->state);
    task->state = NULL;
}

static int forget_one(mf_space *space, const mf_item *item, int64_t now_us)
{
    mf_stored_task *task = mf__space_find_any(space, item->id);

    (void)now_us;
    if (task != NULL && task->held)
        return MF_EMOVED;
    if (task == NULL || (task->removed && !has_history(task)))
        return mf__space_is_moving(space) ? MF_EMOVED : MF_EGONE;
    if (task->owner != NULL && !task->removed && !task->waiting)
        return MF_ETAKEN;
    mf__space_drop_state(space, task);
    mf__mail_drop(space, task);
    task->crashes = 0;
    if (task->removed && task->owner == NULL) {
        mf__space_delete(space, task);
    } else if (task->set_aside) {
        task->set_aside = false;
        mf__space_offer(space, task);
    }
    return MF_OK;
}

int mf__space_forget(mf_space *space, mf_items_request *request, int64_t now_us)
{
    return mf__space_apply_once(space, request, now_us, false, forget_one);
}

/* Listing, as tasks are listed (listing.c). */

static uint64_t pick(const mf_roster *roster, uint64_t after, uint64_t end, size_t limit,
                     mf_document *documents, size_t *count)
{
    for (size_t i = mf__roster_after(roster, after); i < roster->count; i++) {
        const mf_roster_entry *entry = &roster->entries[i];
        if (entry->order > end)
            break;
        if (entry->task == NULL)
            continue;
        if (*count == limit)
            return after;
        documents[(*count)++] = document_of(entry->task->id, entry->task);
        after = entry->order;
    }
    return 0;
}

int mf__space_list_states(mf_space *space, mf_states_request *request)
{
    const mf_roster *roster = &space->stated;
    uint64_t after = 0, end = roster->last_order;
    size_t limit = request->limit == 0 ? 1 : request->limit;

    if (request->cursor[0] != 0 &&
        sscanf(request->cursor, "%" SCNu64 "-%" SCNu64, &after, &end) != 2)
        return mf_error_set(&request->request.error, MF_EINVAL, "cursor: not one of this driver");
    limit = limit > max_page ? max_page : limit;
    mf_document *documents = mf__answer_alloc(&request->request, limit * sizeof *documents);
    request->count = 0;
    if (documents == NULL)
        return mf__space_answer(&request->request, MF_ENOMEM);
    after = pick(roster, after, end, limit, documents, &request->count);
    request->cursor[0] = 0;
    if (after != 0)
        snprintf(request->cursor, sizeof request->cursor, "%" PRIu64 "-%" PRIu64, after, end);
    request->documents = documents;
    return mf__space_answer(&request->request,
                            own_documents(&request->request, documents, request->count));
}
