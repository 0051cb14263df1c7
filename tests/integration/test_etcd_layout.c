/* The layout of keys, read and written by etcdctl as an independent party, and by the Go library,
 * of whose namespace there are two listings: while a node ran, and after it had stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <metafora/etcd.h>

#include "driver_calls.h"
#include "etcd_server.h"

enum { LEASE_MS = 10000 };

typedef struct fixture {
    etcd_server *server;
    mf_loop *loop;
    driver_handle a, b; /* two nodes, joined and watching */
    mf_session session_a, session_b;
    char log[512];
} fixture;

static void on_log(mf_log_level level, const char *subsystem, const char *text, void *arg)
{
    fixture *f = arg;

    (void)level;
    (void)subsystem;
    snprintf(f->log, sizeof f->log, "%s", text);
}

static void open_node(fixture *f, driver_handle *h, mf_session *session, const char *name_space)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;

    options.name_space = name_space;
    assert_int_equal(driver_open(h, &mf_etcd_driver, f->loop, f->server->url, &options), MF_OK);
    driver_watch(h, session);
    assert_int_equal(driver_join(h, session), MF_OK);
}

static int start_server(void **state)
{
    *state = etcd_server_start(NULL);
    return 0;
}

static int stop_server(void **state)
{
    etcd_server_free(*state);
    return 0;
}

/* One server for all; each test finds it empty. */
static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->server = *state;
    etcd_ctl_do(f->server, "del", "--prefix", "/", NULL);
    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, on_log, f, MF_LOG_WARN);
    f->session_a = driver_session("a", 'a', LEASE_MS);
    f->session_b = driver_session("b", 'b', LEASE_MS);
    open_node(f, &f->a, &f->session_a, "t");
    open_node(f, &f->b, &f->session_b, "t");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    *state = f->server;
    driver_close(&f->a);
    driver_close(&f->b);
    mf_loop_free(f->loop);
    free(f);
    return 0;
}

static void put(fixture *f, const char *key, const char *value)
{
    etcd_ctl_do(f->server, "put", key, value, NULL);
}

static char *get(fixture *f, const char *key)
{
    char *text = etcd_ctl(f->server, "get", "--print-value-only", key, NULL);

    text[strcspn(text, "\n")] = '\0';
    return text;
}

/* The keys below a prefix, each followed by a line's end. */
static void assert_keys(fixture *f, const char *prefix, const char *expected)
{
    char *text = etcd_ctl(f->server, "get", "--prefix", "--keys-only", prefix, NULL);
    char *out = text;

    for (const char *in = text; *in != '\0'; in++)
        if (in[0] != '\n' || in[1] != '\n')
            *out++ = *in;
    *out = '\0';
    assert_string_equal(text, expected);
    free(text);
}

static int64_t new_lease(fixture *f, const char *seconds)
{
    char *text = etcd_ctl(f->server, "lease", "grant", seconds, NULL);
    unsigned long long id;

    assert_int_equal(sscanf(text, "lease %llx granted", &id), 1);
    free(text);
    return (int64_t)id;
}

static void put_on_lease(fixture *f, const char *key, const char *value, int64_t lease)
{
    char option[64];

    snprintf(option, sizeof option, "--lease=%llx", (unsigned long long)lease);
    etcd_ctl_do(f->server, "put", option, key, value, NULL);
}

static void revoke(fixture *f, int64_t lease)
{
    char id[32];

    snprintf(id, sizeof id, "%llx", (unsigned long long)lease);
    etcd_ctl_do(f->server, "lease", "revoke", id, NULL);
}

static int claim(fixture *f, mf_claim *claim)
{
    return driver_claim(&f->a, &f->session_a, claim);
}

/* What is submitted, claimed and finished here has the keys that the Go library knows, with its
 * documents; nothing of a finished task stays. */
