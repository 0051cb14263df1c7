/* The JSON documents under owner and node keys. */
#include "document.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static double number_of(const cJSON *object, const char *name, double least, double absent)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsNumber(item) && item->valuedouble >= least && item->valuedouble < 1e15
               ? item->valuedouble
               : absent;
}

static int read_object(mf_etcd_document *out, const cJSON *object, mf_arena *arena)
{
    const char *node = text_of(object, "node");
    const char *token = text_of(object, "token");

    if (node == NULL || mf_check_name("node", node, NULL) != MF_OK)
        return MF_EDAMAGED;
    *out = (mf_etcd_document){.node = strcpy(mf__arena_take(arena, strlen(node) + 1), node),
                              .epoch = (uint64_t)number_of(object, "epoch", 0, 0),
                              .weight = number_of(object, "weight", -1e15, 1)};
    if (token != NULL)
        snprintf(out->token, sizeof out->token, "%s", token);
    return MF_OK;
}

int mf__etcd_document_read(mf_etcd_document *out, mf_bytes json, mf_arena *arena)
{
    cJSON *object = cJSON_ParseWithLength((const char *)json.data, json.len);
    int code = cJSON_IsObject(object) ? read_object(out, object, arena) : MF_EDAMAGED;

    cJSON_Delete(object);
    return code;
}

static char *print(cJSON *object, bool good)
{
    char *text = good ? cJSON_PrintUnformatted(object) : NULL;

    cJSON_Delete(object);
    return text;
}

static bool add_names(cJSON *object, const mf_session *session)
{
    return cJSON_AddStringToObject(object, "node", session->node) != NULL &&
           cJSON_AddStringToObject(object, "token", session->token) != NULL;
}

char *mf__etcd_document_of_owner(const mf_session *session)
{
    cJSON *object = cJSON_CreateObject();

    return print(object, add_names(object, session));
}

char *mf__etcd_document_of_node(const mf_session *session)
{
    cJSON *object = cJSON_CreateObject();
    bool good = add_names(object, session) &&
                cJSON_AddNumberToObject(object, "epoch", (double)session->epoch) != NULL &&
                cJSON_AddNumberToObject(object, "weight", session->weight) != NULL;

    return print(object, good);
}
