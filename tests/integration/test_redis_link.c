/* The Redis driver's connections: which servers it takes, and what it does when they fail. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/redis.h>

#include "certificates.h"
#include "driver_calls.h"
#include "proxy.h"
#include "redis_server.h"

typedef struct fixture {
    redis_server *server, *other;
    proxy *proxy;
    mf_loop *loop;
    driver_handle handle;
    mf_session session;
    mf_broker_options options;
    unsigned warnings; /* of lost data */
} fixture;

static void on_log(mf_log_level level, const char *subsystem, const char *text, void *arg)
{
    fixture *f = arg;

    (void)level;
    (void)subsystem;
    f->warnings += strstr(text, "tasks will be lost on a restart") != NULL;
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, on_log, f, MF_LOG_WARN);
    f->options = (mf_broker_options)MF_BROKER_OPTIONS_INIT;
    f->options.name_space = "t";
    f->options.reply_timeout_ms = 2000;
    f->session = driver_session("a", 'a', 15000);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    driver_close(&f->handle);
    mf_loop_free(f->loop);
    if (f->proxy != NULL)
        proxy_free(f->proxy);
    redis_server_free(f->server);
    redis_server_free(f->other);
    free(f);
    return 0;
}

static void start_with(fixture *f, const char *config, const char *password)
{
    redis_server_options options = {.config = config, .password = password};

    f->server = redis_server_start(&options);
}

/* Opens a handle and asks something of it; the code of the answer, whose text is in its error. */
static int ask(fixture *f, const char *url)
{
    driver_close(&f->handle);
    assert_int_equal(driver_open(&f->handle, &mf_redis_driver, f->loop, url, &f->options), MF_OK);
    return driver_submit(&f->handle, "s", "x", NULL);
}

static void open_joined(fixture *f, const char *url)
{
    assert_int_equal(driver_open(&f->handle, &mf_redis_driver, f->loop, url, &f->options), MF_OK);
    driver_watch(&f->handle, &f->session);
    assert_int_equal(f->handle.ups, 1);
    assert_int_equal(driver_join(&f->handle, &f->session), MF_OK);
}

