/* What a server says of itself, and what its errors mean. */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

/* Copies the value of the line "<name>:<value>"; empty when there is none. */
static void find_field(char *out, size_t size, const char *info, const char *name)
{
    size_t length = strlen(name);

    out[0] = '\0';
    for (const char *line = info; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) != 0 || line[length] != ':')
            continue;
        const char *value = line + length + 1;
        snprintf(out, size, "%.*s", (int)strcspn(value, "\r\n"), value);
        return;
    }
}

static bool field_is(const char *info, const char *name, const char *value)
{
    char text[64];

    find_field(text, sizeof text, info, name);
    return strcmp(text, value) == 0;
}

bool mf__server_has_aof(const char *info)
{
    return field_is(info, "aof_enabled", "1");
}

void mf__server_run_id(const char *info, char *out, size_t size)
{
    find_field(out, size, info, "run_id");
}

/* The number of good replicas is told only where min-replicas-to-write asks for some. */
bool mf__server_writes_alone(const char *info)
{
    char replicas[16], good[16];

    find_field(replicas, sizeof replicas, info, "connected_slaves");
    find_field(good, sizeof good, info, "min_slaves_good_slaves");
    return atoi(replicas) > 0 && *good == '\0';
}

int mf__server_check(const char *info, bool master, const char *peer, mf_error *error)
{
    char text[64];

    find_field(text, sizeof text, info, "redis_version");
    if (atoi(text) < 7)
        return mf_error_set(error, MF_EREFUSED,
                            "%s: redis_version is \"%s\", it must be 7.0 or later", peer, text);
    if (field_is(info, "loading", "1"))
        return mf_error_set(error, MF_EUNREACHABLE, "%s: is loading its data", peer);
    if (master && !field_is(info, "role", "master"))
        return mf_error_set(error, MF_EUNREACHABLE, "%s: is a replica", peer);
    find_field(text, sizeof text, info, "maxmemory");
    if (strtoull(text, NULL, 10) == 0)
        return MF_OK;
    find_field(text, sizeof text, info, "maxmemory_policy");
    if (strcmp(text, "noeviction") != 0)
        return mf_error_set(error, MF_EREFUSED,
                            "%s: maxmemory-policy is %s, it must be noeviction: the server would "
                            "evict tasks and claims",
                            peer, text);
    return MF_OK;
}

typedef struct meaning {
    const char *prefix;
    int code;
    mf_server_state state;
} meaning;

/* By the first words of the reply. What makes a server unfit comes and goes, and never comes after
 * a part of a request was executed. Some are greetings: the answer to whatever was sent first. */
static const meaning meanings[] = {
    {"NOSESSION", MF_ENOSESSION, MF_SERVER_FIT},
    {"STALE", MF_ESTALE, MF_SERVER_FIT},
    {"AWAY", MF_EMOVED, MF_SERVER_FIT},
    {"DAMAGED", MF_EDAMAGED, MF_SERVER_FIT},
    {"WRONGTYPE", MF_EDAMAGED, MF_SERVER_FIT},
    {"LOADING", MF_EUNREACHABLE, MF_SERVER_UNFIT},
    {"MASTERDOWN", MF_EUNREACHABLE, MF_SERVER_UNFIT},
    {"READONLY", MF_EUNREACHABLE, MF_SERVER_UNFIT},
    {"BUSY", MF_EUNREACHABLE, MF_SERVER_UNFIT},
    {"MISCONF", MF_EUNREACHABLE, MF_SERVER_UNFIT},
    {"NOREPLICAS", MF_EUNREACHABLE, MF_SERVER_UNFIT},
    {"CLUSTERDOWN", MF_EUNREACHABLE, MF_SERVER_UNFIT},
    {"ERR max number of clients", MF_EUNREACHABLE, MF_SERVER_UNFIT}, /* a greeting */
    {"DENIED", MF_EREFUSED, MF_SERVER_UNFIT},                        /* protected mode: another */
    {"ERR Script killed", MF_EUNREACHABLE, MF_SERVER_FIT},
    {"OOM", MF_EREFUSED, MF_SERVER_FIT},
    {"NOAUTH", MF_EREFUSED, MF_SERVER_FIT},
    {"NOPERM", MF_EREFUSED, MF_SERVER_FIT},
    {"WRONGPASS", MF_EREFUSED, MF_SERVER_FIT},
    {"MOVED", MF_EUNREACHABLE, MF_SERVER_MOVED},
    {"TRYAGAIN", MF_EUNREACHABLE, MF_SERVER_MOVING},
    {"ASK", MF_EUNREACHABLE, MF_SERVER_MOVING},
};

int mf__server_error(const char *what, const char *reply, mf_server_state *state, mf_error *error)
{
    *state = MF_SERVER_FIT;
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        const meaning *m = &meanings[i];
        size_t length = strlen(m->prefix);
        if (strncmp(reply, m->prefix, length) != 0 ||
            (reply[length] != ' ' && reply[length] != '\0'))
            continue;
        *state = m->state;
        return mf_error_set(error, m->code, "%s: %s", what, reply);
    }
    return mf_error_set(error, MF_EPROTO, "%s: %s", what, reply);
}
