/* Whole consumers with stateful handlers on a driver: what becomes of a task's state, whoever has
 * it, and of messages that nobody was there to read. */
#include <metafora/metafora.h>

#include "contract.h"

enum { FAR_US = 1000000000, SETTLE_MS = 500 };

/* A consumer whose handlers return what they are told; a deaf one's do not. */
typedef struct machine {
    contract *c;
    mf_consumer *consumer;
    bool closed, deaf;
    size_t started;
    mf_task *running; /* of a deaf one */
} machine;

static void on_start(mf_task *task, void *payload)
{
    machine *m = payload;

    m->started++;
    if (m->deaf)
        m->running = task;
    poke(m->c);
}

static void on_message(mf_task *task, const mf_message *message, void *payload)
{
    machine *m = payload;

    if (!m->deaf)
        mf_task_return(task, message);
    poke(m->c);
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    machine *m = payload;

    (void)consumer;
    m->closed |= event == MF_CONSUMER_CLOSED;
    poke(m->c);
}

static bool is_closed(void *arg)
{
    return ((machine *)arg)->closed;
}

static void machine_return(machine *m, mf_message_code code)
{
    mf_message message = mf_message_of(code);
    mf_task *task = m->running;

    m->running = NULL;
    mf_task_return(task, &message);
}

static void machine_close(void *arg)
{
    machine *m = arg;

    if (m->consumer == NULL)
        return;
    if (m->running != NULL)
        machine_return(m, MF_MESSAGE_RELEASE);
    mf_consumer_shutdown(m->consumer);
    wait_until(m->c, is_closed, m, REPLY_BOUND_MS);
    mf_consumer_free(m->consumer);
    m->consumer = NULL;
}

/* `max_errors` 0: the default. */
static machine *machine_open(contract *c, const char *name, const char *url, int max_errors)
{
    mf_state_options states = MF_STATE_OPTIONS_INIT;
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    machine *m = keep(c, sizeof *m);
    mf_error error;

    m->c = c;
    states.start = on_start;
    states.on_message = on_message;
    states.max_errors = max_errors;
    states.payload = m;
    options.broker = url;
    options.name_space = c->name_space;
    options.broker_options = (mf_broker_options)MF_BROKER_OPTIONS_INIT;
    options.loop = c->loop;
    options.name = name;
    options.lease_ms = 2000;
    options.handler = mf_stateful_handler(&states);
    options.balancer = mf_balancer_dumb();
    options.on_event = on_event;
    options.payload = m;
    if (mf_consumer_open(&m->consumer, &options, &error) != MF_OK)
        fail_msg("%s", error.text);
    at_end(c, machine_close, m);
    return m;
}

static machine *machine_new(contract *c, const char *name)
{
    return machine_open(c, name, c->fixture->url(c->fixture), 0);
}

/* The client. */

typedef struct teller {
    mf_client *client;
    mf_broker *broker;
    contract *c;
} teller;

static void teller_close(void *arg)
{
    teller *t = arg;
    mf_client_close(t->client);
    close_broker(t->c, t->broker);
}

static teller *teller_new(contract *c)
{
    teller *t = keep(c, sizeof *t);

    t->c = c;
    t->broker = open_broker(c, c->fixture->url(c->fixture), false);
    assert_int_equal(mf_client_open(&t->client, t->broker, NULL), MF_OK);
    at_end(c, teller_close, t);
    return t;
}