static void assert_says(const fixture *f, const char *text)
{
    if (strstr(f->handle.error.text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", f->handle.error.text, text);
}

/* Bad URLs and options are refused at once, by a text that names the field and the rule. */
static void test_bad_input(void **state)
{
    static const struct {
        const char *url, *name_space, *text;
    } cases[] = {
        {"redis://", "t", "host"},
        {"redis://h/x", "t", "url: database: not a number"},
        {"redis://h/99999999999", "t", "url: database: not a number"},
        {"redis://h?db=1", "t", "'db' is not known"},
        {"unix://", "t", "url: "},
        {"unix:///", "t", "url: path: missing"},
        {"unix:///s?db=x", "t", "url: database: not a number"},
        {"redis://h", NULL, "name_space: missing"},
        {"redis://h", "", "name_space: empty"},
        {"redis://h", "a}b", "name_space: contains '{' or '}'"},
        {"rediss://h?tls_ca_file=/nonexistent", "t", "/nonexistent"},
    };
    fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f->options.name_space = cases[i].name_space;
        assert_int_equal(
            driver_open(&f->handle, &mf_redis_driver, f->loop, cases[i].url, &f->options),
            MF_EINVAL);
        f->handle.broker = NULL;
        assert_says(f, cases[i].text);
    }
}

/* The database of the URL is used, by TCP and by a unix socket, and hints stay within it. */
static void test_databases(void **state)
{
    fixture *f = *state;
    driver_handle zero;
    char url[256];

    start_with(f, NULL, NULL);
    snprintf(url, sizeof url, "%s/3", f->server->url);
    assert_int_equal(ask(f, url), MF_OK);
    driver_watch(&f->handle, NULL);
    redis_server_do(f->server, "SELECT 3");
    assert_int_equal(redis_server_integer(f->server, "HEXISTS {t}:tasks x"), 1);
    snprintf(url, sizeof url, "unix://%s", f->server->socket);
    assert_int_equal(driver_open(&zero, &mf_redis_driver, f->loop, url, &f->options), MF_OK);
    assert_int_equal(driver_submit(&zero, "s", "y", NULL), MF_OK);
    assert_int_equal(driver_submit(&f->handle, "s3", "z", NULL), MF_OK);
    driver_await_size(&f->handle, &f->handle.claimable, 1);
    assert_string_equal(f->handle.last_claimable, "z");
    driver_close(&zero);
    snprintf(url, sizeof url, "unix://%s?db=3", f->server->socket);
    assert_int_equal(ask(f, url), MF_OK);
    snprintf(url, sizeof url, "%s/99", f->server->url);
    assert_int_equal(ask(f, url), MF_EREFUSED);
    assert_says(f, "SELECT");
}

/* Credentials: the right ones work, as default user and as another; without and with wrong ones the
 * server's text is handed on, and no password with it. */
static void test_credentials(void **state)
{
    fixture *f = *state;
    char url[128];

    start_with(f, "user eve on >se/cret ~{t}:* &{t}:* +@all\n", "pass@word");
    snprintf(url, sizeof url, "redis://:pass%%40word@127.0.0.1:%d", f->server->port);
    assert_int_equal(ask(f, url), MF_OK);
    snprintf(url, sizeof url, "redis://eve:se%%2Fcret@127.0.0.1:%d", f->server->port);
    assert_int_equal(ask(f, url), MF_OK);
    assert_int_equal(ask(f, f->server->url), MF_EREFUSED);
    assert_says(f, "NOAUTH");
    snprintf(url, sizeof url, "redis://:sesame@127.0.0.1:%d", f->server->port);
    assert_int_equal(ask(f, url), MF_EREFUSED);
    assert_says(f, "WRONGPASS");
    assert_null(strstr(f->handle.error.text, "sesame"));
    snprintf(url, sizeof url, "redis://eve:se%%2Fcret@127.0.0.1:%d", f->server->port);
    f->options.name_space = "other";
    assert_int_equal(ask(f, url), MF_EREFUSED);
    assert_says(f, "NOPERM");
}

/* A user who may not ask for the server's settings can work without them being checked. */
static void test_restricted_user(void **state)
{
    fixture *f = *state;
    char url[128];

    start_with(f, "user eve on >s ~{t}:* &{t}:* +@all -@dangerous -@admin -client\n", NULL);
    snprintf(url, sizeof url, "redis://eve:s@127.0.0.1:%d", f->server->port);
    open_joined(f, url);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_count_tasks(&f->handle, NULL), 1);
}

/* A user who may not subscribe is told why, instead of working without hints for ever. */
static void test_no_channels(void **state)
{
    fixture *f = *state;
    char url[128];

    start_with(f, "user eve on >s ~* resetchannels +@all\n", NULL);
    snprintf(url, sizeof url, "redis://eve:s@127.0.0.1:%d", f->server->port);
    assert_int_equal(driver_open(&f->handle, &mf_redis_driver, f->loop, url, &f->options), MF_OK);
    driver_watch(&f->handle, &f->session);
    assert_int_equal(f->handle.ups, 0);
    assert_int_equal(f->handle.why.code, MF_EREFUSED);
    assert_non_null(strstr(f->handle.why.text, "channel"));
}

/* A server that may evict claims is refused, by the name of the setting; once set right, it is
 * taken without opening anew. */
static void test_eviction(void **state)
{
    fixture *f = *state;

    start_with(f, "maxmemory 100mb\nmaxmemory-policy allkeys-lru\n", NULL);
    assert_int_equal(ask(f, f->server->url), MF_EREFUSED);
    assert_says(f, "maxmemory-policy is allkeys-lru, it must be noeviction");
    driver_watch(&f->handle, NULL);
    assert_int_equal(f->handle.downs, 1);
    redis_server_do(f->server, "CONFIG SET maxmemory-policy noeviction");
    driver_await(&f->handle, &f->handle.ups, 1);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
}

/* A key of the namespace that belongs to something else is found when connecting. */
static void test_foreign_namespace(void **state)
{
    fixture *f = *state;

    start_with(f, NULL, NULL);
    redis_server_do(f->server, "SET {t}:tasks x");
    assert_int_equal(ask(f, f->server->url), MF_EREFUSED);
    assert_says(f, "{t}:tasks is not a hash");
}

