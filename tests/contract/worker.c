/* Workers. */
#include "worker.h"

/* One task that runs. */
typedef struct run {
    worker *worker;
    mf_task *task;
    task_log *log;
    mf_timer end;
    struct run *next, *previous;
} run;

static task_log *log_of(crew *all, const mf_task *task)
{
    size_t number = strtoul(mf_task_id(task) + 1, NULL, 10);
    return &all->logs[number < all->count ? number : 0];
}

static void end_run(run *r, mf_outcome outcome)
{
    worker *w = r->worker;

    if (r->previous != NULL)
        r->previous->next = r->next;
    else
        w->runs = r->next;
    if (r->next != NULL)
        r->next->previous = r->previous;
    mf_timer_stop(w->loop, &r->end);
    r->log->owners--;
    w->running--;
    if (outcome == MF_DONE) {
        r->log->dones++;
        w->crew->done++;
    }
    mf_task_finish(r->task, outcome);
    free(r);
    poke(w->crew->c);
}

static void on_linger_end(void *arg)
{
    end_run(arg, MF_RELEASE);
}

static void note_start(task_log *log, uint64_t fence)
{
    log->starts++;
    log->owners++;
    if (log->owners > log->most_owners)
        log->most_owners = log->owners;
    if (fence <= log->fence)
        log->fence_fell = true;
    log->fence = fence;
}

static void on_start(mf_task *task, void *payload)
{
    worker *w = payload;
    run *r = calloc(1, sizeof *r);

    *r = (run){.worker = w, .task = task, .log = log_of(w->crew, task), .next = w->runs};
    if (r->next != NULL)
        r->next->previous = r;
    w->runs = r;
    mf_timer_init(&r->end, on_linger_end, r);
    mf_task_set_data(task, r);
    note_start(r->log, mf_task_fence(task));
    w->running++;
    w->started++;
    if (w->manner == DONE_AT_ONCE)
        end_run(r, MF_DONE);
    poke(w->crew->c);
}

static void on_stop(mf_task *task, mf_stop_reason reason, void *payload)
{
    worker *w = payload;
    run *r = mf_task_data(task);

    w->reason = reason;
    w->stopped_us = mf_loop_now_us(w->loop);
    w->lease_left_ms = mf_task_lease_remaining(task);
    if (w->manner != LINGERS)
        end_run(r, w->manner == DONE_WHEN_STOPPED ? MF_DONE : MF_RELEASE);
    else if (r->end.heap_slot == 0)
        mf_timer_start(w->loop, &r->end, w->stopped_us + w->linger_ms * INT64_C(1000));
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    worker *w = payload;

    (void)consumer;
    w->joined |= event == MF_CONSUMER_JOINED;
    w->failed |= event == MF_CONSUMER_FAILED;
    w->closed |= event == MF_CONSUMER_CLOSED;
    if (w->closed)
        mf_loop_stop(w->loop);
    poke(w->crew->c);
}

crew *crew_new(contract *c, size_t count)
{
    crew *me = keep(c, sizeof *me);
    me->c = c;
    me->count = count;
    me->logs = keep(c, (count + 1) * sizeof *me->logs);
    return me;
}

mf_consumer_options worker_options(contract *c, const char *name)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    options.broker = c->fixture->url(c->fixture);
    options.name_space = c->name_space;
    options.broker_options = (mf_broker_options)MF_BROKER_OPTIONS_INIT;
    options.loop = c->loop;
    options.name = name;
    options.lease_ms = 2000;
    options.balancer = mf_balancer_dumb();
    return options;
}

static bool is_closed(void *arg)
{
    return ((worker *)arg)->closed;
}

void worker_close(worker *w)
{
    contract *c = w->crew->c;

    if (w->consumer == NULL)
        return;
    if (w->manner == LINGERS)
        w->linger_ms = 0;
    for (run *r = w->runs, *next; r != NULL; r = next) {
        next = r->next;
        if (r->end.heap_slot != 0)
            end_run(r, MF_RELEASE);
    }
    mf_consumer_shutdown(w->consumer);
    if (w->loop == c->loop)
        wait_until(c, is_closed, w, REPLY_BOUND_MS);
    else
        while (!w->closed)
            mf_loop_run(w->loop);
    mf_consumer_free(w->consumer);
    w->consumer = NULL;
    if (w->loop != c->loop)
        mf_loop_free(w->loop);
}

static void close_at_end(void *arg)
{
    worker_close(arg);
}

worker *worker_open(crew *all, const mf_consumer_options *options, manner how)
{
    mf_consumer_options filled = *options;
    worker *w = keep(all->c, sizeof *w);
    mf_error error;

    w->crew = all;
    w->loop = options->loop;
    w->manner = how;
    filled.handler = mf_evented_handler(on_start, on_stop, w);
    filled.on_event = on_event;
    filled.payload = w;
    if (mf_consumer_open(&w->consumer, &filled, &error) != MF_OK)
        fail_msg("%s", error.text);
    at_end(all->c, close_at_end, w);
    return w;
}

worker *worker_joined(crew *all, const char *name, manner how)
{
    mf_consumer_options options = worker_options(all->c, name);
    worker *w = worker_open(all, &options, how);
    assert_true(await_worker_joined(w, REPLY_BOUND_MS));
    return w;
}

/* Waiting. */

static void stop_loop(void *arg)
{
    mf_loop_stop(arg);
}

void run_for(mf_loop *loop, int ms)
{
    mf_timer timer;
    mf_timer_init(&timer, stop_loop, loop);
    mf_timer_start(loop, &timer, mf_loop_now_us(loop) + ms * INT64_C(1000));
    mf_loop_run(loop);
    mf_timer_stop(loop, &timer);
}

typedef struct wanted {
    worker *w, *other;
    size_t count;
} wanted;

static bool is_running(void *arg)
{
    wanted *w = arg;
    return w->w->running == w->count;
}

bool await_running(worker *w, size_t count, int bound_ms)
{
    wanted want = {.w = w, .count = count};
    return wait_until(w->crew->c, is_running, &want, bound_ms);
}

static bool is_total(void *arg)
{
    wanted *w = arg;
    return w->w->running + w->other->running == w->count;
}

bool await_total(worker *a, worker *b, size_t count, int bound_ms)
{
    wanted w = {.w = a, .other = b, .count = count};
    return wait_until(a->crew->c, is_total, &w, bound_ms);
}

static bool is_all_done(void *arg)
{
    crew *me = arg;
    return me->done >= me->count;
}

bool await_all_done(crew *all, int bound_ms)
{
    return wait_until(all->c, is_all_done, all, bound_ms);
}

static bool has_failed(void *arg)
{
    return ((worker *)arg)->failed;
}

bool await_worker_failed(worker *w, int bound_ms)
{
    return wait_until(w->crew->c, has_failed, w, bound_ms);
}

static bool has_joined(void *arg)
{
    return ((worker *)arg)->joined;
}

bool await_worker_joined(worker *w, int bound_ms)
{
    return wait_until(w->crew->c, has_joined, w, bound_ms);
}

bool await_worker_closed(worker *w, int bound_ms)
{
    return wait_until(w->crew->c, is_closed, w, bound_ms);
}

void expect_one_owner_each(const crew *all)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->logs[i].most_owners > 1)
            fail_msg("task t%zu had %u owners at a time", i, all->logs[i].most_owners);
        if (all->logs[i].fence_fell)
            fail_msg("task t%zu: its fence did not rise", i);
    }
}
