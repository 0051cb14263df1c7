/* gRPC on one HTTP/2 connection: bytes in, bytes out, no I/O, no clock. */
#ifndef MF_GRPC_HTTP2_H
#define MF_GRPC_HTTP2_H

#include <metafora/error.h>

#include "grpc/call.h"

/* `authority` is "host:port", `scheme` "http" or "https"; both are borrowed. `over` is told of each
 * call that is no longer under way, before `finished`. The bytes that open the connection are ready
 * to be sent. MF_ENOMEM. */
int mf__http2_new(mf_http2 **out, const char *authority, const char *scheme,
                  void (*over)(mf_grpc_call *call));

/* All calls must be over, see abort. Safe from inside a callback. */
void mf__http2_free(mf_http2 *http2);

/* Takes bytes from the peer; calls back what they bring. MF_EPROTO: the connection is broken, as it
 * may be, too, when is_over says so after the next transmit. */
int mf__http2_receive(mf_http2 *http2, const uint8_t *bytes, size_t length, mf_error *error);

/* Sets *bytes to what is to be sent next, borrowed until the next call of any function here, and
 * returns how much; 0: nothing now. `now_us` becomes sent_us of the calls in it. */
size_t mf__http2_transmit(mf_http2 *http2, const uint8_t **bytes, int64_t now_us);

/* Starts a call. MF_ENOMEM, or MF_EUNREACHABLE when the peer takes no more calls. */
int mf__http2_start(mf_http2 *http2, mf_grpc_call *call);

/* Adds a message to be sent and returns where its `length` bytes are to be written, at once.
 * NULL: no memory. */
uint8_t *mf__http2_message(mf_grpc_call *call, size_t length);

/* No more messages. */
void mf__http2_end(mf_grpc_call *call);

/* Ends the call without calling `finished`. */
void mf__http2_cancel(mf_grpc_call *call);

/* Ends the call with this status, calling `finished`. */
void mf__http2_finish(mf_grpc_call *call, int code, const char *message);

/* Ends all calls as UNAVAILABLE, because the connection is no more. New ones are refused. */
void mf__http2_abort(mf_http2 *http2, const char *why);

/* Asks the peer for a sign of life. MF_ENOMEM. */
int mf__http2_ping(mf_http2 *http2);

bool mf__http2_has_calls(const mf_http2 *http2);

/* The peer said that it takes no more calls, and why: a borrowed text; NULL: it takes calls. */
const char *mf__http2_goodbye(const mf_http2 *http2);

/* Nothing more can come of this connection: `why` is MF_EPROTO when the peer broke the protocol, or
 * MF_EUNREACHABLE when it has said goodbye and the last call is over. */
bool mf__http2_is_over(const mf_http2 *http2, mf_error *why);

#endif
