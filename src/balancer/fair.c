/* The fair balancer: every node holds its share by weight.
 *
 * Claiming. A task that appears is claimed at once by one node: the first in the task's own order
 * of the nodes (weighted rendezvous hashing), which all nodes compute alike from the names. Nodes
 * that the last view shows to be ahead of their share are left out, as long as those behind have
 * room. Later ones in the order hold back, the longer the later they come; what nobody has taken by
 * then they claim, so that nothing waits for longer than a second.
 *
 * Releasing. A node above `threshold` times its share gives up all that exceeds its share rounded
 * up. Since shares add up to the total, the others have room for that together below their own
 * shares rounded up; so none has to give up in turn what it took, and all overloaded nodes can do
 * this at once without knowing of each other. */
#include <stdlib.h>
#include <string.h>

#include "balancer/balancer.h"

/* Holding back, in microseconds. */
enum {
    STEP_US = 50000,    /* from one place in a task's order to the next, for the first ones */
    STEPPED_PLACES = 4, /* the others share what is left of the second */
    SPREAD_US = 500000,
    NO_ROOM_US = 300000 /* on top, for a node that has its share */
};

/* Tasks that are given up are in no node's count until someone has claimed them: the total is the
 * highest one seen in this time. */
static const int64_t total_life_us = INT64_C(10000000);

typedef struct fair {
    double threshold;

    /* The last view, and what was computed from it. */
    uint64_t view;
    const mf_node *nodes;
    size_t node_count;
    uint64_t *hashes; /* of the names */
    size_t held_then; /* by this node when the view came */
    double total_then, weight;
    double highest_total;
    int64_t highest_us;

    /* The last release, to learn whether it was of use. */
    size_t released;
    double others_then;
    bool in_vain; /* nobody else took what was given up: a frozen node is not room */
} fair;

