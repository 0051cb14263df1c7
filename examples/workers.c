/* Each task of the namespace "workers" is a process: `worker ID`, as long as this node owns it.
 *
 *     workers redis://localhost/ ./worker
 *
 * The worker ends with status 0 when its task is done for good, with 75 to have it run elsewhere,
 * and with any other when it has failed: then it is tried again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/metafora.h>
#include <metafora/process.h>

static char **arguments(const mf_task *task, mf_error *error, void *payload)
{
    char **list = calloc(3, sizeof *list);

    (void)error;
    if (list != NULL) {
        list[0] = strdup(payload);
        list[1] = strdup(mf_task_id(task));
    }
    return list;
}

int main(int argc, char **argv)
{
    mf_process_options processes = MF_PROCESS_OPTIONS_INIT;
    mf_state_options states = MF_STATE_OPTIONS_INIT;
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    mf_error error;

    if (argc != 3) {
        fprintf(stderr, "usage: %s URL WORKER\n", argv[0]);
        return 2;
    }
    processes.arguments = arguments;
    processes.payload = argv[2];
    states.retry_ms = 10000;
    options.broker = argv[1];
    options.name_space = "workers";
    options.handler = mf_process_stateful_handler(&processes, &states, &error);
    if (options.handler.version < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], error.text);
        return 1;
    }
    return mf_main(&options);
}
