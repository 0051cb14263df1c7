/* The Lua scripts, built in from scripts/ without their comments. Each script's file says which
 * keys and arguments it takes, and what it answers. */
#ifndef MF_REDIS_SCRIPTS_H
#define MF_REDIS_SCRIPTS_H

#include <stddef.h>

typedef struct mf_script_text {
    const char *text;
    size_t length;
    const char *sha; /* what EVALSHA takes: SHA1 of the text, 40 hexadecimal digits */
} mf_script_text;

/* Every PUBLISH of a script is, for clusters, SPUBLISH: sharded channels stay with the slot. */
typedef struct mf_script {
    mf_script_text plain, sharded;
} mf_script;

extern const mf_script mf__script_claim;
extern const mf_script mf__script_claimable;
extern const mf_script mf__script_confirm;
extern const mf_script mf__script_done;
extern const mf_script mf__script_forget;
extern const mf_script mf__script_join;
extern const mf_script mf__script_lapsed;
extern const mf_script mf__script_leave;
extern const mf_script mf__script_lookup;
extern const mf_script mf__script_mail;
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
