/* What a handle of the etcd driver knows of the namespace without reading it again: the tasks that
 * can be claimed, and how many each node holds. */
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

enum { LEASE_MS = 20000, SHORT_LEASE_MS = 2000, TELL_MS = 2000, MANY = 3000 };
/* Less than a list of MANY tasks takes, or of their owner keys; and more than some events, and what
 * the proxy has yet to count of what came before. */
enum { LIST_BYTES = 30000 };

/* Handle "a" is the one that knows, by a proxy; "b" acts. */
typedef struct fixture {
    etcd_server *server;
    mf_loop *loop;
    proxy *proxy;
    driver_handle a, b;
    mf_session session_a, session_b;
} fixture;

static void open_handle(fixture *f, driver_handle *h, int port)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    char url[64];

    options.name_space = "t";
    options.reply_timeout_ms = 5000;
    snprintf(url, sizeof url, "etcd://127.0.0.1:%d", port);
    assert_int_equal(driver_open(h, &mf_etcd_driver, f->loop, url, &options), MF_OK);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->server = etcd_server_start(NULL);
    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, NULL, NULL, MF_LOG_NONE);
    f->proxy = proxy_new(f->server->members[0].port, NULL);
    f->session_a = driver_session("a", 'a', LEASE_MS);
    f->session_b = driver_session("b", 'b', LEASE_MS);
    open_handle(f, &f->b, f->server->members[0].port);
    assert_int_equal(driver_join(&f->b, &f->session_b), MF_OK);
    open_handle(f, &f->a, proxy_port(f->proxy));
    driver_watch(&f->a, &f->session_a);
    assert_int_equal(driver_join(&f->a, &f->session_a), MF_OK);
    f->a.may_lag = true;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    driver_close(&f->a);
    driver_close(&f->b);
    mf_loop_free(f->loop);
    proxy_free(f->proxy);
    etcd_server_free(f->server);
    free(f);
    return 0;
}

/* The first reading of everything, by which the handle knows; how many can be claimed. */
static size_t learn(fixture *f)
{
    assert_true(driver_node_tasks(&f->a, "a") >= 0);
    return driver_count_claimable(&f->a);
}

static uint64_t replies(fixture *f)
{
    return proxy_count(f->proxy).replies;
}

/* Forgets all hints but the present ones. */
static void forget_hints(driver_handle *h)
{
    h->claimable = h->taken = h->removed = 0;
}

/* What hints have told is in the next list, and the list costs nothing, however many tasks there
 * are. */
static void test_list_follows_hints(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "t7"};

    driver_submit_many(&f->b, "t", MANY);
    driver_await_size(&f->a, &f->a.claimable, MANY);
    assert_int_equal(learn(f), MANY);
    uint64_t before = replies(f);
    assert_int_equal(driver_count_claimable(&f->a), MANY);

    assert_int_equal(driver_claim(&f->b, &f->session_b, &claim), MF_OK);
    free(claim.properties);
    driver_await_size(&f->a, &f->a.taken, 1);
    assert_int_equal(driver_count_claimable(&f->a), MANY - 1);
    forget_hints(&f->a);
    assert_int_equal(driver_release(&f->b, &f->session_b, &claim), MF_OK);
    driver_await_size(&f->a, &f->a.claimable, 1);
    assert_int_equal(driver_count_claimable(&f->a), MANY);
    assert_int_equal(driver_remove(&f->b, "r", "t8"), MF_OK);
    driver_await_size(&f->a, &f->a.removed, 1);
    assert_int_equal(driver_count_claimable(&f->a), MANY - 1);
    assert_true(replies(f) - before < LIST_BYTES);
}

/* Who asks for what is true now gets it, whatever hints have told. */
static void test_list_of_now(void **state)
{
    fixture *f = *state;

    assert_int_equal(learn(f), 0);
    f->a.may_lag = false;
    for (size_t i = 1; i <= 50; i++) {
        char id[16];
        snprintf(id, sizeof id, "t%zu", i);
        assert_int_equal(driver_submit(&f->b, id, id, NULL), MF_OK);
        assert_int_equal(driver_count_claimable(&f->a), i);
    }
}

/* A broken stream goes on where it was: what happened meanwhile comes as hints, then is in the
 * list, without everything being read. */
