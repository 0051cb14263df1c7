/* The phases of a migration, its marks, its beginning and end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/internal.h"

enum {
    TICK_US = 50000,
    PROGRESS_US = 250000,
    DEFAULT_BATCH = 64,
    LIVE_BATCH = 16,
    DEFAULT_LEASE_MS = 10000
};

void mf__migration_go_on(mf_migration *me)
{
    if (me->phase != PHASE_CLOSED)
        mf_defer(me->loop, &me->go_on);
}

void mf__migration_changed(mf_migration *me)
{
    me->changed = true;
}

static void tell(mf_migration *me, mf_migration_event event)
{
    if (me->on_event != NULL)
        me->on_event(me, event, me->payload);
}

static void enter(mf_migration *me, mf__phase phase)
{
    me->phase = phase;
    me->step = 0;
    me->cursor[0] = '\0';
    mf__migration_go_on(me);
}

/* What is held stays so, and is resolved by the next migrator. */
void mf__migration_fail(mf_migration *me, const mf_error *why)
{
    if (me->failed || me->phase >= PHASE_LEAVE)
        return;
    me->failed = true;
    me->error = *why;
    enter(me, PHASE_LEAVE);
}

static void fail(mf_migration *me, int code, const char *text)
{
    mf_error why;

    mf_error_set(&why, code, "migration: %s", text);
    mf__migration_fail(me, &why);
}

