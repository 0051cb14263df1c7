/* Tasks on their way, a batch of them in one request, step after step. */
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "migrate/internal.h"

/* Drops a copy whatever message it has got since. */
static const uint64_t any_message = UINT64_MAX;

static mf__item *item_of(const mf__id_link *link)
{
    return (mf__item *)(void *)link;
}

mf__item *mf__item_find(mf_migration *me, const char *id)
{
    return item_of(mf__id_table_find(&me->items, id));
}

static void no_memory(mf_migration *me)
{
    mf_error why;

    mf_error_set(&why, MF_ENOMEM, "migration: %s", mf_strerror(MF_ENOMEM));
    mf__migration_fail(me, &why);
}

mf__item *mf__item_new(mf_migration *me, const char *id)
{
    size_t length = strlen(id) + 1;
    mf__item *item = calloc(1, sizeof *item + length);

    if (item == NULL ||
        mf__id_table_add(&me->items, (memcpy(item->id, id, length), &item->link)) != MF_OK) {
        free(item);
        no_memory(me);
        return NULL;
    }
    item->hold.id = item->id;
    return item;
}

void mf__item_free(mf_migration *me, mf__item *item)
{
    mf__id_table_remove(&me->items, &item->link);
    free(item->texts);
    free(item->owner);
    free(item);
}

/* Ids that are not taken again. */

typedef struct skip {
    mf__id_link link; /* first */
    char id[];
} skip;

void mf__skip(mf_migration *me, const char *id)
{
    size_t length = strlen(id) + 1;
    skip *one = mf__is_skipped(me, id) ? NULL : malloc(sizeof *one + length);

    if (one == NULL)
        return;
    memcpy(one->id, id, length);
    if (mf__id_table_add(&me->skipped, &one->link) != MF_OK)
        free(one);
}

bool mf__is_skipped(const mf_migration *me, const char *id)
{
    return mf__id_table_find(&me->skipped, id) != NULL;
}

/* What a step's result leads to. */

static mf__step on_taken(mf_migration *me, mf__item *item, int result)
{
    switch (result) {
    case MF_OK:
        if (item->held_us == 0)
            item->held_us = mf_loop_now_us(me->loop);
        return STEP_COPY;
    case MF_ETAKEN:
        me->scan.again = true;
        return STEP_END;
    case MF_EDAMAGED:
        me->statistics.damaged++;
        mf__skip(me, item->id);
        return STEP_END;
    default:
        return STEP_END;
    }
}

