/* gRPC status codes, and what stands for one when a server sends none. */
#include "grpc/status.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

static const char *const names[MF_GRPC_CODES] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

void mf__grpc_status_set(mf_grpc_status *status, int code, const char *message)
{
    status->code = code;
    snprintf(status->message, sizeof status->message, "%s", message);
}

const char *mf__grpc_code_name(int code)
{
    return names[code >= 0 && code < MF_GRPC_CODES ? code : MF_GRPC_UNKNOWN];
}

int mf__grpc_code_of_http(int http_status)
{
    switch (http_status) {
    case 400:
        return MF_GRPC_INTERNAL;
    case 401:
        return MF_GRPC_UNAUTHENTICATED;
    case 403:
        return MF_GRPC_PERMISSION_DENIED;
    case 404:
        return MF_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return MF_GRPC_UNAVAILABLE;
    default:
        return MF_GRPC_UNKNOWN;
    }
}

int mf__grpc_code_of_reset(uint32_t error_code)
{
    switch (error_code) {
    case NGHTTP2_REFUSED_STREAM:
        return MF_GRPC_UNAVAILABLE;
    case NGHTTP2_CANCEL:
        return MF_GRPC_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return MF_GRPC_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return MF_GRPC_PERMISSION_DENIED;
    default:
        return MF_GRPC_INTERNAL;
    }
}

bool mf__grpc_parse_code(int *out, const uint8_t *text, size_t length)
{
    int code = 0;

    if (length < 1 || length > 2)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        code = code * 10 + (text[i] - '0');
    }
    *out = code;
    return code < MF_GRPC_CODES;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void mf__grpc_decode_message(char *out, size_t size, const uint8_t *text, size_t length)
{
    size_t filled = 0;

    for (size_t i = 0; i < length && filled + 1 < size; i++) {
        int byte = text[i];
        if (byte == '%' && length - i > 2 && hex_digit(text[i + 1]) >= 0 &&
            hex_digit(text[i + 2]) >= 0) {
            byte = hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]);
            i += 2;
        }
        out[filled++] = byte >= ' ' && byte != 0x7f ? (char)byte : '?';
    }
    out[filled] = '\0';
}

void mf__grpc_format_timeout(char out[MF_GRPC_TIMEOUT_SIZE], int64_t timeout_us)
{
    static const char units[] = "umS";
    const char *unit = units;
    int64_t value = timeout_us > 0 ? timeout_us : 1;

    for (; value > 99999999 && unit[1] != '\0'; unit++)
        value /= 1000;
    snprintf(out, MF_GRPC_TIMEOUT_SIZE, "%d%c", (int)(value > 99999999 ? 99999999 : value), *unit);
}
