/* The endpoints of a connection: copies, and their names in texts. */
#include "net/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define HOST_MOST 253 /* bytes of a domain name, RFC 1035 */

static int check(const mf_endpoint *endpoint, mf_error *error)
{
    size_t path_room = sizeof((struct sockaddr_un *)0)->sun_path;

    if (endpoint->path != NULL) {
        if (endpoint->path[0] == '\0' || strlen(endpoint->path) >= path_room)
            return mf_error_set(error, MF_EINVAL, "socket path \"%.100s\": not 1 to %zu bytes",
                                endpoint->path, path_room - 1);
        return MF_OK;
    }
    if (endpoint->host == NULL || endpoint->host[0] == '\0' || strlen(endpoint->host) > HOST_MOST)
        return mf_error_set(error, MF_EINVAL, "host: not 1 to %d bytes", HOST_MOST);
    if (endpoint->port < 1 || endpoint->port > 65535)
        return mf_error_set(error, MF_EINVAL, "port %d of %.100s: not 1 to 65535", endpoint->port,
                            endpoint->host);
    return MF_OK;
}

static char *name_of(const mf_endpoint *endpoint)
{
    char *name = NULL;

    if (endpoint->path != NULL)
        return strdup(endpoint->path);
    const char *format = strchr(endpoint->host, ':') != NULL ? "[%s]:%d" : "%s:%d";
    return asprintf(&name, format, endpoint->host, endpoint->port) < 0 ? NULL : name;
}

static int copy(mf_endpoint *to, const mf_endpoint *from)
{
    *to = (mf_endpoint){.port = from->port};
    if (from->host != NULL && (to->host = strdup(from->host)) == NULL)
        return MF_ENOMEM;
    if (from->path != NULL && (to->path = strdup(from->path)) == NULL)
        return MF_ENOMEM;
    return MF_OK;
}

int mf__endpoints_copy(mf_endpoints *out, const mf_endpoint *from, size_t count, mf_error *error)
{
    *out = (mf_endpoints){.list = calloc(count + 1, sizeof *out->list),
                          .names = calloc(count + 1, sizeof *out->names)};
    if (out->list == NULL || out->names == NULL)
        return mf_error_set(error, MF_ENOMEM, "endpoints: out of memory");
    if (count == 0)
        return mf_error_set(error, MF_EINVAL, "endpoints: none given");
    for (; out->count < count; out->count++) {
        const mf_endpoint *endpoint = &from[out->count];
        int code = check(endpoint, error);
        if (code != MF_OK)
            return code;
        out->names[out->count] = name_of(endpoint);
        if (copy(&out->list[out->count], endpoint) != MF_OK || out->names[out->count] == NULL) {
            out->count++;
            return mf_error_set(error, MF_ENOMEM, "endpoints: out of memory");
        }
    }
    return MF_OK;
}

void mf__endpoints_clear(mf_endpoints *endpoints)
{
    for (size_t i = 0; i < endpoints->count; i++) {
        free((char *)endpoints->list[i].host);
        free((char *)endpoints->list[i].path);
        free(endpoints->names[i]);
    }
    free(endpoints->list);
    free(endpoints->names);
    *endpoints = (mf_endpoints){0};
}