/* That a server keeps nothing on disk is said once, and not of one that does. */
static void test_persistence_warning(void **state)
{
    fixture *f = *state;
    redis_server_options options = {.persistent = true};

    start_with(f, NULL, NULL);
    open_joined(f, f->server->url);
    redis_server_stop(f->server);
    redis_server_restart(f->server);
    driver_await(&f->handle, &f->handle.ups, 2);
    assert_int_equal(f->warnings, 1);
    f->other = redis_server_start(&options);
    driver_close(&f->handle);
    assert_int_equal(ask(f, f->other->url), MF_OK);
    assert_int_equal(f->warnings, 1);
}

static void make_replica(fixture *f)
{
    f->other = redis_server_start(NULL);
    redis_server_do(f->other, "REPLICAOF 127.0.0.1 %d", f->server->port);
}

/* A replica is refused, and passed over when the URL names its master too. */
static void test_replica(void **state)
{
    fixture *f = *state;
    char url[128];

    start_with(f, NULL, NULL);
    make_replica(f);
    assert_int_equal(ask(f, f->other->url), MF_EUNREACHABLE);
    assert_says(f, "is a replica");
    snprintf(url, sizeof url, "redis://127.0.0.1:%d,127.0.0.1:%d", f->other->port, f->server->port);
    assert_int_equal(ask(f, url), MF_OK);
}

/* A master that becomes a replica is left, not taken for a failing request. */
static void test_demoted(void **state)
{
    fixture *f = *state;

    start_with(f, NULL, NULL);
    f->other = redis_server_start(NULL);
    open_joined(f, f->server->url);
    redis_server_do(f->server, "REPLICAOF 127.0.0.1 %d", f->other->port);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_EUNREACHABLE);
    driver_await(&f->handle, &f->handle.downs, 1);
    redis_server_do(f->server, "REPLICAOF NO ONE");
    driver_await(&f->handle, &f->handle.ups, 2);
    assert_int_equal(driver_submit(&f->handle, "s", "y", NULL), MF_OK);
}

/* When requests go to another master, so does the subscription, although its old server is alive
 * and would keep it for ever. */
static void test_failover(void **state)
{
    fixture *f = *state;
    char url[128];

    start_with(f, NULL, NULL);
    f->other = redis_server_start(NULL);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d,127.0.0.1:%d", f->server->port, f->other->port);
    open_joined(f, url);
    redis_server_do(f->server, "CLIENT KILL TYPE normal SKIPME yes");
    driver_await(&f->handle, &f->handle.resyncs, 2);
    assert_int_equal(f->handle.ups, 2);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    assert_int_equal(redis_server_integer(f->other, "HLEN {t}:tasks"), 1);
    driver_await_size(&f->handle, &f->handle.claimable, 1);
}

/* A replica that is promoted without the last writes knows neither the claim nor the counter that
 * it raised. The session joins there, and whoever claims the task has a higher fence all the same.
 */
static void test_failover_loses_claims(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};
    char url[128];

    start_with(f, "repl-diskless-sync-delay 0\n", NULL);
    make_replica(f);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d,127.0.0.1:%d", f->server->port, f->other->port);
    open_joined(f, url);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    while (redis_server_integer(f->other, "HLEN {t}:tasks") == 0)
        driver_run_ms(&f->handle, 20);
    redis_server_do(f->other, "REPLICAOF NO ONE");
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    assert_int_equal(driver_release(&f->handle, &f->session, &claim), MF_OK);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    uint64_t lost = claim.fence;

    redis_server_kill(f->server);
    driver_await(&f->handle, &f->handle.ups, 2);
    assert_int_equal(redis_server_integer(f->other, "EXISTS {t}:fence {t}:owner:x"), 0);
    f->session.epoch++;
    assert_int_equal(driver_join(&f->handle, &f->session), MF_OK);
    assert_int_equal(driver_release(&f->handle, &f->session, &claim), MF_ELATE);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    assert_true(claim.fence > lost);
}

