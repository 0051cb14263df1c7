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

int mf__server_check(const char *info, const char *peer, mf_error *error)
{
    char text[64];

    find_field(text, sizeof text, info, "redis_version");
    if (atoi(text) < 7)
        return mf_error_set(error, MF_EREFUSED,
                            "%s: redis_version is \"%s\", it must be 7.0 or later", peer, text);
    if (field_is(info, "loading", "1"))
        return mf_error_set(error, MF_EUNREACHABLE, "%s: is loading its data", peer);
    if (!field_is(info, "role", "master"))
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
    bool drop;
} meaning;

/* By the first word of the reply. Those that drop come and go with the server's state; none of them
 * comes after a part of a request was executed. */
static const meaning meanings[] = {
    {"NOSESSION", MF_ENOSESSION, false},
    {"STALE", MF_ESTALE, false},
    {"DAMAGED", MF_EDAMAGED, false},
    {"WRONGTYPE", MF_EDAMAGED, false},
    {"LOADING", MF_EUNREACHABLE, true},
    {"MASTERDOWN", MF_EUNREACHABLE, true},
    {"READONLY", MF_EUNREACHABLE, true},
    {"BUSY", MF_EUNREACHABLE, true},
    {"MISCONF", MF_EUNREACHABLE, true},
    {"NOREPLICAS", MF_EUNREACHABLE, true},
    {"CLUSTERDOWN", MF_EUNREACHABLE, true},
    {"TRYAGAIN", MF_EUNREACHABLE, true},
    {"ERR max number of clients reached", MF_EUNREACHABLE, true},
    {"ERR Script killed", MF_EUNREACHABLE, false},
    {"OOM", MF_EREFUSED, false},
    {"NOAUTH", MF_EREFUSED, false},
    {"NOPERM", MF_EREFUSED, false},
    {"WRONGPASS", MF_EREFUSED, false},
    {"MOVED", MF_EREFUSED, false},
    {"ASK", MF_EREFUSED, false},
};

int mf__server_error(const char *what, const char *reply, bool *drop, mf_error *error)
{
    *drop = false;
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        const meaning *m = &meanings[i];
        size_t length = strlen(m->prefix);
        if (strncmp(reply, m->prefix, length) != 0 ||
            (reply[length] != ' ' && reply[length] != '\0'))
            continue;
        *drop = m->drop;
        if (m->code == MF_EREFUSED && (*reply == 'M' || *reply == 'A'))
            return mf_error_set(error, m->code,
                                "%s: this node of the cluster does not serve the namespace: %s",
                                what, reply);
        return mf_error_set(error, m->code, "%s: %s", what, reply);
    }
    return mf_error_set(error, MF_EPROTO, "%s: %s", what, reply);
}
