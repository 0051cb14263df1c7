/* Calls from inside callbacks: in each callback of a node and of its client, each call that the
 * headers allow there. Whatever is called, nothing crashes, every task runs or is given back, and
 * the node closes when it is told to. On the embedded broker in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/driver.h>

#include "cluster.h"

typedef enum place {
    IN_START,
    IN_STOP,
    IN_CAN_CLAIM,
    IN_BALANCE,
    IN_JOINED,
    IN_DRAINED,
    IN_CLOSED,
    IN_SUBMITTED,
    IN_LISTED,
    IN_SHOWN, /* by mf_consumer_tasks */
    PLACES
} place;

static const char *const place_names[PLACES] = {"start",  "stop",    "can_claim", "balance",
                                                "joined", "drained", "closed",    "submitted",
                                                "listed", "shown"};

typedef struct scene scene;
typedef void (*act)(scene *s);

struct scene {
    cluster *cluster;
    mf_loop *loop;
    mf_broker *broker;
    mf_consumer *consumer;
    mf_client *client;
    place place;
    act act;
    int acts;      /* so often it was done */
    bool acting;   /* a call may call back */
    int number;    /* of a task that is submitted */
    int callbacks; /* of the client's calls that are to come */
    bool joined, closed, failed;
    size_t running, started;
    mf_task *tasks[16]; /* running */
};

static void enter(scene *s, place where)
{
    if (where != s->place || s->acting || s->acts >= 3)
        return;
    s->acting = true;
    s->acts++;
    s->act(s);
    s->acting = false;
}

/* The node's callbacks. */

static void end(scene *s, size_t index, mf_outcome outcome)
{
    mf_task *task = s->tasks[index];

    s->tasks[index] = s->tasks[--s->running];
    mf_task_finish(task, outcome);
}

static size_t index_of(const scene *s, const mf_task *task)
{
    size_t i = 0;
    while (i < s->running && s->tasks[i] != task)
        i++;
    return i;
}

static void on_start(mf_task *task, void *payload)
{
    scene *s = payload;

    assert_in_range(s->running, 0, 15);
    s->started++;
    s->tasks[s->running++] = task;
    enter(s, IN_START);
}

static void on_stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    scene *s = payload;

    (void)reason;
    enter(s, IN_STOP);
    size_t index = index_of(s, task);
    if (index < s->running)
        end(s, index, MF_RELEASE);
}

static bool can_claim(void *payload, const mf_balance *balance, const char *id, int64_t *until_us)
{
    (void)balance;
    (void)id;
    (void)until_us;
    enter(payload, IN_CAN_CLAIM);
    return true;
}

static void balance(void *payload, mf_balance *one)
{
    enter(payload, IN_BALANCE);
    if (mf_balance_task(one, 0) != NULL)
        mf_balance_release(one, mf_balance_task(one, 0));
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    scene *s = payload;

    (void)consumer;
    s->joined |= event == MF_CONSUMER_JOINED;
    s->failed |= event == MF_CONSUMER_FAILED;
    s->closed |= event == MF_CONSUMER_CLOSED;
    if (event == MF_CONSUMER_JOINED)
        enter(s, IN_JOINED);
    else if (event == MF_CONSUMER_DRAINED)
        enter(s, IN_DRAINED);
    else if (event == MF_CONSUMER_CLOSED)
        enter(s, IN_CLOSED);
}

/* The client's. */

static void on_items(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    scene *s = arg;

    (void)error;
    (void)items;
    (void)count;
    s->callbacks--;
    enter(s, IN_SUBMITTED);
}

static void on_tasks(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    scene *s = arg;

    (void)error;
    (void)tasks;
    (void)count;
    s->callbacks -= last;
    enter(s, IN_LISTED);
}

static void on_sent(const mf_error *error, void *arg)
{
    (void)error;
    ((scene *)arg)->callbacks--;
}

static bool on_shown(const mf_task_info *info, void *arg)
{
    (void)info;
    enter(arg, IN_SHOWN);
    return true;
}

/* What is called. */