static void test_cut(void **state)
{
    fixture *f = *state;

    driver_submit_many(&f->b, "t", MANY);
    driver_await_size(&f->a, &f->a.claimable, MANY);
    assert_int_equal(learn(f), MANY);
    forget_hints(&f->a);
    proxy_refuse(f->proxy);
    proxy_cut(f->proxy);
    driver_await(&f->a, &f->a.downs, 1);
    driver_submit_many(&f->b, "u", 10);
    assert_int_equal(driver_remove(&f->b, "r", "t8"), MF_OK);
    uint64_t before = replies(f);
    proxy_resume(f->proxy);
    driver_await_size(&f->a, &f->a.claimable, 10);
    driver_await_size(&f->a, &f->a.removed, 1);
    assert_int_equal(driver_count_claimable(&f->a), MANY + 9);
    assert_true(replies(f) - before < LIST_BYTES);
}

/* What was compacted while the stream was broken cannot be told: everything is read anew, and what
 * was claimed, released, submitted and removed meanwhile is in the list. */
static void test_compaction_during_a_cut(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "t1"}, other = {.id = "t2"};
    char revision[32];

    driver_submit_many(&f->b, "t", 20);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &claim), MF_OK);
    free(claim.properties);
    driver_await_size(&f->a, &f->a.taken, 1);
    assert_int_equal(learn(f), 19);
    unsigned resyncs = f->a.resyncs;
    proxy_refuse(f->proxy);
    proxy_cut(f->proxy);
    driver_await(&f->a, &f->a.downs, 1);
    assert_int_equal(driver_release(&f->b, &f->session_b, &claim), MF_OK);
    assert_int_equal(driver_claim(&f->b, &f->session_b, &other), MF_OK);
    free(other.properties);
    assert_int_equal(driver_remove(&f->b, "r", "t3"), MF_OK);
    driver_submit_many(&f->b, "u", 5);
    snprintf(revision, sizeof revision, "%llu", (unsigned long long)other.fence);
    etcd_ctl_do(f->server, "compact", revision, NULL);
    proxy_resume(f->proxy);
    /* It is told when the stream is back, and again when that turns out to be of no use. */
    do
        driver_await(&f->a, &f->a.resyncs, ++resyncs);
    while (learn(f) != 20 - 2 + 5);
    driver_await_told(&f->a, "b", 1);
}

/* A handle on which nobody watched for a while has to read everything, and then knows again. */
static void test_watched_again(void **state)
{
    fixture *f = *state;

    driver_submit_many(&f->b, "t", MANY);
    driver_await_size(&f->a, &f->a.claimable, MANY);
    assert_int_equal(learn(f), MANY);
    driver_unwatch(&f->a);
    driver_submit_many(&f->b, "u", 5);
    assert_int_equal(driver_count_claimable(&f->a), MANY + 5);
    f->a.resyncs = f->a.downs = 0;
    driver_watch(&f->a, &f->session_a);
    assert_int_equal(learn(f), MANY + 5);
    uint64_t before = replies(f);
    assert_int_equal(driver_count_claimable(&f->a), MANY + 5);
    assert_true(replies(f) - before < LIST_BYTES);
}

/* Nodes are told of within two seconds of what they do, and asking for all of them reads none of
 * their tasks. */
static void test_nodes_are_told(void **state)
{
    fixture *f = *state;
    mf_session c = driver_session("c", 'c', LEASE_MS);

    learn(f);
    driver_await_told(&f->a, "b", 0);
    driver_submit_many(&f->b, "t", MANY);
    driver_claim_many(&f->b, &f->session_b, "t", MANY);
    int64_t claimed_us = mf_loop_now_us(f->loop);
    driver_await_told(&f->a, "b", MANY);
    assert_true(mf_loop_now_us(f->loop) - claimed_us < TELL_MS * 1000);
    driver_run_ms(&f->a, 100); /* until the last of the hints has come */
    uint64_t before = replies(f);
    assert_int_equal(driver_node_tasks(&f->a, "b"), MANY);
    assert_int_equal(driver_count_nodes(&f->a), 2);
    assert_true(replies(f) - before < LIST_BYTES);

    assert_int_equal(driver_join(&f->b, &c), MF_OK);
    driver_await_told(&f->a, "c", 0);
    assert_int_equal(driver_leave(&f->b, &f->session_b), MF_OK);
    driver_await_told(&f->a, "b", -1);
    assert_int_equal(driver_count_nodes(&f->a), 2);
}

