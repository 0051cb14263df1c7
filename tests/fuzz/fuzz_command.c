/* Commands: what is read can be written, and reads the same again. */
#include <string.h>

#include <metafora/command.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mf_command command, again;
    mf_error error = {0};
    char *text = NULL;

    if (mf_command_parse(&command, (const char *)data, size, &error) != MF_OK) {
        fuzz_require(error.code == MF_EINVAL && error.text[0]);
        return 0;
    }
    fuzz_require(mf_command_format(&text, &command, &error) == MF_OK);
    fuzz_require(mf_command_parse(&again, text, strlen(text), &error) == MF_OK);
    fuzz_require(again.verb == command.verb);
    fuzz_require(!command.task == !again.task);
    fuzz_require(!command.task || strcmp(command.task, again.task) == 0);
    free(text);
    mf_command_clear(&command);
    mf_command_clear(&again);
    return 0;
}
