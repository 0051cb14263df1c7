/* Opening a broker: options checked, the driver found by the URL's scheme. */
#include <stdio.h>
#include <string.h>

#include <metafora/driver.h>

#include "broker_options.h"

enum { DEFAULT_TIMEOUT_MS = 5000 };

static int check_options(const mf_broker_options *options, mf_error *error)
{
    int code;

    if (options == NULL)
        return mf_error_set(error, MF_EINVAL, "broker options: missing");
    if (options->version != MF_BROKER_OPTIONS_VERSION)
        return mf_error_set(error, MF_EINVAL,
                            "broker options: version: %d is not known, begin with "
                            "MF_BROKER_OPTIONS_INIT",
                            options->version);
    code = mf_check_name("name_space", options->name_space, error);
    if (code == MF_OK && strpbrk(options->name_space, "{}") != NULL)
        code = mf_error_set(error, MF_EINVAL, "name_space: contains '{' or '}'");
    if (code == MF_OK)
        code = mf__broker_options_check(options, error);
    return code;
}

static bool has_scheme(const mf_driver *driver, const char *scheme)
{
    const char *const *known = driver->schemes;
    while (*known != NULL && strcmp(*known, scheme) != 0)
        known++;
    return *known != NULL;
}

/* Says which drivers there are, for whoever has linked another one than the URL needs. */
static int no_driver(const char *scheme, const mf_driver *const *drivers, mf_error *error)
{
    char names[128] = "";
    size_t length = 0;

    for (; *drivers != NULL && length < sizeof names; drivers++)
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s",
                                   length > 0 ? ", " : "", (*drivers)->name);
    return mf_error_set(error, MF_EINVAL,
                        "url: scheme: this program has no driver for '%.32s', only %s; link that "
                        "driver's library instead, or open the broker with several",
                        scheme, names);
}

static int find_driver(const mf_driver **out, const char *text, const mf_driver *const *drivers,
                       mf_error *error)
{
    const mf_driver *const *first = drivers;
    mf_url url;
    int code = mf_url_parse(&url, text, error);

    if (code != MF_OK)
        return code;
    while (*drivers != NULL && !has_scheme(*drivers, url.scheme))
        drivers++;
    *out = *drivers;
    if (*out == NULL)
        code = no_driver(url.scheme, first, error);
    else if ((*out)->version != MF_DRIVER_VERSION)
        code = mf_error_set(error, MF_EINVAL, "driver %s: version: %d is not supported",
                            (*out)->name, (*out)->version);
    mf_url_clear(&url);
    return code;
}

int mf_broker_open_any(mf_broker **out, const char *url, const mf_broker_options *options,
                       mf_loop *loop, const mf_driver *const *drivers, mf_error *error)
{
    const mf_driver *driver;
    int code;

    *out = NULL;
    if (loop == NULL)
        return mf_error_set(error, MF_EINVAL, "loop: missing");
    code = check_options(options, error);
    if (code != MF_OK)
        return code;
    if (url == NULL && drivers[0] != NULL)
        url = drivers[0]->default_url;
    code = find_driver(&driver, url, drivers, error);
    if (code != MF_OK)
        return code;

    mf_broker_options filled = *options;
    if (filled.connect_timeout_ms == 0)
        filled.connect_timeout_ms = DEFAULT_TIMEOUT_MS;
    if (filled.reply_timeout_ms == 0)
        filled.reply_timeout_ms = DEFAULT_TIMEOUT_MS;
    return driver->open(out, url, &filled, loop, error);
}

void mf_broker_close(mf_broker *broker, void (*closed)(void *arg), void *arg)
{
    broker->operations->close(broker, closed, arg);
}
