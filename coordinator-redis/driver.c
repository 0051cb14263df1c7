/* Opening and closing a handle. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/redis.h>

#include "internal.h"

enum {
    DEFAULT_PORT = 6379,
    SENTINEL_PORT = 26379,
    DEFAULT_TIMEOUT_MS = 5000,
    MAX_BATCH = 256,
    DATABASE_MAX = 1 << 20
};

/* The link for requests. */

static void on_ready(mf_link *link, void *arg)
{
    mf_redis *redis = arg;

    (void)link;
    redis->up = redis->tried = redis->was_up = true;
    redis->shown_count = 0;
    mf__redis_send_waiting(redis);
    mf__hints_follow(redis);
    mf__hints_tell(redis);
}

static void be_down(mf_redis *redis, const mf_error *why)
{
    mf_error lost;

    redis->up = false;
    redis->tried = true;
    redis->why = *why;
    mf_error_set(&lost, MF_EUNKNOWN, "connection lost: %.200s", why->text);
    mf__redis_fail_sent(redis, lost.code, lost.text);
    if (!mf__redis_waits(redis))
        mf__redis_fail_waiting(redis, why);
    mf__hints_tell(redis);
}

static void on_down(mf_link *link, const mf_error *why, void *arg)
{
    mf_redis *redis = arg;

    (void)link;
    if (redis->sentinels != NULL)
        mf__sentinels_ask(redis->sentinels);
    be_down(redis, why);
}

/* The Sentinels. */

static void on_master(const mf_endpoint *master, void *arg)
{
    mf_redis *redis = arg;
    char *host = strdup(master->host);
    mf_error why;

    if (host == NULL)
        return; /* they are asked again when the present server is lost */
    free((char *)redis->server.host);
    redis->server = (mf_endpoint){.host = host, .port = master->port};
    mf_error_set(&why, MF_EUNREACHABLE, "%s: %s is the master now", mf__link_peer(redis->link),
                 host);
    (void)mf__link_direct(redis->link, &redis->server, &why);
    if (redis->confirm.link != NULL)
        (void)mf__link_direct(redis->confirm.link, &redis->server, &why);
    mf__hints_direct(redis, &redis->server, &why);
}

/* While the server is there it does not matter. */
static void on_unknown(const mf_error *why, void *arg)
{
    mf_redis *redis = arg;

    if (!redis->up)
        be_down(redis, why);
}

static const mf_sentinels_events sentinels_events = {
    .master = on_master,
    .unknown = on_unknown,
};

static const mf_link_events link_events = {
    .ready = on_ready,
    .reply = mf__redis_reply,
    .down = on_down,
};

/* Closing. */

static void free_redis(mf_redis *redis)
{
    mf__parts_free(&redis->parts);
    mf__parts_free(&redis->head);
    mf__redis_names_clear(redis);
    mf_url_clear(&redis->url);
    for (size_t i = 0; i < sizeof redis->strings / sizeof *redis->strings; i++)
        free(redis->strings[i]);
    free(redis->endpoints);
    free((char *)redis->server.host);
    free(redis->room);
    free(redis);
}

static void on_close(void *arg)
{
    mf_redis *redis = arg;
    void (*closed)(void *) = redis->closed;
    void *closed_arg = redis->closed_arg;
    mf_error why;

    if (redis->sentinels != NULL)
        mf__sentinels_close(redis->sentinels);
    mf__link_close(redis->link);
    mf__confirm_close(redis);
    mf__hints_clear(redis);
    mf__nodes_stop(redis);
    mf__reaper_stop(redis);
    mf_error_set(&why, MF_ECLOSED, "redis: the handle was closed");
    mf__redis_fail_sent(redis, MF_EUNKNOWN, "redis: the handle was closed before the answer came");
    mf__redis_fail_waiting(redis, &why);
    mf__redis_run_finished(redis);
    mf_deferred_cancel(redis->broker.loop, &redis->finish);
    free_redis(redis);
    if (closed != NULL)
        closed(closed_arg);
}

static void redis_close(mf_broker *broker, void (*closed)(void *arg), void *arg)
{
    mf_redis *redis = (mf_redis *)broker;

    assert(!redis->closing);
    redis->closing = true;
    redis->closed = closed;
    redis->closed_arg = arg;
    mf_defer(broker->loop, &redis->close_call);
}