/* wait_replicas: what too few replicas have confirmed is unknown; with enough of them it is done.
 */
static void test_wait_replicas(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};

    start_with(f, "repl-diskless-sync-delay 0\n", NULL);
    f->options.wait_replicas = 1;
    open_joined(f, f->server->url);
    assert_int_equal(driver_submit(&f->handle, "s", "x", "{}"), MF_EUNKNOWN);
    assert_says(f, "confirmed by 0 of 1 replicas");
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_EUNKNOWN);
    assert_null(claim.properties);
    redis_server_do(f->server, "SCRIPT FLUSH");
    make_replica(f);
    while (redis_server_info(f->server, "connected_slaves") == 0 ||
           driver_submit(&f->handle, "s", "x", "{}") == MF_EUNKNOWN)
        driver_run_ms(&f->handle, 20);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    assert_string_equal(claim.properties, "{}");
    free(claim.properties);
    assert_int_equal(driver_done(&f->handle, &f->session, &claim), MF_OK);
}

/* A server that is not there: an error within the time for connecting, or patience when asked. */
static void test_not_there(void **state)
{
    fixture *f = *state;
    char url[128];
    driver_pending pending;
    mf_claim claim = {.id = "x"};

    start_with(f, NULL, NULL);
    redis_server_stop(f->server);
    int64_t start_ms = clock_ms();
    assert_int_equal(ask(f, f->server->url), MF_EUNREACHABLE);
    assert_true(clock_ms() - start_ms < 5000);
    driver_close(&f->handle);

    f->options.wait_for_broker = true;
    snprintf(url, sizeof url, "%s", f->server->url);
    assert_int_equal(driver_open(&f->handle, &mf_redis_driver, f->loop, url, &f->options), MF_OK);
    driver_begin(&f->handle, &pending, f->handle.broker->operations->claim, &f->session, &claim);
    driver_watch(&f->handle, &f->session);
    assert_int_equal(f->handle.downs, 1);
    assert_int_equal(pending.answered, 0);
    redis_server_restart(f->server);
    driver_await(&f->handle, &pending.answered, 1);
    assert_int_equal(pending.request.request.error.code, MF_ENOSESSION);
}

/* Requests under way when the server dies are unknown, later ones not executed; watchers are told,
 * and told again when it is back. */
static void test_server_dies(void **state)
{
    fixture *f = *state;
    driver_pending pending;
    mf_claim claim = {.id = "x"};

    start_with(f, NULL, NULL);
    open_joined(f, f->server->url);
    redis_server_pause(f->server);
    driver_begin(&f->handle, &pending, f->handle.broker->operations->claim, &f->session, &claim);
    driver_run_ms(&f->handle, 50);
    assert_int_equal(pending.answered, 0);
    redis_server_kill(f->server);
    driver_await(&f->handle, &pending.answered, 1);
    assert_int_equal(pending.request.request.error.code, MF_EUNKNOWN);
    driver_await(&f->handle, &f->handle.downs, 1);
    assert_int_equal(driver_renew(&f->handle, &f->session), MF_EUNREACHABLE);
    redis_server_restart(f->server);
    driver_await(&f->handle, &f->handle.resyncs, 2);
    assert_int_equal(f->handle.ups, 2);
    assert_int_equal(driver_renew(&f->handle, &f->session), MF_ENOSESSION);
}

/* A peer that is silently gone is found by the requests that it owes, and by pings when it owes
 * none, both within twice the reply timeout. */
static void test_silence(void **state)
{
    fixture *f = *state;
    char url[64];

    start_with(f, NULL, NULL);
    f->proxy = proxy_new(f->server->port, NULL);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", proxy_port(f->proxy));
    f->options.reply_timeout_ms = 400;
    open_joined(f, url);
    proxy_blackhole(f->proxy, PROXY_BOTH);
    int64_t start_ms = clock_ms();
    assert_int_equal(driver_renew(&f->handle, &f->session), MF_EUNKNOWN);
    assert_in_range(clock_ms() - start_ms, 350, 1000);
    assert_int_equal(f->handle.downs, 1);
    proxy_resume(f->proxy);
    driver_await(&f->handle, &f->handle.resyncs, 2);

    proxy_blackhole(f->proxy, PROXY_REPLIES);
    start_ms = clock_ms();
    driver_await(&f->handle, &f->handle.downs, 2);
    assert_true(clock_ms() - start_ms < 1200);
}

