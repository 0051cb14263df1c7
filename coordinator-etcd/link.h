/* A channel to an etcd that is fit for use: authenticated, and its member answers what takes a
 * majority; and single calls on it.
 *
 * A driver's handle has two: for calls, and for streams. */
#ifndef MF_ETCD_LINK_H
#define MF_ETCD_LINK_H

#include "grpc/channel.h"
#include "message.h"

typedef struct mf_etcd_link mf_etcd_link;
typedef struct mf_rpc mf_rpc;

/* What a server is asked to be. Borrowed by the link. */
typedef struct mf_etcd_settings {
    mf_grpc_options grpc;
    const char *user, *password; /* user NULL: none */
    const char *health_key;      /* that is read to see whether a member is fit */
    int connect_timeout_ms, reply_timeout_ms;
    bool wait_for_broker;
} mf_etcd_settings;

/* None is called from inside a function of the link. */
typedef struct mf_etcd_link_events {
    void (*ready)(mf_etcd_link *link, void *arg);
    /* An attempt failed, or the link is lost; what was under way has been called back already.
     * Another attempt follows. */
    void (*down)(mf_etcd_link *link, const mf_error *why, void *arg);
} mf_etcd_link_events;

/* As mf__grpc_open. */
int mf__etcd_link_open(mf_etcd_link **out, mf_loop *loop, const mf_etcd_settings *settings,
                       const mf_etcd_link_events *events, void *arg, mf_error *error);

/* Safe from inside a callback but for a message's. Calls under way are called back first, from
 * inside. */
void mf__etcd_link_close(mf_etcd_link *link);

bool mf__etcd_link_is_ready(const mf_etcd_link *link);

/* Drops the connection; `down` follows, later. */
void mf__etcd_link_fail(mf_etcd_link *link, const mf_error *why);

const char *mf__etcd_link_peer(const mf_etcd_link *link);

/* A method, and what it answers with. */
typedef struct mf_method {
    const char *path;
    const ProtobufCMessageDescriptor *answer;
} mf_method;

extern const mf_method mf__method_range, mf__method_txn, mf__method_grant, mf__method_revoke,
    mf__method_keep_alive, mf__method_time_to_live, mf__method_authenticate, mf__method_status;

/* A call with one request and one answer. Embedded in an object of its user's, all zero. */
struct mf_rpc {
    mf_grpc_call call; /* first */
    /* Called once, when the call is over, never from inside start. error->code is MF_OK and
     * `answer` is there, in the arena; or it is why not: MF_EUNREACHABLE (not carried out),
     * MF_EUNKNOWN (it may have been), or what the server said, with its own code in `grpc`. */
    void (*done)(mf_rpc *rpc, const mf_error *error);
    const ProtobufCMessage *answer;
    int grpc;        /* the status' code, for those who can tell more from it */
    int64_t sent_us; /* steady time at or before which the request left */

    mf_etcd_link *link;
    const mf_method *method;
    const ProtobufCMessage *request;
    mf_arena *arena;
    mf_error error;
    bool authenticated_again, waiting;
    mf_rpc *next, *previous; /* while it waits */
};

/* `request` and `arena` must stay until `done`. While the link is not ready the call waits, if this
 * is the first attempt to connect or the link waits for its broker; else it fails. */
void mf__rpc_start(mf_rpc *rpc, mf_etcd_link *link, const mf_method *method,
                   const ProtobufCMessage *request, mf_arena *arena);

/* Starts a stream on a link that is ready: fills in path and metadata. As mf__grpc_start. */
int mf__etcd_link_stream(mf_etcd_link *link, mf_grpc_call *call, const char *path);

/* Adds a message to a call. MF_ENOMEM. */
int mf__etcd_link_message(mf_grpc_call *call, const ProtobufCMessage *message);

/* The stream ended with this status: what it means for the link, written to `error`. */
void mf__etcd_link_stream_ended(mf_etcd_link *link, const mf_grpc_status *status, mf_error *error);

#endif
