/* metafora-demo: tasks on three nodes; one node is lost, and the others take over what it had. */
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <event2/thread.h>

#include <metafora/driver.h>
#include <metafora/metafora.h>

#include "board.h"
#include "common/log.h"
#include "script.h"
#include "stage.h"
#include "tail.h"

enum { GATHER_MS = 20, SETTLE_MS = 1000, LOSE_AFTER_MS = 1500, PATIENCE_MS = 30000 };

static const char *const names[STAGE_NODES] = {"node-a", "node-b", "node-c"};

typedef struct demo {
    stage *stage;
    char directory[64];
    script script;
    board *board;
    tail *tail;
    struct event_base *base;
    mf_loop *loop;
    mf_broker *broker;
    mf_client *client;
    mf_timer gather, submit, lose, patience;
    bool losing;
    int status;
} demo;

static void end(demo *me, int status)
{
    me->status = status;
    mf_loop_stop(me->loop);
}

static void give_up(demo *me, const char *text)
{
    fprintf(stderr, "metafora-demo: %s\n", text);
    end(me, 1);
}

static void start_timer(demo *me, mf_timer *timer, int ms)
{
    mf_timer_start(me->loop, timer, mf_loop_now_us(me->loop) + (int64_t)ms * 1000);
}

static void on_submitted(const mf_error *error, const mf_item_result *items, size_t count,
                         void *arg)
{
    demo *me = arg;

    (void)items;
    if (error != NULL)
        give_up(me, error->text);
    else
        board_say(me->board, NULL, "%zu tasks submitted", count);
}

static void submit(void *arg)
{
    demo *me = arg;
    mf_error error;
    if (mf_client_submit(me->client, me->script.tasks, me->script.count, on_submitted, me,
                         &error) != MF_OK)
        give_up(me, error.text);
}

static void on_nodes(const mf_error *error, const mf_node *nodes, size_t count, void *arg)
{
    demo *me = arg;

    (void)nodes;
    if (error != NULL)
        give_up(me, error->text);
    else if (count < STAGE_NODES)
        start_timer(me, &me->gather, GATHER_MS);
    else
        start_timer(me, &me->submit, SETTLE_MS);
}

/* Nothing is submitted before all nodes are there, and have had time to see each other: they share
 * the work from the start then. */
static void gather(void *arg)
{
    demo *me = arg;
    mf_error error;
    if (mf_client_nodes(me->client, on_nodes, me, &error) != MF_OK)
        give_up(me, error.text);
}

static void lose(void *arg)
{
    demo *me = arg;
    const char *victim = board_busiest(me->board);

    board_say(me->board, victim, "*** %s, with %zu tasks ***", me->stage->how,
              board_running(me->board, victim));
    board_lose(me->board, victim);
    for (int i = 0; i < STAGE_NODES; i++)
        if (strcmp(names[i], victim) == 0)
            me->stage->lose(i);
}

static void on_task_event(const board_event *event, void *arg)
{
    demo *me = arg;

    board_note(me->board, event);
    if (!me->losing && board_all_claimed(me->board)) {
        me->losing = true;
        start_timer(me, &me->lose, LOSE_AFTER_MS);
    }
    if (board_all_done(me->board))
        end(me, 0);
}

static void on_patience(void *arg)
{
    give_up(arg, "the tasks are not done in time");
}

static void on_signal(void *arg)
{
    end(arg, 130);
}

static int set_up_board(demo *me, mf_error *error)
{
    int failed = (me->board = board_new(me->directory)) == NULL;

    for (int i = 0; !failed && i < STAGE_NODES; i++)
        failed = board_add_node(me->board, names[i]);
    for (size_t i = 0; !failed && i < me->script.count; i++)
        failed = board_add_task(me->board, me->script.tasks[i].id);
    return failed ? mf_error_set(error, MF_ENOMEM, "out of memory") : MF_OK;
}

