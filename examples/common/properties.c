/* The properties of a task that is a command. */
#include "properties.h"

#include <stdbool.h>

#include <cjson/cJSON.h>

char *properties_format(char *const *arguments)
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