static void submit_task(teller *t, const char *id)
{
    mf_task_spec task = {.id = id};

    assert_int_equal(mf_client_submit(t->client, &task, 1, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_wait(t->client, NULL), MF_OK);
}

static void tell(teller *t, const char *id, mf_message message)
{
    assert_int_equal(mf_client_tell(t->client, &id, 1, &message, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_wait(t->client, NULL), MF_OK);
}

typedef struct seen {
    mf_state_code code;
    size_t errors;
    int64_t until_us;
    char text[128]; /* of the last error */
} seen;

static void on_state(const mf_error *error, const mf_state_record *states, size_t count, bool last,
                     void *arg)
{
    seen *out = arg;

    (void)last;
    if (error != NULL || count != 1 || states[0].state == NULL)
        return;
    const mf_state *state = states[0].state;
    out->code = state->code;
    out->errors = state->error_count;
    out->until_us = state->has_until ? mf_time_to_wall_us(&state->until) : 0;
    if (state->error_count > 0)
        snprintf(out->text, sizeof out->text, "%s", state->errors[state->error_count - 1].text);
}

/* A task whose state was never written is runnable. */
static seen look(teller *t, const char *id)
{
    seen out = {.code = MF_STATE_RUNNABLE};

    assert_int_equal(mf_client_lookup_states(t->client, &id, 1, on_state, &out, NULL), MF_OK);
    mf_client_wait(t->client, NULL);
    return out;
}

static void await_state(teller *t, const char *id, mf_state_code code)
{
    int64_t bound_us = mf_loop_now_us(t->c->loop) + REPLY_BOUND_MS * INT64_C(1000);
    seen last = look(t, id);

    for (; last.code != code; last = look(t, id))
        if (mf_loop_now_us(t->c->loop) > bound_us)
            fail_msg("%s is %s, not %s", id, mf_state_text(last.code), mf_state_text(code));
}

typedef struct wanted_starts {
    const machine *m;
    size_t count;
} wanted_starts;

static bool has_started(void *arg)
{
    wanted_starts *w = arg;
    return w->m->started >= w->count;
}

static void await_starts(machine *m, size_t count)
{
    wanted_starts w = {m, count};
    assert_true(wait_until(m->c, has_started, &w, REPLY_BOUND_MS));
}

/* Every cell. */

enum { MESSAGES = MF_MESSAGE_RELEASE + 1 };

/* Fault is no state to be in: it is left in the step that leads to it. */
static const mf_state_code rows[] = {MF_STATE_RUNNABLE,  MF_STATE_SLEEPING, MF_STATE_PAUSED,
                                     MF_STATE_COMPLETED, MF_STATE_KILLED,   MF_STATE_FAILED};
enum { ROWS = sizeof rows / sizeof *rows };

/* What a task is after each message, in the order of their codes: run, sleep, pause, kill, error,
 * complete, checkpoint, release. The first letter of the state, m for completed and d for failed;
 * a capital one: with an error more. */
static const char *const cells[ROWS] = {"SspkSmrr", "rspkSSss", "rspkpppp",
                                        "mmmmmmmm", "kkkkkkkk", "dddddddd"};
static const char letters[] = {'r', 's', 'p', 'f', 'm', 'k', 'd'};

static mf_message message_for(mf_message_code code, int64_t until_us)
{
    if (code == MF_MESSAGE_SLEEP)
        return mf_message_sleep_until(until_us);
    return code == MF_MESSAGE_ERROR ? mf_message_error("told") : mf_message_of(code);
}

static const char *cell_id(contract *c, int row, int code)
{
    return keep_text(c, "%s-%s", mf_state_text(rows[row]), mf_message_text((mf_message_code)code));
}

/* With a handler that fails at the first error every state can be told. */
static void bring_into_state(contract *c, teller *t, int row, int64_t until_us)
{
    static const mf_message_code first[ROWS] = {MF_MESSAGE_RUN,   MF_MESSAGE_SLEEP,
                                                MF_MESSAGE_PAUSE, MF_MESSAGE_COMPLETE,
                                                MF_MESSAGE_KILL,  MF_MESSAGE_ERROR};

    for (int code = 0; code < MESSAGES; code++) {
        const char *id = cell_id(c, row, code);
        submit_task(t, id);
        if (row > 0)
            tell(t, id, message_for(first[row], until_us));
    }
}

static bool is_cell(teller *t, contract *c, int row, int code)
{
    char wanted = cells[row][code];
    seen now = look(t, cell_id(c, row, code));
    size_t errors = rows[row] == MF_STATE_FAILED ? 2 : 0; /* told, and too many */

    if (wanted < 'a') {
        wanted += 'a' - 'A';
        errors++;
    }
    return letters[now.code] == wanted && now.errors == errors;
}

static bool are_all_cells(teller *t, contract *c, bool must)
{
    for (int row = 0; row < ROWS; row++)
        for (int code = 0; code < MESSAGES; code++)
            if (!is_cell(t, c, row, code)) {
                if (must)
                    fail_msg("%s is %s", cell_id(c, row, code),
                             mf_state_text(look(t, cell_id(c, row, code)).code));
                return false;
            }
    return true;
}

/* Every message to a task in every state, read by the next owner: the state becomes what the table
 * says, also that of a finished task which is submitted anew. */
static void every_message_in_every_state(contract *c)
{
    int64_t until_us = mf_loop_wall_us(c->loop) + FAR_US;
    teller *t = teller_new(c);
    machine *first = machine_open(c, "first", c->fixture->url(c->fixture), 1);

    for (int row = 0; row < ROWS; row++)
        bring_into_state(c, t, row, until_us);
    for (int row = 0; row < ROWS; row++)
        for (int code = 0; code < MESSAGES; code++)
            await_state(t, cell_id(c, row, code), rows[row]);
    machine_close(first);
    for (int row = 0; row < ROWS; row++)
        for (int code = 0; code < MESSAGES; code++) {
            if (mf_state_is_terminal(rows[row]))
                submit_task(t, cell_id(c, row, code));
            tell(t, cell_id(c, row, code), message_for((mf_message_code)code, until_us + 1));
        }
    machine_new(c, "second");
    int64_t bound_us = mf_loop_now_us(c->loop) + REPLY_BOUND_MS * INT64_C(1000);
    while (!are_all_cells(t, c, mf_loop_now_us(c->loop) > bound_us))
        continue;
    pass_time(c, SETTLE_MS); /* for those that are to stay as they were */
    are_all_cells(t, c, true);
    assert_int_equal(look(t, "sleeping-release").until_us, until_us);
    assert_int_equal(look(t, "sleeping-checkpoint").until_us, until_us);
    assert_int_equal(look(t, "sleeping-error").until_us, until_us);
    assert_int_equal(look(t, "sleeping-sleep").until_us, until_us + 1);
}

/* Messages. */

/* A message that another has replaced before anybody read it is never seen. */
static void last_message_wins(contract *c)
{
    teller *t = teller_new(c);

    submit_task(t, "t");
    tell(t, "t", mf_message_of(MF_MESSAGE_KILL));
    tell(t, "t", mf_message_of(MF_MESSAGE_PAUSE));
    machine_new(c, "a");
    await_state(t, "t", MF_STATE_PAUSED);
    pass_time(c, SETTLE_MS);
    assert_int_equal(look(t, "t").code, MF_STATE_PAUSED);
}

/* A deaf consumer by the fixture's link, with a task that runs. */
static machine *deaf_by_link(teller *t, const char *id)
{
    fixture *f = t->c->fixture;
    machine *m = machine_open(t->c, "deaf", f->link_url(f), 0);

    m->deaf = true;
    submit_task(t, id);
    await_starts(m, 1);
    return m;
}

/* A message for a task whose owner has gone silent is for the next one; and what the silent one
 * writes when it is back is refused. */
static void message_finds_the_next_owner(contract *c)
{
    teller *t = teller_new(c);
    machine *silent = deaf_by_link(t, "t");

    c->fixture->set_link(c->fixture, LINK_SILENT);
    tell(t, "t", mf_message_of(MF_MESSAGE_PAUSE));
    machine_new(c, "next");
    await_state(t, "t", MF_STATE_PAUSED);
    machine_return(silent, MF_MESSAGE_KILL);
    c->fixture->set_link(c->fixture, LINK_CUT);
    c->fixture->set_link(c->fixture, LINK_PASS);
    pass_time(c, SETTLE_MS);
    assert_int_equal(look(t, "t").code, MF_STATE_PAUSED);
}

/* Documents. */

typedef struct writing {
    mf_store_request request;
    mf_write write;
    contract *c;
    bool finished;
} writing;

static void on_written(mf_request *request)
{
    writing *w = (writing *)request;
    w->finished = true;
    poke(w->c);
}

static bool is_written(void *arg)
{
    return ((writing *)arg)->finished;
}

/* Writes what nobody should have written. */
static void write_document(peer *p, const char *id, const char *json)
{
    writing *w = keep(p->c, sizeof *w);
    mf_claim *mine = new_claim(p->c, id);

    assert_int_equal(claim(p, mine), MF_OK);
    w->c = p->c;
    w->write = (mf_write){.id = id, .fence = mine->fence, .json = json, .length = strlen(json)};
    w->request.request.done = on_written;
    w->request.session = &p->session;
    w->request.writes = &w->write;
    w->request.count = 1;
    p->broker->operations->store(p->broker, &w->request);
    assert_true(wait_until(p->c, is_written, w, REPLY_BOUND_MS));
    assert_int_equal(w->request.request.error.code, MF_OK);
    assert_int_equal(w->write.result, MF_OK);
    assert_int_equal(release(p, mine), MF_OK);
}

/* A damaged state fails its task with a reason, and no other task; one with members that are not
 * known is read. */
static void damaged_state_fails_its_task_alone(contract *c)
{
    static const char *const damaged[] = {"{", "[]", "{\"state\":\"bored\"}",
                                          "{\"state\":\"sleeping\"}", "\xff"};
    enum { DAMAGED = sizeof damaged / sizeof *damaged };
    teller *t = teller_new(c);
    peer *p = peer_joined(c, "writer", 2000);

    for (int i = 0; i < DAMAGED; i++) {
        submit_task(t, keep_text(c, "bad-%d", i));
        write_document(p, keep_text(c, "bad-%d", i), damaged[i]);
    }
    submit_task(t, "good");
    write_document(p, "good", "{\"mood\":\"fine\",\"state\":\"paused\"}");
    machine *m = machine_new(c, "a");
    for (int i = 0; i < DAMAGED; i++) {
        await_state(t, keep_text(c, "bad-%d", i), MF_STATE_FAILED);
        assert_non_null(strstr(look(t, keep_text(c, "bad-%d", i)).text, "is damaged: "));
    }
    tell(t, "good", mf_message_of(MF_MESSAGE_RUN));
    await_starts(m, 1);
    assert_int_equal(look(t, "good").code, MF_STATE_RUNNABLE);
    assert_int_equal(m->started, 1);
}

/* While the broker cannot be reached a state can be neither read nor written: nothing is lost, and
 * the task goes on in it when the broker is back. */
static void states_wait_for_the_broker(contract *c)
{
    teller *t = teller_new(c);
    machine *m = deaf_by_link(t, "t");

    c->fixture->set_link(c->fixture, LINK_CUT);
    machine_return(m, MF_MESSAGE_PAUSE);
    pass_time(c, SETTLE_MS);
    assert_int_equal(look(t, "t").code, MF_STATE_RUNNABLE);
    c->fixture->set_link(c->fixture, LINK_PASS);
    await_state(t, "t", MF_STATE_PAUSED);
    assert_int_equal(m->started, 1);
}

const contract_case state_cases[] = {
    CASE_NEEDS(every_message_in_every_state, NEEDS_STATES),
    CASE_NEEDS(last_message_wins, NEEDS_STATES),
    CASE_NEEDS(message_finds_the_next_owner, NEEDS_STATES | NEEDS_LINK),
    CASE_NEEDS(damaged_state_fails_its_task_alone, NEEDS_STATES),
    CASE_NEEDS(states_wait_for_the_broker, NEEDS_STATES | NEEDS_LINK),
    {NULL, NULL, 0},
};
