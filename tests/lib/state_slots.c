/* What drivers promise about states, messages, crash counts and delays, by their slots alone. */
#include "state_slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver_calls.h"

enum { LEASE_MS = 15000, SHORT_LEASE_MS = 2000, MANY = 700 };

typedef struct fixture {
    mf_loop *loop;
    driver_handle a, b;
    mf_session session_a, session_b;
    unsigned mail_a, mail_b; /* hints */
    unsigned answered;
    int code;
} fixture;

static const slots_broker *broker; /* of the group that runs */
static const char *url;
static int runs;

/* Calls. */

static void on_done(mf_request *request)
{
    fixture *f = request->arg;

    f->answered++;
    f->code = request->error.code;
    mf_loop_stop(f->loop);
}

#define CALL(h, slot, request_)                                 \
    do {                                                        \
        (request_)->request.done = on_done;                     \
        (request_)->request.arg = f;                            \
        f->answered = 0;                                        \
        (h)->broker->operations->slot((h)->broker, (request_)); \
        driver_await((h), &f->answered, 1);                     \
    } while (0)

static const char *fresh_token(void)
{
    static char token[33];
    static unsigned count;

    snprintf(token, sizeof token, "%032x", ++count);
    return token;
}

static int items(fixture *f, void (*slot)(mf_broker *, mf_items_request *), const char *token,
                 const char *id, const char *text, int64_t delay_us)
{
    mf_item item = {.id = id, .properties = text, .delay_us = delay_us};
    mf_items_request request = {.token = token, .items = &item, .count = 1};

    request.request.done = on_done;
    request.request.arg = f;
    f->answered = 0;
    slot(f->a.broker, &request);
    driver_await(&f->a, &f->answered, 1);
    return f->code == MF_OK ? item.result : f->code;
}

static int submit(fixture *f, const char *id)
{
    return items(f, f->a.broker->operations->submit, fresh_token(), id, NULL, 0);
}

static int tell(fixture *f, const char *id, const char *json)
{
    return items(f, f->a.broker->operations->tell, fresh_token(), id, json, 0);
}

static int forget(fixture *f, const char *id)
{
    return items(f, f->a.broker->operations->forget, fresh_token(), id, NULL, 0);
}

static int store(fixture *f, driver_handle *h, mf_session *session, const mf_claim *claim,
                 const char *json, uint64_t acknowledged)
{
    mf_write write = {.id = claim->id,
                      .fence = claim->fence,
                      .mark = claim->mark,
                      .json = json,
                      .length = json != NULL ? strlen(json) : 0,
                      .acknowledged = acknowledged};
    mf_store_request request = {.session = session, .writes = &write, .count = 1};

    CALL(h, store, &request);
    return f->code == MF_OK ? write.result : f->code;
}

/* The answer lives only during done(): it is copied there. */
typedef struct load_call {
    mf_load_request request;
    fixture *f;
    char *out;
} load_call;

static void on_loaded(mf_request *request)
{
    load_call *call = (load_call *)request;
    const char *json = NULL;

    if (request->error.code == MF_OK)
        json = call->request.documents[0].json;
    sprintf(call->out, "%s", json != NULL ? json : "none");
    call->f->answered = 1;
    mf_loop_stop(call->f->loop);
}

static const char *load(fixture *f, const char *id)
{
    static char out[4096];
    load_call call = {.f = f, .out = out};

    call.request.request.done = on_loaded;
    call.request.ids = &id;
    call.request.id_count = 1;
    f->answered = 0;
    f->b.broker->operations->load(f->b.broker, &call.request);
    driver_await(&f->b, &f->answered, 1);
    return out;
}

typedef struct mail_call {
    mf_mail_request request;
    fixture *f;
    char text[8192]; /* "id=json " for each */
    uint64_t number; /* of the last one */
    size_t count;
    int code;
} mail_call;

static void on_mail_answer(mf_request *request)
{
    mail_call *call = (mail_call *)request;

    call->code = request->error.code;
    for (size_t i = 0; call->code == MF_OK && i < call->request.count; i++) {
        const mf_mail *mail = &call->request.mail[i];
        size_t used = strlen(call->text);
        snprintf(call->text + used, sizeof call->text - used, "%s=%.*s ", mail->id,
                 (int)mail->length, mail->json);
        call->number = mail->number;
        call->count++;
    }
    call->f->answered = 1;
    mf_loop_stop(call->f->loop);
}

