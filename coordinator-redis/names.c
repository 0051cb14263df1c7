/* Names of keys and channels, and the owner key's value. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const char *const key_names[MF_KEY_COUNT] = {
    [MF_KEY_TASKS] = "tasks",       [MF_KEY_READY] = "ready",         [MF_KEY_REMOVED] = "removed",
    [MF_KEY_SESSIONS] = "sessions", [MF_KEY_NODES] = "nodes",         [MF_KEY_COUNTS] = "counts",
    [MF_KEY_FENCE] = "fence",       [MF_KEY_LATER] = "later",         [MF_KEY_STATE] = "state",
    [MF_KEY_MESSAGES] = "messages", [MF_KEY_MAIL] = "mail",           [MF_KEY_CRASHES] = "crashes",
    [MF_KEY_ASIDE] = "aside",       [MF_KEY_CONFIRMED] = "confirmed", [MF_KEY_SERVER] = "server",
    [MF_KEY_OUTAGE] = "outage",     [MF_KEY_HOLDS] = "holds",         [MF_KEY_MOVED] = "moved",
    [MF_KEY_HINTS] = "hints",
};

static const char *const prefix_names[MF_PREFIX_COUNT] = {
    [MF_PREFIX_OWNER] = "owner:",       [MF_PREFIX_NODE] = "node:",
    [MF_PREFIX_HELD] = "held:",         [MF_PREFIX_LEFT] = "left:",
    [MF_PREFIX_COMMANDS] = "commands:", [MF_PREFIX_SUBMITTED] = "submitted:",
    [MF_PREFIX_CHARGED] = "charged:",   [MF_PREFIX_HINTS] = "hints:",
};

const char *mf__key_name(mf_key_ref key)
{
    return key.is_prefix ? prefix_names[key.which] : key_names[key.which];
}

/* Channels, unlike keys, are the same in all databases of a server. */
static bool name(mf_redis *redis, mf_name *out, const char *name_space, const char *what,
                 bool is_channel)
{
    int database = redis->settings.database;
    int length = is_channel && database != 0
                     ? asprintf(&out->text, "{%s}:%d:%s", name_space, database, what)
                     : asprintf(&out->text, "{%s}:%s", name_space, what);

    if (length < 0) {
        out->text = NULL;
        return false;
    }
    out->length = (size_t)length;
    return true;
}

int mf__redis_names_init(mf_redis *redis, const char *name_space, mf_error *error)
{
    bool good = true;

    for (int i = 0; i < MF_KEY_COUNT; i++)
        good &= name(redis, &redis->keys[i], name_space, key_names[i], i == MF_KEY_HINTS);
    for (int i = 0; i < MF_PREFIX_COUNT; i++)
        good &= name(redis, &redis->prefixes[i], name_space, prefix_names[i], i == MF_PREFIX_HINTS);
    return good ? MF_OK : mf_error_set(error, MF_ENOMEM, "redis: out of memory");
}

void mf__redis_names_clear(mf_redis *redis)
{
    for (int i = 0; i < MF_KEY_COUNT; i++)
        free(redis->keys[i].text);
    for (int i = 0; i < MF_PREFIX_COUNT; i++)
        free(redis->prefixes[i].text);
}

bool mf__redis_parse_owner(char *value, const char **node, uint64_t *fence)
{
    char *first = strchr(value, ' ');
    char *second = first != NULL ? strchr(first + 1, ' ') : NULL;

    if (second == NULL || second[1] == '\0')
        return false;
    mf_value number = {
        .type = MF_VALUE_STRING, .length = (size_t)(second - first - 1), .text = first + 1};
    *node = second + 1;
    return mf__value_number(&number, fence);
}
