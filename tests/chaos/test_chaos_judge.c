/* The judge of chaos runs: a good history passes, and each kind of wrong one is caught. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "judge.h"

enum { S = 1000000, LEASE_US = 5 * S, TASKS = 2, MOST_LIVES = 8, MOST_FAULTS = 8 };

/* A history of one task "x", which the tests change, beside a sound one "y"; seconds 1 to 100. */
typedef struct scene {
    history history;
    history_task tasks[TASKS];
    history_life lives[MOST_LIVES];
    history_fault faults[MOST_FAULTS];
    history_end end;
} scene;

static history_life *live(scene *s, const char *node, uint64_t fence, double from, double to)
{
    history_life *life = &s->lives[s->history.life_count++];

    assert_true(s->history.life_count <= MOST_LIVES);
    *life = (history_life){.fence = fence,
                           .pid = (int64_t)(100 * fence),
                           .started_us = (int64_t)(from * S),
                           .alive_us = (int64_t)(to * S)};
    strcpy(life->task, "x");
    strcpy(life->node, node);
    return life;
}

static void end(history_life *life)
{
    life->ended_us = life->alive_us;
}

static void fault(scene *s, fault_kind kind, int target, double from, double to)
{
    assert_true(s->history.fault_count < MOST_FAULTS);
    s->faults[s->history.fault_count++] = (history_fault){.plan = {.kind = kind, .target = target},
                                                          .began_us = (int64_t)(from * S),
                                                          .ended_us = (int64_t)(to * S),
                                                          .took_effect = true};
}

/* "y" ran on c all the time; "x" was acknowledged at 1 s and is gone at 100 s, with the end of its
 * last life. */
static void set_up(scene *s)
{
    memset(s, 0, sizeof *s);
    s->history = (history){.lease_us = LEASE_US,
                           .nodes = 3,
                           .began_us = 1 * S,
                           .let_go_us = 99 * S,
                           .over_us = 101 * S,
                           .lives = s->lives,
                           .tasks = s->tasks,
                           .task_count = TASKS,
                           .faults = s->faults};
    for (int i = 0; i < TASKS; i++) {
        s->tasks[i] = (history_task){.asked_us = S / 2,
                                     .acknowledged_us = 1 * S,
                                     .listed_us = 99 * S,
                                     .missed_us = 100 * S,
                                     .gone_us = 100 * S + S / 10};
        strcpy(s->tasks[i].id, i == 0 ? "x" : "y");
    }
    history_life *other = live(s, "c", 1, 1, 99.5);
    other->number = 1;
    end(other);
    fault(s, LINK_CUT, 2, 3, 3);
}

/* The only violation begins with the text; NULL: there is none. */
static judgement expect(scene *s, const char *text)
{
    judgement j;

    judge(&s->history, &j);
    if (text == NULL && j.violation_count > 0)
        fail_msg("%s", j.violations[0].text);
    if (text != NULL && j.violation_count == 0)
        fail_msg("not noticed: %s", text);
    for (size_t i = 0; i < j.violation_count; i++)
        if (strstr(j.violations[i].text, text) != j.violations[i].text)
            fail_msg("'%s' instead of '%s'", j.violations[i].text, text);
    judgement copy = j;
    judgement_clear(&j);
    return copy;
}

/* A task that runs once, and one that is taken over within the lease and a second. */
static void test_good_histories_pass(void **state)
{
    scene s;

    (void)state;
    set_up(&s);
    end(live(&s, "a", 2, 1, 99.5));
    assert_true(expect(&s, NULL).valid);
    set_up(&s);
    live(&s, "a", 2, 1, 50);
    fault(&s, NODE_KILL, 0, 50, 70);
    end(live(&s, "b", 3, 55.9, 99.5));
    judgement j = expect(&s, NULL);
    assert_true(j.valid);
    assert_int_equal(j.taken_over, 1);
    assert_int_equal(j.longest_takeover_us, 5900000);
}

