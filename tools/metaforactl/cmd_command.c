/* metaforactl command: tells a node to freeze, drain, balance and the like. */
#include <string.h>

#include "commands.h"
#include "common/orders.h"
#include "common/show.h"
#include "json.h"
#include "nodes.h"

static void on_sent(const mf_error *error, void *arg)
{
    if (error != NULL)
        *(int *)arg = ctl_complain(error);
}

/* A command to a name that no node has would wait for ten minutes and be forgotten. */
static int check_node(ctl_run *ctl, const char *name)
{
    node_list list;
    int status = node_list_read(&list, ctl);

    if (status != CTL_DONE)
        return status;
    if (node_list_find(&list, name) == SIZE_MAX) {
        show_complaint(name, mf_strerror(MF_ENONODE));
        status = CTL_NOT_ALL;
    }
    node_list_clear(&list);
    return status;
}

static void tell(const ctl_run *ctl, const char *node, const char *verb)
{
    json out = {.to = stdout};

    if (!ctl->json) {
        show(stdout, node);
        printf(": %s sent\n", verb);
        return;
    }
    json_open(&out, NULL, '{');
    json_text(&out, "node", node);
    json_text(&out, "result", "sent");
    json_text(&out, "command", verb);
    json_close(&out, '}');
    json_line(&out);
}

static int run(ctl_run *ctl, char **operands)
{
    mf_command command;
    mf_error error;

    if (order_command(&command, "the node's name", operands + 1, &error) != MF_OK)
        return options_complain(ctl->table, "%s", error.text);
    int status = check_node(ctl, operands[0]);
    if (status != CTL_DONE)
        return status;
    int code = mf_client_command(ctl->client, operands[0], &command, on_sent, &status, &error);
    status = ctl_finish(ctl, code, &error, &status);
    if (status == CTL_DONE)
        tell(ctl, operands[0], mf_command_verb_text(command.verb));
    return status;
}

const ctl_command command_command = {
    .name = "command",
    .usage = "[options] NODE freeze|unfreeze|balance|drain|undrain|stop_task ID",
    .summary = "Tells a node to claim nothing more, to give all its tasks away, ...",
    .least = 1,
    .most = 3,
    .run = run,
};