static void test_keys(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "1"};

    assert_int_equal(driver_submit(&f->a, "s", "1", "{\"x\":1}"), MF_OK);
    assert_int_equal(driver_submit(&f->a, "t", "10", NULL), MF_OK);
    assert_keys(f, "/t/tasks/", "/t/tasks/1\n/t/tasks/1/props\n/t/tasks/10\n");
    char *task = get(f, "/t/tasks/1"), *properties = get(f, "/t/tasks/1/props");
    assert_string_equal(task, "");
    assert_string_equal(properties, "{\"x\":1}");
    free(task);
    free(properties);

    assert_int_equal(claim(f, &c), MF_OK);
    free(c.properties);
    char *owner = get(f, "/t/tasks/1/owner");
    cJSON *json = cJSON_Parse(owner);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "node")), "a");
    cJSON_Delete(json);
    free(owner);
    assert_int_equal(driver_done(&f->a, &f->session_a, &c), MF_OK);
    assert_keys(f, "/t/tasks/", "/t/tasks/10\n");
}

/* The node key is on the session's lease, and goes with it; a foreign node is listed like ours. */
static void test_node_keys(void **state)
{
    fixture *f = *state;
    int64_t lease = new_lease(f, "60");

    put_on_lease(f, "/t/nodes/go/_metafora", "{\"host\":\"x\",\"node\":\"go\"}", lease);
    put_on_lease(f, "/t/nodes/go/commands/_metafora", "{\"node\":\"go\"}", lease);
    put(f, "/t/tasks/g", "");
    put_on_lease(f, "/t/tasks/g/owner", "{\"node\":\"go\"}", lease);
    assert_int_equal(driver_count_nodes(&f->a), 3);
    assert_int_equal(driver_node_tasks(&f->a, "go"), 1);
    assert_int_equal(driver_node_tasks(&f->a, "a"), 0);
    assert_int_equal(driver_leave(&f->b, &f->session_b), MF_OK);
    revoke(f, lease);
    assert_int_equal(driver_count_nodes(&f->a), 1);
    assert_keys(f, "/t/nodes/", "/t/nodes/a/_metafora\n");
}

/* A foreign node has a name as ours have theirs: it is refused to us as long as its lease lasts. */
static void test_name_of_a_foreign_node(void **state)
{
    fixture *f = *state;
    int64_t lease = new_lease(f, "60");
    mf_session session = driver_session("go", 'c', LEASE_MS);
    mf_join_request join = {.session = &session};

    put_on_lease(f, "/t/nodes/go/_metafora", "{\"node\":\"go\"}", lease);
    assert_int_equal(driver_join_with(&f->a, &join), MF_ENAMEINUSE);
    assert_in_range(join.remaining_ms, 55000, 60000);
    revoke(f, lease);
    assert_int_equal(driver_join_with(&f->a, &join), MF_OK);
    assert_int_equal(driver_leave(&f->a, &session), MF_OK);
}

/* A task that was put by hand is hinted, listed and claimed with its properties. */
static void test_submitted_by_hand(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "x"};

    put(f, "/t/tasks/x/props", "{\"args\":[\"sleep\"]}");
    put(f, "/t/tasks/x", "");
    driver_await_size(&f->a, &f->a.claimable, 1);
    assert_string_equal(f->a.last_claimable, "x");
    assert_int_equal(driver_count_claimable(&f->a), 1);
    assert_int_equal(claim(f, &c), MF_OK);
    assert_string_equal(c.properties, "{\"args\":[\"sleep\"]}");
    free(c.properties);
}

/* A foreign owner is respected, whatever more its document has, and its task is taken over when its
 * lease ends. */
static void test_foreign_owner(void **state)
{
    fixture *f = *state;
    int64_t lease = new_lease(f, "60");
    mf_claim c = {.id = "x"};
    char owner[64];
    uint64_t fence;

    put(f, "/t/tasks/x", "");
    put_on_lease(f, "/t/tasks/x/owner", "{\"pid\":[1],\"node\":\"go\",\"token\":7}", lease);
    assert_int_equal(claim(f, &c), MF_ETAKEN);
    assert_int_equal(driver_lookup(&f->a, "x", &fence, owner, sizeof owner), MF_OK);
    assert_string_equal(owner, "go");
    size_t hints = f->a.claimable;
    revoke(f, lease);
    driver_await_size(&f->a, &f->a.claimable, hints + 1);
    assert_int_equal(claim(f, &c), MF_OK);
    assert_true(c.fence > fence);
}

/* An owner key without a lease is a mark that the task is moving: nobody claims it, also one that
 * has our own document. */
