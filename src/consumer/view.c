/* The nodes as one of them knows them. */
#include "consumer/view.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include <metafora/error.h>

/* While counts change all the time, balancers need not compute everything anew each time. */
static const int64_t version_life_us = 100000;
/* Hints that belong together come together. */
static const int64_t hints_apart_us = 200000;

struct mf__view_entry {
    UT_hash_handle hh;
    size_t index;
    uint64_t seen;   /* by which of the full views */
    int64_t told_us; /* when a hint last told of it */
    bool gone;       /* and waited for */
    char name[];
};

static mf__view_entry *find(const mf__view *view, const char *name)
{
    mf__view_entry *entry;
    HASH_FIND(hh, view->by_name, name, strlen(name), entry);
    return entry;
}

static int grow(mf__view *view)
{
    size_t size = view->size != 0 ? view->size * 2 : 16;
    mf_node *nodes = realloc(view->nodes, size * sizeof *nodes);
    if (nodes != NULL)
        view->nodes = nodes;
    int64_t *expected = realloc(view->expected_us, size * sizeof *expected);
    if (expected != NULL)
        view->expected_us = expected;
    mf__view_entry **entries = realloc(view->entries, size * sizeof(mf__view_entry *));
    if (entries != NULL)
        view->entries = entries;
    if (nodes == NULL || expected == NULL || entries == NULL)
        return MF_ENOMEM;
    view->size = size;
    return MF_OK;
}

static void new_version(mf__view *view, int64_t now_us)
{
    view->version++;
    view->version_us = now_us;
    view->stale = false;
}

/* NULL: there is no memory for one more; the next full view tries again. */
static mf__view_entry *add(mf__view *view, const char *name)
{
    size_t length = strlen(name);
    mf__view_entry *entry = calloc(1, sizeof *entry + length + 1);

    if (entry == NULL || (view->count == view->size && grow(view) != MF_OK)) {
        free(entry);
        return NULL;
    }
    memcpy(entry->name, name, length + 1);
    HASH_ADD_KEYPTR(hh, view->by_name, entry->name, length, entry);
    if (entry->hh.tbl == NULL) {
        free(entry);
        return NULL;
    }
    entry->index = view->count++;
    view->entries[entry->index] = entry;
    view->nodes[entry->index] = (mf_node){.name = entry->name};
    view->expected_us[entry->index] = 0;
    view->members++;
    return entry;
}

static void take_out(mf__view *view, mf__view_entry *entry)
{
    size_t last = --view->count, index = entry->index;

    view->entries[index] = view->entries[last];
    view->entries[index]->index = index;
    view->nodes[index] = view->nodes[last];
    view->expected_us[index] = view->expected_us[last];
    if (view->self == last)
        view->self = index;
    HASH_DEL(view->by_name, entry);
    free(entry);
    view->members++;
}

/* A node that is gone but will be back stays, without tasks. */
static bool forget(mf__view *view, mf__view_entry *entry, int64_t now_us)
{
    mf_node *node = &view->nodes[entry->index];

    if (entry->index == view->self)
        return false;
    if (view->expected_us[entry->index] > now_us) {
        entry->gone = true;
        node->tasks = 0;
        return false;
    }
    take_out(view, entry);
    return true;
}

static void expect(mf__view *view, size_t index, int64_t until_us)
{
    view->expected_us[index] = until_us;
    if (until_us != 0 && until_us < view->first_expected_us)
        view->first_expected_us = until_us;
}

static bool set(mf__view *view, const mf_node *node, uint64_t seen, int64_t now_us)
{
    mf__view_entry *entry = find(view, node->name);
    bool is_new = entry == NULL;

    if (is_new && (entry = add(view, node->name)) == NULL)
        return false;
    entry->seen = seen;
    entry->gone = false;
    mf_node *known = &view->nodes[entry->index];
    bool changed = is_new || known->weight != node->weight;
    view->returned |= changed && node->weight >= 0 && view->expected_us[entry->index] != 0;
    view->stale |= known->tasks != node->tasks;
    known->tasks = node->tasks;
    known->weight = node->weight;
    if (changed)
        expect(view, entry->index, node->weight < 0 ? now_us + view->grace_us : 0);
    return changed;
}

