/* A cluster that is moved from one real broker to another and back while it works. */
#include "migrate_story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/metafora.h>

enum { NODES = 3, MOST = 20000, LIMIT_US = 60000000, LOOK_US = 2000, SUBMIT_US = 10000 };

/* One task, wherever it runs. */
typedef struct life {
    int running;
    bool accepted; /* its submit was answered */
    uint64_t fence;
    int64_t stopped_us, gap_us; /* when it last ended; how long it ran nowhere */
} life;

typedef struct story story;

typedef struct node {
    story *story;
    mf_consumer *consumers[2];
    mf_broker *brokers[2];
} node;

struct story {
    mf_loop *loop;
    node nodes[NODES];
    mf_broker *brokers[2]; /* the migrator's, and the client's */
    mf_client *clients[2];
    mf_migration *migration;
    bool ended;
    int outcome;
    mf_migration_statistics statistics;
    life *lives;
    int count; /* submitted, by numbers from 0 on */
    int running, closed;
    int refused; /* submits that were told that the namespace has moved */
    int pending; /* submits without an answer */
    mf_timer submit;
    bool submits;
    bool (*until)(story *s);
    mf_timer look;
    int64_t deadline_us;
    bool timed_out;
};

/* Waiting. */

static void on_look(void *arg)
{
    story *s = arg;
    int64_t now = mf_loop_now_us(s->loop);

    s->timed_out = now > s->deadline_us;
    if (s->until(s) || s->timed_out)
        mf_loop_stop(s->loop);
    else
        mf_timer_start(s->loop, &s->look, now + LOOK_US);
}

static void await(story *s, const char *what, bool (*until)(story *s))
{
    s->until = until;
    s->deadline_us = mf_loop_now_us(s->loop) + LIMIT_US;
    mf_timer_init(&s->look, on_look, s);
    mf_timer_start(s->loop, &s->look, mf_loop_now_us(s->loop));
    mf_loop_run(s->loop);
    if (s->timed_out)
        fail_msg("%s: not within the time; %d of %d run, moved %llu, error %s", what, s->running,
                 s->count, (unsigned long long)s->statistics.moved,
                 s->migration != NULL ? mf_migration_error(s->migration)->text : "");
}

/* Tasks. */

static life *life_of(story *s, const mf_task *task)
{
    return &s->lives[atoi(mf_task_id(task) + 1)];
}

static void on_start(mf_task *task, void *payload)
{
    story *s = payload;
    life *l = life_of(s, task);

    if (l->running++ != 0)
        fail_msg("%s runs twice", mf_task_id(task));
    if (mf_task_fence(task) <= l->fence)
        fail_msg("%s: its fence does not rise", mf_task_id(task));
    l->fence = mf_task_fence(task);
    if (l->stopped_us != 0)
        l->gap_us = mf_loop_now_us(s->loop) - l->stopped_us;
    s->running++;
}

static void on_stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    story *s = payload;
    life *l = life_of(s, task);

    (void)reason;
    l->running--;
    l->stopped_us = mf_loop_now_us(s->loop);
    s->running--;
    mf_task_finish(task, MF_RELEASE);
}

static void on_consumer(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    story *s = payload;

    (void)consumer;
    if (event == MF_CONSUMER_FAILED)
        fail_msg("a consumer fails: %s", mf_consumer_error(consumer)->text);
    s->closed += event == MF_CONSUMER_CLOSED;
}

static mf_broker *open_broker(story *s, const migrate_end *end, const char *name_space)
{
    const mf_driver *const drivers[] = {end->driver, NULL};
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_broker *broker;
    mf_error error;

    options.name_space = name_space;
    if (mf_broker_open_any(&broker, end->url, &options, s->loop, drivers, &error) != MF_OK)
        fail_msg("%s", error.text);
    return broker;
}

static void open_node(story *s, int i, const migrate_end ends[2])
{
    node *n = &s->nodes[i];
    char name[16];

    snprintf(name, sizeof name, "node%d", i);
    for (int side = 0; side < 2; side++) {
        mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
        mf_error error;
        n->brokers[side] = open_broker(s, &ends[side], "story");
        options.broker_handle = n->brokers[side];
        options.loop = s->loop;
        options.name = name;
        options.handler = mf_evented_handler(on_start, on_stop, s);
        options.balancer = mf_balancer_dumb();
        options.on_event = on_consumer;
        options.payload = s;
        if (mf_consumer_open(&n->consumers[side], &options, &error) != MF_OK)
            fail_msg("%s", error.text);
    }
}

