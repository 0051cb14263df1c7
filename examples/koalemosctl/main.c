/* koalemosctl: submits commands to koalemosd's cluster, and looks at it. */
#include <stdio.h>

#include <metafora/metafora.h>

#include "../common/log.h"
#include "../common/options.h"
#include "actions.h"

typedef struct control_flags {
    broker_flags broker;
    const char *id, *batch, *remove, *revive, *explain, *command;
    bool list, nodes;
} control_flags;

static int act(const control_flags *flags, mf_client *client, char **operands)
{
    if (flags->list)
        return action_list(client);
    if (flags->nodes)
        return action_nodes(client);
    if (flags->remove != NULL)
        return action_remove(client, flags->remove);
    if (flags->revive != NULL)
        return action_revive(client, flags->revive);
    if (flags->explain != NULL)
        return action_explain(client, flags->explain);
    if (flags->command != NULL)
        return action_command(client, flags->command, operands);
    if (flags->batch != NULL)
        return action_batch(client, flags->batch, flags->id);
    return action_submit(client, flags->id, operands);
}

static void on_closed(void *arg)
{
    mf_loop_stop(arg);
}

static int run(const control_flags *flags, char **operands)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_loop *loop = NULL;
    mf_broker *broker = NULL;
    mf_client *client = NULL;
    mf_error error;
    int status = 1;

    if (mf_loop_new(&loop, &error) != MF_OK)
        goto out;
    mf_loop_set_log(loop, log_to_stderr, "koalemosctl", flags->broker.log);
    options.name_space = flags->broker.name_space;
    if (mf_broker_open(&broker, flags->broker.broker, &options, loop, &error) != MF_OK ||
        mf_client_open(&client, broker, &error) != MF_OK)
        goto out;
    status = act(flags, client, operands);
out:
    if (client == NULL)
        fprintf(stderr, "koalemosctl: %s\n", error.text);
    else
        mf_client_close(client);
    if (broker != NULL) {
        mf_broker_close(broker, on_closed, loop);
        mf_loop_run(loop);
    }
    if (loop != NULL)
        mf_loop_free(loop);
    return status;
}

static int check(const option_table *table, const control_flags *flags, int operands)
{
    int actions = flags->list + flags->nodes + (flags->remove != NULL) + (flags->batch != NULL) +
                  (flags->revive != NULL) + (flags->explain != NULL) + (flags->command != NULL);
    if (actions > 1)
        return options_complain(table, "only one of the options that say what to do is possible");
    if (actions == 0 && operands == 0)
        return options_complain(table, "a command to submit is missing");
    if (actions == 1 && flags->command == NULL && operands > 0)
        return options_complain(table, "of the options that say what to do only --command is "
                                       "followed by operands");
    return 0;
}

int main(int argc, char **argv)
{
    control_flags flags = {.broker = BROKER_FLAGS_INIT};
    const option_entry entries[] = {
        BROKER_OPTIONS(&flags.broker),
        {"id", OPTION_TEXT, "ID", &flags.id, 0, 0,
         "the task's id (random); with --batch: ID-1, ID-2, ..."},
        {"batch", OPTION_TEXT, "FILE", &flags.batch, 0, 0,
         "submit the commands in FILE (-: stdin), one a line"},
        {"list", OPTION_FLAG, NULL, &flags.list, 0, 0,
         "print the tasks: id, node, fence, properties"},
        {"nodes", OPTION_FLAG, NULL, &flags.nodes, 0, 0,
         "print the nodes and how many tasks each holds"},
        {"remove", OPTION_TEXT, "ID", &flags.remove, 0, 0, "remove a task, also a running one"},
        {"revive", OPTION_TEXT, "ID", &flags.revive, 0, 0,
         "let a task run again that was set aside after crashes"},
        {"explain", OPTION_TEXT, "ID", &flags.explain, 0, 0,
         "say why a task is where it is, and what a balance would move"},
        {"command", OPTION_TEXT, "NODE", &flags.command, 0, 0,
         "tell the node: freeze, unfreeze, balance, drain, undrain, stop_task ID"},
    };
    const option_table table = {"koalemosctl", "[options] COMMAND [ARGUMENT...]",
                                "Submits COMMAND as a task and prints the task's id.", entries,
                                sizeof entries / sizeof *entries};
    int status = 0;

    flags.broker.log = MF_LOG_ERROR;
    int first = options_parse(&table, argc, argv, &status);
    if (first < 0)
        return status;
    status = check(&table, &flags, argc - first);
    return status != 0 ? status : run(&flags, argv + first);
}
