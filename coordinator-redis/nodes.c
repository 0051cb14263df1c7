/* The live nodes: listed when asked for, and known to watchers by hints.
 *
 * Joins, claims and releases are hinted with the number of tasks that the session then holds. What
 * changes it otherwise (tasks that are done or lost), and what hints were lost, is told by a
 * listing of all nodes, a second or so after the last one: a script publishes it, so that one
 * node's asking serves them all. One whose subscription is down asks for itself, and reads the
 * answer. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "internal.h"

enum {
    PERIOD_MS = 1000,
    PERIOD_NODE_MS = 10, /* at least so much for each node: a listing goes from all to all */
    JITTER_MS = 500,     /* mostly one node asks, before the others' time has come */
};

struct mf_known_node {
    UT_hash_handle hh; /* by token */
    double weight;
    uint64_t tasks;
    uint64_t listing; /* the last one that it was in */
    char *name;       /* in `token`, behind it */
    char token[];
};

/* Weights are written and read as in the "C" locale: programs of one cluster may have others. */

void mf__redis_weight(mf_redis *redis, double weight)
{
    char text[32];
    locale_t c = newlocale(LC_ALL_MASK, "C", NULL);
    locale_t before = uselocale(c);

    snprintf(text, sizeof text, "%.17g", weight);
    uselocale(before);
    freelocale(c);
    mf__redis_text(redis, text);
}

static double parse_weight(const char *text, char **end)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", NULL);
    double weight = strtod_l(text, end, c);

    freelocale(c);
    return weight;
}

/* A node as it is told: "<tasks> <weight> <name>", taken apart in place. */
static bool parse_node(char *text, mf_node *out)
{
    char *weight, *end;

    out->tasks = strtoull(text, &weight, 10);
    out->weight = parse_weight(weight, &end);
    if (weight == text || *weight != ' ' || end == weight || *end != ' ' || !isfinite(out->weight))
        return false;
    out->name = end + 1;
    return mf_check_name("node", out->name, NULL) == MF_OK;
}

/* The next line with "<token> <node>"; false: there is none. */
static bool next_node(mf_redis *redis, char **text, char **token, mf_node *out)
{
    char *line;

    while ((line = strsep(text, "\n")) != NULL) {
        if (*line == '\0')
            continue;
        *token = strsep(&line, " ");
        if (line != NULL && parse_node(line, out))
            return true;
        mf__redis_damage(redis, "the record of a node is not of the form \"weight name\"");
    }
    return false;
}

/* What is known. */

static mf_known_node *find(const mf_nodes *nodes, const char *token)
{
    mf_known_node *node;
    HASH_FIND(hh, nodes->known, token, strlen(token), node);
    return node;
}

/* NULL: memory is out; the next listing tries again. */
static mf_known_node *add(mf_nodes *nodes, const char *token, const char *name)
{
    size_t length = strlen(token);
    mf_known_node *node = calloc(1, sizeof *node + length + strlen(name) + 2);

    if (node == NULL)
        return NULL;
    strcpy(node->token, token);
    node->name = strcpy(node->token + length + 1, name);
    HASH_ADD_KEYPTR(hh, nodes->known, node->token, length, node);
    if (node->hh.tbl == NULL) {
        free(node);
        return NULL;
    }
    return node;
}

static void tell(mf_redis *redis, const mf_known_node *node, bool gone)
{
    mf_node news = {.name = node->name, .weight = node->weight, .tasks = node->tasks};

    mf__hints_tell_node(redis, node->token, &news, gone);
}

static void set(mf_redis *redis, const char *token, const mf_node *news)
{
    mf_nodes *nodes = &redis->nodes;
    mf_known_node *node = find(nodes, token);
    bool is_new = node == NULL;

    if (is_new && (node = add(nodes, token, news->name)) == NULL)
        return;
    node->listing = nodes->listing;
    if (!is_new && node->weight == news->weight && node->tasks == news->tasks)
        return;
    node->weight = news->weight;
    node->tasks = news->tasks;
    tell(redis, node, false);
}

/* A session that has the name of one that has ended has taken its place. */
static bool is_replaced(const mf_nodes *nodes, const mf_known_node *gone)
{
    for (const mf_known_node *n = nodes->known; n != NULL; n = n->hh.next)
        if (n != gone && strcmp(n->name, gone->name) == 0)
            return true;
    return false;
}

static void take_out(mf_redis *redis, mf_known_node *node)
{
    if (!is_replaced(&redis->nodes, node))
        tell(redis, node, true);
    HASH_DEL(redis->nodes.known, node);
    free(node);
}

/* Hints. */

void mf__nodes_joined(mf_redis *redis, char *text)
{
    char *token;
    mf_node node;

    if (next_node(redis, &text, &token, &node))
        set(redis, token, &node);
}

