/* The Redis driver against a real server: what its keys and scripts promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/redis.h>

#include "driver_calls.h"
#include "redis_server.h"

enum { MANY = 10000, LEASE_MS = 15000 };

typedef struct fixture {
    redis_server *server;
    mf_loop *loop;
    driver_handle a, b; /* two nodes, joined and watching */
    mf_session session_a, session_b;
    unsigned damaged; /* lines logged of damaged records */
    char damage[512]; /* the last of them */
} fixture;

static void on_log(mf_log_level level, const char *subsystem, const char *text, void *arg)
{
    fixture *f = arg;

    (void)level;
    (void)subsystem;
    if (strncmp(text, "damaged: ", 9) == 0) {
        f->damaged++;
        snprintf(f->damage, sizeof f->damage, "%s", text + 9);
    }
}

static void open_node(fixture *f, driver_handle *h, mf_session *session)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;

    options.name_space = "t";
    assert_int_equal(driver_open(h, &mf_redis_driver, f->loop, f->server->url, &options), MF_OK);
    driver_watch(h, session);
    assert_int_equal(driver_join(h, session), MF_OK);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    f->server = redis_server_start(NULL);
    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, on_log, f, MF_LOG_WARN);
    f->session_a = driver_session("node a", 'a', LEASE_MS);
    f->session_b = driver_session("b", 'b', LEASE_MS);
    open_node(f, &f->a, &f->session_a);
    open_node(f, &f->b, &f->session_b);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    driver_close(&f->a);
    driver_close(&f->b);
    mf_loop_free(f->loop);
    redis_server_free(f->server);
    free(f);
    return 0;
}

/* The keys are those of the layout, readable by people, and nothing of a task stays behind. */
static void test_layout(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "1"};
    char expected[128];

    assert_int_equal(driver_submit(&f->a, "s", "1", "{\"x\":1}"), MF_OK);
    assert_int_equal(driver_submit(&f->a, "t", "10", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
    assert_string_equal(claim.properties, "{\"x\":1}");
    free(claim.properties);
    redisReply *owner = redis_server_command(f->server, "GET {t}:owner:1");
    snprintf(expected, sizeof expected, "%s %llu node a", f->session_a.token,
             (unsigned long long)claim.fence);
    assert_string_equal(owner->str, expected);
    freeReplyObject(owner);
    assert_in_range(redis_server_integer(f->server, "PTTL {t}:owner:1"), LEASE_MS - 2000, LEASE_MS);
    assert_int_equal(redis_server_integer(f->server, "ZCARD {t}:ready"), 1);
    assert_int_equal(redis_server_integer(f->server, "SISMEMBER {t}:held:%s 1", f->session_a.token),
                     1);

    assert_int_equal(driver_done(&f->a, &f->session_a, &claim), MF_OK);
    assert_int_equal(
        redis_server_integer(f->server, "EXISTS {t}:owner:1 {t}:held:%s", f->session_a.token), 0);
    assert_int_equal(redis_server_integer(f->server, "HEXISTS {t}:tasks 1"), 0);
    assert_int_equal(redis_server_integer(f->server, "HEXISTS {t}:tasks 10"), 1);
}

/* Fences rise, also when a failover has lost the counter, and never fall behind a higher one. */
static void test_fence_counter_lost(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
    uint64_t first = claim.fence;
    assert_int_equal(driver_release(&f->a, &f->session_a, &claim), MF_OK);
    redis_server_do(f->server, "DEL {t}:fence");
    assert_int_equal(driver_claim(&f->b, &f->session_b, &claim), MF_OK);
    assert_true(claim.fence > first);
    assert_int_equal(driver_release(&f->b, &f->session_b, &claim), MF_OK);

    redis_server_do(f->server, "SET {t}:fence 9000000000000000");
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
    assert_true(claim.fence == 9000000000000001);
    redis_server_do(f->server, "SET {t}:fence 9007199254740992");
    assert_int_equal(driver_submit(&f->a, "u", "y", NULL), MF_OK);
    claim = (mf_claim){.id = "y"};
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_EDAMAGED);
}

