/* The mirror's place in the driver: what feeds it, and what it tells.
 *
 * With it, finding every task that can be claimed and counting what each node holds take no reading
 * of all keys, which costs etcd a second or more for 100,000 tasks. Nothing is lost by that:
 * - It is complete as of the moment of a listing of everything, read while the watch was on.
 * - The watch tells of every later change, in order, or it says that it cannot: a stream that
 * breaks goes on behind the last revision that was seen, and when that has been compacted, or when
 * nobody has watched for a while, the mirror is emptied, and the next listing reads everything.
 * - While the stream is down nothing is answered from it. The stream shares its connection with the
 *   renewals, so one that has died without a word is found in the time of a renewal.
 * - Should the server lose an event, or stall a watch, in spite of what it promises, the next audit
 *   finds it: a listing of everything once in five minutes, or less often by each where there are
 *   several nodes, since it takes only one that knows of a task to claim it. */
#include <string.h>

#include "delays.h"
#include "document.h"
#include "handle.h"
#include "keys.h"
#include "mail.h"
#include "mirror.h"
#include "mirroring.h"
#include "watch.h"

enum { AUDIT_NODES_MOST = 12 }; /* an hour */

bool mf__etcd_mirror_is_good(const mf_etcd *etcd)
{
    return etcd->mirror.has_tasks && etcd->mirror.has_nodes && mf__etcd_watch_is_on(etcd);
}

/* Listings under way feed it no more. */
void mf__etcd_mirror_reset(mf_etcd *etcd)
{
    mf_etcd_mirror *mirror = &etcd->mirror;

    mf__mirror_clear(&mirror->content);
    mirror->has_tasks = mirror->has_nodes = false;
    mirror->number++;
    mirror->tasks_listing++;
    mirror->nodes_listing++;
}

/* Events. */

static void name_lease(mf_etcd *etcd, const Etcd__KeyValue *owner, mf_arena *arena)
{
    mf_mirror *mirror = &etcd->mirror.content;
    mf_etcd_document found;

    if (owner->lease == 0 || mf__mirror_has_name(mirror, owner->lease) ||
        mf__etcd_document_read(&found, owner->value, arena) != MF_OK)
        return;
    mf__mirror_name_lease(mirror, owner->lease, found.node);
}

static void set_message(mf_etcd *etcd, mf_bytes id, bool put, int64_t revision)
{
    if (put)
        mf__mail_put(etcd, id, revision);
    else
        mf__mail_deleted(etcd, id, revision);
}

/* "tasks/<id>", and of what is below it "owner" and "commands" */
static void set_task_key(mf_etcd *etcd, mf_mirror_source source, const Etcd__KeyValue *key,
                         mf_bytes rest, bool put, mf_arena *arena)
{
    mf_mirror *mirror = &etcd->mirror.content;
    mf_bytes id, part;

    if (mf__key_split(rest, &id, &part)) {
        if (mf__bytes_are(part, "owner"))
            mf__mirror_set_owner(mirror, source, id, put, key->mod_revision, key->lease);
        else if (mf__bytes_are(part, "commands") && mf__key_id(arena, id) != NULL)
            set_message(etcd, id, put, key->mod_revision);
    } else if (!mf__key_is_marker(id) && mf__key_id(arena, id) != NULL) {
        mf__mirror_set_task(mirror, source, id, put,
                            put ? key->create_revision : key->mod_revision);
    }
}

/* "_mf/delayed/<id>" */
static void set_delay_key(mf_etcd *etcd, mf_mirror_source source, const Etcd__KeyValue *key,
                          bool put, mf_arena *arena)
{
    mf_bytes id = mf__key_rest(etcd, key->key, "_mf/delayed/");

    if (id.data != NULL && mf__key_id(arena, id) != NULL)
        mf__mirror_set_delay(&etcd->mirror.content, source, id, put, key->mod_revision,
                             put ? mf__delay_read(etcd, id, key->value) : 0);
}

static void set_key(mf_etcd *etcd, mf_mirror_source source, const Etcd__KeyValue *key, bool put,
                    mf_arena *arena)
{
    mf_bytes rest = mf__key_rest(etcd, key->key, "tasks/");

    if (rest.data != NULL)
        set_task_key(etcd, source, key, rest, put, arena);
    else
        set_delay_key(etcd, source, key, put, arena);
}

/* "nodes/<name>/_metafora" */
static void node_event(mf_etcd *etcd, const Etcd__KeyValue *key, bool put, mf_arena *arena)
{
    mf_bytes rest = mf__key_rest(etcd, key->key, "nodes/"), name, part;
    mf_etcd_document found;

    if (!mf__key_split(rest, &name, &part) || !mf__bytes_are(part, "_metafora"))
        return;
    mf_node node = {.name = mf__key_id(arena, name)};
    if (node.name == NULL)
        return;
    if (mf__etcd_document_read(&found, key->value, arena) != MF_OK)
        found.weight = 1;
    node.weight = found.weight;
    mf__mirror_set_node(&etcd->mirror.content, MF_MIRROR_TOLD, &node, put);
    if (put && key->lease != 0) /* which the nodes of other libraries have for all their keys */
        mf__mirror_name_lease(&etcd->mirror.content, key->lease, node.name);
}