static int set_up_loop(demo *me, mf_error *error)
{
    char events[96];

    snprintf(events, sizeof events, "%s/events", me->directory);
    evthread_use_pthreads();
    me->base = event_base_new();
    if (me->base == NULL || tail_open(&me->tail, me->base, events, on_task_event, me) != 0)
        return mf_error_set(error, MF_ESYSTEM, "%s: %s", events, strerror(errno));
    int code = mf_loop_from_event_base(&me->loop, me->base, error);
    if (code != MF_OK)
        return code;
    mf_loop_set_log(me->loop, log_to_stderr, "metafora-demo", MF_LOG_WARN);
    mf_loop_on_signal(me->loop, SIGINT, on_signal, me);
    mf_loop_on_signal(me->loop, SIGTERM, on_signal, me);
    mf_timer_init(&me->gather, gather, me);
    mf_timer_init(&me->submit, submit, me);
    mf_timer_init(&me->lose, lose, me);
    mf_timer_init(&me->patience, on_patience, me);
    return MF_OK;
}

static int set_up_client(demo *me, mf_error *error)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;

    options.name_space = "demo";
    int code = mf_broker_open(&me->broker, me->stage->url, &options, me->loop, error);
    if (code == MF_OK)
        code = mf_client_open(&me->client, me->broker, error);
    return code;
}

static void on_broker_closed(void *arg)
{
    mf_loop_stop(arg);
}

static void tear_down_loop(demo *me)
{
    if (me->client != NULL)
        mf_client_close(me->client);
    if (me->broker != NULL) {
        mf_broker_close(me->broker, on_broker_closed, me->loop);
        mf_loop_run(me->loop);
    }
    if (me->loop != NULL) {
        mf_timer_stop(me->loop, &me->gather);
        mf_timer_stop(me->loop, &me->submit);
        mf_timer_stop(me->loop, &me->lose);
        mf_timer_stop(me->loop, &me->patience);
        mf_loop_free(me->loop);
    }
    if (me->tail != NULL)
        tail_close(me->tail);
    if (me->base != NULL)
        event_base_free(me->base);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static void run(demo *me, const char *tasks)
{
    mf_error error;

    /* The stage first: it forks, and makes threads after that. */
    if (script_read(&me->script, tasks, &error) != MF_OK || set_up_board(me, &error) != MF_OK ||
        me->stage->set_up(me->directory, names, &error) != MF_OK ||
        set_up_loop(me, &error) != MF_OK || set_up_client(me, &error) != MF_OK) {
        fprintf(stderr, "metafora-demo: %s\n", error.text);
        me->status = 1;
    } else {
        board_say(me->board, NULL, "%s; leases of %d s", me->stage->what, STAGE_LEASE_MS / 1000);
        start_timer(me, &me->gather, 0);
        start_timer(me, &me->patience, PATIENCE_MS);
        mf_loop_run(me->loop);
        board_sum_up(me->board);
    }
    me->stage->tear_down();
    tear_down_loop(me);
    board_free(me->board);
    script_clear(&me->script);
}

int main(int argc, char **argv)
{
    demo me = {.directory = "/tmp/metafora-demo-XXXXXX"};
    stage *const stages[] = {&stage_embedded, &stage_redis, &stage_etcd};

    for (size_t i = 0; argc > 1 && i < sizeof stages / sizeof *stages; i++)
        if (strcmp(argv[1], stages[i]->name) == 0)
            me.stage = stages[i];
    if (me.stage == NULL || argc > 3) {
        fprintf(stderr, "usage: metafora-demo embedded|redis|etcd [TASKS-FILE]\n");
        return 2;
    }
    if (mkdtemp(me.directory) == NULL) {
        fprintf(stderr, "metafora-demo: %s: %s\n", me.directory, strerror(errno));
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    run(&me, argc > 2 ? argv[2] : DEMO_TASKS);
    nftw(me.directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return me.status;
}