/* A server that has lost the last fences, and whose clock is behind that of the one which gave
 * them, gives higher ones all the same once a session has joined there. */
static void test_fences_of_a_slow_server(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
    uint64_t lost = claim.fence + UINT64_C(3600000000); /* by a clock that is an hour ahead */
    assert_int_equal(driver_release(&f->a, &f->session_a, &claim), MF_OK);
    redis_server_do(f->server, "SET {t}:server 0123456789abcdef");
    f->session_b.epoch++;
    assert_int_equal(driver_join(&f->b, &f->session_b), MF_OK);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &claim), MF_OK);
    assert_true(claim.fence > lost);
    uint64_t first = claim.fence;
    assert_int_equal(driver_release(&f->b, &f->session_b, &claim), MF_OK);

    /* Again, while the counter is ahead of the clock. */
    redis_server_do(f->server, "SET {t}:server 0123456789abcdef");
    f->session_b.epoch++;
    assert_int_equal(driver_join(&f->b, &f->session_b), MF_OK);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &claim), MF_OK);
    assert_true(claim.fence > first + 1000000);
    assert_int_equal(driver_release(&f->b, &f->session_b, &claim), MF_OK);
    f->session_b.epoch++;
    first = claim.fence;
    assert_int_equal(driver_join(&f->b, &f->session_b), MF_OK);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &claim), MF_OK);
    assert_true(claim.fence == first + 1);
}

static uint64_t fence_after_takeover(fixture *f, const char *server)
{
    mf_claim claim = {.id = "x"};

    redis_server_do(f->server, "SET {t}:server %s", server);
    f->session_b.epoch++;
    assert_int_equal(driver_join(&f->b, &f->session_b), MF_OK);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &claim), MF_OK);
    assert_int_equal(driver_release(&f->b, &f->session_b, &claim), MF_OK);
    return claim.fence;
}

/* Two takeovers, of which the second server knows nothing of the first one's time: its fences are
 * higher all the same. */
static void test_fences_of_a_lost_time(void **state)
{
    fixture *f = *state;
    char known[32];

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    fence_after_takeover(f, "0123456789abcdef");
    redisReply *reply = redis_server_command(f->server, "GET {t}:fence");
    snprintf(known, sizeof known, "%s", reply->str);
    freeReplyObject(reply);
    driver_run_ms(&f->b, 1500); /* as long as a takeover takes at least */
    uint64_t first = fence_after_takeover(f, "0123456789abcdef");
    redis_server_do(f->server, "SET {t}:fence %s", known);
    driver_run_ms(&f->b, 100);
    assert_true(fence_after_takeover(f, "0123456789abcdef") > first);
}

/* A server from before a failover, that was never restarted, knows nothing of fences that another
 * has given since: nodes that have heard of them tell it. */
static void test_fences_that_others_gave(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    for (int i = 0; i < 2; i++) { /* heard of by a join, then by a claim */
        redis_server_do(f->server, "SET {t}:fence 1900000000000000");
        f->session_b.epoch++;
        assert_int_equal(driver_join(&f->b, &f->session_b), MF_OK);
        if (i == 1)
            assert_int_equal(driver_claim(&f->b, &f->session_b, &claim), MF_OK);
        uint64_t highest = i == 1 ? claim.fence : 1900000000000000;
        redis_server_do(f->server, "SET {t}:fence 1800000000000000");
        f->session_b.epoch++;
        assert_int_equal(driver_join(&f->b, &f->session_b), MF_OK);
        if (i == 1)
            assert_int_equal(driver_release(&f->b, &f->session_b, &claim), MF_OK);
        assert_int_equal(driver_claim(&f->b, &f->session_b, &claim), MF_OK);
        assert_true(claim.fence > highest);
        assert_int_equal(driver_release(&f->b, &f->session_b, &claim), MF_OK);
    }
}

/* A namespace that is emptied after its counter was raised beyond the clock goes on from there as
 * soon as a node joins that has heard of it; so do the numbers of commands. */
