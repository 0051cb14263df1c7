/* The Lua scripts, built in from scripts/ without their comments. Each script's file says which
 * keys and arguments it takes, and what it answers. */
#ifndef MF_REDIS_SCRIPTS_H
#define MF_REDIS_SCRIPTS_H

#include <stdbool.h>
#include <stddef.h>

/* Keys without a variable part. */
typedef enum mf_key {
    MF_KEY_TASKS,
    MF_KEY_READY,
    MF_KEY_REMOVED,
    MF_KEY_SESSIONS,
    MF_KEY_NODES,
    MF_KEY_COUNTS,
    MF_KEY_FENCE,
    MF_KEY_SERVER,
    MF_KEY_LATER,
    MF_KEY_STATE,
    MF_KEY_MESSAGES,
    MF_KEY_MAIL,
    MF_KEY_CRASHES,
    MF_KEY_ASIDE,
    MF_KEY_CONFIRMED,
    MF_KEY_OUTAGE,
    MF_KEY_HOLDS,
    MF_KEY_MOVED,
    MF_KEY_HINTS, /* a channel */
    MF_KEY_COUNT
} mf_key;

/* Beginnings of the others. */
typedef enum mf_prefix {
    MF_PREFIX_OWNER,
    MF_PREFIX_NODE,
    MF_PREFIX_HELD,
    MF_PREFIX_LEFT,
    MF_PREFIX_COMMANDS,
    MF_PREFIX_SUBMITTED,
    MF_PREFIX_CHARGED,
    MF_PREFIX_HINTS, /* channels */
    MF_PREFIX_COUNT
} mf_prefix;

/* One of the keys that a script declares. */
typedef struct mf_key_ref {
    bool is_prefix;
    unsigned char which; /* an mf_key, or an mf_prefix */
} mf_key_ref;

/* What its name is, or begins with, behind the namespace (names.c). */
const char *mf__key_name(mf_key_ref key);

typedef struct mf_script_text {
    const char *text;
    size_t length;
    const char *sha; /* what EVALSHA takes: SHA1 of the text, 40 hexadecimal digits */
} mf_script_text;

/* Every PUBLISH of a script is, for clusters, SPUBLISH: sharded channels stay with the slot. */
typedef struct mf_script {
    mf_script_text plain, sharded;
    const mf_key_ref *keys; /* in their order; owner keys follow them */
    size_t key_count;
} mf_script;

extern const mf_script mf__script_claim;
extern const mf_script mf__script_claimable;
extern const mf_script mf__script_confirm;
extern const mf_script mf__script_copy;
extern const mf_script mf__script_done;
extern const mf_script mf__script_drop;
extern const mf_script mf__script_forget;
extern const mf_script mf__script_free;
extern const mf_script mf__script_hold;
extern const mf_script mf__script_join;
extern const mf_script mf__script_lapsed;
extern const mf_script mf__script_leave;
extern const mf_script mf__script_lookup;
extern const mf_script mf__script_mail;
extern const mf_script mf__script_mark;
extern const mf_script mf__script_nodes;
extern const mf_script mf__script_pardon;
extern const mf_script mf__script_reap;
extern const mf_script mf__script_receive;
extern const mf_script mf__script_release;
extern const mf_script mf__script_remove;
extern const mf_script mf__script_renew;
extern const mf_script mf__script_send;
extern const mf_script mf__script_store;
extern const mf_script mf__script_submit;
extern const mf_script mf__script_tell;

#endif
