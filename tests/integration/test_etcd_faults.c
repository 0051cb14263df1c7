/* The etcd driver in trouble: members that die or stop, links that lie, leases and tokens that end,
 * a full disk, a server that is none. Each ends in the guarantee that holds. */
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
#include "process.h"
#include "proxy.h"

enum { LEASE_MS = 20000, REPLY_MS = 1000, COME_BACK_US = 20000000 };

typedef struct fixture {
    etcd_server *server;
    mf_loop *loop;
    proxy *proxy;
    proxy *second; /* before the member that node "a" does not use at first */
    driver_handle a, b;
    mf_session session_a, session_b;
    char url[256];
    process tracer;    /* of a member whose disk is stalled */
    unsigned renewals; /* that were answered */
    bool renewed;      /* one of them well */
} fixture;

static fixture *new_fixture(const etcd_server_options *options)
{
    fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->server = etcd_server_start(options);
    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, NULL, NULL, MF_LOG_NONE);
    f->session_a = driver_session("a", 'a', LEASE_MS);
    f->session_b = driver_session("b", 'b', LEASE_MS);
    return f;
}

static int one_member(void **state)
{
    *state = new_fixture(NULL);
    return 0;
}

static int three_members(void **state)
{
    static const etcd_server_options options = {.members = 3};

    *state = new_fixture(&options);
    return 0;
}

static int small_quota(void **state)
{
    static const char *const argv[] = {"--quota-backend-bytes=4000000", NULL};
    static const etcd_server_options options = {.argv = argv};

    *state = new_fixture(&options);
    return 0;
}

static int with_users(void **state)
{
    static const char *const argv[] = {"--bcrypt-cost=4", "--auth-token-ttl=1", NULL};
    static const etcd_server_options options = {.argv = argv};
    fixture *f = new_fixture(&options);

    etcd_ctl_do(f->server, "user", "add", "root:secret", NULL);
    etcd_ctl_do(f->server, "user", "grant-role", "root", "root", NULL);
    etcd_ctl_do(f->server, "user", "add", "guest:p%ss", NULL);
    etcd_ctl_do(f->server, "role", "add", "other", NULL);
    etcd_ctl_do(f->server, "role", "grant-permission", "other", "readwrite", "--prefix=true",
                "/other/", NULL);
    etcd_ctl_do(f->server, "user", "grant-role", "guest", "other", NULL);
    etcd_ctl_do(f->server, "user", "add", "owner:x", NULL);
    etcd_ctl_do(f->server, "role", "add", "own", NULL);
    etcd_ctl_do(f->server, "role", "grant-permission", "own", "readwrite", "--prefix=true", "/t/",
                NULL);
    etcd_ctl_do(f->server, "user", "grant-role", "owner", "own", NULL);
    etcd_ctl_do(f->server, "auth", "enable", NULL);
    f->server->options.ctl_credentials = "root:secret";
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    driver_close(&f->a);
    driver_close(&f->b);
    process_terminate(&f->tracer);
    mf_loop_free(f->loop);
    if (f->proxy != NULL)
        proxy_free(f->proxy);
    if (f->second != NULL)
        proxy_free(f->second);
    etcd_server_free(f->server);
    free(f);
    return 0;
}

static void open_with(fixture *f, driver_handle *h, const char *url, int reply_ms)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;

    options.name_space = "t";
    options.reply_timeout_ms = reply_ms;
    assert_int_equal(driver_open(h, &mf_etcd_driver, f->loop, url, &options), MF_OK);
}

static void open_at(fixture *f, driver_handle *h, const char *url)
{
    open_with(f, h, url, REPLY_MS);
}

/* The link has been lost `downs` times: the session joins again, as often as it takes. A member
 * that is back before its cluster has a leader lets us in and then does not answer. */
static void come_back(driver_handle *h, mf_session *session, unsigned downs)
{
    int64_t until_us = mf_loop_now_us(h->loop) + COME_BACK_US;

    driver_await(h, &h->downs, downs);
    while (true) {
        session->epoch++;
        int code = driver_join(h, session);
        if (code == MF_OK)
            return;
        if (!mf_error_is_transient(code) || mf_loop_now_us(h->loop) >= until_us)
            fail_msg("join: %s", h->error.text);
        if (!h->up)
            driver_await(h, &h->ups, h->ups + 1);
    }
}