static void test_fences_of_an_emptied_namespace(void **state)
{
    fixture *f = *state;

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    uint64_t first = fence_after_takeover(f, "0123456789abcdef");
    redis_server_do(f->server, "FLUSHALL");
    assert_int_equal(driver_submit(&f->a, "t", "x", NULL), MF_OK);
    mf_claim claim = {.id = "x"};
    f->session_b.epoch++;
    assert_int_equal(driver_join(&f->b, &f->session_b), MF_OK);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &claim), MF_OK);
    assert_true(claim.fence > first);
}

/* A claim by its owner is answered with the old fence and a new lease. */
static void test_claim_again(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"}, again = {.id = "x"};

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
    redis_server_do(f->server, "PEXPIRE {t}:owner:x 3000");
    assert_int_equal(driver_claim(&f->a, &f->session_a, &again), MF_OK);
    assert_true(again.fence == claim.fence);
    assert_true(redis_server_integer(f->server, "PTTL {t}:owner:x") > 3000);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &again), MF_ETAKEN);
}

/* Requests of an older epoch, and of a session that has lapsed, are refused as a whole. */
static void test_epochs(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};
    mf_session old = f->session_a;

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    f->session_a.epoch = 2;
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_ENOSESSION);
    assert_int_equal(driver_join(&f->a, &f->session_a), MF_OK);
    assert_int_equal(driver_claim(&f->a, &old, &claim), MF_ESTALE);
    assert_int_equal(driver_join(&f->a, &old), MF_ESTALE);
    assert_int_equal(driver_leave(&f->a, &old), MF_ESTALE);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
    assert_int_equal(driver_done(&f->a, &old, &claim), MF_ESTALE);
    redis_server_do(f->server, "DEL %s", "{t}:node:node a");
    assert_int_equal(driver_release(&f->a, &f->session_a, &claim), MF_ENOSESSION);
    assert_int_equal(driver_renew(&f->a, &f->session_a), MF_ENOSESSION);
}

/* After the server's clock went back the times at which tasks were listed are in the future: they
 * are claimable all the same, and those that were submitted for later are not. */
static void test_clock_went_back(void **state)
{
    fixture *f = *state;
    mf_item later = {.id = "later", .delay_us = 3600 * INT64_C(1000000)};
    char id[32];

    assert_int_equal(driver_submit_list(&f->a, "l", &later, 1), MF_OK);
    driver_submit_many(&f->a, "task-", 3000);
    for (int i = 0; i < 2000; i++) {
        snprintf(id, sizeof id, "task-%d", i);
        redis_server_do(f->server, "ZADD {t}:ready XX %d%s %s", 9, "000000000000", id);
    }
    assert_int_equal(driver_count_claimable(&f->a), 3000);
    mf_claim claim = {.id = "later"};
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_ETAKEN);
    driver_claim_many(&f->a, &f->session_a, "task-", 3000);
    assert_int_equal(driver_count_claimable(&f->a), 0);
}

/* A late owner changes nothing, whether its token or its fence is not the owner's. */
static void test_late_owner(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"}, late = {.id = "x"};

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &late), MF_OK);
    redis_server_do(f->server, "DEL {t}:owner:x");
    assert_int_equal(driver_claim(&f->b, &f->session_b, &claim), MF_OK);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &late), MF_ELATE);
    assert_int_equal(driver_done(&f->a, &f->session_a, &late), MF_ELATE);
    assert_int_equal(driver_release(&f->a, &f->session_a, &late), MF_ELATE);
    assert_int_equal(driver_renew_one(&f->b, &f->session_b, &claim), MF_OK);

    late = claim;
    late.fence--;
    assert_int_equal(driver_renew_one(&f->b, &f->session_b, &late), MF_ELATE);
    assert_int_equal(driver_done(&f->b, &f->session_b, &late), MF_ELATE);
    assert_int_equal(driver_done(&f->b, &f->session_b, &claim), MF_OK);
    assert_int_equal(driver_done(&f->b, &f->session_b, &claim), MF_EGONE);
    assert_int_equal(driver_count_claimable(&f->a), 0);
}