/* The counts of thirty nodes are right within two seconds of their claims, and a view of all of
 * them costs as much as their node keys and leases. */
static void test_view_of_thirty_nodes(void **state)
{
    enum { NODES = 30, EACH = 100 };
    static char names[NODES][8];
    mf_session sessions[NODES];
    fixture *f = *state;

    learn(f);
    for (int i = 0; i < NODES; i++) {
        snprintf(names[i], sizeof names[i], "n%d-", i);
        sessions[i] = driver_session(names[i], (char)('A' + i), LEASE_MS);
        driver_submit_many(&f->b, names[i], EACH);
        assert_int_equal(driver_join(&f->b, &sessions[i]), MF_OK);
        driver_claim_many(&f->b, &sessions[i], names[i], EACH);
    }
    int64_t claimed_us = mf_loop_now_us(f->loop);
    for (int i = 0; i < NODES; i++)
        driver_await_told(&f->a, names[i], EACH);
    assert_true(mf_loop_now_us(f->loop) - claimed_us < TELL_MS * 1000);
    uint64_t before = replies(f);
    assert_int_equal(driver_count_nodes(&f->a), NODES + 2);
    assert_int_equal(driver_node_tasks(&f->a, names[NODES - 1]), EACH);
    assert_true(replies(f) - before < LIST_BYTES);
}

/* A node that will be back says so by its weight. */
static void test_weights_are_told(void **state)
{
    fixture *f = *state;

    learn(f);
    f->session_b.weight = -2.5;
    f->session_b.epoch++;
    unsigned hints = f->a.node_hints;
    assert_int_equal(driver_join(&f->b, &f->session_b), MF_OK);
    driver_await(&f->a, &f->a.node_hints, hints + 1);
    for (size_t i = 0; i < f->a.node_count; i++)
        if (strcmp(f->a.nodes[i].name, "b") == 0)
            assert_true(f->a.nodes[i].weight == -2.5);
}

/* A node of the Go library's is told of, and its tasks are counted, by keys that it puts itself on
 * its one lease; when the lease ends, all of them can be claimed and the node is gone. */
static void test_foreign_node(void **state)
{
    fixture *f = *state;
    char lease[32];

    driver_submit_many(&f->b, "t", 3);
    char *granted = etcd_ctl(f->server, "lease", "grant", "60", NULL);
    assert_int_equal(sscanf(granted, "lease %31s", lease), 1);
    free(granted);
    char option[64];
    snprintf(option, sizeof option, "--lease=%s", lease);
    etcd_ctl_do(f->server, "put", option, "/t/tasks/t0/owner", "{\"node\":\"go\"}", NULL);
    assert_int_equal(learn(f), 2);
    etcd_ctl_do(f->server, "put", option, "/t/nodes/go/_metafora", "{\"node\":\"go\"}", NULL);
    driver_await_told(&f->a, "go", 1);
    etcd_ctl_do(f->server, "put", option, "/t/tasks/t1/owner", "{\"node\":\"go\"}", NULL);
    driver_await_told(&f->a, "go", 2);
    assert_int_equal(driver_count_claimable(&f->a), 1);
    etcd_ctl_do(f->server, "del", "/t/tasks/t1/owner", NULL);
    driver_await_told(&f->a, "go", 1);
    forget_hints(&f->a);
    etcd_ctl_do(f->server, "lease", "revoke", lease, NULL);
    driver_await_told(&f->a, "go", -1);
    driver_await_size(&f->a, &f->a.claimable, 1);
    assert_int_equal(driver_count_claimable(&f->a), 3);
}

/* A node that dies takes its claims with it: its lease ends, all of its tasks are claimable, and it
 * is gone. */
static void test_dead_node(void **state)
{
    fixture *f = *state;
    mf_session dying = driver_session("dying", 'd', SHORT_LEASE_MS);

    driver_submit_many(&f->b, "t", 200);
    assert_int_equal(driver_join(&f->b, &dying), MF_OK);
    driver_claim_many(&f->b, &dying, "t", 200);
    driver_await_size(&f->a, &f->a.taken, 200);
    learn(f);
    driver_await_told(&f->a, "dying", 200);
    forget_hints(&f->a);
    driver_await_size(&f->a, &f->a.claimable, 200);
    assert_int_equal(driver_count_claimable(&f->a), 200);
    driver_await_told(&f->a, "dying", -1);
}

