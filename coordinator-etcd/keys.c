/* Keys: their parts put together, and taken apart. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "handle.h"
#include "keys.h"

mf_bytes mf__key(mf_etcd *etcd, mf_arena *arena, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    size_t whole = etcd->prefix_length + (size_t)length;
    char *text = mf__arena_take(arena, whole + 1);
    memcpy(text, etcd->prefix, etcd->prefix_length);
    va_start(arguments, format);
    vsnprintf(text + etcd->prefix_length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return (mf_bytes){.len = whole, .data = (uint8_t *)text};
}

static uint8_t *put(uint8_t *to, const char *text, size_t length)
{
    memcpy(to, text, length);
    return to + length;
}

/* One byte more than asked for is there, and zero. */
static mf_bytes task_key(mf_etcd *etcd, mf_arena *arena, const char *id, size_t id_length,
                         const char *rest)
{
    static const char tasks[] = "tasks/";
    size_t length = etcd->prefix_length + strlen(tasks) + id_length + strlen(rest);
    mf_bytes key = {.len = length, .data = mf__arena_take(arena, length + 1)};

    uint8_t *to = put(key.data, etcd->prefix, etcd->prefix_length);
    to = put(to, tasks, strlen(tasks));
    to = put(to, id, id_length);
    put(to, rest, strlen(rest));
    return key;
}

static mf_bytes first_of(mf_bytes bytes, size_t length)
{
    return (mf_bytes){.len = length, .data = bytes.data};
}

mf_task_keys mf__task_keys(mf_etcd *etcd, mf_arena *arena, const char *id)
{
    size_t length = strlen(id);
    mf_task_keys keys = {
        .owner = task_key(etcd, arena, id, length, "/owner"),
        .properties = task_key(etcd, arena, id, length, "/props"),
        .message = task_key(etcd, arena, id, length, "/commands"),
    };

    keys.behind_owner = first_of(keys.owner, keys.owner.len + 1);
    keys.behind_properties = first_of(keys.properties, keys.properties.len + 1);
    keys.slash = first_of(keys.owner, keys.owner.len - strlen("owner"));
    keys.task = first_of(keys.owner, keys.slash.len - 1);
    return keys;
}

void mf__task_keys_end(mf_arena *arena, mf_task_keys *keys)
{
    keys->slash_end = mf__bytes_after_prefix(arena, keys->slash);
}

mf_bytes mf__key_rest(const mf_etcd *etcd, mf_bytes key, const char *part)
{
    size_t length = strlen(part), before = etcd->prefix_length + length;

    if (key.len < before || memcmp(key.data, etcd->prefix, etcd->prefix_length) != 0 ||
        memcmp(key.data + etcd->prefix_length, part, length) != 0)
        return (mf_bytes){0};
    return (mf_bytes){.len = key.len - before, .data = key.data + before};
}

bool mf__key_is_marker(mf_bytes rest)
{
    static const char marker[] = "_metafora";
    size_t length = strlen(marker);

    if (rest.len < length || memcmp(rest.data + rest.len - length, marker, length) != 0)
        return false;
    return rest.len == length || rest.data[rest.len - length - 1] == '/';
}

bool mf__key_split(mf_bytes rest, mf_bytes *head, mf_bytes *tail)
{
    const uint8_t *slash = rest.len > 0 ? memchr(rest.data, '/', rest.len) : NULL;

    *head = rest;
    *tail = (mf_bytes){0};
    if (slash == NULL)
        return false;
    head->len = (size_t)(slash - rest.data);
    *tail = (mf_bytes){.len = rest.len - head->len - 1, .data = rest.data + head->len + 1};
    return true;
}

bool mf__bytes_are(mf_bytes bytes, const char *text)
{
    return mf__bytes_equal(bytes, mf__bytes_of(text));
}

const char *mf__key_id(mf_arena *arena, mf_bytes id)
{
    char *text = mf__arena_take(arena, id.len + 1);

    if (id.len == 0 || memchr(id.data, '\0', id.len) != NULL)
        return NULL;
    memcpy(text, id.data, id.len);
    return mf_check_task_id("", text, NULL) == MF_OK ? text : NULL;
}

void mf__key_to_cursor(char cursor[MF_CURSOR_SIZE], mf_bytes rest)
{
    size_t length = rest.len < MF_CURSOR_SIZE - 2 ? rest.len : MF_CURSOR_SIZE - 2;
    const uint8_t *zero = length > 0 ? memchr(rest.data, '\0', length) : NULL;

    if (zero != NULL)
        length = (size_t)(zero - rest.data);
    memcpy(cursor, rest.data, length);
    cursor[length] = '\0';
    if (length < rest.len) {
        cursor[length] = zero != NULL ? '\x01' : '\xff';
        cursor[length + 1] = '\0';
    }
}

mf_bytes mf__key_behind_cursor(mf_etcd *etcd, mf_arena *arena, const char *part, const char *cursor)
{
    mf_bytes key = mf__key(etcd, arena, "%s%s", part, cursor);

    key.len += cursor[0] != '\0'; /* the zero byte behind it */
    return key;
}

mf_bytes mf__command_key(mf_etcd *etcd, mf_arena *arena, const char *node)
{
    return mf__key(etcd, arena, "nodes/%s/commands/%llu", node,
                   (unsigned long long)mf_loop_random(etcd->broker.loop));
}

mf_bytes mf__removals_key(mf_etcd *etcd, mf_arena *arena)
{
    return mf__key(etcd, arena, "_mf/removals");
}
