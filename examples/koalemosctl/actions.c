/* koalemosctl: looking at tasks and nodes, removing, commanding. */
#include "actions.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/orders.h"
#include "common/show.h"

int action_complain(const mf_error *error)
{
    show_complaint(NULL, error->text);
    return 1;
}

/* `code` is what the call itself returned; `status` what its callback made of the answer. */
int action_finish(const action_order *order, int code, const mf_error *error, const int *status)
{
    if (code != MF_OK)
        return action_complain(error);
    mf_client_wait(order->client, NULL);
    return *status;
}

void action_on_items(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    int *status = arg;

    if (error != NULL) {
        *status = action_complain(error);
    } else if (count == 1 && items[0].code != MF_OK) {
        show_complaint(items[0].id, mf_strerror(items[0].code));
        *status = 1;
    }
}

int action_remove(const action_order *order)
{
    mf_error error;
    int status = 0;
    int code =
        mf_client_remove(order->client, &order->subject, 1, action_on_items, &status, &error);
    return action_finish(order, code, &error, &status);
}

static void on_explained(const mf_error *error, const mf_placement *placement, void *arg)
{
    if (error != NULL) {
        *(int *)arg = action_complain(error);
        return;
    }
    show(stdout, placement->id);
    fputs(": ", stdout);
    show(stdout, placement->text);
    putchar('\n');
}

int action_explain(const action_order *order)
{
    mf_error error;
    int status = 0;
    int code = mf_client_explain(order->client, order->subject, 0, on_explained, &status, &error);
    return action_finish(order, code, &error, &status);
}

static void show_task(const mf_task_record *task)
{
    show(stdout, task->id);
    putchar('\t');
    show(stdout, task->owner);
    printf("\t%" PRIu64 "\t", task->fence);
    show(stdout, task->code != MF_OK ? mf_strerror(task->code) : task->properties);
    putchar('\n');
}

static void on_tasks(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    (void)last;
    if (error != NULL) {
        *(int *)arg = action_complain(error);
        return;
    }
    for (size_t i = 0; i < count; i++)
        show_task(&tasks[i]);
}

int action_list(const action_order *order)
{
    mf_error error;
    int status = 0;
    int code = mf_client_tasks(order->client, on_tasks, &status, &error);
    return action_finish(order, code, &error, &status);
}

static void on_nodes(const mf_error *error, const mf_node *nodes, size_t count, void *arg)
{
    if (error != NULL)
        *(int *)arg = action_complain(error);
    for (size_t i = 0; error == NULL && i < count; i++) {
        show(stdout, nodes[i].name);
        printf("\t%" PRIu64 "\n", nodes[i].tasks);
    }
}

int action_nodes(const action_order *order)
{
    mf_error error;
    int status = 0;
    int code = mf_client_nodes(order->client, on_nodes, &status, &error);
    return action_finish(order, code, &error, &status);
}

static void on_sent(const mf_error *error, void *arg)
{
    if (error != NULL)
        *(int *)arg = action_complain(error);
}

int action_command(const action_order *order)
{
    mf_command command;
    mf_error error;
    int status = 0;

    if (order_command(&command, "--command", order->operands, &error) != MF_OK) {
        action_complain(&error);
        return 2;
    }
    int code = mf_client_command(order->client, order->subject, &command, on_sent, &status, &error);
    return action_finish(order, code, &error, &status);
}
