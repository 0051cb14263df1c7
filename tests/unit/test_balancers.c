/* The arithmetic of the balancers, on views of nodes that the tests make up. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "balancer/report.h"
#include "consumer/balance.h"
#include "consumer/internal.h"
#include "virtual_loop.h"

enum { NODES = 32, TASKS = 4000 };

/* A balancer, what it is shown, and what it gave up. */
typedef struct fixture {
    virtual_world *world;
    mf_loop *loop;
    mf_balancer balancer;
    mf_node views[2][NODES]; /* a new view is a new block */
    char names[NODES][16];
    uint64_t view_count;
    int view;
    mf_balance balance;
    mf_task *tasks[TASKS]; /* "0", "1", ... */
    size_t task_count;
    bool released[TASKS];
    size_t released_count;
} fixture;

static mf_task *task_at(const mf_balance *balance, size_t index)
{
    fixture *f = balance->arg;
    return index < f->task_count ? f->tasks[index] : NULL;
}

static void release(mf_balance *balance, mf_task *task)
{
    fixture *f = balance->arg;
    int index = atoi(mf_task_id(task));
    assert_in_range(index, 0, f->task_count - 1);
    assert_false(f->released[index]);
    f->released[index] = true;
    f->released_count++;
}

/* The nodes hold so many tasks each; this one is the first. */
static void show(fixture *f, size_t count, const size_t *held)
{
    mf_node *nodes = f->views[f->view ^= 1];

    for (size_t i = 0; i < count; i++)
        nodes[i] = (mf_node){.name = f->names[i], .tasks = held[i], .weight = 1};
    f->balance = (mf_balance){
        .loop = f->loop,
        .nodes = nodes,
        .node_count = count,
        .view = ++f->view_count,
        .members = f->view_count,
        .held = held[0],
        .limit = TASKS,
        .patience_us = 50000,
        .task = task_at,
        .release = release,
        .arg = f,
    };
    f->task_count = held[0];
}

static void show_weight(fixture *f, size_t node, double weight)
{
    f->views[f->view][node].weight = weight;
}

/* As the consumer does: the node's own count is always the present one. */
static void hold(fixture *f, size_t held)
{
    f->balance.held = held;
    f->views[f->view][f->balance.self].tasks = held;
    f->task_count = held;
}

static bool may_claim(fixture *f, const char *id, int64_t *until_us)
{
    return f->balancer.can_claim(f->balancer.payload, &f->balance, id, until_us);
}

/* So many tasks have no owner, the one that is asked about for so long. */
static void offer(fixture *f, uint64_t unowned, int64_t offered_us)
{
    f->balance.unowned = unowned;
    f->balance.offered_us = offered_us;
}

static bool claims_at_once(fixture *f, const char *id)
{
    int64_t until = 0;
    return may_claim(f, id, &until);
}

static size_t released_by_balance(fixture *f)
{
    memset(f->released, 0, sizeof f->released);
    f->released_count = 0;
    f->balancer.balance(f->balancer.payload, &f->balance);
    return f->released_count;
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->world = virtual_world_new(7);
    f->loop = virtual_loop_new(f->world, 1.0);
    for (int i = 0; i < TASKS; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        f->tasks[i] = calloc(1, sizeof(mf_task) + sizeof id);
        f->tasks[i]->claim.id = memcpy(f->tasks[i] + 1, id, sizeof id);
    }
    for (int i = 0; i < NODES; i++)
        snprintf(f->names[i], sizeof f->names[i], "node%d", i);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    if (f->balancer.free != NULL)
        f->balancer.free(f->balancer.payload);
    for (int i = 0; i < TASKS; i++)
        free(f->tasks[i]);
    mf_loop_free(f->loop);
    virtual_world_free(f->world);
    free(f);
    return 0;
}

static int64_t now_us(const fixture *f)
{
    return mf_loop_now_us(f->loop);
}

