/* sleep: tasks that sleep by the hundred thousand, wake at one instant, are paused and resumed. */
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "statistics.h"
#include "worker.h"

enum { LIMIT_S = 600, WAKE_LIMIT_S = 60, MOST_WAKING = 10000, SAMPLES = 500 };
static const int64_t FAR_US = INT64_C(86400) * 1000000;
static const int64_t AHEAD_US = INT64_C(8) * 1000000;
static const double PAUSE_S = 0.002, LOOK_S = 1;

typedef struct sleep_bench {
    bench_rig rig;
    mf_broker *broker;
    mf_consumer *consumer;
    rig_client client;
    size_t started, told, awaited;
    double last_start, last_told;
    bool asleep; /* all are: what starts now was woken */
    bool closed;
} sleep_bench;

static void awaited(sleep_bench *me, size_t count)
{
    if (count == me->awaited)
        rig_done(&me->rig);
}

static void on_start(mf_task *task, void *payload)
{
    sleep_bench *me = payload;
    me->started++;
    me->last_start = cpu_now();
    if (!me->asleep) {
        mf_message sleep = mf_message_sleep_until(mf_loop_wall_us(me->rig.loop) + FAR_US);
        mf_task_return(task, &sleep);
    }
    awaited(me, me->started);
}

static void on_message(mf_task *task, const mf_message *message, void *payload)
{
    sleep_bench *me = payload;
    me->told++;
    me->last_told = cpu_now();
    mf_task_return(task, message);
    if (me->asleep)
        awaited(me, me->told);
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    sleep_bench *me = payload;
    if (event == MF_CONSUMER_FAILED)
        bench_fail("%s", mf_consumer_error(consumer)->text);
    me->closed |= event == MF_CONSUMER_CLOSED;
    if (event == MF_CONSUMER_CLOSED)
        rig_done(&me->rig);
}

static void open_consumer(sleep_bench *me, const bench_options *options)
{
    mf_error error;
    mf_state_options states = MF_STATE_OPTIONS_INIT;
    mf_consumer_options consumer = MF_CONSUMER_OPTIONS_INIT;

    states.start = on_start;
    states.on_message = on_message;
    states.payload = me;
    me->broker = rig_broker(&me->rig, "sleep");
    consumer.broker_handle = me->broker;
    consumer.loop = me->rig.loop;
    consumer.name = "bench";
    consumer.lease_ms = (int)options->lease_ms;
    consumer.handler = mf_stateful_handler(&states);
    consumer.balancer = mf_balancer_dumb();
    consumer.on_event = on_event;
    consumer.payload = me;
    if (options->tasks > 200000)
        consumer.max_offers = (int)options->tasks;
    if (mf_consumer_open(&me->consumer, &consumer, &error) != MF_OK)
        bench_fail("%s", error.text);
}

static void await(sleep_bench *me, const size_t *count, size_t least, double limit_s)
{
    me->awaited = least;
    while (*count < least)
        rig_run(&me->rig, limit_s, "not all tasks have started in time");
    me->awaited = 0;
}

static void count_states(const mf_error *error, const mf_state_record *states, size_t count,
                         bool last, void *arg)
{
    (void)states;
    if (error != NULL)
        bench_fail("%s", error->text);
    *(size_t *)arg += count;
    (void)last;
}

static size_t sleeping(sleep_bench *me)
{
    mf_error error;
    size_t count = 0;
    if (mf_client_states(me->client.client, 1u << MF_STATE_SLEEPING, count_states, &count,
                         &error) != MF_OK ||
        mf_client_wait(me->client.client, NULL) != MF_OK)
        bench_fail("states cannot be listed");
    return count;
}

static void await_sleep(sleep_bench *me, size_t count)
{
    await(me, &me->started, count, LIMIT_S);
    double limit = cpu_now() + LIMIT_S;
    while (sleeping(me) < count) {
        if (cpu_now() > limit)
            bench_fail("not all tasks are asleep in time");
        rig_pass(&me->rig, LOOK_S);
    }
    me->asleep = true;
}

static void tell(sleep_bench *me, const mf_task_spec *specs, size_t count, mf_message message)
{
    mf_error error;
    const char **ids = bench_alloc(count, sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = specs[i].id;
    if (mf_client_tell(me->client.client, ids, count, &message, NULL, NULL, &error) != MF_OK)
        bench_fail("%s", error.text);
    free(ids);
}

/* Seconds from the instant at which they all wake to the start of the last. */
static double measure_wake(sleep_bench *me, const rig_tasks *tasks, size_t count)
{
    int64_t at_us = mf_loop_wall_us(me->rig.loop) + AHEAD_US;
    double at = cpu_now() + (double)AHEAD_US / 1e6;
    size_t before = me->started;

    tell(me, tasks->specs, count, mf_message_sleep_until(at_us));
    await(me, &me->started, before + count, WAKE_LIMIT_S);
    return me->last_start - at;
}

/* Milliseconds from a message's call to the handler, for a task that runs. */
static void measure_messages(sleep_bench *me, const mf_task_spec *spec, double *pauses,
                             double *resumes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rig_pass(&me->rig, PAUSE_S);
        double sent = cpu_now();
        tell(me, spec, 1, mf_message_of(MF_MESSAGE_PAUSE));
        await(me, &me->told, me->told + 1, WAKE_LIMIT_S);
        pauses[i] = (me->last_told - sent) * 1e3;
        rig_pass(&me->rig, PAUSE_S);
        sent = cpu_now();
        tell(me, spec, 1, mf_message_of(MF_MESSAGE_RUN));
        await(me, &me->started, me->started + 1, WAKE_LIMIT_S);
        resumes[i] = (me->last_start - sent) * 1e3;
    }
}