/* A claim whose owner key vanished while its session lives is reported, and claimable again. */
static void test_owner_key_vanished(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
    redis_server_do(f->server, "DEL {t}:owner:x");
    f->a.claimable = f->b.claimable = 0;
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &claim), MF_ELATE);
    driver_await_size(&f->b, &f->b.claimable, 1);
    driver_await_size(&f->a, &f->a.claimable, 1);
    assert_int_equal(driver_count_claimable(&f->a), 1);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &claim), MF_OK);
}

/* A submit or remove that is repeated with its token gets the first answer. */
static void test_repeated_tokens(void **state)
{
    fixture *f = *state;

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_submit(&f->a, "s2", "x", NULL), MF_EEXISTS);
    assert_int_equal(driver_remove(&f->a, "r", "x"), MF_OK);
    assert_int_equal(driver_remove(&f->a, "r", "x"), MF_OK);
    assert_int_equal(driver_remove(&f->a, "r2", "x"), MF_EGONE);
    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    assert_int_equal(redis_server_integer(f->server, "HEXISTS {t}:tasks x"), 0);
    assert_true(redis_server_integer(f->server, "PTTL {t}:submitted:s") > 60000);
}

/* A running task that is removed is gone and its owner is told; one that is submitted anew under
 * the id can be claimed only when the owner has let go. */
static void test_remove_running(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
    assert_int_equal(driver_remove(&f->b, "r", "x"), MF_OK);
    driver_await_size(&f->a, &f->a.removed, 1);
    assert_string_equal(f->a.last_removed, "x");
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &claim), MF_EGONE);
    assert_int_equal(driver_submit(&f->a, "s2", "x", NULL), MF_OK);
    assert_int_equal(driver_count_claimable(&f->a), 0);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &(mf_claim){.id = "x"}), MF_ETAKEN);
    assert_int_equal(driver_done(&f->a, &f->session_a, &claim), MF_EGONE);
    assert_int_equal(driver_count_claimable(&f->a), 1);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &(mf_claim){.id = "x"}), MF_OK);
}

/* Scripts that the server has forgotten are sent again, each time. */
static void test_scripts_flushed(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};
    uint64_t last;
    char commands[64];

    for (int i = 0; i < 3; i++) {
        char token[16];
        snprintf(token, sizeof token, "s%d", i);
        redis_server_do(f->server, "SCRIPT FLUSH");
        assert_int_equal(driver_submit(&f->a, token, "x", NULL), MF_OK);
        assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
        redis_server_do(f->server, "SCRIPT FLUSH");
        assert_int_equal(driver_renew_one(&f->a, &f->session_a, &claim), MF_OK);
        assert_int_equal(driver_receive(&f->a, &f->session_a, 0, &last, commands, sizeof commands),
                         MF_OK);
        redis_server_do(f->server, "SCRIPT FLUSH");
        assert_int_equal(driver_done(&f->a, &f->session_a, &claim), MF_OK);
    }
}

/* Order within a session holds although the scripts are gone between requests under way. */
static void test_order_after_flush(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"}, again = {.id = "x"};
    driver_pending release, reclaim;

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    for (int i = 0; i < 20; i++) {
        claim = again = (mf_claim){.id = "x"};
        assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
        redis_server_do(f->server, "SCRIPT FLUSH");
        driver_begin(&f->a, &release, f->a.broker->operations->release, &f->session_a, &claim);
        driver_begin(&f->a, &reclaim, f->a.broker->operations->claim, &f->session_a, &again);
        driver_await(&f->a, &release.answered, 1);
        driver_await(&f->a, &reclaim.answered, 1);
        assert_int_equal(claim.result, MF_OK);
        assert_int_equal(again.result, MF_OK);
        assert_true(again.fence > claim.fence);
        assert_int_equal(driver_release(&f->a, &f->session_a, &again), MF_OK);
    }
}

/* What a dead node held is claimable a moment after its lease has ended, ten thousand tasks of it,
 * although another node is looking all the time. */