/* The dumb balancer claims whatever it holds, and has nothing to release. */
static void test_dumb(void **state)
{
    fixture *f = *state;

    f->balancer = mf_balancer_dumb();
    assert_int_equal(f->balancer.version, MF_BALANCER_VERSION);
    show(f, 2, (size_t[]){1000, 0});
    assert_true(claims_at_once(f, "a"));
    assert_null(f->balancer.balance);
}

/* The sleep balancer claims one task at once when it holds none, and the next one after the pause
 * for what it holds, at most the longest pause. */
static void test_sleep_pauses(void **state)
{
    fixture *f = *state;
    int64_t until = 0;

    f->balancer = mf_balancer_sleep(30, 100);
    show(f, 1, (size_t[]){0});
    assert_true(may_claim(f, "a", &until));
    hold(f, 2);
    assert_false(may_claim(f, "b", &until));
    assert_int_equal(until, now_us(f) + 60000);
    hold(f, 5);
    assert_false(may_claim(f, "b", &until));
    assert_int_equal(until, now_us(f) + 200000); /* second in the queue, 100 ms each */
    virtual_world_run_for(f->world, 99999);
    assert_false(may_claim(f, "b", &until));
    virtual_world_run_for(f->world, 1);
    assert_true(may_claim(f, "b", &until));
    assert_false(may_claim(f, "c", &until));
}

/* However many are refused, the first is asked again when a claim is due, and each within 5 s. */
static void test_sleep_queue(void **state)
{
    fixture *f = *state;
    int64_t until = 0, latest = 0;

    f->balancer = mf_balancer_sleep(30, 3000);
    show(f, 1, (size_t[]){1});
    assert_true(may_claim(f, "a", &until));
    for (int i = 0; i < 100000; i++) {
        assert_false(may_claim(f, "b", &until));
        if (i == 0)
            assert_int_equal(until, now_us(f) + 30000);
        assert_true(until >= latest);
        latest = until;
    }
    assert_true(latest <= now_us(f) + 5030000);
}

/* Without a pause the sleep balancer claims all. */
static void test_sleep_zero(void **state)
{
    fixture *f = *state;

    f->balancer = mf_balancer_sleep(0, 0);
    show(f, 1, (size_t[]){1000});
    assert_true(claims_at_once(f, "a"));
    assert_true(claims_at_once(f, "b"));
}

/* Alone in the cluster, fair claims everything at once, and releases nothing. */
static void test_fair_alone(void **state)
{
    fixture *f = *state;

    f->balancer = mf_balancer_fair(1.2);
    show(f, 1, (size_t[]){0});
    for (size_t i = 0; i < 1000; i++) {
        hold(f, i);
        assert_true(claims_at_once(f, "a"));
    }
    assert_int_equal(released_by_balance(f), 0);
}

/* How many of `count` tasks each node claims at once when all start with nothing. */
static void cold_start(fixture *f, size_t nodes, const double *weights, size_t count,
                       size_t *claimed)
{
    static const size_t none[NODES];

    for (size_t n = 0; n < nodes; n++) {
        show(f, nodes, none);
        for (size_t i = 0; i < nodes; i++)
            show_weight(f, i, weights != NULL ? weights[i] : 1);
        f->balance.self = n;
        claimed[n] = 0;
        for (size_t t = 0; t < count; t++) {
            char id[32];
            offer(f, count - claimed[n], 0);
            snprintf(id, sizeof id, "task-%zu", t);
            claimed[n] += claims_at_once(f, id);
            hold(f, claimed[n]);
        }
    }
}

/* At a cold start hardly a task has more than one node that claims it at once, though no node sees
 * what the others do, and each node gets about its share and not more than a tenth above it. */