static const mf_broker_operations operations = {
    .version = MF_DRIVER_VERSION,
    .close = redis_close,
    .watch = mf__hints_watch,
    .unwatch = mf__hints_unwatch,
    .join = mf__redis_join,
    .leave = mf__redis_leave,
    .renew = mf__redis_renew,
    .claim = mf__redis_claim,
    .release = mf__redis_release,
    .done = mf__redis_done,
    .claimable = mf__redis_claimable,
    .receive = mf__redis_receive,
    .submit = mf__redis_submit_tasks,
    .remove = mf__redis_remove_tasks,
    .tasks = mf__redis_tasks,
    .lookup = mf__redis_lookup,
    .nodes = mf__redis_nodes,
    .send = mf__redis_send,
    .load = mf__redis_load,
    .store = mf__redis_store,
    .mail = mf__redis_mail,
    .tell = mf__redis_tell,
    .forget = mf__redis_forget,
    .states = mf__redis_states,
    .held = mf__redis_held,
    .describe = mf__redis_describe,
    .hold = mf__redis_hold,
    .copy = mf__redis_copy,
    .drop = mf__redis_drop,
    .free = mf__redis_free,
    .holds = mf__redis_holds,
    .mark = mf__redis_mark,
    .moved = mf__redis_moved,
};

/* Opening. */

static int parse_database(int *out, const char *text, mf_error *error)
{
    int number = 0;

    if (*text == '\0')
        return mf_error_set(error, MF_EINVAL, "url: database: empty");
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || number > DATABASE_MAX)
            return mf_error_set(error, MF_EINVAL, "url: database: not a number");
        number = number * 10 + (*text - '0');
    }
    *out = number;
    return MF_OK;
}

/* unix://[user:password@]/path[?db=N] */
static int read_unix_url(mf_redis *redis, mf_error *error)
{
    const mf_url *url = &redis->url;

    if (url->host_count != 0)
        return mf_error_set(error, MF_EINVAL, "url: host: unix:// takes a path only");
    if (url->path[0] == '\0' || url->path[1] == '\0')
        return mf_error_set(error, MF_EINVAL, "url: path: missing, it names the socket");
    redis->endpoints[0] = (mf_endpoint){.path = url->path};
    redis->settings.connection.endpoint_count = 1;
    for (size_t i = 0; i < url->query_count; i++)
        if (strcmp(url->query[i].key, "db") == 0)
            return parse_database(&redis->settings.database, url->query[i].value, error);
    return MF_OK;
}

static bool is_scheme(const mf_url *url, const char *plain, const char *tls)
{
    return strcmp(url->scheme, plain) == 0 || strcmp(url->scheme, tls) == 0;
}

/* redis://[user:password@]host[:port][,host...][/db]; redis+cluster:// takes no database. */
static int read_tcp_url(mf_redis *redis, mf_error *error)
{
    const mf_url *url = &redis->url;

    if (url->host_count == 0)
        return mf_error_set(error, MF_EINVAL, "url: host: missing");
    for (size_t i = 0; i < url->host_count; i++)
        redis->endpoints[i] = (mf_endpoint){
            .host = url->hosts[i].host,
            .port = url->hosts[i].port != 0 ? url->hosts[i].port : DEFAULT_PORT,
        };
    redis->settings.connection.endpoint_count = url->host_count;
    redis->settings.connection.tls = strncmp(url->scheme, "rediss", 6) == 0;
    redis->settings.cluster = is_scheme(url, "redis+cluster", "rediss+cluster");
    if (url->path[0] == '\0' || url->path[1] == '\0')
        return MF_OK;
    if (redis->settings.cluster && strcmp(url->path, "/0") != 0)
        return mf_error_set(error, MF_EINVAL, "url: database: a cluster has none but 0");
    return parse_database(&redis->settings.database, url->path + 1, error);
}

/* redis+sentinel://[user:password@]sentinel[:port][,sentinel...]/master[/db]: the endpoints are the
 * Sentinels', and the links wait to be told of a server. */