static void submit(scene *s)
{
    char id[16];
    mf_task_spec task = {.id = id};

    snprintf(id, sizeof id, "new-%d", s->number++);
    assert_int_equal(mf_client_submit(s->client, &task, 1, on_items, s, NULL), MF_OK);
    s->callbacks++;
}

static void remove_first(scene *s)
{
    const char *id = "t0";

    assert_int_equal(mf_client_remove(s->client, &id, 1, on_items, s, NULL), MF_OK);
    s->callbacks++;
}

static void list(scene *s)
{
    assert_int_equal(mf_client_tasks(s->client, on_tasks, s, NULL), MF_OK);
    s->callbacks++;
}

static void wait_for_client(scene *s)
{
    assert_int_equal(mf_client_wait(s->client, NULL), MF_EINVAL);
}

static void send_command(scene *s, mf_command_verb verb)
{
    mf_command command = {.verb = verb, .task = verb == MF_COMMAND_STOP_TASK ? "t1" : NULL};

    assert_int_equal(mf_client_command(s->client, "a", &command, on_sent, s, NULL), MF_OK);
    s->callbacks++;
}

static void command_stop(scene *s)
{
    send_command(s, MF_COMMAND_STOP_TASK);
}

static void command_balance(scene *s)
{
    send_command(s, MF_COMMAND_BALANCE);
}

static void other_client(scene *s)
{
    mf_client *other;

    assert_int_equal(mf_client_open(&other, s->broker, NULL), MF_OK);
    assert_int_equal(mf_client_tasks(other, on_tasks, s, NULL), MF_OK);
    s->callbacks++;
    mf_client_close(other);
}

static void shut_down(scene *s)
{
    mf_consumer_shutdown(s->consumer);
    mf_consumer_shutdown(s->consumer);
}

static void shut_down_for_restart(scene *s)
{
    mf_consumer_shutdown_for_restart(s->consumer);
}

static void fail_consumer(scene *s)
{
    mf_error why;

    mf_error_set(&why, MF_EREFUSED, "as the test says");
    mf_consumer_fail(s->consumer, &why);
}

static void freeze(scene *s)
{
    mf_consumer_freeze(s->consumer);
    mf_consumer_unfreeze(s->consumer);
}

static void drain(scene *s)
{
    mf_consumer_drain(s->consumer);
    mf_consumer_undrain(s->consumer);
}

static void drain_on(scene *s)
{
    mf_consumer_drain(s->consumer);
}

static void balance_now(scene *s)
{
    mf_consumer_balance(s->consumer);
}

static void stop_all(scene *s)
{
    for (int i = 0; i < 4; i++) {
        char id[8];
        snprintf(id, sizeof id, "t%d", i);
        int code = mf_consumer_stop_task(s->consumer, id);
        assert_true(code == MF_OK || code == MF_EGONE);
    }
}

/* All that run, the one whose callback this may be among them; not where the balancer or a listing
 * is at work on them. */
static void finish_all(scene *s)
{
    if (s->place != IN_CAN_CLAIM && s->place != IN_BALANCE && s->place != IN_SHOWN)
        while (s->running > 0)
            end(s, 0, MF_DONE);
}

static void look(scene *s)
{
    mf_consumer_statistics statistics = MF_CONSUMER_STATISTICS_INIT;
    mf_explanation explanation = MF_EXPLANATION_INIT;

    mf_consumer_get_statistics(s->consumer, &statistics);
    mf_consumer_explain(s->consumer, "t0", &explanation);
    mf_consumer_tasks(s->consumer, on_shown, s);
}

/* Another node, which goes again. */
static scene other;

static void open_another(scene *s)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    if (other.consumer != NULL)
        return;
    other = (scene){.place = PLACES};
    options.broker_handle = s->broker;
    options.loop = s->loop;
    options.name = "b";
    options.handler = mf_evented_handler(on_start, on_stop, &other);
    options.on_event = on_event;
    options.payload = &other;
    assert_int_equal(mf_consumer_open(&other.consumer, &options, NULL), MF_OK);
    mf_consumer_shutdown(other.consumer);
}

