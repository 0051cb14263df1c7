/* A task's command: the arguments in its properties. */
#include "process/arguments.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <metafora/driver.h>

static int copy_arguments(char ***out, const cJSON *array, mf_error *error)
{
    size_t used = 0;
    const cJSON *item;
    char **arguments = calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof *arguments);
    int code = arguments != NULL ? MF_OK : mf_error_set(error, MF_ENOMEM, "out of memory");

    cJSON_ArrayForEach(item, array)
    {
        if (code == MF_OK && !cJSON_IsString(item))
            code = mf_error_set(error, MF_EINVAL, "properties.args[%zu]: must be a string", used);
        if (code != MF_OK)
            break;
        arguments[used] = strdup(item->valuestring);
        if (arguments[used++] == NULL)
            code = mf_error_set(error, MF_ENOMEM, "out of memory");
    }
    if (code == MF_OK && arguments[0][0] == '\0')
        code = mf_error_set(error, MF_EINVAL, "properties.args[0]: must not be empty");
    if (code == MF_OK)
        *out = arguments;
    else
        mf__arguments_free(arguments);
    return code;
}

/* cJSON cuts strings at \u0000, and a command that is cut is another command. */
static int read_document(cJSON **out, const char *properties, mf_error *error)
{
    *out = NULL;
    if (properties == NULL)
        return mf_error_set(error, MF_EINVAL, "properties: missing, must be {\"args\":[...]}");
    if (mf_check_document("properties", properties, error) != MF_OK)
        return MF_EINVAL;
    *out = cJSON_Parse(properties);
    return *out != NULL ? MF_OK : mf_error_set(error, MF_ENOMEM, "out of memory");
}

static int read_arguments(char ***out, const cJSON *document, mf_error *error)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(document, "args");

    if (!cJSON_IsObject(document))
        return mf_error_set(error, MF_EINVAL, "properties: must be a JSON object");
    if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) == 0)
        return mf_error_set(error, MF_EINVAL,
                            "properties.args: must be an array of at least one string");
    return copy_arguments(out, array, error);
}

int mf__arguments_parse(char ***out, const char *properties, mf_error *error)
{
    cJSON *document;
    int code = read_document(&document, properties, error);

    if (code == MF_OK)
        code = read_arguments(out, document, error);
    cJSON_Delete(document);
    return code;
}

void mf__arguments_free(char **arguments)
{
    for (char **at = arguments; at != NULL && *at != NULL; at++)
        free(*at);
    free(arguments);
}
