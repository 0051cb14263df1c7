/* States: what is read can be written, and reads the same again. */
#include <string.h>

#include <metafora/state.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mf_state state, again;
    mf_error error = {0};
    char *text = NULL, *same = NULL;

    if (mf_state_parse(&state, (const char *)data, size, &error) != MF_OK) {
        fuzz_require(error.code == MF_EINVAL && error.text[0]);
        return 0;
    }
    /* A time whose year is 0 or 9999 can have an offset that leads out of what can be written. */
    if (mf_state_format(&text, &state, &error) == MF_OK) {
        fuzz_require(mf_state_parse(&again, text, strlen(text), &error) == MF_OK);
        fuzz_require(mf_state_format(&same, &again, &error) == MF_OK);
        fuzz_require(strcmp(text, same) == 0);
        mf_state_clear(&again);
    }
    free(text);
    free(same);
    mf_state_clear(&state);
    return 0;
}