static void test_fair_cold_start(void **state)
{
    fixture *f = *state;
    size_t claimed[10], all = 0;

    f->balancer = mf_balancer_fair(1.2);
    cold_start(f, 10, NULL, 10000, claimed);
    for (size_t n = 0; n < 10; n++) {
        assert_in_range(claimed[n], 900, 1100);
        all += claimed[n];
    }
    assert_in_range(all, 9900, 10000);
}

/* A node of three times the weight claims three times as much, one of none nothing. */
static void test_fair_weights(void **state)
{
    fixture *f = *state;
    size_t claimed[3];

    f->balancer = mf_balancer_fair(1.2);
    cold_start(f, 3, (double[]){1, 3, 0}, 10000, claimed);
    assert_in_range(claimed[0], 2300, 2700);
    assert_in_range(claimed[1], 7300, 7700);
    assert_int_equal(claimed[2], 0);
}

/* A task that another node should claim is claimed by this one within a second, if it is there
 * still, or it is forgotten, and then by most: some node of those that remember it has it soon. */
static void test_fair_nothing_stays(void **state)
{
    fixture *f = *state;
    size_t held[NODES] = {0};
    int waited = 0, forgotten = 0;

    f->balancer = mf_balancer_fair(1.2);
    show(f, NODES, held);
    for (int t = 0; t < 1000; t++) {
        char id[32];
        int64_t until = 0;
        snprintf(id, sizeof id, "task-%d", t);
        offer(f, 1000, 0);
        if (may_claim(f, id, &until))
            continue;
        waited += until != MF_BALANCE_FORGET;
        forgotten += until == MF_BALANCE_FORGET;
        if (until == MF_BALANCE_FORGET)
            continue;
        assert_in_range(until, now_us(f) + 1, now_us(f) + 900000);
        offer(f, 1000, until - now_us(f));
        assert_true(may_claim(f, id, &until));
    }
    assert_in_range(waited, 500, 700); /* 16 of 32 at least */
    assert_in_range(waited + forgotten, 950, 990);
}

/* While tasks are being claimed at a rate that will take long, or claims take long, the others are
 * given that time. */
static void test_fair_patience(void **state)
{
    fixture *f = *state;
    int64_t until = 0, longest = 0;

    f->balancer = mf_balancer_fair(1.2);
    show(f, 4, (size_t[]){0, 0, 0, 0});
    f->balance.patience_us = 3000000;
    for (int t = 0; t < 100; t++) {
        char id[32];
        snprintf(id, sizeof id, "task-%d", t);
        offer(f, 1000, 1000000);
        if (!may_claim(f, id, &until) && until - now_us(f) > longest)
            longest = until - now_us(f);
    }
    assert_in_range(longest, 1000000, 3000000); /* and is then looked at again */
}

/* A node that is ahead of its share leaves new tasks to those that lack some, which take all of
 * them at once until they have their share. */
static void test_fair_newcomer_first(void **state)
{
    fixture *f = *state;
    size_t claimed = 0;

    f->balancer = mf_balancer_fair(1.2);
    for (int node = 0; node < 2; node++) {
        show(f, 3, node == 0 ? (size_t[]){500, 500, 0} : (size_t[]){0, 500, 500});
        for (int t = 0; t < 300; t++) {
            char id[32];
            offer(f, 300 - claimed, 0);
            snprintf(id, sizeof id, "task-%d", t);
            claimed += claims_at_once(f, id);
            hold(f, f->balance.held + (node == 1));
        }
        assert_int_equal(claimed, node == 0 ? 0 : 300);
    }
}

/* A node that has said that it will be back keeps its share, but new tasks that are at home there
 * run elsewhere meanwhile. */
static void test_fair_counts_on_a_restart(void **state)
{
    fixture *f = *state;
    int64_t expected[2] = {0, now_us(f) + 60000000};
    int at_once = 0, later = 0;

    f->balancer = mf_balancer_fair(1.2);
    show(f, 2, (size_t[]){100, 0});
    show_weight(f, 1, -1);
    f->balance.expected_us = expected;
    for (int t = 0; t < 100; t++) {
        char id[32];
        int64_t until = 0;
        snprintf(id, sizeof id, "task-%d", t);
        offer(f, 100, 0);
        at_once += may_claim(f, id, &until);
        offer(f, 100, 1000000);
        later += may_claim(f, id, &until);
    }
    assert_in_range(at_once, 35, 65);
    assert_int_equal(later, 100);
}

