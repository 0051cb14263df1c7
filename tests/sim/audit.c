/* What the broker has stored, beside what is true: G3, G5, and that its indexes
 * agree. */
#include <stdlib.h>
#include <string.h>

#include "sim_internal.h"

/* The listings are taken at one moment: requests of a handle are carried out
 * at once, and only their answers come a little later. */
typedef struct audit {
    sim *sim;
    mf_page_request tasks, claimable;
    mf_states_request states;
    bool *claimable_now; /* by task */
    int64_t at_us;
} audit;

static void check_task(audit *a, const truth *t, const mf_task_record *record)
{
    sim *s = a->sim;
    size_t index = (size_t)(t - s->truths);
    /* The claim on a removed task stays in force until its lease has ended. */
    bool may_wait = t->removed_us != 0 && a->at_us - t->removed_us <= (SIM_LEASE_MS + 100) * 1000;

    if (record == NULL && t->exists)
        sim_violated(s, "G3: task %s is not in the broker any more", t->id);
    if (record != NULL && !t->exists)
        sim_violated(s, "G5: task %s is in the broker after its end", t->id);
    if (record != NULL && record->owner == NULL && !a->claimable_now[index] && !may_wait)
        sim_violated(s, "G3: task %s has no owner and is not claimable", t->id);
    if (a->claimable_now[index] && (record == NULL || record->owner != NULL))
        sim_violated(s, "G5: task %s is claimable, and %s", t->id,
                     record == NULL ? "has ended" : "has an owner");
}

static void on_tasks(mf_request *request)
{
    audit *a = request->arg;
    sim *s = a->sim;
    const mf_task_record **records = calloc((size_t)s->options.tasks, sizeof *records);

    for (size_t i = 0; i < a->tasks.count; i++)
        records[truth_of(s, a->tasks.records[i].id) - s->truths] = &a->tasks.records[i];
    for (int i = 0; i < s->options.tasks; i++)
        check_task(a, &s->truths[i], records[i]);
    free(records);
    free(a->claimable_now);
    free(a);
}

static void on_claimable(mf_request *request)
{
    audit *a = request->arg;

    for (size_t i = 0; i < a->claimable.count; i++)
        a->claimable_now[truth_of(a->sim, a->claimable.records[i].id) - a->sim->truths] = true;
}

/* No state is there that no owner has written. */
static void on_states(mf_request *request)
{
    audit *a = request->arg;
    sim *s = a->sim;
    const mf_document **documents = calloc((size_t)s->options.tasks, sizeof *documents);

    for (size_t i = 0; i < a->states.count; i++)
        documents[truth_of(s, a->states.documents[i].id) - s->truths] = &a->states.documents[i];
    for (int i = 0; i < s->options.tasks; i++)
        if (!stateful_is_state(&s->truths[i], documents[i]))
            sim_violated(s, "G5: the state of task %s is not its owner's last", s->truths[i].id);
    free(documents);
}

void audit_now(sim *s)
{
    audit *a = calloc(1, sizeof *a);

    a->sim = s;
    a->at_us = sim_now_us(s);
    a->claimable_now = calloc((size_t)s->options.tasks, sizeof *a->claimable_now);
    a->claimable.request = (mf_request){.done = on_claimable, .arg = a};
    a->states.request = (mf_request){.done = on_states, .arg = a};
    a->tasks.request = (mf_request){.done = on_tasks, .arg = a};
    a->claimable.limit = a->tasks.limit = a->states.limit = (size_t)s->options.tasks + 1;
    s->report->audits++;
    s->direct->operations->claimable(s->direct, &a->claimable);
    s->direct->operations->states(s->direct, &a->states);
    s->direct->operations->tasks(s->direct, &a->tasks);
}
