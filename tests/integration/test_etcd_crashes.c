/* Crash counts on etcd: the keys that they are made of, and that none of them is left over. What
 * they do is in tests/lib/state_slots.c. */
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

enum { LEASE_MS = 15000, REPLY_MS = 1000 };

typedef struct fixture {
    etcd_server *server;
    proxy *proxy; /* before it */
    mf_loop *loop;
    driver_handle a;
    mf_session session;
    char token; /* of the last session that died */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    char url[64];

    f->server = etcd_server_start(NULL);
    f->proxy = proxy_new(f->server->members[0].port, NULL);
    snprintf(url, sizeof url, "etcd://127.0.0.1:%d", proxy_port(f->proxy));
    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, NULL, NULL, MF_LOG_NONE);
    options.name_space = "t";
    options.max_crashes = 2;
    options.reply_timeout_ms = REPLY_MS;
    f->session = driver_session("a", 'a', LEASE_MS);
    f->token = 'a';
    assert_int_equal(driver_open(&f->a, &mf_etcd_driver, f->loop, url, &options), MF_OK);
    driver_watch(&f->a, &f->session);
    assert_int_equal(driver_join(&f->a, &f->session), MF_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    driver_close(&f->a);
    mf_loop_free(f->loop);
    proxy_free(f->proxy);
    etcd_server_free(f->server);
    free(f);
    return 0;
}

/* The keys below "/t/_mf/" that have to do with crashes, each followed by a newline. */
static char *crash_keys(fixture *f)
{
    char *all = etcd_ctl(f->server, "get", "--prefix", "--keys-only", "/t/_mf/", NULL);
    char *out = calloc(1, strlen(all) + 1), *rest = all, *line;

    while ((line = strsep(&rest, "\n")) != NULL)
        if (strstr(line, "/crashes/") || strstr(line, "/recent/") || strstr(line, "/delayed/"))
            strcat(strcat(out, line), "\n");
    free(all);
    return out;
}

static void await_crash_keys(fixture *f, const char *expected)
{
    char *keys = crash_keys(f);

    for (int i = 0; i < 100 && strcmp(keys, expected) != 0; i++) {
        free(keys);
        driver_run_ms(&f->a, 50);
        keys = crash_keys(f);
    }
    assert_string_equal(keys, expected);
    free(keys);
}

static void submit(fixture *f, const char *id)
{
    char token[33];

    memset(token, f->token, 32);
    token[32] = '\0';
    assert_int_equal(driver_submit(&f->a, token, id, NULL), MF_OK);
}

/* A session that claims both tasks, and finishes the second, is taken over. */
static void die_with(fixture *f, const char *first, const char *second)
{
    mf_session dying = driver_session("dying", ++f->token, LEASE_MS);
    mf_session next = driver_session("dying", ++f->token, LEASE_MS);
    mf_join_request takeover = {.session = &next, .takeover = true};
    mf_claim one = {.id = first}, two = {.id = second};

    assert_int_equal(driver_join(&f->a, &dying), MF_OK);
    assert_int_equal(driver_claim(&f->a, &dying, &one), MF_OK);
    if (second != NULL) {
        assert_int_equal(driver_claim(&f->a, &dying, &two), MF_OK);
        assert_int_equal(driver_done(&f->a, &dying, &two), MF_OK);
    }
    assert_int_equal(driver_join_with(&f->a, &takeover), MF_OK);
    assert_int_equal(driver_leave(&f->a, &next), MF_OK);
}

/* Only what the dead session held is counted, also when an id is in use again; a task that is done
 * takes its count with it. */
static void test_count_goes_with_its_task(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "1"};

    submit(f, "1");
    f->token++;
    submit(f, "2");
    die_with(f, "1", "2");
    f->token++;
    submit(f, "2");
    await_crash_keys(f, "/t/_mf/crashes/1\n");
    assert_int_equal(driver_claim(&f->a, &f->session, &c), MF_OK);
    assert_int_equal(driver_done(&f->a, &f->session, &c), MF_OK);
    await_crash_keys(f, "");
}