typedef struct release_case {
    size_t count;
    size_t held[8];
    size_t released;
} release_case;

static const release_case release_cases[] = {
    {2, {0, 10}, 0},
    {2, {5, 5}, 0},
    {2, {6, 5}, 0},
    {2, {2, 1}, 0},          /* 1.5 each, rounded up */
    {2, {3, 0}, 1},          /* and one more than that is too many */
    {2, {1000, 0}, 500},     /* all that exceeds the share, at once */
    {2, {110, 90}, 0},       /* within the threshold */
    {2, {130, 70}, 30},      /* above it */
    {3, {5, 1, 0}, 3},       /* down to 2 */
    {5, {1, 1, 1, 0, 0}, 0}, /* three tasks on five nodes stay where they are */
    {5, {2, 1, 0, 0, 0}, 1},
    {4, {100, 100, 0, 0}, 50},
    {4, {40, 20, 20, 20}, 15}, /* there is room for 5 on each of the others */
    {3, {100, 400, 100}, 0},
    {8, {9, 9, 9, 9, 9, 9, 9, 8}, 0},
    {2, {90, 0}, 45},
    {6, {12, 12, 12, 12, 12, 0}, 2}, /* nobody is above 1.2, but one lacks 10 */
    {6, {0, 12, 12, 12, 12, 12}, 0},
    {3, {11, 11, 8}, 0}, /* nor does that one lack much */
};

/* What is given up is what exceeds the share, once it is above the threshold. */
static void test_fair_releases(void **state)
{
    fixture *f = *state;

    for (size_t i = 0; i < sizeof release_cases / sizeof release_cases[0]; i++) {
        const release_case *c = &release_cases[i];
        f->balancer = mf_balancer_fair(1.2);
        show(f, c->count, c->held);
        size_t released = released_by_balance(f);
        if (released != c->released)
            fail_msg("case %zu: released %zu, not %zu", i, released, c->released);
        f->balancer.free(f->balancer.payload);
        f->balancer = (mf_balancer){0};
    }
}

static size_t release_of_node(fixture *f, size_t count, const size_t *held, size_t node)
{
    f->balancer = mf_balancer_fair(1.2);
    show(f, count, held);
    f->balance.self = node;
    hold(f, held[node]);
    size_t released = released_by_balance(f);
    f->balancer.free(f->balancer.payload);
    f->balancer = (mf_balancer){0};
    return released;
}

/* Any cluster is balanced after one round in which each node decides alone: when the nodes that
 * hold least have taken what was given up, nobody has anything to give up, and none has more
 * than 1.2 of the average but for what does not divide. */
static void test_fair_one_round(void **state)
{
    fixture *f = *state;

    for (int round = 0; round < 200; round++) {
        size_t count = 2 + mf_loop_random(f->loop) % (NODES - 2);
        size_t held[NODES], total = 0, given = 0;
        for (size_t i = 0; i < count; i++)
            total += held[i] = mf_loop_random(f->loop) % (1 + mf_loop_random(f->loop) % 100);
        size_t before[NODES];
        memcpy(before, held, sizeof held);
        for (size_t i = 0; i < count; i++) {
            size_t released = release_of_node(f, count, before, i);
            held[i] -= released;
            given += released;
        }
        for (; given != 0; given--) {
            size_t least = 0;
            for (size_t i = 1; i < count; i++)
                least = held[i] < held[least] ? i : least;
            held[least]++;
        }
        for (size_t i = 0; i < count; i++) {
            double average = (double)total / (double)count;
            assert_true((double)held[i] <= average * 1.2 || (double)held[i] < average + 1);
            assert_int_equal(release_of_node(f, count, held, i), 0);
        }
    }
}

