/* The broker's URL: where the password is put into it. */
#include "address.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

enum { LONGEST_PASSWORD = 4096 };

/* The parts of scheme://user[:password]@rest; `rest` is all that follows the user's. */
typedef struct address {
    size_t head; /* with "://" */
    size_t user; /* length, without the password */
    bool has_password;
    const char *rest;
} address;

static bool take_apart(address *out, const char *url)
{
    const char *from = strstr(url, "://");
    if (from == NULL)
        return false;
    from += 3;
    size_t authority = strcspn(from, "/?#");
    const char *at = memrchr(from, '@', authority);
    *out = (address){.head = (size_t)(from - url), .rest = at != NULL ? at : from};
    if (at != NULL) {
        const char *colon = memchr(from, ':', (size_t)(at - from));
        out->has_password = colon != NULL;
        out->user = (size_t)((colon != NULL ? colon : at) - from);
    }
    return true;
}

/* The first line of the file, to be freed. */
static int read_password(char **out, const char *path, mf_error *error)
{
    char text[LONGEST_PASSWORD];
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return mf_error_set(error, MF_ESYSTEM, "--password-file: %.150s: %s", path,
                            strerror(errno));
    bool got = fgets(text, sizeof text, file) != NULL;
    fclose(file);
    if (got)
        text[strcspn(text, "\r\n")] = '\0';
    if (!got || text[0] == '\0')
        return mf_error_set(error, MF_EINVAL, "--password-file: %.150s: its first line is empty",
                            path);
    *out = strdup(text);
    explicit_bzero(text, sizeof text);
    return *out != NULL ? MF_OK : mf_error_set(error, MF_ENOMEM, "out of memory");
}

static void put_encoded(FILE *to, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (; *text != '\0'; text++)
        if (strchr(plain, *text) != NULL)
            fputc(*text, to);
        else
            fprintf(to, "%%%02X", (unsigned char)*text);
}

static int put_together(char **out, const char *url, const address *parts, const char *password,
                        mf_error *error)
{
    size_t size;
    FILE *to = open_memstream(out, &size);

    if (to == NULL)
        return mf_error_set(error, MF_ENOMEM, "out of memory");
    fprintf(to, "%.*s:", (int)(parts->head + parts->user), url);
    put_encoded(to, password);
    fprintf(to, "%s%s", parts->rest[0] == '@' ? "" : "@", parts->rest);
    return fclose(to) == 0 ? MF_OK : mf_error_set(error, MF_ENOMEM, "out of memory");
}

static int check_visible(const char *url, const address *parts, mf_error *error)
{
    if (parts->has_password || strstr(url, "sentinel_password=") != NULL)
        return mf_error_set(error, MF_EINVAL,
                            "--broker: a password in it can be seen in the list of processes; use "
                            "--password-file, METAFORA_PASSWORD or METAFORA_BROKER%s",
                            parts->has_password ? "" : ", METAFORA_SENTINEL_PASSWORD");
    return MF_OK;
}

static int add_password(char **out, const char *url, const address *parts,
                        const char *password_file, mf_error *error)
{
    const char *from_environment = getenv("METAFORA_PASSWORD");
    char *password = NULL;
    int code;

    if (password_file == NULL && from_environment == NULL) {
        *out = strdup(url);
        return *out != NULL ? MF_OK : mf_error_set(error, MF_ENOMEM, "out of memory");
    }
    if (parts->has_password)
        return mf_error_set(error, MF_EINVAL, "%s: METAFORA_BROKER has a password in it already",
                            password_file != NULL ? "--password-file" : "METAFORA_PASSWORD");
    if (password_file == NULL)
        return put_together(out, url, parts, from_environment, error);
    code = read_password(&password, password_file, error);
    if (code == MF_OK)
        code = put_together(out, url, parts, password, error);
    free(password);
    return code;
}

int address_make(char **out, const char *url, const char *password_file, mf_error *error)
{
    bool is_visible = url != NULL;
    address parts;

    *out = NULL;
    if (url == NULL)
        url = getenv("METAFORA_BROKER");
    if (url == NULL)
        url = mf_linked_driver->default_url;
    if (!take_apart(&parts, url))
        return mf_error_set(error, MF_EINVAL, "%s: must be a URL such as redis://localhost",
                            is_visible ? "--broker" : "METAFORA_BROKER");
    if (is_visible && check_visible(url, &parts, error) != MF_OK)
        return MF_EINVAL;
    return add_password(out, url, &parts, password_file, error);
}