/* A task that is set aside can be removed, and its id used again. */
static void test_removed_when_set_aside(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "1"};

    submit(f, "1");
    die_with(f, "1", NULL);
    die_with(f, "1", NULL);
    await_crash_keys(f, "/t/_mf/crashes/1\n/t/_mf/delayed/1\n");
    assert_int_equal(driver_claim(&f->a, &f->session, &c), MF_ETAKEN);
    assert_int_equal(driver_remove(&f->a, "fedcba9876543210fedcba9876543210", "1"), MF_OK);
    f->token++;
    submit(f, "1");
    assert_int_equal(driver_claim(&f->a, &f->session, &c), MF_OK);
    assert_int_equal(driver_leave(&f->a, &f->session), MF_OK);
    await_crash_keys(f, "");
}

/* What was refused is in no note for long. */
static void test_refused_claim(void **state)
{
    fixture *f = *state;
    mf_session other = driver_session("other", 'z', LEASE_MS);
    mf_claim held = {.id = "1"}, refused = {.id = "1"};

    submit(f, "1");
    assert_int_equal(driver_join(&f->a, &other), MF_OK);
    assert_int_equal(driver_claim(&f->a, &other, &held), MF_OK);
    assert_int_equal(driver_claim(&f->a, &f->session, &refused), MF_ETAKEN);
    assert_int_equal(driver_release(&f->a, &other, &held), MF_OK);
    await_crash_keys(f, "");
}

/* A note that makes no sense is taken away. */
static void test_damaged_note(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "1"};

    etcd_ctl_do(f->server, "put", "/t/_mf/recent/x", "\n\n", NULL);
    etcd_ctl_do(f->server, "put", "/t/_mf/recent/y/1.2", "no/task", NULL);
    submit(f, "1");
    die_with(f, "1", NULL);
    await_crash_keys(f, "/t/_mf/crashes/1\n");
    assert_int_equal(driver_claim(&f->a, &f->session, &c), MF_OK);
}

/* A crash is counted once, whatever is lost on the way of the requests that find and count it; and
 * the session goes on. */
static void test_lost_on_the_way(void **state)
{
    static const char *const requests[] = {"/t/_mf/recent/", "/t/_mf/leases/", "/t/_mf/crashes/1"};
    static const proxy_trap traps[] = {PROXY_LOSE_REQUEST, PROXY_LOSE_REPLY, PROXY_SILENCE};
    fixture *f = *state;
    mf_claim c = {.id = "1"};
    uint64_t sprung = 0;

    for (size_t i = 0; i < 9; i++) {
        submit(f, "1");
        f->token++;
        etcd_ctl_do(f->server, "put", "/t/_mf/recent/x/1.1", "1", NULL);
        etcd_ctl_do(f->server, "put", "/t/tasks/1/owner", "{\"node\":\"x\"}", NULL);
        proxy_arm(f->proxy, traps[i % 3], requests[i / 3], strlen(requests[i / 3]));
        unsigned ups = f->a.ups;
        etcd_ctl_do(f->server, "del", "/t/tasks/1/owner", NULL);
        sprung++;
        for (int turn = 0; turn < 100 && proxy_count(f->proxy).sprung < sprung; turn++)
            driver_run_ms(&f->a, 50);
        assert_int_equal(proxy_count(f->proxy).sprung, sprung);
        driver_await(&f->a, &f->a.ups, ups + 1);
        await_crash_keys(f, "/t/_mf/crashes/1\n");
        char *count = etcd_ctl(f->server, "get", "--print-value-only", "/t/_mf/crashes/1", NULL);
        assert_string_equal(count, "1\n");
        free(count);
        f->session.epoch++;
        assert_int_equal(driver_join(&f->a, &f->session), MF_OK);
        assert_int_equal(driver_claim(&f->a, &f->session, &c), MF_OK);
        assert_int_equal(driver_done(&f->a, &f->session, &c), MF_OK);
        await_crash_keys(f, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_count_goes_with_its_task, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_removed_when_set_aside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_claim, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_note, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost_on_the_way, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
