/* One seeded run of a whole cluster under faults: beginning and end. */
#include "sim.h"

#include <stdarg.h>
#include <stdlib.h>

#include "consumer/internal.h"
#include "sim_internal.h"

int64_t sim_pick(sim *s, int64_t limit)
{
    return (int64_t)(mf_loop_random(s->fate) % (uint64_t)limit);
}

int64_t sim_now_us(const sim *s)
{
    return virtual_world_now_us(s->world);
}

void sim_violated(sim *s, const char *format, ...)
{
    va_list arguments;

    if (sim_failed(s) || s->over)
        return;
    va_start(arguments, format);
    vsnprintf(s->report->violation, sizeof s->report->violation, format, arguments);
    va_end(arguments);
    sim_trace(s, "VIOLATION %s", s->report->violation);
}

bool sim_failed(const sim *s)
{
    return s->report->violation[0] != '\0';
}

bool sim_run_for(sim *s, int64_t us)
{
    int64_t until = sim_now_us(s) + us;

    while (!sim_failed(s) && virtual_world_step(s->world, until)) {
        s->report->steps++;
        truth_check(s);
    }
    return !sim_failed(s);
}

/* The beginning. */

static int64_t broker_clock(void *arg)
{
    return virtual_world_now_us(arg);
}

static mf_broker *open_direct(sim *s)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_broker *broker = NULL;

    options.name_space = "sim";
    options.max_crashes = -1;
    if (mf__embedded_open(&broker, s->store, &options, s->network, NULL) != MF_OK)
        abort();
    return broker;
}

static void start_places(sim *s)
{
    static const double weights[] = {1, 1, 2, 0.5};
    bool even = sim_pick(s, 2) == 0;

    s->places = calloc((size_t)s->options.nodes, sizeof *s->places);
    for (int i = 0; i < s->options.nodes; i++) {
        place *p = &s->places[i];
        *p = (place){.sim = s, .index = i, .last_command = -1};
        p->weight = even ? 1 : weights[sim_pick(s, 4)];
        snprintf(p->name, sizeof p->name, "n%d", i);
    }
    faults_start(s);
    judge_start(s);
    for (int i = 0; i < s->options.nodes; i++)
        life_start(s, i, false);
}

static void set_up(sim *s)
{
    s->world = virtual_world_new(s->options.seed);
    s->fate = virtual_loop_new(s->world, 1.0);
    s->network = virtual_loop_new(s->world, 1.0);
    s->store = mf__embedded_store_new(broker_clock, s->world);
    s->direct = open_direct(s);
    s->stateful = sim_pick(s, 3) == 0;
    truth_start(s);
    work_start(s);
    start_places(s);
}

/* The end. */

static bool all_closed(void *arg)
{
    sim *s = arg;

    for (int i = 0; i < s->life_count; i++)
        if (!s->lives[i]->closed)
            return false;
    return true;
}

static void close_all(sim *s)
{
    for (int i = 0; i < s->life_count; i++) {
        life *l = s->lives[i];
        virtual_loop_pause(l->loop, false);
        link_partition(l->broker, 0);
        if (l->closed)
            continue;
        life_end_handlers(l, false);
        mf_consumer_shutdown(l->consumer);
    }
}

static void free_all(sim *s)
{
    for (int i = 0; i < s->life_count; i++) {
        mf_consumer_free(s->lives[i]->consumer);
        mf_broker_close(s->lives[i]->broker, NULL, NULL);
    }
    mf_client_close(s->client);
    mf_broker_close(s->client_broker, NULL, NULL);
    mf_broker_close(s->direct, NULL, NULL);
    virtual_world_run_for(s->world, 20000000);
    for (int i = 0; i < s->life_count; i++) {
        mf_loop_free(s->lives[i]->loop);
        free(s->lives[i]);
    }
    mf_loop_free(s->client_loop);
    mf_loop_free(s->network);
    mf_loop_free(s->fate);
    mf__embedded_store_release(s->store);
    virtual_world_free(s->world);
    truth_free(s);
    free(s->stale_index);
    free(s->places);
    free(s->endings);
    setback_free(s);
    free(s);
}

static void tear_down(sim *s)
{
    if (s->healed_us == 0)
        faults_end(s);
    s->over = true;
    mutation_in_force = MUTATION_NONE;
    mf_timer_stop(s->fate, &s->audit_timer);
    mf_timer_stop(s->fate, &s->client_timer);
    judge_stop(s);
    for (int i = 0; i < s->options.nodes; i++)
        mf_timer_stop(s->fate, &s->places[i].restart);
    close_all(s);
    if (virtual_world_run_until(s->world, all_closed, s, INT64_C(120) * 1000000)) {
        free_all(s);
        return;
    }
    s->over = false; /* and leaks: the run has failed anyway */
    sim_violated(s, "a consumer does not close");
}

void sim_run(const sim_options *options, sim_report *report)
{
    sim *s = calloc(1, sizeof *s);

    *report = (sim_report){.hash = UINT64_C(0xcbf29ce484222325)};
    s->options = *options;
    mutation_in_force = options->mutation;
    s->report = report;
    set_up(s);
    if (sim_run_for(s, options->fault_seconds * INT64_C(1000000))) {
        faults_end(s);
        calm_check(s);
    }
    tear_down(s);
}