typedef struct memory_use {
    double resident, allocated;
} memory_use;

static memory_use read_memory(void)
{
    cpu_trim();
    return (memory_use){cpu_resident(), cpu_allocated()};
}

/* With the embedded broker properties are there twice, and were there once before the consumer. */
static void report_memory(const bench_options *options, const memory_use *empty,
                          const memory_use *submitted, const memory_use *asleep, bool embedded,
                          bench_report *report)
{
    double tasks = (double)options->tasks;
    double properties = options->properties != 0 ? (double)options->properties + 1 : 0;

    report_number(report, "bytes_per_task",
                  (asleep->resident - submitted->resident) / tasks - properties, 1,
                  "bytes, resident, of the consumer");
    report_number(report, "heap_bytes_per_task",
                  (asleep->allocated - submitted->allocated) / tasks - properties, 1,
                  "bytes, allocated");
    report_at_most(report, "bytes_per_task", 600);
    if (embedded) {
        report_number(report, "bytes_with_broker",
                      (asleep->resident - empty->resident) / tasks - 2 * properties, 1,
                      "bytes, resident, with the broker's");
        report_at_most(report, "bytes_with_broker", 600);
    } else {
        report_nothing(report, "bytes_with_broker", "the broker is another process");
    }
}

static void report_messages(sleep_bench *me, const rig_tasks *tasks, bench_report *report)
{
    double *pauses = bench_alloc((size_t)2 * SAMPLES, sizeof *pauses), *resumes = pauses + SAMPLES;

    measure_messages(me, &tasks->specs[0], pauses, resumes, SAMPLES);
    report_number(report, "pause_p50_ms", statistics_percentile(pauses, SAMPLES, 50), 3, "ms");
    report_number(report, "pause_p99_ms", statistics_percentile(pauses, SAMPLES, 99), 3, "ms");
    report_number(report, "resume_p50_ms", statistics_percentile(resumes, SAMPLES, 50), 3, "ms");
    report_number(report, "resume_p99_ms", statistics_percentile(resumes, SAMPLES, 99), 3, "ms");
    report_at_most(report, "pause_p99_ms", 20);
    report_at_most(report, "resume_p99_ms", 20);
    free(pauses);
}

static void close_all(sleep_bench *me, rig_tasks *tasks)
{
    mf_consumer_shutdown(me->consumer);
    while (!me->closed)
        rig_run(&me->rig, LIMIT_S, "the consumer does not close");
    mf_consumer_free(me->consumer);
    rig_broker_close(&me->rig, me->broker);
    rig_client_close(&me->client);
    rig_wipe(&me->rig, "sleep", tasks);
    rig_tasks_free(tasks);
    rig_close(&me->rig);
}

static void run(const bench_options *options, bench_report *report)
{
    sleep_bench me = {.started = 0};
    rig_tasks tasks;
    size_t waking = (size_t)options->tasks < MOST_WAKING ? (size_t)options->tasks : MOST_WAKING;

    rig_open(&me.rig, options, report);
    rig_tasks_make(&tasks, (size_t)options->tasks, (size_t)options->properties);
    rig_client_open(&me.client, &me.rig, "sleep");
    memory_use empty = read_memory();
    rig_client_submit(&me.client, &tasks);
    memory_use submitted = read_memory();
    double begun = cpu_now();
    open_consumer(&me, options);
    await_sleep(&me, tasks.count);
    double asleep_s = cpu_now() - begun;
    rig_pass(&me.rig, (double)options->lease_ms / 2e3);
    memory_use asleep = read_memory();

    report_count(report, "tasks", (double)options->tasks, "tasks");
    report_number(report, "seconds", asleep_s, 3, "s until all are asleep");
    report_memory(options, &empty, &submitted, &asleep, me.rig.embedded, report);
    report_count(report, "waking", (double)waking, "tasks");
    report_number(report, "wake_seconds", measure_wake(&me, &tasks, waking), 3,
                  "s until the last one runs");
    report_at_most(report, "wake_seconds", 1);
    report_messages(&me, &tasks, report);
    close_all(&me, &tasks);
}

const bench_scenario bench_sleep = {
    .name = "sleep",
    .summary = "sleeping tasks: their memory, waking many at once, pause and resume",
    .description =
        "Submits the tasks, opens a consumer with a stateful handler that puts each of them to "
        "sleep, and waits until the broker has all their states. Memory: the growth of the "
        "process's resident memory over the number of tasks, less their properties. Then up to "
        "10,000 are told to sleep until one instant, from which the start of the last one counts; "
        "and one of those that run is paused and resumed, from the call of the client to the "
        "handler.",
    .defaults = {.broker = "private-redis", .tasks = 100000, .lease_ms = 15000},
    .run = run,
};
