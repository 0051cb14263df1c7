/* Which tasks to take: the source is listed again and again until nothing is left that could be
 * taken. Running tasks are stopped by their nodes, which are frozen first, so that none of them is
 * faster than the migrator; what they release is heard of by hints, or found by the next listing.
 */
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include <metafora/command.h>

#include "migrate/internal.h"

enum {
    PAGE = 500,
    MOST_BATCHES = 16,
    ASKED_US = 3000000, /* a node that has not released the task by then is asked again */
    PAUSE_US = 200000   /* between listings that find nothing to do */
};

/* Commands to nodes. */

typedef struct order {
    mf_send_request request; /* first */
    mf_migration *migration;
    mf__side *side;
    uint64_t epoch;
    mf__frozen *node; /* that it freezes, or not; NULL: another command */
    bool freezes;
    char name[256];
} order;

static void end_order(order *o, bool sent)
{
    mf_migration *me = o->migration;

    if (o->node != NULL) {
        o->node->ordered = false;
        if (sent)
            o->node->frozen = o->freezes;
    }
    if (o->node != NULL && !o->node->frozen && !o->node->ordered) {
        DL_DELETE(me->scan.frozen, o->node);
        free(o->node);
    }
    free((char *)o->request.json);
    free(o);
}

/* A command to a node that is not there any more does no harm. */
static void on_sent(mf_request *request)
{
    order *o = (order *)(void *)request;
    mf_migration *me = o->migration;
    int code = request->error.code;

    me->sending--;
    if (mf_error_is_transient(code))
        mf__side_lost(o->side, o->epoch);
    else if (code != MF_OK && code != MF_ENONODE)
        mf__migration_fail(me, &request->error);
    end_order(o, !mf_error_is_transient(code));
    mf__migration_go_on(me);
}

static bool send(mf_migration *me, mf__side *side, const char *node, mf_command_verb verb,
                 const char *task, mf__frozen *frozen)
{
    mf_command command = {.verb = verb, .task = task};
    order *o = calloc(1, sizeof *o);
    char *json = NULL;

    if (o == NULL || mf_command_format(&json, &command, NULL) != MF_OK) {
        free(o);
        return false;
    }
    strncpy(o->name, node, sizeof o->name - 1);
    o->request = (mf_send_request){.request = {.done = on_sent},
                                   .node = o->name,
                                   .json = json,
                                   .length = strlen(json),
                                   .migration = me->token};
    o->migration = me;
    o->side = side;
    o->epoch = side->session.epoch;
    o->node = frozen;
    o->freezes = verb == MF_COMMAND_FREEZE;
    me->sending++;
    side->broker->operations->send(side->broker, &o->request);
    return true;
}

static mf__frozen *find_frozen(const mf_migration *me, const char *node)
{
    mf__frozen *one = me->scan.frozen;

    while (one != NULL && strcmp(one->node, node) != 0)
        one = one->next;
    return one;
}

static void freeze(mf_migration *me, const char *node)
{
    size_t length = strlen(node) + 1;
    mf__frozen *one = find_frozen(me, node) == NULL ? calloc(1, sizeof *one + length) : NULL;

    if (one == NULL)
        return;
    memcpy(one->node, node, length);
    one->ordered = true;
    DL_APPEND(me->scan.frozen, one);
    if (!send(me, me->source, node, MF_COMMAND_FREEZE, NULL, one)) {
        DL_DELETE(me->scan.frozen, one);
        free(one);
    }
}

static void on_nodes(mf_migration *me)
{
    const mf_nodes_request *nodes = &me->question.request.nodes;

    me->scan.nodes = true;
    for (size_t i = 0; i < nodes->count; i++)
        if (strcmp(nodes->nodes[i].name, MF_HOLD_NODE) != 0)
            freeze(me, nodes->nodes[i].name);
}

static void ask_for_nodes(mf_migration *me, mf__side *side, void (*answered)(mf_migration *me))
{
    mf__question *q = mf__migration_ask(me, side, answered);

    if (q != NULL)
        side->broker->operations->nodes(side->broker, &q->request.nodes);
}

bool mf__scan_thaw(mf_migration *me)
{
    mf__frozen *one;

    DL_FOREACH(me->scan.frozen, one)
    {
        if (!one->ordered && me->source->joined)
            one->ordered = send(me, me->source, one->node, MF_COMMAND_UNFREEZE, NULL, one);
    }
    return me->scan.frozen == NULL;
}