/* An idle connection lives: it is asked for a sign of life and gives one. */
static void test_idle(void **state)
{
    fixture *f = *state;

    start_with(f, NULL, NULL);
    f->options.reply_timeout_ms = 100;
    open_joined(f, f->server->url);
    driver_run_ms(&f->handle, 700);
    assert_int_equal(f->handle.downs, 0);
    assert_int_equal(f->handle.resyncs, 1);
    assert_true(redis_server_info(f->server, "total_connections_received") <= 4);
}

/* A reply that is large and slow is no silence: each piece of it is a sign of life. */
static void test_slow_replies(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};
    char url[64];
    char *properties = malloc((1 << 20) + 1);

    start_with(f, NULL, NULL);
    memset(properties, ' ', 1 << 20);
    memcpy(properties, "{}", 2);
    properties[1 << 20] = '\0';
    f->proxy = proxy_new(f->server->port, NULL);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", proxy_port(f->proxy));
    open_joined(f, url);
    proxy_delay(f->proxy, PROXY_BOTH, 300);
    assert_int_equal(driver_submit(&f->handle, "s", "x", properties), MF_OK);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    assert_string_equal(claim.properties, properties);
    free(claim.properties);
    free(properties);
}

/* A claim whose reply is lost was executed or not; asked again in the next epoch it has one answer,
 * and its delayed first copy none. */
static void test_lost_reply(void **state)
{
    fixture *f = *state;
    mf_claim claim = {.id = "x"};
    char url[64];

    start_with(f, NULL, NULL);
    f->proxy = proxy_new(f->server->port, NULL);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", proxy_port(f->proxy));
    open_joined(f, url);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    assert_int_equal(driver_release(&f->handle, &f->session, &claim), MF_OK);
    proxy_arm(f->proxy, PROXY_LOSE_REPLY, "{t}:owner:x", 11);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_EUNKNOWN);
    driver_await(&f->handle, &f->handle.resyncs, 2);
    f->session.epoch++;
    assert_int_equal(driver_join(&f->handle, &f->session), MF_OK);
    uint64_t granted = (uint64_t)redis_server_integer(f->server, "EXISTS {t}:owner:x");
    assert_int_equal(granted, 1);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    f->session.epoch--;
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_ESTALE);
}

/* A subscription that the server ends is made again: the watcher is told to read again, and not
 * that the broker was gone. */
static void test_subscription_killed(void **state)
{
    fixture *f = *state;

    start_with(f, NULL, NULL);
    open_joined(f, f->server->url);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(redis_server_integer(f->server, "CLIENT KILL TYPE pubsub"), 1);
        driver_await(&f->handle, &f->handle.resyncs, i + 2);
    }
    assert_int_equal(f->handle.downs, 0);
    assert_int_equal(f->handle.ups, 1);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    driver_await_size(&f->handle, &f->handle.claimable, 1);
}

/* Watchers come and go on one handle; the node's channel goes with its last watcher. */
static void test_watchers(void **state)
{
    fixture *f = *state;
    driver_handle second;

    start_with(f, NULL, NULL);
    open_joined(f, f->server->url);
    second = (driver_handle){.loop = f->loop, .broker = f->handle.broker};
    driver_watch(&second, &f->session);
    assert_int_equal(second.ups, 1);
    assert_int_equal(driver_send(&f->handle, "a", "{}"), MF_OK);
    driver_await(&f->handle, &f->handle.commands, 1);
    driver_await(&second, &second.commands, 1);
    driver_unwatch(&f->handle);
    assert_int_equal(driver_send(&f->handle, "a", "{}"), MF_OK);
    driver_await(&second, &second.commands, 2);
    driver_unwatch(&second);
    assert_int_equal(driver_send(&f->handle, "a", "{}"), MF_OK);
    while (redis_server_integer(f->server, "PUBLISH {t}:hints:a x") != 0)
        driver_run_ms(&f->handle, 5);
    assert_int_equal(f->handle.commands, 1);
    assert_int_equal(second.commands, 2);
}

