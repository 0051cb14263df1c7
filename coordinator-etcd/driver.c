/* Opening and closing a handle. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/etcd.h>

#include "crashes.h"
#include "delays.h"
#include "handle.h"
#include "leases.h"
#include "mail.h"
#include "mirror.h"
#include "op.h"
#include "session.h"
#include "slots.h"
#include "watch.h"

enum { DEFAULT_PORT = 2379, DEFAULT_TIMEOUT_MS = 5000 };
/* Of the operations in a transaction, those that a claim or an ending needs beside one for each
 * task: three in the nested transaction, four in the outer one. */
enum { TRANSACTION_LIMIT = 128, TRANSACTION_OVERHEAD = 7 };
/* How long etcd remembers a request's token, and keeps a command: between the first and the last
 * key on a lease lies the time for which it is fresh. */
enum { MARK_SECONDS = 60, FRESH_SECONDS = 60 };

/* The link for calls. */

void mf__etcd_tell_link(mf_etcd *etcd)
{
    if (etcd->tried && !etcd->closing)
        mf__watchers_tell(&etcd->watchers, etcd->up, &etcd->why, mf__etcd_watch_is_on(etcd),
                          mf__etcd_watch_why_off(etcd));
}

static void on_ready(mf_etcd_link *link, void *arg)
{
    mf_etcd *etcd = arg;

    (void)link;
    etcd->up = etcd->tried = true;
    mf__etcd_tell_link(etcd);
}

static void on_down(mf_etcd_link *link, const mf_error *why, void *arg)
{
    mf_etcd *etcd = arg;

    (void)link;
    etcd->up = false;
    etcd->tried = true;
    etcd->why = *why;
    mf__etcd_tell_link(etcd);
}

static const mf_etcd_link_events link_events = {.ready = on_ready, .down = on_down};

/* Watchers. */

static void on_greet(void *arg)
{
    mf__etcd_tell_link(arg);
}

static void watch(mf_broker *broker, mf_watcher *watcher)
{
    mf_etcd *etcd = (mf_etcd *)broker;

    mf__watchers_add(&etcd->watchers, watcher);
    if (mf__watchers_want_hints(&etcd->watchers))
        mf__etcd_watch_start(etcd);
    mf_defer(broker->loop, &etcd->greet);
}

static void unwatch(mf_broker *broker, mf_watcher *watcher)
{
    mf_etcd *etcd = (mf_etcd *)broker;

    mf__watchers_remove(&etcd->watchers, watcher);
    if (!mf__watchers_want_hints(&etcd->watchers))
        mf__etcd_watch_pause(etcd);
}

/* Closing. */

static void free_etcd(mf_etcd *etcd)
{
    mf__sessions_clear(etcd);
    mf__key_leases_clear(&etcd->marks);
    mf__key_leases_clear(&etcd->commands);
    mf__watchers_clear(&etcd->watchers);
    mf__mirror_clear(&etcd->mirror.content);
    mf__arena_clear(&etcd->ahead.arena);
    mf__mailbox_clear(etcd);
    mf__delays_clear(etcd);
    mf__crashes_clear(etcd);
    mf_url_clear(&etcd->url);
    for (size_t i = 0; i < sizeof etcd->strings / sizeof *etcd->strings; i++)
        free(etcd->strings[i]);
    free(etcd->endpoints);
    free(etcd->prefix);
    free(etcd);
}

/* Closing the links ends all calls, and with them all operations; what those start is refused. */
static void on_close(void *arg)
{
    mf_etcd *etcd = arg;
    void (*closed)(void *) = etcd->closed;
    void *closed_arg = etcd->closed_arg;

    mf__etcd_watch_close(etcd);
    mf__etcd_link_close(etcd->calls);
    while (etcd->refused != NULL || etcd->answered != NULL)
        mf__ops_run_refused(etcd);
    assert(etcd->ops == NULL);
    mf_deferred_cancel(etcd->broker.loop, &etcd->refuse);
    mf_deferred_cancel(etcd->broker.loop, &etcd->greet);
    free_etcd(etcd);
    if (closed != NULL)
        closed(closed_arg);
}

