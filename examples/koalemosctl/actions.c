/* koalemosctl: looking, removing, commanding. */
#include "actions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int complain(const mf_error *error)
{
    fprintf(stderr, "koalemosctl: %s\n", error->text);
    return 1;
}

/* `code` is what the call itself returned; `status` what its callback made of the answer. */
static int finish(mf_client *client, int code, const mf_error *error, const int *status)
{
    if (code != MF_OK)
        return complain(error);
    mf_client_wait(client, NULL);
    return *status;
}

static void on_items(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    int *status = arg;

    if (error != NULL) {
        *status = complain(error);
    } else if (count == 1 && items[0].code != MF_OK) {
        fprintf(stderr, "koalemosctl: %s: %s\n", items[0].id, mf_strerror(items[0].code));
        *status = 1;
    }
}

int action_remove(mf_client *client, const char *id)
{
    mf_error error;
    int status = 0;
    int code = mf_client_remove(client, &id, 1, on_items, &status, &error);
    return finish(client, code, &error, &status);
}

typedef struct revival {
    mf_client *client;
    int status;
} revival;

static void on_revived(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    revival *r = arg;
    on_items(error, items, count, &r->status);
}

/* A task that is gone would be submitted anew: only one that is there is revived, as it is. */
static void on_found(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    revival *r = arg;
    mf_error failure;

    (void)count;
    (void)last;
    if (error != NULL) {
        r->status = complain(error);
        return;
    }
    const mf_item_result missing = {.id = tasks[0].id, .code = MF_EGONE};
    const mf_task_spec task = {.id = tasks[0].id, .properties = tasks[0].properties};
    if (tasks[0].code == MF_EGONE)
        on_items(NULL, &missing, 1, &r->status);
    else if (mf_client_revive(r->client, &task, 1, on_revived, r, &failure) != MF_OK)
        r->status = complain(&failure);
}

int action_revive(mf_client *client, const char *id)
{
    revival r = {.client = client};
    mf_error error;
    int code = mf_client_lookup(client, &id, 1, on_found, &r, &error);

    if (code != MF_OK)
        return complain(&error);
    mf_client_wait(client, NULL); /* for what was looked up, */
    mf_client_wait(client, NULL); /* then for what it led to */
    return r.status;
}

static void on_explained(const mf_error *error, const mf_placement *placement, void *arg)
{
    if (error != NULL)
        *(int *)arg = complain(error);
    else
        printf("%s: %s\n", placement->id, placement->text);
}

int action_explain(mf_client *client, const char *id)
{
    mf_error error;
    int status = 0;
    int code = mf_client_explain(client, id, 0, on_explained, &status, &error);
    return finish(client, code, &error, &status);
}

static void on_tasks(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    (void)last;
    if (error != NULL) {
        *(int *)arg = complain(error);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const mf_task_record *task = &tasks[i];
        printf("%s\t%s\t%" PRIu64 "\t%s\n", task->id, task->owner != NULL ? task->owner : "-",
               task->fence,
               task->code != MF_OK        ? mf_strerror(task->code)
               : task->properties != NULL ? task->properties
                                          : "-");
    }
}

int action_list(mf_client *client)
{
    mf_error error;
    int status = 0;
    int code = mf_client_tasks(client, on_tasks, &status, &error);
    return finish(client, code, &error, &status);
}

static void on_nodes(const mf_error *error, const mf_node *nodes, size_t count, void *arg)
{
    if (error != NULL)
        *(int *)arg = complain(error);
    for (size_t i = 0; error == NULL && i < count; i++)
        printf("%s\t%" PRIu64 "\n", nodes[i].name, nodes[i].tasks);
}

int action_nodes(mf_client *client)
{
    mf_error error;
    int status = 0;
    int code = mf_client_nodes(client, on_nodes, &status, &error);
    return finish(client, code, &error, &status);
}

static int read_command(mf_command *out, char **operands)
{
    static const char *const verbs[] = {"freeze",    "unfreeze", "balance",
                                        "stop_task", "drain",    "undrain"};
    size_t given = 0;

    while (operands[given] != NULL)
        given++;
    for (int i = MF_COMMAND_FREEZE; given > 0 && i <= MF_COMMAND_UNDRAIN; i++) {
        if (strcmp(operands[0], verbs[i]) != 0)
            continue;
        *out = (mf_command){.verb = (mf_command_verb)i, .task = operands[1]};
        return given == (i == MF_COMMAND_STOP_TASK ? 2 : 1) ? 0 : -1;
    }
    return -1;
}

static void on_sent(const mf_error *error, void *arg)
{
    if (error != NULL)
        *(int *)arg = complain(error);
}

int action_command(mf_client *client, const char *node, char **operands)
{
    mf_command command;
    mf_error error;
    int status = 0;

    if (read_command(&command, operands) != 0) {
        fprintf(stderr, "koalemosctl: --command: must be followed by freeze, unfreeze, balance, "
                        "drain, undrain or stop_task ID\n");
        return 2;
    }
    int code = mf_client_command(client, node, &command, on_sent, &status, &error);
    return finish(client, code, &error, &status);
}
