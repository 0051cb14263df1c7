/* koalemosctl: tasks with states: telling, looking, reviving, erasing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/properties.h"
#include "actions.h"
#include "common/orders.h"
#include "common/show.h"

/* Telling. */

int action_tell(const action_order *order)
{
    mf_message message;
    mf_error error;
    int status = 0;

    if (order_message(&message, "--tell", order->operands, &error) != MF_OK) {
        action_complain(&error);
        return 2;
    }
    int code = mf_client_tell(order->client, &order->subject, 1, &message, action_on_items, &status,
                              &error);
    return action_finish(order, code, &error, &status);
}

/* Looking. */

static void on_states(const mf_error *error, const mf_state_record *states, size_t count, bool last,
                      void *arg)
{
    (void)last;
    if (error != NULL)
        *(int *)arg = action_complain(error);
    for (size_t i = 0; error == NULL && i < count; i++) {
        show(stdout, states[i].id);
        putchar('\t');
        show(stdout, states[i].code == MF_OK ? states[i].json : mf_strerror(states[i].code));
        putchar('\n');
    }
}

static void on_state(const mf_error *error, const mf_state_record *states, size_t count, bool last,
                     void *arg)
{
    if (error != NULL || count != 1 || states[0].code == MF_OK) {
        on_states(error, states, count, last, arg);
        return;
    }
    const mf_item_result missing = {.id = states[0].id, .code = states[0].code};
    action_on_items(NULL, &missing, 1, arg);
}

int action_state(const action_order *order)
{
    mf_error error;
    int status = 0;
    int code =
        mf_client_lookup_states(order->client, &order->subject, 1, on_state, &status, &error);
    return action_finish(order, code, &error, &status);
}

int action_states(const action_order *order)
{
    mf_error error;
    int status = 0;
    unsigned wanted = 0;

    for (int code = MF_STATE_RUNNABLE; code <= MF_STATE_FAILED; code++)
        if (strcmp(order->subject, mf_state_text((mf_state_code)code)) == 0)
            wanted = 1u << code;
    if (wanted == 0 && strcmp(order->subject, "all") != 0) {
        fprintf(stderr,
                "koalemosctl: --states: '%s' is not all or a state: runnable, sleeping, "
                "paused, fault, completed, killed, failed\n",
                order->subject);
        return 2;
    }
    int code = mf_client_states(order->client, wanted, on_states, &status, &error);
    return action_finish(order, code, &error, &status);
}

/* Reviving and erasing. */

static int revive(const action_order *order, const char *properties)
{
    const mf_task_spec task = {
        .id = order->subject, .properties = properties, .not_before_us = order->not_before_us};
    mf_error error;
    int status = 0;
    int code = mf_client_revive(order->client, &task, 1, action_on_items, &status, &error);
    return action_finish(order, code, &error, &status);
}

typedef struct found_task {
    char *properties;
    int code, status;
} found_task;

static void on_found(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    found_task *found = arg;

    (void)count;
    (void)last;
    if (error != NULL) {
        found->status = action_complain(error);
        return;
    }
    found->code = tasks[0].code;
    if (tasks[0].properties != NULL)
        found->properties = strdup(tasks[0].properties);
}

/* As it is; a task that is gone has left no properties. */
static int revive_found(const action_order *order)
{
    found_task found = {.code = MF_OK};
    mf_error error;
    int code = mf_client_lookup(order->client, &order->subject, 1, on_found, &found, &error);
    int status = action_finish(order, code, &error, &found.status);

    if (status == 0 && found.code == MF_EGONE) {
        fprintf(stderr, "koalemosctl: %s: %s; say its command to submit it anew\n", order->subject,
                mf_strerror(found.code));
        status = 1;
    } else if (status == 0) {
        status = revive(order, found.properties);
    }
    free(found.properties);
    return status;
}

int action_revive(const action_order *order)
{
    if (order->operands[0] == NULL)
        return revive_found(order);
    char *properties = properties_format(order->operands);
    int status = revive(order, properties);
    free(properties);
    return status;
}

int action_erase(const action_order *order)
{
    mf_error error;
    int status = 0;
    int code = mf_client_erase(order->client, &order->subject, 1, action_on_items, &status, &error);
    return action_finish(order, code, &error, &status);
}