static int read_sentinel_url(mf_redis *redis, mf_error *error)
{
    const mf_url *url = &redis->url;
    const char *name = url->path + (*url->path == '/');
    size_t length = strcspn(name, "/");

    if (url->host_count == 0)
        return mf_error_set(error, MF_EINVAL, "url: host: missing");
    if (length == 0)
        return mf_error_set(error, MF_EINVAL, "url: path: the name of the master is missing");
    for (size_t i = 0; i < url->host_count; i++)
        redis->endpoints[i] = (mf_endpoint){
            .host = url->hosts[i].host,
            .port = url->hosts[i].port != 0 ? url->hosts[i].port : SENTINEL_PORT,
        };
    redis->settings.connection.tls = strcmp(url->scheme, "rediss+sentinel") == 0;
    redis->settings.connection.endpoint_count = 0;
    redis->sentinel_settings.connection.endpoints = redis->endpoints;
    redis->sentinel_settings.connection.endpoint_count = url->host_count;
    redis->sentinel_settings.master = redis->strings[6] = strndup(name, length);
    if (redis->strings[6] == NULL)
        return mf_error_set(error, MF_ENOMEM, "redis: out of memory");
    if (name[length] == '\0')
        return MF_OK;
    return parse_database(&redis->settings.database, name + length + 1, error);
}

static int read_url(mf_redis *redis, const char *text, mf_broker_options *options, mf_error *error)
{
    static const char *const unix_parameters[] = {"db", NULL};
    int code = mf_url_parse(&redis->url, text, error);

    if (code != MF_OK)
        return code;
    bool is_unix = strcmp(redis->url.scheme, "unix") == 0;
    code =
        mf_broker_options_from_url(options, &redis->url, is_unix ? unix_parameters : NULL, error);
    if (code != MF_OK)
        return code;
    redis->endpoints = calloc(redis->url.host_count + 1, sizeof *redis->endpoints);
    if (redis->endpoints == NULL)
        return mf_error_set(error, MF_ENOMEM, "redis: out of memory");
    redis->settings.connection.endpoints = redis->endpoints;
    redis->settings.user = redis->url.user;
    redis->settings.password = redis->url.password;
    if (is_scheme(&redis->url, "redis+sentinel", "rediss+sentinel"))
        return read_sentinel_url(redis, error);
    return is_unix ? read_unix_url(redis, error) : read_tcp_url(redis, error);
}

/* A copy that the handle owns, in place `slot`. */
static const char *keep(mf_redis *redis, size_t slot, const char *text, bool *good)
{
    if (text == NULL)
        return NULL;
    redis->strings[slot] = strdup(text);
    *good &= redis->strings[slot] != NULL;
    return redis->strings[slot];
}

