/* What happens to clusters in the balancing report. */
#include "scenarios.h"

#include <math.h>
#include <stdlib.h>

#include "hash.h"

/* Of a large cluster, so many nodes are restarted. */
enum { ROLLED = 30 };
enum { LOOK_MS = 10, LIMIT_MS = 60000, AFTERWARDS_MS = 20000, QUIET_MS = 600000 };

void series_add(series *s, double x, double y)
{
    if (s->count == s->size) {
        s->size = s->size != 0 ? 2 * s->size : 64;
        s->x = realloc(s->x, s->size * sizeof *s->x);
        s->y = realloc(s->y, s->size * sizeof *s->y);
    }
    s->x[s->count] = x;
    s->y[s->count++] = y;
}

void series_free(series *s)
{
    free(s->x);
    free(s->y);
    *s = (series){0};
}

/* Measuring. */

static double seconds_since(const fleet *f, int64_t us)
{
    return (double)(fleet_now_us(f) - us) / 1e6;
}

static double running_part(const fleet *f)
{
    return (double)fleet_running(f) / (double)f->task_count;
}

static double smallest_ratio(const fleet *f)
{
    double least = INFINITY;

    for (size_t i = 0; i < f->node_count; i++)
        if (!f->nodes[i].dead && f->nodes[i].consumer != NULL)
            least = fmin(least, fleet_ratio(f, &f->nodes[i]));
    return least;
}

static double moved_part(const fleet *f)
{
    return (double)f->counts.moves / (double)f->task_count;
}

/* The present counts are those of a change that was at `from_us`: until the cluster is balanced,
 * and for a while afterwards, in which nothing more should move. */
static void measure(fleet *f, int64_t from_us, double (*curve)(const fleet *f), figures *out)
{
    int64_t limit = fleet_now_us(f) + (int64_t)LIMIT_MS * 1000;

    while (!fleet_balanced(f) && fleet_now_us(f) < limit) {
        if (curve != NULL)
            series_add(&out->curve, seconds_since(f, f->counts.since_us), curve(f));
        fleet_run_ms(f, LOOK_MS);
    }
    if (curve != NULL)
        series_add(&out->curve, seconds_since(f, f->counts.since_us), curve(f));
    out->balanced_s = fleet_balanced(f) ? seconds_since(f, from_us) : -1;
    out->requests_per_s = (double)f->counts.requests / seconds_since(f, f->counts.since_us);
    if (f->counts.starts != 0)
        out->requests_per_start = (double)f->counts.requests / (double)f->counts.starts;
    fleet_run_ms(f, AFTERWARDS_MS);
    if (!fleet_balanced(f))
        out->balanced_s = -1;
    if (f->counts.starts != 0)
        out->attempts_per_start = (double)f->counts.attempts / (double)f->counts.starts;
    out->largest = fleet_largest_ratio(f);
    out->moves = f->counts.moves;
    out->tasks = f->task_count;
    out->nodes = (size_t)lround(fleet_weight(f));
}

static bool all_joined(const fleet *f)
{
    for (size_t i = 0; i < f->node_count; i++)
        if (f->nodes[i].consumer != NULL && !f->nodes[i].dead && !f->nodes[i].joined)
            return false;
    return true;
}

static void await_joined(fleet *f)
{
    while (!all_joined(f))
        fleet_run_ms(f, LOOK_MS);
}

/* The scenarios. */

static void start_all(fleet *f, size_t nodes, double (*weight)(size_t node))
{
    int64_t end = fleet_now_us(f) + 1000000;

    fleet_count_anew(f);
    for (size_t i = 0; i < nodes; i++) {
        int64_t left = end - fleet_now_us(f);
        fleet_start(fleet_add(f, weight(i)));
        virtual_world_run_for(f->world, left / (int64_t)(nodes - i));
    }
}

static double one(size_t node)
{
    (void)node;
    return 1;
}

static void cold_start(fleet *f, size_t nodes, size_t tasks, figures *out)
{
    out->scenario = "cold start";
    fleet_submit(f, tasks);
    start_all(f, nodes, one);
    measure(f, fleet_now_us(f), running_part, out);
}

static void submit_more(fleet *f, figures *out)
{
    out->scenario = "a tenth more tasks";
    fleet_count_anew(f);
    int64_t from = fleet_now_us(f);
    fleet_submit(f, f->task_count / 10);
    measure(f, from, running_part, out);
}

static void stay_quiet(fleet *f, figures *out)
{
    out->scenario = "nothing changes";
    fleet_count_anew(f);
    fleet_run_ms(f, QUIET_MS);
    measure(f, fleet_now_us(f), NULL, out);
}

static void join_one(fleet *f, figures *out)
{
    out->scenario = "one node joins";
    fleet_count_anew(f);
    int64_t from = fleet_now_us(f);
    fleet_start(fleet_add(f, 1));
    out->minimum = (uint64_t)((double)f->task_count / fleet_weight(f));
    measure(f, from, smallest_ratio, out);
}

/* The last ones that live. The change is when the broker tells of the last of them: before, nobody
 * can know. */
static void kill_some(fleet *f, size_t count, figures *out)
{
    size_t killed = 0, known = fleet_known(f);

    fleet_count_anew(f);
    for (size_t i = f->node_count; i-- > 0 && killed < count;) {
        if (f->nodes[i].dead)
            continue;
        out->minimum += f->nodes[i].running;
        fleet_kill(&f->nodes[i]);
        killed++;
    }
    while (fleet_known(f) > known - killed) {
        series_add(&out->curve, seconds_since(f, f->counts.since_us), running_part(f));
        fleet_run_ms(f, LOOK_MS);
    }
    measure(f, fleet_now_us(f), running_part, out);
}