void mf__nodes_counted(mf_redis *redis, const char *token, uint64_t tasks)
{
    mf_known_node *node = find(&redis->nodes, token);

    if (node == NULL || node->tasks == tasks)
        return;
    node->tasks = tasks;
    tell(redis, node, false);
}

void mf__nodes_gone(mf_redis *redis, const char *token)
{
    mf_known_node *node = find(&redis->nodes, token);

    if (node != NULL)
        take_out(redis, node);
}

/* Listings. */

static void start_timer(mf_redis *redis)
{
    mf_loop *loop = redis->broker.loop;
    int64_t period_ms = (int64_t)HASH_COUNT(redis->nodes.known) * PERIOD_NODE_MS;

    if (period_ms < PERIOD_MS)
        period_ms = PERIOD_MS;
    period_ms += (int64_t)(mf_loop_random(loop) % (uint64_t)(period_ms * JITTER_MS / PERIOD_MS));
    mf_timer_start(loop, &redis->nodes.timer, mf_loop_now_us(loop) + period_ms * 1000);
}

void mf__nodes_listed(mf_redis *redis, char *text)
{
    mf_nodes *nodes = &redis->nodes;
    mf_known_node *known, *next;
    mf_node node;
    char *token;

    nodes->listing++;
    while (next_node(redis, &text, &token, &node))
        set(redis, token, &node);
    HASH_ITER(hh, nodes->known, known, next)
    {
        if (known->listing != nodes->listing)
            take_out(redis, known);
    }
    if (mf__hints_want_nodes(redis))
        start_timer(redis);
}

static void write_listing(mf_redis *redis, const mf_request *head, const char *channel)
{
    mf__redis_keys(redis, head, NULL, NULL);
    mf__redis_text(redis, channel);
}

static void write_published(mf_redis *redis, mf_request *head)
{
    write_listing(redis, head, redis->keys[MF_KEY_HINTS].text);
}

/* What was published comes in its place among the hints. */
static void read_published(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    if (answer->type != MF_VALUE_STRING)
        mf__redis_misunderstood(redis, head);
    else if (!mf__hints_are_received(redis))
        mf__nodes_listed(redis, answer->text);
}

static const mf_operation publish_operation = {
    .what = "publish the nodes",
    .script = &mf__script_nodes,
    .write = write_published,
    .read = read_published,
};

static void on_published(mf_request *head)
{
    mf_redis *redis = head->arg;

    redis->nodes.asking = false;
    if (!redis->closing && mf__hints_want_nodes(redis))
        start_timer(redis);
}

static void on_timer(void *arg)
{
    mf_redis *redis = arg;
    mf_nodes *nodes = &redis->nodes;

    if (!mf__hints_want_nodes(redis))
        return;
    if (!redis->up) {
        start_timer(redis);
    } else if (!nodes->asking) {
        nodes->asking = true;
        mf__redis_submit(redis, &nodes->request, &publish_operation);
    }
}

void mf__nodes_watch(mf_redis *redis)
{
    if (redis->nodes.timer.heap_slot == 0 && !redis->nodes.asking)
        start_timer(redis);
}

void mf__nodes_init(mf_redis *redis)
{
    redis->nodes.request = (mf_request){.done = on_published, .arg = redis};
    mf_timer_init(&redis->nodes.timer, on_timer, redis);
}

void mf__nodes_stop(mf_redis *redis)
{
    mf_known_node *node, *next;

    mf_timer_stop(redis->broker.loop, &redis->nodes.timer);
    HASH_ITER(hh, redis->nodes.known, node, next)
    {
        HASH_DEL(redis->nodes.known, node);
        free(node);
    }
}

/* The slot. */

static void write_nodes(mf_redis *redis, mf_request *head)
{
    write_listing(redis, head, "");
}

static size_t count_lines(const char *text)
{
    size_t count = 1;

    for (; (text = strchr(text, '\n')) != NULL; text++)
        count++;
    return count;
}

static void read_nodes(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_nodes_request *request = (mf_nodes_request *)head;
    char *token;

    request->count = 0;
    if (answer->type != MF_VALUE_STRING) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    char *text = answer->text;
    mf_node *nodes = mf__redis_room(redis, head, count_lines(text), sizeof *nodes);
    if (nodes == NULL)
        return;
    request->nodes = nodes;
    while (next_node(redis, &text, &token, &nodes[request->count]))
        request->count++;
}

static const mf_operation nodes_operation = {
    .what = "nodes",
    .script = &mf__script_nodes,
    .write = write_nodes,
    .read = read_nodes,
};

void mf__redis_nodes(mf_broker *broker, mf_nodes_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &nodes_operation);
}
