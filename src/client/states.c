/* States of tasks: all of them page by page, or by id. */
#include "client/internal.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_STATES = 1000, SHOWN_STATES = 64 /* to the user at a time */ };

typedef struct states_call {
    mf_call call;
    mf_work work;
    mf_states_fn fn;
    void *arg;
    unsigned codes;              /* 0: all */
    char cursor[MF_CURSOR_SIZE]; /* of the page that is asked for, again if need be */
    const char **ids;
    size_t count, position;
} states_call;

static mf_state_record record_of(const mf_document *document, mf_state *state)
{
    mf_state_record record = {.id = document->id, .json = document->json, .code = MF_EGONE};

    if (document->json == NULL)
        return record;
    bool good = mf_state_parse(state, document->json, document->length, NULL) == MF_OK;
    record.state = good ? state : NULL;
    record.code = good ? MF_OK : MF_EDAMAGED;
    return record;
}

static bool is_wanted(const states_call *me, const mf_state_record *record)
{
    return me->codes == 0 ||
           (record->state != NULL && (me->codes & 1u << record->state->code) != 0);
}

/* `last`: nothing comes after these. */
static void show_some(const states_call *me, const mf_document *documents, size_t count, bool last)
{
    mf_state_record records[SHOWN_STATES];
    mf_state states[SHOWN_STATES] = {0};
    size_t shown = 0;

    for (size_t i = 0; i < count; i++) {
        records[shown] = record_of(&documents[i], &states[i]);
        shown += is_wanted(me, &records[shown]);
    }
    if (me->fn != NULL && (shown > 0 || last))
        me->fn(NULL, records, shown, last, me->arg);
    for (size_t i = 0; i < count; i++)
        mf_state_clear(&states[i]);
}

static void show(const states_call *me, const mf_document *documents, size_t count, bool last)
{
    while (count > SHOWN_STATES) {
        show_some(me, documents, SHOWN_STATES, false);
        documents += SHOWN_STATES;
        count -= SHOWN_STATES;
    }
    show_some(me, documents, count, last);
}

/* All. */

static void send_page(mf_broker *broker, mf_work *work)
{
    const states_call *me = (const states_call *)work->call;
    mf_states_request *request = &work->request.states;

    request->limit = PAGE_STATES;
    memcpy(request->cursor, me->cursor, sizeof request->cursor);
    broker->operations->states(broker, request);
}

static bool page_answered(mf_work *work)
{
    states_call *me = (states_call *)work->call;
    const mf_states_request *request = &work->request.states;
    bool last = request->cursor[0] == '\0';

    memcpy(me->cursor, request->cursor, sizeof me->cursor);
    show(me, request->documents, request->count, last);
    return !last;
}

static void finish(mf_call *call, const mf_error *error)
{
    const states_call *me = (const states_call *)call;

    if ((error != NULL || call->work_count == 0) && me->fn != NULL)
        me->fn(error, NULL, 0, true, me->arg);
}

static const mf_call_kind page_kind = {
    .send = send_page,
    .answered = page_answered,
    .finish = finish,
};

int mf_client_states(mf_client *client, unsigned codes, mf_states_fn fn, void *arg, mf_error *error)
{
    int code = mf__client_needs_states(client, error);

    if (code != MF_OK)
        return code;
    states_call *me = calloc(1, sizeof *me);
    if (me == NULL)
        return mf__client_no_memory(error);
    me->call.works = &me->work;
    me->call.work_count = 1;
    me->fn = fn;
    me->arg = arg;
    me->codes = codes;
    mf__client_start(client, &me->call, &page_kind);
    return MF_OK;
}

/* By id, one batch after another. */

static void send_load(mf_broker *broker, mf_work *work)
{
    const states_call *me = (const states_call *)work->call;
    mf_load_request *request = &work->request.load;
    size_t left = me->count - me->position;

    request->ids = me->ids + me->position;
    request->id_count = left < broker->max_batch ? left : broker->max_batch;
    broker->operations->load(broker, request);
}

static bool load_answered(mf_work *work)
{
    states_call *me = (states_call *)work->call;
    const mf_load_request *request = &work->request.load;

    me->position += request->id_count;
    bool last = me->position == me->count;
    show(me, request->documents, request->id_count, last);
    return !last;
}

static const mf_call_kind load_kind = {
    .send = send_load,
    .answered = load_answered,
    .finish = finish,
};

int mf_client_lookup_states(mf_client *client, const char *const *ids, size_t count,
                            mf_states_fn fn, void *arg, mf_error *error)
{
    size_t bytes;
    int code = mf__client_needs_states(client, error);

    if (code == MF_OK)
        code = mf__client_check_ids(ids, count, &bytes, error);
    if (code != MF_OK)
        return code;
    states_call *me = calloc(1, sizeof *me + count * sizeof *ids + bytes);
    if (me == NULL)
        return mf__client_no_memory(error);
    me->call.works = &me->work;
    me->call.work_count = count != 0;
    me->fn = fn;
    me->arg = arg;
    me->ids = mf__client_copy_ids(me + 1, ids, count);
    me->count = count;
    mf__client_start(client, &me->call, &load_kind);
    return MF_OK;
}
