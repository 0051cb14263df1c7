/* JSON of states and messages: what both need. */
#include "state/document.h"

#include <stdio.h>
#include <string.h>

#include <metafora/driver.h>

#include "json.h"
#include "utf8.h"

cJSON *mf__document_parse(const char *what, const char *json, size_t length, mf_error *error)
{
    size_t where;

    if (length > MF_STATE_MAX_BYTES) {
        mf_error_set(error, MF_EINVAL, "%s: longer than 1 MiB", what);
        return NULL;
    }
    const char *fault = mf__json_check(json, length, MF_JSON_C_STRINGS, &where);
    if (fault != NULL) {
        mf_error_set(error, MF_EINVAL, "%s: not JSON: %s at byte %zu", what, fault, where);
        return NULL;
    }
    cJSON *root = cJSON_ParseWithLength(json, length);
    if (root == NULL) {
        mf_error_set(error, MF_ENOMEM, "%s: %s", what, mf_strerror(MF_ENOMEM));
    } else if (!cJSON_IsObject(root)) {
        mf_error_set(error, MF_EINVAL, "%s: not an object", what);
        cJSON_Delete(root);
        root = NULL;
    }
    return root;
}

const cJSON *mf__document_member(const cJSON *object, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    return member != NULL && !cJSON_IsNull(member) ? member : NULL;
}

int mf__document_time(const cJSON *object, const char *name, mf_time *out, bool *has,
                      mf_error *error)
{
    const cJSON *member = mf__document_member(object, name);
    mf_error fault;

    *has = member != NULL;
    if (member == NULL)
        return MF_OK;
    if (!cJSON_IsString(member))
        return mf_error_set(error, MF_EINVAL, "%s: not a string", name);
    if (mf_time_parse(out, member->valuestring, strlen(member->valuestring), &fault) != MF_OK)
        return mf_error_set(error, MF_EINVAL, "%s: %.200s", name, fault.text);
    return MF_OK;
}

size_t mf__document_string_size(const char *text)
{
    return 6 * strlen(text) + 2;
}

static char *put_byte(char *to, unsigned char byte)
{
    static const char shorts[] = {['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};

    if (byte == '"' || byte == '\\')
        *to++ = '\\';
    else if (byte < sizeof shorts && shorts[byte] != 0)
        return (char *)mempcpy(to, (char[]){'\\', shorts[byte]}, 2);
    else if (byte < 0x20 || byte == '<' || byte == '>' || byte == '&')
        return to + sprintf(to, "\\u%04x", byte);
    *to++ = (char)byte;
    return to;
}

/* U+2028 and U+2029, which end a line in JavaScript. */
static bool is_line_end(const unsigned char *at)
{
    return at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9);
}

char *mf__document_put_string(char *to, const char *text)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + strlen(text);

    *to++ = '"';
    while (at < end) {
        size_t length = *at < 0x80 ? 1 : mf__utf8_sequence(at, end);
        if (*at < 0x80)
            to = put_byte(to, *at);
        else if (length == 0)
            to = stpcpy(to, "\\ufffd");
        else if (length == 3 && is_line_end(at))
            to += sprintf(to, "\\u202%c", at[2] == 0xa8 ? '8' : '9');
        else
            to = (char *)mempcpy(to, at, length);
        at += length != 0 ? length : 1;
    }
    *to++ = '"';
    return to;
}
