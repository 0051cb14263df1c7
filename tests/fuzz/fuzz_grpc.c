/* Fuzzer: whatever a server sends, calls end once, and nothing is touched that is gone. */
#include <stdlib.h>

#include "fuzz.h"
#include "grpc/http2.h"

enum { CALLS = 3 };

typedef struct probe {
    mf_grpc_call call;
    bool ended, cancel;
} probe;

static void on_over(mf_grpc_call *call)
{
    fuzz_require(!((probe *)call)->ended);
}

static void on_message(mf_grpc_call *call, const uint8_t *bytes, size_t length)
{
    probe *p = (probe *)call;
    uint8_t sum = 0;

    for (size_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + bytes[i]);
    if (p->cancel || sum == 0x55) {
        mf__http2_cancel(call);
        p->ended = true;
    }
}

static void on_finished(mf_grpc_call *call, const mf_grpc_status *status)
{
    probe *p = (probe *)call;

    fuzz_require(!p->ended);
    fuzz_require(status->code >= 0 && status->code < MF_GRPC_CODES);
    p->ended = true;
}

static void start(mf_http2 *http2, probe *p, bool whole)
{
    p->call = (mf_grpc_call){
        .path = "/a/b", .message_limit = 4096, .message = on_message, .finished = on_finished};
    fuzz_require(mf__http2_start(http2, &p->call) == MF_OK);
    uint8_t *message = mf__http2_message(&p->call, 1);
    fuzz_require(message != NULL);
    *message = 'q';
    if (whole)
        mf__http2_end(&p->call);
}

static void transmit(mf_http2 *http2)
{
    const uint8_t *bytes;

    while (mf__http2_transmit(http2, &bytes, 1) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    probe probes[CALLS] = {{.cancel = false}, {.cancel = true}, {.cancel = false}};
    mf_http2 *http2;
    mf_error error;

    if (size == 0)
        return 0;
    size_t piece = data[0] / 2 == 0 ? size : data[0] / 2;
    fuzz_require(mf__http2_new(&http2, "a:1", "http", on_over) == MF_OK);
    for (int i = 0; i < CALLS; i++)
        start(http2, &probes[i], i != 2);
    transmit(http2);
    if (data[0] % 2 == 1)
        fuzz_require(mf__http2_receive(http2, settings, sizeof settings, &error) == MF_OK);
    for (size_t at = 1; at < size; at += piece) {
        size_t left = size - at;
        if (mf__http2_receive(http2, data + at, left < piece ? left : piece, &error) != MF_OK)
            break;
        transmit(http2);
        if (mf__http2_is_over(http2, &error))
            break;
    }
    mf__http2_abort(http2, "end");
    for (int i = 0; i < CALLS; i++)
        fuzz_require(probes[i].ended);
    mf__http2_free(http2);
    return 0;
}
