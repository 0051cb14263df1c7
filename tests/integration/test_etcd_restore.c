/* The etcd driver when etcd is restored from a backup while nodes run: revisions go backwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/etcd.h>

#include "driver_calls.h"
#include "etcd_server.h"
#include "proxy.h"

enum { LEASE_MS = 20000, SHORT_LEASE_MS = 3000, REPLY_MS = 1000, COME_BACK_US = 20000000 };

typedef struct fixture {
    etcd_server *server;
    proxy *proxy; /* NULL: none */
    mf_loop *loop;
    driver_handle a, b;
    mf_session session_a, session_b;
} fixture;

static void open_handle(fixture *f, driver_handle *h, mf_session *session)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;

    options.name_space = "t";
    options.reply_timeout_ms = REPLY_MS;
    assert_int_equal(driver_open(h, &mf_etcd_driver, f->loop, f->server->url, &options), MF_OK);
    driver_watch(h, session);
    assert_int_equal(driver_join(h, session), MF_OK);
}

static fixture *new_fixture(int64_t lease_ms)
{
    fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->server = etcd_server_start(NULL);
    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, NULL, NULL, MF_LOG_NONE);
    f->session_a = driver_session("a", 'a', lease_ms);
    f->session_b = driver_session("b", 'b', lease_ms);
    return f;
}

static int set_up_with(void **state, int64_t lease_ms)
{
    fixture *f = new_fixture(lease_ms);

    *state = f;
    open_handle(f, &f->a, &f->session_a);
    open_handle(f, &f->b, &f->session_b);
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, LEASE_MS);
}

static int short_leases(void **state)
{
    return set_up_with(state, SHORT_LEASE_MS);
}

/* Node "a" has its calls through a proxy, and its watch past it. */
static int slow_calls(void **state)
{
    fixture *f = new_fixture(LEASE_MS);
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    char url[128];

    *state = f;
    open_handle(f, &f->b, &f->session_b);
    f->proxy = proxy_new(f->server->members[0].port, NULL);
    snprintf(url, sizeof url, "etcd://127.0.0.1:%d,127.0.0.1:%d", proxy_port(f->proxy),
             f->server->members[0].port);
    options.name_space = "t";
    assert_int_equal(driver_open(&f->a, &mf_etcd_driver, f->loop, url, &options), MF_OK);
    assert_int_equal(driver_join(&f->a, &f->session_a), MF_OK);
    proxy_refuse(f->proxy);
    driver_watch(&f->a, &f->session_a);
    driver_await(&f->a, &f->a.resyncs, 1);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    driver_close(&f->a);
    driver_close(&f->b);
    mf_loop_free(f->loop);
    if (f->proxy != NULL)
        proxy_free(f->proxy);
    etcd_server_free(f->server);
    free(f);
    return 0;
}

/* The session joins again, as often as it takes. */
static void come_back(driver_handle *h, mf_session *session)
{
    int64_t until_us = mf_loop_now_us(h->loop) + COME_BACK_US;
    int code = MF_EUNREACHABLE;

    driver_await(h, &h->downs, 1);
    while (code != MF_OK) {
        if (!h->up)
            driver_await(h, &h->ups, h->ups + 1);
        session->epoch++;
        code = driver_join(h, session);
        assert_true(code == MF_OK || mf_error_is_transient(code));
        assert_true(mf_loop_now_us(h->loop) < until_us);
    }
}

static void go_back(fixture *f)
{
    etcd_server_restore(f->server);
    come_back(&f->a, &f->session_a);
    come_back(&f->b, &f->session_b);
}

static void submit(fixture *f, const char *id)
{
    assert_int_equal(driver_submit(&f->a, id, id, NULL), MF_OK);
}

/* Puts of no concern, so that the backup is well behind. */
static void pass_time(fixture *f)
{
    driver_submit_many(&f->a, "more", 300);
}

/* A task that others have owned since the backup has a higher fence with its next owner than with
 * any of them, whichever node comes back first; and so once more when the same backup is restored
 * a second time. */