/* Node "a" at a place, a member by number or -1 for the proxy, and with another member to go to. */
static void open_a(fixture *f, int first, int second)
{
    int port = first >= 0 ? f->server->members[first].port : proxy_port(f->proxy);

    f->second = proxy_new(f->server->members[second].port, NULL);
    proxy_refuse(f->second);
    snprintf(f->url, sizeof f->url, "etcd://127.0.0.1:%d,127.0.0.1:%d", port,
             proxy_port(f->second));
    open_at(f, &f->a, f->url);
    driver_watch(&f->a, &f->session_a);
    if (!f->a.up)
        driver_await(&f->a, &f->a.ups, 1);
    come_back(&f->a, &f->session_a, 0);
    proxy_resume(f->second);
    f->a.downs = 0;
}

static void claim_x(fixture *f, mf_claim *claim)
{
    *claim = (mf_claim){.id = "x"};
    assert_int_equal(driver_submit(&f->a, "k", "x", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->a, &f->session_a, claim), MF_OK);
}

/* When the member that a node speaks to is killed, the node goes on with another one, holds what it
 * held, and hears hints. */
static void test_member_killed(void **state)
{
    fixture *f = *state;
    mf_claim x;

    open_a(f, 0, 1);
    claim_x(f, &x);
    etcd_server_kill(f->server, 0);
    come_back(&f->a, &f->session_a, 1);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &x), MF_OK);
    size_t hints = f->a.claimable;
    etcd_ctl_do(f->server, "put", "/t/tasks/y", "", NULL);
    driver_await_size(&f->a, &f->a.claimable, hints + 1);
    assert_int_equal(driver_done(&f->a, &f->session_a, &x), MF_OK);
}

/* When the leader is stopped until another one is elected, and comes back, the claims still have
 * the one owner that they had. */
static void test_leader_stopped(void **state)
{
    fixture *f = *state;
    int leader = etcd_server_leader(f->server), other = (leader + 1) % 3;
    mf_claim x, again = {.id = "x"};

    open_a(f, leader, other);
    claim_x(f, &x);
    etcd_server_pause(f->server, leader);
    come_back(&f->a, &f->session_a, 1);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &x), MF_OK);
    etcd_server_resume(f->server, leader);
    snprintf(f->url, sizeof f->url, "etcd://127.0.0.1:%d", f->server->members[leader].port);
    open_at(f, &f->b, f->url);
    driver_watch(&f->b, &f->session_b);
    come_back(&f->b, &f->session_b, 0);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &again), MF_ETAKEN);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &x), MF_OK);
}

/* A node that speaks to a follower goes on when the leader is stopped: its member says that there
 * is no leader, or gets a new one. */
static void test_leader_stopped_behind_a_follower(void **state)
{
    fixture *f = *state;
    int leader = etcd_server_leader(f->server);
    mf_claim x;

    open_a(f, (leader + 1) % 3, (leader + 2) % 3);
    claim_x(f, &x);
    etcd_server_pause(f->server, leader);
    int code;
    while ((code = driver_renew_one(&f->a, &f->session_a, &x)) != MF_OK) {
        assert_true(mf_error_is_transient(code));
        come_back(&f->a, &f->session_a, 0);
    }
    etcd_server_resume(f->server, leader);
    assert_int_equal(driver_done(&f->a, &f->session_a, &x), MF_OK);
}

/* A majority lost is a broker that cannot be reached, also by the member that is left; nothing is
 * granted. When the majority is back, so is the node. */
static void test_majority_lost(void **state)
{
    fixture *f = *state;
    mf_claim x;

    open_a(f, 0, 1);
    claim_x(f, &x);
    etcd_server_pause(f->server, 1);
    etcd_server_pause(f->server, 2);
    driver_await(&f->a, &f->a.downs, 1);
    assert_true(mf_error_is_transient(driver_renew_one(&f->a, &f->session_a, &x)));
    etcd_server_resume(f->server, 1);
    etcd_server_resume(f->server, 2);
    come_back(&f->a, &f->session_a, 1);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &x), MF_OK);
}

