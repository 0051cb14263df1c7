/* Commands to nodes. */
#include "client/internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct send_call {
    mf_call call;
    mf_work work;
    mf_result_fn fn;
    void *arg;
    char strings[]; /* node, JSON */
} send_call;

static void send_command(mf_broker *broker, mf_work *work)
{
    broker->operations->send(broker, &work->request.send);
}

static bool command_answered(mf_work *work)
{
    (void)work;
    return false;
}

static void finish_command(mf_call *call, const mf_error *error)
{
    const send_call *me = (const send_call *)call;
    if (me->fn != NULL)
        me->fn(error, me->arg);
}

static const mf_call_kind command_kind = {
    .send = send_command,
    .answered = command_answered,
    .finish = finish_command,
};

static send_call *make_call(const char *node, const char *json)
{
    size_t length = strlen(json);
    send_call *me = calloc(1, sizeof *me + strlen(node) + 1 + length + 1);

    if (me == NULL)
        return NULL;
    char *copy = stpcpy(me->strings, node) + 1;
    memcpy(copy, json, length + 1);
    me->work.request.send.node = me->strings;
    me->work.request.send.json = copy;
    me->work.request.send.length = length;
    me->call.works = &me->work;
    me->call.work_count = 1;
    return me;
}

int mf_client_command(mf_client *client, const char *node, const mf_command *command,
                      mf_result_fn fn, void *arg, mf_error *error)
{
    char *json;

    if (mf_check_name("node", node, error) != MF_OK)
        return MF_EINVAL;
    int code = mf_command_format(&json, command, error);
    if (code != MF_OK)
        return code;
    send_call *me = make_call(node, json);
    free(json);
    if (me == NULL)
        return mf__client_no_memory(error);
    me->fn = fn;
    me->arg = arg;
    mf__client_start(client, &me->call, &command_kind);
    return MF_OK;
}