static void test_fences_rise(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};
    uint64_t highest = 0;

    submit(f, "x");
    etcd_server_save(f->server);
    for (int i = 0; i < 3; i++) {
        driver_handle *h = i % 2 == 0 ? &f->b : &f->a;
        mf_session *session = i % 2 == 0 ? &f->session_b : &f->session_a;
        pass_time(f);
        claim = (mf_claim){.id = "x"};
        assert_int_equal(driver_claim(h, session, &claim), MF_OK);
        assert_true(claim.fence > highest);
        highest = claim.fence;
        h->downs = f->a.downs = f->b.downs = 0;
        if (i < 2)
            go_back(f);
    }
}

/* A claim that the backup knows nothing of is lost, and its owner is told so at its next renewal,
 * though the claim's lease is in the backup; the task can be claimed by others. */
static void test_later_claim_is_lost(void **state)
{
    fixture *f = *state;
    mf_claim early = {.id = "early"}, late = {.id = "late"}, again = {.id = "late"};

    submit(f, "early");
    submit(f, "late");
    assert_int_equal(driver_claim(&f->a, &f->session_a, &early), MF_OK);
    etcd_server_save(f->server);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &late), MF_OK);
    assert_int_equal(late.group, early.group);
    pass_time(f);
    go_back(f);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &late), MF_ELATE);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &again), MF_OK);
    assert_true(again.fence > late.fence);
    assert_int_equal(driver_release(&f->a, &f->session_a, &late), MF_ELATE);
}

/* Claims until it is granted; how often it was refused before. */
static unsigned claim_when_free(driver_handle *h, mf_session *session, mf_claim *claim)
{
    int64_t until_us = mf_loop_now_us(h->loop) + COME_BACK_US;
    unsigned refused = 0;
    int code;

    while ((code = driver_claim(h, session, claim)) == MF_ETAKEN) {
        refused++;
        assert_int_equal(driver_renew(h, session), MF_OK);
        assert_true(mf_loop_now_us(h->loop) < until_us);
    }
    assert_int_equal(code, MF_OK);
    return refused;
}

/* A claim that is in the backup is lost as well, but nobody gets the task while its handler may
 * still run: until the lease, which is not renewed any more, has ended. */
static void test_handler_stops_before_its_claim_ends(void **state)
{
    fixture *f = *state;
    mf_claim x = {.id = "x"}, again = {.id = "x"};

    submit(f, "x");
    assert_int_equal(driver_claim(&f->a, &f->session_a, &x), MF_OK);
    etcd_server_save(f->server);
    pass_time(f);
    go_back(f);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &x), MF_ELATE);
    assert_true(claim_when_free(&f->b, &f->session_b, &again) > 0);
    assert_true(again.fence > x.fence);
}

/* A claim that was released since the backup is there again when that is restored. It is no
 * claim of a node's that goes on: it ends with its lease, though the session goes on. */
static void test_released_claim_is_free(void **state)
{
    fixture *f = *state;
    mf_claim released = {.id = "x"}, again = {.id = "x"};

    submit(f, "x");
    assert_int_equal(driver_claim(&f->a, &f->session_a, &released), MF_OK);
    etcd_server_save(f->server);
    assert_int_equal(driver_release(&f->a, &f->session_a, &released), MF_OK);
    pass_time(f);
    go_back(f);
    (void)claim_when_free(&f->a, &f->session_a, &again);
    assert_true(again.fence > released.fence);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &again), MF_OK);
}

typedef struct pending_join {
    mf_join_request request;
    bool answered;
} pending_join;

static void on_join_answer(mf_request *request)
{
    ((pending_join *)request)->answered = true;
}

/* A join is under way while others write, and the watch tells of that before the join is answered:
 * nothing was restored, no base is raised, and the node holds what it held. */