static void test_reap(void **state)
{
    fixture *f = *state;
    driver_handle dead;
    mf_session session = driver_session("dead", 'd', 2000);

    driver_submit_many(&f->a, "task-", MANY);
    open_node(f, &dead, &session);
    driver_claim_many(&dead, &session, "task-", MANY);
    int64_t lapse_ms = clock_ms() + redis_server_integer(f->server, "PTTL {t}:node:dead");
    driver_unwatch(&dead);
    assert_int_equal(driver_renew(&f->a, &f->session_a), MF_OK);
    assert_int_equal(driver_renew(&f->b, &f->session_b), MF_OK);
    f->a.claimable = 0;
    driver_await_size(&f->a, &f->a.claimable, MANY);
    int64_t late_ms = clock_ms() - lapse_ms;
    print_message("%d tasks claimable %lld ms after the lease\n", MANY, (long long)late_ms);
    assert_true(late_ms < 1000);
    driver_run_ms(&f->a, 100);
    assert_int_equal(f->a.claimable, MANY);
    assert_int_equal(redis_server_integer(f->server, "ZCARD {t}:ready"), MANY);
    assert_int_equal(redis_server_integer(f->server, "ZCARD {t}:sessions"), 2);
    assert_int_equal(redis_server_integer(f->server, "HLEN {t}:counts"), 0);
    assert_int_equal(redis_server_integer(f->server, "HLEN {t}:nodes"), 2);
    driver_close(&dead);
}

/* A lapsed session whose claims live on, a little, keeps them until they have ended. */
static void test_reap_waits_for_claims(void **state)
{
    fixture *f = *state;
    driver_handle dead;
    mf_session session = driver_session("dead", 'd', 2000);
    mf_claim claim = {.id = "x"};

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    open_node(f, &dead, &session);
    assert_int_equal(driver_claim(&dead, &session, &claim), MF_OK);
    driver_unwatch(&dead);
    redis_server_do(f->server, "PEXPIRE {t}:owner:x 3000");
    int64_t start_ms = clock_ms();
    assert_int_equal(driver_renew(&f->a, &f->session_a), MF_OK);
    f->a.claimable = 0;
    driver_await_size(&f->a, &f->a.claimable, 1);
    assert_in_range(clock_ms() - start_ms, 2900, 3500);
    driver_close(&dead);
}

/* An owner key without an expiry, which a dead session has left, is respected, and costs next to
 * nothing while it is waited for. */
static void test_reap_owner_without_expiry(void **state)
{
    fixture *f = *state;
    driver_handle dead;
    mf_session session = driver_session("dead", 'd', 1000);
    mf_claim claim = {.id = "x"};

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    open_node(f, &dead, &session);
    assert_int_equal(driver_claim(&dead, &session, &claim), MF_OK);
    driver_unwatch(&dead);
    redis_server_do(f->server, "PERSIST {t}:owner:x");
    assert_int_equal(driver_renew(&f->a, &f->session_a), MF_OK);
    assert_int_equal(driver_renew(&f->b, &f->session_b), MF_OK);
    driver_run_ms(&f->a, 1500);
    long long before = redis_server_info(f->server, "total_commands_processed");
    driver_run_ms(&f->a, 2000);
    long long commands = redis_server_info(f->server, "total_commands_processed") - before;
    print_message("%lld commands in two seconds\n", commands);
    assert_in_range(commands, 0, 400);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &claim), MF_ETAKEN);
    driver_close(&dead);
}

/* leave gives back at once what the session still holds; repeated it is harmless, and a join that
 * was delayed until after it is refused. */
static void test_leave(void **state)
{
    fixture *f = *state;

    driver_submit_many(&f->a, "task-", 1000);
    driver_claim_many(&f->a, &f->session_a, "task-", 1000);
    assert_int_equal(driver_count_claimable(&f->b), 0);
    assert_int_equal(driver_leave(&f->a, &f->session_a), MF_OK);
    assert_int_equal(driver_count_claimable(&f->b), 1000);
    assert_int_equal(driver_leave(&f->a, &f->session_a), MF_OK);
    assert_int_equal(driver_renew(&f->a, &f->session_a), MF_ENOSESSION);
    assert_int_equal(redis_server_integer(f->server, "EXISTS {t}:held:%s", f->session_a.token), 0);
    assert_int_equal(redis_server_integer(f->server, "ZCARD {t}:sessions"), 1);
    assert_int_equal(driver_join(&f->a, &f->session_a), MF_ESTALE);
    f->session_a.epoch++;
    assert_int_equal(driver_join(&f->a, &f->session_a), MF_OK);
}

