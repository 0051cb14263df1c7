/* Broker options: their rules, and those that a URL's query may set. */
#include "broker_options.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

enum { TIMEOUT_MAX_MS = 3600000, REPLICAS_MAX = 100, CRASHES_MAX = 1000 };

typedef struct option {
    const char *name;
    bool is_number;
    size_t offset;
    int minimum, maximum; /* in a URL; in the struct 0 means the default as well */
} option;

#define NUMBER(field, minimum, maximum)                                    \
    {                                                                      \
#field, true, offsetof(mf_broker_options, field), minimum, maximum \
    }
#define STRING(field)                                           \
    {                                                           \
#field, false, offsetof(mf_broker_options, field), 0, 0 \
    }

static const option options_known[] = {
    NUMBER(connect_timeout_ms, 1, TIMEOUT_MAX_MS),
    NUMBER(reply_timeout_ms, 1, TIMEOUT_MAX_MS),
    NUMBER(wait_replicas, 0, REPLICAS_MAX),
    NUMBER(max_crashes, -1, CRASHES_MAX),
    STRING(tls_ca_file),
    STRING(tls_cert_file),
    STRING(tls_key_file),
    STRING(sentinel_user),
    STRING(sentinel_password),
};

enum { OPTION_COUNT = sizeof options_known / sizeof options_known[0] };

static int out_of_range(const option *o, mf_error *error)
{
    return mf_error_set(error, MF_EINVAL, "%s: not a number from %d to %d", o->name, o->minimum,
                        o->maximum);
}

/* Digits with or without a minus sign, and nothing else. */
static int number_from(int *out, const option *o, const char *text, mf_error *error)
{
    const char *digits = text + (*text == '-');
    char *end;

    if (*digits < '0' || *digits > '9')
        return out_of_range(o, error);
    errno = 0;
    long value = strtol(text, &end, 10);
    if (*end != '\0' || errno != 0 || value < o->minimum || value > o->maximum)
        return out_of_range(o, error);
    *out = (int)value;
    return MF_OK;
}

static int apply(mf_broker_options *options, const option *o, const char *text, mf_error *error)
{
    char *field = (char *)options + o->offset;

    if (o->is_number)
        return number_from((int *)(void *)field, o, text, error);
    if (*text == '\0')
        return mf_error_set(error, MF_EINVAL, "%s: empty", o->name);
    *(const char **)(void *)field = text;
    return MF_OK;
}

static const option *find_option(const char *name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (strcmp(options_known[i].name, name) == 0)
            return &options_known[i];
    return NULL;
}

static bool contains(const char *const *list, const char *name)
{
    if (list == NULL)
        return false;
    while (*list != NULL && strcmp(*list, name) != 0)
        list++;
    return *list != NULL;
}

int mf_broker_options_from_url(mf_broker_options *options, const mf_url *url,
                               const char *const *also, mf_error *error)
{
    for (size_t i = 0; i < url->query_count; i++) {
        const mf_url_query *query = &url->query[i];
        const option *o = find_option(query->key);
        int code = MF_OK;
        if (o != NULL)
            code = apply(options, o, query->value, error);
        else if (!contains(also, query->key))
            code = mf_error_set(error, MF_EINVAL, "url: query: '%.64s' is not known", query->key);
        if (code != MF_OK)
            return code;
    }
    return mf__broker_options_check(options, error);
}

static int check_option(const mf_broker_options *options, const option *o, mf_error *error)
{
    const char *field = (const char *)options + o->offset;

    if (o->is_number) {
        int value = *(const int *)(const void *)field;
        if (value != 0 && (value < o->minimum || value > o->maximum))
            return out_of_range(o, error);
        return MF_OK;
    }
    const char *text = *(const char *const *)(const void *)field;
    if (text != NULL && *text == '\0')
        return mf_error_set(error, MF_EINVAL, "%s: empty", o->name);
    return MF_OK;
}

int mf__broker_options_check(const mf_broker_options *options, mf_error *error)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        int code = check_option(options, &options_known[i], error);
        if (code != MF_OK)
            return code;
    }
    if (options->tls_cert_file != NULL && options->tls_key_file == NULL)
        return mf_error_set(error, MF_EINVAL, "tls_key_file: missing, tls_cert_file needs it");
    if (options->tls_key_file != NULL && options->tls_cert_file == NULL)
        return mf_error_set(error, MF_EINVAL, "tls_cert_file: missing, tls_key_file needs it");
    return MF_OK;
}