static void test_watch_overtakes_a_join(void **state)
{
    fixture *f = *state;
    mf_claim x = {.id = "x"};
    pending_join join = {
        .request = {.request = {.done = on_join_answer, .arg = NULL}, .session = &f->session_a}};
    char id[16];

    assert_int_equal(driver_submit(&f->b, "x", "x", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &x), MF_OK);
    proxy_delay(f->proxy, PROXY_REPLIES, 100);
    f->session_a.epoch++;
    f->a.broker->operations->join(f->a.broker, &join.request);
    for (int i = 0; !join.answered; i++) {
        assert_true(i < 20000);
        snprintf(id, sizeof id, "more%d", i);
        assert_int_equal(driver_submit(&f->b, id, id, NULL), MF_OK);
    }
    proxy_delay(f->proxy, PROXY_BOTH, 0);
    assert_int_equal(join.request.request.error.code, MF_OK);
    assert_true(f->a.claimable > 1);
    char *base = etcd_ctl(f->server, "get", "/t/_mf/fence", NULL);
    assert_string_equal(base, "");
    free(base);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &x), MF_OK);
}

/* Watchers are told to read everything, and are told of what happens at revisions that were told of
 * before; what they know of tasks and nodes is what the backup has. */
static void test_hints_go_on(void **state)
{
    fixture *f = *state;

    submit(f, "x");
    etcd_server_save(f->server);
    pass_time(f);
    f->a.may_lag = true;
    assert_int_equal(driver_count_claimable(&f->a), 301);
    unsigned resyncs = f->a.resyncs;
    go_back(f);
    driver_await(&f->a, &f->a.resyncs, resyncs + 1);
    assert_int_equal(driver_count_claimable(&f->a), 1);
    size_t told = f->a.claimable;
    assert_int_equal(driver_submit(&f->b, "again", "y", NULL), MF_OK);
    driver_await_size(&f->a, &f->a.claimable, told + 1);
    assert_string_equal(f->a.last_claimable, "y");
    assert_int_equal(driver_count_claimable(&f->a), 2);
}

/* Delays that the backup has not are forgotten: the tasks may be claimed. */
static void test_later_delay_is_forgotten(void **state)
{
    fixture *f = *state;

    submit(f, "x");
    etcd_server_save(f->server);
    etcd_ctl_do(f->server, "put", "/t/_mf/delayed/x", "9223372036854775807", NULL);
    pass_time(f);
    f->a.may_lag = true;
    assert_int_equal(driver_count_claimable(&f->a), 300);
    go_back(f);
    assert_int_equal(driver_count_claimable(&f->a), 1); /* read */
    assert_int_equal(driver_count_claimable(&f->a), 1); /* as is known then */
}

/* Commands that come after it are read, though the last one that was acknowledged has a later
 * revision. */
static void test_commands_go_on(void **state)
{
    fixture *f = *state;
    uint64_t last = 0, again = 0;
    char text[64];

    etcd_server_save(f->server);
    pass_time(f);
    assert_int_equal(driver_send(&f->b, "a", "1"), MF_OK);
    assert_int_equal(driver_receive(&f->a, &f->session_a, 0, &last, text, sizeof text), MF_OK);
    go_back(f);
    assert_int_equal(driver_send(&f->b, "a", "2"), MF_OK);
    assert_int_equal(driver_receive(&f->a, &f->session_a, last, &again, text, sizeof text), MF_OK);
    assert_string_equal(text, "2 ");
    assert_true(again > last);
    assert_int_equal(driver_receive(&f->a, &f->session_a, again, &last, text, sizeof text), MF_OK);
    assert_string_equal(text, "");
}

#define TEST(function) TEST_WITH(function, set_up)
#define TEST_WITH(function, set_up) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_fences_rise),
        TEST(test_later_claim_is_lost),
        TEST_WITH(test_handler_stops_before_its_claim_ends, short_leases),
        TEST_WITH(test_released_claim_is_free, short_leases),
        TEST_WITH(test_watch_overtakes_a_join, slow_calls),
        TEST(test_hints_go_on),
        TEST(test_later_delay_is_forgotten),
        TEST(test_commands_go_on),
    };
    return cmocka_run_group_tests_name("etcd_restore", tests, NULL, NULL);
}