void mf__etcd_mirror_event(mf_etcd *etcd, const Etcd__Event *event, mf_arena *arena)
{
    bool put = event->type == ETCD__EVENT__EVENT_TYPE__PUT;

    if (mf__key_rest(etcd, event->kv->key, "nodes/").data != NULL) {
        node_event(etcd, event->kv, put, arena);
        return;
    }
    set_key(etcd, MF_MIRROR_TOLD, event->kv, put, arena);
    if (put && event->kv->lease != 0 && event->kv->value.len > 0)
        name_lease(etcd, event->kv, arena);
}

static void tell(mf_etcd *etcd, const mf_node *node, bool gone)
{
    mf_walk walk;

    for (mf_watcher *w = mf__walk_begin(&walk, &etcd->watchers); w != NULL;
         w = mf__walk_next(&walk))
        if (w->node_changed != NULL)
            w->node_changed(w, node, gone);
}

void mf__etcd_mirror_tell(mf_etcd *etcd, mf_arena *arena)
{
    mf_mirror *mirror = &etcd->mirror.content;
    mf_node node;
    bool gone;

    if (mirror->broken)
        mf__etcd_mirror_reset(etcd);
    while (mf__etcd_mirror_is_good(etcd) && mf__mirror_take_changed(mirror, arena, &node, &gone))
        tell(etcd, &node, gone);
    mf__delays_go_on(etcd);
}

/* A first listing is complete: what was not told yet is all of it. */
static void complete(mf_etcd *etcd, bool *part, mf_arena *arena)
{
    if (!*part) {
        *part = true;
        mf__mirror_change_all(&etcd->mirror.content);
    }
    mf__etcd_mirror_tell(etcd, arena);
}

/* Tasks. */

static void plan_audit(mf_etcd *etcd)
{
    mf_loop *loop = etcd->broker.loop;
    size_t nodes = mf__mirror_live_nodes(&etcd->mirror.content);
    int64_t period = MF_AUDIT_US;

    if (nodes > 1)
        period *= nodes < AUDIT_NODES_MOST ? (int64_t)nodes : AUDIT_NODES_MOST;
    etcd->mirror.audit_us =
        mf_loop_now_us(loop) + period / 2 + (int64_t)(mf_loop_random(loop) % (uint64_t)period);
}

bool mf__etcd_mirror_wants_tasks(const mf_etcd *etcd)
{
    return mf__etcd_watch_is_on(etcd) &&
           (!etcd->mirror.has_tasks || etcd->mirror.audit_us <= mf_loop_now_us(etcd->broker.loop));
}

/* One that begins takes the place of one that has not ended, which may have been given up. */
unsigned mf__etcd_mirror_begin_tasks(mf_etcd *etcd, const char *cursor)
{
    mf_etcd_mirror *mirror = &etcd->mirror;

    if (cursor[0] != '\0')
        return mirror->content.listing_tasks && strcmp(cursor, mirror->cursor) == 0
                   ? mirror->tasks_listing
                   : 0;
    if (!mf__etcd_mirror_wants_tasks(etcd))
        return 0;
    mf__mirror_begin_tasks(&mirror->content);
    mirror->revision = 0;
    mirror->cursor[0] = '\0';
    if (++mirror->tasks_listing == 0)
        mirror->tasks_listing = 1;
    return mirror->tasks_listing;
}

void mf__etcd_mirror_abandon(mf_etcd *etcd, unsigned number)
{
    if (number == etcd->mirror.tasks_listing)
        etcd->mirror.tasks_listing++;
}

void mf__etcd_mirror_page(mf_etcd *etcd, unsigned number, const Etcd__RangeResponse *page,
                          const char *cursor, mf_arena *arena)
{
    mf_etcd_mirror *mirror = &etcd->mirror;

    if (number == 0 || number != mirror->tasks_listing || page->header == NULL)
        return;
    if (mirror->revision == 0)
        mirror->revision = page->header->revision;
    for (size_t i = 0; i < page->n_kvs; i++)
        set_key(etcd, MF_MIRROR_LISTED, page->kvs[i], true, arena);
    strcpy(mirror->cursor, cursor);
}

void mf__etcd_mirror_end_tasks(mf_etcd *etcd, unsigned number, mf_arena *arena)
{
    mf_etcd_mirror *mirror = &etcd->mirror;
    bool first = !mirror->has_tasks;

    if (number == 0 || number != mirror->tasks_listing)
        return;
    mf__mirror_end_tasks(&mirror->content, mirror->revision);
    plan_audit(etcd);
    complete(etcd, &mirror->has_tasks, arena);
    if (first)
        mf__mailbox_listed(etcd);
}

/* Nodes. */

unsigned mf__etcd_mirror_begin_nodes(mf_etcd *etcd)
{
    if (!mf__etcd_watch_is_on(etcd))
        return 0;
    mf__mirror_begin_nodes(&etcd->mirror.content);
    if (++etcd->mirror.nodes_listing == 0)
        etcd->mirror.nodes_listing = 1;
    return etcd->mirror.nodes_listing;
}

bool mf__etcd_mirror_takes_nodes(const mf_etcd *etcd, unsigned number)
{
    return number != 0 && number == etcd->mirror.nodes_listing;
}

void mf__etcd_mirror_end_nodes(mf_etcd *etcd, mf_arena *arena)
{
    mf__mirror_end_nodes(&etcd->mirror.content);
    complete(etcd, &etcd->mirror.has_nodes, arena);
}