static void test_two_owners(void **state)
{
    scene s;

    (void)state;
    set_up(&s);
    live(&s, "a", 2, 1, 50);
    end(live(&s, "b", 3, 49.9, 99.5));
    expect(&s, "owner: started on b 100 ms before the last sign of life on a");
    /* The one that lives on need not be the last that started. */
    set_up(&s);
    live(&s, "a", 2, 1, 60);
    live(&s, "b", 3, 61, 62);
    s.lives[1].alive_us = 70 * S;
    end(live(&s, "c", 4, 65, 99.5));
    assert_int_equal(expect(&s, "owner: started on ").violation_count, 2);
    set_up(&s);
    history_life *life = live(&s, "a", 2, 1, 99.5);
    life->met_us = 20 * S;
    end(life);
    expect(&s, "owner: process 200 on a met 0, which was alive");
}

static void test_fences(void **state)
{
    scene s;

    (void)state;
    for (uint64_t second = 2; second <= 3; second++) {
        set_up(&s);
        live(&s, "a", 3, 1, 50);
        end(live(&s, "b", second, 51, 99.5));
        expect(&s, "fence: ");
    }
    /* After a low one the highest still counts. */
    set_up(&s);
    live(&s, "a", 9, 1, 40);
    live(&s, "b", 5, 41, 50);
    end(live(&s, "a", 6, 51, 99.5));
    expect(&s, "fence: ");
    set_up(&s);
    history_life *life = live(&s, "a", 2, 1, 99.5);
    life->refused_us = 20 * S;
    end(life);
    expect(&s, "fence: the store refused 2 of a");
}

static void test_lost(void **state)
{
    scene s;

    (void)state;
    set_up(&s);
    live(&s, "a", 2, 1, 99.5); /* did not end by itself */
    expect(&s, "lost: not listed any more, but none of its 1 processes had ended");
    set_up(&s); /* never ran */
    s.tasks[0].missed_us = 2 * S;
    s.tasks[0].gone_us = 2 * S + 1;
    expect(&s, "lost: not listed any more, but none of its 0 processes had ended");
    set_up(&s); /* runs on at the end */
    s.tasks[0].missed_us = s.tasks[0].gone_us = 0;
    live(&s, "a", 2, 1, 101);
    expect(&s, "lost: let go, and not over");
}

static void test_done_is_final(void **state)
{
    scene s;

    (void)state;
    set_up(&s);
    end(live(&s, "a", 2, 1, 20));
    s.tasks[0].missed_us = 21 * S;
    s.tasks[0].gone_us = 22 * S;
    expect(&s, NULL);
    s.tasks[0].back_after_us = 22 * S;
    s.tasks[0].back_us = 30 * S;
    expect(&s, "final: listed again");
    s.tasks[0].back_us = 0;
    live(&s, "b", 3, 30, 31);
    expect(&s, "final: started on b after it was gone");
}

/* Eight seconds without a fault are too long for a lease of five and two; before it was known, the
 * task need not run. */
static void test_idle(void **state)
{
    scene s;

    (void)state;
    set_up(&s);
    live(&s, "a", 2, 1, 50);
    end(live(&s, "b", 3, 58, 99.5));
    expect(&s, "idle: from 49.000 to 57.000");
    set_up(&s);
    s.tasks[0].acknowledged_us = 50 * S;
    end(live(&s, "b", 3, 51, 99.5));
    expect(&s, NULL);
    s.lives[1].started_us = 59 * S;
    expect(&s, "idle: ");
}

/* A server's fault excuses all of its time, one node's only its beginning and its end, all nodes'
 * at once their time. */
static void test_faults_excuse_idle_tasks(void **state)
{
    scene s;

    (void)state;
    set_up(&s);
    live(&s, "a", 2, 1, 50);
    fault(&s, SERVER_PAUSE, 0, 45, 70);
    end(live(&s, "b", 3, 77, 99.5));
    expect(&s, NULL);
    s.lives[2].started_us = 78 * S;
    expect(&s, "idle: ");

    set_up(&s);
    live(&s, "a", 2, 1, 50);
    fault(&s, NODE_FREEZE, 0, 50, 70);
    end(live(&s, "b", 3, 58, 99.5));
    expect(&s, "idle: ");
    fault(&s, NODE_FREEZE, 1, 50, 57);
    expect(&s, NULL);

    set_up(&s);
    live(&s, "a", 2, 1, 50);
    for (int node = 0; node < 3; node++)
        fault(&s, LINK_SILENT, node, 49 + node, 80 + node);
    s.lives[0].alive_us = 99 * S + S / 2; /* of y: the judge sorts */
    end(live(&s, "b", 3, 86, 99.5));
    expect(&s, NULL);
}

