/* gRPC status codes, and what stands for one when a server sends none. */
#ifndef MF_GRPC_STATUS_H
#define MF_GRPC_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MF_GRPC_OK,
    MF_GRPC_CANCELLED,
    MF_GRPC_UNKNOWN,
    MF_GRPC_INVALID_ARGUMENT,
    MF_GRPC_DEADLINE_EXCEEDED,
    MF_GRPC_NOT_FOUND,
    MF_GRPC_ALREADY_EXISTS,
    MF_GRPC_PERMISSION_DENIED,
    MF_GRPC_RESOURCE_EXHAUSTED,
    MF_GRPC_FAILED_PRECONDITION,
    MF_GRPC_ABORTED,
    MF_GRPC_OUT_OF_RANGE,
    MF_GRPC_UNIMPLEMENTED,
    MF_GRPC_INTERNAL,
    MF_GRPC_UNAVAILABLE,
    MF_GRPC_DATA_LOSS,
    MF_GRPC_UNAUTHENTICATED,
    MF_GRPC_CODES
};

/* How a call ended. */
typedef struct mf_grpc_status {
    int code;
    bool untouched; /* the server has certainly not begun to carry the call out */
    char message[200];
} mf_grpc_status;

void mf__grpc_status_set(mf_grpc_status *status, int code, const char *message);

/* "UNAVAILABLE"; "code 42" has no name and is "UNKNOWN". */
const char *mf__grpc_code_name(int code);

/* The code of a response without grpc-status that has this HTTP status. */
int mf__grpc_code_of_http(int http_status);

/* The code of a stream that was reset with this HTTP/2 error code. */
int mf__grpc_code_of_reset(uint32_t error_code);

/* Reads a grpc-status. False: it is not a number from 0 to 16. */
bool mf__grpc_parse_code(int *out, const uint8_t *text, size_t length);

/* Decodes a percent-encoded grpc-message into a text of printable bytes, cut to fit. */
void mf__grpc_decode_message(char *out, size_t size, const uint8_t *text, size_t length);

/* A grpc-timeout, at most eight digits and a unit; one that has passed is the shortest. */
#define MF_GRPC_TIMEOUT_SIZE 12
void mf__grpc_format_timeout(char out[MF_GRPC_TIMEOUT_SIZE], int64_t timeout_us);

#endif
