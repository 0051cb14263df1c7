/* States as values and as JSON. */
#include <metafora/state.h>

#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

#include "state/document.h"

static const char *const names[] = {
    [MF_STATE_RUNNABLE] = "runnable",   [MF_STATE_SLEEPING] = "sleeping",
    [MF_STATE_PAUSED] = "paused",       [MF_STATE_FAULT] = "fault",
    [MF_STATE_COMPLETED] = "completed", [MF_STATE_KILLED] = "killed",
    [MF_STATE_FAILED] = "failed",
};

enum { NAME_COUNT = sizeof names / sizeof *names };

/* What Go's zero time is, for an error without a timestamp: 0001-01-01T00:00:00Z. */
static const int64_t zero_time_seconds = INT64_C(-62135596800);

const char *mf_state_text(mf_state_code code)
{
    return (unsigned)code < NAME_COUNT ? names[code] : "unknown";
}

bool mf_state_is_terminal(mf_state_code code)
{
    return code >= MF_STATE_COMPLETED;
}

void mf_state_clear(mf_state *state)
{
    for (size_t i = 0; i < state->error_count; i++)
        free((char *)state->errors[i].text);
    free(state->errors);
    *state = (mf_state){.code = MF_STATE_RUNNABLE};
}

static int read_code(mf_state *out, const cJSON *root, mf_error *error)
{
    const cJSON *member = mf__document_member(root, "state");

    if (member == NULL)
        return mf_error_set(error, MF_EINVAL, "state: missing");
    if (!cJSON_IsString(member))
        return mf_error_set(error, MF_EINVAL, "state: not a string");
    for (unsigned i = 0; i < NAME_COUNT; i++) {
        if (strcmp(names[i], member->valuestring) == 0) {
            out->code = (mf_state_code)i;
            return MF_OK;
        }
    }
    return mf_error_set(error, MF_EINVAL, "state: '%.64s' is not known", member->valuestring);
}

static int read_error(mf_state_error *out, const cJSON *item, mf_error *error)
{
    const cJSON *text = mf__document_member(item, "error");
    bool has_time;

    if (!cJSON_IsObject(item))
        return mf_error_set(error, MF_EINVAL, "errors: one is not an object");
    if (text != NULL && !cJSON_IsString(text))
        return mf_error_set(error, MF_EINVAL, "errors: error: not a string");
    out->timestamp = (mf_time){.seconds = zero_time_seconds};
    if (mf__document_time(item, "timestamp", &out->timestamp, &has_time, error) != MF_OK)
        return MF_EINVAL;
    out->text = strdup(text != NULL ? text->valuestring : "");
    return out->text != NULL ? MF_OK : mf_error_set(error, MF_ENOMEM, "state: out of memory");
}

static int read_errors(mf_state *out, const cJSON *root, mf_error *error)
{
    const cJSON *member = mf__document_member(root, "errors"), *item;

    if (member == NULL)
        return MF_OK;
    if (!cJSON_IsArray(member))
        return mf_error_set(error, MF_EINVAL, "errors: not an array");
    if (cJSON_GetArraySize(member) == 0)
        return MF_OK;
    out->errors = calloc((size_t)cJSON_GetArraySize(member), sizeof *out->errors);
    if (out->errors == NULL)
        return mf_error_set(error, MF_ENOMEM, "state: out of memory");
    cJSON_ArrayForEach(item, member)
    {
        int code = read_error(&out->errors[out->error_count], item, error);
        if (code != MF_OK)
            return code;
        out->error_count++;
    }
    return MF_OK;
}

static int check(const mf_state *state, mf_error *error)
{
    if ((unsigned)state->code >= NAME_COUNT)
        return mf_error_set(error, MF_EINVAL, "state: %d is not known", state->code);
    if (state->code == MF_STATE_SLEEPING && !state->has_until)
        return mf_error_set(error, MF_EINVAL, "until: missing in a sleeping state");
    if (state->code == MF_STATE_FAULT && state->error_count == 0)
        return mf_error_set(error, MF_EINVAL, "errors: missing in a fault state");
    return MF_OK;
}

int mf_state_parse(mf_state *out, const char *json, size_t length, mf_error *error)
{
    *out = (mf_state){.code = MF_STATE_RUNNABLE};
    mf_error fault = {.code = MF_OK};
    cJSON *root = mf__document_parse("state", json, length, &fault);
    int code = fault.code;

    if (code == MF_OK)
        code = read_code(out, root, &fault);
    if (code == MF_OK)
        code = mf__document_time(root, "until", &out->until, &out->has_until, &fault);
    if (code == MF_OK)
        code = read_errors(out, root, &fault);
    if (code == MF_OK)
        code = check(out, &fault);
    cJSON_Delete(root);
    if (code != MF_OK) {
        mf_state_clear(out);
        mf_error_set(error, code, "%s", fault.text);
    }
    return code;
}

static size_t size_of(const mf_state *state)
{
    size_t size = 128 + MF_TIME_SIZE;

    for (size_t i = 0; i < state->error_count; i++)
        size += 40 + MF_TIME_SIZE + mf__document_string_size(state->errors[i].text);
    return size;
}

static char *put_errors(char *to, const mf_state *state, mf_error *error)
{
    char time[MF_TIME_SIZE];

    to = stpcpy(to, ",\"errors\":[");
    for (size_t i = 0; i < state->error_count; i++) {
        if (mf_time_format(time, &state->errors[i].timestamp, error) != MF_OK)
            return NULL;
        to = stpcpy(stpcpy(stpcpy(to, i > 0 ? ",{\"timestamp\":\"" : "{\"timestamp\":\""), time),
                    "\",\"error\":");
        to = stpcpy(mf__document_put_string(to, state->errors[i].text), "}");
    }
    return stpcpy(to, "]");
}

int mf_state_format(char **out, const mf_state *state, mf_error *error)
{
    char until[MF_TIME_SIZE];
    char *to;

    *out = NULL;
    if (check(state, error) != MF_OK ||
        (state->has_until && mf_time_format(until, &state->until, error) != MF_OK))
        return MF_EINVAL;
    to = *out = malloc(size_of(state));
    if (*out == NULL)
        return mf_error_set(error, MF_ENOMEM, "state: out of memory");
    to = stpcpy(stpcpy(stpcpy(to, "{\"state\":\""), names[state->code]), "\"");
    if (state->has_until)
        to = stpcpy(stpcpy(stpcpy(to, ",\"until\":\""), until), "\"");
    if (state->error_count > 0 && (to = put_errors(to, state, error)) == NULL) {
        free(*out);
        *out = NULL;
        return MF_EINVAL;
    }
    stpcpy(to, "}");
    return MF_OK;
}
