/* Peers of the contract suite. */
#include "contract.h"

static peer *peer_of(mf_watcher *watcher)
{
    return (peer *)(void *)((char *)watcher - offsetof(peer, watcher));
}

static void on_link(mf_watcher *watcher, bool up, const mf_error *why)
{
    peer *p = peer_of(watcher);
    p->up = up;
    if (!up) {
        p->downs++;
        p->why_down = why->code;
    }
    poke(p->c);
}

static void on_resync(mf_watcher *watcher)
{
    peer_of(watcher)->resyncs++;
    poke(peer_of(watcher)->c);
}

static void hear(peer *p, heard kind, const char *const *ids, size_t count)
{
    size_t have = p->heard_count[kind];
    p->heard[kind] = realloc(p->heard[kind], (have + count + 1) * sizeof(char *));
    for (size_t i = 0; i < count; i++)
        p->heard[kind][have + i] = keep_text(p->c, "%s", ids[i]);
    p->heard_count[kind] += count;
    poke(p->c);
}

static void on_claimable(mf_watcher *watcher, const char *const *ids, size_t count)
{
    hear(peer_of(watcher), HEARD_CLAIMABLE, ids, count);
}

static void on_taken(mf_watcher *watcher, const char *const *ids, size_t count)
{
    hear(peer_of(watcher), HEARD_TAKEN, ids, count);
}

static void on_removed(mf_watcher *watcher, const char *const *ids, size_t count)
{
    hear(peer_of(watcher), HEARD_REMOVED, ids, count);
}

static void on_command(mf_watcher *watcher)
{
    peer_of(watcher)->commands++;
    poke(peer_of(watcher)->c);
}

static void on_node(mf_watcher *watcher, const mf_node *node, bool gone)
{
    peer *p = peer_of(watcher);
    p->neighbour = *node;
    p->neighbour.name = keep_text(p->c, "%s", node->name);
    p->neighbour_gone = gone;
    poke(p->c);
}

static peer *open_peer(contract *c, const char *url, const char *node, bool wait_for_broker)
{
    peer *p = keep(c, sizeof *p);

    p->c = c;
    p->session =
        (mf_session){.node = keep_text(c, "%s", node), .epoch = 1, .lease_ms = 10000, .weight = 1};
    snprintf(p->session.token, sizeof p->session.token, "%016llx%016llx",
             (unsigned long long)mf_loop_random(c->loop),
             (unsigned long long)mf_loop_random(c->loop));
    p->watcher = (mf_watcher){.node = p->session.node,
                              .token = p->session.token,
                              .link = on_link,
                              .resync = on_resync,
                              .claimable = on_claimable,
                              .taken = on_taken,
                              .removed = on_removed,
                              .command = on_command,
                              .node_changed = on_node};
    p->broker = open_broker(c, url, wait_for_broker);
    p->broker->operations->watch(p->broker, &p->watcher);
    p->next = c->peers;
    c->peers = p;
    return p;
}

peer *peer_opened(contract *c, const char *url, const char *node)
{
    return open_peer(c, url, node, false);
}

peer *peer_opened_waiting(contract *c, const char *url, const char *node)
{
    return open_peer(c, url, node, true);
}

static bool is_listening(void *arg)
{
    peer *p = arg;
    return p->up && p->resyncs != 0;
}

peer *peer_ready(peer *p)
{
    assert_true(wait_until(p->c, is_listening, p, REPLY_BOUND_MS));
    return p;
}

peer *peer_new(contract *c, const char *node)
{
    return peer_ready(peer_opened(c, c->fixture->url(c->fixture), node));
}

peer *peer_linked(contract *c, const char *node)
{
    return peer_ready(peer_opened(c, c->fixture->link_url(c->fixture), node));
}

peer *peer_ghost(peer *of)
{
    peer *p = peer_new(of->c, of->session.node);
    p->session = of->session;
    return p;
}

peer *peer_joined(contract *c, const char *node, int lease_ms)
{
    peer *p = peer_new(c, node);
    p->session.lease_ms = lease_ms;
    assert_int_equal(join(p), MF_OK);
    return p;
}

void peer_close(peer *p)
{
    if (p->broker == NULL)
        return;
    p->broker->operations->unwatch(p->broker, &p->watcher);
    close_broker(p->c, p->broker);
    p->broker = NULL;
    for (int kind = 0; kind < HEARD_KINDS; kind++) {
        free(p->heard[kind]);
        p->heard[kind] = NULL;
        p->heard_count[kind] = 0;
    }
}

typedef struct wanted {
    peer *p;
    heard kind;
    const char *id;
    bool up;
    unsigned count;
    int64_t tasks;
} wanted;

static bool has_heard(void *arg)
{
    wanted *w = arg;
    for (size_t i = 0; i < w->p->heard_count[w->kind]; i++)
        if (strcmp(w->p->heard[w->kind][i], w->id) == 0)
            return true;
    return false;
}

bool wait_heard(peer *p, heard kind, const char *id, int bound_ms)
{
    wanted w = {.p = p, .kind = kind, .id = id};
    return wait_until(p->c, has_heard, &w, bound_ms);
}

static bool link_is(void *arg)
{
    wanted *w = arg;
    return w->p->up == w->up;
}

bool wait_up(peer *p, bool up, int bound_ms)
{
    wanted w = {.p = p, .up = up};
    return wait_until(p->c, link_is, &w, bound_ms);
}

static bool knows_neighbour(void *arg)
{
    wanted *w = arg;
    const mf_node *node = &w->p->neighbour;
    return node->name != NULL && strcmp(node->name, w->id) == 0 &&
           w->p->neighbour_gone == (w->tasks < 0) &&
           (w->tasks < 0 || (int64_t)node->tasks == w->tasks);
}

bool wait_neighbour(peer *p, const char *node, int64_t tasks, int bound_ms)
{
    wanted w = {.p = p, .id = node, .tasks = tasks};
    return wait_until(p->c, knows_neighbour, &w, bound_ms);
}

static bool has_commands(void *arg)
{
    wanted *w = arg;
    return w->p->commands >= w->count;
}

bool wait_commands(peer *p, unsigned count, int bound_ms)
{
    wanted w = {.p = p, .count = count};
    return wait_until(p->c, has_commands, &w, bound_ms);
}

static bool has_resyncs(void *arg)
{
    wanted *w = arg;
    return w->p->resyncs >= w->count;
}

bool wait_resyncs(peer *p, unsigned count, int bound_ms)
{
    wanted w = {.p = p, .count = count};
    return wait_until(p->c, has_resyncs, &w, bound_ms);
}

static bool has_downs(void *arg)
{
    wanted *w = arg;
    return w->p->downs >= w->count;
}

bool wait_downs(peer *p, unsigned count, int bound_ms)
{
    wanted w = {.p = p, .count = count};
    return wait_until(p->c, has_downs, &w, bound_ms);
}