/* Closing answers what is under way, whether it was sent or waits for a connection. */
static void test_close(void **state)
{
    fixture *f = *state;
    driver_pending sent[4], waiting;
    mf_claim claims[5] = {{.id = "x"}, {.id = "x"}, {.id = "x"}, {.id = "x"}, {.id = "x"}};

    start_with(f, NULL, NULL);
    open_joined(f, f->server->url);
    redis_server_pause(f->server);
    for (int i = 0; i < 4; i++)
        driver_begin(&f->handle, &sent[i], f->handle.broker->operations->claim, &f->session,
                     &claims[i]);
    driver_close(&f->handle);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sent[i].answered, 1);
        assert_int_equal(sent[i].request.request.error.code, MF_EUNKNOWN);
    }
    assert_int_equal(
        driver_open(&f->handle, &mf_redis_driver, f->loop, f->server->url, &f->options), MF_OK);
    driver_begin(&f->handle, &waiting, f->handle.broker->operations->claim, &f->session,
                 &claims[4]);
    driver_close(&f->handle);
    assert_int_equal(waiting.answered, 1);
    assert_int_equal(waiting.request.request.error.code, MF_ECLOSED);
    redis_server_resume(f->server);
}

/* rediss:// verifies the server, shows a client certificate when it has one, and keeps both of its
 * connections under TLS. */
static void test_tls(void **state)
{
    fixture *f = *state;
    redis_server_options options = {.certificates = certificates_directory(),
                                    .client_certificate = true};
    char url[1024];

    f->server = redis_server_start(&options);
    snprintf(url, sizeof url, "%s?tls_ca_file=%s&tls_cert_file=%s&tls_key_file=%s",
             f->server->tls_url, certificates_file("ca.crt"), certificates_file("client.crt"),
             certificates_file("client.key"));
    open_joined(f, url);
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    driver_await_size(&f->handle, &f->handle.claimable, 1);
    driver_close(&f->handle);
    snprintf(url, sizeof url, "%s?tls_ca_file=%s", f->server->tls_url, certificates_file("ca.crt"));
    assert_int_equal(ask(f, url), MF_EUNREACHABLE);
    snprintf(url, sizeof url, "%s?tls_ca_file=%s", f->server->tls_url,
             certificates_file("other-ca.crt"));
    assert_int_equal(ask(f, url), MF_EUNREACHABLE);
    assert_says(f, "certificate");
}

static bool cluster_is_up(redis_server *server)
{
    redisReply *reply = redis_server_command(server, "CLUSTER INFO");
    bool up = strstr(reply->str, "cluster_state:ok") != NULL;

    freeReplyObject(reply);
    return up;
}

/* A node of a cluster serves a namespace whose slot it has; one that has not says who does. */
static void test_cluster(void **state)
{
    fixture *f = *state;

    start_with(f, "cluster-enabled yes\n", NULL);
    redis_server_do(f->server, "CLUSTER ADDSLOTSRANGE 0 16383");
    while (!cluster_is_up(f->server))
        driver_run_ms(&(driver_handle){.loop = f->loop}, 20);
    open_joined(f, f->server->url);
    mf_claim claim = {.id = "x"};
    assert_int_equal(driver_submit(&f->handle, "s", "x", NULL), MF_OK);
    assert_int_equal(driver_claim(&f->handle, &f->session, &claim), MF_OK);
    assert_int_equal(driver_done(&f->handle, &f->session, &claim), MF_OK);
    assert_int_equal(driver_count_tasks(&f->handle, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bad_input, setup, teardown),
        cmocka_unit_test_setup_teardown(test_databases, setup, teardown),
        cmocka_unit_test_setup_teardown(test_credentials, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restricted_user, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_channels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_eviction, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_namespace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_persistence_warning, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replica, setup, teardown),
        cmocka_unit_test_setup_teardown(test_demoted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failover, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failover_loses_claims, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wait_replicas, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_server_dies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_replies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(test_subscription_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watchers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cluster, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
