/* The rules for names and documents that come from outside. */
#include <string.h>

#include <metafora/driver.h>

#include "json.h"
#include "utf8.h"

enum { NAME_MAX_BYTES = 255, PROPERTIES_MAX_BYTES = 1 << 20 };

/* What is wrong with a name, or NULL. */
static const char *name_fault(const char *name)
{
    const unsigned char *start = (const unsigned char *)name;
    const unsigned char *at = start;

    if (name == NULL)
        return "missing";
    if (*at == '\0')
        return "empty";
    const unsigned char *end = start + strnlen(name, NAME_MAX_BYTES + 1);
    if (end - start > NAME_MAX_BYTES)
        return "longer than 255 bytes";
    while (at < end) {
        if (*at < 0x20 || *at == 0x7f)
            return "contains a control byte";
        if (*at == '/')
            return "contains '/'";
        size_t length = mf__utf8_sequence(at, end);
        if (length == 0)
            return "not valid UTF-8";
        at += length;
    }
    /* The last part of keys that the Go library keeps for its own marks. */
    if (end - start == 9 && memcmp(start, "_metafora", 9) == 0)
        return "'_metafora' is reserved";
    return NULL;
}

static int check_name(const char *field, const char *name, mf_error *error)
{
    const char *fault = name_fault(name);
    return fault == NULL ? MF_OK : mf_error_set(error, MF_EINVAL, "%s: %s", field, fault);
}

int mf_check_task_id(const char *field, const char *id, mf_error *error)
{
    return check_name(field, id, error);
}

int mf_check_name(const char *field, const char *name, mf_error *error)
{
    return check_name(field, name, error);
}

static int check_json(const char *field, const char *json, mf_json_rule rule, mf_error *error)
{
    size_t where;
    size_t length = strnlen(json, PROPERTIES_MAX_BYTES + 1);

    if (length > PROPERTIES_MAX_BYTES)
        return mf_error_set(error, MF_EINVAL, "%s: longer than 1 MiB", field);
    const char *fault = mf__json_check(json, length, rule, &where);
    if (fault != NULL)
        return mf_error_set(error, MF_EINVAL, "%s: not JSON: %s at byte %zu", field, fault, where);
    return MF_OK;
}

int mf_check_properties(const char *field, const char *json, mf_error *error)
{
    return json != NULL ? check_json(field, json, MF_JSON_ANY, error) : MF_OK;
}

int mf_check_document(const char *field, const char *json, mf_error *error)
{
    if (json == NULL)
        return mf_error_set(error, MF_EINVAL, "%s: missing", field);
    return check_json(field, json, MF_JSON_C_STRINGS, error);
}
