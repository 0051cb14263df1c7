/* The names of keys. */
#ifndef MF_ETCD_KEYS_H
#define MF_ETCD_KEYS_H

#include <metafora/driver.h>
#include <metafora/export.h>

#include "arena.h"
#include "message.h"

typedef struct mf_etcd mf_etcd;

/* "/<namespace>/" and the text; a zero byte is behind it. */
mf_bytes mf__key(mf_etcd *etcd, mf_arena *arena, const char *format, ...) MF_PRINTF(3, 4);

/* The keys of a task; they share memory. */
typedef struct mf_task_keys {
    mf_bytes task, owner, properties;
    mf_bytes message;                         /* the last one to the task */
    mf_bytes slash, slash_end;                /* the range of all keys of the task but its own */
    mf_bytes behind_owner, behind_properties; /* the first keys behind those */
} mf_task_keys;
mf_task_keys mf__task_keys(mf_etcd *etcd, mf_arena *arena, const char *id);
/* Fills in slash_end. */
void mf__task_keys_end(mf_arena *arena, mf_task_keys *keys);

/* What follows "/<namespace>/<part>" in a key; data NULL: the key does not begin so. */
mf_bytes mf__key_rest(const mf_etcd *etcd, mf_bytes key, const char *part);
/* Cuts at the first '/'; false: there is none, and no tail. */
bool mf__key_split(mf_bytes rest, mf_bytes *head, mf_bytes *tail);
bool mf__bytes_are(mf_bytes bytes, const char *text);
/* Its last part is "_metafora": a marker of the Go library's. */
bool mf__key_is_marker(mf_bytes rest);
/* A task id as text; NULL: it is none. */
const char *mf__key_id(mf_arena *arena, mf_bytes id);
/* Where a listing of the keys below "/<namespace>/<part>" goes on: what follows that in the last
 * key, cut where no key of ours can be so long, or before a zero byte; both are somebody else's. A
 * byte behind it makes the next page begin after those. */
void mf__key_to_cursor(char cursor[MF_CURSOR_SIZE], mf_bytes rest);
/* The first key to be listed. */
mf_bytes mf__key_behind_cursor(mf_etcd *etcd, mf_arena *arena, const char *part,
                               const char *cursor);

/* A new one, for a command to the node. */
mf_bytes mf__command_key(mf_etcd *etcd, mf_arena *arena, const char *node);

/* Its revision is that of the last removal of tasks. */
mf_bytes mf__removals_key(mf_etcd *etcd, mf_arena *arena);

#endif
