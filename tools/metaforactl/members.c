/* The members of a JSON object. */
#include "members.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <metafora/driver.h>

static char *skip_blanks(char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Behind the string that begins at `at`; NULL: it does not end. */
static char *behind_string(char *at)
{
    for (at++; *at != '\0' && *at != '"'; at++)
        if (*at == '\\' && *++at == '\0')
            return NULL;
    return *at == '"' ? at + 1 : NULL;
}

/* Behind the value: at the comma or bracket that ends it. */
static char *behind_value(char *at)
{
    int depth = 0;

    while (*at != '\0') {
        if (depth == 0 && (*at == ',' || *at == '}'))
            return at;
        if (*at == '"') {
            at = behind_string(at);
            if (at == NULL)
                return NULL;
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']')
            depth--;
        at++;
    }
    return NULL;
}

static int complain(mf_error *error)
{
    return mf_error_set(error, MF_EINVAL, "is not a JSON object");
}

/* At the name of the next member; NULL at the end, which *code tells from an error. */
static char *find_name(char *at, int *code, mf_error *error)
{
    at = skip_blanks(at);
    bool is_first = *at == '{';

    *code = 0;
    if (is_first || *at == ',') {
        char *name = skip_blanks(at + 1);
        if (*name == '"')
            return name;
        if (is_first && *name == '}')
            at = name;
    }
    if (*at != '}' || *skip_blanks(at + 1) != '\0')
        *code = complain(error);
    return NULL;
}

/* In its own place: the decoded name is never longer. */
static int decode(char *text, mf_error *error)
{
    if (mf_check_document("a member's name", text, error) != MF_OK)
        return MF_EINVAL;
    cJSON *item = cJSON_Parse(text);
    if (!cJSON_IsString(item)) {
        cJSON_Delete(item);
        return complain(error);
    }
    strcpy(text, item->valuestring);
    cJSON_Delete(item);
    return MF_OK;
}

int member_next(char **at, json_member *out, mf_error *error)
{
    int code;
    char *name = find_name(*at, &code, error);
    if (name == NULL)
        return code;
    char *end = behind_string(name);
    char *colon = end != NULL ? skip_blanks(end) : NULL;
    if (colon == NULL || *colon != ':')
        return complain(error);
    char *value = skip_blanks(colon + 1);
    char *next = behind_value(value);
    if (next == NULL || next == value)
        return complain(error);

    /* What ends the value is needed in the next call: the value moves one byte towards the colon,
     * which is free by then. */
    size_t length = (size_t)(next - value);
    while (length > 0 && strchr(" \t\r\n", value[length - 1]) != NULL)
        length--;
    memmove(colon, value, length);
    colon[length] = '\0';
    char ends = *end;
    *end = '\0';
    int decoded = decode(name, error);
    *end = ends; /* it may be the value's first byte by now */
    if (decoded != MF_OK)
        return decoded;
    *out = (json_member){.name = name, .value = colon};
    *at = next;
    return 1;
}

int member_string(char **out, const char *field, const char *value, mf_error *error)
{
    if (mf_check_document(field, value, error) != MF_OK)
        return MF_EINVAL;
    cJSON *item = cJSON_Parse(value);
    *out = cJSON_IsString(item) ? strdup(item->valuestring) : NULL;
    cJSON_Delete(item);
    return *out != NULL ? MF_OK : mf_error_set(error, MF_EINVAL, "%s: must be a string", field);
}

bool member_is_null(const char *value)
{
    return strcmp(value, "null") == 0;
}
