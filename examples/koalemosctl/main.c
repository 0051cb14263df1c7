/* koalemosctl: submits commands to koalemosd's cluster, and looks at it. */
#include <stdio.h>

#include <metafora/metafora.h>

#include "actions.h"
#include "common/log.h"
#include "common/options.h"
#include "common/show.h"
#include "common/when.h"

/* What to do. All but submitting is asked for by an option, most of them with a subject. */
typedef enum control_verb {
    SUBMIT,
    BATCH,
    LIST,
    NODES,
    EXPLAIN,
    STATE,
    STATES,
    REMOVE,
    ERASE,
    REVIVE,
    COMMAND,
    TELL,
    VERBS
} control_verb;

static const struct {
    int (*act)(const action_order *order);
    bool has_operands;
} verbs[VERBS] = {
    [SUBMIT] = {action_submit, true},    [BATCH] = {action_batch, false},
    [LIST] = {action_list, false},       [NODES] = {action_nodes, false},
    [EXPLAIN] = {action_explain, false}, [STATE] = {action_state, false},
    [STATES] = {action_states, false},   [REMOVE] = {action_remove, false},
    [ERASE] = {action_erase, false},     [REVIVE] = {action_revive, true},
    [COMMAND] = {action_command, true},  [TELL] = {action_tell, true},
};

typedef struct control_flags {
    broker_flags broker;
    const char *id, *at;
    const char *subjects[VERBS]; /* NULL: not asked for */
    bool list, nodes;
} control_flags;

static void on_closed(void *arg)
{
    mf_loop_stop(arg);
}

static int run(const control_flags *flags, control_verb verb, action_order *order)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_loop *loop = NULL;
    mf_broker *broker = NULL;
    mf_error error;
    int status = 1;

    if (mf_loop_new(&loop, &error) != MF_OK)
        goto out;
    mf_loop_set_log(loop, log_to_stderr, "koalemosctl", flags->broker.log);
    options.name_space = flags->broker.name_space;
    if (mf_broker_open(&broker, flags->broker.broker, &options, loop, &error) != MF_OK ||
        mf_client_open(&order->client, broker, &error) != MF_OK)
        goto out;
    status = verbs[verb].act(order);
out:
    if (order->client == NULL)
        show_complaint(NULL, error.text);
    else
        mf_client_close(order->client);
    if (broker != NULL) {
        mf_broker_close(broker, on_closed, loop);
        mf_loop_run(loop);
    }
    if (loop != NULL)
        mf_loop_free(loop);
    return status;
}

/* Returns 0; or the exit status, told. */
static int find_verb(const option_table *table, const control_flags *flags, int operands,
                     control_verb *out)
{
    int asked = 0;

    *out = SUBMIT;
    for (int verb = BATCH; verb < VERBS; verb++) {
        if (flags->subjects[verb] == NULL && !(verb == LIST && flags->list) &&
            !(verb == NODES && flags->nodes))
            continue;
        *out = (control_verb)verb;
        asked++;
    }
    if (asked > 1)
        return options_complain(table, "only one of the options that say what to do is possible");
    if (asked == 0 && operands == 0)
        return options_complain(table, "a command to submit is missing");
    if (!verbs[*out].has_operands && operands > 0)
        return options_complain(table, "of the options that say what to do only --command, --tell "
                                       "and --revive are followed by operands");
    return 0;
}

int main(int argc, char **argv)
{
    control_flags flags = {.broker = BROKER_FLAGS_INIT};
    const option_entry entries[] = {
        BROKER_OPTIONS(&flags.broker),
        {"id", OPTION_TEXT, "ID", &flags.id, 0, 0,
         "the task's id (random); with --batch: ID-1, ID-2, ..."},
        {"at", OPTION_TEXT, "TIME", &flags.at, 0, 0,
         "run it not before: 2030-01-31T12:00:00Z, or +90, +5m, +2h, +1d from now"},
        {"batch", OPTION_TEXT, "FILE", &flags.subjects[BATCH], 0, 0,
         "submit the commands in FILE (-: stdin), one a line"},
        {"list", OPTION_FLAG, NULL, &flags.list, 0, 0,
         "print the tasks: id, node, fence, properties"},
        {"nodes", OPTION_FLAG, NULL, &flags.nodes, 0, 0,
         "print the nodes and how many tasks each holds"},
        {"state", OPTION_TEXT, "ID", &flags.subjects[STATE], 0, 0, "print the state of a task"},
        {"states", OPTION_TEXT, "STATE", &flags.subjects[STATES], 0, 0,
         "print all tasks in a state, or 'all' states"},
        {"tell", OPTION_TEXT, "ID", &flags.subjects[TELL], 0, 0,
         "tell a task: run, pause, kill, sleep TIME, error TEXT, ..."},
        {"remove", OPTION_TEXT, "ID", &flags.subjects[REMOVE], 0, 0,
         "remove a task, also a running one"},
        {"erase", OPTION_TEXT, "ID", &flags.subjects[ERASE], 0, 0, "remove a task and its state"},
        {"revive", OPTION_TEXT, "ID", &flags.subjects[REVIVE], 0, 0,
         "let a task run again that was set aside or has ended; then with its COMMAND"},
        {"explain", OPTION_TEXT, "ID", &flags.subjects[EXPLAIN], 0, 0,
         "say why a task is where it is, and what a balance would move"},
        {"command", OPTION_TEXT, "NODE", &flags.subjects[COMMAND], 0, 0,
         "tell the node: freeze, unfreeze, balance, drain, undrain, stop_task ID"},
    };
    const option_table table = {.program = "koalemosctl",
                                .usage = "[options] COMMAND [ARGUMENT...]",
                                .summary = "Submits COMMAND as a task and prints the task's id.",
                                .entries = entries,
                                .count = sizeof entries / sizeof *entries};
    int status = 0;

    flags.broker.log = MF_LOG_ERROR;
    int first = options_parse(&table, argc, argv, &status);
    if (first < 0)
        return status;
    control_verb verb;
    action_order order = {.operands = argv + first, .id = flags.id};
    status = find_verb(&table, &flags, argc - first, &verb);
    mf_error error;
    if (status == 0 && flags.at != NULL &&
        when_parse(&order.not_before_us, "--at", flags.at, &error) != MF_OK) {
        show_complaint(NULL, error.text);
        status = 2;
    }
    order.subject = flags.subjects[verb];
    return status != 0 ? status : run(&flags, verb, &order);
}