static void test_moving_mark(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "x"};
    char document[128];

    snprintf(document, sizeof document, "{\"node\":\"a\",\"token\":\"%s\"}", f->session_a.token);
    put(f, "/t/tasks/x", "");
    put(f, "/t/tasks/x/owner", document);
    assert_int_equal(claim(f, &c), MF_ETAKEN);
    assert_int_equal(driver_count_claimable(&f->a), 0);
    etcd_ctl_do(f->server, "del", "/t/tasks/x/owner", NULL);
    assert_int_equal(claim(f, &c), MF_OK);
}

/* An owner key that somebody has overwritten is not ours any more, though it was never deleted. */
static void test_overwritten_owner(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "x"};

    put(f, "/t/tasks/x", "");
    assert_int_equal(claim(f, &c), MF_OK);
    put(f, "/t/tasks/x/owner", "{\"node\":\"b\"}");
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &c), MF_ELATE);
    assert_int_equal(driver_done(&f->a, &f->session_a, &c), MF_ELATE);
    assert_int_equal(driver_release(&f->a, &f->session_a, &c), MF_ELATE);
    assert_keys(f, "/t/tasks/", "/t/tasks/x\n/t/tasks/x/owner\n");
}

/* A task that the Go library deletes, with all that begins with its id and a slash, is lost. */
static void test_removed_by_hand(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "x"};

    put(f, "/t/tasks/x", "");
    assert_int_equal(claim(f, &c), MF_OK);
    etcd_ctl_do(f->server, "del", "/t/tasks/x", NULL);
    driver_await_size(&f->a, &f->a.removed, 1);
    assert_string_equal(f->a.last_removed, "x");
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &c), MF_EGONE);
    assert_int_equal(driver_release(&f->a, &f->session_a, &c), MF_EGONE);
    assert_keys(f, "/t/tasks/", "");
}

/* A task that runs on a node of the Go library is removed: that node does not look whether its
 * tasks are there, and is sent the command that it knows. One of ours needs none. */
static void test_removed_from_a_foreign_node(void **state)
{
    static const char stop[] = "{\"command\":\"stop_task\",\"parameters\":{\"task\":\"1\"}}";
    fixture *f = *state;
    mf_claim ours = {.id = "2"};

    assert_int_equal(driver_submit(&f->a, "k", "1", NULL), MF_OK);
    assert_int_equal(driver_submit(&f->a, "l", "2", NULL), MF_OK);
    put_on_lease(f, "/t/tasks/1/owner", "{\"node\":\"go\"}", new_lease(f, "60"));
    assert_int_equal(claim(f, &ours), MF_OK);
    assert_int_equal(driver_remove(&f->a, "m", "2"), MF_OK);
    assert_keys(f, "/t/nodes/go/commands/", "");
    assert_int_equal(driver_remove(&f->a, "r", "1"), MF_OK);
    char *text =
        etcd_ctl(f->server, "get", "--prefix", "--print-value-only", "/t/nodes/go/commands/", NULL);
    text[strcspn(text, "\n")] = '\0';
    assert_string_equal(text, stop);
    free(text);
    assert_keys(f, "/t/nodes/a/commands/", "");
}

/* What a task leaves that a node of the Go library has finished does not befall the next one of its
 * name. */
static void test_left_by_a_foreign_node(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "1"};

    put(f, "/t/_mf/delayed/1", "9000000000000000");
    put(f, "/t/_mf/crashes/1", "2");
    assert_int_equal(driver_submit(&f->b, "k", "1", NULL), MF_OK);
    assert_keys(f, "/t/_mf/delayed/", "");
    assert_keys(f, "/t/_mf/crashes/", "");
    assert_int_equal(claim(f, &c), MF_OK);
    assert_int_equal(driver_done(&f->a, &f->session_a, &c), MF_OK);
}

/* Commands that were put by hand are hinted and read in the order of their making; the
 * acknowledged are deleted, the marker stays. */
