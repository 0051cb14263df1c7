/* States of tasks that have ended: they outlive these, and go along when all tasks have moved. */
#include <stdlib.h>
#include <string.h>

#include "migrate/internal.h"

enum { PAGE = 200, READ = 0, DONE };

/* NULL: it does not move. */
static mf__item *item_of(mf_migration *me, const mf_document *document)
{
    mf__item *item;

    if (document->json == NULL || !mf__migration_matches(me, document->id) ||
        mf__is_skipped(me, document->id) || mf__item_find(me, document->id) != NULL ||
        (item = mf__item_new(me, document->id)) == NULL)
        return NULL;
    item->texts = strndup(document->json, document->length);
    if (item->texts == NULL) {
        mf__item_free(me, item);
        return NULL;
    }
    item->hold.state = item->texts;
    item->hold.orphan = true;
    return item;
}

static void on_page(mf_migration *me)
{
    const mf_states_request *page = &me->question.request.states;

    mf__item *items[MF__MOST_BATCH];
    size_t count = 0;

    for (size_t i = 0; i < page->count; i++) {
        items[count] = item_of(me, &page->documents[i]);
        count += items[count] != NULL;
        if (count == me->batch || (count > 0 && i + 1 == page->count)) {
            mf__items_start(me, STEP_COPY_STATE, items, count);
            count = 0;
        }
    }
    memcpy(me->cursor, page->cursor, sizeof me->cursor);
    me->step = page->cursor[0] == '\0' ? DONE : READ;
}

/* A page at a time: those that move leave the listing, which stands still meanwhile. */
bool mf__states_pump(mf_migration *me)
{
    mf__question *q;

    if (me->source->broker->operations->states == NULL)
        return true;
    if (me->batch_count > 0 || me->question.under_way)
        return false;
    if (me->step == DONE)
        return true;
    q = mf__migration_ask(me, me->source, on_page);
    if (q != NULL) {
        q->request.states.limit = PAGE;
        memcpy(q->request.states.cursor, me->cursor, sizeof q->request.states.cursor);
        me->source->broker->operations->states(me->source->broker, &q->request.states);
    }
    return false;
}
