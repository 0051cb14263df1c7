/* Why a task is where it is: the task is looked up, then the nodes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balancer/plan.h"
#include "client/internal.h"

static const double default_threshold = 1.2;

typedef struct explain_call {
    mf_call call;
    mf_work work; /* `second`: the task is known, the nodes are not */
    mf_placement_fn fn;
    void *arg;
    double threshold;
    mf_placement placement;
    const char *id;
    char owner[256], home[256];
    bool owner_lives, out_of_memory;
    char id_bytes[];
} explain_call;

static void send(mf_broker *broker, mf_work *work)
{
    explain_call *me = (explain_call *)work->call;

    if (work->second) {
        work->request.nodes = (mf_nodes_request){.request = work->request.head};
        broker->operations->nodes(broker, &work->request.nodes);
        return;
    }
    work->request.lookup.ids = &me->id;
    work->request.lookup.id_count = 1;
    broker->operations->lookup(broker, &work->request.lookup);
}

static void take_task(explain_call *me, const mf_task_record *record)
{
    mf_placement *placement = &me->placement;

    placement->code = record->code;
    placement->fence = record->fence;
    placement->crashes = record->crashes;
    placement->set_aside = record->set_aside;
    placement->owner = NULL;
    if (record->owner != NULL) {
        snprintf(me->owner, sizeof me->owner, "%s", record->owner);
        placement->owner = me->owner;
    }
}

static void take_owner(mf_placement *placement, const mf_node *node, double weight,
                       const mf__plan *plan)
{
    placement->held = node->tasks;
    placement->share = mf__plan_share(plan, weight);
    if (weight > 0)
        placement->excess = mf__plan_excess(plan, placement->share, (double)node->tasks);
}

static void take_nodes(explain_call *me, const mf_node *nodes, size_t count)
{
    double *weights = malloc((count + 1) * sizeof *weights);
    mf__plan plan;

    me->out_of_memory = weights == NULL;
    if (me->out_of_memory)
        return;
    for (size_t i = 0; i < count; i++)
        weights[i] = mf__plan_weight(&nodes[i]);
    mf__plan_make(&plan, nodes, weights, count, 0, me->threshold);
    for (size_t i = 0; i < count && me->placement.owner != NULL; i++) {
        if (strcmp(nodes[i].name, me->owner) != 0)
            continue;
        me->owner_lives = true;
        take_owner(&me->placement, &nodes[i], weights[i], &plan);
    }
    free(weights);
    size_t home = mf_balance_home(nodes, count, me->id);
    if (home < count) {
        snprintf(me->home, sizeof me->home, "%s", nodes[home].name);
        me->placement.home = me->home;
    }
}

static bool answered(mf_work *work)
{
    explain_call *me = (explain_call *)work->call;

    if (work->second) {
        take_nodes(me, work->request.nodes.nodes, work->request.nodes.count);
        return false;
    }
    take_task(me, &work->request.lookup.records[0]);
    work->second = true;
    return true;
}

/* The sentence. */

static void describe_owner(const explain_call *me, char *text, size_t size)
{
    const mf_placement *it = &me->placement;

    if (it->set_aside)
        snprintf(text, size, "set aside after %u crashes until it is revived", it->crashes);
    else if (it->owner == NULL)
        snprintf(text, size, "no node has it");
    else if (!me->owner_lives)
        snprintf(text, size, "node %.255s has it, which is not live: its lease must end first",
                 it->owner);
    else
        snprintf(text, size,
                 "node %.255s has it and %llu in all, its share is %.1f, a balance would take "
                 "%.0f from it",
                 it->owner, (unsigned long long)it->held, it->share, it->excess);
}

static void describe(explain_call *me)
{
    mf_placement *it = &me->placement;
    char owner[400];

    if (it->code == MF_EGONE) {
        snprintf(it->text, sizeof it->text, "there is no such task");
        return;
    }
    describe_owner(me, owner, sizeof owner);
    snprintf(it->text, sizeof it->text, "%s%s; %s%s", owner,
             it->code == MF_EDAMAGED ? ", and its record is damaged" : "",
             it->home == NULL ? "no live node takes tasks" : "its home is ",
             it->home == NULL ? "" : it->home);
}

static void finish(mf_call *call, const mf_error *error)
{
    explain_call *me = (explain_call *)call;
    mf_error no_memory;

    if (error == NULL && me->out_of_memory) {
        mf__client_no_memory(&no_memory);
        error = &no_memory;
    }
    if (error == NULL)
        describe(me);
    if (me->fn != NULL)
        me->fn(error, error == NULL ? &me->placement : NULL, me->arg);
}

static const mf_call_kind kind = {
    .send = send,
    .answered = answered,
    .finish = finish,
};

int mf_client_explain(mf_client *client, const char *id, double threshold, mf_placement_fn fn,
                      void *arg, mf_error *error)
{
    size_t bytes;

    if (threshold == 0)
        threshold = default_threshold;
    if (!(threshold >= 1 && threshold <= 100))
        return mf_error_set(error, MF_EINVAL, "threshold: not from 1 to 100");
    if (mf__client_check_ids(&id, 1, &bytes, error) != MF_OK)
        return MF_EINVAL;
    explain_call *me = calloc(1, sizeof *me + bytes);
    if (me == NULL)
        return mf__client_no_memory(error);
    me->call.works = &me->work;
    me->call.work_count = 1;
    me->fn = fn;
    me->arg = arg;
    me->threshold = threshold;
    me->id = me->placement.id = memcpy(me->id_bytes, id, bytes);
    mf__client_start(client, &me->call, &kind);
    return MF_OK;
}