/* Releasing goes by weight: a node of twice the weight keeps twice as much. */
static void test_fair_releases_by_weight(void **state)
{
    fixture *f = *state;

    f->balancer = mf_balancer_fair(1.2);
    show(f, 2, (size_t[]){90, 0});
    show_weight(f, 0, 2);
    assert_int_equal(released_by_balance(f), 30);
}

/* Weights that are no numbers come from a broken node: they count as none. */
static void test_fair_bad_weights(void **state)
{
    fixture *f = *state;

    f->balancer = mf_balancer_fair(1.2);
    show(f, 3, (size_t[]){90, 0, 0});
    show_weight(f, 1, (double)NAN);
    assert_int_equal(released_by_balance(f), 45);
}

/* A node that takes nothing, as one that is frozen, keeps what it has. */
static void test_fair_frozen(void **state)
{
    fixture *f = *state;

    f->balancer = mf_balancer_fair(1.2);
    show(f, 2, (size_t[]){90, 0});
    show_weight(f, 0, 0);
    assert_int_equal(released_by_balance(f), 0);
}

/* A second balance before anyone has taken what the first gave up gives up nothing more. */
static void test_fair_twice(void **state)
{
    fixture *f = *state;

    f->balancer = mf_balancer_fair(1.2);
    show(f, 2, (size_t[]){1000, 0});
    assert_int_equal(released_by_balance(f), 500);
    show(f, 2, (size_t[]){500, 0});
    offer(f, 500, 0);
    assert_int_equal(released_by_balance(f), 0);
    show(f, 2, (size_t[]){500, 300});
    offer(f, 200, 0);
    assert_int_equal(released_by_balance(f), 0);
}

/* Where nobody takes what was given up, one task is tried at a time; when that is taken, all that
 * is too much. */
static void test_fair_frozen_neighbour(void **state)
{
    fixture *f = *state;

    f->balancer = mf_balancer_fair(1.2);
    show(f, 2, (size_t[]){1000, 0});
    assert_int_equal(released_by_balance(f), 500);
    for (int i = 0; i < 3; i++) {
        virtual_world_run_for(f->world, 15000000);
        show(f, 2, (size_t[]){1000, 0});
        assert_int_equal(released_by_balance(f), 1);
    }
    virtual_world_run_for(f->world, 15000000);
    show(f, 2, (size_t[]){999, 1});
    assert_int_equal(released_by_balance(f), 499);
}

/* What is given up is at home where it is lacked, as far as there is such. */
static void test_fair_victims(void **state)
{
    fixture *f = *state;
    mf_node nodes[4];

    f->balancer = mf_balancer_fair(1.2);
    show(f, 4, (size_t[]){1000, 1000, 1000, 0});
    memcpy(nodes, f->balance.nodes, sizeof nodes);
    assert_in_range(released_by_balance(f), 249, 251);
    int there = 0, elsewhere = 0;
    for (int i = 0; i < 1000; i++) {
        size_t home = mf_balance_home(nodes, 4, f->tasks[i]->claim.id);
        there += f->released[i] && home == 3;
        elsewhere += !f->released[i] && home == 3;
    }
    assert_in_range(there, 200, 250);
    assert_true(there == (int)f->released_count || elsewhere == 0);
}

/* The plan says for all nodes what they will do. */
static void test_plan(void **state)
{
    const mf_node nodes[] = {{"a", 100, 1}, {"b", 100, 1}, {"c", 0, 2}, {"d", 7, 0}};
    double moves[4];

    (void)state;
    mf_balance_plan(nodes, 4, 0, 1.2, moves);
    assert_true(moves[0] == -50 && moves[1] == -50 && moves[2] == 100 && moves[3] == 0);
    mf_balance_plan(nodes, 4, 200, 1.2, moves); /* what nobody has yet is enough for c */
    assert_true(moves[0] == 0 && moves[1] == 0 && moves[2] == 200);
    assert_int_equal(mf_balance_home(nodes + 3, 1, "1"), SIZE_MAX);
}