/* Reads what is after the place in *after, and moves it. */
static mail_call read_mail(fixture *f, driver_handle *h, mf_session *session, uint64_t *after,
                           size_t limit)
{
    mail_call call = {.f = f};

    call.request.request.done = on_mail_answer;
    call.request.session = session;
    call.request.after = *after;
    call.request.limit = limit;
    f->answered = 0;
    h->broker->operations->mail(h->broker, &call.request);
    driver_await(h, &f->answered, 1);
    *after = call.request.after;
    return call;
}

typedef struct lookup_call {
    mf_lookup_request request;
    fixture *f;
    unsigned crashes;
    bool set_aside;
} lookup_call;

static void on_lookup(mf_request *request)
{
    lookup_call *call = (lookup_call *)request;

    assert_int_equal(request->error.code, MF_OK);
    call->crashes = call->request.records[0].crashes;
    call->set_aside = call->request.records[0].set_aside;
    call->f->answered = 1;
    mf_loop_stop(call->f->loop);
}

static lookup_call look_up(fixture *f, const char *id)
{
    lookup_call call = {.f = f};

    call.request.request.done = on_lookup;
    call.request.ids = &id;
    call.request.id_count = 1;
    f->answered = 0;
    f->b.broker->operations->lookup(f->b.broker, &call.request);
    driver_await(&f->b, &f->answered, 1);
    return call;
}

/* Setting up. */

static void on_mail_a(mf_watcher *watcher)
{
    driver_handle *h = (driver_handle *)((char *)watcher - offsetof(driver_handle, watcher));
    fixture *f = (fixture *)((char *)h - offsetof(fixture, a));
    f->mail_a++;
    mf_loop_stop(f->loop);
}

static void on_mail_b(mf_watcher *watcher)
{
    driver_handle *h = (driver_handle *)((char *)watcher - offsetof(driver_handle, watcher));
    fixture *f = (fixture *)((char *)h - offsetof(fixture, b));
    f->mail_b++;
    mf_loop_stop(f->loop);
}

static void open_node(fixture *f, driver_handle *h, mf_session *session)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    char name[32];

    snprintf(name, sizeof name, "t%d", runs);
    options.name_space = name;
    options.max_crashes = 2;
    assert_int_equal(driver_open(h, broker->driver, f->loop, url, &options), MF_OK);
    driver_watch(h, session);
    assert_int_equal(driver_join(h, session), MF_OK);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    runs++;
    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, NULL, NULL, MF_LOG_NONE);
    f->session_a = driver_session("node a", 'a', LEASE_MS);
    f->session_b = driver_session("b", 'b', LEASE_MS);
    open_node(f, &f->a, &f->session_a);
    open_node(f, &f->b, &f->session_b);
    f->a.watcher.mail = on_mail_a;
    f->b.watcher.mail = on_mail_b;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    driver_close(&f->a);
    driver_close(&f->b);
    mf_loop_free(f->loop);
    free(f);
    return 0;
}

static mf_claim claim(fixture *f, driver_handle *h, mf_session *session, const char *id)
{
    mf_claim c = {.id = id};

    (void)f;
    assert_int_equal(driver_claim(h, session, &c), MF_OK);
    return c;
}

/* States. */

/* An owner's write is read by everyone, stays when the task is done, and a new life finds it. */
static void test_state_outlives_its_task(void **state)
{
    fixture *f = *state;

    assert_int_equal(submit(f, "1"), MF_OK);
    assert_string_equal(load(f, "1"), "none");
    mf_claim c = claim(f, &f->a, &f->session_a, "1");
    assert_int_equal(store(f, &f->a, &f->session_a, &c, "{\"state\":\"paused\"}", 0), MF_OK);
    assert_int_equal(store(f, &f->a, &f->session_a, &c, "{\"state\":\"completed\"}", 0), MF_OK);
    assert_int_equal(store(f, &f->a, &f->session_a, &c, NULL, 0), MF_OK);
    assert_int_equal(driver_done(&f->a, &f->session_a, &c), MF_OK);
    assert_string_equal(load(f, "1"), "{\"state\":\"completed\"}");
    assert_string_equal(load(f, "11"), "none");
    assert_int_equal(driver_count_tasks(&f->a, NULL), 0);
    assert_int_equal(submit(f, "1"), MF_OK);
    assert_string_equal(load(f, "1"), "{\"state\":\"completed\"}");
}

