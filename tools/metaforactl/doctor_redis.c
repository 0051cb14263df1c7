/* The rules for a Redis server, as docs/operations.md gives them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"

typedef struct server {
    const char *info;
    findings *to;
} server;

static long long number(const server *s, const char *name)
{
    char text[64];
    return doctor_field(text, sizeof text, s->info, name) ? strtoll(text, NULL, 10) : 0;
}

static bool is(const server *s, const char *name, const char *value)
{
    char text[64];
    return doctor_field(text, sizeof text, s->info, name) && strcmp(text, value) == 0;
}

static void check_version(const server *s)
{
    char version[64];

    doctor_field(version, sizeof version, s->info, "redis_version");
    if (atoi(version) < 7)
        finding_add(s->to, "version", FINDING_BAD, "upgrade: the driver needs 7.0 or later",
                    "Redis %s", version);
    else
        finding_add(s->to, "version", FINDING_GOOD, NULL, "Redis %s", version);
}

static void check_persistence(const server *s)
{
    if (is(s, "aof_enabled", "0"))
        finding_add(s->to, "persistence", FINDING_WARNING,
                    "set appendonly yes: a restart loses all tasks since the last snapshot",
                    "appendonly is off");
    else if (is(s, "aof_last_write_status", "err"))
        finding_add(s->to, "persistence", FINDING_BAD,
                    "look at the server's disk and log: what is written now is lost by a restart",
                    "the last write to the append-only file has failed");
    else
        finding_add(s->to, "persistence", FINDING_GOOD, NULL, "appendonly is on");
    if (is(s, "rdb_last_bgsave_status", "err"))
        finding_add(s->to, "persistence", FINDING_BAD,
                    "look at the server's disk and log; it may refuse writes until a save succeeds",
                    "the last snapshot has failed");
}

static void check_memory(const server *s)
{
    long long most = number(s, "maxmemory"), used = number(s, "used_memory");
    char policy[64];

    doctor_field(policy, sizeof policy, s->info, "maxmemory_policy");
    if (strcmp(policy, "noeviction") != 0)
        finding_add(s->to, "eviction", most > 0 ? FINDING_BAD : FINDING_WARNING,
                    "set maxmemory-policy noeviction: any other evicts tasks and claims",
                    "maxmemory-policy is %s%s", policy, most > 0 ? "" : ", without a maxmemory");
    else
        finding_add(s->to, "eviction", FINDING_GOOD, NULL, "maxmemory-policy is noeviction");
    if (number(s, "evicted_keys") > 0)
        finding_add(s->to, "eviction", FINDING_BAD,
                    "keys of tasks may be among them: compare with what should be there",
                    "%lld keys were evicted since the server's start", number(s, "evicted_keys"));
    if (most > 0 && used > most / 100 * 80)
        finding_add(s->to, "memory", used > most / 100 * 95 ? FINDING_BAD : FINDING_WARNING,
                    "raise maxmemory: when it is used up, submits and states are refused",
                    "%lld of %lld MiB are used", used >> 20, most >> 20);
    else
        finding_add(s->to, "memory", FINDING_GOOD, NULL, "%lld MiB are used%s", used >> 20,
                    most > 0 ? "" : ", maxmemory is not set");
}

/* slave0:ip=10.0.0.2,port=6379,state=online,offset=1,lag=0 */
static void check_replica(const server *s, int place)
{
    char name[24], text[256];

    snprintf(name, sizeof name, "slave%d", place);
    doctor_field(text, sizeof text, s->info, name);
    const char *lag = strstr(text, "lag=");
    if (strstr(text, "state=online") == NULL || (lag != NULL && atoi(lag + 4) > 10))
        finding_add(s->to, "replicas", FINDING_BAD,
                    "mend it: a failover to it loses what it does not have",
                    "a replica is not up to date: %s", text);
}

static void check_replicas(const server *s)
{
    int count = (int)number(s, "connected_slaves");
    char good[24];

    if (is(s, "role", "slave")) {
        finding_add(s->to, "replicas", FINDING_BAD, "name the master in the URL",
                    "this server is a replica");
        return;
    }
    for (int i = 0; i < count; i++)
        check_replica(s, i);
    if (count > 0 && !doctor_field(good, sizeof good, s->info, "min_slaves_good_slaves"))
        finding_add(s->to, "replicas", FINDING_WARNING,
                    "set min-replicas-to-write 1 and min-replicas-max-lag 10: a master that is cut "
                    "off must not go on alone; and wait_replicas=1 in the programs' URLs",
                    "%d replicas, and min-replicas-to-write is 0", count);
    else
        finding_add(s->to, "replicas", FINDING_GOOD, NULL, "%d", count);
}

static void check_clock(const server *s, int64_t ahead_us)
{
    int64_t off_us = ahead_us < 0 ? -ahead_us : ahead_us;
    finding_level level = off_us > 5000000  ? FINDING_BAD
                          : off_us > 500000 ? FINDING_WARNING
                                            : FINDING_GOOD;

    finding_add(s->to, "clock", level,
                level == FINDING_GOOD
                    ? NULL
                    : "discipline the clocks, by slewing: leases and due times go "
                      "by the server's",
                "the server's is %.3f s %s this machine's", (double)off_us / 1e6,
                ahead_us < 0 ? "behind" : "before");
}

static void check_load(const server *s)
{
    if (number(s, "latest_fork_usec") > 1000000)
        finding_add(s->to, "forks", FINDING_WARNING,
                    "leases below 5 s can end in such a pause; look at transparent huge pages",
                    "the last fork held the server up for %.1f s",
                    (double)number(s, "latest_fork_usec") / 1e6);
    if (number(s, "rejected_connections") > 0)
        finding_add(s->to, "connections", FINDING_WARNING, "raise maxclients",
                    "%lld were refused since the server's start",
                    number(s, "rejected_connections"));
}

void doctor_redis(findings *to, const char *info, int64_t ahead_us)
{
    const server s = {info, to};

    check_version(&s);
    check_persistence(&s);
    check_memory(&s);
    check_replicas(&s);
    check_clock(&s, ahead_us);
    check_load(&s);
}