static void close_broker(mf_broker *broker, void (*closed)(void *arg), void *arg)
{
    mf_etcd *etcd = (mf_etcd *)broker;

    assert(!etcd->closing);
    etcd->closing = true;
    etcd->closed = closed;
    etcd->closed_arg = arg;
    mf_defer(broker->loop, &etcd->close_call);
}

static const mf_broker_operations operations = {
    .version = MF_DRIVER_VERSION,
    .close = close_broker,
    .watch = watch,
    .unwatch = unwatch,
    .join = mf__etcd_join,
    .leave = mf__etcd_leave,
    .renew = mf__etcd_renew,
    .claim = mf__etcd_claim,
    .release = mf__etcd_release,
    .done = mf__etcd_done,
    .claimable = mf__etcd_claimable,
    .receive = mf__etcd_receive,
    .submit = mf__etcd_submit,
    .remove = mf__etcd_remove,
    .tasks = mf__etcd_tasks,
    .lookup = mf__etcd_lookup,
    .nodes = mf__etcd_nodes,
    .send = mf__etcd_send,
    .load = mf__etcd_load,
    .store = mf__etcd_store,
    .mail = mf__etcd_mail,
    .tell = mf__etcd_tell,
    .forget = mf__etcd_forget,
    .states = mf__etcd_states,
    .describe = mf__etcd_describe,
};

/* Opening. */

/* Below 16 hardly a task would fit beside what each transaction needs. */
static int read_transaction_limit(mf_etcd *etcd, const char *text, mf_error *error)
{
    char *end;
    long number = strtol(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || number < 16 || number > 10000)
        return mf_error_set(error, MF_EINVAL, "url: max_txn_ops: not a number from 16 to 10000");
    etcd->transaction_limit = (size_t)number;
    return MF_OK;
}

/* In an order of its own, so that not all nodes use the member that is named first. */
static void shuffle_endpoints(mf_etcd *etcd)
{
    for (size_t left = etcd->url.host_count; left > 1; left--) {
        size_t at = mf_loop_random(etcd->broker.loop) % left;
        mf_endpoint last = etcd->endpoints[left - 1];
        etcd->endpoints[left - 1] = etcd->endpoints[at];
        etcd->endpoints[at] = last;
    }
}

/* etcd://[user:password@]host[:port][,host...] */
static int read_url(mf_etcd *etcd, const char *text, mf_broker_options *options, mf_error *error)
{
    static const char *const parameters[] = {"max_txn_ops", NULL};
    const mf_url *url = &etcd->url;
    int code = mf_url_parse(&etcd->url, text, error);

    if (code == MF_OK)
        code = mf_broker_options_from_url(options, url, parameters, error);
    for (size_t i = 0; i < url->query_count && code == MF_OK; i++)
        if (strcmp(url->query[i].key, parameters[0]) == 0)
            code = read_transaction_limit(etcd, url->query[i].value, error);
    if (code != MF_OK)
        return code;
    if (url->host_count == 0)
        return mf_error_set(error, MF_EINVAL, "url: host: missing");
    if (url->path[0] != '\0' && strcmp(url->path, "/") != 0)
        return mf_error_set(error, MF_EINVAL, "url: path: not used by %s://", url->scheme);
    etcd->endpoints = calloc(url->host_count, sizeof *etcd->endpoints);
    if (etcd->endpoints == NULL)
        return mf_error_set(error, MF_ENOMEM, "etcd: out of memory");
    for (size_t i = 0; i < url->host_count; i++)
        etcd->endpoints[i] = (mf_endpoint){
            .host = url->hosts[i].host,
            .port = url->hosts[i].port != 0 ? url->hosts[i].port : DEFAULT_PORT,
        };
    shuffle_endpoints(etcd);
    return MF_OK;
}

/* A copy that the handle owns, in place `slot`. */
static const char *keep(mf_etcd *etcd, size_t slot, const char *text, bool *good)
{
    if (text == NULL)
        return NULL;
    etcd->strings[slot] = strdup(text);
    *good &= etcd->strings[slot] != NULL;
    return etcd->strings[slot];
}

