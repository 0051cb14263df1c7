/* A guard with commands under it, for tests: in this process, or in a daemon
 * process to be hurt. */
#ifndef TEST_GUARD_FIXTURE_H
#define TEST_GUARD_FIXTURE_H

#include <stdbool.h>
#include <sys/types.h>

#include <event2/event.h>

#include "process/events.h"
#include "process/guard.h"

enum { MOST_COMMANDS = 512 };

typedef struct guard_fixture {
    char directory[64];
    struct event_base *base;
    mf__guard *guard;
    int started, denied, ended, lost;
    pid_t denied_pid;              /* the last one */
    mf__ended ends[MOST_COMMANDS]; /* by the order of starting */
    uint32_t slots[MOST_COMMANDS];
    int commands;
    int fifo; /* read end of directory/alive, which living commands hold open for
                 writing */
} guard_fixture;

/* cmocka setup and teardown: a directory with the FIFO, a guard, an event base.
 */
int guard_fixture_setup(void **state);
/* The same with a guard that is nobody's, for a test that runs as root. */
int guard_fixture_setup_as_nobody(void **state);
int guard_fixture_teardown(void **state);
void guard_fixture_remove_directory(guard_fixture *fixture);

/* Starts `sh -c script` with a deadline that many milliseconds from now; the
 * script runs with the FIFO as descriptor 9. Returns its number. Output goes to
 * directory/output. */
int guard_fixture_start(guard_fixture *fixture, const char *script, int deadline_ms);

/* Runs the base until *count is at least `wanted`; false after ten seconds. */
bool guard_fixture_wait(guard_fixture *fixture, const int *count, int wanted);

/* Waits until a command has written a line into the FIFO; false after ten
 * seconds. */
bool guard_fixture_wait_line(guard_fixture *fixture);

/* Waits until no process holds the FIFO open for writing; false after ten
 * seconds. */
bool guard_fixture_wait_all_dead(guard_fixture *fixture);

/* The text of directory/output without the notes; static. */
const char *guard_fixture_output(guard_fixture *fixture);

#endif