/* A write is refused without the claim: after the release, by another's fence, on a removed task.
 */
static void test_late_write(void **state)
{
    fixture *f = *state;

    assert_int_equal(submit(f, "1"), MF_OK);
    mf_claim c = claim(f, &f->a, &f->session_a, "1");
    assert_int_equal(store(f, &f->b, &f->session_b, &c, "{}", 0), MF_ELATE);
    assert_int_equal(driver_release(&f->a, &f->session_a, &c), MF_OK);
    assert_int_equal(store(f, &f->a, &f->session_a, &c, "{}", 0), MF_ELATE);
    mf_claim next = claim(f, &f->b, &f->session_b, "1");
    assert_int_equal(store(f, &f->a, &f->session_a, &c, "{}", 0), MF_ELATE);
    mf_claim mixed = {.id = "1", .fence = c.fence};
    assert_int_equal(store(f, &f->b, &f->session_b, &mixed, "{}", 0), MF_ELATE);
    assert_int_equal(driver_remove(&f->a, fresh_token(), "1"), MF_OK);
    assert_int_equal(store(f, &f->b, &f->session_b, &next, "{}", 0), MF_EGONE);
    assert_string_equal(load(f, "1"), "none");
}

/* A write from before the session's last join is refused as a whole. */
static void test_overtaken_write(void **state)
{
    fixture *f = *state;
    mf_session old = f->session_a;

    assert_int_equal(submit(f, "1"), MF_OK);
    mf_claim c = claim(f, &f->a, &f->session_a, "1");
    f->session_a.epoch++;
    assert_int_equal(driver_join(&f->a, &f->session_a), MF_OK);
    assert_int_equal(store(f, &f->a, &old, &c, "{}", 0), MF_ESTALE);
    assert_int_equal(store(f, &f->a, &f->session_a, &c, "{}", 0), MF_OK);
}

typedef struct states_call {
    mf_states_request request;
    fixture *f;
    size_t count;
} states_call;

static void on_states(mf_request *request)
{
    states_call *call = (states_call *)request;

    assert_int_equal(request->error.code, MF_OK);
    for (size_t i = 0; i < call->request.count; i++)
        assert_string_equal(call->request.documents[i].json, "{\"state\":\"killed\"}");
    call->count += call->request.count;
    call->f->answered = 1;
    mf_loop_stop(call->f->loop);
}

/* All states are listed over pages, those of tasks that are gone included. */
static void test_list(void **state)
{
    fixture *f = *state;
    states_call call = {.f = f};
    char id[32];

    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "task %d", i);
        assert_int_equal(submit(f, id), MF_OK);
        mf_claim c = claim(f, &f->a, &f->session_a, id);
        assert_int_equal(store(f, &f->a, &f->session_a, &c, "{\"state\":\"killed\"}", 0), MF_OK);
        if (i % 2 == 0)
            assert_int_equal(driver_done(&f->a, &f->session_a, &c), MF_OK);
    }
    call.request.request.done = on_states;
    call.request.limit = 100;
    do {
        f->answered = 0;
        f->a.broker->operations->states(f->a.broker, &call.request);
        driver_await(&f->a, &f->answered, 1);
    } while (call.request.cursor[0] != '\0');
    assert_int_equal(call.count, MANY);
}

/* Messages. */

/* A message hints the owner's node, is read by the owner alone, and is there until acknowledged. */
static void test_message(void **state)
{
    fixture *f = *state;
    uint64_t at = 0, other = 0;

    assert_int_equal(tell(f, "1", "{}"), MF_EGONE);
    assert_int_equal(submit(f, "1"), MF_OK);
    mf_claim c = claim(f, &f->b, &f->session_b, "1");
    assert_int_equal(tell(f, "1", "{\"message\":\"pause\"}"), MF_OK);
    driver_await(&f->b, &f->mail_b, 1);
    assert_int_equal(f->mail_a, 0);
    assert_int_equal(read_mail(f, &f->a, &f->session_a, &other, 10).count, 0);
    mail_call mail = read_mail(f, &f->b, &f->session_b, &at, 10);
    assert_string_equal(mail.text, "1={\"message\":\"pause\"} ");
    assert_int_equal(read_mail(f, &f->b, &f->session_b, &at, 10).count, 0);
    at = 0;
    assert_int_equal(read_mail(f, &f->b, &f->session_b, &at, 10).count, 1);
    assert_int_equal(store(f, &f->b, &f->session_b, &c, NULL, mail.number), MF_OK);
    at = 0;
    assert_int_equal(read_mail(f, &f->b, &f->session_b, &at, 10).count, 0);
}

