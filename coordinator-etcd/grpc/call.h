/* One gRPC call: unary, or with a stream of messages in either or both directions.
 *
 * Embedded in an object of its user's, who sets the upper part, starts it on a channel, adds
 * messages and ends the sending side. It is over when `finished` has been called, or when it was
 * cancelled; then it may be started again, or its memory be freed, also from inside that call. */
#ifndef MF_GRPC_CALL_H
#define MF_GRPC_CALL_H

#include <metafora/loop.h>

#include "grpc/deframer.h"
#include "grpc/status.h"

typedef struct mf_grpc_call mf_grpc_call;
typedef struct mf_http2 mf_http2;

typedef struct mf_grpc_header {
    const char *name, *value; /* value NULL: left out */
} mf_grpc_header;

struct mf_grpc_call {
    const char *path;               /* "/package.Service/Method" */
    const mf_grpc_header *metadata; /* borrowed while it is started */
    size_t metadata_count;
    size_t message_limit; /* bytes of one message received; 0: 16 MiB */
    int64_t timeout_us;   /* from the start; 0: none */
    /* A message came. The bytes are borrowed. May cancel the call, not close the channel. */
    void (*message)(mf_grpc_call *call, const uint8_t *bytes, size_t length);
    /* The call is over, for whatever reason, once. Borrowed. Not from inside a function of the
     * call; never after cancel. */
    void (*finished)(mf_grpc_call *call, const mf_grpc_status *status);

    /* To be read: when the first bytes of a message were about to leave; 0: none has. A call that
     * has not sent anything has certainly not been carried out. */
    int64_t sent_us;

    /* The protocol's. */
    mf_http2 *http2; /* NULL: not under way */
    mf_grpc_call *next, *previous;
    int32_t stream;
    struct mf_grpc_chunk *out, **out_last; /* messages to be sent, with their heads */
    bool out_ended;                        /* nothing follows them */
    bool out_waiting;                      /* for more to send */
    mf_deframer in;
    int http_status;
    bool grpc_content, has_code;
    mf_grpc_status status;
    void *channel;
    mf_timer timer; /* the channel's */
    int64_t started_us;
    bool looked_again;
};

#endif
