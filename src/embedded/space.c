/* One namespace of the embedded broker: making and ending it, expiry, and news.
 */
#include "embedded/space.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static mf_stored_task *task_of(const mf__id_link *link)
{
    return link != NULL ? (mf_stored_task *)((char *)link - offsetof(mf_stored_task, link)) : NULL;
}

static const char *id_of(const mf__id_link *link)
{
    return task_of(link)->id;
}

void mf__space_init(mf_space *space, int64_t fence_offset_us)
{
    *space = (mf_space){.fence_offset_us = fence_offset_us, .due_us = INT64_MAX};
    mf__id_table_init(&space->tasks, id_of);
    mf__roster_init(&space->all, MF_ROSTER_ALL);
    mf__roster_init(&space->claimable, MF_ROSTER_CLAIMABLE);
    mf__roster_init(&space->stated, MF_ROSTER_STATED);
}

static void forget(mf_space *space, mf_stored_session *session)
{
    HASH_DELETE(hh, space->sessions, session);
    free(session->charged.ids);
    free(session);
}

static void clear_sessions(mf_space *space)
{
    mf_stored_session *session, *next;

    HASH_CLEAR(by_node, space->nodes);
    HASH_ITER(hh, space->sessions, session, next)
    {
        forget(space, session);
    }
}

static void clear_tasks(mf_space *space)
{
    mf__id_link *next;

    for (mf__id_link *link = mf__id_table_next(&space->tasks, NULL); link != NULL; link = next) {
        mf_stored_task *task = task_of(link);
        next = mf__id_table_next(&space->tasks, link);
        free(task->properties);
        free(task->state);
        free(task->message);
        free(task);
    }
    mf__id_table_clear(&space->tasks);
}

void mf__space_clear(mf_space *space)
{
    mf_remembered *remembered, *after;

    clear_tasks(space);
    HASH_ITER(hh, space->remembered, remembered, after)
    {
        HASH_DELETE(hh, space->remembered, remembered);
        free(remembered);
    }
    clear_sessions(space);
    mf__space_clear_holds(space);
    mf__space_clear_commands(space);
    mf__roster_clear(&space->all);
    mf__roster_clear(&space->claimable);
    mf__roster_clear(&space->stated);
    free(space->delays);
    for (int kind = 0; kind < MF_NEWS_KINDS; kind++)
        free(space->news[kind].ids);
}

mf_stored_task *mf__space_find_any(mf_space *space, const char *id)
{
    return task_of(mf__id_table_find(&space->tasks, id));
}

mf_stored_task *mf__space_find(mf_space *space, const char *id)
{
    mf_stored_task *task = mf__space_find_any(space, id);
    return task != NULL && !task->removed ? task : NULL;
}

static void lapse(mf_space *space, mf_stored_session *session, bool excused, int64_t now_us)
{
    HASH_DELETE(by_node, space->nodes, session);
    mf__space_touch(session);
    session->state = MF_SESSION_LAPSED;
    session->forget_us = now_us + MF_REMEMBER_US;
    session->excused = excused;
}

/* No session has been renewed in time: it was not possible. */
static bool was_away(const mf_space *space, int64_t now_us)
{
    const mf_stored_session *session = space->nodes;

    while (session != NULL && session->expires_us <= now_us)
        session = session->by_node.next;
    return session == NULL && HASH_CNT(by_node, space->nodes) > 1;
}

static void lapse_claims(mf_space *space, mf_stored_session *session, int64_t now_us)
{
    while (session->held != NULL && session->held->expires_us <= now_us)
        mf__space_bereave(space, session->held, now_us);
}

static int64_t earliest(const mf_stored_session *session, int64_t than_us)
{
    if (session->state == MF_SESSION_LIVE && session->expires_us < than_us)
        than_us = session->expires_us;
    if (session->held != NULL && session->held->expires_us < than_us)
        than_us = session->held->expires_us;
    return than_us;
}

void mf__space_reap(mf_space *space, int64_t now_us)
{
    mf_stored_session *session, *next;
    int64_t due;

    if (now_us < space->due_us)
        return;
    due = mf__delays_end(space, now_us);
    bool away = was_away(space, now_us);
    HASH_ITER(hh, space->sessions, session, next)
    {
        if (session->state == MF_SESSION_LIVE && session->expires_us <= now_us)
            lapse(space, session, away, now_us);
        lapse_claims(space, session, now_us);
        due = earliest(session, due);
        if (session->state != MF_SESSION_LIVE && session->held == NULL &&
            session->forget_us <= now_us) {
            forget(space, session);
        }
    }
    space->due_us = due;
}

int mf__id_list_add(mf_id_list *list, const char *id)
{
    size_t length = strlen(id) + 1;

    if (list->size - list->length < length) {
        size_t size = (list->size + length) * 2 + 256;
        char *ids = realloc(list->ids, size);
        if (ids == NULL)
            return MF_ENOMEM;
        list->ids = ids;
        list->size = size;
    }
    memcpy(list->ids + list->length, id, length);
    list->length += length;
    list->count++;
    return MF_OK;
}

void mf__space_announce(mf_space *space, mf_news_kind kind, const char *id)
{
    if (mf__id_list_add(&space->news[kind], id) != MF_OK)
        space->news_lost = true;
}

int mf__space_answer(mf_request *request, int code)
{
    if (code == MF_OK)
        request->error.code = MF_OK;
    else
        mf_error_set(&request->error, code, "%s", mf_strerror(code));
    return code;
}

/* A chain of blocks on the request. */
typedef struct answer_block {
    struct answer_block *next;
    max_align_t data[];
} answer_block;

void *mf__answer_alloc(mf_request *request, size_t size)
{
    answer_block *block = malloc(sizeof *block + size);
    if (block == NULL)
        return NULL;
    block->next = request->driver;
    request->driver = block;
    return block->data;
}

void mf__answer_free(mf_request *request)
{
    while (request->driver != NULL) {
        answer_block *block = request->driver;
        request->driver = block->next;
        free(block);
    }
}