/* The explanation names the home, the share, and what a balance would give up. */
static void test_fair_explains(void **state)
{
    fixture *f = *state;
    char text[256] = "";

    f->balancer = mf_balancer_fair(1.2);
    show(f, 2, (size_t[]){10, 0});
    f->balancer.explain(f->balancer.payload, &f->balance, "task-1", text, sizeof text);
    assert_non_null(strstr(text, "its home is node"));
    assert_non_null(strstr(text, "this node holds 10, its share is 5.0 of 10"));
    assert_non_null(strstr(text, "would give up 5"));
}

/* A reporter that says what the test wants. */
typedef struct reading {
    uint64_t used, total;
    int code;
    int asked;
} reading;

static int report(uint64_t *used, uint64_t *total, void *payload)
{
    reading *r = payload;
    r->asked++;
    *used = r->used;
    *total = r->total;
    return r->code;
}

/* Claiming stops at the claim limit, and asks again within two seconds. */
static void test_resource_claims(void **state)
{
    fixture *f = *state;
    reading r = {.used = 799, .total = 1000};
    int64_t until = 0;

    f->balancer = mf_balancer_resource(report, &r, 80, 90);
    show(f, 1, (size_t[]){5});
    assert_true(may_claim(f, "a", &until));
    r.used = 800;
    virtual_world_run_for(f->world, 500000);
    assert_false(may_claim(f, "a", &until));
    assert_in_range(until, now_us(f) + 1000000, now_us(f) + 2000000);
}

/* However many tasks are offered, the reporter is asked twice a second. */
static void test_resource_reads_rarely(void **state)
{
    fixture *f = *state;
    reading r = {.used = 1, .total = 1000};

    f->balancer = mf_balancer_resource(report, &r, 80, 90);
    show(f, 1, (size_t[]){5});
    for (int i = 0; i < 1000; i++) {
        claims_at_once(f, "a");
        virtual_world_run_for(f->world, 1000);
    }
    assert_in_range(r.asked, 1, 3);
}

/* One task is released at a time, and only above the release limit. */
static void test_resource_releases(void **state)
{
    fixture *f = *state;
    reading r = {.used = 900, .total = 1000};

    f->balancer = mf_balancer_resource(report, &r, 80, 90);
    show(f, 1, (size_t[]){5});
    assert_int_equal(released_by_balance(f), 0);
    r.used = 901;
    assert_int_equal(released_by_balance(f), 1);
    hold(f, 0);
    assert_int_equal(released_by_balance(f), 0);
}

/* Nothing is known when the reporter fails, or has a total of nothing. */
static void test_resource_unknown(void **state)
{
    fixture *f = *state;
    reading r = {.used = 1000, .total = 1000, .code = MF_ESYSTEM};

    f->balancer = mf_balancer_resource(report, &r, 80, 90);
    show(f, 1, (size_t[]){5});
    assert_true(claims_at_once(f, "a"));
    assert_int_equal(released_by_balance(f), 0);
    r = (reading){.used = 1};
    assert_int_equal(released_by_balance(f), 0);
    assert_true(claims_at_once(f, "a"));
}

/* Numbers too large for a hundredfold in 64 bits are compared all the same. */
static void test_resource_large(void **state)
{
    fixture *f = *state;
    reading r = {.used = UINT64_MAX / 2, .total = UINT64_MAX};

    f->balancer = mf_balancer_resource(report, &r, 80, 90);
    show(f, 1, (size_t[]){5});
    assert_true(claims_at_once(f, "a"));
    r.used = UINT64_MAX / 100 * 95;
    assert_int_equal(released_by_balance(f), 1);
}

