/* A task's properties and the arguments in them. */
#include "command.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

static int fail(char *why, size_t why_size, const char *text)
{
    snprintf(why, why_size, "%s", text);
    return -1;
}

static int copy_arguments(char ***out, const cJSON *array, char *why, size_t why_size)
{
    size_t used = 0;
    const cJSON *item;
    char **arguments = calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof *arguments);

    if (arguments == NULL)
        return fail(why, why_size, "out of memory");
    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsString(item)) {
            command_free(arguments);
            snprintf(why, why_size, "properties.args[%zu]: must be a string", used);
            return -1;
        }
        arguments[used] = strdup(item->valuestring);
        if (arguments[used++] == NULL) {
            command_free(arguments);
            return fail(why, why_size, "out of memory");
        }
    }
    *out = arguments;
    return 0;
}

int command_parse(char ***out, const char *properties, char *why, size_t why_size)
{
    cJSON *document = properties != NULL ? cJSON_Parse(properties) : NULL;
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(document, "args");
    int code;

    if (properties == NULL)
        code = fail(why, why_size, "properties: missing, must be {\"args\":[...]}");
    else if (!cJSON_IsObject(document))
        code = fail(why, why_size, "properties: must be a JSON object");
    else if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) == 0)
        code = fail(why, why_size, "properties.args: must be an array of at least one string");
    else
        code = copy_arguments(out, array, why, why_size);
    if (code == 0 && (*out)[0][0] == '\0') {
        command_free(*out);
        code = fail(why, why_size, "properties.args[0]: must not be empty");
    }
    cJSON_Delete(document);
    return code;
}

void command_free(char **arguments)
{
    for (char **at = arguments; at != NULL && *at != NULL; at++)
        free(*at);
    free(arguments);
}

char *command_format(char *const *arguments)
{
    cJSON *document = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(document, "args");
    char *text = NULL;
    bool complete = array != NULL;

    for (; complete && *arguments != NULL; arguments++) {
        cJSON *item = cJSON_CreateString(*arguments);
        complete = item != NULL && cJSON_AddItemToArray(array, item);
    }
    if (complete)
        text = cJSON_PrintUnformatted(document);
    cJSON_Delete(document);
    return text;
}