static void test_commands_by_hand(void **state)
{
    fixture *f = *state;
    char text[256];
    uint64_t last;

    put(f, "/t/nodes/a/commands/_metafora", "{\"node\":\"a\"}");
    put(f, "/t/nodes/a/commands/9", "{\"command\":\"freeze\"}");
    put(f, "/t/nodes/a/commands/10", "{\"command\":\"unfreeze\"}");
    driver_await(&f->a, &f->a.commands, 2);
    assert_int_equal(f->b.commands, 0);
    assert_int_equal(driver_receive(&f->a, &f->session_a, 0, &last, text, sizeof text), MF_OK);
    assert_string_equal(text, "{\"command\":\"freeze\"} {\"command\":\"unfreeze\"} ");
    assert_int_equal(driver_receive(&f->a, &f->session_a, last, &last, text, sizeof text), MF_OK);
    assert_string_equal(text, "");
    assert_keys(f, "/t/nodes/a/commands/", "/t/nodes/a/commands/_metafora\n");
}

/* A command that is sent here is one key below its node, with the document as it is. */
static void test_sent_command(void **state)
{
    fixture *f = *state;

    assert_int_equal(driver_send(&f->a, "absent", "{\"command\":\"balance\"}"), MF_OK);
    char *value = etcd_ctl(f->server, "get", "--prefix", "--print-value-only",
                           "/t/nodes/absent/commands/", NULL);
    assert_string_equal(value, "{\"command\":\"balance\"}\n");
    free(value);
}

/* Ids that are beginnings of each other are kept apart, by pages of any size: the keys of "a-b"
 * come before "a/owner". */
static void test_ids_that_begin_alike(void **state)
{
    fixture *f = *state;
    mf_claim a = {.id = "a"}, aa = {.id = "aa"};

    for (int i = 0; i < 300; i++) {
        char id[16], token[16];
        snprintf(id, sizeof id, "a-%d", i);
        snprintf(token, sizeof token, "k%d", i);
        assert_int_equal(driver_submit(&f->a, token, id, NULL), MF_OK);
    }
    assert_int_equal(driver_submit(&f->a, "ka", "a", NULL), MF_OK);
    assert_int_equal(driver_submit(&f->a, "kaa", "aa", NULL), MF_OK);
    assert_int_equal(claim(f, &a), MF_OK);
    assert_int_equal(claim(f, &aa), MF_OK);
    assert_int_equal(driver_count_claimable(&f->a), 300);
    assert_int_equal(driver_count_tasks(&f->a, NULL), 302);
    assert_int_equal(driver_done(&f->a, &f->session_a, &a), MF_OK);
    assert_int_equal(driver_count_tasks(&f->a, NULL), 301);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &aa), MF_OK);
}

/* Keys that are no tasks, and ids that break the rules, are passed over; nothing is stopped. */
static void test_garbage_keys(void **state)
{
    fixture *f = *state;
    char long_key[400] = "/t/tasks/";

    memset(long_key + 9, 'x', 380);
    put(f, "/t/tasks/", "no id");
    put(f, "/t/tasks//owner", "{}");
    put(f, "/t/tasks/_metafora", "{\"node\":\"go\"}");
    put(f, "/t/tasks/\x01\x02", "");
    put(f, "/t/tasks/\xff\xfe", "");
    put(f, "/t/tasks/stray/owner", "{\"node\":\"go\"}");
    put(f, "/t/tasks/stray/what/else", "");
    put(f, "/t/tasks/bad-owner", "");
    put(f, "/t/tasks/bad-owner/owner", "no json");
    put(f, "/t/nodes/", "");
    put(f, "/t/nodes/x", "");
    put(f, "/t/nodes/x/_metafora", "no json");
    put(f, "/t/_mf/leases/x/y", "");
    put(f, long_key, "");
    put(f, "/t/tasks/good", "");
    size_t damaged;
    assert_int_equal(driver_count_tasks(&f->a, &damaged), 2);
    assert_int_equal(damaged, 1);
    assert_int_equal(driver_count_claimable(&f->a), 1);
    mf_claim good = {.id = "good"}, bad = {.id = "bad-owner"};
    assert_int_equal(claim(f, &good), MF_OK);
    assert_int_equal(claim(f, &bad), MF_ETAKEN);
    assert_int_equal(driver_node_tasks(&f->a, "a"), 1);
}

/* Properties that are no JSON set the task aside, and the log says which. */
static void test_damaged_properties(void **state)
{
    fixture *f = *state;
    mf_claim c = {.id = "x"};

    put(f, "/t/tasks/x/props", "{broken");
    put(f, "/t/tasks/x", "");
    assert_int_equal(claim(f, &c), MF_EDAMAGED);
    assert_non_null(strstr(f->log, "\"x\""));
    assert_int_equal(driver_count_claimable(&f->b), 0);
}

