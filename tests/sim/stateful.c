/* Stateful handlers, messages to their tasks, and what is true of their states: G5 under late
 * writes, and that no state and no message gets lost. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/internal.h"
#include "sim_internal.h"

/* Handlers. */

static void end_run(void *arg)
{
    handling *h = arg;
    mf_task *task = h->task;
    mf_message message = h->message;

    mf_timer_stop(h->life->loop, &h->timer);
    sim_trace(h->life->sim, "%s: run of %s returns %s", h->life->sim->places[h->life->name].name,
              mf_task_id(task), mf_message_text(message.code));
    truth_ends(h);
    mf_task_set_data(task, NULL);
    free(h);
    mf_task_return(task, &message);
}

static void end_in(handling *h, int64_t us)
{
    mf_timer_start(h->life->loop, &h->timer, mf_loop_now_us(h->life->loop) + us);
}

static mf_message some_result(handling *h)
{
    int64_t now = mf_loop_wall_us(h->life->loop);

    switch (sim_pick(h->life->sim, 6)) {
    case 0:
        return mf_message_of(MF_MESSAGE_COMPLETE);
    case 1:
    case 2:
        return mf_message_sleep_until(now + sim_pick(h->life->sim, 10000000));
    case 3:
        return mf_message_error("it went wrong");
    case 4:
        return mf_message_of(MF_MESSAGE_CHECKPOINT);
    default:
        return mf_message_of(MF_MESSAGE_RELEASE);
    }
}

/* G5: what has come to its end does not run again, unless it was told to be forgotten. */
static void on_start(mf_task *task, void *payload)
{
    life *l = payload;
    sim *s = l->sim;
    handling *h = calloc(1, sizeof *h);

    *h = (handling){.life = l, .task = task, .truth = truth_of(s, mf_task_id(task))};
    s->report->runs++;
    sim_trace(s, "%s: run %s, fence %" PRIu64, s->places[l->name].name, h->truth->id,
              mf_task_fence(task));
    if (h->truth->terminal && truth_owns(h) && h->truth->fence == mf_task_fence(task))
        sim_violated(s, "G5: task %s runs although its state is %s", h->truth->id, h->truth->state);
    mf_timer_init(&h->timer, end_run, h);
    mf_task_set_data(task, h);
    truth_runs(h);
    h->message = some_result(h);
    h->ends_itself = sim_pick(s, 4) == 0 && !s->calm;
    if (h->ends_itself)
        end_in(h, sim_pick(s, 20000000));
}

/* As with plain handlers, most return promptly, some late, a few never. */
static void on_message(mf_task *task, const mf_message *message, void *payload)
{
    static const int64_t delays[] = {0, 0, 0, 0, 50000, 500000, 2000000, 8000000};
    life *l = payload;
    sim *s = l->sim;
    handling *h = mf_task_data(task);
    int64_t delay = s->calm ? 0 : delays[sim_pick(s, 8)];

    sim_trace(s, "%s: %s is told to %s", s->places[l->name].name, h->truth->id,
              mf_message_text(message->code));
    h->message = *message;
    if (h->never_ends && !s->calm)
        return;
    h->never_ends = !s->calm && sim_pick(s, 40) == 0;
    if (delay == 0 && !h->never_ends)
        end_run(h);
    else if (!h->never_ends)
        end_in(h, delay);
    else
        mf_timer_stop(l->loop, &h->timer);
}

mf_handler stateful_handler(life *l)
{
    mf_state_options options = MF_STATE_OPTIONS_INIT;

    options.start = on_start;
    options.on_message = on_message;
    options.retry_ms = 5000;
    options.release_pause_ms = 500;
    options.payload = l;
    return mf_stateful_handler(&options);
}

void stateful_end_run(handling *h)
{
    end_run(h);
}

/* The client's. */