static void on_target_nodes(mf_migration *me)
{
    const mf_nodes_request *nodes = &me->question.request.nodes;

    me->scan.thawing = true;
    for (size_t i = 0; i < nodes->count; i++)
        if (strcmp(nodes->nodes[i].name, MF_HOLD_NODE) != 0)
            send(me, me->target, nodes->nodes[i].name, MF_COMMAND_UNFREEZE, NULL, NULL);
}

bool mf__scan_thaw_target(mf_migration *me)
{
    if (!me->scan.thawing)
        ask_for_nodes(me, me->target, on_target_nodes);
    return me->scan.thawing && me->sending == 0;
}

/* Items that wait. */

static void enqueue(mf_migration *me, mf__item *item)
{
    item->place = ITEM_QUEUED;
    DL_APPEND(me->queued, item);
    me->queued_count++;
}

static void leave_asked(mf_migration *me, mf__item *item)
{
    DL_DELETE(me->asked, item);
    me->asked_count--;
}

static void forget_waiting(mf_migration *me)
{
    mf__item *item, *next;

    DL_FOREACH_SAFE(me->queued, item, next)
    mf__item_free(me, item);
    DL_FOREACH_SAFE(me->running, item, next)
    mf__item_free(me, item);
    DL_FOREACH_SAFE(me->asked, item, next)
    mf__item_free(me, item);
    me->queued = me->running = me->asked = NULL;
    me->queued_count = me->running_count = me->asked_count = 0;
}

/* Taking. */

/* By the rate, up to `count` more, at least one if it is time for it. */
static size_t by_rate(mf_migration *me, size_t count)
{
    int64_t now = mf_loop_now_us(me->loop);

    if (me->rate <= 0 || count == 0)
        return count;
    if (me->scan.take_us > now)
        return 0;
    if ((double)count > me->rate / 4)
        count = (size_t)(me->rate / 4) + 1;
    me->scan.take_us = now + (int64_t)((double)count * 1e6 / me->rate);
    return count;
}

/* Those that their nodes have stopped come first, and at once: the rate has counted them. */
static size_t allowed(mf_migration *me)
{
    const mf__item *item = me->queued;
    size_t stopped = 0;

    for (; item != NULL && item->asked_us != 0 && stopped < me->batch; item = item->next)
        stopped++;
    if (stopped > 0)
        return stopped;
    return by_rate(me, me->queued_count < me->batch ? me->queued_count : me->batch);
}

static void take(mf_migration *me)
{
    mf__item *items[MF__MOST_BATCH];
    size_t count;

    while (me->queued != NULL && me->batch_count < MOST_BATCHES && (count = allowed(me)) > 0) {
        for (size_t i = 0; i < count; i++) {
            items[i] = me->queued;
            DL_DELETE(me->queued, items[i]);
        }
        me->queued_count -= count;
        mf__items_start(me, STEP_TAKE, items, count);
    }
}

/* Not one that its node has been told of before it was frozen: it might claim the task again. */
static void ask_node(mf_migration *me, mf__item *item)
{
    const mf__frozen *node = find_frozen(me, item->owner);

    DL_DELETE(me->running, item);
    me->running_count--;
    if (node == NULL || node->ordered ||
        !send(me, me->source, item->owner, MF_COMMAND_STOP_TASK, item->id, NULL)) {
        me->scan.again = true;
        mf__item_free(me, item);
        return;
    }
    item->place = ITEM_ASKED;
    item->asked_us = mf_loop_now_us(me->loop);
    DL_APPEND(me->asked, item);
    me->asked_count++;
    me->statistics.asked++;
}

/* Those that were asked in vain are found by the next listing. */
static void expire_asked(mf_migration *me)
{
    int64_t now = mf_loop_now_us(me->loop);

    while (me->asked != NULL && now - me->asked->asked_us >= ASKED_US) {
        mf__item *item = me->asked;
        leave_asked(me, item);
        mf__item_free(me, item);
        me->scan.again = true;
    }
}

void mf__scan_heard(mf_migration *me, const char *const *ids, size_t count)
{
    for (size_t i = 0; i < count && me->phase == PHASE_MOVE && !me->stopping; i++) {
        mf__item *item = mf__item_find(me, ids[i]);
        if (item != NULL && item->place == ITEM_ASKED) {
            leave_asked(me, item);
            item->place = ITEM_QUEUED;
            DL_PREPEND(me->queued, item);
            me->queued_count++;
        } else if (item == NULL && mf__migration_matches(me, ids[i]) &&
                   !mf__is_skipped(me, ids[i]) && (item = mf__item_new(me, ids[i])) != NULL) {
            me->scan.found = true;
            enqueue(me, item);
        }
    }
    mf__migration_go_on(me);
}