/* A task of that id which is not ours stays, and so does this one, in the source. */
static mf__step on_copied(mf_migration *me, mf__item *item, int result)
{
    if (result == MF_OK)
        return me->verify ? STEP_CHECK : STEP_DROP;
    if (result == MF_EEXISTS) {
        me->statistics.conflicts++;
        mf__skip(me, item->id);
    } else if (result != MF_ETAKEN) {
        me->statistics.damaged++;
        mf__skip(me, item->id);
    }
    return STEP_RETURN;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_same(const mf_hold *a, const mf_hold *b)
{
    return a->fence == b->fence && a->crashes == b->crashes && a->set_aside == b->set_aside &&
           (a->delay_us > 0) >= (b->delay_us > 0) && same_text(a->properties, b->properties) &&
           same_text(a->state, b->state) && same_text(a->message, b->message);
}

/* One that differs stays held on both sides, for people to look at: the original is there. */
static mf__step on_checked(mf_migration *me, mf__item *item, const mf_hold *seen)
{
    if (seen->result == MF_OK && is_same(&item->hold, seen))
        return STEP_DROP;
    me->statistics.damaged++;
    mf__skip(me, item->id);
    return STEP_END;
}

static mf__step on_dropped(mf_migration *me, mf__item *item, int result)
{
    if (result == MF_OK)
        return STEP_FREE;
    if (result == MF_ESTALE)
        return STEP_TAKE; /* and copied again, with the message */
    if (result == MF_EGONE)
        me->statistics.removed++;
    else
        me->scan.again = true;
    item->give_back = false;
    return STEP_DISCARD;
}

static mf__step on_freed(mf_migration *me, mf__item *item)
{
    int64_t held_us = item->held_us != 0 ? mf_loop_now_us(me->loop) - item->held_us : 0;

    me->statistics.moved++;
    me->statistics.held_us_sum += held_us;
    if (held_us > me->statistics.held_us_max)
        me->statistics.held_us_max = held_us;
    return STEP_CLEAR;
}

static mf__step on_discarded(mf__item *item, int result)
{
    if (result == MF_OK)
        return STEP_TIDY;
    return item->give_back ? STEP_RETURN : STEP_END;
}

static mf__step on_state_copied(mf_migration *me, mf__item *item, int result)
{
    if (result == MF_OK)
        return STEP_DROP_STATE;
    me->statistics.conflicts++;
    mf__skip(me, item->id);
    return STEP_END;
}

static mf__step next_step(mf_migration *me, mf__step step, mf__item *item, const mf_hold *answer)
{
    switch (step) {
    case STEP_TAKE:
        return on_taken(me, item, answer->result);
    case STEP_COPY:
        return on_copied(me, item, answer->result);
    case STEP_CHECK:
        return on_checked(me, item, answer);
    case STEP_DROP:
        return on_dropped(me, item, answer->result);
    case STEP_FREE:
        return on_freed(me, item);
    case STEP_DISCARD:
        return on_discarded(item, answer->result);
    case STEP_TIDY:
        return item->give_back ? STEP_RETURN : STEP_END;
    case STEP_RETURN:
        me->statistics.returned++;
        return STEP_END;
    case STEP_COPY_STATE:
        return on_state_copied(me, item, answer->result);
    case STEP_DROP_STATE:
        me->statistics.states += answer->result == MF_OK;
        return STEP_END;
    default:
        return STEP_END;
    }
}

/* Keeps what a hold gave out. */

static size_t text_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static const char *keep_text(char **to, const char *text)
{
    char *copy = *to;

    if (text == NULL)
        return NULL;
    *to = stpcpy(copy, text) + 1;
    return copy;
}

static bool keep(mf__item *item, const mf_hold *from)
{
    char *texts =
        malloc(text_size(from->properties) + text_size(from->state) + text_size(from->message) + 1);

    if (texts == NULL)
        return false;
    free(item->texts);
    item->texts = texts;
    item->hold = *from;
    item->hold.id = item->id;
    item->hold.properties = keep_text(&texts, from->properties);
    item->hold.state = keep_text(&texts, from->state);
    item->hold.message = keep_text(&texts, from->message);
    return true;
}

/* Batches. */

static void batch_free(mf__batch *batch)
{
    mf_migration *me = batch->migration;

    DL_DELETE(me->batches, batch);
    me->batch_count--;
    free(batch->items);
    free(batch);
}

static void on_done(mf_request *request);

void mf__items_start(mf_migration *me, mf__step step, mf__item **items, size_t count)
{
    mf__batch *batch = calloc(1, sizeof *batch + count * sizeof batch->holds[0]);
    mf__item **list = malloc(count * sizeof(mf__item *));

    if (batch == NULL || list == NULL) {
        free(batch);
        free(list);
        for (size_t i = 0; i < count; i++)
            mf__item_free(me, items[i]);
        no_memory(me);
        return;
    }
    memcpy(list, items, count * sizeof(mf__item *));
    batch->migration = me;
    batch->step = step;
    batch->items = list;
    batch->count = count;
    for (size_t i = 0; i < count; i++)
        list[i]->place = ITEM_BATCHED;
    DL_APPEND(me->batches, batch);
    me->batch_count++;
    mf__migration_go_on(me);
}

static bool is_of_source(mf__step step)
{
    return step == STEP_TAKE || step == STEP_DROP || step == STEP_CLEAR || step == STEP_RETURN ||
           step == STEP_DROP_STATE;
}

static mf__side *side_of(const mf__batch *batch)
{
    return is_of_source(batch->step) ? batch->migration->source : batch->migration->target;
}

static void call(mf__batch *batch)
{
    mf_broker *broker = side_of(batch)->broker;

    switch (batch->step) {
    case STEP_TAKE:
    case STEP_CHECK:
        broker->operations->hold(broker, &batch->request);
        break;
    case STEP_COPY:
    case STEP_COPY_STATE:
        broker->operations->copy(broker, &batch->request);
        break;
    case STEP_DROP:
    case STEP_DISCARD:
    case STEP_DROP_STATE:
        broker->operations->drop(broker, &batch->request);
        break;
    default:
        broker->operations->free(broker, &batch->request);
        break;
    }
}

static void send(mf__batch *batch)
{
    mf_migration *me = batch->migration;

    batch->request = (mf_holds_request){.request = {.done = on_done, .arg = batch},
                                        .session = &side_of(batch)->session,
                                        .migration = me->token,
                                        .holds = batch->holds,
                                        .count = batch->count};
    for (size_t i = 0; i < batch->count; i++) {
        batch->holds[i] = batch->items[i]->hold;
        if (batch->step == STEP_DISCARD)
            batch->holds[i].message_number = any_message;
    }
    batch->epoch = side_of(batch)->session.epoch;
    batch->under_way = true;
    call(batch);
}

/* The items of the batch that go on to `step`, in a batch of their own. */
static void go_to(mf__batch *batch, mf__step step, const mf__step *steps, mf__item **room)
{
    mf_migration *me = batch->migration;
    size_t count = 0;

    for (size_t i = 0; i < batch->count; i++)
        if (steps[i] == step)
            room[count++] = batch->items[i];
    if (step == STEP_END)
        while (count > 0)
            mf__item_free(me, room[--count]);
    if (count > 0)
        mf__items_start(me, step, room, count);
}

static void distribute(mf__batch *batch)
{
    mf_migration *me = batch->migration;
    mf__step *steps = malloc(batch->count * sizeof *steps);
    mf__item **room = malloc(batch->count * sizeof(mf__item *));

    for (size_t i = 0; steps != NULL && room != NULL && i < batch->count; i++) {
        const mf_hold *answer = &batch->holds[i];
        if (batch->step == STEP_TAKE && answer->result == MF_OK && !keep(batch->items[i], answer))
            no_memory(me);
        steps[i] = next_step(me, batch->step, batch->items[i], answer);
    }
    for (int step = 0; steps != NULL && room != NULL && step <= STEP_END; step++)
        go_to(batch, (mf__step)step, steps, room);
    if (steps == NULL || room == NULL)
        no_memory(me);
    free(steps);
    free(room);
    batch_free(batch);
    mf__migration_changed(me);
}

static void on_done(mf_request *request)
{
    mf__batch *batch = request->arg;
    mf_migration *me = batch->migration;

    batch->under_way = false;
    if (request->error.code == MF_OK) {
        distribute(batch);
    } else if (mf_error_is_transient(request->error.code)) {
        mf__side_lost(side_of(batch), batch->epoch);
    } else {
        mf__migration_fail(me, &request->error);
    }
    mf__migration_go_on(me);
}

void mf__items_send(mf_migration *me)
{
    mf__batch *batch, *next;

    DL_FOREACH_SAFE(me->batches, batch, next)
    {
        if (!batch->under_way && side_of(batch)->joined)
            send(batch);
    }
}

static void free_items(mf__id_table *table)
{
    mf__id_link *next;

    for (mf__id_link *link = mf__id_table_next(table, NULL); link != NULL; link = next) {
        next = mf__id_table_next(table, link);
        free(link);
    }
    mf__id_table_clear(table);
}

void mf__items_clear(mf_migration *me)
{
    mf__id_link *next;

    while (me->batches != NULL)
        batch_free(me->batches);
    for (mf__id_link *link = mf__id_table_next(&me->items, NULL); link != NULL; link = next) {
        next = mf__id_table_next(&me->items, link);
        mf__item_free(me, item_of(link));
    }
    mf__id_table_clear(&me->items);
    free_items(&me->skipped);
}