/* The last message wins; acknowledging the first does not remove it. */
static void test_last_message_wins(void **state)
{
    fixture *f = *state;
    uint64_t at = 0;

    assert_int_equal(submit(f, "1"), MF_OK);
    mf_claim c = claim(f, &f->a, &f->session_a, "1");
    assert_int_equal(tell(f, "1", "[1]"), MF_OK);
    uint64_t first = read_mail(f, &f->a, &f->session_a, &at, 10).number;
    assert_int_equal(tell(f, "1", "[2]"), MF_OK);
    assert_int_equal(store(f, &f->a, &f->session_a, &c, "{}", first), MF_OK);
    mail_call mail = read_mail(f, &f->a, &f->session_a, &at, 10);
    assert_string_equal(mail.text, "1=[2] ");
    assert_true(mail.number > first);
}

/* A message to a task without an owner, or that moves, is found by the next one. */
static void test_message_moves(void **state)
{
    fixture *f = *state;
    uint64_t at_a = 0, at_b = 0;

    assert_int_equal(submit(f, "1"), MF_OK);
    assert_int_equal(submit(f, "2"), MF_OK);
    assert_int_equal(tell(f, "1", "[1]"), MF_OK);
    assert_int_equal(tell(f, "2", "[2]"), MF_OK);
    assert_int_equal(read_mail(f, &f->a, &f->session_a, &at_a, 10).count, 0);
    mf_claim c = claim(f, &f->a, &f->session_a, "1");
    driver_await(&f->a, &f->mail_a, 1);
    assert_string_equal(read_mail(f, &f->a, &f->session_a, &at_a, 10).text, "1=[1] ");
    assert_int_equal(driver_release(&f->a, &f->session_a, &c), MF_OK);
    assert_int_equal(read_mail(f, &f->b, &f->session_b, &at_b, 10).count, 0);
    c = claim(f, &f->b, &f->session_b, "1");
    driver_await(&f->b, &f->mail_b, 1);
    assert_string_equal(read_mail(f, &f->b, &f->session_b, &at_b, 10).text, "1=[1] ");
    claim(f, &f->b, &f->session_b, "1");
    assert_string_equal(read_mail(f, &f->b, &f->session_b, &at_b, 10).text, "1=[1] ");
}

/* Messages of a removed or finished task are gone with it. */
static void test_message_of_a_gone_task(void **state)
{
    fixture *f = *state;
    uint64_t at = 0;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(submit(f, "1"), MF_OK);
        mf_claim c = claim(f, &f->a, &f->session_a, "1");
        assert_int_equal(tell(f, "1", "[1]"), MF_OK);
        if (i == 0)
            assert_int_equal(driver_done(&f->a, &f->session_a, &c), MF_OK);
        else
            assert_int_equal(driver_remove(&f->a, fresh_token(), "1"), MF_OK);
        if (i == 1)
            assert_int_equal(driver_release(&f->a, &f->session_a, &c), MF_EGONE);
        assert_int_equal(submit(f, "1"), MF_OK);
        c = claim(f, &f->a, &f->session_a, "1");
        at = 0;
        assert_int_equal(read_mail(f, &f->a, &f->session_a, &at, 10).count, 0);
        assert_int_equal(driver_done(&f->a, &f->session_a, &c), MF_OK);
    }
}

/* Many messages are read in pages, each once, those with one place in common together. */
static void test_pages_of_mail(void **state)
{
    fixture *f = *state;
    uint64_t at = 0;
    size_t count = 0;
    mail_call mail;

    driver_submit_many(&f->a, "m", 300);
    for (int i = 0; i < 300; i++) {
        char id[32];
        snprintf(id, sizeof id, "m%d", i);
        assert_int_equal(tell(f, id, "[]"), MF_OK);
    }
    driver_claim_many(&f->a, &f->session_a, "m", 300);
    do {
        mail = read_mail(f, &f->a, &f->session_a, &at, 64);
        count += mail.count;
    } while (mail.request.more);
    assert_int_equal(count, 300);
}