/* '*' stands for any bytes. */
static bool matches(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;

    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool mf__migration_matches(const mf_migration *me, const char *id)
{
    return me->only == NULL || matches(me->only, id);
}

/* Questions. */

static void on_answer(mf_request *request)
{
    mf_migration *me = request->arg;
    mf__question *q = &me->question;

    q->under_way = false;
    if (request->error.code == MF_OK && !me->failed)
        q->answered(me);
    else if (mf_error_is_transient(request->error.code))
        mf__side_lost(q->side, q->epoch);
    else if (request->error.code == MF_EEXISTS)
        fail(me, MF_EEXISTS, "another migration of the namespace has begun");
    else if (request->error.code != MF_OK)
        mf__migration_fail(me, &request->error);
    mf__migration_go_on(me);
}

mf__question *mf__migration_ask(mf_migration *me, mf__side *side,
                                void (*answered)(mf_migration *me))
{
    mf__question *q = &me->question;

    if (q->under_way || !side->joined || me->failed)
        return NULL;
    memset(&q->request, 0, sizeof q->request);
    q->request.head = (mf_request){.done = on_answer, .arg = me};
    q->under_way = true;
    q->side = side;
    q->epoch = side->session.epoch;
    q->answered = answered;
    return q;
}

/* Marks. */

static bool is_under_way(const mf_mark *mark)
{
    return mark->phase == MF_MARK_PART || mark->phase == MF_MARK_MOVING;
}

static int index_of(const mf_migration *me, const mf__side *side)
{
    return side == &me->sides[0] ? 0 : 1;
}

static void on_mark(mf_migration *me)
{
    me->marks[index_of(me, me->question.side)] = me->question.request.mark.mark;
    me->step++;
}

static void read_mark(mf_migration *me, mf__side *side)
{
    mf__question *q = mf__migration_ask(me, side, on_mark);

    if (q != NULL)
        side->broker->operations->moved(side->broker, &q->request.mark);
}

static void put_mark(mf_migration *me, mf__side *side, mf_mark_phase phase, const char *token)
{
    mf__question *q = mf__migration_ask(me, side, on_mark);
    int other = 1 - index_of(me, side);

    if (q == NULL)
        return;
    mf_mark_request *request = &q->request.mark;
    request->session = &side->session;
    request->mark.phase = phase;
    memcpy(request->mark.migration, token, sizeof request->mark.migration);
    memcpy(request->mark.url, me->url[other], sizeof request->mark.url);
    side->broker->operations->mark(side->broker, request);
}

static void make_token(mf_migration *me)
{
    snprintf(me->token, sizeof me->token, "%016llx%016llx",
             (unsigned long long)mf_loop_random(me->loop),
             (unsigned long long)mf_loop_random(me->loop));
}

static void turn(mf_migration *me)
{
    mf__side *source = me->source;

    me->source = me->target;
    me->target = source;
    me->turned = me->statistics.rolling_back = true;
}

static void adopt(mf_migration *me, const mf_mark *mark)
{
    memcpy(me->token, mark->migration, sizeof me->token);
    enter(me, PHASE_RESOLVE);
}

/* The marks of both sides say what there is to do. */
static void decide(mf_migration *me)
{
    const mf_mark *old = &me->marks[0], *new = &me->marks[1];

    if (me->mode == MF_MIGRATE_MOVE) {
        if (is_under_way(old) || is_under_way(new)) {
            fail(me, MF_EEXISTS, "one has begun; resume it, or roll it back");
            return;
        }
        make_token(me);
        enter(me, PHASE_MARK);
    } else if (me->mode == MF_MIGRATE_ROLL_BACK && is_under_way(new)) {
        turn(me); /* an earlier roll-back had got so far */
        adopt(me, new);
    } else if (is_under_way(old)) {
        adopt(me, old);
    } else if (me->mode == MF_MIGRATE_ROLL_BACK && old->phase == MF_MARK_MOVED) {
        turn(me);
        make_token(me);
        enter(me, PHASE_MARK);
    } else {
        fail(me, MF_EGONE, "there is none to resume or to roll back");
    }
}

static void read_marks(mf_migration *me)
{
    if (me->step < 2)
        read_mark(me, &me->sides[me->step]);
    else
        decide(me);
}

static void resolve(mf_migration *me)
{
    if (!mf__resolve_pump(me))
        return;
    if (me->mode == MF_MIGRATE_ROLL_BACK && !me->turned) {
        turn(me);
        make_token(me);
    }
    enter(me, PHASE_MARK);
}

/* The source's first: never do both take tasks. */
static void mark(mf_migration *me)
{
    mf_mark *theirs = &me->marks[index_of(me, me->target)];

    if (me->step == 0) {
        put_mark(me, me->source, me->only != NULL ? MF_MARK_PART : MF_MARK_MOVING, me->token);
    } else if (theirs->phase != MF_MARK_NONE) {
        put_mark(me, me->target, MF_MARK_NONE, theirs->migration);
    } else if (!me->turned || !me->live || mf__scan_thaw_target(me)) {
        me->was_reachable = true;
        enter(me, PHASE_MOVE);
        tell(me, MF_MIGRATION_STARTED);
    }
}

static bool is_clean(const mf_migration *me)
{
    const mf_migration_statistics *s = &me->statistics;
    return s->running == 0 && s->conflicts == 0 && s->damaged == 0 && !me->stopping;
}

static void move(mf_migration *me)
{
    if (mf__scan_pump(me))
        enter(me, is_clean(me) ? PHASE_STATES : PHASE_SEAL);
}

static void move_states(mf_migration *me)
{
    if (mf__states_pump(me))
        enter(me, PHASE_SEAL);
}

static void set_outcome(mf_migration *me)
{
    const mf_migration_statistics *s = &me->statistics;

    if (s->damaged > 0)
        fail(me, MF_EDAMAGED, "some tasks cannot be read, or their copies differ");
    else if (s->conflicts > 0)
        fail(me, MF_EEXISTS, "some tasks are in both brokers");
    else if (s->running > 0)
        fail(me, MF_ETAKEN, "some tasks run, and were left");
    else if (me->stopping)
        fail(me, MF_ECLOSED, "stopped");
}

static void seal(mf_migration *me)
{
    if (!mf__scan_thaw(me))
        return;
    if (!is_clean(me)) {
        set_outcome(me);
    } else if (me->step == 0) {
        put_mark(me, me->source, me->only != NULL ? MF_MARK_NONE : MF_MARK_MOVED, me->token);
    } else {
        enter(me, PHASE_LEAVE);
    }
}

/* The end. */

static bool is_quiet(const mf_migration *me)
{
    for (const mf__batch *b = me->batches; b != NULL; b = b->next)
        if (b->under_way)
            return false;
    return !me->question.under_way && me->sending == 0 && mf__side_is_idle(&me->sides[0]) &&
           mf__side_is_idle(&me->sides[1]);
}

static void leave(mf_migration *me)
{
    mf__side_leave(&me->sides[0]);
    mf__side_leave(&me->sides[1]);
    if (!is_quiet(me))
        return;
    me->phase = PHASE_CLOSED;
    mf_deferred_cancel(me->loop, &me->go_on);
    mf_timer_stop(me->loop, &me->timer);
    mf_timer_stop(me->loop, &me->progress);
    for (int i = 0; i < 2; i++) {
        mf_broker *broker = me->sides[i].broker;
        mf_timer_stop(me->loop, &me->sides[i].timer);
        broker->operations->unwatch(broker, &me->sides[i].watcher);
    }
    mf__scan_clear(me);
    mf__items_clear(me);
    tell(me, MF_MIGRATION_CLOSED); /* it may be freed there */
}

static void tell_reachable(mf_migration *me)
{
    bool reachable = me->sides[0].joined && me->sides[1].joined;

    if (me->phase < PHASE_MOVE || me->phase >= PHASE_LEAVE || reachable == me->was_reachable)
        return;
    me->was_reachable = reachable;
    tell(me, reachable ? MF_MIGRATION_REACHABLE : MF_MIGRATION_UNREACHABLE);
}

static void on_go_on(void *arg)
{
    mf_migration *me = arg;

    tell_reachable(me);
    if (!me->failed)
        mf__items_send(me);
    if (me->stopping && me->phase < PHASE_RESOLVE)
        fail(me, MF_ECLOSED, "stopped");
    switch (me->phase) {
    case PHASE_JOIN:
        if (me->sides[0].joined && me->sides[1].joined)
            enter(me, PHASE_READ_MARKS);
        break;
    case PHASE_READ_MARKS:
        read_marks(me);
        break;
    case PHASE_RESOLVE:
        resolve(me);
        break;
    case PHASE_MARK:
        mark(me);
        break;
    case PHASE_MOVE:
        move(me);
        break;
    case PHASE_STATES:
        move_states(me);
        break;
    case PHASE_SEAL:
        seal(me);
        break;
    case PHASE_LEAVE:
        leave(me);
        break;
    case PHASE_CLOSED:
        break;
    }
}

/* What time alone brings: the next listing, the rate, nodes that do not answer. */
static void on_tick(void *arg)
{
    mf_migration *me = arg;

    if (mf_timer_start(me->loop, &me->timer, mf_loop_now_us(me->loop) + TICK_US) != MF_OK)
        fail(me, MF_ENOMEM, mf_strerror(MF_ENOMEM));
    mf__migration_go_on(me);
}

static void on_progress(void *arg)
{
    mf_migration *me = arg;

    if (mf_timer_start(me->loop, &me->progress, mf_loop_now_us(me->loop) + PROGRESS_US) != MF_OK)
        fail(me, MF_ENOMEM, mf_strerror(MF_ENOMEM));
    if (me->changed)
        tell(me, MF_MIGRATION_PROGRESS);
    me->changed = false;
}

/* Beginning. */

static int check_broker(const char *field, const mf_broker *broker, mf_error *error)
{
    if (broker == NULL)
        return mf_error_set(error, MF_EINVAL, "%s: missing", field);
    if (broker->operations->hold == NULL)
        return mf_error_set(error, MF_ENOTSUP, "%s: the %s driver cannot move tasks", field,
                            broker->driver->name);
    return MF_OK;
}

static int check_url(const char *field, const char *url, mf_error *error)
{
    if (url == NULL || url[0] == '\0')
        return mf_error_set(error, MF_EINVAL, "%s: missing", field);
    if (strlen(url) >= MF_MARK_URL_SIZE)
        return mf_error_set(error, MF_EINVAL, "%s: longer than %d bytes", field,
                            MF_MARK_URL_SIZE - 1);
    return MF_OK;
}

static int check(const mf_migration_options *o, mf_error *error)
{
    if (o->version != MF_MIGRATION_OPTIONS_VERSION)
        return mf_error_set(error, MF_EINVAL, "version: use MF_MIGRATION_OPTIONS_INIT");
    if (check_broker("from", o->from, error) != MF_OK)
        return o->from == NULL ? MF_EINVAL : MF_ENOTSUP;
    if (check_broker("to", o->to, error) != MF_OK)
        return o->to == NULL ? MF_EINVAL : MF_ENOTSUP;
    if (o->from == o->to)
        return mf_error_set(error, MF_EINVAL, "to: the same handle as from");
    if (o->from->loop != o->to->loop)
        return mf_error_set(error, MF_EINVAL, "to: on another loop than from");
    if (check_url("from_url", o->from_url, error) != MF_OK ||
        check_url("to_url", o->to_url, error) != MF_OK)
        return MF_EINVAL;
    if (o->rate < 0 || o->rate != o->rate)
        return mf_error_set(error, MF_EINVAL, "rate: negative");
    if (o->batch < 0 || o->batch > MF__MOST_BATCH)
        return mf_error_set(error, MF_EINVAL, "batch: not from 1 to %d", MF__MOST_BATCH);
    if (o->lease_ms != 0 && (o->lease_ms < 2000 || o->lease_ms > 3600000))
        return mf_error_set(error, MF_EINVAL, "lease_ms: not from 2,000 to 3,600,000");
    return MF_OK;
}

static size_t batch_of(const mf_migration_options *o)
{
    size_t batch = o->live ? LIVE_BATCH : DEFAULT_BATCH;

    if (o->batch != 0)
        batch = (size_t)o->batch;
    batch = batch < o->from->max_batch ? batch : o->from->max_batch;
    return batch < o->to->max_batch ? batch : o->to->max_batch;
}

static const char *item_id(const mf__id_link *link)
{
    return ((const mf__item *)(const void *)link)->id;
}

static const char *skipped_id(const mf__id_link *link)
{
    return (const char *)(link + 1);
}

static void init(mf_migration *me, const mf_migration_options *o)
{
    me->loop = o->from->loop;
    me->mode = o->mode;
    me->live = o->live;
    me->verify = o->verify;
    me->rate = o->rate;
    me->batch = batch_of(o);
    me->lease_ms = o->lease_ms != 0 ? o->lease_ms : DEFAULT_LEASE_MS;
    me->on_event = o->on_event;
    me->payload = o->payload;
    snprintf(me->url[0], sizeof me->url[0], "%s", o->from_url);
    snprintf(me->url[1], sizeof me->url[1], "%s", o->to_url);
    me->statistics.version = MF_MIGRATION_STATISTICS_VERSION;
    mf__id_table_init(&me->items, item_id);
    mf__id_table_init(&me->skipped, skipped_id);
    mf_deferred_init(&me->go_on, on_go_on, me);
    mf_timer_init(&me->timer, on_tick, me);
    mf_timer_init(&me->progress, on_progress, me);
    me->source = &me->sides[0];
    me->target = &me->sides[1];
}

int mf_migration_open(mf_migration **out, const mf_migration_options *options, mf_error *error)
{
    int code = check(options, error);

    *out = NULL;
    if (code != MF_OK)
        return code;
    mf_migration *me = calloc(1, sizeof *me);
    char *only = me != NULL && options->only != NULL ? strdup(options->only) : NULL;
    if (me == NULL || (options->only != NULL && only == NULL)) {
        free(me);
        return mf_error_set(error, MF_ENOMEM, "migration: %s", mf_strerror(MF_ENOMEM));
    }
    init(me, options);
    me->only = only;
    int64_t now = mf_loop_now_us(me->loop);
    if (mf_timer_start(me->loop, &me->timer, now + TICK_US) != MF_OK ||
        mf_timer_start(me->loop, &me->progress, now + PROGRESS_US) != MF_OK) {
        mf_timer_stop(me->loop, &me->timer);
        mf_migration_free(me);
        return mf_error_set(error, MF_ENOMEM, "migration: %s", mf_strerror(MF_ENOMEM));
    }
    mf__side_open(&me->sides[0], me, options->from);
    mf__side_open(&me->sides[1], me, options->to);
    *out = me;
    return MF_OK;
}

void mf_migration_stop(mf_migration *me)
{
    me->stopping = true;
    mf__migration_go_on(me);
}

void mf_migration_free(mf_migration *me)
{
    free(me->only);
    free(me);
}

const mf_error *mf_migration_error(const mf_migration *me)
{
    return &me->error;
}

void mf_migration_get_statistics(const mf_migration *me, mf_migration_statistics *out)
{
    *out = me->statistics;
    out->version = MF_MIGRATION_STATISTICS_VERSION;
    out->under_way = me->items.count - me->queued_count - me->running_count - me->asked_count;
}
