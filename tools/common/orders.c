/* Commands to nodes and messages to tasks, from words. */
#include "orders.h"

#include <stdio.h>
#include <string.h>

#include <metafora/driver.h>

#include "when.h"

int order_command(mf_command *out, const char *what, char *const *words, mf_error *error)
{
    const char *verb;
    size_t given = 0;

    while (words[given] != NULL)
        given++;
    for (int i = 0; given > 0 && (verb = mf_command_verb_text((mf_command_verb)i)) != NULL; i++) {
        if (strcmp(words[0], verb) != 0)
            continue;
        *out = (mf_command){.verb = (mf_command_verb)i, .task = words[1]};
        if (given != (i == MF_COMMAND_STOP_TASK ? 2 : 1))
            break;
        return words[1] == NULL ? MF_OK : mf_check_task_id("stop_task: id", words[1], error);
    }
    return mf_error_set(error, MF_EINVAL,
                        "%s: must be followed by freeze, unfreeze, balance, drain, undrain or "
                        "stop_task ID",
                        what);
}

static int read_sleep(mf_message *out, const char *what, const char *time, mf_error *error)
{
    char label[64];
    int64_t until_us;

    snprintf(label, sizeof label, "%s: sleep", what);
    int code = when_parse(&until_us, label, time, error);
    if (code == MF_OK)
        *out = mf_message_sleep_until(until_us);
    return code;
}

int order_message(mf_message *out, const char *what, char *const *words, mf_error *error)
{
    for (int code = MF_MESSAGE_RUN; words[0] != NULL && code <= MF_MESSAGE_RELEASE; code++) {
        if (strcmp(words[0], mf_message_text((mf_message_code)code)) != 0)
            continue;
        bool has_more = code == MF_MESSAGE_SLEEP || code == MF_MESSAGE_ERROR;
        if (has_more != (words[1] != NULL) || (has_more && words[2] != NULL))
            break;
        if (code == MF_MESSAGE_SLEEP)
            return read_sleep(out, what, words[1], error);
        *out = code == MF_MESSAGE_ERROR ? mf_message_error("%s", words[1])
                                        : mf_message_of((mf_message_code)code);
        return MF_OK;
    }
    return mf_error_set(error, MF_EINVAL,
                        "%s: must be followed by run, pause, kill, complete, checkpoint, release, "
                        "sleep TIME or error TEXT",
                        what);
}
