/* Commands to a node as JSON, readable by the Go library and its commands by us. */
#include <metafora/command.h>

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <metafora/driver.h>

#include "json.h"

enum { COMMAND_MAX_BYTES = 65536 };

static const char *const verbs[] = {
    [MF_COMMAND_FREEZE] = "freeze",   [MF_COMMAND_UNFREEZE] = "unfreeze",
    [MF_COMMAND_BALANCE] = "balance", [MF_COMMAND_STOP_TASK] = "stop_task",
    [MF_COMMAND_DRAIN] = "drain",     [MF_COMMAND_UNDRAIN] = "undrain",
};

enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

const char *mf_command_verb_text(mf_command_verb verb)
{
    return (unsigned)verb < VERB_COUNT ? verbs[verb] : NULL;
}

static int check(const mf_command *command, mf_error *error)
{
    if ((unsigned)command->verb >= VERB_COUNT)
        return mf_error_set(error, MF_EINVAL, "command: verb: %d is not known", command->verb);
    if (command->verb == MF_COMMAND_STOP_TASK)
        return mf_check_task_id("parameters.task", command->task, error);
    if (command->task != NULL)
        return mf_error_set(error, MF_EINVAL, "parameters.task: only for stop_task");
    return MF_OK;
}

/* Copies text that has no control bytes; returns the end. */
static char *put_escaped(char *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            *to++ = '\\';
        *to++ = *text;
    }
    return to;
}

int mf_command_format(char **out, const mf_command *command, mf_error *error)
{
    static const char head[] = "{\"command\":\"";
    static const char middle[] = ",\"parameters\":{\"task\":\"";
    char *to;

    *out = NULL;
    if (check(command, error) != MF_OK)
        return MF_EINVAL;
    size_t task_size = command->task != NULL ? 2 * strlen(command->task) : 0;
    to = *out = malloc(sizeof head + sizeof middle + 32 + task_size);
    if (*out == NULL)
        return mf_error_set(error, MF_ENOMEM, "command: %s", mf_strerror(MF_ENOMEM));
    to = stpcpy(stpcpy(stpcpy(to, head), verbs[command->verb]), "\"");
    if (command->task != NULL)
        to = stpcpy(put_escaped(stpcpy(to, middle), command->task), "\"}");
    stpcpy(to, "}");
    return MF_OK;
}

static int read_verb(mf_command *out, const cJSON *root, mf_error *error)
{
    const cJSON *verb = cJSON_GetObjectItemCaseSensitive(root, "command");

    if (verb == NULL)
        return mf_error_set(error, MF_EINVAL, "command: missing");
    if (!cJSON_IsString(verb))
        return mf_error_set(error, MF_EINVAL, "command: not a string");
    for (unsigned i = 0; i < VERB_COUNT; i++) {
        if (strcmp(verbs[i], verb->valuestring) == 0) {
            out->verb = (mf_command_verb)i;
            return MF_OK;
        }
    }
    return mf_error_set(error, MF_EINVAL, "command: '%.64s' is not known", verb->valuestring);
}

static int read_task(mf_command *out, const cJSON *root, mf_error *error)
{
    const cJSON *parameters = cJSON_GetObjectItemCaseSensitive(root, "parameters");

    if (parameters != NULL && !cJSON_IsNull(parameters) && !cJSON_IsObject(parameters))
        return mf_error_set(error, MF_EINVAL, "parameters: not an object");
    if (out->verb != MF_COMMAND_STOP_TASK)
        return MF_OK;
    const cJSON *task = cJSON_GetObjectItemCaseSensitive(parameters, "task");
    if (task != NULL && !cJSON_IsString(task))
        return mf_error_set(error, MF_EINVAL, "parameters.task: not a string");
    const char *id = task != NULL ? task->valuestring : NULL;
    if (mf_check_task_id("parameters.task", id, error) != MF_OK)
        return MF_EINVAL;
    out->task = strdup(id);
    if (out->task == NULL)
        return mf_error_set(error, MF_ENOMEM, "command: %s", mf_strerror(MF_ENOMEM));
    return MF_OK;
}

/* cJSON accepts more than JSON and cuts strings at \u0000, so the text is checked before. */
static int check_text(const char *json, size_t length, mf_error *error)
{
    size_t where;

    if (length > COMMAND_MAX_BYTES)
        return mf_error_set(error, MF_EINVAL, "command: longer than %d bytes", COMMAND_MAX_BYTES);
    const char *fault = mf__json_check(json, length, MF_JSON_C_STRINGS, &where);
    if (fault != NULL)
        return mf_error_set(error, MF_EINVAL, "command: not JSON: %s at byte %zu", fault, where);
    return MF_OK;
}

int mf_command_parse(mf_command *out, const char *json, size_t length, mf_error *error)
{
    cJSON *root;
    int code;

    memset(out, 0, sizeof *out);
    code = check_text(json, length, error);
    if (code != MF_OK)
        return code;
    root = cJSON_ParseWithLength(json, length);
    if (root == NULL)
        code = mf_error_set(error, MF_ENOMEM, "command: %s", mf_strerror(MF_ENOMEM));
    else if (!cJSON_IsObject(root))
        code = mf_error_set(error, MF_EINVAL, "command: not an object");
    if (code == MF_OK)
        code = read_verb(out, root, error);
    if (code == MF_OK)
        code = read_task(out, root, error);
    cJSON_Delete(root);
    if (code != MF_OK)
        mf_command_clear(out);
    return code;
}

void mf_command_clear(mf_command *command)
{
    free((char *)command->task);
    memset(command, 0, sizeof *command);
}