/* A name in use is refused with its holder and the time that is left; takeover ends that session
 * and frees its tasks without waiting for the lease. */
static void test_name_in_use(void **state)
{
    fixture *f = *state;
    driver_handle other;
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_session session = driver_session("node a", 'c', LEASE_MS);
    mf_join_request join = {.session = &session};

    driver_submit_many(&f->a, "task-", 300);
    driver_claim_many(&f->a, &f->session_a, "task-", 300);
    options.name_space = "t";
    assert_int_equal(driver_open(&other, &mf_redis_driver, f->loop, f->server->url, &options),
                     MF_OK);
    driver_watch(&other, &session);
    assert_int_equal(driver_join_with(&other, &join), MF_ENAMEINUSE);
    assert_string_equal(join.holder, f->session_a.token);
    assert_in_range(join.remaining_ms, LEASE_MS - 3000, LEASE_MS);
    join.takeover = true;
    assert_int_equal(driver_join_with(&other, &join), MF_OK);
    driver_await_size(&other, &other.claimable, 300);
    assert_int_equal(driver_renew(&f->a, &f->session_a), MF_ENOSESSION);
    assert_int_equal(driver_count_claimable(&f->b), 300);
    driver_close(&other);
}

/* Hints that a session has caused are not told to its own watcher. */
static void test_hints(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    driver_await_size(&f->a, &f->a.claimable, 1);
    driver_await_size(&f->b, &f->b.claimable, 1);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
    driver_await_size(&f->b, &f->b.taken, 1);
    assert_int_equal(driver_release(&f->a, &f->session_a, &claim), MF_OK);
    driver_await_size(&f->b, &f->b.claimable, 2);
    assert_string_equal(f->b.last_claimable, "x");
    assert_int_equal(driver_submit(&f->a, "t", "y", NULL), MF_OK);
    driver_await_size(&f->a, &f->a.claimable, 2);
    assert_int_equal(f->a.taken, 0);
}

/* Commands arrive in order, stay until they are acknowledged, and their numbers rise even after all
 * of them are gone. */
static void test_commands(void **state)
{
    fixture *f = *state;
    uint64_t last = 0, next = 0;
    char text[128];

    assert_int_equal(driver_send(&f->a, "b", "{\"command\":\"freeze\"}"), MF_OK);
    assert_int_equal(driver_send(&f->a, "b", "{\"command\":\"freeze\"}"), MF_OK);
    assert_int_equal(driver_send(&f->a, "b", "{}"), MF_OK);
    driver_await(&f->b, &f->b.commands, 3);
    assert_int_equal(f->a.commands, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(driver_receive(&f->b, &f->session_b, 0, &last, text, sizeof text), MF_OK);
        assert_string_equal(text, "{\"command\":\"freeze\"} {\"command\":\"freeze\"} {} ");
    }
    assert_in_range(redis_server_integer(f->server, "PTTL {t}:commands:b"), 590000, 600000);
    assert_int_equal(driver_receive(&f->b, &f->session_b, last, &next, text, sizeof text), MF_OK);
    assert_string_equal(text, "");
    assert_int_equal(driver_send(&f->a, "b", "{}"), MF_OK);
    assert_int_equal(driver_receive(&f->b, &f->session_b, last, &next, text, sizeof text), MF_OK);
    assert_true(next > last);
}