static int read_options(mf_etcd *etcd, const mf_broker_options *options, mf_error *error)
{
    mf_etcd_settings *settings = &etcd->settings;
    mf_connection_options *connection = &settings->grpc.connection;
    bool good = true;

    settings->user = etcd->url.user;
    settings->password = etcd->url.password;
    settings->wait_for_broker = options->wait_for_broker;
    settings->connect_timeout_ms =
        options->connect_timeout_ms != 0 ? options->connect_timeout_ms : DEFAULT_TIMEOUT_MS;
    settings->reply_timeout_ms =
        options->reply_timeout_ms != 0 ? options->reply_timeout_ms : DEFAULT_TIMEOUT_MS;
    settings->grpc.reply_timeout_ms = settings->reply_timeout_ms;
    connection->endpoints = etcd->endpoints;
    connection->endpoint_count = etcd->url.host_count;
    connection->connect_timeout_ms = settings->connect_timeout_ms;
    connection->tls = strcmp(etcd->url.scheme, "etcds") == 0;
    connection->tls_ca_file = keep(etcd, 0, options->tls_ca_file, &good);
    connection->tls_cert_file = keep(etcd, 1, options->tls_cert_file, &good);
    connection->tls_key_file = keep(etcd, 2, options->tls_key_file, &good);
    connection->tls_insecure = options->tls_insecure;
    connection->subsystem = "etcd";
    if (!good || asprintf(&etcd->prefix, "/%s/", options->name_space) < 0 ||
        asprintf(&etcd->strings[3], "%s_mf/fence", etcd->prefix) < 0)
        return mf_error_set(error, MF_ENOMEM, "etcd: out of memory");
    settings->health_key = etcd->strings[3];
    etcd->prefix_length = strlen(etcd->prefix);
    return MF_OK;
}

static void init(mf_etcd *etcd, mf_loop *loop)
{
    etcd->broker = (mf_broker){
        .driver = &mf_etcd_driver,
        .operations = &operations,
        .loop = loop,
        .max_lease = MF_LEASE_KEYS_MAX,
        .can_delay = true,
        .tells_nodes = true,
    };
    etcd->transaction_limit = TRANSACTION_LIMIT;
    mf_deferred_init(&etcd->refuse, mf__ops_run_refused, etcd);
    mf_deferred_init(&etcd->greet, on_greet, etcd);
    mf_deferred_init(&etcd->close_call, on_close, etcd);
    mf__arena_init(&etcd->ahead.arena);
    mf__mailbox_init(etcd);
    mf__delays_init(etcd);
    mf__key_leases_init(&etcd->marks, etcd, MARK_SECONDS + FRESH_SECONDS,
                        INT64_C(1000000) * FRESH_SECONDS);
    mf__key_leases_init(&etcd->commands, etcd, MF_COMMAND_TTL_MS / 1000 + FRESH_SECONDS,
                        INT64_C(1000000) * FRESH_SECONDS);
}

/* The claims of a batch are on one lease, together: with less than half of what it holds, there is
 * often room on one that is there. */
static size_t largest_batch(const mf_etcd *etcd)
{
    size_t fitting = etcd->transaction_limit - TRANSACTION_OVERHEAD;

    return fitting < MF_LEASE_KEYS_MAX / 2 ? fitting : MF_LEASE_KEYS_MAX / 2;
}

static int open_url(mf_broker **out, const char *url, const mf_broker_options *options,
                    mf_loop *loop, mf_error *error)
{
    mf_broker_options all = *options;
    int code = mf_check_name("name_space", options->name_space, error);

    if (code != MF_OK)
        return code;
    mf_etcd *etcd = calloc(1, sizeof *etcd);
    if (etcd == NULL)
        return mf_error_set(error, MF_ENOMEM, "etcd: out of memory");
    init(etcd, loop);
    code = read_url(etcd, url, &all, error);
    mf__crashes_init(etcd, &all);
    if (code == MF_OK)
        code = read_options(etcd, &all, error);
    etcd->broker.max_batch = largest_batch(etcd);
    if (code == MF_OK)
        code = mf__etcd_link_open(&etcd->calls, loop, &etcd->settings, &link_events, etcd, error);
    if (code == MF_OK)
        *out = &etcd->broker;
    else
        free_etcd(etcd);
    return code;
}

static const char *const schemes[] = {"etcd", "etcds", NULL};

const mf_driver mf_etcd_driver = {
    .version = MF_DRIVER_VERSION,
    .name = "etcd",
    .schemes = schemes,
    .default_url = "etcd://127.0.0.1:2379",
    .open = open_url,
};
