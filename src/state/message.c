/* Messages as values and as JSON. */
#include <metafora/state.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

#include "state/document.h"
#include "utf8.h"

static const char *const names[] = {
    [MF_MESSAGE_RUN] = "run",
    [MF_MESSAGE_SLEEP] = "sleep",
    [MF_MESSAGE_PAUSE] = "pause",
    [MF_MESSAGE_KILL] = "kill",
    [MF_MESSAGE_ERROR] = "error",
    [MF_MESSAGE_COMPLETE] = "complete",
    [MF_MESSAGE_CHECKPOINT] = "checkpoint",
    [MF_MESSAGE_RELEASE] = "release",
};

enum { NAME_COUNT = sizeof names / sizeof *names };

const char *mf_message_text(mf_message_code code)
{
    return (unsigned)code < NAME_COUNT ? names[code] : "unknown";
}

mf_message mf_message_of(mf_message_code code)
{
    return (mf_message){.code = code};
}

mf_message mf_message_sleep_until(int64_t wall_us)
{
    return (mf_message){
        .code = MF_MESSAGE_SLEEP, .has_until = true, .until = mf_time_from_wall_us(wall_us)};
}

/* A text that was cut to fit must not end within a character. */
static void end_at_character(char *text)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + strlen(text);

    while (at < end) {
        size_t length = mf__utf8_sequence(at, end);
        if (length == 0 && end - at < 4)
            break;
        at += length != 0 ? length : 1;
    }
    text[at - (const unsigned char *)text] = '\0';
}

mf_message mf_message_error(const char *format, ...)
{
    mf_message message = {.code = MF_MESSAGE_ERROR};
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(message.error, sizeof message.error, format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof message.error)
        end_at_character(message.error);
    return message;
}

static int read_code(mf_message *out, const cJSON *root, mf_error *error)
{
    const cJSON *member = mf__document_member(root, "message");

    if (member == NULL)
        return mf_error_set(error, MF_EINVAL, "message: missing");
    if (!cJSON_IsString(member))
        return mf_error_set(error, MF_EINVAL, "message: not a string");
    for (unsigned i = 0; i < NAME_COUNT; i++) {
        if (strcmp(names[i], member->valuestring) == 0) {
            out->code = (mf_message_code)i;
            return MF_OK;
        }
    }
    return mf_error_set(error, MF_EINVAL, "message: '%.64s' is not known", member->valuestring);
}

/* Go writes the error of a message as an empty object: its text is lost. */
static int read_error(mf_message *out, const cJSON *root, mf_error *error)
{
    const cJSON *member = mf__document_member(root, "error");

    if (member == NULL)
        return out->code != MF_MESSAGE_ERROR ? MF_OK
                                             : mf_error_set(error, MF_EINVAL, "error: missing");
    if (!cJSON_IsObject(member) && !cJSON_IsString(member))
        return mf_error_set(error, MF_EINVAL, "error: neither an object nor a string");
    const cJSON *text = cJSON_IsString(member) ? member : mf__document_member(member, "text");
    if (text != NULL && !cJSON_IsString(text))
        return mf_error_set(error, MF_EINVAL, "error.text: not a string");
    if (text != NULL && out->code == MF_MESSAGE_ERROR)
        *out = mf_message_error("%s", text->valuestring);
    return MF_OK;
}

static int check_until(const mf_message *message, mf_error *error)
{
    if (message->code == MF_MESSAGE_SLEEP && !message->has_until)
        return mf_error_set(error, MF_EINVAL, "until: missing in a sleep message");
    return MF_OK;
}

int mf_message_parse(mf_message *out, const char *json, size_t length, mf_error *error)
{
    mf_error fault = {.code = MF_OK};
    mf_time until = {0};
    bool has_until = false;

    *out = (mf_message){.code = MF_MESSAGE_RUN};
    cJSON *root = mf__document_parse("message", json, length, &fault);
    int code = fault.code;
    if (code == MF_OK)
        code = read_code(out, root, &fault);
    if (code == MF_OK)
        code = read_error(out, root, &fault);
    if (code == MF_OK)
        code = mf__document_time(root, "until", &until, &has_until, &fault);
    out->has_until = has_until;
    out->until = until;
    if (code == MF_OK)
        code = check_until(out, &fault);
    cJSON_Delete(root);
    return code == MF_OK ? MF_OK : mf_error_set(error, code, "%s", fault.text);
}

int mf_message_format(char **out, const mf_message *message, mf_error *error)
{
    char until[MF_TIME_SIZE];
    char *to;

    *out = NULL;
    if ((unsigned)message->code >= NAME_COUNT)
        return mf_error_set(error, MF_EINVAL, "message: %d is not known", message->code);
    if (check_until(message, error) != MF_OK ||
        (message->has_until && mf_time_format(until, &message->until, error) != MF_OK))
        return MF_EINVAL;
    to = *out = malloc(128 + MF_TIME_SIZE + mf__document_string_size(message->error));
    if (*out == NULL)
        return mf_error_set(error, MF_ENOMEM, "message: out of memory");
    to = stpcpy(stpcpy(stpcpy(to, "{\"message\":\""), names[message->code]), "\"");
    if (message->has_until)
        to = stpcpy(stpcpy(stpcpy(to, ",\"until\":\""), until), "\"");
    if (message->code == MF_MESSAGE_ERROR && message->error[0] == '\0')
        to = stpcpy(to, ",\"error\":{}");
    else if (message->code == MF_MESSAGE_ERROR)
        to = stpcpy(mf__document_put_string(stpcpy(to, ",\"error\":{\"text\":"), message->error),
                    "}");
    stpcpy(to, "}");
    return MF_OK;
}
