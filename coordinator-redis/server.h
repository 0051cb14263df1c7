/* What a server says of itself, and whether it will do. */
#ifndef MF_REDIS_SERVER_H
#define MF_REDIS_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include <metafora/error.h>

/* Judges the text that INFO answers. MF_EUNREACHABLE: not now, or another one (it loads its data,
 * or is a replica, which `master` forbids). MF_EREFUSED: it is older than 7.0, or may evict keys.
 */
int mf__server_check(const char *info, bool master, const char *peer, mf_error *error);

/* What INFO says that the server's process is; empty: it does not. */
void mf__server_run_id(const char *info, char *out, size_t size);

/* True when INFO says that the server has replicas, and takes writes also without them. */
bool mf__server_writes_alone(const char *info);

/* True when INFO says that an append-only file is kept. */
bool mf__server_has_aof(const char *info);

/* What an error reply says of the server. */
typedef enum mf_server_state {
    MF_SERVER_FIT,   /* nothing: the error is the request's */
    MF_SERVER_UNFIT, /* of no use for now: the connection should be dropped */
    MF_SERVER_MOVED, /* another node of the cluster serves the namespace */
    MF_SERVER_MOVING /* the namespace's slot is being moved: ask again soon */
} mf_server_state;

/* What an error reply means. Returns the code, writes "what: the server's text" to `error`. Where
 * the state is not fit, the request was not executed. */
int mf__server_error(const char *what, const char *reply, mf_server_state *state, mf_error *error);

#endif