/* FNV-1a, the same on every node. */
static uint64_t hash_text(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* -log2 of a hash as a number in (0, 1), to within a hundredth. */
static double negative_log(uint64_t hash)
{
    hash |= 1;
    int zeros = __builtin_clzll(hash);
    double f = (double)(hash << zeros) * 0x1p-63 - 1; /* the mantissa, 0 to 1 */
    return (double)zeros + 1 - f - 0.3465735903 * f * (1 - f);
}

/* A weight from the broker may be anything. */
static double weight_of(const mf_node *node)
{
    return node->weight > 0 && node->weight < 1e12 ? node->weight : 0;
}

static size_t round_up(double number)
{
    number -= number * 1e-9; /* 1.0000000000000002 is 1 */
    size_t whole = (size_t)number;
    return whole + ((double)whole < number);
}

/* A node's part of so many tasks. */
static double share_of(const fair *me, const mf_node *node, double total)
{
    if (me->weight <= 0)
        return total / (double)me->node_count;
    return total * weight_of(node) / me->weight;
}

static void take_view(fair *me, const mf_balance *balance, const mf_node *nodes, size_t count)
{
    int64_t now = mf_balance_now_us(balance);
    uint64_t *hashes = realloc(me->hashes, count * sizeof *hashes);

    if (hashes != NULL) {
        me->hashes = hashes;
        for (size_t i = 0; i < count; i++)
            hashes[i] = hash_text(nodes[i].name);
    } else {
        free(me->hashes);
        me->hashes = NULL;
    }
    me->nodes = nodes;
    me->node_count = count;
    me->held_then = mf_balance_held(balance);
    me->total_then = me->weight = 0;
    for (size_t i = 0; i < count; i++) {
        bool own = i == mf_balance_self(balance);
        me->total_then += (double)(own ? me->held_then : nodes[i].tasks);
        me->weight += weight_of(&nodes[i]);
    }
    if (me->total_then >= me->highest_total || now - me->highest_us > total_life_us) {
        me->highest_total = me->total_then;
        me->highest_us = now;
    }
}

static void see(fair *me, const mf_balance *balance)
{
    size_t count;
    const mf_node *nodes = mf_balance_nodes(balance, &count);

    if (mf_balance_view(balance) == me->view && me->nodes != NULL)
        return;
    me->view = mf_balance_view(balance);
    take_view(me, balance, nodes, count);
}

/* Clearly above its share by the last view, though not so far that it releases. */
static bool is_ahead(const fair *me, const mf_node *node, size_t tasks)
{
    double slack = 1 + (me->threshold - 1) / 2;
    return (double)tasks > share_of(me, node, me->total_then) * slack + 1;
}

/* This node's place in the task's order, among all nodes and among those that are not ahead. */
static void find_place(const fair *me, size_t self, const char *task_id, size_t *among_all,
                       size_t *among_willing)
{
    uint64_t task = hash_text(task_id);

    *among_all = *among_willing = 0;
    if (me->hashes == NULL)
        return;
    uint64_t own = mix(task ^ me->hashes[self]);
    double own_weight = weight_of(&me->nodes[self]);
    for (size_t i = 0; i < me->node_count; i++) {
        uint64_t other = mix(task ^ me->hashes[i]);
        double weight = weight_of(&me->nodes[i]);
        bool before = weight == own_weight
                          ? other > own
                          : weight * negative_log(own) > own_weight * negative_log(other);
        if (i == self || !before)
            continue;
        ++*among_all;
        *among_willing += !is_ahead(me, &me->nodes[i], me->nodes[i].tasks);
    }
}

static int64_t step_us(const fair *me, size_t place)
{
    if (place <= STEPPED_PLACES)
        return (int64_t)place * STEP_US;
    return STEPPED_PLACES * STEP_US +
           (int64_t)((place - STEPPED_PLACES) * SPREAD_US / (me->node_count - STEPPED_PLACES));
}

static bool has_room(const fair *me, const mf_balance *balance, const mf_node *node)
{
    size_t held = mf_balance_held(balance);
    double others = me->total_then - (double)me->held_then;
    return held < round_up(share_of(me, node, others + (double)held + 1));
}

static bool can_claim(void *payload, const mf_balance *balance, const char *task_id,
                      int64_t *until_us)
{
    fair *me = payload;
    size_t self = mf_balance_self(balance);
    int64_t now = mf_balance_now_us(balance);
    size_t among_all, among_willing;

    see(me, balance);
    if (me->node_count == 1 || (*until_us != 0 && *until_us <= now))
        return true;
    const mf_node *node = &me->nodes[self];
    bool ahead = is_ahead(me, node, me->held_then);
    bool room = !ahead && has_room(me, balance, node);
    find_place(me, self, task_id, &among_all, &among_willing);
    if ((among_all == 0 && !ahead) || (among_willing == 0 && room))
        return true;
    *until_us = now + step_us(me, among_willing) + (room ? 0 : NO_ROOM_US);
    return false;
}

/* What this node holds in excess of its share. */
static size_t excess(const fair *me, const mf_balance *balance)
{
    size_t held = mf_balance_held(balance);
    double now = me->total_then - (double)me->held_then + (double)held;
    double total = now > me->highest_total ? now : me->highest_total;
    double share = share_of(me, &me->nodes[mf_balance_self(balance)], total);
    size_t most = round_up(share);

    return (double)held > share * me->threshold && held > most ? held - most : 0;
}

/* Of `count` tasks any `wanted`, each set of them equally likely (Knuth, algorithm S). */
static void release_some(mf_balance *balance, size_t count, size_t wanted)
{
    for (size_t i = 0; wanted != 0 && i < count; i++) {
        if (mf_balance_random(balance) % (count - i) >= wanted)
            continue;
        mf_balance_release(balance, mf_balance_task(balance, i));
        wanted--;
    }
}

static void balance_all(void *payload, mf_balance *balance)
{
    fair *me = payload;
    size_t count = 0;

    see(me, balance);
    size_t wanted = excess(me, balance);
    double others = me->total_then - (double)me->held_then;
    if (me->released != 0)
        me->in_vain = others < me->others_then + (double)me->released / 2;
    me->in_vain &= wanted != 0;
    if (me->in_vain)
        wanted = 1; /* to find out whether someone takes it now */
    while (mf_balance_task(balance, count) != NULL)
        count++;
    if (wanted > count)
        wanted = count;
    me->released = wanted;
    me->others_then = others;
    release_some(balance, count, wanted);
}

static void free_fair(void *payload)
{
    fair *me = payload;
    free(me->hashes);
    free(me);
}

mf_balancer mf_balancer_fair(double threshold)
{
    if (!(threshold >= 1 && threshold <= 100))
        return mf__balancer_failed(MF_EINVAL);
    fair *me = calloc(1, sizeof *me);
    if (me == NULL)
        return mf__balancer_failed(MF_ENOMEM);
    me->threshold = threshold;
    return (mf_balancer){
        .version = MF_BALANCER_VERSION,
        .can_claim = can_claim,
        .balance = balance_all,
        .free = free_fair,
        .payload = me,
    };
}