/* From now on each fdatasync of the member takes a minute. */
static void stall_disk(fixture *f, int member)
{
    char id[16], log[256];
    const char *const argv[] = {"strace", "-f",
                                "-p",     id,
                                "-e",     "trace=fdatasync",
                                "-e",     "inject=fdatasync:delay_enter=60000000",
                                NULL};

    snprintf(id, sizeof id, "%d", (int)f->server->members[member].process.pid);
    snprintf(log, sizeof log, "%s/strace.log", f->server->directory);
    process_start(&f->tracer, argv, log);
    assert_true(process_await_output(&f->tracer, "attached", 0, 5000));
}

typedef struct pending_renewal {
    mf_renew_request request;
    mf_lease lease;
    mf_claim *claims[1];
    mf_lost_claim lost[1];
    fixture *fixture;
} pending_renewal;

static void on_renewed(mf_request *request)
{
    pending_renewal *renewal = (pending_renewal *)request;

    renewal->fixture->renewed |= request->error.code == MF_OK;
    renewal->fixture->renewals++;
    mf_loop_stop(renewal->fixture->loop);
    free(renewal);
}

static void begin_renewal(fixture *f, mf_claim *claim)
{
    pending_renewal *renewal = calloc(1, sizeof *renewal);

    assert_non_null(renewal);
    renewal->claims[0] = claim;
    renewal->lease = (mf_lease){.claims = renewal->claims, .count = 1, .group = claim->group};
    renewal->fixture = f;
    renewal->request = (mf_renew_request){.request = {.done = on_renewed},
                                          .session = &f->session_a,
                                          .lease = &renewal->lease,
                                          .count = 1,
                                          .lost = renewal->lost};
    f->a.broker->operations->renew(f->a.broker, &renewal->request);
}

/* A follower whose disk stalls answers no reads any more, though it forwards renewals of leases and
 * says that it is well: what renews leaves it, in time for the claims to be renewed by another
 * member. */
static void test_member_with_a_stalled_disk(void **state)
{
    fixture *f = *state;
    int follower = (etcd_server_leader(f->server) + 1) % 3, other = (follower + 1) % 3;
    int64_t until_us = mf_loop_now_us(f->loop) + COME_BACK_US;
    mf_claim x;

    open_a(f, follower, other);
    claim_x(f, &x);
    snprintf(f->url, sizeof f->url, "etcd://127.0.0.1:%d", f->server->members[other].port);
    open_at(f, &f->b, f->url);
    stall_disk(f, follower);
    for (int i = 0; f->a.downs == 0 || !f->renewed; i++) {
        char id[16];
        snprintf(id, sizeof id, "w%d", i);
        assert_int_equal(driver_submit(&f->b, id, id, NULL), MF_OK);
        if (f->a.downs == 0)
            f->renewed = false;
        begin_renewal(f, &x);
        driver_run_ms(&f->a, 100);
        assert_true(mf_loop_now_us(f->loop) < until_us);
    }
    process_terminate(&f->tracer);
    assert_int_equal(driver_done(&f->a, &f->session_a, &x), MF_OK);
}

/* A renewal that a member acknowledged, but for which no majority answered then, does not count: a
 * later claim on the same lease keeps it alive itself, and is held from then. */
static void test_renewal_in_doubt(void **state)
{
    fixture *f = *state;
    mf_claim x, y = {.id = "y"};
    driver_pending claimed;

    open_at(f, &f->a, f->server->url);
    driver_watch(&f->a, &f->session_a);
    assert_int_equal(driver_join(&f->a, &f->session_a), MF_OK);
    claim_x(f, &x);
    assert_int_equal(driver_submit(&f->a, "ky", "y", NULL), MF_OK);
    open_at(f, &f->b, f->server->url);
    assert_int_equal(driver_send(&f->b, "n", "{}"), MF_OK);
    stall_disk(f, 0);
    (void)driver_send(&f->b, "n", "{}"); /* behind what is to be written reads wait */
    begin_renewal(f, &x);
    driver_await(&f->a, &f->renewals, 1);
    assert_false(f->renewed);
    driver_await(&f->a, &f->a.downs, 1);
    process_terminate(&f->tracer);
    come_back(&f->a, &f->session_a, 1);
    int64_t began_us = mf_loop_now_us(f->loop);
    driver_begin(&f->a, &claimed, f->a.broker->operations->claim, &f->session_a, &y);
    driver_await(&f->a, &claimed.answered, 1);
    assert_int_equal(y.result, MF_OK);
    assert_true(y.group == x.group);
    assert_true(claimed.request.request.sent_us >= began_us);
}