/* Of a node that will be back, a hint is about to be taken in. */
static void note_left(mf__view *view, const mf__view_entry *entry, const mf_node *node,
                      int64_t now_us)
{
    const mf_node *known = &view->nodes[entry->index];

    if (view->expected_us[entry->index] > now_us && node->weight < 0 && known->tasks > node->tasks)
        view->left = (mf__left){
            .by = entry->hh.hashv,
            .count = known->tasks - node->tasks,
            .told_us = now_us,
            .until_us = view->expected_us[entry->index],
        };
}

const mf__left *mf__view_left(const mf__view *view, size_t count, int64_t now_us)
{
    bool is_of_it = view->left.count == count && now_us - view->left.told_us <= hints_apart_us;
    return is_of_it ? &view->left : NULL;
}

bool mf__view_expects(const mf__view *view, uint32_t by)
{
    for (size_t i = 0; i < view->count; i++)
        if (view->expected_us[i] != 0 && view->entries[i]->hh.hashv == by)
            return true;
    return false;
}

bool mf__view_update(mf__view *view, const mf_node *node, bool gone, int64_t now_us)
{
    mf__view_entry *entry = find(view, node->name);
    bool changed;

    view->left.count = 0;
    if (entry != NULL && entry->index == view->self)
        return false;
    if (gone) {
        view->gone_us = now_us;
        changed = entry != NULL && forget(view, entry, now_us);
    } else {
        if (entry != NULL)
            note_left(view, entry, node, now_us);
        changed = set(view, node, entry != NULL ? entry->seen : 0, now_us);
        if ((entry = find(view, node->name)) != NULL)
            entry->told_us = now_us;
    }
    if (changed)
        new_version(view, now_us);
    return changed;
}

bool mf__view_is_doubtful(const mf__view *view, int64_t asked_us)
{
    return view->gone_us >= asked_us;
}

bool mf__view_replace(mf__view *view, const mf_node *nodes, size_t count, int64_t asked_us,
                      int64_t now_us)
{
    uint64_t seen = view->entries[view->self]->seen + 1;
    bool changed = false;

    view->entries[view->self]->seen = seen;
    for (size_t i = 0; i < count; i++) {
        mf__view_entry *entry = find(view, nodes[i].name);
        if (entry == NULL || (entry->index != view->self && entry->told_us < asked_us))
            changed |= set(view, &nodes[i], seen, now_us);
    }
    for (size_t i = view->count; i-- > 0;)
        if (view->entries[i]->seen != seen && view->entries[i]->told_us < asked_us)
            changed |= forget(view, view->entries[i], now_us);
    new_version(view, now_us);
    return changed;
}

/* Those that were waited for in vain do not count any more. */
static bool give_up_waiting(mf__view *view, int64_t now_us)
{
    bool changed = false;

    view->first_expected_us = INT64_MAX;
    for (size_t i = view->count; i-- > 0;) {
        int64_t until = view->expected_us[i];
        if (until > now_us) {
            expect(view, i, until);
        } else if (until != 0) {
            view->expected_us[i] = 0;
            changed = true;
            if (view->entries[i]->gone)
                take_out(view, view->entries[i]);
        }
    }
    return changed;
}

void mf__view_refresh(mf__view *view, uint64_t own_tasks, int64_t now_us)
{
    bool changed = false;

    view->nodes[view->self].tasks = own_tasks;
    if (now_us >= view->first_expected_us)
        changed = give_up_waiting(view, now_us);
    if (changed || (view->stale && now_us - view->version_us >= version_life_us))
        new_version(view, now_us);
}

void mf__view_set_weight(mf__view *view, double weight)
{
    view->nodes[view->self].weight = weight;
    view->version++;
}

int mf__view_init(mf__view *view, const char *self, double weight, int64_t grace_us)
{
    *view = (mf__view){.grace_us = grace_us, .first_expected_us = INT64_MAX};
    if (add(view, self) == NULL)
        return MF_ENOMEM;
    view->nodes[0].weight = weight;
    view->version = 1;
    return MF_OK;
}

void mf__view_clear(mf__view *view)
{
    mf__view_entry *entry, *next;

    HASH_ITER(hh, view->by_name, entry, next)
    {
        HASH_DEL(view->by_name, entry);
        free(entry);
    }
    free(view->nodes);
    free(view->expected_us);
    free(view->entries);
    *view = (mf__view){0};
}