/* A message that is sent again with its token is the same message. */
static void test_repeated_tell(void **state)
{
    fixture *f = *state;
    const char *token = fresh_token();
    char kept[33];
    uint64_t at = 0;

    strcpy(kept, token);
    assert_int_equal(submit(f, "1"), MF_OK);
    claim(f, &f->a, &f->session_a, "1");
    assert_int_equal(items(f, f->a.broker->operations->tell, kept, "1", "[1]", 0), MF_OK);
    assert_int_equal(tell(f, "1", "[2]"), MF_OK);
    assert_int_equal(items(f, f->a.broker->operations->tell, kept, "1", "[1]", 0), MF_OK);
    assert_string_equal(read_mail(f, &f->a, &f->session_a, &at, 10).text, "1=[2] ");
}

/* Forgetting, and crash loops. */

/* What is known of a task is forgotten, but not while somebody has it. */
static void test_forget(void **state)
{
    fixture *f = *state;

    assert_int_equal(forget(f, "1"), MF_EGONE);
    assert_int_equal(submit(f, "1"), MF_OK);
    assert_int_equal(forget(f, "1"), MF_OK);
    mf_claim c = claim(f, &f->a, &f->session_a, "1");
    assert_int_equal(store(f, &f->a, &f->session_a, &c, "{}", 0), MF_OK);
    assert_int_equal(forget(f, "1"), MF_ETAKEN);
    assert_string_equal(load(f, "1"), "{}");
    assert_int_equal(driver_done(&f->a, &f->session_a, &c), MF_OK);
    assert_int_equal(forget(f, "1"), MF_OK);
    assert_string_equal(load(f, "1"), "none");
    assert_int_equal(forget(f, "1"), MF_EGONE);
}

/* The owner dies: its session is taken over by one of the same name. */
static void die_with(fixture *f, const char *id, char mark)
{
    mf_session dying = driver_session("dying", mark, LEASE_MS);
    mf_session after = driver_session("dying", (char)(mark + 1), LEASE_MS);
    mf_join_request takeover = {.session = &after, .takeover = true};

    assert_int_equal(driver_join(&f->a, &dying), MF_OK);
    claim(f, &f->a, &dying, id);
    f->b.claimable = 0;
    assert_int_equal(driver_join_with(&f->a, &takeover), MF_OK);
    assert_int_equal(driver_leave(&f->a, &after), MF_OK);
}

static void await_crashes(fixture *f, const char *id, unsigned crashes)
{
    for (int i = 0; i < 100 && look_up(f, id).crashes != crashes; i++)
        driver_run_ms(&f->b, 100);
    assert_int_equal(look_up(f, id).crashes, crashes);
}

/* A task whose owners die again and again is set aside, and claimable when it is forgotten. */
static void test_crash_loop(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "1"};

    assert_int_equal(submit(f, "1"), MF_OK);
    die_with(f, "1", 'k');
    await_crashes(f, "1", 1);
    assert_false(look_up(f, "1").set_aside);
    die_with(f, "1", 'm');
    await_crashes(f, "1", 2);
    assert_true(look_up(f, "1").set_aside);
    assert_int_equal(driver_count_claimable(&f->a), 0);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &c), MF_ETAKEN);
    assert_int_equal(driver_count_tasks(&f->a, NULL), 1);
    f->b.claimable = 0;
    assert_int_equal(forget(f, "1"), MF_OK);
    driver_await_size(&f->b, &f->b.claimable, 1);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &c), MF_OK);
    assert_int_equal(look_up(f, "1").crashes, 0);
}

/* A session that lapses is a crash as well. */
static void test_lapse_is_a_crash(void **state)
{
    fixture *f = *state;
    mf_session dying = driver_session("dying", 'k', SHORT_LEASE_MS);

    assert_int_equal(submit(f, "1"), MF_OK);
    assert_int_equal(driver_join(&f->a, &dying), MF_OK);
    claim(f, &f->a, &dying, "1");
    await_crashes(f, "1", 1);
    assert_int_equal(driver_count_claimable(&f->a), 1);
}