/* With a base in the namespace fences lie above it, and claims from before go on with theirs. */
static void test_fence_base(void **state)
{
    fixture *f = *state;
    mf_claim before = {.id = "x"}, after = {.id = "y"};

    assert_int_equal(driver_submit(&f->a, "k", "x", NULL), MF_OK);
    assert_int_equal(driver_submit(&f->a, "l", "y", NULL), MF_OK);
    assert_int_equal(claim(f, &before), MF_OK);
    put(f, "/t/_mf/fence", "5000000000");
    assert_int_equal(claim(f, &after), MF_OK);
    assert_true(after.fence > 5000000000 && before.fence < 5000000000);
    assert_int_equal(driver_renew_one(&f->a, &f->session_a, &before), MF_OK);
    assert_int_equal(driver_done(&f->a, &f->session_a, &before), MF_OK);
    assert_int_equal(driver_release(&f->a, &f->session_a, &after), MF_OK);
    put(f, "/t/_mf/fence", "many");
    assert_int_equal(claim(f, &after), MF_EDAMAGED);
}

/* No lease has more than a thousand keys, so that none that ends deletes more at once. */
static void test_keys_on_a_lease(void **state)
{
    fixture *f = *state;
    enum { COUNT = 2500 };
    size_t leases = 0, keys = 0;

    driver_submit_many(&f->a, "m", COUNT);
    driver_claim_many(&f->a, &f->session_a, "m", COUNT);
    assert_int_equal(driver_node_tasks(&f->b, "a"), COUNT);
    char *list = etcd_ctl(f->server, "lease", "list", NULL), *at = list;
    for (char *line; (line = strsep(&at, "\n")) != NULL;) {
        size_t count = 0;
        if (strspn(line, "0123456789abcdef") < 10)
            continue;
        char *lease = etcd_ctl(f->server, "lease", "timetolive", "--keys", line, NULL);
        for (char *key = lease; (key = strstr(key, "/owner")) != NULL; key++)
            count++;
        free(lease);
        assert_true(count <= 1000);
        leases += count > 0;
        keys += count;
    }
    free(list);
    assert_int_equal(keys, COUNT);
    assert_true(leases >= 3);
}

/* The Go library's namespace. */

typedef struct dumped {
    char *key, *value;
    double created;
    bool leased;
} dumped;

static char *decode(const cJSON *item)
{
    const char *text = item != NULL ? cJSON_GetStringValue(item) : "";
    size_t length = strlen(text);
    char *out = calloc(1, length + 1), *to = out;
    unsigned bits = 0, count = 0;

    for (; *text != '\0' && *text != '='; text++) {
        static const char digits[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        bits = bits << 6 | (unsigned)(strchr(digits, *text) - digits);
        if (++count % 4 != 1)
            *to++ = (char)(bits >> (3 - (count - 1) % 4) * 2);
    }
    return out;
}

static int by_creation(const void *a, const void *b)
{
    double x = ((const dumped *)a)->created, y = ((const dumped *)b)->created;

    return (x > y) - (x < y);
}

/* Puts the keys of a listing, in the order in which they were made; returns the lease that those
 * are on which were on one. */
static int64_t load(fixture *f, const char *name)
{
    char path[512];
    dumped list[64];
    size_t count = 0;
    int64_t lease = new_lease(f, "60");

    snprintf(path, sizeof path, "%s/%s", MF_FIXTURES, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = NULL;
    size_t size = 0;
    assert_true(getdelim(&text, &size, '\0', file) > 0);
    fclose(file);
    cJSON *json = cJSON_Parse(text), *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "kvs"))
    {
        list[count].key = decode(cJSON_GetObjectItem(item, "key"));
        list[count].value = decode(cJSON_GetObjectItem(item, "value"));
        list[count].created = cJSON_GetNumberValue(cJSON_GetObjectItem(item, "create_revision"));
        list[count++].leased = cJSON_GetObjectItem(item, "lease") != NULL;
    }
    cJSON_Delete(json);
    free(text);
    qsort(list, count, sizeof *list, by_creation);
    for (size_t i = 0; i < count; i++) {
        if (list[i].leased)
            put_on_lease(f, list[i].key, list[i].value, lease);
        else
            put(f, list[i].key, list[i].value);
        free(list[i].key);
        free(list[i].value);
    }
    return lease;
}