/* The client. */

static void on_submitted(const mf_error *error, const mf_item_result *items, size_t count,
                         void *arg)
{
    story *s = arg;

    s->pending--;
    if (error != NULL && error->code == MF_EMOVED)
        s->refused++;
    else if (error != NULL)
        fail_msg("submit: %s", error->text);
    for (size_t i = 0; error == NULL && i < count; i++) {
        assert_int_equal(items[i].code, MF_OK);
        s->lives[atoi(items[i].id + 1)].accepted = true;
    }
}

static void submit(story *s, int side, int count)
{
    enum { BATCH = 100 };
    char ids[BATCH][16];
    mf_task_spec specs[BATCH];

    while (count > 0) {
        int n = count < BATCH ? count : BATCH;
        assert_true(s->count + n <= MOST);
        for (int i = 0; i < n; i++) {
            snprintf(ids[i], sizeof ids[i], "t%d", s->count++);
            specs[i] = (mf_task_spec){.id = ids[i], .properties = "{\"a\":1}"};
        }
        assert_int_equal(
            mf_client_submit(s->clients[side], specs, (size_t)n, on_submitted, s, NULL), MF_OK);
        s->pending++;
        count -= n;
    }
}

static void on_submit(void *arg)
{
    story *s = arg;

    submit(s, 0, 1);
    mf_timer_start(s->loop, &s->submit, mf_loop_now_us(s->loop) + SUBMIT_US);
}

/* The migration. */

static void on_event(mf_migration *migration, mf_migration_event event, void *payload)
{
    story *s = payload;

    s->statistics.version = MF_MIGRATION_STATISTICS_VERSION;
    mf_migration_get_statistics(migration, &s->statistics);
    if (event != MF_MIGRATION_CLOSED)
        return;
    s->outcome = mf_migration_error(migration)->code;
    if (s->outcome != MF_OK)
        print_error("%s\n", mf_migration_error(migration)->text);
    s->ended = true;
    mf_migration_free(migration);
    s->migration = NULL;
}

static bool has_ended(story *s)
{
    return s->ended;
}

static void migrate(story *s, mf_migration_mode mode, bool live)
{
    mf_migration_options options = MF_MIGRATION_OPTIONS_INIT;
    mf_error error;

    options.from = s->brokers[0];
    options.to = s->brokers[1];
    options.from_url = "old://";
    options.to_url = "new://";
    options.mode = mode;
    options.live = live;
    options.verify = !live;
    options.batch = live ? 0 : 128;
    options.on_event = on_event;
    options.payload = s;
    s->ended = false;
    if (mf_migration_open(&s->migration, &options, &error) != MF_OK)
        fail_msg("%s", error.text);
    int64_t begun = mf_loop_now_us(s->loop);
    await(s, "the migration", has_ended);
    assert_int_equal(s->outcome, MF_OK);
    double seconds = (double)(mf_loop_now_us(s->loop) - begun) / 1e6;
    print_message("%s, %s: %llu tasks in %.2f s, held %.1f ms on average, %.1f ms at most\n",
                  mode == MF_MIGRATE_MOVE ? "moved" : "rolled back", live ? "live" : "offline",
                  (unsigned long long)s->statistics.moved, seconds,
                  (double)s->statistics.held_us_sum / 1000.0 / (double)s->statistics.moved,
                  (double)s->statistics.held_us_max / 1000.0);
}

/* Judging. */

static bool is_answered(story *s)
{
    return s->pending == 0;
}