void stateful_tell(sim *s)
{
    static const mf_message_code codes[] = {MF_MESSAGE_KILL, MF_MESSAGE_PAUSE, MF_MESSAGE_RUN,
                                            MF_MESSAGE_RUN,  MF_MESSAGE_SLEEP, MF_MESSAGE_RELEASE};
    mf_message message = mf_message_of(codes[sim_pick(s, 6)]);
    const char *id = s->truths[sim_pick(s, s->options.tasks)].id;

    if (message.code == MF_MESSAGE_SLEEP)
        message = mf_message_sleep_until(mf_loop_wall_us(s->client_loop) + sim_pick(s, 10000000));
    s->report->messages++;
    sim_trace(s, "client: tells %s to %s", id, mf_message_text(message.code));
    mf_client_tell(s->client, &id, 1, &message, NULL, NULL, NULL);
}

/* What was finished is made to run again. */
void stateful_revive(sim *s)
{
    mf_task_spec tasks[10];

    for (int i = 0; i < 10; i++)
        tasks[i] = (mf_task_spec){.id = s->truths[sim_pick(s, s->options.tasks)].id};
    mf_client_revive(s->client, tasks, 10, NULL, NULL, NULL);
}

/* What the broker decides. */

static void set_state(truth *t, const char *json)
{
    free(t->state);
    t->state = json != NULL ? strdup(json) : NULL;
    t->terminal = json != NULL && (strstr(json, "\"completed\"") || strstr(json, "\"killed\"") ||
                                   strstr(json, "\"failed\""));
}

static void on_stored(sim *s, const mf_store_request *store)
{
    for (size_t i = 0; i < store->count; i++) {
        const mf_write *write = &store->writes[i];
        truth *t = truth_of(s, write->id);
        if (write->result != MF_OK) {
            s->report->late_writes += write->result == MF_ELATE;
            continue;
        }
        sim_trace(s, "broker: state of %s: %s", t->id, write->json != NULL ? write->json : "-");
        if (write->fence != t->fence || strcmp(store->session->token, t->token) != 0 || !t->held)
            sim_violated(s, "G5: a late owner's state of task %s was stored", t->id);
        /* The same once more is a write that was repeated since it had no answer. */
        if (t->terminal && write->json != NULL && strcmp(t->state, write->json) != 0)
            sim_violated(s, "G5: the state of task %s, %s, was overwritten", t->id, t->state);
        if (write->json != NULL)
            set_state(t, write->json);
    }
}

bool stateful_is_state(const truth *t, const mf_document *document)
{
    if (document == NULL || document->json == NULL || t->state == NULL)
        return (document == NULL || document->json == NULL) && t->state == NULL;
    return document->length == strlen(t->state) &&
           memcmp(document->json, t->state, document->length) == 0;
}

static void on_loaded(sim *s, const mf_load_request *load)
{
    for (size_t i = 0; i < load->id_count; i++) {
        const mf_document *document = &load->documents[i];
        const truth *t = truth_of(s, load->ids[i]);
        if (!stateful_is_state(t, document))
            sim_violated(s, "G5: the broker says that the state of task %s is %s, not %s", t->id,
                         document->json != NULL ? document->json : "none",
                         t->state != NULL ? t->state : "none");
    }
}

void stateful_decided(sim *s, verb what, const mf_request *request)
{
    if (what == VERB_STORE)
        on_stored(s, (const mf_store_request *)request);
    else if (what == VERB_LOAD)
        on_loaded(s, (const mf_load_request *)request);
}

void stateful_item_decided(sim *s, verb what, truth *t, const char *message)
{
    sim_trace(s, "broker: %s %s", t->id, what == VERB_TELL ? "is sent a message" : "forgotten");
    t->doomed = what == VERB_TELL && strstr(message, "\"kill\"") != NULL;
    if (what == VERB_FORGET)
        set_state(t, NULL);
}

/* In the end. */

bool stateful_holds(const life *l, const truth *t)
{
    const mf_task *task = mf__task_find(l->consumer, t->id);

    return task != NULL && task->state == TASK_RUNNING &&
           mf__claim_deadline_us(&task->claim) > mf_loop_now_us(l->loop);
}

void stateful_check(sim *s)
{
    for (int i = 0; i < s->options.tasks; i++)
        if (s->truths[i].exists && s->truths[i].doomed)
            sim_violated(s, "G6: task %s was never told to end", s->truths[i].id);
}
