/* The ledger of the tasks' processes: what they say is read, two at once are found out by the
 * kernel, and a lower fence is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ledger.h"
#include "process.h"

typedef struct fixture {
    char *directory, path[256];
    ledger *book;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    f->directory = directory_new();
    snprintf(f->path, sizeof f->path, "%s/ledger", f->directory);
    f->book = ledger_new(f->path);
    assert_non_null(f->book);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    ledger_close(f->book);
    directory_remove(f->directory);
    free(f);
    return 0;
}

static history_life life_of(uint32_t number, uint64_t fence)
{
    return (history_life){
        .task = "x", .node = "a", .number = number, .fence = fence, .pid = getpid()};
}

/* Another process of the task begins, and ends at once; the lives so far, to be freed. */
static history_life *begin_elsewhere(fixture *f, uint32_t number, uint64_t fence, size_t *count)
{
    pid_t child = fork();

    if (child == 0) {
        history_life life = life_of(number, fence);
        ledger_line *line = ledger_begin(ledger_open(f->path), &life);
        ledger_end(line);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    return ledger_read(f->book, count);
}

static void test_lives_are_read(void **state)
{
    fixture *f = *state;
    history_life life = life_of(3, 5);
    size_t count;

    ledger_line *line = ledger_begin(f->book, &life);
    ledger_told(line);
    ledger_beat(f->book, line);
    history_life *lives = begin_elsewhere(f, 4, 5, &count);
    assert_int_equal(count, 2);
    assert_string_equal(lives[0].task, "x");
    assert_string_equal(lives[0].node, "a");
    assert_int_equal(lives[0].fence, 5);
    assert_true(lives[0].told_us >= lives[0].started_us && lives[0].alive_us >= lives[0].told_us);
    assert_int_equal(lives[0].ended_us, 0);
    assert_true(lives[1].ended_us >= lives[1].started_us && lives[1].number == 4);
    assert_true(lives[1].met_us == 0 && lives[1].refused_us == 0);
    free(lives);
}

static void test_two_at_once_are_found_out(void **state)
{
    fixture *f = *state;
    history_life life = life_of(3, 5);
    size_t count;

    ledger_begin(f->book, &life);
    history_life *lives = begin_elsewhere(f, 3, 6, &count);
    assert_true(lives[1].met_us != 0);
    assert_int_equal(lives[1].met_pid, getpid());
    free(lives);
}

static void test_a_lower_fence_is_refused(void **state)
{
    fixture *f = *state;
    size_t count;

    free(begin_elsewhere(f, 3, 5, &count));
    free(begin_elsewhere(f, 4, 9, &count)); /* another task's */
    history_life *lives = begin_elsewhere(f, 3, 4, &count);
    assert_true(lives[2].refused_us != 0 && lives[2].met_us == 0);
    free(lives);
    lives = begin_elsewhere(f, 3, 6, &count);
    assert_int_equal(lives[3].refused_us, 0);
    free(lives);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lives_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_at_once_are_found_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_lower_fence_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
