/* What etcd's errors mean. */
#include "status.h"

#include <string.h>

#include <metafora/driver.h>

/* The answers to a token that has expired, is another member's, or is older than a change of users;
 * of the second kind only those with this text are about the token. */
static bool is_about_token(const mf_grpc_status *status)
{
    static const char *const texts[] = {"invalid auth token", "revision of auth store is old",
                                        "user name is empty"};

    if (status->code != MF_GRPC_UNAUTHENTICATED && status->code != MF_GRPC_INVALID_ARGUMENT)
        return false;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strstr(status->message, texts[i]) != NULL)
            return true;
    return false;
}

/* The server gives up a moment before we do, when it is asked to by the call's timeout. */
static bool is_timeout(const mf_grpc_status *status)
{
    return status->code == MF_GRPC_DEADLINE_EXCEEDED ||
           (status->code == MF_GRPC_UNKNOWN &&
            strstr(status->message, "context deadline exceeded") != NULL);
}

static int meaning(const mf_grpc_status *status)
{
    if (status->untouched)
        return MF_EUNREACHABLE;
    switch (status->code) {
    case MF_GRPC_RESOURCE_EXHAUSTED:
        return strstr(status->message, "too many requests") != NULL ? MF_EUNREACHABLE : MF_EREFUSED;
    case MF_GRPC_INVALID_ARGUMENT:
    case MF_GRPC_NOT_FOUND:
    case MF_GRPC_ALREADY_EXISTS:
    case MF_GRPC_PERMISSION_DENIED:
    case MF_GRPC_FAILED_PRECONDITION:
    case MF_GRPC_OUT_OF_RANGE:
    case MF_GRPC_UNIMPLEMENTED:
    case MF_GRPC_UNAUTHENTICATED:
        return MF_EREFUSED;
    default:
        return MF_EUNKNOWN;
    }
}

mf_etcd_remedy mf__etcd_status(const mf_grpc_status *status, const char *path, mf_error *error)
{
    const char *method = strrchr(path, '/') + 1;
    bool about_token = is_about_token(status);

    mf_error_set(error, about_token ? MF_EUNREACHABLE : meaning(status), "%s: %s: %s", method,
                 mf__grpc_code_name(status->code), status->message);
    if (about_token)
        return MF_REMEDY_AUTHENTICATE;
    if (is_timeout(status))
        return MF_REMEDY_DOUBT;
    return status->code == MF_GRPC_UNAVAILABLE ? MF_REMEDY_RECONNECT : MF_REMEDY_NONE;
}
