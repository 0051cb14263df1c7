/* The nodes as threads of this process, on the broker in its memory. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <metafora/driver.h>

#include "common/log.h"
#include "node.h"
#include "stage.h"

typedef struct actor {
    koa_node *node;
    pthread_t thread;
    bool running, lost;
} actor;

static actor actors[STAGE_NODES];
static char events[128];

static void *run(void *arg)
{
    actor *me = arg;
    node_run(me->node);
    return NULL;
}

/* All guards are forked before there is a thread. */
static int set_up(const char *directory, const char *const *names, mf_error *error)
{
    koa_node_options options = {.broker = stage_embedded.url,
                                .name_space = "demo",
                                .log_directory = directory,
                                .events = events,
                                .lease_ms = STAGE_LEASE_MS,
                                .log = log_to_stderr,
                                .log_level = MF_LOG_ERROR};
    int code = MF_OK;

    snprintf(events, sizeof events, "%s/events", directory);
    for (int i = 0; i < STAGE_NODES && code == MF_OK; i++) {
        options.name = names[i];
        code = node_new(&actors[i].node, &options, error);
    }
    for (int i = 0; i < STAGE_NODES && code == MF_OK; i++)
        code = node_open(actors[i].node, error);
    for (int i = 0; i < STAGE_NODES && code == MF_OK; i++) {
        actors[i].running = pthread_create(&actors[i].thread, NULL, run, &actors[i]) == 0;
        if (!actors[i].running)
            code = mf_error_set(error, MF_ESYSTEM, "no thread");
    }
    return code;
}

static void halt(void *arg)
{
    mf_loop_stop(arg);
}

/* Its loop just ends: nobody renews, nobody closes, as in a process that hangs. What is left of it
 * stays in memory until the end of the process. */
static void lose(int number)
{
    actor *lost = &actors[number];
    mf_loop_post(node_loop(lost->node), halt, node_loop(lost->node));
    pthread_join(lost->thread, NULL);
    lost->running = false;
    lost->lost = true;
}

static void tear_down(void)
{
    for (int i = 0; i < STAGE_NODES; i++)
        if (actors[i].running)
            node_shutdown(actors[i].node);
    for (int i = 0; i < STAGE_NODES; i++) {
        if (!actors[i].running)
            continue;
        pthread_join(actors[i].thread, NULL);
        node_free(actors[i].node);
        actors[i].running = false;
    }
}

stage stage_embedded = {
    .name = "embedded",
    .what = "three nodes in one process, on the broker in its memory",
    .how = "hangs: its thread stops",
    .set_up = set_up,
    .lose = lose,
    .tear_down = tear_down,
    .url = "embedded://demo",
};
