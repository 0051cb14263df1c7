/* The broker of one run, and how errors become exit statuses. */
#include "ctl.h"

#include <stdlib.h>

#include "address.h"
#include "common/log.h"
#include "common/show.h"

static int status_of(int code)
{
    switch (code) {
    case MF_OK:
        return CTL_DONE;
    case MF_EUNREACHABLE:
    case MF_EUNKNOWN:
    case MF_EUNCONFIRMED:
        return CTL_UNREACHABLE;
    case MF_ETAKEN:
    case MF_EGONE:
    case MF_EEXISTS:
    case MF_ENONODE:
        return CTL_NOT_ALL;
    case MF_EMOVED:
        return CTL_MOVED;
    case MF_EINVAL:
        return CTL_USAGE;
    case MF_EREFUSED:
        return CTL_REFUSED;
    default:
        return CTL_FAILED;
    }
}

int ctl_complain(const mf_error *error)
{
    show_complaint(NULL, error->text);
    return status_of(error->code);
}

int ctl_finish(ctl_run *ctl, int code, const mf_error *error, const int *status)
{
    if (code != MF_OK)
        return ctl_complain(error);
    mf_client_wait(ctl->client, NULL);
    return *status;
}

int ctl_worse(int status, int other)
{
    return status > other ? status : other;
}

int ctl_open(ctl_run *ctl)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_error error;
    char *url = NULL;

    int code = mf_loop_new(&ctl->loop, &error);
    if (code == MF_OK) {
        mf_loop_set_log(ctl->loop, log_to_stderr, "metaforactl", ctl->log);
        code = address_make(&url, ctl->url, ctl->password_file, &error);
    }
    options.name_space = ctl->name_space;
    options.sentinel_password = getenv("METAFORA_SENTINEL_PASSWORD");
    if (code == MF_OK)
        code = mf_broker_open(&ctl->broker, url, &options, ctl->loop, &error);
    if (code == MF_OK)
        code = mf_client_open(&ctl->client, ctl->broker, &error);
    free(url);
    return code == MF_OK ? CTL_DONE : ctl_complain(&error);
}

static void on_closed(void *arg)
{
    mf_loop_stop(arg);
}

void ctl_close(ctl_run *ctl)
{
    mf_client_close(ctl->client);
    if (ctl->broker != NULL) {
        mf_broker_close(ctl->broker, on_closed, ctl->loop);
        mf_loop_run(ctl->loop);
    }
    if (ctl->loop != NULL)
        mf_loop_free(ctl->loop);
}
