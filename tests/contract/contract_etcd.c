/* The contract suite on etcd: a private member, and a proxy before it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/etcd.h>

#include "etcd_server.h"
#include "fixture.h"
#include "process.h"
#include "proxy.h"

typedef struct etcd_fixture {
    fixture fixture; /* first */
    etcd_server *server;
    proxy *proxy;
    bool killed, paused;
    int aged_ms; /* commands, by now */
    char link_url[64], unreachable_url[64];
} etcd_fixture;

static etcd_fixture *self(fixture *me)
{
    return (etcd_fixture *)me;
}

static bool start(fixture *me)
{
    etcd_fixture *etcd = self(me);

    etcd->server = etcd_server_start(NULL);
    etcd->proxy = proxy_new(etcd->server->members[0].port, NULL);
    snprintf(etcd->link_url, sizeof etcd->link_url, "etcd://127.0.0.1:%d", proxy_port(etcd->proxy));
    snprintf(etcd->unreachable_url, sizeof etcd->unreachable_url, "etcd://127.0.0.1:%d",
             free_port());
    me->unreachable_url = etcd->unreachable_url;
    return true;
}

static void stop(fixture *me)
{
    proxy_free(self(me)->proxy);
    etcd_server_free(self(me)->server);
}

static const char *url(fixture *me)
{
    return self(me)->server->url;
}

static const char *link_url(fixture *me)
{
    return self(me)->link_url;
}

static void set_link(fixture *me, link_state state)
{
    proxy *p = self(me)->proxy;
    switch (state) {
    case LINK_PASS:
        proxy_resume(p);
        break;
    case LINK_CUT:
        proxy_refuse(p);
        proxy_cut(p);
        break;
    case LINK_SILENT:
        proxy_blackhole(p, PROXY_BOTH);
        break;
    case LINK_LOSE_REPLIES:
        proxy_blackhole(p, PROXY_REPLIES);
        break;
    }
}

static void slow_link(fixture *me, int round_trip_ms)
{
    proxy_delay(self(me)->proxy, PROXY_BOTH, round_trip_ms / 2);
}

static void kill_server(fixture *me)
{
    etcd_server_kill(self(me)->server, 0);
    self(me)->killed = true;
}

static void start_server(fixture *me)
{
    etcd_server_restart(self(me)->server, 0);
    self(me)->killed = false;
}

static void pause_server(fixture *me, bool paused)
{
    if (paused)
        etcd_server_pause(self(me)->server, 0);
    else
        etcd_server_resume(self(me)->server, 0);
    self(me)->paused = paused;
}

static void heal(fixture *me)
{
    proxy_resume(self(me)->proxy);
    slow_link(me, 0);
    if (self(me)->paused)
        pause_server(me, false);
    if (self(me)->killed)
        start_server(me);
}

static void remove_owner(fixture *me, const char *name_space, const char *id)
{
    char key[600];

    snprintf(key, sizeof key, "/%s/tasks/%s/owner", name_space, id);
    etcd_ctl_do(self(me)->server, "del", key, NULL);
}

static void damage_task(fixture *me, const char *name_space, const char *id)
{
    char key[600];

    snprintf(key, sizeof key, "/%s/tasks/%s/props", name_space, id);
    etcd_ctl_do(self(me)->server, "put", key, "{broken", NULL);
}

/* Revokes the leases that the keys of a listing in etcdctl's "fields" form are on. */
static void revoke_leases(etcd_server *server, char *fields)
{
    static const char lease[] = "\"Lease\" : ";
    char id[32];

    for (char *at = fields; (at = strstr(at, lease)) != NULL; at++) {
        snprintf(id, sizeof id, "%llx", strtoull(at + strlen(lease), NULL, 10));
        if (strcmp(id, "0") != 0)
            etcd_ctl_try(server, "lease", "revoke", id, NULL);
    }
}

/* Their leases end when their time has come. */
static void age_commands(fixture *me, const char *name_space, const char *node, int ms)
{
    etcd_fixture *etcd = self(me);
    char prefix[600];

    etcd->aged_ms += ms;
    if (etcd->aged_ms < MF_COMMAND_TTL_MS)
        return;
    etcd->aged_ms = 0;
    snprintf(prefix, sizeof prefix, "/%s/nodes/%s/commands/", name_space, node);
    char *fields = etcd_ctl(etcd->server, "get", "--prefix", prefix, "-w", "fields", NULL);
    revoke_leases(etcd->server, fields);
    free(fields);
}

static void forget_everything(fixture *me)
{
    etcd_ctl_do(self(me)->server, "del", "--prefix", "/", NULL);
}

int main(int argc, char **argv)
{
    etcd_fixture etcd = {
        .fixture = {
            .name = "etcd",
            .driver = &mf_etcd_driver,
            /* Two seconds is the shortest lease that etcd grants. It looks for leases that have
             * ended twice in a second, and a claim may be on one that was granted or kept alive up
             * to a sixteenth of its time before. */
            .lease_ms = 2000,
            .expiry_slack_ms = 1600,
            .claim_age_percent = 7,
            .abilities =
                NEEDS_LINK | NEEDS_SERVER | NEEDS_PERSISTENCE | NEEDS_TAMPER | NEEDS_STATES,
            .lacks = {{NEEDS_SCRIPTS, "etcd has no scripts"},
                      {NEEDS_HELD, "etcd loses nothing that it has acknowledged"},
                      {NEEDS_HINT_CUT, "a watch that is cut goes on where it was: nothing is "
                                       "missed, so there is no resync to wait for"}},
            .start = start,
            .stop = stop,
            .url = url,
            .link_url = link_url,
            .heal = heal,
            .set_link = set_link,
            .slow_link = slow_link,
            .kill_server = kill_server,
            .start_server = start_server,
            .pause_server = pause_server,
            .remove_owner = remove_owner,
            .damage_task = damage_task,
            .age_commands = age_commands,
            .forget_everything = forget_everything,
        }};
    process_outrank_others();
    return contract_run(&etcd.fixture, argc > 1 ? argv[1] : NULL);
}
