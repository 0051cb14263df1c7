/* The watch: what happens to tasks and nodes, as hints to the watchers.
 *
 * One stream with three watches, of the keys of tasks, of nodes and of delays, on a link of its
 * own. When the stream is lost it goes on behind the last revision that was seen, so that nothing
 * is missed. When that was compacted meanwhile, it begins anew, and the watchers are told to read
 * everything. */
#include <stdlib.h>
#include <string.h>

#include "crashes.h"
#include "delays.h"
#include "handle.h"
#include "history.h"
#include "keys.h"
#include "mirroring.h"
#include "watch.h"

enum { WATCH_TASKS, WATCH_NODES, WATCH_DELAYS, WATCHES };
static const char *const parts[WATCHES] = {"tasks/", "nodes/", "_mf/delayed/"};
static const int64_t pause_us = 200000, refused_pause_us = 5000000;

typedef enum hint { HINT_CLAIMABLE, HINT_TAKEN, HINT_REMOVED } hint;

struct mf_etcd_watch {
    mf_etcd *etcd;
    mf_etcd_link *link;
    mf_grpc_call call;
    mf_arena arena;                           /* of a message */
    size_t created;                           /* watches, in order */
    int64_t ids[WATCHES], revisions[WATCHES]; /* revision 0: none seen */
    int64_t reached[WATCHES]; /* in a message that comes in fragments: as far as they have come */
    bool failed;              /* to get hints, for this reason */
    mf_error why;
    mf_timer again;

    /* A run of hints of one kind. */
    hint kind;
    const mf_watcher *cause; /* it caused them itself; NULL: not known */
    const char **run;
    size_t count, size;
};

static void start(mf_etcd_watch *watch);

bool mf__etcd_watch_is_on(const mf_etcd *etcd)
{
    return etcd->watch != NULL && etcd->watch->created == WATCHES;
}

const mf_error *mf__etcd_watch_why_off(const mf_etcd *etcd)
{
    return etcd->watch != NULL && etcd->watch->failed ? &etcd->watch->why : NULL;
}

int64_t mf__etcd_watch_revision(const mf_etcd *etcd)
{
    return etcd->watch != NULL ? etcd->watch->revisions[WATCH_TASKS] : 0;
}

/* Hints. */

static void tell_run(mf_watcher *watcher, hint kind, const char *const *ids, size_t count)
{
    switch (kind) {
    case HINT_CLAIMABLE:
        watcher->claimable(watcher, ids, count);
        break;
    case HINT_TAKEN:
        watcher->taken(watcher, ids, count);
        break;
    case HINT_REMOVED:
        watcher->removed(watcher, ids, count);
        break;
    }
}

static void flush(mf_etcd_watch *watch)
{
    size_t count = watch->count;
    mf_walk walk;

    watch->count = 0;
    if (count == 0)
        return;
    for (mf_watcher *w = mf__walk_begin(&walk, &watch->etcd->watchers); w != NULL;
         w = mf__walk_next(&walk))
        if (w != watch->cause)
            tell_run(w, watch->kind, watch->run, count);
}

static void add_hint(mf_etcd_watch *watch, hint kind, const mf_watcher *cause, mf_bytes id)
{
    const char *text = mf__key_is_marker(id) ? NULL : mf__key_id(&watch->arena, id);

    if (text == NULL)
        return;
    if (watch->count > 0 && (kind != watch->kind || cause != watch->cause))
        flush(watch);
    watch->kind = kind;
    watch->cause = cause;
    if (watch->count == watch->size) {
        size_t size = watch->size * 2 + 64;
        const char **run = realloc(watch->run, size * sizeof *run);
        if (run == NULL)
            return; /* hints may be lost */
        watch->run = run;
        watch->size = size;
    }
    watch->run[watch->count++] = text;
}

/* Whose token is in the owner's document. */
static const mf_watcher *owner_of(mf_etcd_watch *watch, mf_bytes owner)
{
    const mf_watcher *found = NULL;
    mf_walk walk;

    for (mf_watcher *w = mf__walk_begin(&walk, &watch->etcd->watchers); w != NULL;
         w = mf__walk_next(&walk))
        if (w->token != NULL && owner.len > 0 &&
            memmem(owner.data, owner.len, w->token, strlen(w->token)) != NULL)
            found = w;
    return found;
}

