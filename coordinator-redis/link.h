/* One connection to a Redis server: its handshake, and that it lives.
 *
 * A driver's handle has two, one for requests and one that is subscribed to hints. */
#ifndef MF_REDIS_LINK_H
#define MF_REDIS_LINK_H

#include <stdbool.h>

#include <metafora/loop.h>

#include "net/connection.h"
#include "protocol.h"

typedef struct mf_link mf_link;

/* What a server is asked to be. Borrowed by the link. */
typedef struct mf_link_settings {
    mf_connection_options connection; /* without endpoints: wait for mf__link_direct */
    bool cluster; /* the endpoints are nodes of one: go to the one that serves the namespace */
    const char *user, *password; /* NULL: none */
    int database;
    const char *client_name; /* without spaces */
    const char *tasks_key;   /* a key of the namespace, to see that this server serves it */
    int reply_timeout_ms;
    bool warned;       /* that the server does not keep its data */
    bool warned_alone; /* that it takes writes without its replicas */
} mf_link_settings;

/* None is called from inside a function of the link. */
typedef struct mf_link_events {
    /* Connected, and the server is fit for use. */
    void (*ready)(mf_link *link, void *arg);
    /* A reply, or something pushed; the value is borrowed for the call. Returns true for a reply
     * that was owed. */
    bool (*reply)(mf_link *link, const mf_value *value, void *arg);
    /* An attempt has failed, or the link is lost. Another attempt will follow. */
    void (*down)(mf_link *link, const mf_error *why, void *arg);
} mf_link_events;

/* What mf__connection_open returns. */
int mf__link_open(mf_link **out, mf_loop *loop, mf_link_settings *settings,
                  const mf_link_events *events, void *arg, mf_error *error);

/* Safe from inside a callback of the same link; no callback afterwards. */
void mf__link_close(mf_link *link);

bool mf__link_is_ready(const mf_link *link);

/* Sends a request for which `replies` are owed. Only on a link that is ready. MF_ENOMEM. */
int mf__link_send(mf_link *link, const mf_parts *head, const mf_parts *parts, int replies);

/* Drops the connection; `down` follows, later. */
void mf__link_fail(mf_link *link, const mf_error *why);

/* Another node of the cluster serves the namespace, as the reply "MOVED <slot> <host>:<port>" says:
 * drops the connection and goes there. Without a cluster it is dropped, as by mf__link_fail. */
void mf__link_moved(mf_link *link, const char *reply, const mf_error *why);

/* Goes to this server at once, and leaves the one where it is or is trying to be, unless it is the
 * same. `why` is for `down`. MF_ENOMEM, MF_EINVAL: nothing happens. */
int mf__link_direct(mf_link *link, const mf_endpoint *server, const mf_error *why);

const char *mf__link_peer(const mf_link *link);

/* Both are connected to the same process, by whatever names. */
bool mf__link_same_server(const mf_link *a, const mf_link *b);

#endif