/* What people or programs have put among the commands neither blocks them nor hides later ones. */
static void test_damaged_commands(void **state)
{
    fixture *f = *state;
    uint64_t last = 0;
    char text[128];

    redis_server_do(f->server, "ZADD {t}:commands:b inf nonsense");
    redis_server_do(f->server, "ZADD {t}:commands:b 9000000000000000 later");
    redis_server_do(f->server, "ZADD {t}:commands:b 1 earlier");
    assert_int_equal(driver_send(&f->a, "b", "{}"), MF_OK);
    assert_int_equal(driver_receive(&f->b, &f->session_b, 0, &last, text, sizeof text), MF_OK);
    assert_string_equal(text, "{} ");
    assert_int_equal(f->damaged, 1);
    redis_server_do(f->server, "DEL {t}:commands:b");
    redis_server_do(f->server, "SET {t}:commands:b x");
    assert_int_equal(driver_receive(&f->b, &f->session_b, 0, &last, text, sizeof text),
                     MF_EDAMAGED);
}

/* A damaged record is reported for its own task; the others of its batch are claimed. */
static void test_damaged_tasks(void **state)
{
    fixture *f = *state;
    mf_claim claims[] = {
        {.id = "good"}, {.id = "owner"}, {.id = "stray"}, {.id = "json"}, {.id = "last"}};
    mf_claim *list[] = {&claims[0], &claims[1], &claims[2], &claims[3], &claims[4]};
    static const int expected[] = {MF_OK, MF_EDAMAGED, MF_EDAMAGED, MF_EDAMAGED, MF_OK};

    for (int i = 0; i < 5; i++)
        if (i != 2)
            assert_int_equal(driver_submit(&f->a, claims[i].id, claims[i].id, "{}"), MF_OK);
    redis_server_do(f->server, "LPUSH {t}:owner:owner x");
    redis_server_do(f->server, "ZADD {t}:ready 1 stray");
    redis_server_do(f->server, "HSET {t}:tasks json {bad");
    assert_int_equal(driver_claim_list(&f->a, &f->session_a, list, 5), MF_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(claims[i].result, expected[i]);
        free(claims[i].properties);
    }
    assert_int_equal(f->damaged, 3);
    assert_non_null(strstr(f->damage, "task \"json\": properties"));
    assert_int_equal(redis_server_integer(f->server, "ZCARD {t}:ready"), 1);

    /* The one with the bad owner key is offered until somebody has repaired it. */
    redis_server_do(f->server, "DEL {t}:owner:owner");
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claims[1]), MF_OK);
    free(claims[1].properties);
}

/* Lists pass over ids that are none, and show damaged records with their code. */
static void test_damaged_lists(void **state)
{
    fixture *f = *state;
    size_t damaged;

    driver_submit_many(&f->a, "task-", 1000);
    redis_server_do(f->server, "ZADD {t}:ready 1 %b", "a\0b", (size_t)3);
    redis_server_do(f->server, "ZADD {t}:ready 1 a/b");
    redis_server_do(f->server, "HSET {t}:tasks %s \"\"", "a/b");
    redis_server_do(f->server, "HSET {t}:tasks task-1 {bad");
    redis_server_do(f->server, "SET {t}:owner:task-2 nonsense");
    redis_server_do(f->server, "LPUSH {t}:owner:task-3 x");
    assert_int_equal(driver_count_claimable(&f->a), 1000);
    assert_int_equal(driver_count_tasks(&f->a, &damaged), 1001);
    assert_int_equal(damaged, 4);
    assert_int_equal(driver_lookup(&f->a, "task-2", NULL, NULL, 0), MF_EDAMAGED);
    assert_int_equal(driver_lookup(&f->a, "none", NULL, NULL, 0), MF_EGONE);
    assert_true(f->damaged > 0);
}

/* A key of the namespace that is of another type fails the request before it has done anything. */
static void test_damaged_keys(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    redis_server_do(f->server, "RENAME {t}:ready {t}:kept");
    redis_server_do(f->server, "SET {t}:ready x");
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_EDAMAGED);
    assert_int_equal(redis_server_integer(f->server, "EXISTS {t}:owner:x"), 0);
    redis_server_do(f->server, "RENAME {t}:kept {t}:ready");
    redis_server_do(f->server, "LPUSH {t}:held:%s x", f->session_a.token);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_EDAMAGED);
    assert_int_equal(redis_server_integer(f->server, "EXISTS {t}:owner:x"), 0);
    redis_server_do(f->server, "DEL {t}:held:%s", f->session_a.token);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
}

