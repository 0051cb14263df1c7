/* A consumer in this process whose tasks do nothing but exist. */
#include "worker.h"

enum { JOIN_LIMIT_S = 60, CLOSE_LIMIT_S = 120 };

static void on_start(mf_task *task, void *payload)
{
    bench_worker *worker = payload;
    worker->running++;
    worker->started++;
    if (worker->starting != NULL)
        worker->starting(worker, task);
    if (worker->started == worker->awaited)
        rig_done(worker->rig);
}

static void on_stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    bench_worker *worker = payload;
    if (worker->stopping != NULL && reason != MF_STOP_SHUTDOWN)
        worker->stopping(worker, task, reason);
    else
        worker_finish(worker, task, MF_RELEASE);
}

void worker_finish(bench_worker *worker, mf_task *task, mf_outcome outcome)
{
    worker->running--;
    mf_task_finish(task, outcome);
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    bench_worker *worker = payload;
    switch (event) {
    case MF_CONSUMER_JOINED:
        worker->joined = true;
        rig_done(worker->rig);
        break;
    case MF_CONSUMER_FAILED:
        bench_fail("%s: %s", mf_consumer_name(consumer), mf_consumer_error(consumer)->text);
    case MF_CONSUMER_CLOSED:
        mf_consumer_free(consumer);
        worker->consumer = NULL;
        rig_done(worker->rig);
        break;
    default:
        break;
    }
}

void worker_open(bench_worker *worker, bench_rig *rig, const char *name_space, const char *name,
                 mf_balancer balancer)
{
    mf_error error;
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    worker->rig = rig;
    worker->broker = rig_broker(rig, name_space);
    options.broker_handle = worker->broker;
    options.loop = rig->loop;
    options.name = name;
    options.lease_ms = (int)rig->options->lease_ms;
    options.handler = mf_evented_handler(on_start, on_stop, worker);
    options.balancer = balancer;
    options.on_event = on_event;
    options.payload = worker;
    if (rig->options->tasks > 200000)
        options.max_offers = (int)rig->options->tasks;
    if (mf_consumer_open(&worker->consumer, &options, &error) != MF_OK)
        bench_fail("%s", error.text);
}

void worker_await_join(bench_worker *worker)
{
    while (!worker->joined)
        rig_run(worker->rig, JOIN_LIMIT_S, "the consumer does not join");
}

void worker_await_starts(bench_worker *worker, size_t count, double limit_s)
{
    worker->awaited = count;
    while (worker->started < count)
        rig_run(worker->rig, limit_s, "not all tasks have started in time");
    worker->awaited = 0;
}

void worker_close(bench_worker *worker)
{
    mf_consumer_shutdown(worker->consumer);
    while (worker->consumer != NULL)
        rig_run(worker->rig, CLOSE_LIMIT_S, "the consumer does not close");
    rig_broker_close(worker->rig, worker->broker);
}
