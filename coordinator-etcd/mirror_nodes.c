/* The nodes of a mirror, and the leases by which their tasks are counted: those that a node's owner
 * keys are on. */
#include "mirror.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct mf_mirror_lease {
    UT_hash_handle hh;
    int64_t id;
    uint64_t tasks;
    mf_mirror_node *node; /* NULL: not known */
    bool seen;
};

struct mf_mirror_node {
    UT_hash_handle hh;
    mf_mirror_node *next_changed;
    double weight;
    uint64_t tasks; /* on its leases */
    size_t leases;
    bool there, seen, changed;
    char name[];
};

/* Nodes. */

static mf_mirror_node *find_node(const mf_mirror *mirror, const char *name)
{
    mf_mirror_node *node;

    HASH_FIND(hh, mirror->nodes, name, strlen(name), node);
    return node;
}

static mf_mirror_node *node_of(mf_mirror *mirror, const char *name)
{
    mf_mirror_node *node = find_node(mirror, name);
    size_t length = strlen(name);

    if (node != NULL)
        return node;
    node = calloc(1, sizeof *node + length + 1);
    if (node != NULL) {
        memcpy(node->name, name, length + 1);
        HASH_ADD_KEYPTR(hh, mirror->nodes, node->name, length, node);
        if (node->hh.tbl != NULL)
            return node;
    }
    free(node);
    mirror->broken = true;
    return NULL;
}

static void forget_node(mf_mirror *mirror, mf_mirror_node *node)
{
    if (node->there || node->seen || node->changed || node->leases > 0)
        return;
    HASH_DEL(mirror->nodes, node);
    free(node);
}

static void change(mf_mirror *mirror, mf_mirror_node *node)
{
    if (node->changed)
        return;
    node->changed = true;
    node->next_changed = mirror->changed;
    mirror->changed = node;
}

void mf__mirror_set_node(mf_mirror *mirror, mf_mirror_source source, const mf_node *found,
                         bool there)
{
    mf_mirror_node *node = find_node(mirror, found->name);

    if (node == NULL && (there || mirror->listing_nodes))
        node = node_of(mirror, found->name);
    if (node == NULL || (source == MF_MIRROR_LISTED && node->seen))
        return;
    if (node->there != there || (there && node->weight != found->weight))
        change(mirror, node);
    node->seen = mirror->listing_nodes;
    node->there = there;
    node->weight = found->weight;
    forget_node(mirror, node);
}

uint64_t mf__mirror_count(const mf_mirror *mirror, const char *name)
{
    const mf_mirror_node *node = find_node(mirror, name);

    return node != NULL ? node->tasks : 0;
}

size_t mf__mirror_live_nodes(const mf_mirror *mirror)
{
    size_t count = 0;

    for (const mf_mirror_node *node = mirror->nodes; node != NULL; node = node->hh.next)
        count += node->there;
    return count;
}

bool mf__mirror_take_changed(mf_mirror *mirror, mf_arena *arena, mf_node *out, bool *gone)
{
    mf_mirror_node *node = mirror->changed;

    if (node == NULL)
        return false;
    mirror->changed = node->next_changed;
    node->changed = false;
    size_t size = strlen(node->name) + 1;
    *out = (mf_node){.name = memcpy(mf__arena_take(arena, size), node->name, size),
                     .tasks = node->tasks,
                     .weight = node->weight};
    *gone = !node->there;
    forget_node(mirror, node);
    return true;
}

void mf__mirror_change_all(mf_mirror *mirror)
{
    for (mf_mirror_node *node = mirror->nodes; node != NULL; node = node->hh.next)
        if (node->there)
            change(mirror, node);
}

/* Leases. */

static mf_mirror_lease *find_lease(const mf_mirror *mirror, int64_t id)
{
    mf_mirror_lease *lease;

    HASH_FIND(hh, mirror->leases, &id, sizeof id, lease);
    return lease;
}