/* CLIENT SETNAME takes no spaces and nothing beyond ASCII. */
static const char *client_name(mf_redis *redis, const char *name_space, bool *good)
{
    char text[300] = "metafora-";

    strncat(text, name_space, sizeof text - sizeof "metafora-");
    for (char *c = text; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~')
            *c = '_';
    return keep(redis, 3, text, good);
}

/* The Sentinels are reached as the servers are. */
static void read_sentinel_options(mf_redis *redis, const mf_broker_options *options, bool *good)
{
    mf_sentinels_settings *settings = &redis->sentinel_settings;
    mf_connection_options connection = redis->settings.connection;

    connection.endpoints = settings->connection.endpoints;
    connection.endpoint_count = settings->connection.endpoint_count;
    settings->connection = connection;
    settings->reply_timeout_ms = redis->settings.reply_timeout_ms;
    settings->user = keep(redis, 4, options->sentinel_user, good);
    settings->password = keep(redis, 5, options->sentinel_password, good);
}

static int read_options(mf_redis *redis, const mf_broker_options *options, mf_error *error)
{
    mf_link_settings *settings = &redis->settings;
    mf_connection_options *connection = &settings->connection;
    int code = mf__redis_names_init(redis, options->name_space, error);
    bool good = true;

    if (code != MF_OK)
        return code;
    redis->wait_replicas = options->wait_replicas;
    redis->max_crashes = mf_crash_limit(options);
    redis->wait_for_broker = options->wait_for_broker;
    settings->reply_timeout_ms =
        options->reply_timeout_ms != 0 ? options->reply_timeout_ms : DEFAULT_TIMEOUT_MS;
    settings->tasks_key = redis->keys[MF_KEY_TASKS].text;
    settings->client_name = client_name(redis, options->name_space, &good);
    connection->connect_timeout_ms =
        options->connect_timeout_ms != 0 ? options->connect_timeout_ms : DEFAULT_TIMEOUT_MS;
    connection->tls_ca_file = keep(redis, 0, options->tls_ca_file, &good);
    connection->tls_cert_file = keep(redis, 1, options->tls_cert_file, &good);
    connection->tls_key_file = keep(redis, 2, options->tls_key_file, &good);
    connection->tls_insecure = options->tls_insecure;
    connection->subsystem = "redis";
    read_sentinel_options(redis, options, &good);
    return good ? MF_OK : mf_error_set(error, MF_ENOMEM, "redis: out of memory");
}

static int check_options(const mf_broker_options *options, mf_error *error)
{
    int code = mf_check_name("name_space", options->name_space, error);

    if (code != MF_OK)
        return code;
    if (strpbrk(options->name_space, "{}") != NULL)
        return mf_error_set(error, MF_EINVAL, "name_space: contains '{' or '}'");
    if (options->connect_timeout_ms < 0)
        return mf_error_set(error, MF_EINVAL, "connect_timeout_ms: negative");
    if (options->reply_timeout_ms < 0)
        return mf_error_set(error, MF_EINVAL, "reply_timeout_ms: negative");
    if (options->wait_replicas < 0)
        return mf_error_set(error, MF_EINVAL, "wait_replicas: negative");
    return MF_OK;
}

static void init(mf_redis *redis, mf_loop *loop)
{
    redis->broker = (mf_broker){
        .driver = &mf_redis_driver,
        .operations = &operations,
        .loop = loop,
        .max_batch = MAX_BATCH,
        .max_lease = MAX_BATCH,
        .can_delay = true,
        .tells_nodes = true,
    };
    mf_deferred_init(&redis->finish, mf__redis_run_finished, redis);
    mf_deferred_init(&redis->close_call, on_close, redis);
    mf_timer_init(&redis->moving_timer, mf__redis_send_moving, redis);
    mf__hints_init(redis);
    mf__nodes_init(redis);
    mf__reaper_init(redis);
}

static int open_confirm(mf_redis *redis, mf_error *error)
{
    int code = mf__confirm_open(redis, error);

    if (code != MF_OK && redis->sentinels != NULL)
        mf__sentinels_close(redis->sentinels);
    if (code != MF_OK)
        mf__link_close(redis->link);
    return code;
}

static int open_sentinels(mf_redis *redis, mf_error *error)
{
    int code = mf__sentinels_open(&redis->sentinels, redis->broker.loop, &redis->sentinel_settings,
                                  &sentinels_events, redis, error);

    if (code != MF_OK)
        mf__link_close(redis->link);
    return code;
}

static int redis_open(mf_broker **out, const char *url, const mf_broker_options *options,
                      mf_loop *loop, mf_error *error)
{
    mf_broker_options all = *options;
    int code = check_options(options, error);

    if (code != MF_OK)
        return code;
    mf_redis *redis = calloc(1, sizeof *redis);
    if (redis == NULL)
        return mf_error_set(error, MF_ENOMEM, "redis: out of memory");
    init(redis, loop);
    code = read_url(redis, url, &all, error);
    if (code == MF_OK)
        code = read_options(redis, &all, error);
    if (code == MF_OK)
        code = mf__link_open(&redis->link, loop, &redis->settings, &link_events, redis, error);
    if (code == MF_OK && redis->sentinel_settings.master != NULL)
        code = open_sentinels(redis, error);
    if (code == MF_OK)
        code = open_confirm(redis, error);
    if (code == MF_OK)
        *out = &redis->broker;
    else
        free_redis(redis);
    return code;
}

static const char *const schemes[] = {
    "redis",           "rediss",        "unix",           "redis+sentinel",
    "rediss+sentinel", "redis+cluster", "rediss+cluster", NULL};

const mf_driver mf_redis_driver = {
    .version = MF_DRIVER_VERSION,
    .name = "redis",
    .schemes = schemes,
    .default_url = "redis://127.0.0.1:6379",
    .open = redis_open,
};