/* The owner key goes with its task, whose deletion comes shortly before: nothing to claim. */
static bool is_gone_too(const Etcd__WatchResponse *answer, size_t index, mf_bytes task)
{
    const int64_t revision = answer->events[index]->kv->mod_revision;

    for (size_t back = 1; back <= 4 && back <= index; back++) {
        const Etcd__Event *before = answer->events[index - back];
        if (before->kv == NULL || before->kv->mod_revision != revision)
            break;
        if (before->type == ETCD__EVENT__EVENT_TYPE__DELETE &&
            mf__bytes_equal(before->kv->key, task))
            return true;
    }
    return false;
}

static void on_task_event(mf_etcd_watch *watch, const Etcd__WatchResponse *answer, size_t index)
{
    const Etcd__Event *event = answer->events[index];
    bool put = event->type == ETCD__EVENT__EVENT_TYPE__PUT;
    mf_bytes id, part;
    bool itself = !mf__key_split(mf__key_rest(watch->etcd, event->kv->key, "tasks/"), &id, &part);

    if (itself) {
        add_hint(watch, put ? HINT_CLAIMABLE : HINT_REMOVED, NULL, id);
    } else if (mf__bytes_are(part, "owner")) {
        mf_bytes task = {.len = event->kv->key.len - part.len - 1, .data = event->kv->key.data};
        if (put)
            add_hint(watch, HINT_TAKEN, owner_of(watch, event->kv->value), id);
        else if (!is_gone_too(answer, index, task)) {
            mf__crashes_suspect(watch->etcd);
            add_hint(watch, HINT_CLAIMABLE, NULL, id);
        }
    }
}

/* "nodes/<name>/commands/<n>" */
static void on_node_event(mf_etcd_watch *watch, const Etcd__Event *event)
{
    static const char commands[] = "commands/";
    mf_bytes name, part;
    mf_walk walk;

    if (event->type != ETCD__EVENT__EVENT_TYPE__PUT ||
        !mf__key_split(mf__key_rest(watch->etcd, event->kv->key, "nodes/"), &name, &part) ||
        part.len < strlen(commands) || memcmp(part.data, commands, strlen(commands)) != 0 ||
        mf__key_is_marker(part))
        return;
    for (mf_watcher *w = mf__walk_begin(&walk, &watch->etcd->watchers); w != NULL;
         w = mf__walk_next(&walk))
        if (w->node != NULL && mf__bytes_are(name, w->node))
            w->command(w);
}

/* One that is not delayed any more may be claimed. */
static void on_delay_event(mf_etcd_watch *watch, const Etcd__Event *event)
{
    mf_bytes id = mf__key_rest(watch->etcd, event->kv->key, parts[WATCH_DELAYS]);

    if (event->type == ETCD__EVENT__EVENT_TYPE__PUT)
        return;
    mf__delays_deleted(watch->etcd);
    add_hint(watch, HINT_CLAIMABLE, NULL, id);
}

static bool is_news(const Etcd__Event *event, int64_t seen)
{
    return event->kv != NULL && event->kv->mod_revision > seen;
}

/* Nodes are told of before the tasks that make them change. */
static void feed_mirror(mf_etcd_watch *watch, const Etcd__WatchResponse *answer, int64_t seen)
{
    for (size_t i = 0; i < answer->n_events; i++)
        if (is_news(answer->events[i], seen))
            mf__etcd_mirror_event(watch->etcd, answer->events[i], &watch->arena);
    mf__etcd_mirror_tell(watch->etcd, &watch->arena);
}

static void on_events(mf_etcd_watch *watch, int which, const Etcd__WatchResponse *answer)
{
    int64_t seen = watch->revisions[which];

    if (watch->reached[which] < seen)
        watch->reached[which] = seen;
    feed_mirror(watch, answer, seen);
    for (size_t i = 0; i < answer->n_events; i++) {
        const Etcd__Event *event = answer->events[i];
        if (!is_news(event, seen))
            continue;
        watch->reached[which] = event->kv->mod_revision;
        if (which == WATCH_TASKS)
            on_task_event(watch, answer, i);
        else if (which == WATCH_NODES)
            on_node_event(watch, event);
        else
            on_delay_event(watch, event);
    }
    if (!answer->fragment) /* else the next one may go on within the same revision */
        watch->revisions[which] = watch->reached[which];
    flush(watch);
}

