/* The consumer's side of balancing: the view of the nodes, and when the balancer is asked. */
#include <stdlib.h>
#include <string.h>

#include "consumer/balance.h"
#include "consumer/internal.h"

/* The tasks that a balancer may give up, and those that it has. */
typedef struct balancing {
    mf_task **tasks;
    size_t count;
    mf_task **released;
    size_t released_count;
} balancing;

size_t mf__balancing_held(const mf_consumer *me)
{
    return me->statistics.running - me->statistics.stopping + me->statistics.claiming;
}

static mf_task *task_at(const mf_balance *balance, size_t index)
{
    const balancing *b = balance->arg;
    return index < b->count ? b->tasks[index] : NULL;
}

static void release(mf_balance *balance, mf_task *task)
{
    balancing *b = balance->arg;

    if (task->given_up || b->released_count == b->count)
        return;
    task->given_up = true;
    b->released[b->released_count++] = task;
}

static mf_balance context(mf_consumer *me, balancing *b)
{
    size_t held = mf__balancing_held(me);

    me->nodes[me->self].tasks = held;
    return (mf_balance){
        .loop = me->loop,
        .nodes = me->nodes,
        .node_count = me->node_count,
        .self = me->self,
        .view = me->views,
        .held = held,
        .task = task_at,
        .release = release,
        .arg = b,
    };
}

bool mf__balancing_can_claim(mf_consumer *me, mf_task *task, int64_t *until_us)
{
    balancing none = {0};
    mf_balance balance = context(me, &none);
    int64_t now = mf_loop_now_us(me->loop);

    *until_us = task->timer.due_us;
    if (me->balancer.can_claim(me->balancer.payload, &balance, task->id, until_us))
        return true;
    if (*until_us <= now)
        *until_us = now + 1000000;
    return false;
}

static void collect(mf_consumer *me, balancing *b)
{
    for (size_t i = 0; i < me->running_count; i++)
        if (mf__task_stop_reason(me->running[i]) == MF_STOP_NONE)
            b->tasks[b->count++] = me->running[i];
}

static void balance(mf_consumer *me)
{
    balancing b = {0};

    if (me->balancer.balance == NULL || me->draining || me->running_count == 0)
        return;
    b.tasks = calloc(me->running_count * 2, sizeof *b.tasks);
    if (b.tasks == NULL)
        return;
    b.released = b.tasks + me->running_count;
    collect(me, &b);
    mf_balance all = context(me, &b);
    me->balancer.balance(me->balancer.payload, &all);
    me->statistics.balance_releases += b.released_count;
    for (size_t i = 0; i < b.released_count; i++) {
        b.released[i]->given_up = false;
        mf__task_stop(b.released[i], MF_STOP_BALANCE);
    }
    free(b.tasks);
}

/* Balancing goes by a fresh view. */
void mf_consumer_balance(mf_consumer *me)
{
    me->balance_wanted = true;
    mf__coordinator_refresh_view(me->coordinator);
}

static int64_t next_balance_us(mf_consumer *me)
{
    int64_t fifth = me->balance_interval_us / 5;
    return mf_loop_now_us(me->loop) + me->balance_interval_us - fifth +
           (int64_t)(mf_loop_random(me->loop) % (uint64_t)(2 * fifth + 1));
}

static void on_balance_timer(void *arg)
{
    mf_consumer *me = arg;

    mf_consumer_balance(me);
    mf_timer_start(me->loop, &me->balance_timer, next_balance_us(me));
}

/* A node list in one block, names included, with this node in it. */
static mf_node *copy_nodes(const mf_consumer *me, const mf_node *nodes, size_t *count)
{
    size_t bytes = (*count + 1) * sizeof *nodes;
    bool has_self = false;

    for (size_t i = 0; i < *count; i++) {
        bytes += strlen(nodes[i].name) + 1;
        has_self |= strcmp(nodes[i].name, me->name) == 0;
    }
    mf_node *copy = malloc(bytes);
    if (copy == NULL)
        return NULL;
    char *names = (char *)(copy + *count + 1);
    for (size_t i = 0; i < *count; i++) {
        copy[i] = nodes[i];
        copy[i].name = names;
        names = stpcpy(names, nodes[i].name) + 1;
    }
    if (!has_self)
        copy[(*count)++] = (mf_node){.name = me->name, .weight = me->weight};
    return copy;
}

static void remember(mf_consumer *me, const mf_node *nodes, size_t count)
{
    mf_node *copy = copy_nodes(me, nodes, &count);

    if (copy == NULL)
        return;
    free(me->nodes);
    me->nodes = copy;
    me->views++;
    me->node_count = count;
    for (me->self = 0; strcmp(copy[me->self].name, me->name) != 0; me->self++)
        ;
}

void mf__balancing_view(mf_consumer *me, const mf_node *nodes, size_t count)
{
    remember(me, nodes, count);
    if (!me->viewed) {
        me->viewed = true;
        mf__offers_pump_soon(me);
    }
    if (me->balance_wanted) {
        me->balance_wanted = false;
        balance(me);
    }
}

int mf__balancing_start(mf_consumer *me)
{
    remember(me, NULL, 0);
    if (me->nodes == NULL)
        return MF_ENOMEM;
    mf_timer_init(&me->balance_timer, on_balance_timer, me);
    return mf_timer_start(me->loop, &me->balance_timer, next_balance_us(me));
}

void mf__balancing_stop(mf_consumer *me)
{
    mf_timer_stop(me->loop, &me->balance_timer);
}