/* A claim that lasts is no crash loop: its renewal resets the count. */
static void test_survival(void **state)
{
    fixture *f = *state;

    assert_int_equal(submit(f, "1"), MF_OK);
    die_with(f, "1", 'k');
    await_crashes(f, "1", 1);
    mf_claim c = claim(f, &f->a, &f->session_a, "1");
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &c), MF_OK);
    assert_int_equal(look_up(f, "1").crashes, 1);
    driver_run_ms(&f->a, MF_CRASH_SURVIVAL_MS + 100);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &c), MF_OK);
    await_crashes(f, "1", 0);
}

/* A clean release, or that of a session which leaves, resets the count. */
static void test_clean_ends(void **state)
{
    fixture *f = *state;
    mf_session leaving = driver_session("leaving", 'q', LEASE_MS);

    assert_int_equal(submit(f, "1"), MF_OK);
    die_with(f, "1", 'k');
    await_crashes(f, "1", 1);
    mf_claim c = claim(f, &f->a, &f->session_a, "1");
    assert_int_equal(look_up(f, "1").crashes, 1);
    assert_int_equal(driver_release(&f->a, &f->session_a, &c), MF_OK);
    assert_int_equal(look_up(f, "1").crashes, 0);
    die_with(f, "1", 'm');
    await_crashes(f, "1", 1);
    assert_int_equal(driver_join(&f->a, &leaving), MF_OK);
    claim(f, &f->a, &leaving, "1");
    assert_int_equal(driver_leave(&f->a, &leaving), MF_OK);
    assert_int_equal(look_up(f, "1").crashes, 0);
}

/* Delays. */

/* A task submitted for later is not claimable before, and is hinted at its time. */
static void test_delay(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "1"};

    assert_int_equal(items(f, f->a.broker->operations->submit, fresh_token(), "1", NULL, 1200000),
                     MF_OK);
    assert_int_equal(items(f, f->a.broker->operations->submit, fresh_token(), "2", NULL,
                           INT64_C(3600) * 1000000),
                     MF_OK);
    assert_int_equal(driver_count_claimable(&f->a), 0);
    int64_t before_us = mf_loop_now_us(f->loop);
    f->b.claimable = 0;
    driver_await_size(&f->b, &f->b.claimable, 1);
    assert_in_range(mf_loop_now_us(f->loop) - before_us, 800000, 2200000);
    assert_string_equal(f->b.last_claimable, "1");
    assert_int_equal(driver_count_claimable(&f->a), 1);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &c), MF_OK);
}

/* A delayed task that is removed is gone, and its id can be used at once. */
static void test_removed_delay(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "1"};

    assert_int_equal(items(f, f->a.broker->operations->submit, fresh_token(), "1", NULL,
                           INT64_C(3600) * 1000000),
                     MF_OK);
    assert_int_equal(driver_remove(&f->a, fresh_token(), "1"), MF_OK);
    assert_int_equal(submit(f, "1"), MF_OK);
    assert_int_equal(driver_count_claimable(&f->a), 1);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &c), MF_OK);
}

#define SLOT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int start(void **state)
{
    (void)state;
    url = broker->start();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    broker->stop();
    return 0;
}

int state_slots_run(const slots_broker *under_test)
{
    const struct CMUnitTest tests[] = {
        SLOT_TEST(test_state_outlives_its_task),
        SLOT_TEST(test_late_write),
        SLOT_TEST(test_overtaken_write),
        SLOT_TEST(test_list),
        SLOT_TEST(test_message),
        SLOT_TEST(test_last_message_wins),
        SLOT_TEST(test_message_moves),
        SLOT_TEST(test_message_of_a_gone_task),
        SLOT_TEST(test_pages_of_mail),
        SLOT_TEST(test_repeated_tell),
        SLOT_TEST(test_forget),
        SLOT_TEST(test_crash_loop),
        SLOT_TEST(test_lapse_is_a_crash),
        SLOT_TEST(test_survival),
        SLOT_TEST(test_clean_ends),
        SLOT_TEST(test_delay),
        SLOT_TEST(test_removed_delay),
    };
    broker = under_test;
    return cmocka_run_group_tests_name(broker->name, tests, start, stop);
}
