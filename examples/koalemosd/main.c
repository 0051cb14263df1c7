/* koalemosd: a node that runs tasks as OS processes. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/options.h"
#include "node.h"

typedef struct koalemosd {
    koa_node *node;
    bool stopping;
} koalemosd;

/* The first signal gives the tasks back; whoever sends a second one does not want to wait. The
 * guard ends the processes. */
static void on_signal(void *arg)
{
    koalemosd *me = arg;

    if (me->stopping)
        _exit(130);
    me->stopping = true;
    node_shutdown(me->node);
}

static int parse(koa_node_options *node, int argc, char **argv, int *status)
{
    broker_flags broker = BROKER_FLAGS_INIT;
    const option_entry entries[] = {
        BROKER_OPTIONS(&broker),
        {"name", OPTION_TEXT, "NAME", &node->name, 0, 0,
         "this node's, unique in the namespace (host name and process id)"},
        {"takeover", OPTION_FLAG, NULL, &node->takeover, 0, 0,
         "the process that last had the name is dead: do not wait for its lease"},
        {"wait", OPTION_FLAG, NULL, &node->wait_for_broker, 0, 0,
         "wait for a broker that cannot be reached at the start"},
        {"lease-ms", OPTION_NUMBER, "N", &node->lease_ms, 2000, 3600000,
         "how long a task stays with a node that is not heard of (15000)"},
        {"stop-grace-ms", OPTION_NUMBER, "N", &node->stop_grace_ms, 100, 3600000,
         "stop tasks this long before a lease that cannot be renewed ends (lease / 4)"},
        {"kill-grace-ms", OPTION_NUMBER, "N", &node->kill_grace_ms, 1, 3600000,
         "from SIGINT to SIGKILL when a task is stopped (lease / 8)"},
        {"stateful", OPTION_FLAG, NULL, &node->stateful, 0, 0,
         "keep the tasks' states: they can be paused, and failures are tried again"},
        {"max-errors", OPTION_NUMBER, "N", &node->max_errors, 1, 1000,
         "with --stateful: a task fails at so many errors within four hours (8)"},
        {"retry-s", OPTION_NUMBER, "N", &node->retry_s, 1, 1000000,
         "with --stateful: seconds from an error to the next try (600)"},
        {"log-dir", OPTION_TEXT, "DIR", &node->log_directory, 0, 0,
         "where the output of task ID goes, to ID.log (.)"},
        {"events", OPTION_TEXT, "FILE", &node->events, 0, 0,
         "append a JSON line for each start and end of a task to FILE"},
    };
    const option_table table = {.program = "koalemosd",
                                .usage = "[options]",
                                .summary =
                                    "Runs tasks such as {\"args\":[\"sleep\",\"3\"]} as processes.",
                                .entries = entries,
                                .count = sizeof entries / sizeof *entries};

    int operand = options_parse(&table, argc, argv, status);
    if (operand >= 0 && operand < argc)
        *status = options_complain(&table, "'%s': takes no operands", argv[operand]);
    node->broker = broker.broker;
    node->name_space = broker.name_space;
    node->log_level = broker.log;
    return operand == argc ? 0 : -1;
}

static int run(koalemosd *me)
{
    mf_error error;
    int status = 1;

    if (node_open(me->node, &error) != MF_OK) {
        fprintf(stderr, "koalemosd: %s\n", error.text);
    } else {
        mf_loop_on_signal(node_loop(me->node), SIGINT, on_signal, me);
        mf_loop_on_signal(node_loop(me->node), SIGTERM, on_signal, me);
        status = node_run(me->node);
        mf_loop_on_signal(node_loop(me->node), SIGINT, NULL, NULL);
        mf_loop_on_signal(node_loop(me->node), SIGTERM, NULL, NULL);
    }
    node_free(me->node);
    return status;
}

int main(int argc, char **argv)
{
    koa_node_options options = {.log_directory = ".", .lease_ms = 15000, .log = log_to_stderr};
    koalemosd me = {.stopping = false};
    char host[200] = "localhost", name[256];
    mf_error error;
    int status = 0;

    gethostname(host, sizeof host - 1);
    snprintf(name, sizeof name, "%s-%d", host, (int)getpid());
    options.name = name;
    if (parse(&options, argc, argv, &status) != 0)
        return status;
    if (access(options.log_directory, W_OK | X_OK) != 0) {
        fprintf(stderr, "koalemosd: --log-dir: %s: %s\n", options.log_directory, strerror(errno));
        return 1;
    }
    if (node_new(&me.node, &options, &error) != MF_OK) {
        fprintf(stderr, "koalemosd: %s\n", error.text);
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    return run(&me);
}
