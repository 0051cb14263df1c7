/* Commands of the embedded broker: a queue for each node, kept until read or
 * too old. */
#include <stdlib.h>
#include <string.h>

#include "embedded/space.h"

static mf_command_queue *find(mf_space *space, const char *node)
{
    mf_command_queue *queue;
    HASH_FIND_STR(space->queues, node, queue);
    return queue;
}

static mf_command_queue *find_or_add(mf_space *space, const char *node)
{
    mf_command_queue *queue = find(space, node);
    if (queue != NULL)
        return queue;
    size_t length = strlen(node) + 1;
    queue = calloc(1, sizeof *queue + length);
    if (queue == NULL)
        return NULL;
    memcpy(queue->node, node, length);
    queue->last = &queue->first;
    HASH_ADD_STR(space->queues, node, queue);
    if (queue->hh.tbl == NULL) {
        free(queue);
        return NULL;
    }
    return queue;
}

static void drop_first(mf_command_queue *queue)
{
    mf_stored_command *command = queue->first;
    queue->first = command->next;
    if (queue->first == NULL)
        queue->last = &queue->first;
    free(command);
}

static void drop_if_empty(mf_space *space, mf_command_queue *queue)
{
    if (queue->first != NULL)
        return;
    HASH_DELETE(hh, space->queues, queue);
    free(queue);
}

static void expire(mf_space *space, int64_t now_us)
{
    mf_command_queue *queue, *next;
    HASH_ITER(hh, space->queues, queue, next)
    {
        while (queue->first != NULL && queue->first->expires_us <= now_us)
            drop_first(queue);
        drop_if_empty(space, queue);
    }
}

void mf__space_clear_commands(mf_space *space)
{
    expire(space, INT64_MAX);
}

int mf__space_send(mf_space *space, mf_send_request *request, int64_t now_us)
{
    if (mf__space_is_moving(space) &&
        (request->migration == NULL || strcmp(request->migration, space->mark.migration) != 0))
        return mf__space_refuse_moved(space, &request->request);
    expire(space, now_us);
    mf_stored_command *command = malloc(sizeof *command + request->length + 1);
    mf_command_queue *queue = command != NULL ? find_or_add(space, request->node) : NULL;
    if (queue == NULL) {
        free(command);
        return mf__space_answer(&request->request, MF_ENOMEM);
    }
    *command = (mf_stored_command){.sequence = ++space->last_command,
                                   .expires_us = now_us + MF_COMMAND_TTL_MS * INT64_C(1000),
                                   .length = request->length};
    memcpy(command->json, request->json, request->length);
    command->json[request->length] = 0;
    *queue->last = command;
    queue->last = &command->next;
    mf__space_announce(space, MF_NEWS_COMMAND, request->node);
    return mf__space_answer(&request->request, MF_OK);
}

/* Copies up to `limit` commands for the answer. */
static int copy_commands(mf_receive_request *request, const mf_stored_command *first)
{
    size_t count = 0, size = 0;
    const mf_stored_command *command;

    for (command = first; command != NULL && count < request->limit; command = command->next) {
        count++;
        size += command->length + 1;
    }
    mf_command_record *records =
        mf__answer_alloc(&request->request, count * sizeof *records + size);
    if (records == NULL)
        return MF_ENOMEM;
    char *text = (char *)(records + count);
    command = first;
    for (size_t i = 0; i < count; i++, command = command->next) {
        memcpy(text, command->json, command->length + 1);
        records[i] = (mf_command_record){command->sequence, text, command->length};
        text += command->length + 1;
    }
    request->commands = records;
    request->count = count;
    return MF_OK;
}

int mf__space_receive(mf_space *space, mf_receive_request *request, int64_t now_us)
{
    mf_stored_session *session;
    int code = mf__space_session(space, request->session, &session);

    request->count = 0;
    if (code != MF_OK)
        return mf__space_answer(&request->request, code);
    expire(space, now_us);
    mf_command_queue *queue = find(space, session->node);
    if (queue == NULL)
        return mf__space_answer(&request->request, MF_OK);
    while (queue->first != NULL && queue->first->sequence <= request->acknowledged)
        drop_first(queue);
    code = copy_commands(request, queue->first);
    drop_if_empty(space, queue);
    return mf__space_answer(&request->request, code);
}