/* Nodes with one URL do not all use the member that is named first. */
static void test_order_of_members(void **state)
{
    enum { TRIES = 30 };
    fixture *f = *state;

    f->proxy = proxy_new(f->server->members[0].port, NULL);
    snprintf(f->url, sizeof f->url, "etcd://127.0.0.1:%d,127.0.0.1:%d", proxy_port(f->proxy),
             f->server->members[0].port);
    for (int i = 0; i < TRIES; i++) {
        open_at(f, &f->a, f->url);
        assert_int_equal(driver_send(&f->a, "n", "{}"), MF_OK);
        driver_close(&f->a);
    }
    uint64_t first = proxy_count(f->proxy).accepted;
    assert_true(first > 0 && first < TRIES);
}

/* When the network to one member swallows everything, another one is used. */
static void test_partition_from_one_member(void **state)
{
    fixture *f = *state;
    mf_claim x;

    f->proxy = proxy_new(f->server->members[0].port, NULL);
    open_a(f, -1, 1);
    claim_x(f, &x);
    int64_t began_us = mf_loop_now_us(f->loop);
    proxy_blackhole(f->proxy, PROXY_BOTH);
    come_back(&f->a, &f->session_a, 1);
    assert_true(mf_loop_now_us(f->loop) - began_us < 8000000);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &x), MF_OK);
}

/* A watch that goes silent when it has been asked for is given up and made anew. */
static void test_silent_watch(void **state)
{
    fixture *f = *state;
    static const char end_of_create[] = "/t/tasks0\x20\x01";

    f->proxy = proxy_new(f->server->members[0].port, NULL);
    proxy_arm(f->proxy, PROXY_SILENCE, end_of_create, strlen(end_of_create));
    snprintf(f->url, sizeof f->url, "etcd://127.0.0.1:%d", proxy_port(f->proxy));
    open_at(f, &f->a, f->url);
    driver_watch(&f->a, &f->session_a);
    driver_await(&f->a, &f->a.resyncs, 1);
    assert_int_equal(proxy_count(f->proxy).sprung, 1);
    assert_int_equal(driver_submit(&f->a, "k", "x", NULL), MF_OK);
    driver_await_size(&f->a, &f->a.claimable, 1);
}

/* What happened while the watch was cut off, and was compacted away, is found by reading all anew,
 * which the watcher is told to do; hints then go on. */
static void test_compaction_while_cut(void **state)
{
    fixture *f = *state;

    f->proxy = proxy_new(f->server->members[0].port, NULL);
    snprintf(f->url, sizeof f->url, "etcd://127.0.0.1:%d", proxy_port(f->proxy));
    open_at(f, &f->a, f->url);
    driver_watch(&f->a, &f->session_a);
    unsigned resyncs = f->a.resyncs;
    proxy_refuse(f->proxy);
    proxy_cut(f->proxy);
    driver_await(&f->a, &f->a.downs, 1);
    etcd_ctl_do(f->server, "put", "/t/tasks/missed", "", NULL);
    etcd_ctl_do(f->server, "put", "/t/tasks/missed/props", "{}", NULL);
    etcd_ctl_compact(f->server);
    proxy_resume(f->proxy);
    driver_await(&f->a, &f->a.resyncs, resyncs + 1);
    assert_int_equal(driver_count_claimable(&f->a), 1);
    /* By a hint, or by reading once more. */
    unsigned told = f->a.resyncs + (unsigned)f->a.claimable;
    etcd_ctl_do(f->server, "put", "/t/tasks/seen", "", NULL);
    for (int i = 0; i < 100 && f->a.resyncs + (unsigned)f->a.claimable == told; i++)
        driver_run_ms(&f->a, 100);
    assert_true(f->a.resyncs + (unsigned)f->a.claimable > told);
    assert_int_equal(driver_count_claimable(&f->a), 2);
}

static void revoke_all(fixture *f)
{
    char *list = etcd_ctl(f->server, "lease", "list", NULL), *at = list, *line;

    while ((line = strsep(&at, "\n")) != NULL)
        if (strspn(line, "0123456789abcdef") >= 10)
            etcd_ctl_do(f->server, "lease", "revoke", line, NULL);
    free(list);
}

/* When every lease is revoked behind our back, the session and its claims are lost, and said to be;
 * the session joins again and goes on, on new leases. */
