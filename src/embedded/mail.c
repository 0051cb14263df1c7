/* Messages to tasks of the embedded broker: the last one of each task, in one order of places. */
#include <stdlib.h>
#include <string.h>

#include "embedded/space.h"

static void unlink_message(mf_space *space, mf_stored_message *message)
{
    if (message->previous != NULL)
        message->previous->next = message->next;
    else
        space->messages = message->next;
    if (message->next != NULL)
        message->next->previous = message->previous;
    else
        space->last_message = message->previous;
}

static void append(mf_space *space, mf_stored_message *message)
{
    message->place = ++space->last_message_place;
    message->next = NULL;
    message->previous = space->last_message;
    if (message->previous != NULL)
        message->previous->next = message;
    else
        space->messages = message;
    space->last_message = message;
}

void mf__mail_drop(mf_space *space, mf_stored_task *task)
{
    if (task->message == NULL)
        return;
    unlink_message(space, task->message);
    free(task->message);
    task->message = NULL;
}

void mf__mail_move_up(mf_space *space, mf_stored_task *task)
{
    if (task->message == NULL)
        return;
    unlink_message(space, task->message);
    append(space, task->message);
    mf__space_announce(space, MF_NEWS_MAIL, task->owner->node);
}

int mf__mail_store(mf_space *space, mf_stored_task *task, const char *json)
{
    size_t length = strlen(json);
    mf_stored_message *message = malloc(sizeof *message + length + 1);
    if (message == NULL)
        return MF_ENOMEM;
    mf__mail_drop(space, task);
    *message = (mf_stored_message){.task = task, .length = length};
    memcpy(message->json, json, length + 1);
    append(space, message);
    message->number = message->place;
    task->message = message;
    return MF_OK;
}

static int tell_one(mf_space *space, const mf_item *item, int64_t now_us)
{
    mf_stored_task *task = mf__space_find(space, item->id);

    (void)now_us;
    if (task == NULL)
        return MF_EGONE;
    if (mf__mail_store(space, task, item->properties) != MF_OK)
        return MF_ENOMEM;
    if (task->owner != NULL && !task->waiting)
        mf__space_announce(space, MF_NEWS_MAIL, task->owner->node);
    return MF_OK;
}

int mf__space_tell(mf_space *space, mf_items_request *request, int64_t now_us)
{
    return mf__space_apply_once(space, request, now_us, true, tell_one);
}

/* The first message behind the place; new ones are few, so it is looked for from the end. */
static mf_stored_message *first_after(mf_space *space, uint64_t place)
{
    mf_stored_message *first = NULL;

    for (mf_stored_message *m = space->last_message; m != NULL && m->place > place; m = m->previous)
        first = m;
    return first;
}

static bool is_for(const mf_stored_message *message, const mf_stored_session *session)
{
    return message->task->owner == session && !message->task->waiting;
}

static int copy_mail(mf_mail_request *request, const mf_stored_session *session,
                     mf_stored_message *first)
{
    mf_stored_message *end = first;
    size_t count = 0, size = 0;

    for (; end != NULL && count < request->limit; end = end->next) {
        if (is_for(end, session)) {
            count++;
            size += end->length + strlen(end->task->id) + 2;
        }
        request->after = end->place;
    }
    request->more = end != NULL;
    mf_mail *mail = mf__answer_alloc(&request->request, count * sizeof *mail + size);
    if (mail == NULL)
        return MF_ENOMEM;
    char *text = (char *)(mail + count);
    request->mail = mail;
    for (mf_stored_message *m = first; m != end; m = m->next) {
        if (!is_for(m, session))
            continue;
        char *json = stpcpy(text, m->task->id) + 1;
        *mail++ = (mf_mail){.id = text, .number = m->number, .json = json, .length = m->length};
        text = (char *)mempcpy(json, m->json, m->length + 1);
        request->count++;
    }
    return MF_OK;
}

int mf__space_mail(mf_space *space, mf_mail_request *request)
{
    mf_stored_session *session;
    int code = mf__space_session(space, request->session, &session);

    request->count = 0;
    request->more = false;
    if (code == MF_OK)
        code = copy_mail(request, session, first_after(space, request->after));
    return mf__space_answer(&request->request, code);
}
