/* Messages: what is read can be written, and reads the same again. */
#include <string.h>

#include <metafora/state.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mf_message message, again;
    mf_error error = {0};
    char *text = NULL, *same = NULL;

    if (mf_message_parse(&message, (const char *)data, size, &error) != MF_OK) {
        fuzz_require(error.code == MF_EINVAL && error.text[0]);
        return 0;
    }
    if (mf_message_format(&text, &message, &error) == MF_OK) {
        fuzz_require(mf_message_parse(&again, text, strlen(text), &error) == MF_OK);
        fuzz_require(mf_message_format(&same, &again, &error) == MF_OK);
        fuzz_require(strcmp(text, same) == 0);
    }
    free(text);
    free(same);
    return 0;
}