/* Two deaths within seconds of the claim excuse a pause of a minute, one does not. */
static void test_crash_pause(void **state)
{
    scene s;

    (void)state;
    set_up(&s);
    live(&s, "a", 2, 1, 10);
    live(&s, "b", 3, 15, 17);
    fault(&s, NODE_KILL, 0, 10, 12);
    fault(&s, NODE_KILL, 1, 17, 18);
    end(live(&s, "a", 4, 70, 99.5));
    assert_int_equal(expect(&s, NULL).paused, 1);
    s.faults[1].plan.kind = LINK_CUT; /* of c */
    s.faults[1].plan.target = 2;
    s.faults[1].began_us = s.faults[1].ended_us = 2 * S;
    expect(&s, "idle: ");
}

/* A server that comes back without the writes of its last seconds may have forgotten submits,
 * claims and ends of that time, and no others; fences rise all the same. */
static void test_what_a_loss_excuses(void **state)
{
    scene s;

    (void)state;
    set_up(&s); /* a's claim of 20.5 is forgotten: it hears of that within a third of a lease */
    s.history.losses = FAULT(SERVER_LOSS);
    fault(&s, SERVER_LOSS, 0, 20, 21);
    live(&s, "a", 2, 20.5, 23.5)->refused_us = 23 * S;
    live(&s, "b", 3, 22, 30);
    end(live(&s, "b", 4, 31, 99.5));
    s.tasks[0].acknowledged_us = 19 * S;
    expect(&s, NULL);
    s.lives[0].alive_us = 24 * S; /* the judge has sorted them */
    expect(&s, "owner: ");
    s.lives[0].alive_us = 23 * S;
    s.lives[1].fence = 2;
    expect(&s, "fence: 2 on b after 2");

    set_up(&s); /* its submit was forgotten */
    s.history.losses = FAULT(SERVER_LOSS);
    fault(&s, SERVER_LOSS, 0, 20, 21);
    s.tasks[0].asked_us = 20 * S + 1;
    s.tasks[0].acknowledged_us = 20 * S + 2;
    s.tasks[0].missed_us = s.tasks[0].gone_us = 22 * S;
    expect(&s, NULL);
    s.tasks[0].asked_us = s.tasks[0].acknowledged_us = 19 * S;
    expect(&s, "lost: ");

    set_up(&s); /* its end was forgotten */
    s.history.losses = FAULT(SERVER_LOSS);
    fault(&s, SERVER_LOSS, 0, 20, 21);
    end(live(&s, "a", 2, 1, 20.5));
    s.tasks[0].back_after_us = 20 * S + S / 2;
    s.tasks[0].back_us = 22 * S;
    end(live(&s, "b", 3, 23, 99.5));
    expect(&s, NULL);
    s.history.losses = 0;
    expect(&s, "final: listed again");
}

static void test_nodes_that_end(void **state)
{
    scene s;

    (void)state;
    set_up(&s);
    end(live(&s, "a", 2, 1, 99.5));
    s.end = (history_end){.node = 1, .at_us = 20 * S, .status = 11};
    s.history.ends = &s.end;
    s.history.end_count = 1;
    expect(&s, "node: b ended by itself, of signal 11");
}

/* A run proves nothing when its faults had no effect, or a node was killed and nothing taken over.
 */
static void test_invalid_runs(void **state)
{
    scene s;

    (void)state;
    set_up(&s);
    end(live(&s, "a", 2, 1, 99.5));
    s.faults[0].took_effect = false;
    assert_false(expect(&s, NULL).valid);
    s.faults[0].took_effect = true;
    assert_true(expect(&s, NULL).valid);
    fault(&s, NODE_KILL, 1, 50, 60);
    assert_false(expect(&s, NULL).valid);
    s.history.fault_count = 0;
    assert_false(expect(&s, NULL).valid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_histories_pass),
        cmocka_unit_test(test_two_owners),
        cmocka_unit_test(test_fences),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_done_is_final),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_faults_excuse_idle_tasks),
        cmocka_unit_test(test_crash_pause),
        cmocka_unit_test(test_nodes_that_end),
        cmocka_unit_test(test_what_a_loss_excuses),
        cmocka_unit_test(test_invalid_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