static void kill_one(fleet *f, figures *out)
{
    out->scenario = "one node dies";
    kill_some(f, 1, out);
}

static void kill_tenth(fleet *f, figures *out)
{
    size_t nodes = (size_t)lround(fleet_weight(f));

    out->scenario = "a tenth of the nodes die";
    kill_some(f, nodes < 20 ? 1 : nodes / 10, out);
}

/* It is away for two seconds. */
static void restart(fleet *f, fleet_node *node, bool announced, figures *out)
{
    if (!announced)
        out->minimum += node->running;
    fleet_shutdown(node, announced);
    fleet_run_ms(f, 2000);
    while (!node->closed)
        fleet_run_ms(f, LOOK_MS);
    fleet_start(node);
    while (!node->joined)
        fleet_run_ms(f, LOOK_MS);
    if (!announced)
        out->minimum += (uint64_t)((double)f->task_count / fleet_weight(f));
    fleet_run_ms(f, 8000);
    series_add(&out->curve, seconds_since(f, f->counts.since_us), moved_part(f));
}

static void roll(fleet *f, bool announced, figures *out)
{
    size_t restarted = 0;

    fleet_count_anew(f);
    series_add(&out->curve, 0, 0);
    for (size_t i = 0; i < f->node_count && restarted < ROLLED; i++) {
        if (f->nodes[i].dead)
            continue;
        restart(f, &f->nodes[i], announced, out);
        restarted++;
    }
    measure(f, fleet_now_us(f), NULL, out);
}

static void roll_with_grace(fleet *f, figures *out)
{
    out->scenario = "rolling restart, announced";
    roll(f, true, out);
}

static void roll_without(fleet *f, figures *out)
{
    out->scenario = "rolling restart, not announced";
    roll(f, false, out);
}

void scenarios_run(size_t nodes, size_t tasks, int last, figures out[SCENARIOS])
{
    static void (*const steps[SCENARIOS])(fleet * f, figures * out) = {
        [SCENARIO_SUBMIT] = submit_more,     [SCENARIO_QUIET] = stay_quiet,
        [SCENARIO_JOIN] = join_one,          [SCENARIO_DEATH] = kill_one,
        [SCENARIO_MANY_DEATHS] = kill_tenth, [SCENARIO_ROLLING_GRACE] = roll_with_grace,
        [SCENARIO_ROLLING] = roll_without,
    };
    fleet *f = fleet_new(1, nodes + 1, tasks + tasks / 10);

    for (int i = 0; i < SCENARIOS; i++)
        out[i] = (figures){0};
    cold_start(f, nodes, tasks, &out[SCENARIO_COLD_START]);
    for (int i = SCENARIO_SUBMIT; i <= last; i++)
        steps[i](f, &out[i]);
    fleet_free(f);
}

/* Weights and costs. */

static double some_weight(size_t node)
{
    static const double weights[] = {1, 1, 2, 4};
    return weights[node % 4];
}

figures scenario_weights(size_t nodes, size_t tasks)
{
    fleet *f = fleet_new(1, nodes, tasks);
    figures out = {.scenario = "cold start, weights 1, 1, 2, 4"};

    fleet_submit(f, tasks);
    start_all(f, nodes, some_weight);
    measure(f, fleet_now_us(f), NULL, &out);
    out.nodes = nodes;
    fleet_free(f);
    return out;
}

/* Four of five cost 1, a few up to 100: the mean is 2.6. */
static double some_cost(size_t task)
{
    double u = ((double)(mf__hash_mix(task + 1) >> 11) + 0.5) * 0x1p-53;
    return u > 0.2 ? 1 : fmin(100, pow(0.2 / u, 0.9));
}

/* Tasks come over a hundred seconds. */
static void trickle(fleet *f, size_t nodes, size_t tasks)
{
    start_all(f, nodes, one);
    await_joined(f);
    for (int i = 0; i < 100; i++) {
        fleet_submit(f, tasks / 100);
        fleet_run_ms(f, 1000);
    }
}

static figures run_costs(size_t nodes, size_t tasks, mf_balancer (*balancer)(fleet_node *node),
                         const char *name)
{
    fleet *f = fleet_new(1, nodes, tasks);
    figures out = {.scenario = name};

    f->cost = some_cost;
    f->balancer = balancer;
    trickle(f, nodes, tasks);
    measure(f, fleet_now_us(f), NULL, &out);
    out.largest = fleet_largest_cost_ratio(f);
    out.balanced_s = NAN;
    fleet_free(f);
    return out;
}

figures scenario_costs_fair(size_t nodes, size_t tasks)
{
    return run_costs(nodes, tasks, NULL, "tasks of uneven cost, fair");
}

/* Each node can bear a quarter more than the mean. */
static int report_cost(uint64_t *used, uint64_t *total, void *payload)
{
    const fleet_node *node = payload;
    double all = 0;

    for (size_t i = 0; i < node->fleet->task_size; i++)
        all += some_cost(i);
    *used = (uint64_t)(node->cost * 1000);
    *total = (uint64_t)(all * 1250 / (double)node->fleet->node_size);
    return MF_OK;
}

static mf_balancer by_cost(fleet_node *node)
{
    return mf_balancer_resource(report_cost, node, 90, 96);
}

figures scenario_costs_resource(size_t nodes, size_t tasks)
{
    return run_costs(nodes, tasks, by_cost, "tasks of uneven cost, resource");
}