static const struct {
    const char *name;
    act act;
} acts[] = {{"submit", submit},
            {"remove", remove_first},
            {"list", list},
            {"wait", wait_for_client},
            {"stop by command", command_stop},
            {"balance by command", command_balance},
            {"another client", other_client},
            {"shutdown", shut_down},
            {"shutdown for restart", shut_down_for_restart},
            {"fail", fail_consumer},
            {"freeze", freeze},
            {"drain and undrain", drain},
            {"drain", drain_on},
            {"balance", balance_now},
            {"stop", stop_all},
            {"finish", finish_all},
            {"look", look},
            {"another consumer", open_another}};

/* The scene: tasks are submitted, run, balanced, listed, drained, and the node is closed. */

static void open_consumer(scene *s)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;

    options.broker_handle = s->broker;
    options.loop = s->loop;
    options.name = "a";
    options.handler = mf_evented_handler(on_start, on_stop, s);
    options.balancer = (mf_balancer){
        .version = MF_BALANCER_VERSION, .can_claim = can_claim, .balance = balance, .payload = s};
    options.on_event = on_event;
    options.payload = s;
    assert_int_equal(mf_consumer_open(&s->consumer, &options, NULL), MF_OK);
}

static void submit_first(scene *s)
{
    static const mf_task_spec tasks[] = {{.id = "t0"}, {.id = "t1"}, {.id = "t2"}, {.id = "t3"}};

    assert_int_equal(mf_client_submit(s->client, tasks, 4, on_items, s, NULL), MF_OK);
    s->callbacks++;
}

/* Called from the loop, as callbacks are. */
static void list_and_show(void *arg)
{
    scene *s = arg;

    list(s);
    if (!s->closed)
        mf_consumer_tasks(s->consumer, on_shown, s);
}

static void play(scene *s)
{
    open_consumer(s);
    submit_first(s);
    cluster_run_ms(s->cluster, 3000);
    assert_int_equal(mf_loop_post(s->loop, list_and_show, s), MF_OK);
    cluster_run_ms(s->cluster, 40000);
    while (s->running > 0)
        end(s, 0, MF_DONE);
    if (!s->closed)
        mf_consumer_drain(s->consumer);
    cluster_run_ms(s->cluster, 40000);
    if (!s->closed)
        mf_consumer_shutdown(s->consumer);
    cluster_run_ms(s->cluster, 40000);
}

static void check_scene(scene *s, const char *name)
{
    if (!s->closed || s->running != 0 || s->callbacks != 0)
        fail_msg("%s in %s: closed %d, running %zu, callbacks to come %d", name,
                 place_names[s->place], s->closed, s->running, s->callbacks);
}

static size_t play_all(place where)
{
    size_t acted = 0;

    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        scene s = {.cluster = cluster_new(i + 1), .place = where, .act = acts[i].act};
        s.loop = s.cluster->client_loop;
        s.broker = s.cluster->client_broker;
        s.client = s.cluster->client;
        play(&s);
        check_scene(&s, acts[i].name);
        acted += s.acts > 0;
        assert_true(other.consumer == NULL || other.closed);
        mf_consumer_free(other.consumer);
        other.consumer = NULL;
        mf_consumer_free(s.consumer);
        cluster_free(s.cluster);
    }
    return acted;
}

static void everything_everywhere(void **state)
{
    (void)state;
    for (int where = 0; where < PLACES; where++)
        assert_int_equal(play_all((place)where), sizeof acts / sizeof *acts);
}

/* The consumer may be freed where it says that it has closed. */
static void free_it(scene *s)
{
    mf_consumer_free(s->consumer);
    s->consumer = NULL;
}

static void freed_when_closed(void **state)
{
    (void)state;
    scene s = {.cluster = cluster_new(1), .place = IN_CLOSED, .act = free_it};
    s.loop = s.cluster->client_loop;
    s.broker = s.cluster->client_broker;
    s.client = s.cluster->client;
    play(&s);
    assert_null(s.consumer);
    cluster_free(s.cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_everywhere),
        cmocka_unit_test(freed_when_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
