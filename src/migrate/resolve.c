/* What an earlier migrator has left. The holds of both sides tell what was done to each task:
 *
 *   source   target   what is left to do
 *   held     -        copy, drop, free           (rolled back: give it back)
 *   held     held     the same, the copy anew    (rolled back: discard the copy, give it back)
 *   dropped  held     free it in the target
 *   dropped  -        the same had been done: forget the note
 *   -        held     the task is in the source: discard the copy; it is not: free it, for the copy
 *                     is the last one
 *
 * Claims of the earlier migrator do not exist, and its session has lapsed, or ours had not joined.
 */
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "migrate/internal.h"

enum { PAGE = 500, READ_TARGET = 0, READ_SOURCE, LOOK_UP, FINISH };

static bool rolls_back(const mf_migration *me)
{
    return me->mode == MF_MIGRATE_ROLL_BACK && !me->turned;
}

static mf__item *find_or_make(mf_migration *me, const mf_hold *hold)
{
    mf__item *item = mf__item_find(me, hold->id);

    if (item != NULL && item->place == ITEM_BATCHED)
        return NULL; /* listed twice */
    if (item != NULL)
        DL_DELETE(me->queued, item);
    else
        item = mf__item_new(me, hold->id);
    if (item != NULL)
        item->hold.fence = hold->fence;
    return item;
}

/* Those only known of the target wait in `queued`. */
static void meet_in_target(mf_migration *me, const mf_hold *hold)
{
    mf__item *item = find_or_make(me, hold);

    if (item == NULL)
        return;
    item->place = ITEM_QUEUED;
    DL_APPEND(me->queued, item);
}

static void meet_in_source(mf_migration *me, const mf_hold *hold)
{
    mf__item *item = find_or_make(me, hold);

    if (item == NULL)
        return;
    item->give_back = rolls_back(me);
    if (hold->stage == MF_HOLD_DROPPED)
        mf__items_start(me, STEP_FREE, &item, 1);
    else
        mf__items_start(me, rolls_back(me) ? STEP_DISCARD : STEP_TAKE, &item, 1);
}

static void on_holds(mf_migration *me)
{
    const mf_holds_page_request *page = &me->question.request.holds;

    for (size_t i = 0; i < page->count; i++) {
        const mf_hold *hold = &page->holds[i];
        if (strcmp(hold->migration, me->token) != 0)
            continue;
        if (me->step == READ_SOURCE)
            meet_in_source(me, hold);
        else if (hold->stage == MF_HOLD_HELD)
            meet_in_target(me, hold);
    }
    memcpy(me->cursor, page->cursor, sizeof me->cursor);
    me->step += page->cursor[0] == '\0';
}

static void read_holds(mf_migration *me, mf__side *side)
{
    mf__question *q = mf__migration_ask(me, side, on_holds);

    if (q == NULL)
        return;
    q->request.holds.limit = PAGE;
    memcpy(q->request.holds.cursor, me->cursor, sizeof q->request.holds.cursor);
    side->broker->operations->holds(side->broker, &q->request.holds);
}

static void on_looked_up(mf_migration *me)
{
    const mf_task_record *record = &me->question.request.lookup.records[0];
    mf__item *item = me->queued;

    DL_DELETE(me->queued, item);
    mf__items_start(me, record->code == MF_EGONE ? STEP_FREE : STEP_DISCARD, &item, 1);
}

/* There are few of them, if any. */
static void look_up(mf_migration *me)
{
    mf__question *q = me->queued != NULL ? mf__migration_ask(me, me->source, on_looked_up) : NULL;

    if (q == NULL)
        return;
    me->first_id = me->queued->id;
    q->request.lookup.ids = &me->first_id;
    q->request.lookup.id_count = 1;
    me->source->broker->operations->lookup(me->source->broker, &q->request.lookup);
}

bool mf__resolve_pump(mf_migration *me)
{
    if (me->step == READ_TARGET)
        read_holds(me, me->target);
    else if (me->step == READ_SOURCE)
        read_holds(me, me->source);
    else if (me->queued != NULL)
        look_up(me);
    return me->step >= LOOK_UP && me->queued == NULL && me->batch_count == 0 &&
           !me->question.under_way;
}