/* Listing. */

static void meet_running(mf_migration *me, const mf_task_record *record)
{
    mf__item *item = NULL;

    if (!me->live) {
        me->statistics.running++;
        return;
    }
    if ((item = mf__item_new(me, record->id)) == NULL)
        return;
    me->scan.found = true;
    item->owner = strdup(record->owner);
    if (item->owner == NULL) {
        mf__item_free(me, item);
        return;
    }
    item->place = ITEM_RUNNING;
    DL_APPEND(me->running, item);
    me->running_count++;
}

static void meet(mf_migration *me, const mf_task_record *record)
{
    mf__item *item;

    if (!mf__migration_matches(me, record->id))
        return;
    me->statistics.seen++;
    if (mf__is_skipped(me, record->id) || mf__item_find(me, record->id) != NULL)
        return;
    if (record->code != MF_OK) {
        me->statistics.damaged++;
        mf__skip(me, record->id);
    } else if (record->owner == NULL) {
        me->scan.found = true;
        if ((item = mf__item_new(me, record->id)) != NULL)
            enqueue(me, item);
    } else if (strcmp(record->owner, MF_HOLD_NODE) == 0) {
        me->statistics.conflicts++; /* another migration's */
        mf__skip(me, record->id);
    } else {
        meet_running(me, record);
    }
}

static void on_page(mf_migration *me)
{
    const mf_page_request *page = &me->question.request.page;

    memcpy(me->scan.cursor, page->cursor, sizeof me->scan.cursor);
    me->scan.listed = page->cursor[0] == '\0';
    for (size_t i = 0; i < page->count; i++)
        meet(me, &page->records[i]);
    mf__migration_changed(me);
}

static void list(mf_migration *me)
{
    mf__question *q = mf__migration_ask(me, me->source, on_page);

    if (q == NULL)
        return;
    q->request.page.limit = PAGE;
    memcpy(q->request.page.cursor, me->scan.cursor, sizeof q->request.page.cursor);
    me->source->broker->operations->tasks(me->source->broker, &q->request.page);
}

static void begin_pass(mf_migration *me)
{
    me->scan.in_pass = true;
    me->scan.nodes = !me->live;
    me->scan.listed = me->scan.found = me->scan.again = false;
    me->scan.cursor[0] = '\0';
    me->statistics.seen = me->statistics.running = 0;
}

static bool everything_arrived(const mf_migration *me)
{
    return me->items.count == 0 && me->batch_count == 0 && me->sending == 0 &&
           !me->question.under_way;
}

/* Nodes are frozen before they are asked for anything. */
static bool may_list(const mf_migration *me)
{
    bool freezing = me->scan.cursor[0] == '\0' && me->sending > 0;
    return !me->scan.listed && !freezing && me->queued_count < PAGE &&
           me->running_count < me->batch;
}

static void go_through(mf_migration *me)
{
    if (!me->scan.in_pass && mf_loop_now_us(me->loop) >= me->scan.next_us)
        begin_pass(me);
    if (!me->scan.in_pass)
        return;
    if (!me->scan.nodes)
        ask_for_nodes(me, me->source, on_nodes);
    else if (may_list(me))
        list(me);
    /* As many as are on their way at a time: the more, the longer each of them runs nowhere. */
    while (me->running != NULL && me->items.count - me->running_count < me->batch &&
           me->source->joined && by_rate(me, 1) > 0)
        ask_node(me, me->running);
}

bool mf__scan_pump(mf_migration *me)
{
    expire_asked(me);
    if (me->stopping) {
        forget_waiting(me);
        return everything_arrived(me);
    }
    take(me);
    go_through(me);
    take(me);
    if (!me->scan.in_pass || !me->scan.listed || !everything_arrived(me))
        return false;
    me->scan.in_pass = false;
    me->scan.next_us = mf_loop_now_us(me->loop) + (me->scan.again ? PAUSE_US : 0);
    if (me->scan.found || me->scan.again) {
        mf__migration_go_on(me);
        return false;
    }
    return true;
}

void mf__scan_clear(mf_migration *me)
{
    mf__frozen *one, *next;

    forget_waiting(me);
    DL_FOREACH_SAFE(me->scan.frozen, one, next)
    free(one);
    me->scan.frozen = NULL;
}