static void test_leases_revoked(void **state)
{
    fixture *f = *state;
    mf_claim x, again = {.id = "x"}, y = {.id = "y"};

    open_at(f, &f->a, f->server->url);
    driver_watch(&f->a, &f->session_a);
    assert_int_equal(driver_join(&f->a, &f->session_a), MF_OK);
    claim_x(f, &x);
    assert_int_equal(driver_send(&f->a, "a", "{}"), MF_OK);
    revoke_all(f);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &x), MF_ENOSESSION);
    f->session_a.epoch++;
    assert_int_equal(driver_join(&f->a, &f->session_a), MF_OK);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &x), MF_ELATE);
    assert_int_equal(driver_done(&f->a, &f->session_a, &x), MF_ELATE);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &again), MF_OK);
    assert_true(again.fence > x.fence);
    assert_int_equal(driver_submit(&f->a, "l", "y", NULL), MF_OK);
    assert_int_equal(driver_send(&f->a, "a", "{}"), MF_OK);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &y), MF_OK);
}

static void await_alarm(fixture *f)
{
    bool raised = false;

    for (int i = 0; i < 100 && !raised; i++) {
        char *text = etcd_ctl(f->server, "alarm", "list", NULL);
        raised = strstr(text, "NOSPACE") != NULL;
        free(text);
    }
    assert_true(raised);
}

/* On a full disk nothing new is taken, with an error that says why; what is held can be renewed,
 * finished and given back, also when the connection was lost meanwhile. */
static void test_no_space(void **state)
{
    fixture *f = *state;
    mf_claim x, y = {.id = "y"}, z = {.id = "z"};
    char *large = malloc(1000001), token[16];
    int code = MF_OK;

    memset(large, '1', 1000000);
    large[1000000] = '\0';
    open_at(f, &f->a, f->server->url);
    driver_watch(&f->a, &f->session_a);
    assert_int_equal(driver_join(&f->a, &f->session_a), MF_OK);
    claim_x(f, &x);
    assert_int_equal(driver_submit(&f->a, "ky", "y", NULL), MF_OK);
    assert_int_equal(driver_submit(&f->a, "kz", "z", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &y), MF_OK);
    for (int i = 0; i < 20 && code == MF_OK; i++) {
        snprintf(token, sizeof token, "large%d", i);
        code = driver_submit(&f->a, token, token, large);
    }
    free(large);
    assert_int_equal(code, MF_EREFUSED);
    assert_non_null(strstr(f->a.error.text, "space"));
    await_alarm(f);
    assert_int_equal(driver_submit(&f->a, "kw", "w", NULL), MF_EREFUSED);
    code = driver_claim(&f->a, &f->session_a, &z); /* etcd counts no puts in nested transactions */
    assert_true(code == MF_OK || code == MF_EREFUSED);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &x), MF_OK);
    etcd_server_kill(f->server, 0);
    etcd_server_restart(f->server, 0);
    come_back(&f->a, &f->session_a, 1);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &x), MF_OK);
    assert_int_equal(driver_done(&f->a, &f->session_a, &x), MF_OK);
    assert_int_equal(driver_release(&f->a, &f->session_a, &y), MF_OK);
    open_at(f, &f->b, f->server->url); /* a node that starts is to try again */
    assert_true(mf_error_is_transient(driver_join(&f->b, &f->session_b)));
}

/* A user's token that has expired is replaced without anybody noticing. */
static void test_token_expired(void **state)
{
    fixture *f = *state;
    mf_claim x;

    snprintf(f->url, sizeof f->url, "etcd://root:secret@%s", f->server->url + strlen("etcd://"));
    open_at(f, &f->a, f->url);
    driver_watch(&f->a, &f->session_a);
    assert_int_equal(driver_join(&f->a, &f->session_a), MF_OK);
    claim_x(f, &x);
    etcd_ctl_do(f->server, "auth", "disable", NULL);
    f->server->options.ctl_credentials = NULL;
    etcd_ctl_do(f->server, "auth", "enable", NULL);
    f->server->options.ctl_credentials = "root:secret";
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &x), MF_OK);
    driver_run_ms(&f->a, 3000);
    assert_int_equal(driver_done(&f->a, &f->session_a, &x), MF_OK);
    assert_int_equal(f->a.downs, 0);
    size_t hints = f->a.claimable;
    etcd_ctl_do(f->server, "put", "/t/tasks/y", "", NULL);
    driver_await_size(&f->a, &f->a.claimable, hints + 1);
}