enum { HELD = 900, HELD_BATCH = 100, ID_BYTES = 16 };

/* "a", which knows of all there is, claims HELD tasks, all on one lease, and has renewed them. */
static mf_claim **hold_many(fixture *f)
{
    static char ids[HELD][ID_BYTES];
    static mf_claim all[HELD], *claims[HELD];

    learn(f);
    driver_submit_many(&f->b, "t", HELD);
    for (size_t i = 0; i < HELD; i++) {
        snprintf(ids[i], ID_BYTES, "t%zu", i);
        all[i] = (mf_claim){.id = ids[i]};
        claims[i] = &all[i];
    }
    for (size_t i = 0; i < HELD; i += HELD_BATCH)
        assert_int_equal(driver_claim_list(&f->a, &f->session_a, &claims[i], HELD_BATCH), MF_OK);
    for (size_t i = 0; i < HELD; i++) {
        assert_int_equal(claims[i]->result, MF_OK);
        assert_true(claims[i]->group == claims[0]->group);
        free(claims[i]->properties);
    }
    assert_int_equal(driver_renew_list(&f->a, &f->session_a, claims, HELD), 0);
    return claims;
}

/* That many renewals of all claims cost no list of them: five lists of keys would be three times
 * as much. */
static void assert_renewals_read_nothing(fixture *f, mf_claim **claims)
{
    uint64_t before = replies(f);

    for (int i = 0; i < 5; i++)
        assert_int_equal(driver_renew_list(&f->a, &f->session_a, claims, HELD), 0);
    assert_true(replies(f) - before < LIST_BYTES);
}

/* Renewing many claims reads nothing of each while the watch vouches for them, and all the same it
 * notices one whose owner key somebody has removed. */
static void test_renewal_reads_nothing(void **state)
{
    fixture *f = *state;
    mf_claim **claims = hold_many(f);

    assert_renewals_read_nothing(f, claims);
    forget_hints(&f->a);
    etcd_ctl_do(f->server, "del", "/t/tasks/t5/owner", NULL);
    driver_await_size(&f->a, &f->a.claimable, 1);
    assert_int_equal(driver_renew_list(&f->a, &f->session_a, claims, HELD), 1);
}

/* Removing what is not there makes nobody read anything. */
static void test_removing_nothing(void **state)
{
    fixture *f = *state;
    mf_claim **claims = hold_many(f);

    assert_int_equal(driver_remove(&f->b, "r", "nothing"), MF_EGONE);
    assert_renewals_read_nothing(f, claims);
}

/* A task for later is claimable in its time, for all who know of it, also when it is listed between
 * events; a delay whose task somebody has deleted goes, too. */
static void test_delays_end(void **state)
{
    fixture *f = *state;
    mf_item later = {.id = "later", .delay_us = 300000};

    assert_int_equal(driver_submit_list(&f->b, "k", &later, 1), MF_OK);
    assert_int_equal(learn(f), 0);
    etcd_ctl_do(f->server, "put", "/t/_mf/delayed/gone", "9223372036854775807", NULL);
    etcd_ctl_do(f->server, "put", "/t/tasks/gone", "", NULL);
    etcd_ctl_do(f->server, "del", "/t/tasks/gone", NULL);
    for (int i = 0; i < 100 && driver_count_claimable(&f->a) < 1; i++)
        driver_run_ms(&f->a, 50);
    assert_int_equal(driver_count_claimable(&f->a), 1);
    char *keys = NULL;
    for (int i = 0; i < 100 && (keys == NULL || keys[0] != '\0'); i++) {
        free(keys);
        driver_run_ms(&f->a, 50);
        keys = etcd_ctl(f->server, "get", "--prefix", "--keys-only", "/t/_mf/delayed/", NULL);
    }
    assert_string_equal(keys, "");
    free(keys);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_list_follows_hints),
        TEST(test_list_of_now),
        TEST(test_cut),
        TEST(test_compaction_during_a_cut),
        TEST(test_watched_again),
        TEST(test_nodes_are_told),
        TEST(test_view_of_thirty_nodes),
        TEST(test_weights_are_told),
        TEST(test_foreign_node),
        TEST(test_dead_node),
        TEST(test_renewal_reads_nothing),
        TEST(test_removing_nothing),
        TEST(test_delays_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