/* The stream. */

static void begin_anew(mf_etcd_watch *watch)
{
    mf__crashes_suspect(watch->etcd);
    mf__watchers_missed(&watch->etcd->watchers);
    mf__etcd_mirror_reset(watch->etcd);
    memset(watch->revisions, 0, sizeof watch->revisions);
}

static void stop_stream(mf_etcd_watch *watch)
{
    if (mf__grpc_is_under_way(&watch->call))
        mf__grpc_cancel(&watch->call);
    watch->created = 0;
}

static void start_again_in(mf_etcd_watch *watch, int64_t us)
{
    mf_loop *loop = watch->etcd->broker.loop;

    watch->created = 0;
    mf_timer_start(loop, &watch->again, mf_loop_now_us(loop) + us);
}

static void on_cancelled(mf_etcd_watch *watch, const Etcd__WatchResponse *answer)
{
    stop_stream(watch);
    if (answer->compact_revision != 0) {
        mf_log(watch->etcd->broker.loop, MF_LOG_INFO, "etcd",
               "the watch fell behind the compaction at revision %lld: reading everything",
               (long long)answer->compact_revision);
        begin_anew(watch);
        start_again_in(watch, 0);
    } else {
        watch->failed = true;
        mf_error_set(&watch->why, MF_EREFUSED, "watch: %s", answer->cancel_reason);
        mf_log(watch->etcd->broker.loop, MF_LOG_WARN, "etcd", "%s", watch->why.text);
        start_again_in(watch, refused_pause_us);
    }
    mf__etcd_tell_link(watch->etcd);
}

static void on_created(mf_etcd_watch *watch, const Etcd__WatchResponse *answer)
{
    size_t which = watch->created;

    if (which == WATCHES)
        return;
    watch->ids[which] = answer->watch_id;
    if (answer->header != NULL && answer->header->revision < watch->revisions[which]) {
        mf_log(watch->etcd->broker.loop, MF_LOG_INFO, "etcd",
               "the watch has come to an earlier revision: reading everything");
        mf__etcd_watch_begin_anew(watch->etcd); /* up to there it would tell of nothing */
        return;
    }
    if (watch->revisions[which] == 0 && answer->header != NULL)
        watch->revisions[which] = answer->header->revision; /* what follows is told */
    if (++watch->created < WATCHES)
        return;
    watch->failed = false;
    mf__delays_go_on(watch->etcd);
    mf__etcd_tell_link(watch->etcd);
}

static void on_answer(mf_etcd_watch *watch, const Etcd__WatchResponse *answer)
{
    if (answer->canceled) {
        on_cancelled(watch, answer);
        return;
    }
    if (answer->created) {
        on_created(watch, answer);
        return;
    }
    mf__history_see(watch->etcd, answer->header);
    for (size_t i = 0; i < watch->created; i++) {
        if (answer->watch_id != watch->ids[i])
            continue;
        if (answer->n_events > 0)
            on_events(watch, (int)i, answer);
        else if (answer->header != NULL && answer->header->revision > watch->revisions[i])
            watch->revisions[i] = answer->header->revision;
    }
}

static mf_etcd_watch *watch_of(mf_grpc_call *call)
{
    return (mf_etcd_watch *)((char *)call - offsetof(mf_etcd_watch, call));
}

static void on_message(mf_grpc_call *call, const uint8_t *bytes, size_t length)
{
    mf_etcd_watch *watch = watch_of(call);
    Etcd__WatchResponse *answer =
        etcd__watch_response__unpack(&watch->arena.allocator, length, bytes);
    mf_error why;

    if (answer != NULL) {
        on_answer(watch, answer);
    } else {
        mf_error_set(&why, MF_EPROTO, "%s: watch: the answer is not understood",
                     mf__etcd_link_peer(watch->link));
        mf__etcd_link_fail(watch->link, &why);
    }
    mf__arena_clear(&watch->arena);
}

static void on_finished(mf_grpc_call *call, const mf_grpc_status *status)
{
    mf_etcd_watch *watch = watch_of(call);

    mf__etcd_link_stream_ended(watch->link, status, &watch->why);
    if (status->code == MF_GRPC_RESOURCE_EXHAUSTED) {
        mf_log(watch->etcd->broker.loop, MF_LOG_WARN, "etcd",
               "the watch cannot go on, reading everything: %s", watch->why.text);
        begin_anew(watch); /* from where it was, the same would come again */
    }
    start_again_in(watch, pause_us);
}

