/* Listings of the embedded broker: pages of tasks, and single ones. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "embedded/space.h"

enum { max_page = 10000 };

static void fill_record(mf_task_record *record, const mf_stored_task *task)
{
    *record = (mf_task_record){.id = task->id,
                               .properties = task->properties,
                               .crashes = task->crashes,
                               .set_aside = task->set_aside};
    if (task->held) {
        record->owner = MF_HOLD_NODE;
        record->fence = task->fence;
    } else if (task->owner != NULL && !task->waiting) {
        record->owner = task->owner->node;
        record->fence = task->fence;
    }
}

static size_t text_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static const char *move_text(char **to, const char *text)
{
    if (text == NULL)
        return NULL;
    char *copy = *to;
    *to = stpcpy(copy, text) + 1;
    return copy;
}

/* The records point into the space; gives them copies of their own, since
 * another thread may change the space before they are read. */
static int own_records(mf_request *request, mf_task_record *records, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += text_size(records[i].id) + text_size(records[i].properties) +
                text_size(records[i].owner);
    char *text = mf__answer_alloc(request, size);
    if (text == NULL)
        return MF_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        records[i].id = move_text(&text, records[i].id);
        records[i].properties = move_text(&text, records[i].properties);
        records[i].owner = move_text(&text, records[i].owner);
    }
    return MF_OK;
}

/* Up to `limit` tasks after order `after`, not beyond `end`, which was the last
 * when the listing began: a listing ends, and shows no task twice, however many
 * come behind it. Returns the order from which to go on, 0 when there is no
 * more. */
static uint64_t pick(const mf_roster *roster, uint64_t after, uint64_t end, size_t limit,
                     mf_task_record *records, size_t *count)
{
    for (size_t i = mf__roster_after(roster, after); i < roster->count; i++) {
        const mf_roster_entry *entry = &roster->entries[i];
        if (entry->order > end)
            break;
        if (entry->task == NULL)
            continue;
        if (*count == limit)
            return after;
        fill_record(&records[(*count)++], entry->task);
        after = entry->order;
    }
    return 0;
}

static int list(const mf_roster *roster, mf_page_request *request, bool whole)
{
    uint64_t after = 0, end = roster->last_order;
    size_t limit = request->limit, count = 0;

    if (request->cursor[0] != 0 &&
        sscanf(request->cursor, "%" SCNu64 "-%" SCNu64, &after, &end) != 2)
        return mf_error_set(&request->request.error, MF_EINVAL, "cursor: not one of this driver");
    if (limit == 0 || limit > max_page)
        limit = limit == 0 ? 1 : max_page;
    mf_task_record *records = mf__answer_alloc(&request->request, limit * sizeof *records);
    if (records == NULL)
        return mf__space_answer(&request->request, MF_ENOMEM);
    after = pick(roster, after, end, limit, records, &count);
    for (size_t i = 0; !whole && i < count; i++)
        records[i] = (mf_task_record){.id = records[i].id};
    if (own_records(&request->request, records, count) != MF_OK)
        return mf__space_answer(&request->request, MF_ENOMEM);
    request->cursor[0] = 0;
    if (after != 0)
        snprintf(request->cursor, sizeof request->cursor, "%" PRIu64 "-%" PRIu64, after, end);
    request->records = records;
    request->count = count;
    return mf__space_answer(&request->request, MF_OK);
}

int mf__space_list_claimable(mf_space *space, mf_page_request *request)
{
    request->total = space->claimable.count - space->claimable.holes;
    return list(&space->claimable, request, false);
}

int mf__space_list_tasks(mf_space *space, mf_page_request *request)
{
    return list(&space->all, request, true);
}

/* All on one page: nothing of it was ever lost here, so that this is hardly ever asked for. */
int mf__space_list_held(mf_space *space, mf_held_request *request)
{
    mf_stored_session *session;
    size_t count = 0;
    int code = mf__space_session(space, request->session, &session);

    if (code != MF_OK)
        return mf__space_answer(&request->request, code);
    mf_task_record *records =
        mf__answer_alloc(&request->request, session->held_count * sizeof *records);
    if (records == NULL)
        return mf__space_answer(&request->request, MF_ENOMEM);
    for (const mf_stored_task *task = session->held; task != NULL; task = task->next)
        records[count++] = (mf_task_record){.id = task->id, .fence = task->fence};
    if (own_records(&request->request, records, count) != MF_OK)
        return mf__space_answer(&request->request, MF_ENOMEM);
    request->cursor[0] = 0;
    request->records = records;
    request->count = count;
    return mf__space_answer(&request->request, MF_OK);
}

int mf__space_lookup(mf_space *space, mf_lookup_request *request)
{
    size_t count = request->id_count;
    mf_task_record *records = mf__answer_alloc(&request->request, count * sizeof *records);

    if (records == NULL)
        return mf__space_answer(&request->request, MF_ENOMEM);
    for (size_t i = 0; i < count; i++) {
        const mf_stored_task *task = mf__space_find(space, request->ids[i]);
        if (task != NULL)
            fill_record(&records[i], task);
        else
            records[i] = (mf_task_record){.id = request->ids[i], .code = MF_EGONE};
    }
    if (own_records(&request->request, records, count) != MF_OK)
        return mf__space_answer(&request->request, MF_ENOMEM);
    request->records = records;
    return mf__space_answer(&request->request, MF_OK);
}
