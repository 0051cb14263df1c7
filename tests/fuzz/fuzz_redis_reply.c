/* Redis replies: whatever the bytes, and however they are cut, they are values or refused. */
#include <string.h>

#include "../../coordinator-redis/protocol.h"
#include "fuzz.h"

/* Reads every byte of a value, which must all be there. */
static size_t walk(const mf_value *value, int depth)
{
    size_t sum = 0;

    fuzz_require(depth < 16);
    if (value->type == MF_VALUE_ARRAY)
        for (size_t i = 0; i < value->length; i++)
            sum += walk(&value->items[i], depth + 1);
    else if (value->type == MF_VALUE_STRING || value->type == MF_VALUE_STATUS ||
             value->type == MF_VALUE_ERROR)
        sum += strlen(value->text) + (unsigned char)value->text[value->length];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct evbuffer *input = evbuffer_new();
    mf_reader *reader = mf__reader_new();
    size_t step = size > 0 ? data[0] % 32 + 1 : 1;
    uint64_t number;
    int got = 0;

    for (size_t at = 1; at < size && got >= 0; at += step) {
        mf_value *value;
        evbuffer_add(input, data + at, size - at < step ? size - at : step);
        while ((got = mf__reader_next(reader, input, &value)) == 1) {
            walk(value, 0);
            (void)mf__value_number(value, &number);
        }
    }
    fuzz_require(got == 0 || got == MF_EPROTO);
    mf__reader_free(reader);
    evbuffer_free(input);
    return 0;
}