static int create(mf_etcd_watch *watch, int which)
{
    mf_etcd *etcd = watch->etcd;
    Etcd__WatchRequest request = ETCD__WATCH_REQUEST__INIT;
    Etcd__WatchCreateRequest create = ETCD__WATCH_CREATE_REQUEST__INIT;

    create.key = mf__key(etcd, &watch->arena, "%s", parts[which]);
    create.range_end = mf__bytes_after_prefix(&watch->arena, create.key);
    create.start_revision = watch->revisions[which] != 0 ? watch->revisions[which] + 1 : 0;
    create.progress_notify = true;
    create.fragment = true;
    request.request_union_case = ETCD__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
    request.create_request = &create;
    return mf__etcd_link_message(&watch->call, &request.base);
}

static void start(mf_etcd_watch *watch)
{
    if (watch->etcd->closing || mf__grpc_is_under_way(&watch->call) ||
        !mf__watchers_want_hints(&watch->etcd->watchers) || !mf__etcd_link_is_ready(watch->link))
        return;
    watch->created = 0;
    memcpy(watch->reached, watch->revisions, sizeof watch->reached);
    watch->call.message = on_message;
    watch->call.finished = on_finished;
    int code = mf__etcd_link_stream(watch->link, &watch->call, "/etcdserverpb.Watch/Watch");
    for (int i = 0; i < WATCHES && code == MF_OK; i++)
        code = create(watch, i);
    mf__arena_clear(&watch->arena);
    if (code == MF_OK)
        return;
    stop_stream(watch);
    start_again_in(watch, pause_us);
}

static void on_again(void *arg)
{
    start(arg);
}

/* The link. */

static void on_ready(mf_etcd_link *link, void *arg)
{
    (void)link;
    start(arg);
}

static void on_down(mf_etcd_link *link, const mf_error *why, void *arg)
{
    mf_etcd_watch *watch = arg;

    (void)link;
    watch->created = 0;
    watch->failed = true;
    watch->why = *why;
    mf_timer_stop(watch->etcd->broker.loop, &watch->again);
    mf__etcd_tell_link(watch->etcd);
}

static const mf_etcd_link_events link_events = {.ready = on_ready, .down = on_down};

static mf_etcd_watch *new_watch(mf_etcd *etcd)
{
    mf_etcd_watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL)
        abort(); /* the slot cannot fail */
    watch->etcd = etcd;
    mf__arena_init(&watch->arena);
    mf_timer_init(&watch->again, on_again, watch);
    if (mf__etcd_link_open(&watch->link, etcd->broker.loop, &etcd->settings, &link_events, watch,
                           &watch->why) != MF_OK)
        abort(); /* the same was good for the calls, so there is no memory */
    return watch;
}

void mf__etcd_watch_start(mf_etcd *etcd)
{
    if (etcd->watch == NULL)
        etcd->watch = new_watch(etcd);
    else
        start(etcd->watch);
}

void mf__etcd_watch_pause(mf_etcd *etcd)
{
    mf_etcd_watch *watch = etcd->watch;

    if (watch == NULL)
        return;
    stop_stream(watch);
    begin_anew(watch);
    mf_timer_stop(etcd->broker.loop, &watch->again);
}

void mf__etcd_watch_begin_anew(mf_etcd *etcd)
{
    mf_etcd_watch *watch = etcd->watch;

    if (watch == NULL)
        return;
    stop_stream(watch);
    begin_anew(watch);
    start_again_in(watch, 0);
    mf__etcd_tell_link(etcd);
}

void mf__etcd_watch_close(mf_etcd *etcd)
{
    mf_etcd_watch *watch = etcd->watch;

    if (watch == NULL)
        return;
    mf__etcd_watch_pause(etcd);
    mf__etcd_link_close(watch->link);
    mf__arena_clear(&watch->arena);
    free(watch->run);
    free(watch);
    etcd->watch = NULL;
}

mf_etcd_link *mf__etcd_renewal_link(mf_etcd *etcd)
{
    return etcd->watch != NULL && mf__etcd_link_is_ready(etcd->watch->link) ? etcd->watch->link
                                                                            : etcd->calls;
}
