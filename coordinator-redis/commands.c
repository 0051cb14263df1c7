/* Commands to nodes: send and receive. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static void write_send(mf_redis *redis, mf_request *head)
{
    const mf_send_request *request = (const mf_send_request *)head;

    mf__redis_keys(redis, head, request->node, NULL);
    mf__parts_add(&redis->parts, request->json, request->length);
    mf__redis_channel_of(redis, request->node);
    mf__redis_number(redis, MF_COMMAND_TTL_MS);
    mf__redis_text(redis, request->migration != NULL ? request->migration : "");
}

static void read_send(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    if (answer->type != MF_VALUE_INTEGER)
        mf__redis_misunderstood(redis, head);
}

static const mf_operation send_operation = {
    .what = "send a command",
    .script = &mf__script_send,
    .ordered = true,
    .replicated = true,
    .write = write_send,
    .read = read_send,
};

void mf__redis_send(mf_broker *broker, mf_send_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &send_operation);
}

static void write_receive(mf_redis *redis, mf_request *head)
{
    const mf_receive_request *request = (const mf_receive_request *)head;

    mf__redis_keys(redis, head, request->session->node, NULL);
    mf__redis_session(redis, request->session);
    mf__redis_number(redis, (int64_t)request->acknowledged);
    mf__redis_number(redis, (int64_t)request->limit);
    mf__redis_number(redis, MF_COMMAND_TTL_MS);
}

/* "<sequence> <json>"; what was put there in another form is handed on as it is, for its reader to
 * judge and to acknowledge. */
static bool read_command(mf_command_record *out, const mf_value *text, const mf_value *score)
{
    if (text->type != MF_VALUE_STRING || score->type != MF_VALUE_STRING)
        return false;
    double sequence = strtod(score->text, NULL);
    out->sequence = sequence > 0 ? (uint64_t)sequence : 0;
    out->sequence += (double)out->sequence < sequence; /* rounded up: acknowledging it removes it */
    out->json = text->text;
    out->length = text->length;
    if (strncmp(text->text, score->text, score->length) == 0 && text->text[score->length] == ' ') {
        out->json += score->length + 1;
        out->length -= score->length + 1;
    }
    return true;
}

static void read_receive(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_receive_request *request = (mf_receive_request *)head;

    request->count = 0;
    if (!mf__value_is_array(answer, 1) || answer->length % 2 != 1) {
        mf__redis_misunderstood(redis, head);
        return;
    }
    if (answer->items[0].type == MF_VALUE_INTEGER && answer->items[0].integer > 0)
        mf__redis_damage(redis, "commands for node \"%s\" had no sequence number; dropped",
                         request->session->node);
    mf_command_record *commands = mf__redis_room(redis, head, answer->length / 2, sizeof *commands);
    if (commands == NULL)
        return;
    request->commands = commands;
    for (size_t i = 1; i < answer->length; i += 2)
        if (read_command(&commands[request->count], &answer->items[i], &answer->items[i + 1]))
            request->count++;
}

static const mf_operation receive_operation = {
    .what = "receive commands",
    .script = &mf__script_receive,
    .write = write_receive,
    .read = read_receive,
};

void mf__redis_receive(mf_broker *broker, mf_receive_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &receive_operation);
}
