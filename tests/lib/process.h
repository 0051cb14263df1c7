/* Child processes of a test: they write to a file, end with the test, and are waited for by events.
 *
 * What cannot be done fails the test. Start them on the test's main thread: the kernel ends a child
 * (PR_SET_PDEATHSIG) when the thread that started it is gone. */
#ifndef MF_TESTS_PROCESS_H
#define MF_TESTS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct process {
    pid_t pid;        /* 0: not running */
    int status;       /* as of waitpid, once it has ended */
    char output[256]; /* the file that has its stdout and stderr */
} process;

/* Milliseconds on the monotonic clock. */
int64_t clock_ms(void);

/* For what no event tells: pauses for a moment before another look, and fails the test when
 * `what` has not come within half a minute since `start_ms`. */
void poll_again(int64_t start_ms, const char *what);

/* A new directory under $TMPDIR or /tmp, to be freed by directory_remove, which removes all in it.
 */
char *directory_new(void);
void directory_remove(char *path);

/* A TCP port of 127.0.0.1 that nothing listens on, outside the range that the system gives to
 * outgoing connections. */
int free_port(void);

/* Runs this process, and those that it starts later, before all other programs, so that these
 * lengthen no time that a test has a bound for. Without the right to do so nothing changes. */
void process_outrank_others(void);

/* Starts argv[0], looked for in PATH; argv ends with NULL. Its output is appended to `output`. */
void process_start(process *p, const char *const *argv, const char *output);

/* Whether it has ended, or never ran; waits for nothing. */
bool process_has_ended(process *p);

/* Waits for its end; returns whether it came within the time. */
bool process_await_end(process *p, int timeout_ms);

/* Waits until the file has `text` at or behind `offset`. False: not within the time, or it ended
 * without it. */
bool process_await_output(process *p, const char *text, long offset, int timeout_ms);

/* The size of the output so far, for process_await_output. */
long process_output_size(const process *p);

/* Sends a signal; SIGSTOP has taken effect when it returns. */
void process_signal(process *p, int signal_number);

/* Ends it by SIGKILL, or by SIGTERM and after five seconds by SIGKILL. Harmless when it has ended.
 */
void process_kill(process *p);
void process_terminate(process *p);

#endif