/* When authentication is disabled, users that are still in a URL do no harm. */
static void test_authentication_disabled(void **state)
{
    fixture *f = *state;
    mf_claim x;

    snprintf(f->url, sizeof f->url, "etcd://root:secret@%s", f->server->url + strlen("etcd://"));
    open_at(f, &f->a, f->url);
    driver_watch(&f->a, &f->session_a);
    assert_int_equal(driver_join(&f->a, &f->session_a), MF_OK);
    claim_x(f, &x);
    etcd_ctl_do(f->server, "auth", "disable", NULL);
    f->server->options.ctl_credentials = NULL;
    etcd_server_kill(f->server, 0);
    etcd_server_restart(f->server, 0);
    come_back(&f->a, &f->session_a, 1);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &x), MF_OK);
}

/* More has to be caught up with than one message may have: it comes in pieces, none twice. */
static void test_long_catch_up(void **state)
{
    enum { COUNT = 60, SIZE = 1200000 };
    fixture *f = *state;
    char *large = malloc(SIZE + 1), id[16];

    assert_non_null(large);
    memset(large, '1', SIZE);
    large[SIZE] = '\0';
    f->proxy = proxy_new(f->server->members[0].port, NULL);
    snprintf(f->url, sizeof f->url, "etcd://127.0.0.1:%d", proxy_port(f->proxy));
    open_at(f, &f->a, f->url);
    driver_watch(&f->a, &f->session_a);
    driver_await(&f->a, &f->a.resyncs, 1);
    open_with(f, &f->b, f->server->url, 30000); /* a busy disk takes long for each of them */
    proxy_refuse(f->proxy);
    proxy_cut(f->proxy);
    driver_await(&f->a, &f->a.downs, 1);
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof id, "large%d", i);
        assert_int_equal(driver_submit(&f->b, id, id, large), MF_OK);
    }
    free(large);
    f->a.claimable = 0;
    proxy_resume(f->proxy);
    while (f->a.claimable < COUNT) /* 72 MB take a sanitizer's build on a busy machine long */
        driver_run_ms(&f->a, 100);
    assert_int_equal(driver_submit(&f->b, "last", "last", NULL), MF_OK);
    driver_await_size(&f->a, &f->a.claimable, COUNT + 1);
    assert_string_equal(f->a.last_claimable, "last");
    assert_int_equal(f->a.claimable, COUNT + 1);
}

static int first_error(fixture *f, const char *credentials)
{
    snprintf(f->url, sizeof f->url, "etcd://%s%s", credentials, f->server->url + strlen("etcd://"));
    open_at(f, &f->a, f->url);
    int code = driver_send(&f->a, "n", "{}");
    driver_close(&f->a);
    return code;
}

/* Wrong credentials, none, and those of a user who may not write here are refused, and the error
 * does not have the password. */
static void test_refused_users(void **state)
{
    fixture *f = *state;

    assert_int_equal(first_error(f, "root:wrong@"), MF_EREFUSED);
    assert_null(strstr(f->a.error.text, "wrong@"));
    assert_int_equal(first_error(f, "nobody:x@"), MF_EREFUSED);
    assert_int_equal(first_error(f, ""), MF_EREFUSED);
    assert_int_equal(first_error(f, "guest:p%25ss@"), MF_EREFUSED);
    assert_non_null(strstr(f->a.error.text, "permission denied"));
    assert_int_equal(first_error(f, "root:secret@"), MF_OK);
    assert_int_equal(first_error(f, "owner:x@"), MF_OK);
}

#define TEST(function, set_up) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_member_killed, three_members),
        TEST(test_leader_stopped, three_members),
        TEST(test_leader_stopped_behind_a_follower, three_members),
        TEST(test_majority_lost, three_members),
        TEST(test_member_with_a_stalled_disk, three_members),
        TEST(test_renewal_in_doubt, one_member),
        TEST(test_order_of_members, one_member),
        TEST(test_partition_from_one_member, three_members),
        TEST(test_silent_watch, one_member),
        TEST(test_compaction_while_cut, one_member),
        TEST(test_long_catch_up, one_member),
        TEST(test_leases_revoked, one_member),
        TEST(test_no_space, small_quota),
        TEST(test_token_expired, with_users),
        TEST(test_authentication_disabled, with_users),
        TEST(test_refused_users, with_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