/* Arguments out of range make a balancer that carries the error in its version. */
static void test_bad_arguments(void **state)
{
    reading r = {0};

    (void)state;
    assert_int_equal(mf_balancer_sleep(-1, 5).version, MF_EINVAL);
    assert_int_equal(mf_balancer_sleep(1, -1).version, MF_EINVAL);
    assert_int_equal(mf_balancer_fair(0.99).version, MF_EINVAL);
    assert_int_equal(mf_balancer_fair(100.1).version, MF_EINVAL);
    assert_int_equal(mf_balancer_fair((double)NAN).version, MF_EINVAL);
    assert_int_equal(mf_balancer_resource(NULL, NULL, 80, 90).version, MF_EINVAL);
    assert_int_equal(mf_balancer_resource(report, &r, 0, 90).version, MF_EINVAL);
    assert_int_equal(mf_balancer_resource(report, &r, 90, 90).version, MF_EINVAL);
    assert_int_equal(mf_balancer_resource(report, &r, 80, 101).version, MF_EINVAL);
}

/* The files of /proc are read as they are, and what is missing in them is an error. */
static void test_report_texts(void **state)
{
    uint64_t used = 0, total = 0;

    (void)state;
    assert_int_equal(mf__report_meminfo(&used, &total,
                                        "MemTotal:       1000 kB\nMemFree:   1 kB\n"
                                        "MemAvailable:    400 kB\n"),
                     MF_OK);
    assert_int_equal(used, 600 * 1024);
    assert_int_equal(total, 1000 * 1024);
    assert_int_equal(mf__report_meminfo(&used, &total, "MemTotal: 1000 kB\n"), MF_EPROTO);
    assert_int_equal(mf__report_meminfo(&used, &total, "MemTotal: kB\nMemAvailable: 1 kB\n"),
                     MF_EPROTO);
    assert_int_equal(mf__report_meminfo(&used, &total, ""), MF_EPROTO);
    assert_int_equal(mf__report_loadavg(&used, "12.3 0.53 0.60 1/2 3\n"), MF_OK);
    assert_int_equal(used, 12300);
    assert_int_equal(mf__report_loadavg(&used, "0.05 0.53"), MF_OK);
    assert_int_equal(used, 50);
    assert_int_equal(mf__report_loadavg(&used, "x"), MF_EPROTO);
    assert_int_equal(mf__report_loadavg(&used, "-1.0"), MF_EPROTO);
}

/* The reporters work on this system. */
static void test_reports_here(void **state)
{
    uint64_t used = 0, total = 0;

    (void)state;
    assert_int_equal(mf_report_memory(&used, &total, NULL), MF_OK);
    assert_true(used > 0 && used < total);
    assert_int_equal(mf_report_cpu(&used, &total, NULL), MF_OK);
    assert_true(total >= 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_dumb),
        TEST(test_sleep_pauses),
        TEST(test_sleep_queue),
        TEST(test_sleep_zero),
        TEST(test_fair_alone),
        TEST(test_fair_cold_start),
        TEST(test_fair_weights),
        TEST(test_fair_nothing_stays),
        TEST(test_fair_patience),
        TEST(test_fair_newcomer_first),
        TEST(test_fair_counts_on_a_restart),
        TEST(test_fair_releases),
        TEST(test_fair_one_round),
        TEST(test_fair_releases_by_weight),
        TEST(test_fair_bad_weights),
        TEST(test_fair_frozen),
        TEST(test_fair_twice),
        TEST(test_fair_frozen_neighbour),
        TEST(test_fair_victims),
        TEST(test_fair_explains),
        cmocka_unit_test(test_plan),
        TEST(test_resource_claims),
        TEST(test_resource_reads_rarely),
        TEST(test_resource_releases),
        TEST(test_resource_unknown),
        TEST(test_resource_large),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_report_texts),
        cmocka_unit_test(test_reports_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