static mf_mirror_lease *lease_of(mf_mirror *mirror, int64_t id)
{
    mf_mirror_lease *lease = find_lease(mirror, id);

    if (lease != NULL)
        return lease;
    lease = calloc(1, sizeof *lease);
    if (lease != NULL) {
        lease->id = id;
        HASH_ADD(hh, mirror->leases, id, sizeof lease->id, lease);
        if (lease->hh.tbl != NULL)
            return lease;
    }
    free(lease);
    mirror->broken = true;
    return NULL;
}

static void forget_lease(mf_mirror *mirror, mf_mirror_lease *lease)
{
    mf_mirror_node *node = lease->node;

    HASH_DEL(mirror->leases, lease);
    free(lease);
    if (node != NULL) {
        node->leases--;
        forget_node(mirror, node);
    }
}

static void count(mf_mirror *mirror, mf_mirror_lease *lease, uint64_t more)
{
    lease->tasks += more; /* or less, modulo 2^64 */
    if (lease->node == NULL)
        return;
    lease->node->tasks += more;
    if (lease->node->there)
        change(mirror, lease->node);
}

mf_mirror_lease *mf__mirror_lease_add(mf_mirror *mirror, int64_t id)
{
    mf_mirror_lease *lease = lease_of(mirror, id);

    if (lease != NULL)
        count(mirror, lease, 1);
    return lease;
}

int64_t mf__mirror_lease_id(const mf_mirror_lease *lease)
{
    return lease->id;
}

void mf__mirror_lease_drop(mf_mirror *mirror, mf_mirror_lease *lease)
{
    count(mirror, lease, UINT64_MAX);
    if (lease->tasks == 0 && (lease->node == NULL || !lease->node->there))
        forget_lease(mirror, lease);
}

bool mf__mirror_has_name(const mf_mirror *mirror, int64_t id)
{
    const mf_mirror_lease *lease = find_lease(mirror, id);

    return lease != NULL && lease->node != NULL;
}

/* A lease never passes from one node to another. */
void mf__mirror_name_lease(mf_mirror *mirror, int64_t id, const char *name)
{
    mf_mirror_lease *lease = lease_of(mirror, id);
    mf_mirror_node *node = lease != NULL && lease->node == NULL ? node_of(mirror, name) : NULL;

    if (lease != NULL)
        lease->seen = mirror->listing_nodes;
    if (node == NULL)
        return;
    lease->node = node;
    node->leases++;
    node->tasks += lease->tasks;
    if (node->there && lease->tasks > 0)
        change(mirror, node);
}

/* Listings. */

void mf__mirror_begin_nodes(mf_mirror *mirror)
{
    for (mf_mirror_node *node = mirror->nodes; node != NULL; node = node->hh.next)
        node->seen = false;
    for (mf_mirror_lease *lease = mirror->leases; lease != NULL; lease = lease->hh.next)
        lease->seen = false;
    mirror->listing_nodes = true;
}

void mf__mirror_end_nodes(mf_mirror *mirror)
{
    mf_mirror_lease *lease, *next_lease;
    mf_mirror_node *node, *next_node;

    mirror->listing_nodes = false;
    HASH_ITER(hh, mirror->leases, lease, next_lease)
    {
        if (!lease->seen && lease->tasks == 0)
            forget_lease(mirror, lease);
        else
            lease->seen = false;
    }
    HASH_ITER(hh, mirror->nodes, node, next_node)
    {
        if (!node->seen && node->there) {
            node->there = false;
            change(mirror, node);
        }
        node->seen = false;
        forget_node(mirror, node);
    }
}

void mf__mirror_clear_nodes(mf_mirror *mirror)
{
    mf_mirror_lease *lease, *next_lease;
    mf_mirror_node *node, *next_node;

    HASH_ITER(hh, mirror->leases, lease, next_lease)
    {
        HASH_DEL(mirror->leases, lease);
        free(lease);
    }
    HASH_ITER(hh, mirror->nodes, node, next_node)
    {
        HASH_DEL(mirror->nodes, node);
        free(node);
    }
}