static const char *const go_tasks[] = {"t-checkpoint", "t-error", "t-pause",
                                       "t-plain",      "t-run",   "t-sleep"};
enum { GO_TASKS = sizeof go_tasks / sizeof *go_tasks };

static void finish_go_tasks(driver_handle *h, mf_session *session)
{
    for (size_t i = 0; i < GO_TASKS; i++) {
        mf_claim c = {.id = go_tasks[i]};
        bool plain = strcmp(c.id, "t-plain") == 0;
        assert_int_equal(driver_claim(h, session, &c), MF_OK);
        assert_string_equal(c.properties, plain ? "{}" : "{\"args\":[\"sleep\",\"3\"],\"rate\":7}");
        free(c.properties);
        assert_int_equal(driver_done(h, session, &c), MF_OK);
    }
}

/* While a Go node runs its tasks are its own, and are not listed as claimable; when its lease ends
 * they are claimed and finished here, and its states stay as they are. */
static void test_running_go_namespace(void **state)
{
    fixture *f = *state;
    driver_handle h;
    mf_session session = driver_session("c-node", 'c', LEASE_MS);
    char owner[64];
    uint64_t fence;

    int64_t lease = load(f, "go-namespace-running.json");
    open_node(f, &h, &session, "godump");
    assert_int_equal(driver_count_tasks(&h, NULL), GO_TASKS);
    assert_int_equal(driver_count_claimable(&h), 0);
    assert_int_equal(driver_node_tasks(&h, "go-node"), GO_TASKS);
    assert_int_equal(driver_lookup(&h, "t-run", &fence, owner, sizeof owner), MF_OK);
    assert_string_equal(owner, "go-node");
    mf_claim taken = {.id = "t-run"};
    assert_int_equal(driver_claim(&h, &session, &taken), MF_ETAKEN);
    revoke(f, lease);
    driver_await_size(&h, &h.claimable, GO_TASKS);
    assert_int_equal(driver_node_tasks(&h, "go-node"), -1);
    finish_go_tasks(&h, &session);
    assert_keys(f, "/godump/tasks/", "");
    char *value = get(f, "/godump/state/t-pause");
    assert_string_equal(value, "{\"state\":\"paused\"}");
    free(value);
    driver_close(&h);
}

/* What a stopped Go node left is claimed and finished; commands for a node that was absent are read
 * in order by the node of that name. */
static void test_stopped_go_namespace(void **state)
{
    fixture *f = *state;
    driver_handle h;
    mf_session session = driver_session("absent-node", 'c', LEASE_MS);
    char text[512];
    uint64_t last;

    load(f, "go-namespace-stopped.json");
    open_node(f, &h, &session, "godump");
    assert_int_equal(driver_count_claimable(&h), GO_TASKS);
    finish_go_tasks(&h, &session);
    assert_keys(f, "/godump/tasks/", "");
    assert_int_equal(driver_receive(&h, &session, 0, &last, text, sizeof text), MF_OK);
    assert_string_equal(text, "{\"command\":\"freeze\"} "
                              "{\"command\":\"stop_task\",\"parameters\":{\"task\":\"t-run\"}} "
                              "{\"command\":\"balance\"} {\"command\":\"unfreeze\"} ");
    driver_close(&h);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_keys),
        TEST(test_node_keys),
        TEST(test_name_of_a_foreign_node),
        TEST(test_submitted_by_hand),
        TEST(test_foreign_owner),
        TEST(test_moving_mark),
        TEST(test_overwritten_owner),
        TEST(test_removed_by_hand),
        TEST(test_removed_from_a_foreign_node),
        TEST(test_left_by_a_foreign_node),
        TEST(test_commands_by_hand),
        TEST(test_sent_command),
        TEST(test_ids_that_begin_alike),
        TEST(test_garbage_keys),
        TEST(test_damaged_properties),
        TEST(test_fence_base),
        TEST(test_keys_on_a_lease),
        TEST(test_running_go_namespace),
        TEST(test_stopped_go_namespace),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