static bool all_run(story *s)
{
    int accepted = 0;

    for (int i = 0; i < s->count; i++)
        accepted += s->lives[i].accepted;
    return s->pending == 0 && s->running == accepted;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_gaps(story *s)
{
    int64_t *gaps = calloc((size_t)s->count, sizeof *gaps);
    int count = 0;

    for (int i = 0; i < s->count; i++)
        if (s->lives[i].gap_us > 0)
            gaps[count++] = s->lives[i].gap_us;
    qsort(gaps, (size_t)count, sizeof *gaps, compare);
    if (count > 0)
        print_message("not running: p50 %.1f ms, p99 %.1f ms, most %.1f ms, of %d tasks\n",
                      (double)gaps[count / 2] / 1000.0, (double)gaps[count * 99 / 100] / 1000.0,
                      (double)gaps[count - 1] / 1000.0, count);
    free(gaps);
}

static size_t listed;

static void on_page(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                    void *arg)
{
    (void)last;
    (void)arg;
    assert_null(error);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(tasks[i].properties, "{\"a\":1}");
    listed += count;
}

static size_t count_tasks(story *s, int side)
{
    listed = 0;
    mf_client_wait(s->clients[side], NULL); /* the submits, refused ones among them */
    assert_int_equal(mf_client_tasks(s->clients[side], on_page, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_wait(s->clients[side], NULL), MF_OK);
    return listed;
}

/* Beginning and end. */

static story *open_story(const migrate_end ends[2], int nodes)
{
    story *s = calloc(1, sizeof *s);

    assert_int_equal(mf_loop_new(&s->loop, NULL), MF_OK);
    mf_loop_set_log(s->loop, NULL, NULL, MF_LOG_ERROR);
    s->lives = calloc(MOST, sizeof *s->lives);
    mf_timer_init(&s->submit, on_submit, s);
    for (int side = 0; side < 2; side++) {
        s->brokers[side] = open_broker(s, &ends[side], "story");
        assert_int_equal(mf_client_open(&s->clients[side], s->brokers[side], NULL), MF_OK);
    }
    for (int i = 0; i < nodes; i++)
        open_node(s, i, ends);
    return s;
}

static void on_closed(void *arg)
{
    ((story *)arg)->closed++;
}

static bool consumers_closed(story *s)
{
    return s->closed == 2 * NODES;
}

static bool is_closed(story *s)
{
    return s->closed >= 2;
}

static void close_story(story *s, int nodes)
{
    s->closed = 0;
    for (int i = 0; i < nodes; i++)
        for (int side = 0; side < 2; side++)
            mf_consumer_shutdown(s->nodes[i].consumers[side]);
    if (nodes > 0)
        await(s, "the consumers' end", consumers_closed);
    for (int i = 0; i < nodes; i++)
        for (int side = 0; side < 2; side++) {
            mf_consumer_free(s->nodes[i].consumers[side]);
            mf_broker_close(s->nodes[i].brokers[side], NULL, NULL);
        }
    s->closed = 0;
    for (int side = 0; side < 2; side++) {
        mf_client_close(s->clients[side]);
        mf_broker_close(s->brokers[side], on_closed, s);
    }
    await(s, "the brokers' end", is_closed);
    mf_loop_free(s->loop);
    free(s->lives);
    free(s);
}

void migrate_story_live(const migrate_end ends[2], int tasks)
{
    story *s = open_story(ends, NODES);

    submit(s, 0, tasks);
    await(s, "the start of all tasks", all_run);
    mf_timer_start(s->loop, &s->submit, mf_loop_now_us(s->loop));
    migrate(s, MF_MIGRATE_MOVE, true);
    mf_timer_stop(s->loop, &s->submit);
    assert_true(s->refused > 0);
    await(s, "the start of all moved tasks", all_run);
    print_gaps(s);
    assert_int_equal(count_tasks(s, 0), 0);
    assert_int_equal(count_tasks(s, 1), s->running);
    migrate(s, MF_MIGRATE_ROLL_BACK, true);
    await(s, "the start of all tasks that are back", all_run);
    print_gaps(s);
    assert_int_equal(count_tasks(s, 1), 0);
    assert_int_equal(count_tasks(s, 0), s->running);
    close_story(s, NODES);
}

void migrate_story_offline(const migrate_end ends[2], int tasks)
{
    story *s = open_story(ends, 0);

    submit(s, 0, tasks);
    await(s, "the submits", is_answered);
    migrate(s, MF_MIGRATE_MOVE, false);
    assert_int_equal(count_tasks(s, 0), 0);
    assert_int_equal(count_tasks(s, 1), tasks);
    migrate(s, MF_MIGRATE_ROLL_BACK, false);
    assert_int_equal(count_tasks(s, 1), 0);
    assert_int_equal(count_tasks(s, 0), tasks);
    close_story(s, 0);
}