/* An owner key without an expiry, as a migration writes it, is respected; the task stays listed. */
static void test_moving(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    redis_server_do(f->server, "SET {t}:owner:x moving");
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_ETAKEN);
    redis_server_do(f->server, "DEL {t}:owner:x");
    assert_int_equal(driver_count_claimable(&f->a), 1);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
}

/* Lookup and the list of nodes say who owns what. */
static void test_lookup_and_nodes(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "task-7"};
    uint64_t fence = 0;
    char owner[64];

    driver_submit_many(&f->a, "task-", 500);
    driver_claim_many(&f->b, &f->session_b, "task-", 5);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
    assert_int_equal(driver_lookup(&f->b, "task-7", &fence, owner, sizeof owner), MF_OK);
    assert_string_equal(owner, "node a");
    assert_true(fence == claim.fence);
    assert_int_equal(driver_lookup(&f->b, "task-8", &fence, owner, sizeof owner), MF_OK);
    assert_string_equal(owner, "");
    assert_int_equal(driver_count_tasks(&f->a, NULL), 500);
    assert_int_equal(driver_count_nodes(&f->a), 2);
    assert_int_equal(driver_node_tasks(&f->a, "b"), 5);
    assert_int_equal(driver_node_tasks(&f->a, "node a"), 1);
    assert_int_equal(driver_done(&f->a, &f->session_a, &claim), MF_OK);
    assert_int_equal(driver_node_tasks(&f->a, "node a"), 0);
}

/* A full server refuses new tasks and goes on running those that it has: sessions join again, tasks
 * are given back, taken over and ended. */
static void test_memory_full(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"}, other = {.id = "z"};

    assert_int_equal(driver_submit(&f->a, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_submit(&f->a, "z", "z", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &other), MF_OK);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &claim), MF_OK);
    redis_server_do(f->server, "CONFIG SET maxmemory 1");
    assert_int_equal(driver_submit(&f->a, "t", "y", NULL), MF_EREFUSED);
    assert_non_null(strstr(f->a.error.text, "maxmemory"));
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &claim), MF_OK);
    f->session_a.epoch++;
    assert_int_equal(driver_join(&f->a, &f->session_a), MF_OK);
    redis_server_do(f->server, "DEL %s", "{t}:node:node a");
    f->session_a.epoch++;
    assert_int_equal(driver_join(&f->a, &f->session_a), MF_OK);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &claim), MF_OK);
    assert_int_equal(driver_send(&f->a, "b", "{}"), MF_OK);
    assert_int_equal(driver_release(&f->b, &f->session_b, &other), MF_OK);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &other), MF_OK);
    assert_int_equal(driver_leave(&f->b, &f->session_b), MF_OK);
    assert_int_equal(driver_claim(&f->a, &f->session_a, &other), MF_OK);
    assert_int_equal(driver_remove(&f->a, "r", "z"), MF_OK);
    assert_int_equal(driver_done(&f->a, &f->session_a, &claim), MF_OK);
    redis_server_do(f->server, "CONFIG SET maxmemory 0");
    assert_int_equal(driver_submit(&f->a, "u", "y", NULL), MF_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_layout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fence_counter_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fences_of_a_slow_server, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fences_of_a_lost_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fences_that_others_gave, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fences_of_an_emptied_namespace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_claim_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_epochs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clock_went_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(test_owner_key_vanished, setup, teardown),
        cmocka_unit_test_setup_teardown(test_repeated_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remove_running, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scripts_flushed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order_after_flush, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reap_waits_for_claims, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reap_owner_without_expiry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leave, setup, teardown),
        cmocka_unit_test_setup_teardown(test_name_in_use, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hints, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_tasks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_moving, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lookup_and_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_full, setup, teardown),
    };
    process_outrank_others();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
